//! Where prompts are stored, and the sink that takes them there.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};

use crate::config::Config;
#[cfg(feature = "cli")]
use crate::disk;
#[cfg(feature = "cli")]
use crate::store::StoreReader;
use crate::store::{Location, Store};

/// The folder of prompts in that of the state.
const FOLDER: &str = "prompts";

/// Where they are stored: as it is set, else in the folder of the state; `None` where there is none.
pub(super) fn location(config: &Config) -> Option<Location> {
    let of_state = || {
        let folder = config.folder.as_ref()?;
        Some(Location::Folder(folder.join(FOLDER)))
    };
    config.pipeline.store.location.clone().or_else(of_state)
}

/// The store, where the content of any call goes there.
///
/// # Errors
/// When it cannot be set up.
pub(super) fn store(config: &Config) -> anyhow::Result<Option<Arc<Store>>> {
    if !config.observe.content.has_store() {
        return Ok(None);
    }
    let location = location(config).context("store.url: missing, and there is no state.folder")?;
    let opened = Store::open(&location, &config.pipeline.store);
    let store = opened.map_err(|error| cannot_store(&location, &error.without_location()))?;
    Ok(Some(Arc::new(store)))
}

/// Tries whether prompts can be stored, where the content of any call is to be: whether a folder can be made and written to, and whether the
/// settings of a bucket are right. Leaves nothing behind, and connects to nothing.
///
/// # Errors
/// When it cannot.
#[cfg(feature = "cli")]
pub(super) fn try_store(config: &Config) -> anyhow::Result<()> {
    let Some(location) = location(config).filter(|_| config.observe.content.has_store()) else {
        return Ok(());
    };
    let tried = match &location {
        Location::Folder(path) => {
            disk::try_folder(path).map_err(|error| format!("{error}; {}", disk::EXPECTED_FOLDER))
        }
        Location::Bucket { .. } => {
            // The first TLS client of the process.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let opened = StoreReader::open(&location, &config.pipeline.store);
            opened.map(drop).map_err(|error| error.without_location())
        }
    };
    tried.map_err(|why| cannot_store(&location, &why))
}

fn cannot_store(location: &Location, why: &str) -> anyhow::Error {
    anyhow!("store.url = {location}: prompts cannot be stored there: {why}")
}
