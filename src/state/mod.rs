//! What several processes know together, in a Redis or Valkey server: the way there and back, within its limits of time.
//!
//! It knows names and values and not what they are of. Reading is done by whoever asks, within milliseconds; writing and
//! connecting by a worker, behind a bounded queue. One failure closes the connection, since an answer that is late cannot
//! be told from the next; until the worker has another, nothing is read or written and nobody waits.
//!
//! The client is the `redis` crate in its blocking form: all of this is done on threads that may wait.

mod link;
mod url;
mod writer;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crate::background::Background;
use crate::conversation::News;

pub use url::{EXPECTED, RedisUrl};

use link::Link;

/// Where state is shared, and how long it is waited for.
#[derive(Debug, Clone)]
pub struct StateConfig {
    /// The server; `None`: this process remembers for itself. Default `None`.
    pub redis: Option<RedisUrl>,
    /// How long reading for an exchange may take, or for all that are ready at the same time. Default 50 ms.
    pub timeout: Duration,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self {
            redis: None,
            timeout: Duration::from_millis(50),
        }
    }
}

/// What went wrong with it so far.
#[derive(Debug, Default)]
pub struct StateBooks {
    /// 1 while there is a connection that answers in time.
    pub available: AtomicU64,
    /// Connections that failed.
    pub connect_errors: AtomicU64,
    /// Reads that failed or took too long.
    pub read_errors: AtomicU64,
    /// Writes that failed or took too long.
    pub write_errors: AtomicU64,
    /// Exchanges that were looked at without what others know.
    pub unread: AtomicU64,
    /// Exchanges of which others were told nothing, or not all.
    pub unwritten: AtomicU64,
}

/// The way to the server.
pub struct State {
    link: Arc<Link>,
    writer: Background<Vec<News>>,
}

impl State {
    /// A way to a server that keeps what it is told for so long. Connects in the background.
    #[must_use]
    pub fn new(redis: &RedisUrl, timeout: Duration, ttl: Duration, books: Arc<StateBooks>) -> Self {
        let link = Arc::new(Link::new(redis.clone(), timeout, books));
        let writer = writer::start(Arc::clone(&link), ttl);
        Self { link, writer }
    }

    /// Until when reading may go on that begins now; `None` while there is no connection.
    #[must_use]
    pub fn read_until(&self) -> Option<Instant> {
        self.link
            .is_up()
            .then(|| Instant::now() + self.link.timeout)
    }

    /// A value or none for each name; `None` where they cannot be had until then.
    #[must_use]
    pub fn get(&self, names: &[String], until: Instant) -> Option<Vec<Option<Vec<u8>>>> {
        self.link.get(names, until)
    }

    /// Has this written later. Does not wait.
    pub fn tell(&self, news: Vec<News>) {
        if self.writer.submit(news).is_err() {
            self.link.count_unwritten(1);
        }
    }

    /// Has everything written that was told; takes nothing more. Blocks for as long as that, at most.
    pub fn end(&self, within: Duration) {
        self.writer.end(within);
        self.link.end();
    }
}
