//! nginx as a plain streaming proxy, the reference.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::process::Command;

use super::{Links, Manner, Peer, REFERENCE, Site};
use crate::support::link::ClientSide;
use crate::support::secure;

/// nginx with so many workers.
pub(super) struct Nginx {
    name: &'static str,
    /// `None` for one on each core that it may use.
    workers: Option<usize>,
}

/// As Debian ships it.
pub(super) const NGINX: Nginx = Nginx {
    name: REFERENCE,
    workers: None,
};

/// With one worker, whatever cores there are.
pub(super) const ONE_WORKER: Nginx = Nginx {
    name: super::ONE_WORKER,
    workers: Some(1),
};

/// Connections of a worker, on both sides, in works without many streams.
const CONNECTIONS: usize = 10_000;

impl Peer for Nginx {
    fn name(&self) -> &'static str {
        self.name
    }

    fn command(&self, site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
        let file = site.folder.join("nginx.conf");
        let listen_as = match site.link.client() {
            ClientSide::Http1 => "",
            ClientSide::Http2 => " http2",
            ClientSide::Http2Tls => " ssl http2",
        };
        // Two for each stream. Not more than it needs, as each takes memory from the start on.
        let connections = CONNECTIONS.max(2 * site.streams + 1000);
        let conf = include_str!("nginx.conf")
            .replace("@folder@", &site.folder.to_string_lossy())
            .replace("@upstream@", &site.upstream.to_string())
            .replace("@listen@", &listen.to_string())
            .replace("@listen_as@", listen_as)
            .replace("@connections@", &connections.to_string())
            .replace("@scheme@", site.link.upstream().scheme())
            .replace("@name@", secure::NAME)
            .replace("@certificate@", &site.certificate.to_string_lossy())
            .replace("@key@", &site.key.to_string_lossy())
            .replace("@workers@", &self.workers.unwrap_or(site.cores).to_string());
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
