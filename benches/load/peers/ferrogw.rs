//! Ferro Labs' gateway (Go).

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::process::Command;

use super::installed::{found, python_version};
use super::{Manner, Peer, Site};

/// The peer.
pub(super) struct Ferrogw;

impl Peer for Ferrogw {
    fn name(&self) -> &'static str {
        "ferrogw"
    }

    fn command(&self, site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
        let file = site.folder.join("ferrogw.yaml");
        fs::write(&file, include_str!("ferrogw.yaml"))?;
        let mut command = Command::new(found("ferrogw").unwrap_or_default());
        command
            .arg("serve")
            // What it writes beside the log goes to its own folder.
            .current_dir(&site.folder)
            .env("GATEWAY_CONFIG", file)
            .env("PORT", listen.port().to_string())
            .env("LOG_LEVEL", "warn")
            .env("OPENAI_API_KEY", "sk-bench")
            .env("OPENAI_BASE_URL", format!("http://{}/v1", site.upstream))
            .env("MASTER_KEY", "fgw_0123456789abcdef0123456789abcdef")
            // Else each request has its key looked up.
            .env("ALLOW_UNAUTHENTICATED_PROXY", "true")
            // Else a client has few requests a second.
            .env("RATE_LIMIT_RPS", "1000000")
            .env("RATE_LIMIT_BURST", "1000000");
        Ok(Some(command))
    }

    fn version(&self) -> Option<Command> {
        python_version("ferrogw", "ferrogw")
    }

    fn is_installed(&self) -> bool {
        found("ferrogw").is_some()
    }

    fn manner(&self) -> Manner {
        Manner {
            restates: true,
            drops_headers: true,
            ..Manner::default()
        }
    }
}
