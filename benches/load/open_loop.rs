//! Requests that leave when they are due, whether or not earlier ones have been answered, on connections that are warm: the
//! time from each to its first token.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::support::chat::{self, Request};
use crate::support::clients::{self, Counts};
use crate::works::Extent;

/// How often requests leave, and how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// Between two requests, in the mean.
    interval: Duration,
    /// Requests of one run at least: fewer would leave its p99 to a handful.
    requests: u32,
    /// Each serves the next request in turn, so that all of them stay warm; more than any peer that keeps up has in use.
    connections: usize,
}

impl Rate {
    /// 500 requests a second.
    pub(crate) const OFTEN: Self = Self {
        interval: Duration::from_millis(2),
        requests: 2_000,
        connections: 256,
    };
    /// 50 a second: so rare that each finds every thread at rest, and every cache cold.
    pub(crate) const RARE: Self = Self {
        interval: Duration::from_millis(20),
        requests: 300,
        connections: 16,
    };
}

/// What sender and readers share.
#[derive(Default)]
struct Shared {
    counts: Counts,
    stop: AtomicBool,
    /// When the request under way on each connection left.
    sent: Vec<AtomicU64>,
    /// Times to the first token, in nanoseconds, while they are noted.
    times: Mutex<Vec<u64>>,
}

/// Times to the first token in order of size, in nanoseconds.
///
/// # Errors
///
/// A call fails, or the peer cannot keep up: no connection was free when a request was due.
pub(crate) async fn first_tokens(
    address: SocketAddr,
    request: Request,
    rate: Rate,
    extent: &Extent,
) -> io::Result<Vec<u64>> {
    let shared = Arc::new(Shared {
        sent: (0..rate.connections).map(|_| AtomicU64::new(0)).collect(),
        ..Shared::default()
    });
    let (free, waiting) = mpsc::channel();
    let mut readers = JoinSet::new();
    let mut writers = Vec::new();
    for connection in 0..rate.connections {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        writers.push(stream.try_clone()?);
        let stream = tokio::net::TcpStream::from_std(stream)?;
        let (shared, free) = (Arc::clone(&shared), free.clone());
        // The receiver is still here.
        let _ = free.send(connection);
        readers.spawn(async move { read(stream, connection, request, &shared, &free).await });
    }
    drop(free);
    let sender = Sending {
        request: request.bytes(&address.to_string()),
        interval: rate.interval,
        writers,
        waiting,
        shared: Arc::clone(&shared),
    };
    let sending = thread::spawn(move || sender.run());
    tokio::time::sleep(extent.warm_up).await;
    shared.counts.noting.store(true, Relaxed);
    tokio::time::sleep(extent.window.max(rate.interval * rate.requests)).await;
    shared.counts.noting.store(false, Relaxed);
    shared.stop.store(true, Relaxed);
    while let Some(ended) = readers.join_next().await {
        ended??;
    }
    match sending.join() {
        Ok(sent) => sent?,
        Err(_) => return Err(io::Error::other("the sender of requests panicked")),
    }
    let mut times =
        std::mem::take(&mut *shared.times.lock().unwrap_or_else(PoisonError::into_inner));
    times.sort_unstable();
    Ok(times)
}

/// Reads the answers on one connection, until it is closed.
async fn read(
    mut stream: tokio::net::TcpStream,
    connection: usize,
    request: Request,
    shared: &Shared,
    free: &Sender<usize>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let first_chunk = || {
            if shared.counts.noting.load(Relaxed) {
                let took = chat::now_ns().saturating_sub(shared.sent[connection].load(Relaxed));
                let mut times = shared.times.lock().unwrap_or_else(PoisonError::into_inner);
                times.push(took);
            }
        };
        let counts = &shared.counts;
        if !clients::answer(&mut stream, &mut buffer, request, counts, first_chunk).await? {
            return Ok(());
        }
        // Nobody takes it where the sender is about to close the connection.
        let _ = free.send(connection);
    }
}

/// The times between requests of clients that know nothing of each other (a Poisson process), the same in every run.
///
/// Even gaps could keep step with what a peer does at even times, which each request would then meet, or none.
struct Gaps {
    mean: Duration,
    state: u64,
}

impl Gaps {
    fn of(mean: Duration) -> Self {
        Self {
            mean,
            state: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// The next, exponentially distributed, by way of Marsaglia's xorshift64.
    fn next(&mut self) -> Duration {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let unit = (self.state >> 11) as f64 / (1_u64 << 53) as f64;
        self.mean.mul_f64(-(1.0 - unit).ln())
    }
}

/// A thread with blocking sleeps, as tokio's timer ticks in milliseconds.
struct Sending {
    request: Vec<u8>,
    interval: Duration,
    writers: Vec<TcpStream>,
    waiting: Receiver<usize>,
    shared: Arc<Shared>,
}

impl Sending {
    /// Sends until told to stop, waits for the last answers, and closes the connections.
    fn run(mut self) -> io::Result<()> {
        let sent = self.send();
        for _ in 0..self.writers.len() {
            if self.waiting.recv_timeout(Duration::from_secs(5)).is_err() {
                break;
            }
        }
        for writer in &self.writers {
            // One that the peer has closed already is as closed as it shall be.
            drop(writer.shutdown(std::net::Shutdown::Both));
        }
        sent
    }

    fn send(&mut self) -> io::Result<()> {
        let mut due = Instant::now();
        let mut gaps = Gaps::of(self.interval);
        while !self.shared.stop.load(Relaxed) {
            due += gaps.next();
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let Ok(connection) = self.waiting.try_recv() else {
                return Err(io::Error::other(format!(
                    "does not keep up with a request every {:?} on average: all {} connections were in use",
                    self.interval,
                    self.writers.len()
                )));
            };
            self.shared.sent[connection].store(chat::now_ns(), Relaxed);
            self.writers[connection].write_all(&self.request)?;
        }
        Ok(())
    }
}
