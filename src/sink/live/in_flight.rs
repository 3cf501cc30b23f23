//! Exchanges that have begun and not ended, as the last look has found them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::sink::{ExchangeId, Progress};

/// Longest text of an exchange in flight, in characters; model names and paths are the client's to choose.
const TEXT_CHARS: usize = 120;
/// In-flight exchanges a snapshot shows one by one.
pub(super) const SHOWN: usize = 200;

/// An exchange that has begun and not ended. Every `None` is "not yet" or "does not apply".
#[derive(Debug, Clone)]
pub struct InFlight {
    /// Its identity.
    pub id: ExchangeId,
    /// Request method.
    pub method: Box<str>,
    /// Request path, cut where it is long.
    pub path: Box<str>,
    /// The requested model.
    pub model: Option<Box<str>>,
    /// Name of the upstream.
    pub upstream: Option<Box<str>>,
    /// How long it has been in flight, when the snapshot was taken.
    pub age: Duration,
    /// Whether the upstream has answered.
    pub answered: bool,
    /// SSE events with generated output so far.
    pub chunks: Option<u64>,
    /// Time to first token.
    pub time_to_first_token: Option<Duration>,
    /// How long ago output came last.
    pub since_last_output: Option<Duration>,
}

/// The state of things at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// All exchanges in flight, shown or not.
    pub in_flight_count: usize,
    /// In flight by the name of the upstream.
    pub by_upstream: BTreeMap<Box<str>, u64>,
    /// The oldest exchanges in flight, oldest first.
    pub in_flight: Vec<InFlight>,
}

/// What a look has seen, by the order in which exchanges began.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<ExchangeId, One>);

#[derive(Debug)]
struct One {
    method: Box<str>,
    path: Box<str>,
    model: Option<Box<str>>,
    upstream: Option<Box<str>>,
    received: Instant,
    answered: bool,
    chunks: Option<u64>,
    time_to_first_token: Option<Duration>,
    last_output: Option<Instant>,
}

impl Seen {
    /// What the last look has found and the next one does not is over, or its observer has given up.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn see(&mut self, progress: &Progress<'_>) {
        let seen = One {
            method: cut(progress.method),
            path: cut(progress.path),
            model: progress.model.map(cut),
            upstream: progress.upstream.map(cut),
            received: progress.received,
            answered: progress.answered,
            chunks: progress.chunks,
            time_to_first_token: progress.time_to_first_token,
            last_output: progress.last_output,
        };
        self.0.insert(progress.id, seen);
    }

    pub(super) fn over(&mut self, id: ExchangeId) {
        self.0.remove(&id);
    }

    pub(super) fn snapshot(&self, now: Instant) -> Snapshot {
        let ago = |at| now.saturating_duration_since(at);
        let shown = self.0.iter().take(SHOWN);
        let mut by_upstream = BTreeMap::new();
        for upstream in self.0.values().filter_map(|seen| seen.upstream.clone()) {
            *by_upstream.entry(upstream).or_default() += 1;
        }
        Snapshot {
            in_flight_count: self.0.len(),
            by_upstream,
            in_flight: shown
                .map(|(id, seen)| InFlight {
                    id: *id,
                    method: seen.method.clone(),
                    path: seen.path.clone(),
                    model: seen.model.clone(),
                    upstream: seen.upstream.clone(),
                    age: ago(seen.received),
                    answered: seen.answered,
                    chunks: seen.chunks,
                    time_to_first_token: seen.time_to_first_token,
                    since_last_output: seen.last_output.map(ago),
                })
                .collect(),
        }
    }
}

/// A text cut to what is kept of it, an ellipsis in place of the rest.
fn cut(text: &str) -> Box<str> {
    match text.char_indices().nth(TEXT_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]).into(),
        None => text.into(),
    }
}
