//! All of a run as one JSON document: the figures, the goals, and what a reader needs to judge them.

use std::collections::BTreeMap;
use std::fs;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::goals;
use crate::peers::Peer;
use crate::report::Report;
use crate::support::cpu;
use crate::works::Extent;

/// The document.
pub(crate) fn of(
    report: &Report,
    peers: &[&dyn Peer],
    extent: &Extent,
    rounds: usize,
    chunks_per_write: u64,
) -> Value {
    let versions: BTreeMap<String, String> = peers
        .iter()
        .filter_map(|peer| Some((peer.name().to_owned(), version(*peer)?)))
        .collect();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    json!({
        "date": today(),
        "cores": cpu::allowed().len(),
        "cpu": cpu_name(),
        "kernel": kernel.trim(),
        "versions": versions,
        "rounds": rounds,
        "seconds": extent.window.as_secs_f64(),
        "paced_streams": extent.streams,
        "chunks_per_write": chunks_per_write,
        "goals": goals::json(report),
        "figures": report.json(),
    })
}

/// The last word that a peer's version command prints, such as `nginx/1.22.1`.
fn version(peer: &dyn Peer) -> Option<String> {
    let output = peer.version()?.output().ok()?;
    // nginx tells it on standard error.
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let word = text.split_ascii_whitespace().next_back()?;
    Some(word.rsplit('/').next().unwrap_or(word).to_owned())
}

fn cpu_name() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or("unknown", |(_, name)| name.trim()).to_owned()
}

/// The date in UTC, as `2026-01-31`: Howard Hinnant's `civil_from_days`, for days after 1970.
fn today() -> String {
    let seconds = SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.as_secs());
    // Days since 0000-03-01, in eras of 400 years; years begin in March, so that a leap day is the last of its year.
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march_based = (5 * day + 2) / 153;
    let month = if march_based < 10 {
        march_based + 3
    } else {
        march_based - 9
    };
    let year = year + era * 400 + u64::from(month <= 2);
    let day = day - (153 * march_based + 2) / 5 + 1;
    format!("{year:04}-{month:02}-{day:02}")
}
