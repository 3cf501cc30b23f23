//! The live sink: which exchanges are in flight, and small rows of those that ended lately.
//!
//! It keeps facts for a screen, never a body, a header or a query, and is bounded on every side: strings a client
//! chooses are cut, and the rows are a ring. It knows no other sink and nothing of HTTP or JSON.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::exchange::{End, Exchange};

use super::{ExchangeId, Progress, Sink};

/// Longest text of a row, in characters; model names and paths are the client's to choose.
const TEXT_CHARS: usize = 120;
/// In-flight exchanges a snapshot shows one by one.
const IN_FLIGHT_SHOWN: usize = 200;

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

/// A finished exchange, in brief. Every `None` is "not observed" or "does not apply".
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Position in the order of ending, from 1; a gap between two rows means that the ring has dropped some.
    pub sequence: u64,
    /// When it began.
    pub started_at: SystemTime,
    /// Request method.
    pub method: Cow<'static, str>,
    /// Request path, cut where it is long.
    pub path: Arc<str>,
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
    /// The conversation that it is part of, as inferred.
    pub conversation: Option<u128>,
    /// Which of the model's turns in it the answer is.
    pub turn: Option<u32>,
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
    rows: Mutex<Rows>,
    /// One look at a time.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Rows {
    /// Those that the last look has found.
    in_flight: BTreeMap<ExchangeId, Seen>,
    finished_count: u64,
    recent: VecDeque<Row>,
}

/// What a look has seen of an exchange.
#[derive(Debug)]
struct Seen {
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
            rows: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
        }
    }

    /// Everything a screen shows. `look` has what is in flight shown to the sinks, and resolves when that is done.
    pub async fn snapshot(&self, look: impl Future<Output = ()>) -> Snapshot {
        let _one = self.looking.lock().await;
        // What the last look has found and this one does not is over, or its observer has given up.
        self.rows().in_flight.clear();
        look.await;
        self.rows().snapshot(Instant::now())
    }

    /// The kept rows after a [`Row::sequence`], oldest first; from 0 all of them.
    #[must_use]
    pub fn finished_since(&self, sequence: u64) -> Vec<Row> {
        let rows = self.rows();
        let new = rows.finished_count.saturating_sub(sequence);
        let skip = rows
            .recent
            .len()
            .saturating_sub(usize::try_from(new).unwrap_or(usize::MAX));
        rows.recent.iter().skip(skip).cloned().collect()
    }

    /// No code of ours can panic while it holds the lock half way through a change.
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn snapshot(&self, now: Instant) -> Snapshot {
        let ago = |at| now.saturating_duration_since(at);
        let shown = self.in_flight.iter().take(IN_FLIGHT_SHOWN);
        Snapshot {
            in_flight_count: self.in_flight.len(),
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
            finished_count: self.finished_count,
            recent: self.recent.iter().rev().cloned().collect(),
        }
    }
}

impl Sink for Live {
    fn name(&self) -> &'static str {
        "live"
    }

    fn in_flight(&self, progress: &Progress<'_>) {
        let seen = Seen {
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
        self.rows().in_flight.insert(progress.id, seen);
    }

    fn finished(&self, id: ExchangeId, exchange: &Arc<Exchange>) {
        let mut row = row(exchange);
        let mut rows = self.rows();
        rows.in_flight.remove(&id);
        rows.finished_count += 1;
        row.sequence = rows.finished_count;
        if rows.recent.len() >= self.keep {
            rows.recent.pop_front();
        }
        if self.keep > 0 {
            rows.recent.push_back(row);
        }
    }
}

fn row(exchange: &Exchange) -> Row {
    let (method, path) = (&exchange.http.method, &exchange.http.path);
    let model = exchange
        .request
        .model
        .as_ref()
        .or(exchange.response.model.as_ref());
    Row {
        sequence: 0,
        started_at: exchange.started_at,
        method: shortened(method).map_or_else(|| method.clone(), Cow::Owned),
        path: shortened(path).map_or_else(|| Arc::clone(path), Arc::from),
        inference: exchange.operation.is_some(),
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
        tool_calls: exchange.response.client_calls().count() as u64,
        conversation: exchange.conversation.as_ref().map(|place| place.id),
        turn: exchange.conversation.as_ref().map(|place| place.turn),
    }
}

/// A text cut to what a row holds.
fn cut(text: &str) -> Box<str> {
    shortened(text).map_or_else(|| text.into(), String::into_boxed_str)
}

/// A text that a row does not hold whole, an ellipsis in place of the rest.
fn shortened(text: &str) -> Option<String> {
    // A character has at least a byte: most texts need no counting.
    if text.len() <= TEXT_CHARS {
        return None;
    }
    let (at, _) = text.char_indices().nth(TEXT_CHARS)?;
    Some(format!("{}…", &text[..at]))
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
            operation: None,
            of_session: false,
            mistaken: false,
            http: Http {
                status: Some(200),
                ..Http::default()
            },
            annotations: Vec::new(),
            key_fingerprint: None,
            named_conversation: None,
            template: None,
            prompt_fingerprint: None,
            trace: None,
            sampling: None,
            attempts: Vec::new(),
            upstream: None,
            endpoint: None,
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
            aftermath: None,
            is_identical: false,
            integrity: None,
            history: None,
            conversation: None,
            content: None,
            price: None,
            drift: None,
            moved: Vec::new(),
            problems: Problems::default(),
            quirks: Quirks::default(),
            unknown: Unknowns::default(),
        })
    }

    fn see(live: &Live, id: u64) {
        live.in_flight(&Progress {
            id: ExchangeId(id),
            method: "POST",
            path: "/v1/chat/completions",
            model: Some("m"),
            upstream: None,
            received: Instant::now(),
            answered: true,
            chunks: Some(7),
            time_to_first_token: Some(Duration::from_millis(5)),
            last_output: None,
        });
    }

    #[tokio::test]
    async fn what_a_look_finds_is_shown_until_it_has_finished_or_a_look_finds_it_no_more() {
        let live = Live::default();
        let look = async { (1..=3).for_each(|id| see(&live, id)) };
        let snapshot = live.snapshot(look).await;
        assert_eq!(snapshot.in_flight_count, 3);
        let first = &snapshot.in_flight[0];
        assert_eq!((first.id, first.chunks), (ExchangeId(1), Some(7)));
        live.finished(ExchangeId(1), &exchange("m"));
        let look = async {
            see(&live, 2);
            see(&live, 4);
            live.finished(ExchangeId(4), &exchange("m"));
        };
        let snapshot = live.snapshot(look).await;
        let ids: Vec<_> = snapshot.in_flight.iter().map(|row| row.id).collect();
        assert_eq!(ids, [ExchangeId(2)]);
        assert_eq!(snapshot.recent.len(), 2);
    }

    #[test]
    fn the_ring_keeps_the_newest_rows_newest_first() {
        let live = Live::new(3);
        for id in 1..=5 {
            live.finished(ExchangeId(id), &exchange("m"));
        }
        let snapshot = live.rows().snapshot(Instant::now());
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

    #[tokio::test]
    async fn in_flight_exchanges_are_counted_beyond_those_shown() {
        let live = Live::default();
        let all = IN_FLIGHT_SHOWN as u64 + 5;
        let look = async { (0..all).for_each(|id| see(&live, id)) };
        let snapshot = live.snapshot(look).await;
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
