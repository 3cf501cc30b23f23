//! One run: a case against a freshly started peer, and the figures that come of it.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::link::{ClientSide, Link};
use crate::open_loop::{self, Rate};
use crate::peers::Running;
use crate::series::{self, Scraper};
use crate::support::chat::{Answer, Request};
use crate::support::clients::Clients;
use crate::support::cpu::{self, Cpu};
use crate::support::figure;
use crate::support::pacer::{Command, Pace};
use crate::support::process::Process;
use crate::support::wire::bad;
use crate::watch::Watcher;
use crate::work::{self, Case, Extent, Figures, Work};

const BURSTS: Pace = Pace {
    burst: 10,
    ..Pace::EVEN
};
const IDLE: Pace = Pace {
    interval: Duration::from_secs(1),
    burst: 1,
};
/// Long enough for the cost of a chunk to outweigh that of a request.
const CHUNKS: u64 = 1024;
/// Most chunks a second over all paced streams: what two cores can do with the least able of the quick peers.
const MOST_CHUNKS: u32 = 10_000;

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
    pub(crate) calls: Cell<u64>,
}

impl Run<'_> {
    /// Does the work.
    ///
    /// # Errors
    ///
    /// The peer fails a call, or what a client received is not what the upstream sent.
    pub(crate) async fn figures(&self, case: Case) -> io::Result<Figures> {
        let chunks = self.request(Answer::Unpaced(CHUNKS));
        let prompt = self.request(Answer::Unpaced(8)).with_prompt(1_000_000);
        match case.work {
            Work::Unary => {
                let seen = self.closed_loop(self.request(Answer::Unary), 32).await?;
                Ok(seen.figures("unary requests/s", work::CPU_UNARY, seen.calls))
            }
            Work::Differing => {
                let request = self.request(Answer::Unary).differing();
                let seen = self.closed_loop(request, 32).await?;
                Ok(seen.figures(
                    "differing unary requests/s",
                    work::CPU_DIFFERING,
                    seen.calls,
                ))
            }
            Work::Unpaced => {
                let seen = self.closed_loop(chunks, 8).await?;
                Ok(seen.figures("unpaced chunks/s", work::CPU_UNPACED, seen.chunks))
            }
            Work::Asked => {
                let seen = self.closed_loop(chunks.asking_usage(), 8).await?;
                Ok(seen.figures(
                    "chunks/s, usage asked",
                    "CPU per unpaced chunk, usage asked, µs",
                    seen.chunks,
                ))
            }
            Work::Prompt => {
                let seen = self.closed_loop(prompt, 4).await?;
                Ok(seen.figures("1 MB prompts/s", work::CPU_PROMPT, seen.calls))
            }
            Work::Ttft => {
                let names = [work::TTFT_P50, work::TTFT_P99];
                self.ttft(Rate::OFTEN, names).await
            }
            Work::Rare => {
                let names = [work::RARE_P50, work::RARE_P99];
                self.ttft(Rate::RARE, names).await
            }
            Work::Paced => {
                let paced = self.paced(Pace::EVEN, case.streams).await?;
                let mut figures =
                    paced
                        .seen
                        .figures("paced chunks/s", work::CPU_PACED, paced.seen.chunks);
                figures.push((work::DELAY_P50.to_owned(), paced.delay(500)));
                figures.push((work::DELAY_P99.to_owned(), paced.delay(990)));
                Ok(figures)
            }
            Work::Bursts => {
                let seen = self.paced(BURSTS, case.streams).await?.seen;
                Ok(seen.figures("chunks/s in bursts of 10", work::CPU_BURSTS, seen.chunks))
            }
            Work::Memory => self.memory(case.streams).await,
            Work::Start => self.start().await,
            Work::Scale => self.scale(case).await,
            Work::Series => self.series(case.streams).await,
            Work::Watched => self.watched(case.streams).await,
        }
    }

    fn request(&self, answer: Answer) -> Request {
        Request {
            restated: self.peer.manner.restates,
            ..Request::new(answer)
        }
    }

    /// So many clients, speaking what the link says.
    async fn clients(&self, request: Request, clients: usize) -> io::Result<Clients> {
        let address = self.peer.address;
        let tls = match self.link.client() {
            ClientSide::Http1 => return Ok(Clients::start(address, request, clients).await),
            ClientSide::Http2 => None,
            ClientSide::Http2Tls => Some(&self.tls),
        };
        Clients::start_http2(address, tls, request, clients).await
    }

    async fn closed_loop(&self, request: Request, clients: usize) -> io::Result<Seen> {
        let clients = self.clients(request, clients).await?;
        tokio::time::sleep(self.extent.warm_up).await;
        let seen = self.window(&clients).await;
        self.calls.set(self.calls.get() + clients.stop().await?);
        Ok(seen)
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

    async fn ttft(&self, rate: Rate, [p50, p99]: [&str; 2]) -> io::Result<Figures> {
        let request = self.request(Answer::Unpaced(8));
        let sorted = open_loop::first_tokens(self.peer.address, request, rate, self.extent).await?;
        let figure = |name: &str, per_mille| {
            let time = micros(figure::per_mille(&sorted, per_mille));
            (name.to_owned(), time)
        };
        Ok(vec![figure(p50, 500), figure(p99, 990)])
    }

    async fn paced(&self, pace: Pace, streams: usize) -> io::Result<Paced> {
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

    async fn memory(&self, streams: usize) -> io::Result<Figures> {
        if self.peer.process.is_none() {
            return Ok(Vec::new());
        }
        let before = self.resident_after_calls().await?;
        let clients = self.open(IDLE, streams).await?;
        tokio::time::sleep(2 * IDLE.interval).await;
        let growth = self.resident_bytes().saturating_sub(before);
        self.close(clients).await?;
        Ok(vec![(
            work::memory_per_stream(streams),
            kib(growth, streams),
        )])
    }

    /// Time to the first byte of a response, the start of the process included, and the memory held when at rest then.
    async fn start(&self) -> io::Result<Figures> {
        /// Until a router has found its upstream well.
        const PATIENCE: Duration = Duration::from_secs(120);
        let Some(Process {
            started, start_up, ..
        }) = &self.peer.process
        else {
            return Ok(Vec::new());
        };
        while !self.serves().await? {
            if started.elapsed() > PATIENCE {
                return Err(io::Error::other("serves nothing after 120 s"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let first_byte = started.elapsed();
        tokio::time::sleep(self.extent.warm_up).await;
        Ok(vec![
            ("start until it listens, ms".to_owned(), millis(*start_up)),
            (work::FIRST_BYTE.to_owned(), millis(first_byte)),
            (
                work::MEMORY_IDLE.to_owned(),
                self.resident_bytes() as f64 / f64::from(1 << 20),
            ),
        ])
    }

    /// Whether a request is answered with 200; returns with the first bytes of the answer.
    async fn serves(&self) -> io::Result<bool> {
        let address = self.peer.address;
        let mut stream = TcpStream::connect(address).await?;
        let request = self.request(Answer::Unary).bytes(&address.to_string());
        stream.write_all(&request).await?;
        let mut first = [0; 64];
        let read = stream.read(&mut first).await?;
        Ok(first[..read].starts_with(b"HTTP/1.1 200 "))
    }

    /// What many streams cost: a chunk every 20 ms each, or as many a second over all as two cores can do.
    async fn scale(&self, Case { streams, cores, .. }: Case) -> io::Result<Figures> {
        let many = u32::try_from(streams).unwrap_or(u32::MAX);
        let pace = Pace {
            interval: Pace::EVEN
                .interval
                .max(Duration::from_secs(1) * many / MOST_CHUNKS),
            ..Pace::EVEN
        };
        let before = self.resident_after_calls().await?;
        let paced = self.paced(pace, streams).await?;
        let growth = paced.resident_bytes.saturating_sub(before);
        let mut figures = vec![
            ("delay p50, µs", paced.delay(500)),
            ("delay p99, µs", paced.delay(990)),
        ];
        if let Some(cpu) = paced.seen.cpu_micros(paced.seen.chunks) {
            figures.push((work::CPU_SCALED, cpu));
            figures.push(("memory per stream, KiB", kib(growth, streams)));
        }
        let named = |(name, value)| (work::scaled(name, streams, cores), value);
        Ok(figures.into_iter().map(named).collect())
    }

    /// The same streams with few series and without a scraper, then with many and one.
    async fn series(&self, streams: usize) -> io::Result<Figures> {
        if !self.peer.manner.has_metrics {
            return Ok(Vec::new());
        }
        let mut figures = self.paced_figures("few series", streams).await?;
        let found = series::make(self.peer.address, self.peer.admin).await?;
        let scraper = Scraper::start(self.peer.admin)?;
        figures.extend(self.paced_figures("many series, scraped", streams).await?);
        let scrape = scraper.stop()?;
        figures.push(("series on /metrics".to_owned(), found as f64));
        figures.push(("one scrape of them, ms".to_owned(), millis(scrape)));
        Ok(figures)
    }

    /// The same streams while nobody looks, and then while the live page is open.
    async fn watched(&self, streams: usize) -> io::Result<Figures> {
        if !self.peer.manner.has_metrics {
            return Ok(Vec::new());
        }
        let mut figures = self.paced_figures("page closed", streams).await?;
        let watcher = Watcher::start(self.peer.admin)?;
        let open = self.paced_figures("page open", streams).await?;
        let bytes = watcher.stop()?;
        let times = open
            .iter()
            .zip(&figures)
            .map(|((name, open), (_, closed))| {
                (
                    name.replace("page open", "page open, × closed")
                        .replace(", µs", ""),
                    open / closed,
                )
            });
        let times: Figures = times.collect();
        figures.extend(open);
        figures.extend(times);
        figures.push(("events to the page, KiB".to_owned(), bytes as f64 / 1024.0));
        Ok(figures)
    }

    async fn paced_figures(&self, of: &str, streams: usize) -> io::Result<Figures> {
        let paced = self.paced(Pace::EVEN, streams).await?;
        let cpu = paced.seen.cpu_micros(paced.seen.chunks).unwrap_or_default();
        Ok(vec![
            (format!("{of}: {}", work::CPU_PACED), cpu),
            (format!("{of}: {}", work::DELAY_P50), paced.delay(500)),
            (format!("{of}: {}", work::DELAY_P99), paced.delay(990)),
        ])
    }

    /// Code and buffers that the first calls bring in belong to no stream.
    async fn resident_after_calls(&self) -> io::Result<u64> {
        // A peer may listen before all its processes are there.
        tokio::time::sleep(self.extent.warm_up).await;
        self.closed_loop(self.request(Answer::Unary), 4).await?;
        Ok(self.resident_bytes())
    }

    fn resident_bytes(&self) -> u64 {
        cpu::resident_bytes(&self.peer.processes())
    }

    async fn open(&self, pace: Pace, streams: usize) -> io::Result<Clients> {
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

    async fn close(&self, clients: Clients) -> io::Result<()> {
        self.pacer
            .send(Command::End)
            .map_err(|_| bad("the pacer has ended"))?;
        self.calls.set(self.calls.get() + clients.stop().await?);
        Ok(())
    }
}

/// What happened on paced streams.
struct Paced {
    seen: Seen,
    /// In order of size.
    delays: Vec<u64>,
    /// While they were open.
    resident_bytes: u64,
}

impl Paced {
    /// The delay below which so many per mille of the chunks lie, in microseconds.
    fn delay(&self, per_mille: usize) -> f64 {
        micros(figure::per_mille(&self.delays, per_mille))
    }
}

/// What happened in the time that was measured.
struct Seen {
    seconds: f64,
    calls: u64,
    chunks: u64,
    cpu_ns: Option<u64>,
}

impl Seen {
    /// So many units a second, and the CPU time of each.
    fn figures(&self, rate: &str, cost: &str, units: u64) -> Figures {
        let mut figures = vec![(rate.to_owned(), units as f64 / self.seconds)];
        figures.extend(self.cpu_micros(units).map(|cpu| (cost.to_owned(), cpu)));
        figures
    }

    /// The CPU time of each of so many units; `None` without a process, or without a unit.
    fn cpu_micros(&self, units: u64) -> Option<f64> {
        let ns = self.cpu_ns.filter(|_| units > 0)?;
        Some(ns as f64 / 1000.0 / units as f64)
    }
}

fn micros(ns: u64) -> f64 {
    ns as f64 / 1000.0
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn kib(bytes: u64, streams: usize) -> f64 {
    bytes as f64 / 1024.0 / streams as f64
}
