//! Sends the chunks of paced streams, evenly spread (with 200 streams at 20 ms one chunk leaves every 100 µs) or in
//! bursts, as a server sends them that batches its streams.
//!
//! A thread with blocking sleeps, because tokio's timer has a resolution of 1 ms and would always send in bursts, which
//! a proxy passes on more cheaply than chunks that come one by one.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use super::chat;
use super::paced::Paced;

/// A longer wait than this can be ended by a command.
const LONG_WAIT: Duration = Duration::from_millis(25);

/// What the pacer can be told.
pub(crate) enum Command {
    /// One more stream, whose beginning was sent; whether it ends with a usage event.
    Add {
        /// Where its chunks go.
        stream: Paced,
        /// Whether its client asked for usage.
        usage: bool,
    },
    /// From now on another pace.
    Pace(Pace),
    /// Send one chunk to every stream now.
    Chunk,
    /// Send the end of every stream.
    End,
}

/// How chunks follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The time between two chunks of one stream.
    pub(crate) interval: Duration,
    /// Streams that get their chunk at the same time.
    pub(crate) burst: u32,
}

impl Pace {
    /// A chunk every 20 ms on each stream, evenly spread over the streams: 50 a second, as fast as people read and more.
    pub(crate) const EVEN: Self = Self {
        interval: Duration::from_millis(20),
        burst: 1,
    };

    /// No chunk but those asked for by [`Command::Chunk`].
    pub(crate) const ON_DEMAND: Self = Self {
        interval: Duration::ZERO,
        burst: 0,
    };
}

/// Starts the thread; it ends with the last sender.
///
/// # Errors
///
/// The thread could not be started.
pub(crate) fn start() -> io::Result<Sender<Command>> {
    let (sender, commands) = mpsc::channel();
    let mut pacer = Pacer {
        streams: Vec::new(),
        pace: Pace::EVEN,
        chunk: chat::http_chunk(chat::CHUNK),
    };
    std::thread::Builder::new()
        .name("pacer".to_owned())
        .spawn(move || pacer.run(&commands))?;
    Ok(sender)
}

struct Pacer {
    streams: Vec<(Paced, bool)>,
    pace: Pace,
    chunk: Vec<u8>,
}

impl Pacer {
    fn run(&mut self, commands: &Receiver<Command>) {
        let mut due = Instant::now();
        let mut turn = 0;
        loop {
            while let Ok(command) = commands.try_recv() {
                self.obey(command);
            }
            let Some(wait) = self.between_bursts() else {
                let Ok(command) = commands.recv() else { return };
                self.obey(command);
                due = Instant::now();
                continue;
            };
            due += wait;
            match due.checked_duration_since(Instant::now()) {
                // Nobody shall wait for a slow pace to end.
                Some(wait) if wait > LONG_WAIT => {
                    if let Ok(command) = commands.recv_timeout(wait) {
                        self.obey(command);
                        due = Instant::now();
                        continue;
                    }
                }
                Some(wait) => std::thread::sleep(wait),
                // Too far behind to catch up without a burst.
                None if due.elapsed() > self.pace.interval => due = Instant::now(),
                None => {}
            }
            for _ in 0..self.pace.burst {
                turn += 1;
                self.send(turn);
            }
        }
    }

    /// `None` without streams, and where only demand makes a chunk.
    fn between_bursts(&self) -> Option<Duration> {
        if self.pace.burst == 0 {
            return None;
        }
        let streams = u32::try_from(self.streams.len()).ok()?;
        Some(self.pace.interval.checked_div(streams)? * self.pace.burst)
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Add { stream, usage } => self.streams.push((stream, usage)),
            Command::Pace(pace) => self.pace = pace,
            Command::Chunk => (0..self.streams.len()).for_each(|turn| self.send(turn)),
            Command::End => {
                for (stream, usage) in self.streams.drain(..) {
                    stream.end(usage);
                }
            }
        }
    }

    /// One chunk to the stream whose turn it is.
    fn send(&mut self, turn: usize) {
        let Some(turn) = turn.checked_rem(self.streams.len()) else {
            return;
        };
        chat::stamp_framed(&mut self.chunk);
        if self.streams[turn].0.send(&self.chunk).is_err() {
            drop(self.streams.swap_remove(turn));
        }
    }
}
