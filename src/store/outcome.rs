//! What becomes of objects, and what is wrong with a store.

use std::io;

use crate::exchange::ContentHash;

/// What is wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A folder cannot be made, written or read.
    #[error("{location}: {error}")]
    Folder {
        /// Which.
        location: String,
        /// What is wrong.
        error: io::Error,
    },
    /// A bucket cannot be set up or read.
    #[error("{location}: {error}")]
    Bucket {
        /// Which.
        location: String,
        /// What is wrong.
        error: String,
    },
    /// An object says something else than its name is of.
    #[error("{location}: object {hash} is damaged: its bytes have the hash {found}")]
    Damaged {
        /// Where.
        location: String,
        /// Its name.
        hash: ContentHash,
        /// The hash of what it says.
        found: ContentHash,
    },
}

impl StoreError {
    /// What is wrong, without where: for whoever says that already.
    #[must_use]
    pub fn without_location(&self) -> String {
        match self {
            Self::Folder { error, .. } => error.to_string(),
            Self::Bucket { error, .. } => error.clone(),
            Self::Damaged { .. } => self.to_string(),
        }
    }
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// It was written.
    Written,
    /// It was written once the folder had been made again: others that were stored before may be gone.
    Anew,
    /// It was there.
    There,
}
