//! `prompt`: what the store of prompts has under a hash.

use std::io::{self, Write as _};

use anyhow::{Context as _, bail};

use crate::app::prompts;
use crate::cli::PromptArgs;
use crate::config::{self, Environment, Flags, Loaded};
use crate::exchange::ContentHash;
use crate::store::{HashPrefix, Location, StoreReader};
use crate::top::{shown_json, shown_lines};

pub(super) fn prompt(args: &PromptArgs) -> anyhow::Result<()> {
    let environment = Environment::of_process();
    let Loaded { config, .. } = config::load(&Flags::from(args), &environment)?;
    let location = match &args.store {
        Some(location) => location.clone(),
        None => prompts::location(&config).context(
            "expected a store: --store URL, or a configuration with store.url or state.folder",
        )?,
    };
    if let Location::Folder(folder) = &location
        && !folder.is_dir()
    {
        bail!("{location}: there is no such folder, expected that of a store of prompts");
    }
    // The first TLS client of the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut reader = StoreReader::open(&location, &config.pipeline.store)?;
    let hash = match args.hash.whole() {
        Some(hash) => hash,
        None => only(&location, &args.hash, &reader.beginning_with(&args.hash)?)?,
    };
    let Some(found) = reader.find(hash)? else {
        bail!("{location}: no object {hash}");
    };
    let mut out = io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", shown_json(&found.to_json().to_string()))?,
        false => write!(out, "{}", shown_lines(&found.to_string()))?,
    }
    out.flush()?;
    if let [first, others @ ..] = found.lost.as_slice() {
        let others = match others.len() {
            0 => String::new(),
            count => format!(" and {count} others"),
        };
        bail!("{location}: not all of it is there: no object {first}{others}");
    }
    Ok(())
}

/// Most hashes that are named where several begin with the digits.
const NAMED_MAX: usize = 10;

/// The one hash that begins with these digits.
///
/// # Errors
///
/// There is none, or more than one.
fn only(
    location: &Location,
    prefix: &HashPrefix,
    found: &[ContentHash],
) -> anyhow::Result<ContentHash> {
    match found {
        [] => bail!("{location}: no object whose hash begins with {prefix}"),
        [hash] => Ok(*hash),
        several => {
            let named = several.iter().take(NAMED_MAX);
            let mut names: Vec<String> = named.map(ToString::to_string).collect();
            if several.len() > NAMED_MAX {
                names.push(format!("and {} others", several.len() - NAMED_MAX));
            }
            bail!(
                "{location}: {} hashes begin with {prefix}, expected more digits of one of them:\n  {}",
                several.len(),
                names.join("\n  ")
            )
        }
    }
}
