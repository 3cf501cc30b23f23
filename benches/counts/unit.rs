//! What is counted: units of work done one after the other, each begun only when the proxy has come to rest after the
//! one before, so that the machine's speed and other programs do not decide what falls together.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Sender;
use std::time::Duration;

use crate::support::chat::{Answer, Request};
use crate::support::clients::Clients;
use crate::support::clients::single::Single;
use crate::support::cpu;
use crate::support::link::{ClientSide, Link};
use crate::support::otlp::Receiver;
use crate::support::pacer::{Command, Pace};
use crate::support::process::{self, Process};
use crate::support::streamgauge::{self, Target};
use crate::support::upstreams::Upstreams;
use crate::support::wire::bad;
use crate::tool::{Counts, Tool};

/// One thing whose cost is counted.
#[derive(Clone, Copy)]
pub(crate) struct Unit {
    /// Its name in the file of limits.
    pub(crate) name: &'static str,
    work: Work,
    /// What is spoken on either side of the proxy.
    link: Link,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
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
pub(crate) const UNITS: [Unit; 7] = [
    Unit::of("unary_request", Work::UnaryRequest, Link::Plain),
    Unit::of("unary_history", Work::UnaryHistory, Link::Plain),
    Unit::of(
        "unary_history_unread",
        Work::UnaryHistoryUnread,
        Link::Plain,
    ),
    Unit::of("streamed_chunk", Work::StreamedChunk, Link::Plain),
    Unit::of("tls_unary_request", Work::UnaryRequest, Link::Tls),
    Unit::of("h2_unary_request", Work::UnaryRequest, Link::H2),
    Unit::of(
        "client_h2_unary_request",
        Work::UnaryRequest,
        Link::ClientH2,
    ),
];

impl Unit {
    const fn of(name: &'static str, work: Work, link: Link) -> Self {
        Self { name, work, link }
    }

    /// By how many units the long run is longer than the short one. Start and end of the proxy differ by some 200,000
    /// instructions from run to run: nothing to a thousand requests, but a fortieth of what a thousand chunks take.
    pub(crate) fn repeats(self) -> u32 {
        match self.work {
            Work::UnaryRequest | Work::UnaryHistory | Work::UnaryHistoryUnread => 1_000,
            Work::StreamedChunk => 5_000,
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
    pub(crate) upstreams: Upstreams,
    /// Where it pushes telemetry.
    pub(crate) collector: Receiver,
    /// Where files may be put.
    pub(crate) folder: PathBuf,
    /// Where the profiles of callgrind are left, if anywhere.
    pub(crate) profiles: Option<PathBuf>,
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
        let side = unit.link.upstream();
        let upstream = self.upstreams.of(side);
        let target = Target {
            address: upstream.address,
            side,
            certificate: &self.upstreams.certificate_file,
        };
        let admin = process::free_address()?;
        let mut command = streamgauge::command(listen, admin, &target, self.collector.address);
        if unit.work == Work::UnaryHistoryUnread {
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
        let run = Run {
            by_http2: match unit.link.client() {
                ClientSide::Http1 => false,
                ClientSide::Http2 => true,
                ClientSide::Http2Tls => return Err(bad("no unit has clients that speak TLS")),
            },
            address: listen,
            process,
            units,
        };
        let before = upstream.counts.came();
        runtime.block_on(async {
            match unit.work {
                Work::UnaryRequest => run.unary(0).await,
                Work::UnaryHistory | Work::UnaryHistoryUnread => run.unary(HISTORY).await,
                Work::StreamedChunk => run.chunks(&upstream.pacer).await,
            }
        })?;
        proxy.end(process)?;
        upstream.counts.came().since(before).by(unit.link, true)?;
        if let (Some(folder), Tool::Callgrind) = (&self.profiles, tool) {
            fs::copy(&file, folder.join(format!("{}.{units}", unit.name)))?;
        }
        tool.read(&file)
    }
}

/// Messages of a history before the last.
const HISTORY: usize = 20;

/// So many units for a proxy that has just been started.
struct Run {
    /// Whether the client speaks HTTP/2, by prior knowledge.
    by_http2: bool,
    /// Where the proxy listens.
    address: SocketAddr,
    process: u32,
    units: u32,
}

impl Run {
    /// Requests on one connection, with so many messages before the last.
    async fn unary(&self, history: usize) -> io::Result<()> {
        let request = Request::new(Answer::Unary).with_history(history);
        let mut client = match self.by_http2 {
            false => Single::http1(self.address, request).await?,
            true => Single::http2(self.address, request).await?,
        };
        for _ in 0..self.units {
            client.call().await?;
            rest(self.process).await;
        }
        Ok(())
    }

    /// One stream with so many chunks.
    async fn chunks(&self, pacer: &Sender<Command>) -> io::Result<()> {
        let tell = |command| {
            let told = pacer.send(command);
            told.map_err(|_| bad("the pacer has ended"))
        };
        tell(Command::Pace(Pace::ON_DEMAND))?;
        let request = Request::new(Answer::Paced);
        let mut clients = Clients::start(self.address, request, 1).await;
        // There is nobody to send the first one to until the request has passed the proxy.
        tell(Command::Chunk)?;
        while !clients.received(1, Duration::from_millis(200)).await? {
            tell(Command::Chunk)?;
        }
        // On a slow machine more than one was on its way before the first was there.
        rest(self.process).await;
        let begun = clients.counts.chunks.load(Relaxed);
        for sent in begun + 1..=u64::from(self.units) {
            rest(self.process).await;
            tell(Command::Chunk)?;
            if !clients.received(sent, Duration::from_secs(10)).await? {
                return Err(bad("a chunk did not arrive within 10 s"));
            }
        }
        tell(Command::End)?;
        clients.stop().await.map(drop)
    }
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
