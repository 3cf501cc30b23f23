//! LiteLLM's proxy (Python).

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::process::Command;

use super::installed::{found, python_version};
use super::{Manner, Peer, Site};

/// LiteLLM's proxy (Python), a worker process for each core.
pub(super) struct LiteLlm;

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
