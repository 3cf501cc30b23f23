//! The store of prompts: what was said, in objects that are named by the SHA-256 of what they say.
//!
//! A message is an object, so that a history is stored once and not once for each turn; the list of what a prompt is made of is
//! another, and so is that of an answer. They lie in a folder, or in a bucket of S3, Google Cloud Storage or Azure.
//!
//! Whoever has something to store never waits: it goes by a worker behind a queue with a bound in bytes, in rounds, those that are
//! known to be there left out. What fails is tried again, and then counted as lost. It knows nothing of exchanges but what was said
//! in one, and what it gets is looked through before.
//!
//! - `object`: what is stored of an exchange, in the form that `canonical` has
//! - `place`: where, which is a `folder` or a `bucket`; `location` is how that is written
//! - `client`: what a bucket is asked by; `options` is what a file may say of it, and `told` what people are told of its errors
//! - `known`: what need not be stored again
//! - `writer`: the worker; `sweeper` takes out of a folder what is old
//! - `read`: the way back

mod bucket;
mod canonical;
mod client;
mod folder;
mod known;
mod location;
mod object;
mod options;
mod outcome;
mod place;
mod prefix;
mod read;
mod sweeper;
#[cfg(test)]
mod tests;
mod told;
mod writer;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::background::{Background, Plan};
use crate::exchange::{ContentHash, StoredObject};

pub use location::{EXPECTED, Location};
pub use object::store_objects;
pub use options::{CloudOptions, refusal};
pub use outcome::StoreError;
pub use prefix::HashPrefix;
pub use read::{Found, StoreReader};

use known::{Claim, Known};
use place::Place;
use sweeper::Sweeper;
use writer::Writer;

/// Where prompts are stored, and how.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The folder or the bucket; `None`: the folder `prompts` in that of the state. Default `None`.
    pub location: Option<Location>,
    /// How long something is kept since it was said last; `None`: for ever. Default `None`.
    pub keep: Option<Duration>,
    /// Most bytes that may wait to be stored. Default 16 MiB.
    pub queue_bytes: usize,
    /// How long a bucket may take for a request. Default 10 s.
    pub timeout: Duration,
    /// Where people find an object, with `{hash}` in it for its name. Default `None`.
    pub link: Option<String>,
    /// Where the server of a bucket is; `None`: where its cloud has it. Default `None`.
    pub endpoint: Option<String>,
    /// Options of the client of a bucket. Default none.
    pub options: CloudOptions,
    /// Variables of the environment by which clouds are told credentials and endpoints; the other two go before them.
    pub variables: CloudVariables,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            location: None,
            keep: None,
            queue_bytes: 16 << 20,
            timeout: Duration::from_secs(10),
            link: None,
            endpoint: None,
            options: CloudOptions::default(),
            variables: CloudVariables::default(),
        }
    }
}

/// Variables of the environment: names and values, which may be secrets.
#[derive(Clone, Default)]
pub struct CloudVariables(pub Vec<(String, String)>);

/// What names of such variables begin with.
pub const CLOUD_PREFIXES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];

impl fmt::Debug for CloudVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CloudVariables")
    }
}

/// What an object weighs in the queue beside its bytes: that bounds their number, too.
const OBJECT_BYTES: usize = 256;

/// An object that was taken is stored after so long at the latest, if the store is well.
const LINGER: Duration = Duration::from_millis(250);

/// Counts of objects.
#[derive(Debug, Default)]
pub struct StoreBooks {
    /// Written.
    pub stored: AtomicU64,
    /// There already; one that is still on its way when it is said again is not counted again.
    pub known: AtomicU64,
    /// Not written: the store did not take them.
    pub failed: AtomicU64,
    /// Not written: too many waited.
    pub dropped: AtomicU64,
    /// Attempts to write some that failed, most of which are followed by another.
    pub errors: AtomicU64,
}

/// What the worker shares with those who give it work.
struct Shared {
    known: Mutex<Known>,
    books: Arc<StoreBooks>,
    /// Until when what waits is still tried, once the process ends.
    closing: Mutex<Option<Instant>>,
    /// Somebody would not wait for the end: what is given up then is no fault of the store's.
    hurried: AtomicBool,
    /// Tells the worker of it.
    closes: Condvar,
}

impl Shared {
    fn new(renewed_after: Option<Duration>) -> Self {
        Self {
            known: Mutex::new(Known::new(renewed_after)),
            books: Arc::default(),
            closing: Mutex::new(None),
            hurried: AtomicBool::new(false),
            closes: Condvar::new(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closing(&self) -> MutexGuard<'_, Option<Instant>> {
        self.closing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of what is said again so long after it was stored, it is looked whether it is still in a folder: a person may have deleted it. That
/// costs a call of the system. In a bucket it would cost a request with all of it.
const LOOKED_AFTER: Duration = Duration::from_secs(3_600);

/// How long an object is known to be in a place; `None`: from then on.
fn stored_again_after(place: &Place, keep: Option<Duration>) -> Option<Duration> {
    let renewed = keep.map(renewed_after);
    match place {
        Place::Folder(_) => Some(renewed.map_or(LOOKED_AFTER, |after| after.min(LOOKED_AFTER))),
        Place::Bucket(_) => renewed,
    }
}

/// What is said again later than this is made new in the store, so that its age counts from there.
fn renewed_after(keep: Duration) -> Duration {
    keep / 8
}

/// The way to the store.
pub struct Store {
    shared: Arc<Shared>,
    writer: Background<Vec<StoredObject>>,
    _sweeper: Option<Sweeper>,
}

impl Store {
    /// Opens it and starts its threads; makes a folder, connects to nothing.
    ///
    /// # Errors
    /// When a folder cannot be made or written to, or a bucket's settings are wrong.
    pub fn open(location: &Location, config: &StoreConfig) -> Result<Self, StoreError> {
        let place = Place::open(location, config)?;
        place.probe()?;
        let sweeper = match &place {
            Place::Folder(folder) => Some(Sweeper::start(folder.clone(), config.keep)),
            Place::Bucket(_) => None,
        };
        let shared = Arc::new(Shared::new(stored_again_after(&place, config.keep)));
        let plan = Plan {
            name: "store",
            bound: config.queue_bytes,
            linger: LINGER,
            enough: (config.queue_bytes / 2).min(writer::BATCH_BYTES),
            idle: None,
        };
        let writer = Writer::new(place, location, Arc::clone(&shared));
        Ok(Self {
            shared,
            writer: Background::start(plan, writer),
            _sweeper: sweeper,
        })
    }

    /// Takes objects to be stored, all but those that are known to be there or on their way. Never waits. Says whether there was room.
    pub fn put(&self, objects: &[StoredObject]) -> bool {
        self.put_at(objects, Instant::now())
    }

    fn put_at(&self, objects: &[StoredObject], now: Instant) -> bool {
        let mut known = self.shared.known();
        let (mut fresh, mut there) = (Vec::new(), 0);
        for object in objects {
            match known.claim(object.hash, now) {
                Claim::Fresh => fresh.push(object.clone()),
                Claim::Waits => {}
                Claim::Stored => there += 1,
            }
        }
        drop(known);
        let books = &self.shared.books;
        books.known.fetch_add(there, Ordering::Relaxed);
        if fresh.is_empty() {
            return true;
        }
        let weight = fresh.iter().map(|it| OBJECT_BYTES + it.bytes.len()).sum();
        let Err(lost) = self.writer.submit_weighing(fresh, weight) else {
            return true;
        };
        books
            .dropped
            .fetch_add(lost.len() as u64, Ordering::Relaxed);
        self.shared.known().release(lost.iter().map(|it| it.hash));
        false
    }

    /// Its counts.
    #[must_use]
    pub fn books(&self) -> Arc<StoreBooks> {
        Arc::clone(&self.shared.books)
    }

    /// Somebody will not wait: whoever ends the store says what was given up then.
    pub fn hurry(&self) {
        self.shared.hurried.store(true, Ordering::Relaxed);
    }

    /// Has stored what waits, as far as that can be done in the time; takes nothing more. Says whether all of it was. Blocks.
    pub fn end(&self, within: Duration) -> bool {
        let given_up = || self.shared.books.failed.load(Ordering::Relaxed);
        let before = given_up();
        *self.shared.closing() = Some(Instant::now() + within);
        self.shared.closes.notify_all();
        self.writer.end(within) && given_up() == before
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

/// Where an object lies below the folder or the prefix: in one of 256 folders.
fn key(hash: ContentHash) -> String {
    let name = hash.to_string();
    format!("{}/{name}.json", &name[..2])
}
