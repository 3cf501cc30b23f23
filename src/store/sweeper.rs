//! Takes what is old out of a folder, on a thread of its own: a large folder takes its time, and no writing is to wait for it.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, SystemTime};

use super::folder::Folder;
use super::renewed_after;
use crate::log::LogLimit;

/// How often it looks, where what is kept is kept for long or for ever.
const INTERVAL: Duration = Duration::from_secs(3_600);

/// The shortest time between two looks.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// The thread; it ends when this is dropped.
pub(super) struct Sweeper {
    _alive: Sender<()>,
}

impl Sweeper {
    /// Looks at once, and then every so often.
    pub(super) fn start(folder: Folder, keep: Option<Duration>) -> Self {
        let interval = keep.map_or(INTERVAL, |keep| {
            renewed_after(keep).clamp(INTERVAL_MIN, INTERVAL)
        });
        let (alive, ended) = mpsc::channel();
        let sweep = move || {
            let failures = LogLimit::per_minute();
            loop {
                if let Err(error) = folder.sweep(SystemTime::now())
                    && let Some(held_back) = failures.pass()
                {
                    let error = folder.error(error);
                    tracing::warn!(%error, held_back, "old prompts could not be deleted (store.keep)");
                }
                if ended.recv_timeout(interval) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("store-sweep".to_owned())
            .spawn(sweep)
            .expect("a process that cannot start a thread at its start cannot do its work");
        Self { _alive: alive }
    }
}
