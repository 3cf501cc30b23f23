//! HAProxy as a plain streaming proxy.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::process::Command;

use super::installed::found;
use super::{Peer, Site};

/// Connections of clients, in works without many streams: with those to the upstream, as many as 20,000 open files hold.
const CONNECTIONS: usize = 9_000;

/// The peer.
pub(super) struct Haproxy;

impl Peer for Haproxy {
    fn name(&self) -> &'static str {
        "haproxy"
    }

    fn command(&self, site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
        let file = site.folder.join("haproxy.cfg");
        let connections = CONNECTIONS.max(site.streams + 100);
        let config = include_str!("haproxy.cfg")
            .replace("@listen@", &listen.to_string())
            .replace("@admin@", &site.admin.to_string())
            .replace("@upstream@", &site.upstream.to_string())
            .replace("@connections@", &connections.to_string())
            .replace("@cores@", &site.cores.to_string());
        fs::write(&file, config)?;
        let mut command = Command::new(found("haproxy").unwrap_or_default());
        // In the foreground.
        command.arg("-db").arg("-f").arg(file);
        Ok(Some(command))
    }

    fn version(&self) -> Option<Command> {
        let mut command = Command::new("sh");
        // `HAProxy version 2.6.12-1 2026/01/31 - https://haproxy.org/`
        command.args([
            "-c",
            "\"$0\" -v | sed -n '1s/.*version \\([^ ]*\\).*/\\1/p'",
        ]);
        command.arg(found("haproxy")?);
        Some(command)
    }

    fn is_installed(&self) -> bool {
        found("haproxy").is_some()
    }
}
