//! What stands between client and upstream: nothing, a bare relay, nginx, streamgauge, and other proxies where they are
//! installed.
//! One more peer is one more file and one line in [`PEERS`].

mod ferrogw;
mod haproxy;
mod installed;
mod litellm;
mod nginx;
pub(crate) mod relay;
mod router;
mod running;
mod streamgauge;

pub(crate) use running::Running;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::link::{ClientSide, Link};

/// What a peer is told.
pub(crate) struct Site {
    /// What is spoken on either side of it.
    pub(crate) link: Link,
    /// Where it shall send requests.
    pub(crate) upstream: SocketAddr,
    /// The upstream's certificate, which is also its own, in PEM.
    pub(crate) certificate: PathBuf,
    /// The certificate's key.
    pub(crate) key: PathBuf,
    /// Where it may push telemetry by OTLP over HTTP.
    pub(crate) collector: SocketAddr,
    /// Where it may serve metrics.
    pub(crate) admin: SocketAddr,
    /// A folder of its own.
    pub(crate) folder: PathBuf,
    /// CPUs that it may use.
    pub(crate) cores: usize,
    /// Streams that will be open at once, where the work has streams.
    pub(crate) streams: usize,
    /// Whether it shall keep as many series of metrics as it is given, and push them every second.
    pub(crate) many_series: bool,
}

impl Site {
    /// The certificate for clients, and its key; `None` where they come without TLS.
    fn for_clients(&self) -> Option<[&Path; 2]> {
        (self.link.client() == ClientSide::Http2Tls).then_some([&self.certificate, &self.key])
    }
}

/// One way from client to upstream.
pub(crate) trait Peer {
    /// Its name, in tables and in `--peers`.
    fn name(&self) -> &'static str;

    /// The command that starts it, listening on an address; `None` where there is no process.
    ///
    /// # Errors
    ///
    /// Its configuration could not be written.
    fn command(&self, site: &Site, listen: SocketAddr) -> io::Result<Option<Command>>;

    /// The command that prints its version; `None` where there is none to tell.
    fn version(&self) -> Option<Command> {
        None
    }

    /// Whether it takes part where no peers are named.
    fn is_installed(&self) -> bool {
        true
    }

    /// What has to be known of it to measure it.
    fn manner(&self) -> Manner {
        Manner::default()
    }
}

/// What has to be known of a peer to measure it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// It puts answers into its own words: only chunks and the end can be compared.
    pub(crate) restates: bool,
    /// It passes no headers of a client on: what the upstream shall answer is said in the body.
    pub(crate) drops_headers: bool,
    /// It listens before it serves anything, as it looks for its upstream first.
    pub(crate) serves_late: bool,
    /// Paced streams are so many times slower for it, since it could not keep up.
    pub(crate) slowed: u32,
    /// Its metrics can be scraped.
    pub(crate) has_metrics: bool,
    /// What it does beside HTTP/1.1 without TLS.
    pub(crate) links: Links,
}

/// What a peer does beside HTTP/1.1 without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// Nothing, or nobody has tried.
    None,
    /// TLS on either side, and HTTP/2 from clients.
    Http1Upstream,
    /// The same, and HTTP/2 to an upstream that offers it.
    Http2Upstream,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            restates: false,
            drops_headers: false,
            serves_late: false,
            slowed: 1,
            has_metrics: false,
            links: Links::None,
        }
    }
}

/// All peers, in the order of the tables.
pub(crate) const PEERS: [&dyn Peer; 12] = [
    &Direct,
    &relay::Relay,
    &nginx::NGINX,
    &nginx::ONE_WORKER,
    &haproxy::Haproxy,
    &streamgauge::Streamgauge,
    &streamgauge::Storing,
    &streamgauge::Other,
    &router::VLLM,
    &router::SGLANG,
    &ferrogw::Ferrogw,
    &litellm::LiteLlm,
];

/// The peer that the goals are set against.
pub(crate) const REFERENCE: &str = "nginx";
/// The same with one worker: where it is cheaper, goals of CPU are set against it.
pub(crate) const ONE_WORKER: &str = "nginx-1";
/// The peer without a process, against which delay is told.
pub(crate) const DIRECT: &str = "direct";
/// The peer that the goals are set for.
pub(crate) const MEASURED: &str = "streamgauge";

/// No peer: clients call the upstream itself.
struct Direct;

impl Peer for Direct {
    fn name(&self) -> &'static str {
        DIRECT
    }

    fn command(&self, _: &Site, _: SocketAddr) -> io::Result<Option<Command>> {
        Ok(None)
    }
}
