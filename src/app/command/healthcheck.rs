//! `healthcheck`: whether a proxy on this machine is alive, or ready, for what can only run a program to find out.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::app::to_open;
use crate::cli::HealthcheckArgs;
use crate::config::{self, Environment, Flags, Loaded};

/// Longest time for each of: connecting, writing the request, and reading a part of the answer. A proxy that is alive takes
/// none of note.
const LIMIT: Duration = Duration::from_secs(3);

/// Length of `HTTP/1.1 200`.
const STATUS_BYTES: usize = 12;

/// Asks at the admin address of the configuration, the same that `serve` would listen at.
pub(super) fn healthcheck(args: &HealthcheckArgs) -> anyhow::Result<()> {
    let Loaded { config, .. } = config::load(&Flags::from(args), &Environment::of_process())?;
    let address = to_open(config.admin);
    let path = if args.ready { "/readyz" } else { "/healthz" };
    let url = format!("http://{address}{path}");
    let head = ask(address, path).with_context(|| format!("{url} was not answered"))?;
    match head.strip_prefix(b"HTTP/1.1 ") {
        Some(b"200") => writeln!(io::stdout(), "{url}: 200")?,
        Some(status) => bail!("{url} was answered with status {}", status.escape_ascii()),
        None => bail!("{url} was answered by something that is not streamgauge"),
    }
    Ok(())
}

/// The first bytes of the answer.
fn ask(address: SocketAddr, path: &str) -> io::Result<[u8; STATUS_BYTES]> {
    let mut connection = TcpStream::connect_timeout(&address, LIMIT)?;
    connection.set_write_timeout(Some(LIMIT))?;
    connection.set_read_timeout(Some(LIMIT))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes())?;
    let mut head = [0; STATUS_BYTES];
    connection.read_exact(&mut head)?;
    Ok(head)
}
