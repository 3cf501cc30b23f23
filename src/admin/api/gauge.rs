//! The gauge itself: `/api/gauge`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

use super::asked::Asked;
use super::{Wrong, as_json, worked_out};
use crate::admin::AdminState;
use crate::exchange::Integrity;
use crate::sink::live::Snapshot;
use crate::version::{COMMIT, VERSION};
use crate::view::{Entry, clock_ms, ms, shown};

/// What the process says of itself.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Resident memory; `None` where the system does not say.
    pub memory_bytes: Option<u64>,
    /// Threads; `None` likewise.
    pub threads: Option<u64>,
    /// Where telemetry goes.
    pub exporters: Vec<Exporter>,
    /// What waits.
    pub queues: Vec<QueueFacts>,
    /// The upstreams of the configuration.
    pub upstreams: Vec<UpstreamFacts>,
    /// The configuration in force.
    pub config: Vec<ConfigEntry>,
}

/// An upstream of the configuration.
#[derive(Debug, Clone)]
pub struct UpstreamFacts {
    /// Its name.
    pub name: String,
    /// Its base URL, without credentials.
    pub url: String,
    /// Whose models it has, where the configuration or the host says it.
    pub provider: Option<String>,
}

shown! {
    /// Where a signal goes.
    pub struct Exporter {
        /// `traces`, `metrics` or `logs`.
        pub signal: String,
        /// Where to; `null` where it is not pushed.
        pub url: Option<String>,
        /// `off`, `ok`, or `failing` since the last export has failed.
        pub state: String,
        /// Spans, points or log records that a receiver took.
        pub exported: u64,
        /// Exports that failed, retries included in one.
        pub failed: u64,
        /// Spans, points or log records that were lost.
        pub dropped: u64,
        /// Why the last failed export failed; `null` where none has.
        pub last_error: Option<String>,
    }
}

shown! {
    /// A queue.
    pub struct QueueFacts {
        /// What waits in it.
        pub name: String,
        /// How much waits.
        pub waiting: u64,
        /// The most that may wait; `null` where it is bounded by bytes.
        pub bound: Option<u64>,
        /// How much did not fit, or was lost.
        pub dropped: u64,
    }
}

shown! {
    /// A setting in force.
    pub struct ConfigEntry {
        /// Its path in the file.
        pub key: String,
        /// Its value as TOML, secrets masked.
        pub value: String,
        /// Where it comes from: `flag`, `environment`, `file` or `default`.
        pub source: String,
    }
}

shown! {
    /// What the proxy itself takes of a call, over the calls in memory.
    pub(super) struct Overhead {
        /// The median.
        pub(super) p50: Option<f64>,
        /// The 99th percentile.
        pub(super) p99: Option<f64>,
    }
}

shown! {
    /// What comparing the bytes of responses has shown, since the start.
    pub(super) struct IntegrityCounts {
        /// The client got exactly the upstream's bytes.
        pub(super) equal: u64,
        /// The client left early; it got a prefix of them.
        pub(super) prefix: u64,
        /// Equal but for the usage event that was asked for on its behalf.
        pub(super) usage_removed: u64,
        /// Equal but for lines that keep a waiting client's connection open.
        pub(super) keep_alive: u64,
        /// Equal, and such a usage event could not be taken out.
        pub(super) usage_left: u64,
        /// Not equal: a fault of streamgauge.
        pub(super) different: u64,
    }
}

shown! {
    /// An upstream of the configuration.
    pub(super) struct UpstreamState {
        /// Its name.
        pub(super) name: String,
        /// Its base URL, without credentials.
        pub(super) url: String,
        /// Whose models it has.
        pub(super) provider: Option<String>,
        /// Its exchanges among those that are kept.
        pub(super) requests: u64,
        /// Those that failed.
        pub(super) errors: u64,
        /// Its exchanges in flight.
        pub(super) in_flight: u64,
        /// `error.type` of the last that failed.
        pub(super) last_error: Option<String>,
    }
}

shown! {
    /// How much of the history is in memory.
    pub(super) struct HistoryFacts {
        /// Exchanges.
        pub(super) exchanges: u64,
        /// Bytes.
        pub(super) bytes: u64,
    }
}

shown! {
    /// The gauge itself.
    pub(super) struct GaugeFacts {
        /// Version of streamgauge.
        pub(super) version: String,
        /// The commit that it was built from; `null` where the build did not say.
        pub(super) commit: Option<String>,
        /// When the process began, in ms since 1970.
        pub(super) started_at_ms: u64,
        /// Whether it takes new requests.
        pub(super) ready: bool,
        /// Resident memory.
        pub(super) memory_bytes: Option<u64>,
        /// Threads.
        pub(super) threads: Option<u64>,
        /// What the proxy itself takes of a call.
        pub(super) overhead_ms: Overhead,
        /// Where telemetry goes.
        pub(super) exporters: Vec<Exporter>,
        /// What waits.
        pub(super) queues: Vec<QueueFacts>,
        /// What comparing the bytes of responses has shown.
        pub(super) integrity: IntegrityCounts,
        /// The upstreams of the configuration.
        pub(super) upstreams: Vec<UpstreamState>,
        /// How much is kept.
        pub(super) history: HistoryFacts,
        /// The configuration in force, as `streamgauge check` shows it.
        pub(super) config: Vec<ConfigEntry>,
    }
}

pub(super) async fn show(State(state): State<AdminState>, uri: Uri) -> Result<Response, Wrong> {
    Asked::of(&uri, &[])?;
    let snapshot = state.live.snapshot((state.look)()).await;
    worked_out(move || as_json(&facts(&state, &snapshot))).await
}

fn facts(state: &AdminState, snapshot: &Snapshot) -> GaugeFacts {
    let about = (state.about)();
    let entries = state.live.all();
    let kept = state.live.kept();
    GaugeFacts {
        version: VERSION.to_owned(),
        commit: COMMIT.map(str::to_owned),
        started_at_ms: clock_ms(state.started_at),
        ready: state.ready.load(Ordering::Relaxed),
        memory_bytes: about.memory_bytes,
        threads: about.threads,
        overhead_ms: overhead(&entries),
        exporters: about.exporters,
        queues: about.queues,
        integrity: integrity(state.live.integrity()),
        upstreams: upstreams(&about.upstreams, &entries, snapshot),
        history: HistoryFacts {
            exchanges: kept.entries as u64,
            bytes: kept.bytes as u64,
        },
        config: about.config,
    }
}

fn overhead(entries: &[Entry]) -> Overhead {
    let exchanges = entries.iter().filter_map(Entry::exchange);
    let mut times: Vec<_> = exchanges.filter_map(|it| it.overhead()).collect();
    times.sort_unstable();
    let quantile = |percent: usize| {
        let rank = (times.len() * percent).div_ceil(100).max(1);
        times.get(rank - 1).copied().map(ms)
    };
    Overhead {
        p50: quantile(50),
        p99: quantile(99),
    }
}

const fn integrity(counts: [u64; Integrity::ALL.len()]) -> IntegrityCounts {
    let [
        equal,
        prefix,
        usage_removed,
        keep_alive,
        usage_left,
        different,
    ] = counts;
    IntegrityCounts {
        equal,
        prefix,
        usage_removed,
        keep_alive,
        usage_left,
        different,
    }
}

fn upstreams(
    configured: &[UpstreamFacts],
    entries: &[Entry],
    snapshot: &Snapshot,
) -> Vec<UpstreamState> {
    let mut sums: HashMap<Cow<'_, str>, (u64, u64, Option<String>)> = HashMap::new();
    for entry in entries {
        let row = entry.row();
        let Some(upstream) = row.upstream else {
            continue;
        };
        let (requests, errors, last_error) = sums.entry(upstream).or_default();
        *requests += 1;
        if let Some(error) = row.error {
            *errors += 1;
            *last_error = Some(error.into_owned());
        }
    }
    let state = |upstream: &UpstreamFacts| {
        let name = &*upstream.name;
        let (requests, errors, last_error) = sums.get(name).cloned().unwrap_or_default();
        UpstreamState {
            name: upstream.name.clone(),
            url: upstream.url.clone(),
            provider: upstream.provider.clone(),
            requests,
            errors,
            in_flight: snapshot.by_upstream.get(name).copied().unwrap_or_default(),
            last_error,
        }
    };
    configured.iter().map(state).collect()
}
