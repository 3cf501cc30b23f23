//! `healthcheck`: whether a proxy on this machine is alive, or ready, for what can only run a program to find out.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::admin::VERSION_HEADER;
use crate::app::to_open;
use crate::cli::HealthcheckArgs;
use crate::config::{self, Environment, Flags, Loaded};

/// Longest time for each of: connecting, writing the request, and reading a part of the answer. A proxy that is alive takes
/// none of note.
const LIMIT: Duration = Duration::from_secs(3);

/// Most bytes of an answer that are read. The head of ours is well below.
const HEAD_BYTES: u64 = 16 << 10;

/// Asks at the admin address of the configuration, the same that `serve` would listen at.
pub(super) fn healthcheck(args: &HealthcheckArgs) -> anyhow::Result<()> {
    let Loaded { config, .. } = config::load(&Flags::from(args), &Environment::of_process())?;
    let address = to_open(config.admin);
    let path = if args.ready { "/readyz" } else { "/healthz" };
    let url = format!("http://{address}{path}");
    let head = ask(address, path).with_context(|| format!("{url} was not answered"))?;
    let Some(status) = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
    else {
        bail!("{url} was answered by something that is not streamgauge");
    };
    // The proxy's port forwards the request, and an upstream may have such a path too.
    if !is_of_admin(&head) {
        bail!(
            "{url} is not at the admin port of a streamgauge (it answered {}): set the address of the admin port, whose port \
             is 9464 by default, not that of the proxy",
            status.escape_debug()
        );
    }
    if status != "200" {
        bail!("{url} was answered with status {}", status.escape_debug());
    }
    writeln!(io::stdout(), "{url}: 200")?;
    Ok(())
}

/// Whether an answer has what every one of an admin port's probes has.
fn is_of_admin(head: &str) -> bool {
    let names = head.lines().filter_map(|line| line.split_once(':'));
    let mut names = names.map(|(name, _)| name);
    names.any(|name| name.eq_ignore_ascii_case(VERSION_HEADER.as_str()))
}

/// The head of the answer.
fn ask(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&address, LIMIT)?;
    connection.set_write_timeout(Some(LIMIT))?;
    connection.set_read_timeout(Some(LIMIT))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes())?;
    let mut head = String::new();
    let mut lines = BufReader::new(connection.take(HEAD_BYTES));
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 && !line.trim_ascii().is_empty() {
        head.push_str(&String::from_utf8_lossy(&line));
        line.clear();
        // What speaks otherwise may never send an empty line.
        if !head.starts_with("HTTP/") {
            break;
        }
    }
    if head.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(head)
}
