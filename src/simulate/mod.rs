//! A simulated OpenAI-compatible upstream, for the demo, tests, benches and `streamgauge simulate`.
//!
//! It answers over HTTP/1.1 and HTTP/2 (prior knowledge) in the shapes of OpenAI's API reference: models, chat
//! completions, text completions, responses, embeddings, images, speech and transcripts, also on Azure's paths; every other path
//! is OpenAI's 404. It needs no key and knows nothing of the proxy: no other room of this crate is imported here. It stores no
//! responses: one that is fetched is made up from its id.
//!
//! The model's name chooses what happens, so that any client can ask for it; [`models`] lists them all. A name that
//! does not begin with `sim-` behaves as `sim-chat`, so that code written for a real model runs unchanged. The
//! answering model is named `<asked>-2026-01-01`, as OpenAI answers with a dated snapshot.
//!
//! A request that offers `tools` is answered with a call of the first (`sim-tools`: of the first two) unless
//! `tool_choice` is `"none"` or its last message brings a tool's result.
//!
//! One request can be made exact by headers, or by the members of the same name in the body's `metadata` object:
//!
//! | header | meaning |
//! |---|---|
//! | `x-sim-chunks` | answer tokens, one a chunk |
//! | `x-sim-think-ms` | time until the first event, exactly; half of it passes before the head |
//! | `x-sim-interval-ms` | time between two tokens, exactly |
//! | `x-sim-stall-ms` | how long `sim-stall` falls silent |
//! | `x-sim-seed` | chooses text, ids and jitter, as the body's `seed` does |

mod body;
mod chance;
mod choices;
mod completion;
mod media;
mod model;
mod record;
mod render;
mod request;
mod responses;
mod script;
mod server;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use model::models;
pub use record::{Counts, SeenRequest, SimulatorRecord};

/// How the simulated upstream behaves where the request does not say.
#[derive(Debug, Clone)]
pub struct SimulatorConfig {
    /// Median time until the first event. Default 350 ms; models multiply it.
    pub think: Duration,
    /// Median time between two tokens. Default 18 ms; models multiply it.
    pub pace: Duration,
    /// Spread of both: the sigma of a log-normal distribution; 0 makes every time the median. Default 0.45.
    pub jitter: f64,
    /// How long `sim-stall` falls silent. Default 3 s.
    pub stall: Duration,
    /// With a seed an answer is a function of the request alone; `None` varies from request to request. Default `None`.
    pub seed: Option<u64>,
    /// The `created` of every answer, in seconds since 1970; `None` for now. Default `None`.
    pub created: Option<u64>,
    /// How many requests [`SimulatorRecord::requests`] keeps, the newest. Default 0.
    pub keep_requests: usize,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            think: Duration::from_millis(350),
            pace: Duration::from_millis(18),
            jitter: 0.45,
            stall: Duration::from_secs(3),
            seed: None,
            created: None,
            keep_requests: 0,
        }
    }
}

impl SimulatorConfig {
    /// No waiting and no chance: the bytes of an answer are a function of the request. For tests and benches.
    #[must_use]
    pub fn instant() -> Self {
        Self {
            think: Duration::ZERO,
            pace: Duration::ZERO,
            jitter: 0.0,
            stall: Duration::ZERO,
            seed: Some(1),
            created: Some(1_767_225_600),
            keep_requests: 1024,
        }
    }
}

/// A simulated upstream: what it does and what it has seen. Clones share both.
#[derive(Debug, Clone)]
pub struct Simulator {
    config: Arc<SimulatorConfig>,
    record: Arc<SimulatorRecord>,
}

impl Simulator {
    /// A simulated upstream that has seen nothing yet.
    #[must_use]
    pub fn new(config: SimulatorConfig) -> Self {
        let record = Arc::new(SimulatorRecord::new(config.keep_requests));
        Self {
            config: Arc::new(config),
            record,
        }
    }

    /// What it has seen so far.
    #[must_use]
    pub fn record(&self) -> &Arc<SimulatorRecord> {
        &self.record
    }

    /// Serves until `shutdown` is done; connections still open are then dropped.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        server::serve(self, listener, shutdown).await;
    }

    /// Serves on a free port of the loopback address until the handle is dropped.
    ///
    /// # Errors
    ///
    /// Where no port can be bound.
    pub async fn start(self) -> io::Result<RunningSimulator> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let record = Arc::clone(&self.record);
        let task = tokio::spawn(self.serve(listener, std::future::pending()));
        Ok(RunningSimulator {
            address,
            record,
            task,
        })
    }
}

/// A simulated upstream at work; dropping it stops it and breaks its connections.
#[derive(Debug)]
pub struct RunningSimulator {
    address: SocketAddr,
    record: Arc<SimulatorRecord>,
    task: JoinHandle<()>,
}

impl RunningSimulator {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What would stand in `OPENAI_BASE_URL`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What it has seen so far.
    #[must_use]
    pub fn record(&self) -> &SimulatorRecord {
        &self.record
    }
}

impl Drop for RunningSimulator {
    fn drop(&mut self) {
        self.task.abort();
    }
}
