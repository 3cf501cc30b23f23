//! The live sink: which exchanges are in flight, and small rows of those that ended lately.
//!
//! It keeps facts for a screen, never a body, a header or a query, and is bounded on every side: strings a client
//! chooses are cut, and the rows are a ring. It knows no other sink and nothing of HTTP or JSON.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::exchange::{End, Exchange};

use super::{ExchangeId, Sink, Started};

/// Longest text of a row, in characters; model names and paths are the client's to choose.
const TEXT_CHARS: usize = 120;
/// In-flight exchanges a snapshot shows one by one.
const IN_FLIGHT_SHOWN: usize = 200;

/// An exchange that has begun and not ended.
#[derive(Debug, Clone)]
pub struct InFlight {
    /// Its identity.
    pub id: ExchangeId,
    /// Request method.
    pub method: Box<str>,
    /// Request path, cut where it is long.
    pub path: Box<str>,
    /// How long it has been in flight, when the snapshot was taken.
    pub age: Duration,
}

/// A finished exchange, in brief. Every `None` is "not observed" or "does not apply".
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Position in the order of ending, from 1; a gap between two rows means that the ring has dropped some.
    pub sequence: u64,
    /// When it began.
    pub started_at: SystemTime,
    /// Request method.
    pub method: Box<str>,
    /// Request path, cut where it is long.
    pub path: Box<str>,
    /// Whether it was an inference call.
    pub inference: bool,
    /// The requested model, else the one that answered.
    pub model: Option<Box<str>>,
    /// Name of the upstream.
    pub upstream: Option<Arc<str>>,
    /// HTTP status sent to the client.
    pub status: Option<u16>,
    /// How it ended.
    pub end: End,
    /// `error.type`.
    pub error: Option<Box<str>>,
    /// Whether the response was a stream of events.
    pub streamed: bool,
    /// Time to first token.
    pub time_to_first_token: Option<Duration>,
    /// Mean time per output token after the first.
    pub time_per_output_token: Option<Duration>,
    /// From the request's head to the end.
    pub duration: Duration,
    /// SSE events with generated output.
    pub chunks: Option<u64>,
    /// Input tokens, as reported.
    pub input_tokens: Option<u64>,
    /// Output tokens, as reported.
    pub output_tokens: Option<u64>,
    /// Tool calls the model asked for.
    pub tool_calls: u64,
}

/// The state of things at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// All exchanges in flight, shown or not.
    pub in_flight_count: usize,
    /// The oldest exchanges in flight, oldest first.
    pub in_flight: Vec<InFlight>,
    /// All exchanges that have ended since the start.
    pub finished_count: u64,
    /// Those that ended lately, newest first.
    pub recent: Vec<Row>,
}

/// Keeps what is in flight and what ended lately.
#[derive(Debug)]
pub struct Live {
    keep: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    in_flight: BTreeMap<ExchangeId, Began>,
    finished_count: u64,
    recent: VecDeque<Row>,
}

#[derive(Debug)]
struct Began {
    method: Box<str>,
    path: Box<str>,
    at: Instant,
}

impl Default for Live {
    /// Keeps 200 rows.
    fn default() -> Self {
        Self::new(200)
    }
}

impl Live {
    /// Keeps the newest `keep` rows.
    #[must_use]
    pub fn new(keep: usize) -> Self {
        Self {
            keep,
            state: Mutex::default(),
        }
    }

    /// Everything a screen shows.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = Instant::now();
        let state = self.state();
        let shown = state.in_flight.iter().take(IN_FLIGHT_SHOWN);
        Snapshot {
            in_flight_count: state.in_flight.len(),
            in_flight: shown
                .map(|(id, began)| InFlight {
                    id: *id,
                    method: began.method.clone(),
                    path: began.path.clone(),
                    age: now.saturating_duration_since(began.at),
                })
                .collect(),
            finished_count: state.finished_count,
            recent: state.recent.iter().rev().cloned().collect(),
        }
    }

    /// How many exchanges are in flight.
    #[must_use]
    pub fn in_flight_count(&self) -> usize {
        self.state().in_flight.len()
    }

    /// The kept rows after a [`Row::sequence`], oldest first; from 0 all of them.
    #[must_use]
    pub fn finished_since(&self, sequence: u64) -> Vec<Row> {
        let state = self.state();
        let new = state.finished_count.saturating_sub(sequence);
        let skip = state
            .recent
            .len()
            .saturating_sub(usize::try_from(new).unwrap_or(usize::MAX));
        state.recent.iter().skip(skip).cloned().collect()
    }

    /// No code of ours can panic while it holds the lock half way through a change.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Live {
    fn started(&self, exchange: &Started<'_>) {
        let began = Began {
            method: cut(exchange.method),
            path: cut(exchange.path),
            at: Instant::now(),
        };
        self.state().in_flight.insert(exchange.id, began);
    }

    fn finished(&self, id: ExchangeId, exchange: &Arc<Exchange>) {
        let mut row = row(exchange);
        let mut state = self.state();
        state.in_flight.remove(&id);
        state.finished_count += 1;
        row.sequence = state.finished_count;
        if state.recent.len() >= self.keep {
            state.recent.pop_front();
        }
        if self.keep > 0 {
            state.recent.push_back(row);
        }
    }
}

fn row(exchange: &Exchange) -> Row {
    let model = exchange
        .request
        .model
        .as_ref()
        .or(exchange.response.model.as_ref());
    Row {
        sequence: 0,
        started_at: exchange.started_at,
        method: cut(&exchange.http.method),
        path: cut(&exchange.http.path),
        inference: exchange.call.is_some(),
        model: model.map(|model| cut(model)),
        upstream: exchange
            .upstream
            .as_ref()
            .map(|upstream| Arc::clone(&upstream.name)),
        status: exchange.http.status,
        end: exchange.end,
        error: exchange.failure.as_ref().map(|failure| cut(&failure.kind)),
        streamed: exchange.response.streamed,
        time_to_first_token: exchange.time_to_first_token(),
        time_per_output_token: exchange.time_per_output_token(),
        duration: exchange.times.end,
        chunks: exchange.flow.chunks,
        input_tokens: exchange.reported_input_tokens(),
        output_tokens: exchange.reported_output_tokens(),
        tool_calls: exchange.response.tool_calls.len() as u64,
    }
}

/// A text cut to what a row holds, an ellipsis in place of the rest.
fn cut(text: &str) -> Box<str> {
    // A character has at least a byte: most texts need no counting.
    if text.len() <= TEXT_CHARS {
        return text.into();
    }
    match text.char_indices().nth(TEXT_CHARS) {
        None => text.into(),
        Some((at, _)) => format!("{}…", &text[..at]).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{
        Flow, Http, Problems, Quirks, Request, Response, Times, Unknowns, Usage,
    };

    fn exchange(model: &str) -> Arc<Exchange> {
        Arc::new(Exchange {
            started_at: SystemTime::UNIX_EPOCH,
            call: None,
            of_session: false,
            http: Http {
                status: Some(200),
                ..Http::default()
            },
            trace: None,
            attempts: Vec::new(),
            upstream: None,
            request: Request {
                model: Some(model.to_owned()),
                ..Request::default()
            },
            response: Response {
                streamed: true,
                ..Response::default()
            },
            usage: Usage {
                output_tokens: Some(0),
                ..Usage::default()
            },
            rate_limits: Vec::new(),
            times: Times {
                request_end: Some(Duration::from_millis(10)),
                first_token: Some(Duration::from_millis(110)),
                ..Times::default()
            },
            flow: Flow::default(),
            end: End::Done,
            failure: None,
            integrity: None,
            problems: Problems::default(),
            quirks: Quirks::default(),
            unknown: Unknowns::default(),
        })
    }

    fn begin(live: &Live, id: u64) {
        live.started(&Started {
            id: ExchangeId(id),
            method: "POST",
            path: "/v1/chat/completions",
        });
    }

    #[test]
    fn an_exchange_is_in_flight_until_it_has_finished() {
        let live = Live::default();
        begin(&live, 1);
        begin(&live, 2);
        live.finished(ExchangeId(1), &exchange("m"));
        let snapshot = live.snapshot();
        assert_eq!(snapshot.in_flight_count, 1);
        assert_eq!(snapshot.in_flight[0].id, ExchangeId(2));
        assert_eq!(snapshot.recent.len(), 1);
    }

    #[test]
    fn the_ring_keeps_the_newest_rows_newest_first() {
        let live = Live::new(3);
        for id in 1..=5 {
            live.finished(ExchangeId(id), &exchange("m"));
        }
        let snapshot = live.snapshot();
        let sequences: Vec<_> = snapshot.recent.iter().map(|row| row.sequence).collect();
        assert_eq!(sequences, [5, 4, 3]);
        assert_eq!(snapshot.finished_count, 5);
    }

    #[test]
    fn rows_since_a_sequence_are_the_newer_ones_that_are_kept() {
        let live = Live::new(3);
        for id in 1..=5 {
            live.finished(ExchangeId(id), &exchange("m"));
        }
        let since = |sequence| -> Vec<u64> {
            live.finished_since(sequence)
                .iter()
                .map(|row| row.sequence)
                .collect()
        };
        assert_eq!(since(0), [3, 4, 5]);
        assert_eq!(since(4), [5]);
        assert_eq!(since(5), [] as [u64; 0]);
        assert_eq!(since(9), [] as [u64; 0]);
    }

    #[test]
    fn in_flight_exchanges_are_counted_beyond_those_shown() {
        let live = Live::default();
        for id in 0..IN_FLIGHT_SHOWN as u64 + 5 {
            begin(&live, id);
        }
        let snapshot = live.snapshot();
        assert_eq!(snapshot.in_flight.len(), IN_FLIGHT_SHOWN);
        assert_eq!(snapshot.in_flight_count, IN_FLIGHT_SHOWN + 5);
    }

    #[test]
    fn unknown_stays_absent_and_zero_stays_zero() {
        let live = Live::default();
        live.finished(ExchangeId(1), &exchange("m"));
        let row = live.finished_since(0).remove(0);
        assert_eq!(row.time_to_first_token, Some(Duration::from_millis(100)));
        assert_eq!(row.output_tokens, Some(0));
        assert_eq!(
            (row.input_tokens, row.error, row.upstream),
            (None, None, None)
        );
    }

    #[test]
    fn a_long_model_name_is_cut_between_characters() {
        let live = Live::default();
        live.finished(ExchangeId(1), &exchange(&"é".repeat(TEXT_CHARS + 1)));
        live.finished(ExchangeId(2), &exchange(&"é".repeat(TEXT_CHARS)));
        let rows = live.finished_since(0);
        assert_eq!(
            rows[0].model.as_deref(),
            Some(&*format!("{}…", "é".repeat(TEXT_CHARS)))
        );
        assert_eq!(rows[1].model.as_deref(), Some(&*"é".repeat(TEXT_CHARS)));
    }
}
