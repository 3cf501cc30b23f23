//! The routers that serve models with vLLM and SGLang (Rust, hyper), which pass answers on as they are. One descends from
//! the other, and both are told the same in the same words.

use std::io;
use std::net::SocketAddr;
use std::process::Command;

use super::installed::{found, python_version};
use super::{Peer, Site};

/// One of them.
pub(super) struct Router {
    /// The peer, its program and its package.
    name: &'static str,
}

/// vLLM's.
pub(super) const VLLM: Router = Router {
    name: "vllm-router",
};

impl Peer for Router {
    fn name(&self) -> &'static str {
        self.name
    }

    fn command(&self, site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
        let mut command = Command::new(found(self.name).unwrap_or_default());
        command
            .args(["--host", "127.0.0.1", "--port", &listen.port().to_string()])
            .args(["--worker-urls", &format!("http://{}", site.upstream)])
            .args(["--prometheus-port", &site.admin.port().to_string()])
            .args(["--policy", "round_robin", "--log-level", "warning"])
            .args(["--max-concurrent-requests", "20000"]);
        Ok(Some(command))
    }

    fn version(&self) -> Option<Command> {
        python_version(self.name, self.name)
    }

    fn is_installed(&self) -> bool {
        found(self.name).is_some()
    }
}
