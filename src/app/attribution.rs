//! Whose calls are told apart from whose: the labels that a user has named, the secret that fingerprints of keys are made with, and the
//! folder in which that and the sums of costs outlive the process.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::config::Config;
use crate::disk::{self, Lock};
use crate::observe::key::KeySecret;
use crate::sink::costs::CostsConfig;

/// The name of the file with the secret.
const SECRET: &str = "key-secret";

/// The name of the file that says whose the folder is, while it is locked.
const LOCK: &str = "lock";

/// The folder, as long as this is held: another process keeps neither sums nor a history there.
#[derive(Debug)]
pub(super) struct OwnFolder {
    pub(super) path: PathBuf,
    _lock: Lock,
}

impl OwnFolder {
    /// Makes the folder and tries to write there. `None` where there is to be none, or where it is another process's, which is logged.
    ///
    /// # Errors
    /// When the folder cannot be made, or nothing can be written there.
    pub(super) fn take(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(path) = config.folder.clone() else {
            return Ok(None);
        };
        let folder = path.display();
        let what = || cannot_keep(&path);
        fs::create_dir_all(&path).with_context(what)?;
        let Some(lock) = disk::lock(&path.join(LOCK)).with_context(what)? else {
            tracing::warn!(
                %folder,
                "another process uses state.folder: this one keeps neither costs nor the history there"
            );
            return Ok(None);
        };
        let probe = path.join("probe");
        disk::replace(&probe, b"").with_context(what)?;
        fs::remove_file(&probe).with_context(what)?;
        Ok(Some(Self { path, _lock: lock }))
    }

    /// Whether another process has the folder that would be taken. Tries all that [`take`](Self::take) does, and leaves nothing behind.
    ///
    /// # Errors
    /// When the folder cannot be made, or nothing can be written there.
    #[cfg(feature = "cli")]
    pub(super) fn is_taken(config: &Config) -> anyhow::Result<bool> {
        let Some(path) = &config.folder else {
            return Ok(false);
        };
        let tried = disk::try_folder(path).and_then(|()| disk::is_locked(&path.join(LOCK)));
        tried.with_context(|| cannot_keep(path))
    }
}

fn cannot_keep(path: &Path) -> String {
    format!(
        "state.folder = {}: cannot keep anything there",
        path.display()
    )
}

/// What the sums of costs are told.
pub(super) fn costs(config: &Config, folder: Option<&OwnFolder>) -> CostsConfig {
    CostsConfig {
        labels: labels(config),
        label_values: config.telemetry.label_values,
        folder: folder.map(|folder| folder.path.clone()),
    }
}

/// The labels that the user has named. Those of metrics live as long as the process; there are few, and a configuration is read once.
fn labels(config: &Config) -> Vec<&'static str> {
    let labels = config.telemetry.labels.iter();
    labels.map(|label| &*label.clone().leak()).collect()
}

/// The secret for fingerprints of keys: as it is set, else the one in the folder, else one of this process; `None` where there are to be
/// no fingerprints.
///
/// # Errors
/// When the folder's cannot be read or written.
pub(super) fn key_secret(config: &Config) -> anyhow::Result<Option<KeySecret>> {
    if !config.telemetry.key_fingerprint {
        return Ok(None);
    }
    let given = config.observe.key_secret.clone();
    let secret = match (given, secret_file(config)) {
        (Some(given), _) => given,
        (None, Some(file)) => of_file(&file)?,
        (None, None) => KeySecret::random(),
    };
    Ok(Some(secret))
}

/// The file of the secret, where it is kept in one.
fn secret_file(config: &Config) -> Option<PathBuf> {
    let is_used = config.telemetry.key_fingerprint && config.observe.key_secret.is_none();
    let folder = config.folder.as_ref().filter(|_| is_used)?;
    Some(folder.join(SECRET))
}

fn of_file(path: &Path) -> anyhow::Result<KeySecret> {
    let made = match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => disk::replace(path, KeySecret::random().to_text().as_bytes()),
        Err(error) => Err(error),
    };
    made.map_err(|error| unusable(path, &error))?;
    read_secret(path)
}

fn read_secret(path: &Path) -> anyhow::Result<KeySecret> {
    let text = fs::read_to_string(path).map_err(|error| unusable(path, &error))?;
    let text = text.trim();
    // Without a secret anybody could find out which key a fingerprint is of, and with a short one by trying.
    let wrong = match text.len() {
        0 => "is empty",
        1..KeySecret::TEXT_BYTES => "is cut short",
        _ => return Ok(KeySecret::of(text)),
    };
    Err(anyhow::anyhow!(
        "{}: the secret for fingerprints of keys {wrong}; remove the file: a new one is made, and fingerprints change",
        path.display()
    ))
}

fn unusable(path: &Path, why: &dyn Display) -> anyhow::Error {
    anyhow::anyhow!(
        "{}: the secret for fingerprints of keys cannot be read or written ({why}); have this user own the file, or remove \
         it: then a new one is made, and fingerprints change",
        path.display()
    )
}

/// Tries whether the secret can be read, where there is one in the folder. Leaves nothing behind.
///
/// # Errors
/// When it cannot.
#[cfg(feature = "cli")]
pub(super) fn try_secret(config: &Config) -> anyhow::Result<()> {
    let Some(file) = secret_file(config) else {
        return Ok(());
    };
    match file.try_exists() {
        Ok(true) => read_secret(&file).map(drop),
        Ok(false) => Ok(()),
        Err(error) => Err(unusable(&file, &error)),
    }
}
