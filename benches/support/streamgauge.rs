//! The proxy under test, as its users run it: every vocabulary that is on by default, every request sampled, spans and
//! metrics pushed to a live OTLP receiver.

use std::net::SocketAddr;
use std::process::Command;

/// Its executable.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_streamgauge");

/// The command that starts it between a listener and an upstream, whose URL is given without a path.
pub(crate) fn command(
    listen: SocketAddr,
    admin: SocketAddr,
    upstream: &str,
    collector: SocketAddr,
) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .arg("serve")
        .args(["--listen", &listen.to_string()])
        .args(["--admin", &admin.to_string()])
        .args(["--upstream", &format!("{upstream}/v1")])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}"))
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    command
}
