//! Where objects lie: one face for a folder and a bucket.

use std::time::Instant;

use super::bucket::Bucket;
use super::folder::Folder;
use super::outcome::{Put, StoreError};
use super::prefix::HashPrefix;
use super::{Location, StoreConfig};
use crate::exchange::{ContentHash, StoredObject};

/// A folder or a bucket.
pub(super) enum Place {
    Folder(Folder),
    Bucket(Box<Bucket>),
}

impl Place {
    /// Neither connects nor writes.
    pub(super) fn open(location: &Location, config: &StoreConfig) -> Result<Self, StoreError> {
        match location {
            Location::Folder(path) => Ok(Self::Folder(Folder::new(path, config.keep))),
            Location::Bucket { cloud, url, prefix } => {
                let bucket = Bucket::new(*cloud, url, prefix, config);
                let bucket = bucket.map_err(|error| StoreError::Bucket {
                    location: location.to_string(),
                    error,
                });
                Ok(Self::Bucket(Box::new(bucket?)))
            }
        }
    }

    /// Makes a folder, and tries to write there. What a bucket says is known only once it is asked.
    pub(super) fn probe(&self) -> Result<(), StoreError> {
        match self {
            Self::Folder(folder) => folder.probe().map_err(|error| folder.error(error)),
            Self::Bucket(_) => Ok(()),
        }
    }

    /// Stores objects, unless they are there; says of each what became of it, `None` where it was not tried. `until` is when it must be over, as far as that can be
    /// had.
    pub(super) fn put_all(
        &mut self,
        objects: &[StoredObject],
        until: Option<Instant>,
    ) -> Vec<Result<Option<Put>, String>> {
        match self {
            Self::Folder(folder) => folder.put_all(objects),
            Self::Bucket(bucket) => bucket.put_all(objects, until),
        }
    }

    /// What an object says; `None` where it is not there.
    pub(super) fn get(&mut self, hash: ContentHash) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Self::Folder(folder) => folder.get(hash).map_err(|error| folder.error(error)),
            Self::Bucket(bucket) => bucket.get(hash),
        }
    }

    /// Hashes of objects that begin with these digits, in any order.
    pub(super) fn beginning_with(
        &mut self,
        prefix: &HashPrefix,
    ) -> Result<Vec<ContentHash>, StoreError> {
        match self {
            Self::Folder(folder) => {
                let found = folder.beginning_with(prefix);
                found.map_err(|error| folder.error(error))
            }
            Self::Bucket(bucket) => bucket.beginning_with(prefix),
        }
    }
}
