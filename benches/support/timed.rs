//! Streams that each keep a time of their own: so many chunks, one every so often from the first on, then the end. Those of
//! [`super::pacer`] share one pace and last until they are told to end.
//!
//! A thread with blocking sleeps, as there.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::chat;
use super::paced::Paced;

/// Between two chunks of a stream: 50 a second, as fast as people read and more.
const INTERVAL: Duration = Duration::from_millis(20);

/// A stream whose first chunk was just sent.
pub(crate) struct Timed {
    /// Where its chunks go.
    pub(crate) stream: Paced,
    /// How many are left.
    pub(crate) chunks: u64,
    /// Whether it ends with a usage event.
    pub(crate) usage: bool,
    /// Is dropped after the end.
    pub(crate) done: oneshot::Sender<()>,
}

/// Starts the thread; it ends with the last sender.
///
/// # Errors
///
/// The thread could not be started.
pub(crate) fn start() -> io::Result<Sender<Timed>> {
    let (sender, streams) = mpsc::channel();
    std::thread::Builder::new()
        .name("timed".to_owned())
        .spawn(move || run(&streams))?;
    Ok(sender)
}

fn run(new: &Receiver<Timed>) {
    let mut chunk = chat::http_chunk(chat::CHUNK);
    // By when their next chunk is due, with their place in the list.
    let mut due: BinaryHeap<Reverse<(Instant, usize)>> = BinaryHeap::new();
    let mut streams: Vec<Option<Timed>> = Vec::new();
    let mut free = Vec::new();
    loop {
        let come = match due.peek() {
            Some(Reverse((next, _))) => {
                new.recv_timeout(next.saturating_duration_since(Instant::now()))
            }
            None => new.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match come {
            Ok(stream) => {
                let place = free.pop().unwrap_or_else(|| {
                    streams.push(None);
                    streams.len() - 1
                });
                streams[place] = Some(stream);
                due.push(Reverse((Instant::now() + INTERVAL, place)));
            }
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let Some(Reverse((when, place))) = due.pop() else {
                    continue;
                };
                streams[place] = streams[place]
                    .take()
                    .and_then(|stream| stream.send(&mut chunk));
                if streams[place].is_some() {
                    due.push(Reverse((when + INTERVAL, place)));
                } else {
                    free.push(place);
                }
            }
        }
    }
}

impl Timed {
    /// Sends the next chunk, and the end after the last; what is left of the stream.
    fn send(mut self, chunk: &mut [u8]) -> Option<Self> {
        chat::stamp_framed(chunk);
        self.stream.send(chunk).ok()?;
        self.chunks = self.chunks.saturating_sub(1);
        if self.chunks > 0 {
            return Some(self);
        }
        let Self {
            stream,
            usage,
            done,
            ..
        } = self;
        stream.end(usage);
        drop(done);
        None
    }
}
