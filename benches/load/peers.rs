//! What stands between client and upstream: nothing, a bare relay, nginx, streamgauge, and other proxies where they are
//! installed.
//! One more peer is one more type and one line in [`PEERS`].

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::link::{ClientSide, Link, UpstreamSide};
use crate::support::process::{self, Process};
use crate::support::streamgauge;
use crate::support::{cpu, secure};

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
    /// Whether it shall keep as many series of metrics as it is given, and push them every second.
    pub(crate) many_series: bool,
}

impl Site {
    fn scheme(&self) -> &'static str {
        match self.link.upstream() {
            UpstreamSide::Plain => "http",
            UpstreamSide::Tls | UpstreamSide::Http2 => "https",
        }
    }

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
            slowed: 1,
            has_metrics: false,
            links: Links::None,
        }
    }
}

/// All peers, in the order of the tables.
pub(crate) const PEERS: [&dyn Peer; 7] = [
    &Direct,
    &Relay,
    &Nginx,
    &Streamgauge,
    &Storing,
    &VllmRouter,
    &LiteLlm,
];

/// The peer that the goals are set against.
pub(crate) const REFERENCE: &str = "nginx";
/// The peer without a process, against which delay is told.
pub(crate) const DIRECT: &str = "direct";
/// The peer that the goals are set for.
pub(crate) const MEASURED: &str = "streamgauge";

/// A virtual environment with other proxies; `scripts/bench-peers` makes one and sets this.
const ENVIRONMENT: &str = "BENCH_PEERS";

struct Direct;

impl Peer for Direct {
    fn name(&self) -> &'static str {
        DIRECT
    }

    fn command(&self, _: &Site, _: SocketAddr) -> io::Result<Option<Command>> {
        Ok(None)
    }
}

/// This program once more, passing bytes on: the floor.
struct Relay;

impl Peer for Relay {
    fn name(&self) -> &'static str {
        "relay"
    }

    fn command(&self, site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--relay", &listen.to_string(), &site.upstream.to_string()]);
        Ok(Some(command))
    }
}

struct Nginx;

impl Peer for Nginx {
    fn name(&self) -> &'static str {
        REFERENCE
    }

    fn command(&self, site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
        let file = site.folder.join("nginx.conf");
        let listen_as = match site.link.client() {
            ClientSide::Http1 => "",
            ClientSide::Http2 => " http2",
            ClientSide::Http2Tls => " ssl http2",
        };
        let conf = include_str!("nginx.conf")
            .replace("@folder@", &site.folder.to_string_lossy())
            .replace("@upstream@", &site.upstream.to_string())
            .replace("@listen@", &listen.to_string())
            .replace("@listen_as@", listen_as)
            .replace("@scheme@", site.scheme())
            .replace("@name@", secure::NAME)
            .replace("@certificate@", &site.certificate.to_string_lossy())
            .replace("@key@", &site.key.to_string_lossy())
            .replace("@cores@", &site.cores.to_string());
        fs::write(&file, conf)?;
        let mut command = Command::new("nginx");
        command
            .arg("-c")
            .arg(file)
            .arg("-e")
            .arg(site.folder.join("error.log"));
        Ok(Some(command))
    }

    fn version(&self) -> Option<Command> {
        let mut command = Command::new("nginx");
        command.arg("-v");
        Some(command)
    }

    fn manner(&self) -> Manner {
        Manner {
            links: Links::Http1Upstream,
            ..Manner::default()
        }
    }
}

struct Streamgauge;

impl Peer for Streamgauge {
    fn name(&self) -> &'static str {
        MEASURED
    }

    fn command(&self, site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
        let upstream = format!("{}://{}", site.scheme(), site.upstream);
        let mut command = streamgauge::command(listen, site.admin, &upstream, site.collector);
        if site.link.upstream() != UpstreamSide::Plain {
            command.env("STREAMGAUGE_UPSTREAM_TLS_CA", &site.certificate);
        }
        if let Some([certificate, key]) = site.for_clients() {
            command
                .env("STREAMGAUGE_TLS_CERTIFICATE", certificate)
                .env("STREAMGAUGE_TLS_KEY", key);
        }
        if site.many_series {
            command
                .env("STREAMGAUGE_LIMITS_LABEL_VALUES", "100000")
                .env("OTEL_METRIC_EXPORT_INTERVAL", "1000");
        }
        Ok(Some(command))
    }

    fn version(&self) -> Option<Command> {
        let mut command = Command::new(streamgauge::PROGRAM);
        command.arg("--version");
        Some(command)
    }

    fn manner(&self) -> Manner {
        Manner {
            has_metrics: true,
            links: Links::Http2Upstream,
            ..Manner::default()
        }
    }
}

/// streamgauge as it costs most: what is said in every call is looked through and stored in a folder. Only where it is named.
struct Storing;

impl Peer for Storing {
    fn name(&self) -> &'static str {
        "streamgauge-store"
    }

    fn command(&self, site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
        let mut command = Streamgauge.command(site, listen)?;
        if let Some(command) = &mut command {
            command
                .env("STREAMGAUGE_CONTENT", "store")
                .env("STREAMGAUGE_STORE_URL", site.folder.join("prompts"))
                .env("STREAMGAUGE_REDACT_ALWAYS", "true");
        }
        Ok(command)
    }

    fn is_installed(&self) -> bool {
        false
    }

    fn manner(&self) -> Manner {
        Streamgauge.manner()
    }
}

/// vLLM's router (Rust, hyper), which passes answers on as they are.
struct VllmRouter;

impl Peer for VllmRouter {
    fn name(&self) -> &'static str {
        "vllm-router"
    }

    fn command(&self, site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
        let mut command = Command::new(found("vllm-router").unwrap_or_default());
        command
            .args(["--host", "127.0.0.1", "--port", &listen.port().to_string()])
            .args(["--worker-urls", &format!("http://{}", site.upstream)])
            .args(["--prometheus-port", &site.admin.port().to_string()])
            .args(["--policy", "round_robin", "--log-level", "warning"])
            .args(["--max-concurrent-requests", "10000"]);
        Ok(Some(command))
    }

    fn version(&self) -> Option<Command> {
        python_version("vllm-router", "vllm-router")
    }

    fn is_installed(&self) -> bool {
        found("vllm-router").is_some()
    }
}

/// LiteLLM's proxy (Python), a worker process for each core.
struct LiteLlm;

impl Peer for LiteLlm {
    fn name(&self) -> &'static str {
        "litellm"
    }

    fn command(&self, site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
        let file = site.folder.join("litellm.yaml");
        let config = include_str!("litellm.yaml").replace("@upstream@", &site.upstream.to_string());
        fs::write(&file, config)?;
        let mut command = Command::new(found("litellm").unwrap_or_default());
        command
            .arg("--config")
            .arg(file)
            .args(["--host", "127.0.0.1", "--port", &listen.port().to_string()])
            .args(["--num_workers", &site.cores.to_string()])
            // Else it looks for a newer list of prices on the network first.
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            // Else it takes a stream of like chunks for a model gone mad, and ends it after a hundred.
            .env("REPEATED_STREAMING_CHUNK_LIMIT", "1000000000");
        Ok(Some(command))
    }

    fn version(&self) -> Option<Command> {
        python_version("litellm", "litellm")
    }

    fn is_installed(&self) -> bool {
        found("litellm").is_some()
    }

    fn manner(&self) -> Manner {
        Manner {
            restates: true,
            slowed: 40,
            ..Manner::default()
        }
    }
}

/// A program in the environment's virtual environment, or else on the path.
fn found(program: &str) -> Option<PathBuf> {
    let environment = std::env::var_os(ENVIRONMENT).map(|folder| PathBuf::from(folder).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    environment
        .into_iter()
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Asks the Python beside a program for the version of its package.
fn python_version(program: &str, package: &str) -> Option<Command> {
    let mut command = Command::new(found(program)?.with_file_name("python3"));
    command.args([
        "-c",
        &format!("import importlib.metadata; print(importlib.metadata.version('{package}'))"),
    ]);
    Some(command)
}

/// A started peer; dropping it ends its processes.
pub(crate) struct Running {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    /// Where its metrics are, if it has any.
    pub(crate) admin: SocketAddr,
    /// What has to be known of it.
    pub(crate) manner: Manner,
    /// `None` for a peer without.
    pub(crate) process: Option<Process>,
}

impl Running {
    /// Starts a peer and waits until it listens.
    ///
    /// # Errors
    ///
    /// It could not be started, ended at once, or does not listen in time.
    pub(crate) fn start(peer: &dyn Peer, site: &Site) -> io::Result<Self> {
        fs::create_dir_all(&site.folder)?;
        let listen = process::free_address()?;
        let mut running = Self {
            address: site.upstream,
            admin: site.admin,
            manner: peer.manner(),
            process: None,
        };
        if let Some(mut command) = peer.command(site, listen)? {
            if site.cores < cpu::allowed().len() {
                command = process::on_cores(command, site.cores);
            }
            running.address = listen;
            running.process = Some(Process::start(command, listen, &site.folder.join("log"))?);
        }
        Ok(running)
    }

    /// All its processes as of now; none for a peer without.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.process
            .as_ref()
            .map(Process::family)
            .unwrap_or_default()
    }
}
