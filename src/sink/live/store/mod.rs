//! What of the history outlives the process: the rows and details of exchanges as the API shows them, in one file.
//!
//! They are made and written by a worker of its own, batch by batch, and whoever gives it an exchange never waits. What does not fit is
//! counted. A file that cannot be read is put aside, never deleted; one that another process has is left to it.

mod file;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::background::{Background, Plan, Work};
use crate::disk;
use crate::log::LogLimit;
use crate::view::{Choices, Detail, Entry, Stored, clock_ms};

pub(super) use file::Ended;
use file::{Bounds, Fault, Kept, Written};

/// The name of the file in the folder.
const FILE: &str = "history.redb";

/// Weights are in KiB of memory: 64 MiB wait at most, and an exchange is on the disk after two seconds or with 8 MiB of others.
const PLAN: Plan = Plan {
    name: "history",
    bound: 64 << 10,
    linger: Duration::from_secs(2),
    enough: 8 << 10,
    idle: None,
};
/// How far back exchanges are counted that are no longer in memory: a day, in ms.
const COUNTED_MS: u64 = 24 * 3_600_000;
const UNIT: usize = 1 << 10;

/// What is kept over a restart.
#[derive(Debug, Clone)]
pub struct KeptHistory {
    /// In which folder.
    pub folder: PathBuf,
    /// For how long.
    pub age: Duration,
    /// Most bytes of rows and details; the file is a little larger.
    pub bytes: u64,
    /// How details are made.
    pub choices: Arc<Choices>,
}

/// What waits to be written, and what was lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreQueue {
    /// Memory of what waits, in KiB.
    pub waiting: u64,
    /// The most, in KiB.
    pub bound: u64,
    /// What did not fit or could not be written, in KiB.
    pub dropped: u64,
}

#[derive(Debug)]
pub(super) struct Store {
    file: Arc<Open>,
    worker: Background<Entry>,
    full: LogLimit,
}

/// What was there at the start.
#[derive(Debug)]
pub(super) struct Restored {
    /// The newest, oldest first.
    pub(super) entries: Vec<Stored<'static>>,
    /// Those before them that are only counted, oldest first.
    pub(super) earlier: Vec<Ended>,
    /// The last id that was given.
    pub(super) last_id: u64,
}

impl Store {
    /// Opens the file and reads the newest of it, at most so many. `None` where nothing can be kept; the log says why.
    pub(super) fn open(config: KeptHistory, most: usize) -> Option<(Self, Restored)> {
        let path = config.folder.join(FILE);
        let (file, restored) = match opened(&path, &config, most) {
            Ok(opened) => opened,
            Err(fault) if fault.is_of_content() => {
                put_aside(&path, &fault)?;
                opened(&path, &config, most)
                    .inspect_err(|fault| not_kept(&path, fault))
                    .ok()?
            }
            Err(fault) => {
                not_kept(&path, &fault);
                return None;
            }
        };
        let file = Arc::new(Open {
            file: Some(file),
            path,
            is_broken: AtomicBool::new(false),
            unwritten: AtomicU64::new(0),
        });
        let keeper = Keeper {
            file: Arc::clone(&file),
            config,
            batch: Vec::new(),
            batch_weight: 0,
            failures: LogLimit::per_minute(),
        };
        let store = Self {
            file,
            worker: Background::start(PLAN, keeper),
            full: LogLimit::per_minute(),
        };
        Some((store, restored))
    }

    /// Has an exchange written.
    pub(super) fn keep(&self, entry: Entry, weight: usize) {
        if self
            .worker
            .submit_weighing(entry, weight.div_ceil(UNIT))
            .is_err()
            && let Some(held_back) = self.full.pass()
        {
            tracing::warn!(
                held_back,
                "exchanges are missing in the kept history: too many wait to be written"
            );
        }
    }

    /// The details of an exchange; `None` where they are not kept or cannot be read.
    pub(super) fn detail(&self, id: u64) -> Option<Detail<'static>> {
        let read = guarded(|| self.file.kept()?.detail(id));
        read.inspect_err(|error| tracing::debug!(id, %error, "a kept exchange cannot be read"))
            .ok()?
    }

    pub(super) fn queue(&self) -> StoreQueue {
        StoreQueue {
            waiting: self.worker.waiting() as u64,
            bound: PLAN.bound as u64,
            dropped: self.worker.dropped() + self.file.unwritten.load(Ordering::Relaxed),
        }
    }

    /// Writes what waits; says whether that was done in time.
    pub(super) fn end(&self, within: Duration) -> bool {
        let ended = self.worker.end(within);
        self.full
            .end("exchanges are missing in the kept history: too many wait to be written");
        ended
    }
}

fn opened(path: &Path, config: &KeptHistory, most: usize) -> Result<(Kept, Restored), Fault> {
    guarded(|| {
        let file = Kept::open(path)?;
        let since_ms = bounds(config).since_ms;
        let (entries, unread) = file.newest(most, since_ms)?;
        if unread > 0 {
            tracing::warn!(file = %path.display(), unread, "exchanges of the kept history are of another version, and are not shown");
        }
        let day_ms = clock_ms(SystemTime::now()).saturating_sub(COUNTED_MS);
        let restored = Restored {
            entries,
            earlier: file.ended_before_newest(most, since_ms.max(day_ms))?,
            last_id: file.last_id()?,
        };
        Ok((file, restored))
    })
}

/// What of a broken file makes redb panic is its content.
fn guarded<T>(read: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    let read = catch_unwind(AssertUnwindSafe(read));
    read.unwrap_or_else(|_| Err(broken()))
}

fn broken() -> Fault {
    Fault::Unreadable("the database is broken".to_owned())
}

fn bounds(config: &KeptHistory) -> Bounds {
    let now_ms = clock_ms(SystemTime::now());
    Bounds {
        since_ms: now_ms.saturating_sub(config.age.as_millis() as u64),
        bytes: config.bytes,
    }
}

fn not_kept(path: &Path, fault: &Fault) {
    tracing::warn!(file = %path.display(), error = %fault, "the history is not kept over a restart");
}

fn put_aside(path: &Path, fault: &Fault) -> Option<()> {
    match disk::set_aside(path) {
        Ok(aside) => {
            tracing::warn!(file = %aside.display(), error = %fault, "the kept history cannot be read and was put aside; it begins anew");
            Some(())
        }
        Err(_) => {
            tracing::warn!(file = %path.display(), error = %fault, "the kept history cannot be read, nor put aside: the history is not kept over a restart");
            None
        }
    }
}

/// The file while it is in use.
#[derive(Debug)]
struct Open {
    /// `None` once it is being closed.
    file: Option<Kept>,
    path: PathBuf,
    /// It has shown itself to be broken: nothing more is written.
    is_broken: AtomicBool,
    /// Memory of exchanges that could not be written, in KiB.
    unwritten: AtomicU64,
}

impl Open {
    fn kept(&self) -> Result<&Kept, Fault> {
        self.file.as_ref().ok_or_else(broken)
    }

    fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    fn lose(&self, weight: u64) {
        self.unwritten.fetch_add(weight, Ordering::Relaxed);
    }
}

impl Drop for Open {
    /// Closes it. What of a broken file makes redb panic must not end the process, and the next one begins anew.
    fn drop(&mut self) {
        let file = self.file.take();
        let closed = guarded(|| {
            drop(file);
            Ok(())
        });
        if self.is_broken() || closed.is_err() {
            put_aside(&self.path, &broken());
        }
    }
}

/// Makes rows and details, and writes them.
struct Keeper {
    file: Arc<Open>,
    config: KeptHistory,
    batch: Vec<Written>,
    /// Memory of the exchanges in it, in KiB.
    batch_weight: u64,
    failures: LogLimit,
}

impl Work for Keeper {
    type Job = Entry;

    fn run(&mut self, entry: Entry) {
        let Some(exchange) = entry.exchange() else {
            return;
        };
        let weight = entry.weight().div_ceil(UNIT) as u64;
        if self.file.is_broken() {
            self.file.lose(weight);
            return;
        }
        let stored = Stored {
            row: entry.row(),
            turn: entry.turn(),
        };
        let detail = Detail::of(entry.id, exchange, &self.config.choices);
        match Written::of(&stored, &detail) {
            Ok(written) => {
                self.batch.push(written);
                self.batch_weight += weight;
            }
            Err(_) => self.file.lose(weight),
        }
    }

    fn end_round(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let weight = std::mem::take(&mut self.batch_weight);
        if batch.is_empty() {
            return;
        }
        let written = guarded(|| self.file.kept()?.write(&batch, bounds(&self.config)));
        let Err(error) = written else {
            return;
        };
        self.file.lose(weight);
        if error.is_of_content() {
            self.file.is_broken.store(true, Ordering::Relaxed);
        }
        if let Some(held_back) = self.failures.pass() {
            let (file, exchanges) = (self.file.path.display(), batch.len());
            tracing::warn!(%file, %error, exchanges, held_back, "exchanges of the history could not be written");
        }
    }
}
