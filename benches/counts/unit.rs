//! What is counted: units of work done one after the other, each begun only when the proxy has come to rest after the
//! one before, so that the machine's speed and other programs do not decide what falls together.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::chat::{self, Answer, Request};
use crate::support::clients::Clients;
use crate::support::cpu;
use crate::support::otlp::Receiver;
use crate::support::pacer::{Command, Pace};
use crate::support::process::{self, Process};
use crate::support::streamgauge;
use crate::support::upstream::Upstream;
use crate::support::wire::{self, bad};
use crate::tool::{Counts, Tool};

/// One thing whose cost is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A 1 KB chat request with one JSON answer, on a connection that stays.
    UnaryRequest,
    /// The same with a history of 20 messages.
    UnaryHistory,
    /// The same, where nobody asks for conversations.
    UnaryHistoryUnread,
    /// A chunk of a long stream that did not ask for usage, alone in its read.
    StreamedChunk,
}

/// All of them.
pub(crate) const UNITS: [Unit; 4] = [
    Unit::UnaryRequest,
    Unit::UnaryHistory,
    Unit::UnaryHistoryUnread,
    Unit::StreamedChunk,
];

impl Unit {
    /// Its name in the file of limits.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::UnaryRequest => "unary_request",
            Self::UnaryHistory => "unary_history",
            Self::UnaryHistoryUnread => "unary_history_unread",
            Self::StreamedChunk => "streamed_chunk",
        }
    }

    /// By how many units the long run is longer than the short one. Start and end of the proxy differ by some 200,000
    /// instructions from run to run: nothing to a thousand requests, but a fortieth of what a thousand chunks take.
    pub(crate) fn repeats(self) -> u32 {
        match self {
            Self::UnaryRequest | Self::UnaryHistory | Self::UnaryHistoryUnread => 1_000,
            Self::StreamedChunk => 5_000,
        }
    }
}

/// What the proxy does by the clock: a busy machine takes longer for a run, in which more of it would fall. An export of
/// metrics is 600 allocations, once a minute, and a run of 5,000 chunks takes one minute or three. So full batches of spans
/// are exported, of which a run has the same number whatever its time, and the rest and the metrics at its end.
const BY_THE_CLOCK: [&str; 2] = ["OTEL_METRIC_EXPORT_INTERVAL", "OTEL_BSP_SCHEDULE_DELAY"];
/// A day.
const NEVER_MS: &str = "86400000";

/// All that stands around the proxy.
pub(crate) struct Scene {
    /// Where it sends requests.
    pub(crate) upstream: Upstream,
    /// Where it pushes telemetry.
    pub(crate) collector: Receiver,
    /// Where files may be put.
    pub(crate) folder: PathBuf,
}

impl Scene {
    /// What a proxy takes from its start to its end that does so many units in between.
    ///
    /// # Errors
    ///
    /// The tool is not installed, the proxy does not start, or it fails a call.
    pub(crate) fn run(&self, unit: Unit, units: u32, tool: Tool) -> io::Result<Counts> {
        let file = self.folder.join("counts");
        let listen = process::free_address()?;
        let mut command = streamgauge::command(
            listen,
            process::free_address()?,
            &format!("http://{}", self.upstream.address),
            self.collector.address,
        );
        if unit == Unit::UnaryHistoryUnread {
            command.env("STREAMGAUGE_CONVERSATIONS_ENABLED", "false");
        }
        for variable in BY_THE_CLOCK {
            command.env(variable, NEVER_MS);
        }
        // On one core there is one worker thread, and no question of which of them wakes which.
        let command = process::on_cores(tool.wrap(&command, &file), 1);
        let mut proxy = Process::start(command, listen, &self.folder.join("log"))?;
        // strace stands before the proxy; valgrind and taskset become it.
        let process = proxy
            .family()
            .last()
            .copied()
            .ok_or_else(|| bad("the proxy has no process"))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            match unit {
                Unit::UnaryRequest => unary(listen, process, units, 0).await,
                Unit::UnaryHistory | Unit::UnaryHistoryUnread => {
                    unary(listen, process, units, HISTORY).await
                }
                Unit::StreamedChunk => self.chunks(listen, process, units).await,
            }
        })?;
        proxy.end(process)?;
        tool.read(&file)
    }

    /// One stream with so many chunks.
    async fn chunks(&self, address: SocketAddr, process: u32, chunks: u32) -> io::Result<()> {
        let tell = |command| {
            let told = self.upstream.pacer.send(command);
            told.map_err(|_| bad("the pacer has ended"))
        };
        tell(Command::Pace(Pace::ON_DEMAND))?;
        let mut clients = Clients::start(address, Request::new(Answer::Paced), 1).await;
        // There is nobody to send the first one to until the request has passed the proxy.
        tell(Command::Chunk)?;
        while !clients.received(1, Duration::from_millis(200)).await? {
            tell(Command::Chunk)?;
        }
        // On a slow machine more than one was on its way before the first was there.
        rest(process).await;
        let begun = clients.counts.chunks.load(Relaxed);
        for sent in begun + 1..=u64::from(chunks) {
            rest(process).await;
            tell(Command::Chunk)?;
            if !clients.received(sent, Duration::from_secs(10)).await? {
                return Err(bad("a chunk did not arrive within 10 s"));
            }
        }
        tell(Command::End)?;
        clients.stop().await.map(drop)
    }
}

/// Messages of a history before the last.
const HISTORY: usize = 20;

/// So many requests on one connection, with so many messages before the last.
async fn unary(address: SocketAddr, process: u32, calls: u32, history: usize) -> io::Result<()> {
    let request = Request::new(Answer::Unary).with_history(history);
    let request = request.bytes(&address.to_string());
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 16 * 1024];
    for _ in 0..calls {
        let mut answer = Vec::new();
        stream.write_all(&request).await?;
        let data = |data: &[u8]| {
            answer.extend_from_slice(data);
            Ok(())
        };
        wire::read_message(&mut stream, &mut buffer, |_| Ok(()), data).await?;
        if answer != chat::COMPLETION.as_bytes() {
            return Err(bad("the answer is not what the upstream sent"));
        }
        rest(process).await;
    }
    Ok(())
}

/// Waits until the proxy waits for the next unit: an answer is out before the telemetry about it is done.
///
/// The observer too sleeps for 2 ms before it looks, and would find two units at once where the second came meanwhile; so
/// one idle moment is not enough.
async fn rest(process: u32) {
    /// Moments at which it must be idle, one after the other, a millisecond apart or more.
    const IDLE: usize = 5;
    /// Then something else keeps it busy, and the count tells.
    const AT_MOST: usize = 1000;
    let mut idle = 0;
    for _ in 0..AT_MOST {
        idle = if cpu::is_idle(process) { idle + 1 } else { 0 };
        if idle == IDLE {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
