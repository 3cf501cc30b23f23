//! What became of exports, for whoever looks.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counts of exports, and why the last that failed did.
#[derive(Debug, Default)]
pub struct Outcomes {
    exported: AtomicU64,
    failures: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    /// Whether the last export failed.
    failed: bool,
    error: Option<String>,
}

impl Outcomes {
    /// A receiver took so many items.
    pub fn exported(&self, items: u64) {
        self.exported.fetch_add(items, Ordering::Relaxed);
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .failed = false;
    }

    /// An export failed.
    pub fn failed(&self, why: &impl Display) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Last {
            failed: true,
            error: Some(why.to_string()),
        };
    }

    /// Items that a receiver took so far.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }

    /// Exports that failed so far.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Whether the last export failed, and why the last that did.
    #[must_use]
    pub fn last(&self) -> (bool, Option<String>) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        (last.failed, last.error.clone())
    }
}
