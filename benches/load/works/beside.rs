//! Paced streams while new requests with large bodies come: does a body hold up the chunks of others?

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Doing, Reach, Size, Work};
use crate::run::Run;
use crate::support::chat::{Answer, Request};
use crate::support::clients::{self, Counts};
use crate::support::pacer::Pace;

/// Between two of the large requests: 20 a second.
const INTERVAL: Duration = Duration::from_millis(50);
/// How large each of them is.
const BYTES: usize = 1_000_000;

/// From the upstream's write to the client's read.
const DELAY_P50: &str = "delay per chunk beside 1 MB requests p50, µs";
/// See [`DELAY_P50`].
pub(crate) const DELAY_P99: &str = "delay per chunk beside 1 MB requests p99, µs";

/// The work.
pub(crate) struct Beside;

impl Work for Beside {
    fn name(&self) -> &'static str {
        "beside"
    }

    fn reach(&self) -> Reach {
        Reach::Http1Clients
    }

    fn beside_direct(&self) -> &'static [&'static str] {
        &[DELAY_P50, DELAY_P99]
    }

    fn figures<'a>(&'a self, run: &'a Run<'a>, Size { streams, .. }: Size) -> Doing<'a> {
        Box::pin(async move {
            let prompt = run.request(Answer::Unpaced(8)).with_prompt(BYTES);
            let uploads = Uploads::start(run.peer.address, prompt)?;
            let paced = run.paced(Pace::EVEN, streams).await?;
            let rate = uploads.stop()?;
            Ok(vec![
                (DELAY_P50.to_owned(), paced.delay(500)),
                (DELAY_P99.to_owned(), paced.delay(990)),
                ("1 MB requests/s beside paced chunks".to_owned(), rate),
            ])
        })
    }
}

/// The large requests, each on a connection of its own, on a thread that writes nothing else.
struct Uploads {
    stop: Arc<AtomicBool>,
    began: Instant,
    thread: JoinHandle<io::Result<u32>>,
}

impl Uploads {
    fn start(address: SocketAddr, request: Request) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let bytes: Arc<[u8]> = request.bytes(&address.to_string()).into();
        let sending = async move {
            let mut ticks = tokio::time::interval(INTERVAL);
            let mut calls = JoinSet::new();
            let mut answered = 0;
            while !stopped.load(Relaxed) {
                ticks.tick().await;
                calls.spawn(call(address, request, Arc::clone(&bytes)));
                while let Some(ended) = calls.try_join_next() {
                    ended??;
                    answered += 1;
                }
            }
            while let Some(ended) = calls.join_next().await {
                ended??;
                answered += 1;
            }
            Ok(answered)
        };
        let thread = thread::Builder::new()
            .name("uploads".to_owned())
            .spawn(move || runtime.block_on(sending))?;
        Ok(Self {
            stop,
            began: Instant::now(),
            thread,
        })
    }

    /// Waits for the last; how many a second were answered.
    fn stop(self) -> io::Result<f64> {
        self.stop.store(true, Relaxed);
        let joined = self.thread.join();
        let answered = joined.map_err(|_| io::Error::other("the thread of uploads panicked"))??;
        Ok(f64::from(answered) / self.began.elapsed().as_secs_f64())
    }
}

async fn call(address: SocketAddr, request: Request, bytes: Arc<[u8]>) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&bytes).await?;
    let mut buffer = vec![0; 16 * 1024];
    let counts = Counts::default();
    if clients::answer(&mut stream, &mut buffer, request, &counts, |_| ()).await? {
        return Ok(());
    }
    Err(io::Error::other("the connection closed before the answer"))
}
