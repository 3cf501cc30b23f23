//! The connections, and whether there are any: one to read by, for whoever asks, and one to write by, for the worker.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::{Client, Connection, ErrorKind, Pipeline, RedisError, RedisResult};

use super::StateBooks;
use super::url::RedisUrl;
use crate::log::LogLimit;

/// What all names begin with: whose they are, and the version of what is in them.
const PREFIX: &str = "streamgauge:2:";

/// Longest time for a connection to be made, encrypted and logged in.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Longest time for what the worker writes.
const WRITE_WITHIN: Duration = Duration::from_secs(1);

/// Time from a failure to the next attempt; twice as long after each that follows.
const RETRY_AFTER: Duration = Duration::from_millis(250);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);

pub(super) struct Link {
    url: RedisUrl,
    pub(super) timeout: Duration,
    reader: Mutex<Reader>,
    books: Arc<StateBooks>,
    failures: LogLimit,
    connections: LogLimit,
}

/// Held for as long as something is read.
struct Reader {
    connection: Option<Connection>,
    /// Failures in a row.
    failed: u32,
    retry_at: Instant,
}

/// What failed, on the metric and in the log.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Connect,
    Read,
    Write,
}

impl Link {
    pub(super) fn new(url: RedisUrl, timeout: Duration, books: Arc<StateBooks>) -> Self {
        let reader = Reader {
            connection: None,
            failed: 0,
            retry_at: Instant::now(),
        };
        Self {
            url,
            timeout,
            reader: Mutex::new(reader),
            books,
            failures: LogLimit::per_minute(),
            connections: LogLimit::per_minute(),
        }
    }

    /// A poisoned lock holds a connection in whatever state: it is given up.
    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(|poisoned| {
            let mut reader = PoisonError::into_inner(poisoned);
            reader.connection = None;
            reader
        })
    }

    pub(super) fn is_up(&self) -> bool {
        self.reader().connection.is_some()
    }

    /// Says in the log how many lines were held back.
    pub(super) fn end(&self) {
        self.failures.end(
            "conversation state cannot be shared; each replica goes on with what it knows itself",
        );
    }

    pub(super) fn count_unwritten(&self, exchanges: u64) {
        self.books.unwritten.fetch_add(exchanges, Relaxed);
    }

    pub(super) fn get(&self, names: &[String], until: Instant) -> Option<Vec<Option<Vec<u8>>>> {
        let mut reader = self.reader();
        let connection = reader.connection.as_mut()?;
        let left = until.saturating_duration_since(Instant::now());
        let values = read(connection, names, left.max(Duration::from_millis(1)));
        match values {
            Ok(values) => {
                reader.failed = 0;
                Some(values)
            }
            Err(error) => {
                self.close(&mut reader);
                drop(reader);
                self.failed(Operation::Read, &error);
                None
            }
        }
    }

    /// Makes both connections, if there are none and it is time to; the one to write by.
    pub(super) fn connect(&self) -> Option<Connection> {
        if Instant::now() < self.reader().retry_at {
            return None;
        }
        match self.connections() {
            Ok((connection, writer)) => {
                let mut reader = self.reader();
                reader.connection = Some(connection);
                drop(reader);
                self.books.available.store(1, Relaxed);
                if let Some(held_back) = self.connections.pass() {
                    tracing::info!(redis = %self.url, held_back, "conversation state is shared");
                }
                Some(writer)
            }
            Err(error) => {
                self.close(&mut self.reader());
                self.failed(Operation::Connect, &error);
                None
            }
        }
    }

    /// One to read by, which has answered in time, and one to write by.
    fn connections(&self) -> RedisResult<(Connection, Connection)> {
        let client = Client::open(self.url.info().clone())?;
        let mut reader = client.get_connection_with_timeout(CONNECT_WITHIN)?;
        read(&mut reader, &["k:0:0".to_owned()], self.timeout)?;
        let writer = client.get_connection_with_timeout(CONNECT_WITHIN)?;
        writer.set_write_timeout(Some(WRITE_WITHIN))?;
        writer.set_read_timeout(Some(WRITE_WITHIN))?;
        Ok((reader, writer))
    }

    /// Writes all of it; whether the connection is of any use afterwards.
    pub(super) fn write(&self, writer: &mut Connection, all: &Pipeline, exchanges: u64) -> bool {
        let Err(error) = all.exec(writer) else {
            return true;
        };
        self.count_unwritten(exchanges);
        self.failed(Operation::Write, &error);
        // A server that is full says so in order, and can still be read.
        let is_up = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
        if !is_up {
            self.close(&mut self.reader());
        }
        is_up
    }

    fn close(&self, reader: &mut Reader) {
        reader.connection = None;
        let after = RETRY_AFTER.saturating_mul(1 << reader.failed.min(10));
        reader.failed += 1;
        reader.retry_at = Instant::now() + after.min(RETRY_AFTER_MAX);
        self.books.available.store(0, Relaxed);
    }

    fn failed(&self, operation: Operation, error: &RedisError) {
        let (count, operation) = match operation {
            Operation::Connect => (&self.books.connect_errors, "connect"),
            Operation::Read => (&self.books.read_errors, "read"),
            Operation::Write => (&self.books.write_errors, "write"),
        };
        count.fetch_add(1, Relaxed);
        if let Some(held_back) = self.failures.pass() {
            tracing::warn!(
                redis = %self.url,
                operation,
                %error,
                held_back,
                "conversation state cannot be shared; each replica goes on with what it knows itself"
            );
        }
    }
}

/// The name as the server has it.
pub(super) fn full(name: &str) -> String {
    format!("{PREFIX}{name}")
}

fn read(
    connection: &mut Connection,
    names: &[String],
    within: Duration,
) -> RedisResult<Vec<Option<Vec<u8>>>> {
    connection.set_write_timeout(Some(within))?;
    connection.set_read_timeout(Some(within))?;
    let names: Vec<String> = names.iter().map(|name| full(name)).collect();
    redis::cmd("MGET").arg(names).query(connection)
}
