//! Paced streams with few series of metrics and without a scraper, then while thousands are exported and scraped: made by
//! requests that name as many models, and scraped as Prometheus does.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Doing, Reach, Size, Work, paced};
use crate::run::{Run, millis};
use crate::support::chat::{Answer, Request};
use crate::support::wire;

/// How many series a scrape shall find.
const WANTED: usize = 10_000;

/// The work.
pub(super) struct Series;

impl Work for Series {
    fn name(&self) -> &'static str {
        "series"
    }

    fn reach(&self) -> Reach {
        Reach::Plain
    }

    fn has_many_series(&self) -> bool {
        true
    }

    fn figures<'a>(&'a self, run: &'a Run<'a>, Size { streams, .. }: Size) -> Doing<'a> {
        Box::pin(async move {
            if !run.peer.manner.has_metrics {
                return Ok(Vec::new());
            }
            let mut figures = paced::figures_of(run, "few series", streams).await?;
            let found = make(run.peer.address, run.peer.admin).await?;
            let scraper = Scraper::start(run.peer.admin)?;
            figures.extend(paced::figures_of(run, "many series, scraped", streams).await?);
            let scrape = scraper.stop()?;
            figures.push(("series on /metrics".to_owned(), found as f64));
            figures.push(("one scrape of them, ms".to_owned(), millis(scrape)));
            Ok(figures)
        })
    }
}

/// Sends requests with ever more models until there are enough series; how many there are then.
///
/// # Errors
///
/// A call fails, or models do not make series.
async fn make(proxy: SocketAddr, metrics: SocketAddr) -> io::Result<usize> {
    /// Models between two looks at the metrics.
    const STEP: u32 = 50;
    let mut stream = TcpStream::connect(proxy).await?;
    let mut buffer = vec![0; 16 * 1024];
    for models in (0..100).map(|step| step * STEP) {
        for model in models + 1..=models + STEP {
            let request = Request::new(Answer::Unary).with_model(model);
            stream.write_all(&request.bytes(&proxy.to_string())).await?;
            wire::read_message(&mut stream, &mut buffer, |_| Ok(()), |_| Ok(())).await?;
        }
        let found = count(metrics).await?;
        if found >= WANTED {
            return Ok(found);
        }
    }
    Err(io::Error::other(
        "thousands of models do not make 10,000 series",
    ))
}

/// Scrapes every second, on a thread of its own.
struct Scraper {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Duration>>,
}

impl Scraper {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// Its runtime cannot be had.
    fn start(metrics: SocketAddr) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let scraping = async move {
            let mut longest = Duration::ZERO;
            let mut ticks = tokio::time::interval(Duration::from_secs(1));
            while !stopped.load(Relaxed) {
                ticks.tick().await;
                let began = Instant::now();
                // Prometheus reads what it gets on another machine, so here nothing is done with it.
                scrape(metrics, |_| ()).await?;
                longest = longest.max(began.elapsed());
            }
            Ok(longest)
        };
        let thread = thread::Builder::new()
            .name("scraper".to_owned())
            .spawn(move || runtime.block_on(scraping))?;
        Ok(Self { stop, thread })
    }

    /// The longest that a scrape took.
    ///
    /// # Errors
    ///
    /// A scrape failed.
    fn stop(self) -> io::Result<Duration> {
        self.stop.store(true, Relaxed);
        let joined = self.thread.join();
        joined.map_err(|_| io::Error::other("the scraper panicked"))?
    }
}

/// The number of series in one scrape.
async fn count(metrics: SocketAddr) -> io::Result<usize> {
    let mut text = Vec::new();
    scrape(metrics, |data| text.extend_from_slice(data)).await?;
    let lines = text.split(|byte| *byte == b'\n');
    Ok(lines
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
        .count())
}

/// Asks as Prometheus does, for the format with exemplars.
async fn scrape(metrics: SocketAddr, mut data: impl FnMut(&[u8])) -> io::Result<()> {
    let mut stream = TcpStream::connect(metrics).await?;
    let request = format!(
        "GET /metrics HTTP/1.1\r\nhost: {metrics}\r\n\
         accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut buffer = vec![0; 64 * 1024];
    let data = |piece: &[u8]| {
        data(piece);
        Ok(())
    };
    wire::read_message(&mut stream, &mut buffer, |_| Ok(()), data).await?;
    Ok(())
}
