//! The proxy under test, by its defaults and with everything on.

use std::io;
use std::net::SocketAddr;
use std::process::Command;

use super::{Links, MEASURED, Manner, Peer, Site};
use crate::support::process;
use crate::support::streamgauge::{self, Target};

/// By its defaults.
pub(super) struct Streamgauge;

impl Peer for Streamgauge {
    fn name(&self) -> &'static str {
        MEASURED
    }

    fn command(&self, site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
        let upstream = Target {
            address: site.upstream,
            side: site.link.upstream(),
            certificate: &site.certificate,
        };
        let mut command = streamgauge::command(listen, site.admin, &upstream, site.collector);
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

/// Another build of it. Only where it is named.
pub(super) struct Other;

/// The program of that build.
const OTHER: &str = "BENCH_OTHER";

impl Peer for Other {
    fn name(&self) -> &'static str {
        "streamgauge-other"
    }

    fn command(&self, site: &Site, listen: SocketAddr) -> io::Result<Option<Command>> {
        let program = std::env::var_os(OTHER).ok_or_else(|| {
            io::Error::other(format!("{OTHER} is to name the program of another build"))
        })?;
        let command = Streamgauge.command(site, listen)?;
        Ok(command.map(|command| process::replaced(&program, &command)))
    }

    fn version(&self) -> Option<Command> {
        let mut command = Command::new(std::env::var_os(OTHER)?);
        command.arg("--version");
        Some(command)
    }

    fn is_installed(&self) -> bool {
        false
    }

    fn manner(&self) -> Manner {
        Streamgauge.manner()
    }
}

/// streamgauge as it costs most: what is said in every call is looked through and stored in a folder. Only where it is named.
pub(super) struct Storing;

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
