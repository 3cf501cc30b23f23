//! Requests that leave when they are due, whether or not earlier ones have been answered, on connections that are warm: the
//! times from each to its first token, between its frames, and to its end.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::support::chat::{self, Request};
use crate::support::clients::{self, Counts};
use crate::works::Extent;

/// How often requests leave, and how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// Between two requests, in the mean.
    pub(crate) interval: Duration,
    /// What the times between them are like.
    pub(crate) gaps: Gaps,
    /// From when a request's times are taken.
    pub(crate) from: From,
    /// Requests of one run at least: fewer would leave its p99 to a handful.
    pub(crate) requests: u32,
    /// Each serves the next request in turn, so that all of them stay warm; more than any peer that keeps up has in use.
    pub(crate) connections: usize,
}

/// The times between requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gaps {
    /// All the same.
    Even,
    /// Those of clients that know nothing of each other (a Poisson process), the same in every run.
    ///
    /// Even gaps could keep step with what a peer does at even times, which each request would then meet, or none.
    Random,
}

/// The beginning of a request's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// When it is written.
    Write,
    /// When it was due: where the sender itself cannot keep up, that counts too.
    Due,
}

/// The times of all requests while they were noted, each list in order of size, in nanoseconds.
#[derive(Default)]
pub(crate) struct Times {
    /// To the first token.
    pub(crate) first: Vec<u64>,
    /// Between two reads that brought chunks.
    pub(crate) between: Vec<u64>,
    /// To the end of the answer.
    pub(crate) whole: Vec<u64>,
    /// Whether there always was a free connection.
    pub(crate) kept_up: bool,
}

impl Times {
    /// The same, of a peer that kept up.
    ///
    /// # Errors
    ///
    /// It did not.
    pub(crate) fn of_one_that_kept_up(self, rate: Rate) -> io::Result<Self> {
        if self.kept_up {
            return Ok(self);
        }
        Err(io::Error::other(format!(
            "does not keep up with a request every {:?} on average: all {} connections were in use",
            rate.interval, rate.connections
        )))
    }

    fn sorted(mut self) -> Self {
        self.first.sort_unstable();
        self.between.sort_unstable();
        self.whole.sort_unstable();
        self
    }
}

/// What sender and readers share.
#[derive(Default)]
struct Shared {
    counts: Counts,
    stop: AtomicBool,
    /// All is answered, and the connections are closed: how a peer takes that is no failure.
    over: AtomicBool,
    /// No connection was free.
    behind: AtomicBool,
    fell_behind: Notify,
    /// When the times of the request under way on each connection began.
    began: Vec<AtomicU64>,
    times: Mutex<Times>,
}

impl Shared {
    /// Where times are noted now, notes them.
    fn note(&self, times: impl FnOnce(&mut Times)) {
        if self.counts.noting.load(Relaxed) {
            times(&mut self.times.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// The times of a run. It ends early where a peer does not keep up.
///
/// # Errors
///
/// A call fails.
pub(crate) async fn times(
    address: SocketAddr,
    request: Request,
    rate: Rate,
    extent: &Extent,
) -> io::Result<Times> {
    let shared = Arc::new(Shared {
        began: (0..rate.connections).map(|_| AtomicU64::new(0)).collect(),
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
        rate,
        writers,
        waiting,
        shared: Arc::clone(&shared),
    };
    let sending = thread::spawn(move || sender.run());
    let measured = async {
        tokio::time::sleep(extent.warm_up).await;
        shared.counts.noting.store(true, Relaxed);
        tokio::time::sleep(extent.window.max(rate.interval * rate.requests)).await;
    };
    tokio::select! {
        () = measured => {}
        () = shared.fell_behind.notified() => {}
    }
    shared.counts.noting.store(false, Relaxed);
    shared.stop.store(true, Relaxed);
    let mut read = Ok(());
    while let Some(ended) = readers.join_next().await {
        read = read.and(ended?);
    }
    match sending.join() {
        Ok(sent) => sent?,
        Err(_) => return Err(io::Error::other("the sender of requests panicked")),
    }
    let kept_up = !shared.behind.load(Relaxed);
    if kept_up {
        // Those who are cut off by the end of a run that fell behind have failed at nothing else.
        read?;
    }
    let times = std::mem::take(&mut *shared.times.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Times { kept_up, ..times }.sorted())
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
        let since_began = |now: u64| now.saturating_sub(shared.began[connection].load(Relaxed));
        let mut last = 0;
        let arrived = |before| {
            let now = chat::now_ns();
            shared.note(|times| match before {
                0 => times.first.push(since_began(now)),
                _ => times.between.push(now - last),
            });
            last = now;
        };
        let counts = &shared.counts;
        match clients::answer(&mut stream, &mut buffer, request, counts, arrived).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(_) if shared.over.load(Relaxed) => return Ok(()),
            Err(error) => return Err(error),
        }
        shared.note(|times| times.whole.push(since_began(chat::now_ns())));
        // Nobody takes it where the sender is about to close the connection.
        let _ = free.send(connection);
    }
}

/// Random numbers, the same in every run: Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    /// The next, evenly distributed from 0 to less than 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Rate {
    /// The time from one request to the next.
    fn gap(self, random: &mut Random) -> Duration {
        match self.gaps {
            Gaps::Even => self.interval,
            // Exponentially distributed.
            Gaps::Random => self.interval.mul_f64(-(1.0 - random.next()).ln()),
        }
    }
}

/// A thread with blocking sleeps, as tokio's timer ticks in milliseconds.
struct Sending {
    request: Vec<u8>,
    rate: Rate,
    writers: Vec<TcpStream>,
    waiting: Receiver<usize>,
    shared: Arc<Shared>,
}

impl Sending {
    /// Sends until told to stop, waits for the last answers, and closes the connections.
    fn run(mut self) -> io::Result<()> {
        let sent = self.send();
        let answered = (0..self.writers.len())
            .all(|_| self.waiting.recv_timeout(Duration::from_secs(5)).is_ok());
        self.shared.over.store(answered, Relaxed);
        for writer in &self.writers {
            // One that the peer has closed already is as closed as it shall be.
            drop(writer.shutdown(std::net::Shutdown::Both));
        }
        sent
    }

    fn send(&mut self) -> io::Result<()> {
        let mut due = Instant::now();
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        while !self.shared.stop.load(Relaxed) {
            due += self.rate.gap(&mut random);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let Ok(connection) = self.waiting.try_recv() else {
                self.shared.behind.store(true, Relaxed);
                self.shared.fell_behind.notify_one();
                return Ok(());
            };
            let late = match self.rate.from {
                From::Write => 0,
                From::Due => u64::try_from(due.elapsed().as_nanos()).unwrap_or(u64::MAX),
            };
            let began = chat::now_ns().saturating_sub(late);
            self.shared.began[connection].store(began, Relaxed);
            self.writers[connection].write_all(&self.request)?;
        }
        Ok(())
    }
}
