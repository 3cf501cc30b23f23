//! Paced streams while nobody looks, and then while the live page is open as in a browser: its stream of events, and the sums of the last minutes once a second.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Doing, Figures, Reach, Size, Work, paced};
use crate::run::Run;
use crate::support::wire;

/// The work.
pub(super) struct Watched;

impl Work for Watched {
    fn name(&self) -> &'static str {
        "watched"
    }

    fn reach(&self) -> Reach {
        Reach::Plain
    }

    fn figures<'a>(&'a self, run: &'a Run<'a>, Size { streams, .. }: Size) -> Doing<'a> {
        Box::pin(async move {
            if !run.peer.manner.has_metrics {
                return Ok(Vec::new());
            }
            let mut figures = paced::figures_of(run, "page closed", streams).await?;
            let watcher = Watcher::start(run.peer.admin)?;
            let open = paced::figures_of(run, "page open", streams).await?;
            let bytes = watcher.stop()?;
            let times = open.iter().zip(&figures);
            let times = times.map(|((name, open), (_, closed))| {
                let name = name.replace("page open", "page open, × closed");
                (name.replace(", µs", ""), open / closed)
            });
            let times: Figures = times.collect();
            figures.extend(open);
            figures.extend(times);
            figures.push(("events to the page, KiB".to_owned(), bytes as f64 / 1024.0));
            Ok(figures)
        })
    }
}

/// A page that is open, on a thread of its own.
struct Watcher {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<u64>>,
}

impl Watcher {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// Its runtime cannot be had.
    fn start(admin: SocketAddr) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let watching = async move {
            let mut events = asked(admin, "/api/stream").await?;
            let mut sums = TcpStream::connect(admin).await?;
            let mut seconds = tokio::time::interval(Duration::from_secs(1));
            let (mut buffer, mut other) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
            let mut bytes = 0;
            while !stopped.load(Relaxed) {
                tokio::select! {
                    read = events.read(&mut buffer) => match read? {
                        0 => return Err(io::Error::other("the stream of events ended")),
                        read => bytes += read as u64,
                    },
                    _ = seconds.tick() => {
                        ask(&mut sums, admin, "/api/summary?since=15m").await?;
                        wire::read_message(&mut sums, &mut other, |_| Ok(()), |_| Ok(())).await?;
                    }
                }
            }
            Ok(bytes)
        };
        let thread = thread::Builder::new()
            .name("watcher".to_owned())
            .spawn(move || runtime.block_on(watching))?;
        Ok(Self { stop, thread })
    }

    /// Closes it; the bytes of events that it got.
    ///
    /// # Errors
    ///
    /// It was not answered.
    fn stop(self) -> io::Result<u64> {
        self.stop.store(true, Relaxed);
        let joined = self.thread.join();
        joined.map_err(|_| io::Error::other("the watcher panicked"))?
    }
}

/// A connection on which this was asked for.
async fn asked(admin: SocketAddr, path: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(admin).await?;
    ask(&mut stream, admin, path).await?;
    Ok(stream)
}

async fn ask(stream: &mut TcpStream, admin: SocketAddr, path: &str) -> io::Result<()> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {admin}\r\n\r\n");
    stream.write_all(request.as_bytes()).await
}
