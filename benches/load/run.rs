//! One run of a work against a freshly started peer: what works have in common.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::peers::Running;
use crate::support::chat::{Answer, Request};
use crate::support::clients::Clients;
use crate::support::cpu::{self, Cpu};
use crate::support::figure;
use crate::support::link::{ClientSide, Link};
use crate::support::pacer::{Command, Pace};
use crate::support::wire::bad;
use crate::works::{Extent, Figures};

/// One run of a case against a peer that has just been started.
pub(crate) struct Run<'a> {
    /// The peer.
    pub(crate) peer: &'a Running,
    /// What is spoken on either side of it.
    pub(crate) link: Link,
    /// How clients speak TLS with it, where they do.
    pub(crate) tls: Arc<ClientConfig>,
    /// The upstream's pacer.
    pub(crate) pacer: &'a Sender<Command>,
    /// How much.
    pub(crate) extent: &'a Extent,
    /// Calls that have ended so far, measured or not.
    pub(crate) ended: Cell<u64>,
}

impl Run<'_> {
    /// The usual request, as this peer can answer it.
    pub(crate) fn request(&self, answer: Answer) -> Request {
        Request {
            restated: self.peer.manner.restates,
            asks_in_body: self.peer.manner.drops_headers,
            ..Request::new(answer)
        }
    }

    /// Waits until a request is answered with 200, to the first bytes of the answer.
    ///
    /// # Errors
    ///
    /// It takes too long, or the peer takes no connection.
    pub(crate) async fn until_it_serves(&self) -> io::Result<()> {
        /// Until a router has found its upstream well.
        const PATIENCE: Duration = Duration::from_secs(120);
        let began = Instant::now();
        while !self.serves().await? {
            if began.elapsed() > PATIENCE {
                return Err(io::Error::other("serves nothing after 120 s"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// Whether a request is answered with 200.
    async fn serves(&self) -> io::Result<bool> {
        let address = self.peer.address;
        let mut stream = TcpStream::connect(address).await?;
        let request = self.request(Answer::Unary).bytes(&address.to_string());
        stream.write_all(&request).await?;
        let mut first = [0; 64];
        let read = stream.read(&mut first).await?;
        Ok(first[..read].starts_with(b"HTTP/1.1 200 "))
    }

    /// So many clients, speaking what the link says.
    pub(crate) async fn clients(&self, request: Request, clients: usize) -> io::Result<Clients> {
        let address = self.peer.address;
        let tls = match self.link.client() {
            ClientSide::Http1 => return Ok(Clients::start(address, request, clients).await),
            ClientSide::Http2 => None,
            ClientSide::Http2Tls => Some(&self.tls),
        };
        Clients::start_http2(address, tls, request, clients).await
    }

    /// So many clients, each sending the next request when the last one is answered.
    pub(crate) async fn closed_loop(&self, request: Request, clients: usize) -> io::Result<Seen> {
        let clients = self.clients(request, clients).await?;
        tokio::time::sleep(self.extent.warm_up).await;
        let seen = self.window(&clients).await;
        self.stop(clients).await?;
        Ok(seen)
    }

    /// So many calls or a few more, shared by clients that each send the next when the last is answered.
    pub(crate) async fn calls(
        &self,
        request: Request,
        clients: usize,
        calls: u64,
    ) -> io::Result<()> {
        /// Longer than LiteLLM takes.
        const PATIENCE: Duration = Duration::from_secs(120);
        let mut clients = self.clients(request, clients).await?;
        clients.called(calls, PATIENCE).await?;
        self.stop(clients).await
    }

    /// Lets clients finish what they are at.
    pub(crate) async fn stop(&self, clients: Clients) -> io::Result<()> {
        self.ended.set(self.ended.get() + clients.stop().await?);
        Ok(())
    }

    /// Notes what is done, and what it costs the peer, in the time that is measured.
    async fn window(&self, clients: &Clients) -> Seen {
        let counts = &clients.counts;
        let processes = self.peer.processes();
        let (cpu, calls, chunks) = (
            Cpu::of(&processes),
            counts.calls.load(Relaxed),
            counts.chunks.load(Relaxed),
        );
        let began = Instant::now();
        tokio::time::sleep(self.extent.window).await;
        Seen {
            seconds: began.elapsed().as_secs_f64(),
            calls: counts.calls.load(Relaxed) - calls,
            chunks: counts.chunks.load(Relaxed) - chunks,
            cpu_ns: (!processes.is_empty()).then(|| Cpu::of(&processes).since(&cpu)),
        }
    }

    /// So many streams at this pace.
    pub(crate) async fn paced(&self, pace: Pace, streams: usize) -> io::Result<Paced> {
        let clients = self.open(pace, streams).await?;
        tokio::time::sleep(self.extent.warm_up).await;
        clients.counts.noting.store(true, Relaxed);
        let seen = self.window(&clients).await;
        clients.counts.noting.store(false, Relaxed);
        let paced = Paced {
            seen,
            delays: clients.counts.sorted_delays(),
            resident_bytes: self.resident_bytes(),
        };
        self.close(clients).await?;
        Ok(paced)
    }

    /// Code and buffers that the first calls bring in belong to no stream.
    pub(crate) async fn resident_after_calls(&self) -> io::Result<u64> {
        // A peer may listen before all its processes are there.
        tokio::time::sleep(self.extent.warm_up).await;
        self.closed_loop(self.request(Answer::Unary), 4).await?;
        Ok(self.resident_bytes())
    }

    /// Resident memory at rest after the first call, as [`Start`](crate::works::start::Start) has it.
    pub(crate) async fn resident_at_rest(&self) -> io::Result<u64> {
        // A peer may listen before all its processes are there.
        tokio::time::sleep(self.extent.warm_up).await;
        self.calls(self.request(Answer::Unary), 1, 1).await?;
        tokio::time::sleep(self.extent.warm_up).await;
        Ok(self.resident_bytes())
    }

    /// Resident memory of all its processes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        cpu::resident_bytes(&self.peer.processes())
    }

    /// So many streams at this pace, each with its first chunk.
    pub(crate) async fn open(&self, pace: Pace, streams: usize) -> io::Result<Clients> {
        let pace = Pace {
            interval: pace.interval * self.peer.manner.slowed,
            ..pace
        };
        self.pacer
            .send(Command::Pace(pace))
            .map_err(|_| bad("the pacer has ended"))?;
        let request = self.request(Answer::Paced);
        let mut clients = self.clients(request, streams).await?;
        clients.opened(streams as u64).await?;
        Ok(clients)
    }

    /// Ends them.
    pub(crate) async fn close(&self, clients: Clients) -> io::Result<()> {
        self.pacer
            .send(Command::End)
            .map_err(|_| bad("the pacer has ended"))?;
        self.stop(clients).await
    }
}

/// What happened on paced streams.
pub(crate) struct Paced {
    /// In the time that was measured.
    pub(crate) seen: Seen,
    /// In order of size.
    delays: Vec<u64>,
    /// While they were open.
    pub(crate) resident_bytes: u64,
}

impl Paced {
    /// The delay below which so many per mille of the chunks lie, in microseconds.
    pub(crate) fn delay(&self, per_mille: usize) -> f64 {
        micros(figure::per_mille(&self.delays, per_mille))
    }
}

/// What happened in the time that was measured.
pub(crate) struct Seen {
    seconds: f64,
    /// Calls that ended.
    pub(crate) calls: u64,
    /// Chunks that came.
    pub(crate) chunks: u64,
    cpu_ns: Option<u64>,
}

impl Seen {
    /// So many units a second, and the CPU time of each.
    pub(crate) fn figures(&self, rate: &str, cost: &str, units: u64) -> Figures {
        let mut figures = vec![(rate.to_owned(), units as f64 / self.seconds)];
        figures.extend(self.cpu_micros(units).map(|cpu| (cost.to_owned(), cpu)));
        figures
    }

    /// The CPU time of each of so many units; `None` without a process, or without a unit.
    pub(crate) fn cpu_micros(&self, units: u64) -> Option<f64> {
        let ns = self.cpu_ns.filter(|_| units > 0)?;
        Some(ns as f64 / 1000.0 / units as f64)
    }
}

/// The p50 and the p99 of times in order of size, by these names.
pub(crate) fn percentiles(names: &[&str], sorted: &[u64]) -> Figures {
    let figure = |(name, per_mille): (&&str, _)| {
        let time = micros(figure::per_mille(sorted, per_mille));
        ((*name).to_owned(), time)
    };
    names.iter().zip([500, 990]).map(figure).collect()
}

/// Nanoseconds as microseconds.
pub(crate) fn micros(ns: u64) -> f64 {
    ns as f64 / 1000.0
}

/// A time in milliseconds.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Each stream's part of so many bytes, in KiB.
pub(crate) fn kib(bytes: u64, streams: usize) -> f64 {
    bytes as f64 / 1024.0 / streams as f64
}

/// Bytes as MiB.
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
