//! The load: many clients at once, each reading what it gets to the last byte and comparing it with what was sent.

mod http2;
pub(crate) mod single;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use memchr::memmem;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::chat::{self, Answer, Request};
use super::wire::{self, bad};

/// What all clients of one run share.
#[derive(Default)]
pub(crate) struct Counts {
    /// Calls that ended well.
    pub(crate) calls: AtomicU64,
    /// Chunks received.
    pub(crate) chunks: AtomicU64,
    /// Streams that have received a chunk.
    pub(crate) open: AtomicU64,
    /// No further calls.
    pub(crate) stop: AtomicBool,
    /// Whether delays are noted.
    pub(crate) noting: AtomicBool,
    /// From the upstream's write to the client's read, in nanoseconds.
    delays: Mutex<Vec<u64>>,
}

impl Counts {
    /// The noted delays, in order of size.
    pub(crate) fn sorted_delays(&self) -> Vec<u64> {
        let mut delays =
            std::mem::take(&mut *self.delays.lock().unwrap_or_else(PoisonError::into_inner));
        delays.sort_unstable();
        delays
    }
}

/// The clients of one run.
pub(crate) struct Clients {
    /// What they have done so far.
    pub(crate) counts: Arc<Counts>,
    running: JoinSet<io::Result<()>>,
}

impl Clients {
    /// So many clients that send the same request again and again, until told to stop.
    pub(crate) async fn start(address: SocketAddr, request: Request, clients: usize) -> Self {
        /// Clients that connect at once: fewer than any listener's backlog.
        const BATCH: usize = 100;
        let counts = Arc::new(Counts::default());
        let bytes: Arc<[u8]> = request.bytes(&address.to_string()).into();
        let mut running = JoinSet::new();
        for client in 0..clients {
            if client % BATCH == BATCH - 1 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let (counts, bytes) = (Arc::clone(&counts), Arc::clone(&bytes));
            running.spawn(async move { calls(address, request, &bytes, &counts).await });
        }
        Self { counts, running }
    }

    /// Waits until every one of so many streams has received a chunk.
    ///
    /// # Errors
    ///
    /// A client has failed, or it takes longer than ten seconds and one more for each 500 streams.
    pub(crate) async fn opened(&mut self, streams: u64) -> io::Result<()> {
        let patience = Duration::from_secs(10 + streams / 500);
        let began = Instant::now();
        while began.elapsed() < patience {
            if self.counts.open.load(Relaxed) >= streams {
                return Ok(());
            }
            if let Some(ended) = self.running.try_join_next() {
                ended??;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(io::Error::other(format!(
            "only {} of {streams} streams opened in {patience:?}",
            self.counts.open.load(Relaxed)
        )))
    }

    /// Waits until so many calls have ended.
    ///
    /// # Errors
    ///
    /// A client has failed, or it takes longer than it may.
    pub(crate) async fn called(&mut self, calls: u64, at_most: Duration) -> io::Result<()> {
        let began = Instant::now();
        while self.counts.calls.load(Relaxed) < calls {
            if let Some(ended) = self.running.try_join_next() {
                ended??;
            }
            if began.elapsed() > at_most {
                return Err(io::Error::other(format!(
                    "only {} of {calls} calls ended in {at_most:?}",
                    self.counts.calls.load(Relaxed)
                )));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// Waits until so many chunks have come; false where that takes longer than it may.
    ///
    /// # Errors
    ///
    /// A client has ended.
    pub(crate) async fn received(&mut self, chunks: u64, at_most: Duration) -> io::Result<bool> {
        let began = Instant::now();
        while self.counts.chunks.load(Relaxed) < chunks {
            if let Some(ended) = self.running.try_join_next() {
                ended??;
                return Err(bad("a client ended before it had all its chunks"));
            }
            if began.elapsed() > at_most {
                return Ok(false);
            }
            tokio::task::yield_now().await;
        }
        Ok(true)
    }

    /// Tells all to stop and waits for them; the calls that they made.
    ///
    /// # Errors
    ///
    /// What the first of them that failed has met.
    pub(crate) async fn stop(mut self) -> io::Result<u64> {
        self.counts.stop.store(true, Relaxed);
        while let Some(ended) = self.running.join_next().await {
            ended??;
        }
        Ok(self.counts.calls.load(Relaxed))
    }
}

/// One client on one connection.
async fn calls(
    address: SocketAddr,
    request: Request,
    bytes: &[u8],
    counts: &Counts,
) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 16 * 1024];
    let mut opened = false;
    let mut bytes = bytes.to_vec();
    while !counts.stop.load(Relaxed) {
        request.differ(&mut bytes);
        stream.write_all(&bytes).await?;
        let arrived = |_| {
            if !opened {
                opened = true;
                counts.open.fetch_add(1, Relaxed);
            }
        };
        if !answer(&mut stream, &mut buffer, request, counts, arrived).await? {
            return Err(bad("the connection closed before the answer"));
        }
        if request.answer == Answer::Paced {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads one answer to its end and compares it with what was sent; false where the connection closed before it began.
/// Of each read that brings chunks, `arrived` is told how many were there before.
///
/// # Errors
///
/// The connection's, an answer that is not 200, or one that is not what the upstream sent.
pub(crate) async fn answer(
    stream: &mut TcpStream,
    buffer: &mut [u8],
    request: Request,
    counts: &Counts,
    mut arrived: impl FnMut(u64),
) -> io::Result<bool> {
    let mut reading = Reading::new(request);
    let head = |head: &[u8]| {
        if head.starts_with(b"HTTP/1.1 200 ") {
            Ok(())
        } else {
            Err(refused(head))
        }
    };
    let data = |data: &[u8]| {
        reading.data(data, counts, &mut arrived);
        Ok(())
    };
    if !wire::read_message(stream, buffer, head, data).await? {
        return Ok(false);
    }
    reading.end(counts)?;
    Ok(true)
}

fn refused(head: &[u8]) -> io::Error {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    io::Error::other(format!("answered with {}", String::from_utf8_lossy(line)))
}

/// One answer as it is read, framing taken off.
struct Reading {
    request: Request,
    chunks: u64,
    /// All that is neither a chunk of text nor part of one.
    text: Vec<u8>,
    /// The beginning of an event whose end has not come yet.
    partial: Vec<u8>,
}

impl Reading {
    fn new(request: Request) -> Self {
        Self {
            request,
            chunks: 0,
            text: Vec::new(),
            partial: Vec::new(),
        }
    }

    /// Takes the next piece of it; where there is a chunk in it, says how many were there before.
    fn data(&mut self, data: &[u8], counts: &Counts, arrived: impl FnOnce(u64)) {
        let chunks = self.chunks;
        match self.request.answer {
            Answer::Unary => self.text.extend_from_slice(data),
            _ => self.events(data, counts),
        }
        counts.chunks.fetch_add(self.chunks - chunks, Relaxed);
        if self.chunks > chunks {
            arrived(chunks);
        }
    }

    /// Compares it with what was sent, and counts it.
    fn end(self, counts: &Counts) -> io::Result<()> {
        self.check()?;
        counts.calls.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Takes the next piece of a stream.
    fn events(&mut self, data: &[u8], counts: &Counts) {
        let now = counts.noting.load(Relaxed).then(chat::now_ns);
        let mut delays = Vec::new();
        let joined;
        let mut rest = data;
        if !self.partial.is_empty() {
            joined = [std::mem::take(&mut self.partial).as_slice(), data].concat();
            rest = &joined;
        }
        while let Some(end) = memmem::find(rest, b"\n\n") {
            let (event, after) = rest.split_at(end + 2);
            rest = after;
            let stamped = match chat::stamped(event) {
                None if self.request.restated => chat::stamped_anywhere(event),
                stamped => stamped,
            };
            match stamped {
                Some(sent) => {
                    self.chunks += 1;
                    delays.extend(now.map(|now| now.saturating_sub(sent)));
                }
                None => self.text.extend_from_slice(event),
            }
        }
        self.partial.extend_from_slice(rest);
        if !delays.is_empty() {
            counts
                .delays
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .append(&mut delays);
        }
    }

    /// Whether these were, byte for byte, what the client would have seen without a proxy.
    fn check(&self) -> io::Result<()> {
        let request = self.request;
        let usage = if request.asks_usage { chat::USAGE } else { "" };
        let expected = match request.answer {
            Answer::Unary => chat::COMPLETION.to_owned(),
            _ => [chat::ROLE, chat::FINISH, usage, chat::DONE].concat(),
        };
        let complete = match request.answer {
            Answer::Unpaced(chunks) | Answer::Timed(chunks) => chunks == self.chunks,
            Answer::Unary | Answer::Paced => true,
        };
        let same = if request.restated {
            request.answer == Answer::Unary || self.text.ends_with(chat::DONE.as_bytes())
        } else {
            self.text == expected.as_bytes()
        };
        if complete && self.partial.is_empty() && same {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&self.text);
        Err(io::Error::other(format!(
            "the answer is not what the upstream sent: {} chunks and {text:?}",
            self.chunks
        )))
    }
}
