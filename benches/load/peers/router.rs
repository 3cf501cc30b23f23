//! The routers that serve models with vLLM and SGLang (Rust, hyper), which pass answers on as they are. One descends from
//! the other, and both are told the same in the same words.

use std::io;
use std::net::SocketAddr;
use std::process::Command;

use super::installed::{found, python_version};
use super::{Manner, Peer, Site};

/// One of them.
pub(super) struct Router {
    /// The peer, its program and its package.
    name: &'static str,
    /// What stands before its flags.
    command: &'static [&'static str],
    /// How it calls the level of warnings.
    warnings: &'static str,
    /// It passes no headers of a client on but those that it knows.
    drops_headers: bool,
}

/// vLLM's.
pub(super) const VLLM: Router = Router {
    name: "vllm-router",
    command: &[],
    warnings: "warning",
    drops_headers: false,
};

/// SGLang's.
pub(super) const SGLANG: Router = Router {
    name: "sglang-router",
    command: &["launch"],
    warnings: "warn",
    drops_headers: true,
};

impl Peer for Router {
    fn name(&self) -> &'static str {
        self.name
    }

    fn command(&self, site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
        let mut command = Command::new(found(self.name).unwrap_or_default());
        command
            .args(self.command)
            .args(["--host", "127.0.0.1", "--port", &listen.port().to_string()])
            .args(["--worker-urls", &format!("http://{}", site.upstream)])
            .args(["--prometheus-port", &site.admin.port().to_string()])
            .args(["--policy", "round_robin", "--log-level", self.warnings])
            .args(["--max-concurrent-requests", "20000"]);
        Ok(Some(command))
    }

    fn version(&self) -> Option<Command> {
        python_version(self.name, self.name)
    }

    fn is_installed(&self) -> bool {
        found(self.name).is_some()
    }

    fn manner(&self) -> Manner {
        Manner {
            drops_headers: self.drops_headers,
            serves_late: true,
            ..Manner::default()
        }
    }
}
