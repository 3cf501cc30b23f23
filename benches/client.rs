//! Which HTTP client shall carry the byte path: reqwest, hyper-util's pooled client, bare hyper connections, or those of
//! our own that are driven in place. Each does the same work against the same upstream; what counts is the CPU time of its thread.
//!
//! `cargo bench --bench client` prints a Markdown table. Nothing is asserted.
#![expect(clippy::print_stdout, reason = "the table is what the bench is for")]

mod support;

use std::cell::Cell;
use std::error::Error;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use streamgauge::http1::{self as own, Keep, Pool, Trust};
use streamgauge::message::{self, HttpBody};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use support::chat::{self, Answer};
use support::cpu;
use support::figure::{self, Samples};
use support::pacer::Command;
use support::upstream::{CHUNKS_PER_WRITE, Upstream};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const THIS_THREAD: &str = "/proc/thread-self/schedstat";
const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_millis(500);
const WINDOW: Duration = Duration::from_secs(2);
const KEEP: Keep = Keep {
    idle: Duration::from_secs(60),
    connections: 64,
};
const CLIENTS: [&str; 4] = ["reqwest", "hyper-util pooled", "hyper connection", "own"];

/// What is done, how often at once, and what is counted.
struct Work {
    name: &'static str,
    answer: Answer,
    at_once: usize,
    counts: Counts,
}

/// What is counted.
#[derive(Clone, Copy)]
enum Counts {
    /// So many for each call: one read may bring several chunks.
    Calls(u64),
    /// Frames of a body.
    Frames,
}

const WORKS: [Work; 3] = [
    Work {
        name: "µs per unary request, 32 at once",
        answer: Answer::Unary,
        at_once: 32,
        counts: Counts::Calls(1),
    },
    Work {
        name: "µs per paced chunk, 200 streams",
        answer: Answer::Paced,
        at_once: 200,
        counts: Counts::Frames,
    },
    Work {
        name: "µs per unpaced chunk, 8 streams",
        answer: Answer::Unpaced(1024),
        at_once: 8,
        counts: Counts::Calls(1024),
    },
];

fn main() -> Result<()> {
    // reqwest wants a TLS provider even where all is plain; one that is already there serves as well.
    drop(rustls::crypto::ring::default_provider().install_default());
    let upstream = Upstream::start(CHUNKS_PER_WRITE)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut names = vec!["CPU of the client's thread".to_owned()];
    names.extend(CLIENTS.map(str::to_owned));
    println!("{}", figure::head(&names));
    for work in &WORKS {
        let mut samples: [Samples; CLIENTS.len()] = Default::default();
        for round in 0..ROUNDS {
            for turn in 0..CLIENTS.len() {
                let client = (round + turn) % CLIENTS.len();
                let cost = LocalSet::new().block_on(&runtime, cost(work, client, &upstream))?;
                samples[client].push(cost);
            }
        }
        let mut cells = vec![work.name.to_owned()];
        cells.extend(samples.iter().map(Samples::cell));
        println!("{}", figure::row(&cells));
    }
    Ok(())
}

/// CPU µs per call or frame of one client.
async fn cost(work: &Work, client: usize, upstream: &Upstream) -> Result<f64> {
    let plan = Plan::new(work, upstream)?;
    let reqwest = reqwest::Client::builder()
        .no_proxy()
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let pooled = Pooled::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build(connector);
    let mut running = Vec::new();
    for _ in 0..work.at_once {
        let plan = plan.clone();
        let lane = match client {
            0 => Lane::Reqwest(reqwest.clone()),
            1 => Lane::Pooled(Box::new(pooled.clone())),
            2 => Lane::Connection(connect(upstream).await?),
            _ => Lane::Own(upstream.address, Pool::new(KEEP, Trust::new("up"))),
        };
        running.push(tokio::task::spawn_local(plan.run(lane)));
    }
    tokio::time::sleep(WARM_UP).await;
    let (cpu_before, count_before) = (cpu::on_cpu(THIS_THREAD)?, plan.counted.get());
    tokio::time::sleep(WINDOW).await;
    let (cpu_after, count_after) = (cpu::on_cpu(THIS_THREAD)?, plan.counted.get());
    plan.stop.set(true);
    upstream.pacer.send(Command::End)?;
    for lane in running {
        lane.await??;
    }
    Ok((cpu_after - cpu_before) as f64 / 1000.0 / (count_after - count_before) as f64)
}

async fn stream(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn connect(upstream: &Upstream) -> Result<SendRequest<Full<Bytes>>> {
    let stream = stream(upstream.address).await?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    Ok(sender)
}

/// The same for all lanes of one measurement.
#[derive(Clone)]
struct Plan {
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    counts: Counts,
    counted: Rc<Cell<u64>>,
    stop: Rc<Cell<bool>>,
}

impl Plan {
    fn new(work: &Work, upstream: &Upstream) -> Result<Self> {
        let request = chat::Request::new(work.answer);
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers() {
            headers.insert(HeaderName::from_static(name), HeaderValue::try_from(value)?);
        }
        headers.insert(HOST, HeaderValue::try_from(upstream.address.to_string())?);
        Ok(Self {
            uri: format!("http://{}/v1/chat/completions", upstream.address).parse()?,
            headers,
            body: request.body().into(),
            counts: work.counts,
            counted: Rc::default(),
            stop: Rc::default(),
        })
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    async fn run(self, mut lane: Lane) -> Result<()> {
        while !self.stop.get() {
            match &mut lane {
                Lane::Reqwest(client) => {
                    let request = self.request().map(reqwest::Body::wrap);
                    self.read(client.execute(request.try_into()?).await?.into())
                        .await?;
                }
                Lane::Pooled(client) => self.read(client.request(self.request()).await?).await?,
                Lane::Connection(sender) => {
                    let mut request = self.request();
                    *request.uri_mut() = Uri::from_static("/v1/chat/completions");
                    sender.ready().await?;
                    self.read(sender.send_request(request).await?).await?;
                }
                Lane::Own(address, pool) => {
                    let connection = match pool.take() {
                        Some(connection) => connection,
                        None => own::Connection::new(stream(*address).await?),
                    };
                    let request = message::Request::from(self.request());
                    let mut sent = connection.send(Box::new(request), pool, false);
                    let answered = poll_fn(|cx| sent.poll_response(cx)).await;
                    let response = answered.map_err(|unanswered| unanswered.error)?;
                    self.read(response.map(HttpBody).into()).await?;
                }
            }
        }
        Ok(())
    }

    async fn read<B>(&self, response: Response<B>) -> Result<()>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Error + 'static,
    {
        if !response.status().is_success() {
            return Err(format!("the upstream answered {}", response.status()).into());
        }
        let mut body = response.into_body();
        let mut frames = 0;
        while let Some(frame) = body.frame().await {
            drop(frame?);
            frames += 1;
            if matches!(self.counts, Counts::Frames) {
                self.counted.set(self.counted.get() + 1);
            }
        }
        if frames == 0 {
            return Err("an answer without a body".into());
        }
        if let Counts::Calls(each) = self.counts {
            self.counted.set(self.counted.get() + each);
        }
        Ok(())
    }
}

/// One of the calls at once, and the client it goes through.
enum Lane {
    Reqwest(reqwest::Client),
    Pooled(Box<Pooled<HttpConnector, Full<Bytes>>>),
    Connection(SendRequest<Full<Bytes>>),
    Own(SocketAddr, Arc<Pool<TcpStream>>),
}
