//! Where prompts are stored, and the sink that takes them there.

use std::sync::Arc;

use anyhow::Context as _;

use crate::config::Config;
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
    let store =
        Store::open(&location, &config.pipeline.store).with_context(|| cannot_store(&location))?;
    Ok(Some(Arc::new(store)))
}

/// Tries whether a folder for prompts can be made and written to, where the content of any call goes to one. Leaves nothing behind.
///
/// # Errors
/// When it cannot.
#[cfg(feature = "cli")]
pub(super) fn try_folder(config: &Config) -> anyhow::Result<()> {
    match location(config).filter(|_| config.observe.content.has_store()) {
        Some(Location::Folder(path)) => {
            let tried = crate::disk::try_folder(&path);
            tried.with_context(|| cannot_store(&Location::Folder(path)))
        }
        Some(Location::Bucket { .. }) | None => Ok(()),
    }
}

fn cannot_store(location: &Location) -> String {
    format!("store.url = {location}: prompts cannot be stored there")
}
