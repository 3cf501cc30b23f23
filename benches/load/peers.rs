//! What stands between client and upstream: nothing, nginx, streamgauge. One more peer is one more type and one line
//! in [`PEERS`].

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::cpu;

/// What a peer is told.
pub(crate) struct Site {
    /// Where it shall send requests.
    pub(crate) upstream: SocketAddr,
    /// Where it may push telemetry by OTLP over HTTP.
    pub(crate) collector: SocketAddr,
    /// A folder of its own.
    pub(crate) folder: PathBuf,
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
}

/// All peers, in the order of the tables.
pub(crate) const PEERS: [&dyn Peer; 3] = [&Direct, &Nginx, &Streamgauge];

/// The peer against whose cost the budget is set.
pub(crate) const REFERENCE: &str = "nginx";
/// The peer without a process, against which delay is told.
pub(crate) const DIRECT: &str = "direct";

struct Direct;

impl Peer for Direct {
    fn name(&self) -> &'static str {
        DIRECT
    }

    fn command(&self, _: &Site, _: SocketAddr) -> io::Result<Option<Command>> {
        Ok(None)
    }
}

struct Nginx;

impl Peer for Nginx {
    fn name(&self) -> &'static str {
        REFERENCE
    }

    fn command(&self, site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
        let file = site.folder.join("nginx.conf");
        let conf = include_str!("nginx.conf")
            .replace("@folder@", &site.folder.to_string_lossy())
            .replace("@upstream@", &site.upstream.to_string())
            .replace("@listen@", &listen.to_string());
        fs::write(&file, conf)?;
        let mut command = Command::new("nginx");
        command
            .arg("-c")
            .arg(file)
            .arg("-e")
            .arg(site.folder.join("error.log"));
        Ok(Some(command))
    }
}

struct Streamgauge;

impl Peer for Streamgauge {
    fn name(&self) -> &'static str {
        "streamgauge"
    }

    fn command(&self, site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
        command
            .arg("serve")
            .args(["--listen", &listen.to_string()])
            .args(["--admin", &free_address()?.to_string()])
            .args(["--upstream", &format!("http://{}/v1", site.upstream)])
            .env(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("http://{}", site.collector),
            )
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
        Ok(Some(command))
    }
}

/// A started peer; dropping it ends its processes.
pub(crate) struct Running {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    /// From its start until it accepted a connection.
    pub(crate) start_up: Duration,
    child: Option<Child>,
}

impl Running {
    /// Starts a peer and waits until it listens.
    ///
    /// # Errors
    ///
    /// It could not be started, ended at once, or does not listen after ten seconds.
    pub(crate) fn start(peer: &dyn Peer, site: &Site) -> io::Result<Self> {
        fs::create_dir_all(&site.folder)?;
        let listen = free_address()?;
        let Some(mut command) = peer.command(site, listen)? else {
            return Ok(Self {
                address: site.upstream,
                start_up: Duration::ZERO,
                child: None,
            });
        };
        let log_file = site.folder.join("log");
        let log = fs::File::create(&log_file)?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let started = Instant::now();
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
        let mut running = Self {
            address: listen,
            start_up: Duration::ZERO,
            child: Some(child),
        };
        running.wait_until_listening(started).map_err(|error| {
            let log = fs::read_to_string(&log_file).unwrap_or_default();
            let last_line = log.lines().next_back().unwrap_or("its log is empty");
            io::Error::other(format!("{program} {error}: {last_line}"))
        })?;
        running.start_up = started.elapsed();
        Ok(running)
    }

    /// All its processes as of now; none for a peer without.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.child
            .iter()
            .flat_map(|child| cpu::family(child.id()))
            .collect()
    }

    fn wait_until_listening(&mut self, started: Instant) -> io::Result<()> {
        while std::net::TcpStream::connect(self.address).is_err() {
            if let Some(status) = self
                .child
                .as_mut()
                .map(Child::try_wait)
                .transpose()?
                .flatten()
            {
                return Err(io::Error::other(format!(
                    "ended before it listened ({status})"
                )));
            }
            if started.elapsed() > Duration::from_secs(10) {
                return Err(io::Error::other("does not listen after 10 s"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        // SIGTERM first: nginx ends its workers on it. What does not heed it within five seconds is killed.
        drop(Command::new("kill").arg(child.id().to_string()).status());
        for _ in 0..500 {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(child.kill());
        drop(child.wait());
    }
}

/// An address on which nobody listens; nothing keeps it free, but the kernel hands out others first.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}
