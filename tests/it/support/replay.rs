//! The proxy of the library between a scripted upstream and a sink that keeps what was observed.

use std::net::SocketAddr;
use std::sync::Arc;

use streamgauge::exchange::Exchange;
use streamgauge::observe::{self, Observe};
use streamgauge::pipeline::{EstimateTokens, Pipeline, PipelineConfig};
use streamgauge::proxy::{Proxy, ProxyConfig};
use streamgauge::serve::{self, ServeConfig};
use streamgauge::sink::{ExchangeId, Sink};
use streamgauge::upstream::UpstreamConfig as Target;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use super::http1::chunk;
use super::upstream::Upstream;
use super::{client, within};

/// A running proxy and both its neighbours.
#[derive(Debug)]
pub(crate) struct Replay {
    upstream: Upstream,
    proxy: SocketAddr,
    finished: Mutex<mpsc::UnboundedReceiver<Exchange>>,
    task: JoinHandle<()>,
}

/// A response to replay.
#[derive(Debug, Clone)]
pub(crate) struct Answer<'a> {
    /// Status line and header lines, each with its line end, but for what frames the body.
    pub(crate) head: String,
    /// The body, in the pieces in which it comes.
    pub(crate) pieces: Vec<&'a [u8]>,
}

/// Gives every finished exchange to the test.
struct Keep(mpsc::UnboundedSender<Exchange>);

impl Sink for Keep {
    fn name(&self) -> &'static str {
        "keep"
    }

    fn finished(&self, _id: ExchangeId, exchange: &Arc<Exchange>) {
        // A test that has ended wants no more.
        let _ = self.0.send(Exchange::clone(exchange));
    }
}

impl Replay {
    /// A proxy at its defaults, in this process; but what nobody reports stays absent, as a fixture has it.
    pub(crate) async fn start() -> Self {
        let upstream = Upstream::start().await;
        let url = upstream.base_url().parse().unwrap();
        let config = ProxyConfig {
            upstreams: vec![Target::new("main", url)],
            ..ProxyConfig::default()
        };
        let (sender, finished) = mpsc::unbounded_channel();
        let delivering = PipelineConfig {
            estimate_tokens: EstimateTokens::Off,
            ..PipelineConfig::default()
        };
        let pipeline = Arc::new(Pipeline::new(&delivering, vec![Arc::new(Keep(sender))]));
        let observing = observe::ObserveConfig::default();
        let observe = Observe::new(observing, pipeline, None, false);
        let proxy = Arc::new(Proxy::new(config, Arc::new(observe)).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            serve::serve(
                listener,
                proxy,
                ServeConfig::default(),
                Arc::default(),
                std::future::pending(),
            )
            .await
            .unwrap();
        });
        Self {
            upstream,
            proxy: address,
            finished: Mutex::new(finished),
            task,
        }
    }

    /// Sends a request and answers it. Each piece is awaited at the client before the next one is sent, so the pieces
    /// are those that the proxy reads. Returns the body as it reached the client, and what was observed.
    pub(crate) async fn call(&self, request: &[u8], answer: &Answer<'_>) -> (Vec<u8>, Exchange) {
        let mut caller = client::connect(self.proxy).await;
        caller.write(request).await;
        let mut served = self.upstream.accept().await;
        served.read_request().await;
        let head = format!(
            "{}connection: close\r\ntransfer-encoding: chunked\r\n\r\n",
            answer.head
        );
        served.write(head).await;
        caller.read_head().await;
        let mut body = Vec::new();
        for piece in &answer.pieces {
            let expected = body.len() + piece.len();
            served.write(chunk(piece)).await;
            while body.len() < expected {
                body.extend(caller.read_chunk().await.data);
            }
        }
        served.write(chunk("")).await;
        assert!(caller.read_chunk().await.is_last);
        let mut finished = self.finished.lock().await;
        let exchange = within("the exchange", finished.recv()).await.unwrap();
        (body, exchange)
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.task.abort();
    }
}
