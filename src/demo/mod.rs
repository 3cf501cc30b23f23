//! The demo: sample traffic through a running proxy to a simulated upstream, and what streamgauge measured of it.
//!
//! Every figure comes from the live sink, none from the clients here, so that what is printed is what the proxy saw.
//! It is given addresses and the live sink, and does not know how the proxy is built or run.

mod tally;
mod traffic;

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::sink::live::Live;
use crate::tap::Counters;

use tally::Tally;

/// Between two looks at the live sink; its ring holds far more than ends in that time.
const LOOK: Duration = Duration::from_millis(250);
/// Looks between two summary lines.
const LOOKS_A_LINE: u32 = 12;

/// A running proxy.
#[derive(Debug, Clone)]
pub struct Site {
    /// Where clients connect.
    pub proxy: SocketAddr,
    /// Where the page and the metrics are.
    pub admin: SocketAddr,
    /// What it measured.
    pub live: Arc<Live>,
    /// How many exchanges there were and are.
    pub counters: Arc<Counters>,
}

/// The preferred address where it is free, else the same host with any free port, and a note of it.
///
/// # Errors
///
/// Where the host is not ours to listen on, or `out` cannot be written.
pub fn free_address(preferred: SocketAddr, out: &mut impl Write) -> io::Result<SocketAddr> {
    match TcpListener::bind(preferred) {
        Ok(_) => Ok(preferred),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let free = TcpListener::bind((preferred.ip(), 0))?.local_addr()?;
            writeln!(out, "note: {preferred} is in use, using {free} instead")?;
            Ok(free)
        }
        Err(error) => Err(error),
    }
}

/// Runs sample traffic and reports on it, for a given time or until `stop` is done, and ends with a table.
///
/// # Errors
///
/// Where `out` cannot be written.
pub async fn run(
    site: &Site,
    lasting: Option<Duration>,
    stop: impl Future<Output = ()>,
    out: &mut impl Write,
) -> io::Result<()> {
    introduce(site, lasting, out)?;
    let start = Instant::now();
    let clients = traffic::start(site.proxy);
    let mut tally = Tally::default();
    let mut looks = interval_at(start + LOOK, LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut looked = 0;
    let over = async {
        match lasting {
            Some(lasting) => tokio::time::sleep(lasting).await,
            None => std::future::pending().await,
        }
    };
    let mut over = std::pin::pin!(over);
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            _ = looks.tick() => {
                tally.read(&site.live);
                looked += 1;
                if looked % LOOKS_A_LINE == 0 {
                    writeln!(out, "{}", tally.line(start.elapsed(), site.counters.in_flight()))?;
                    out.flush()?;
                }
            }
            () = &mut over => break,
            () = &mut stop => break,
        }
    }
    // The clients go after the last look: what they leave unfinished is no departure worth counting.
    tally.read(&site.live);
    drop(clients);
    writeln!(out, "\n{}", tally.table())?;
    out.flush()
}

fn introduce(site: &Site, lasting: Option<Duration>, out: &mut impl Write) -> io::Result<()> {
    let Site { proxy, admin, .. } = site;
    let end = lasting.map_or_else(
        || "until Ctrl-C".to_owned(),
        |lasting| format!("for {}", tally::human(lasting)),
    );
    writeln!(
        out,
        r#"streamgauge demo: a simulated upstream, sample traffic and the proxy in one process, {end}

  live page  http://{admin}/
  metrics    http://{admin}/metrics
  proxy      http://{proxy}/v1

Try it:

  curl -N http://{proxy}/v1/chat/completions -H 'content-type: application/json' \
    -d '{{"model":"sim-chat","stream":true,"messages":[{{"role":"user","content":"How high is the river?"}}]}}'

  OPENAI_BASE_URL=http://{proxy}/v1 OPENAI_API_KEY=none python3 -c "import openai; \
    [print(c.choices[0].delta.content or '', end='', flush=True) for c in openai.OpenAI().chat.completions.create( \
    model='sim-chat', stream=True, messages=[{{'role': 'user', 'content': 'How high is the river?'}}])]"

GET http://{proxy}/v1/models lists the simulated models: fast, slow, failing and others.
"#
    )?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{Simulator, SimulatorConfig};

    #[test]
    fn a_taken_port_gives_way_to_a_free_one() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let mut out = Vec::new();
        let other = free_address(address, &mut out).unwrap();
        assert_ne!(other, address);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!("note: {address} is in use, using {other} instead\n")
        );
        assert_eq!(other.ip(), address.ip());
        drop(taken);
        assert_eq!(free_address(address, &mut io::sink()).unwrap(), address);
    }

    #[tokio::test(start_paused = true)]
    async fn the_traffic_is_varied_and_ends_by_itself() {
        let config = SimulatorConfig {
            keep_requests: 1000,
            ..SimulatorConfig::default()
        };
        let upstream = Simulator::new(config).start().await.unwrap();
        let site = Site {
            proxy: upstream.address(),
            admin: upstream.address(),
            live: Arc::default(),
            counters: Arc::default(),
        };
        let mut out = Vec::new();
        // A moment longer than twenty lines take, so that the last of them and the end do not coincide.
        let lasting = Duration::from_secs(61);
        run(&site, Some(lasting), std::future::pending(), &mut out)
            .await
            .unwrap();
        let seen = upstream.record().requests();
        for word in [
            "sim-chat",
            "sim-slow",
            "sim-cut",
            "\"role\":\"tool\"",
            "sim-error-429",
        ] {
            let sent = seen
                .iter()
                .any(|seen| String::from_utf8_lossy(&seen.body).contains(word));
            assert!(sent, "{word}");
        }
        assert!(upstream.record().counts().left > 0);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(&format!(
            "curl -N http://{}/v1/chat/completions",
            site.proxy
        )));
        assert_eq!(text.matches("in flight").count(), 20);
    }
}
