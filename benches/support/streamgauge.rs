//! The proxy under test, as its users run it: every vocabulary that is on by default, every request sampled, spans and
//! metrics pushed to a live OTLP receiver.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::link::UpstreamSide;

/// Its executable.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_streamgauge");

/// Where it shall send requests.
pub(crate) struct Target<'a> {
    /// Where the upstream listens.
    pub(crate) address: SocketAddr,
    /// What it speaks.
    pub(crate) side: UpstreamSide,
    /// The file of the certificate that it shows, where it speaks by TLS.
    pub(crate) certificate: &'a Path,
}

/// The command that starts it between a listener and an upstream.
pub(crate) fn command(
    listen: SocketAddr,
    admin: SocketAddr,
    upstream: &Target<'_>,
    collector: SocketAddr,
) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .arg("serve")
        .args(["--listen", &listen.to_string()])
        .args(["--admin", &admin.to_string()])
        .args([
            "--upstream",
            &format!("{}://{}/v1", upstream.side.scheme(), upstream.address),
        ])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}"))
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    if upstream.side != UpstreamSide::Plain {
        command.env("STREAMGAUGE_UPSTREAM_TLS_CA", upstream.certificate);
    }
    command
}
