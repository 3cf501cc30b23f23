//! A folder: a file for each object, that only its owner may read, whole or not there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::outcome::{Put, StoreError};
use super::prefix::HashPrefix;
use super::{key, renewed_after};
use crate::disk;
use crate::exchange::{ContentHash, StoredObject};

/// The folder in which objects are written before they have their names.
const BESIDE: &str = "new";

/// What was left there by a process that ended in the middle of it is taken out after so long.
const LEFT: Duration = Duration::from_secs(3_600);

/// The folder.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: PathBuf,
    keep: Option<Duration>,
    /// Held where the age of an object counts: what is made new is not taken out as old at the same time. Another process with the same
    /// folder may do that in the moment between two calls of the system, of an object that nobody has said for as long as it is kept.
    age: Arc<Mutex<()>>,
}

impl Folder {
    pub(super) fn new(root: &Path, keep: Option<Duration>) -> Self {
        Self {
            root: root.to_owned(),
            keep,
            age: Arc::default(),
        }
    }

    /// Makes it, and tries to write there.
    pub(super) fn probe(&self) -> io::Result<()> {
        disk::make_folder(&self.root.join(BESIDE))?;
        let probe = self.root.join("probe");
        disk::replace(&probe, b"")?;
        fs::remove_file(&probe)
    }

    pub(super) fn error(&self, error: io::Error) -> StoreError {
        StoreError::Folder {
            location: self.root.display().to_string(),
            error,
        }
    }

    pub(super) fn put_all(&self, objects: &[StoredObject]) -> Vec<Result<Option<Put>, String>> {
        let mut outcomes: Vec<Result<Option<Put>, String>> = Vec::with_capacity(objects.len());
        let (mut fresh, mut places) = (Vec::new(), Vec::new());
        for (at, object) in objects.iter().enumerate() {
            let path = self.root.join(key(object.hash));
            let is_there = self.is_there(&path).and_then(|is_there| {
                if !is_there {
                    self.make_room(&path)?;
                    fresh.push((path, &*object.bytes));
                    places.push(at);
                }
                Ok(Some(Put::There))
            });
            outcomes.push(is_there.map_err(|error| error.to_string()));
        }
        for (at, written) in places.into_iter().zip(self.write(&fresh)) {
            outcomes[at] = written.map(Some).map_err(|error| error.to_string());
        }
        outcomes
    }

    /// Writes files. Where a folder is gone, since somebody has emptied the store or mounted another disk there, it is made again.
    fn write(&self, files: &[(PathBuf, &[u8])]) -> Vec<io::Result<Put>> {
        let beside = self.root.join(BESIDE);
        let as_put = |outcomes: Vec<io::Result<()>>, put: Put| {
            let outcomes = outcomes.into_iter();
            outcomes.map(|outcome| outcome.map(|()| put)).collect()
        };
        let written = disk::put_all(&beside, files);
        let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        if !written.iter().any(|it| it.as_ref().is_err_and(is_gone)) {
            return as_put(written, Put::Written);
        }
        let made = disk::make_folder(&beside)
            .and_then(|()| files.iter().try_for_each(|(path, _)| self.make_room(path)));
        match made {
            Ok(()) => as_put(disk::put_all(&beside, files), Put::Anew),
            Err(_) => as_put(written, Put::Written),
        }
    }

    /// Whether an object is there. If so, its age counts from now on.
    fn is_there(&self, path: &Path) -> io::Result<bool> {
        let _age = self.age();
        let found = match fs::symlink_metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let now = SystemTime::now();
        let age = now.duration_since(found.modified()?).unwrap_or_default();
        if self.keep.is_some_and(|keep| age >= renewed_after(keep)) {
            File::options().write(true).open(path)?.set_modified(now)?;
        }
        Ok(true)
    }

    /// Makes the folder that an object goes to. Its name is on the disk only once the folder above is, too.
    fn make_room(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        if folder.is_dir() {
            return Ok(());
        }
        disk::make_folder(folder)?;
        disk::sync_folder(folder)
    }

    pub(super) fn get(&self, hash: ContentHash) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.root.join(key(hash))) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn beginning_with(&self, prefix: &HashPrefix) -> io::Result<Vec<ContentHash>> {
        let files = match fs::read_dir(self.root.join(prefix.folder())) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for file in files {
            let name = file?.file_name();
            found.extend(name.to_str().and_then(|name| prefix.hash_of_file(name)));
        }
        Ok(found)
    }

    /// Takes out what was not said for as long as it is kept, and what was left unfinished. Nothing else that lies there.
    pub(super) fn sweep(&self, now: SystemTime) -> io::Result<()> {
        let beside = self.root.join(BESIDE);
        self.sweep_folder(&beside, now, LEFT, |_| true)?;
        let Some(keep) = self.keep else { return Ok(()) };
        // An object that is said again and again is made new only so often.
        let most = keep + renewed_after(keep);
        for folder in fs::read_dir(&self.root)? {
            let folder = folder?.path();
            let name = folder.file_name().and_then(|name| name.to_str());
            let is_hex = |name: &str| name.bytes().all(|byte| byte.is_ascii_hexdigit());
            if name.is_some_and(|name| name.len() == 2 && is_hex(name)) && folder.is_dir() {
                self.sweep_folder(&folder, now, most, is_object)?;
            }
        }
        Ok(())
    }

    fn sweep_folder(
        &self,
        folder: &Path,
        now: SystemTime,
        most: Duration,
        is_ours: fn(&str) -> bool,
    ) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if !name.is_some_and(is_ours) {
                continue;
            }
            let _age = self.age();
            // Another process may be quicker.
            let Ok(found) = fs::symlink_metadata(&path) else {
                continue;
            };
            let age = now.duration_since(found.modified()?).unwrap_or_default();
            if found.is_file() && age > most {
                let _ = fs::remove_file(&path);
            }
        }
        Ok(())
    }

    fn age(&self) -> std::sync::MutexGuard<'_, ()> {
        self.age.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_object(name: &str) -> bool {
    let hash = name.strip_suffix(".json").and_then(ContentHash::parse);
    hash.is_some()
}
