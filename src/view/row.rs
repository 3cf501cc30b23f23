//! An exchange in brief.

use std::borrow::Cow;

use super::shown;
use super::words::{Id, Usd, clock_ms, ms};
use crate::exchange::{Exchange, Price};
use crate::semconv::operation;

/// Longest text of a row, in characters; model names and paths are the client's to choose.
const TEXT_CHARS: usize = 120;
/// Most reasons to end that a row has.
const REASONS_MAX: usize = 8;

shown! {
    /// A finished exchange in brief. `null` is what was not observed.
    pub struct Row<'e> {
        /// Position in the order of ending, from 1; goes on after a restart where history is kept.
        pub id: u64,
        /// When the request's head had come, in ms since 1970.
        pub started_at_ms: u64,
        /// Request method.
        pub method: Cow<'e, str>,
        /// Request path without the query, cut where it is long.
        pub path: Cow<'e, str>,
        /// The path's template, of paths that are known.
        pub route: Option<Cow<'e, str>>,
        /// What was asked of a model (`chat`, `embeddings`, …); `null` where it is no call to a model.
        pub operation: Option<Cow<'e, str>>,
        /// The requested model, else the one that answered.
        pub model: Option<Cow<'e, str>>,
        /// The model that answered.
        pub response_model: Option<Cow<'e, str>>,
        /// Name of the upstream.
        pub upstream: Option<Cow<'e, str>>,
        /// Whose models the upstream has, as `gen_ai.provider.name` says it.
        pub provider: Option<Cow<'e, str>>,
        /// HTTP status sent to the client.
        pub status: Option<u16>,
        /// How it ended: `done`, `http_error`, `finish_without_done`, `done_without_finish`, `error_event`, `cut`, `client_left`, `timeout`, `refused` or `rejected`.
        pub end: Cow<'e, str>,
        /// `error.type`; `null` on success and where the client left.
        pub error: Option<Cow<'e, str>>,
        /// Whether the response was a stream of events.
        pub streamed: bool,
        /// From the request's last byte to the first output.
        pub time_to_first_token_ms: Option<f64>,
        /// Mean time per output token after the first.
        pub time_per_output_token_ms: Option<f64>,
        /// From the request's head to the end.
        pub duration_ms: f64,
        /// Events with output.
        pub chunks: Option<u64>,
        /// Input tokens, cached ones included.
        pub input_tokens: Option<u64>,
        /// Output tokens, reasoning included.
        pub output_tokens: Option<u64>,
        /// Input tokens that came from a cache.
        pub cached_tokens: Option<u64>,
        /// Output tokens that were reasoning.
        pub reasoning_tokens: Option<u64>,
        /// Whether input and output tokens were counted here, for want of a report.
        pub tokens_estimated: bool,
        /// What it cost; `null` where no price is known.
        pub cost_usd: Option<Usd>,
        /// Calls of tools that the client is to carry out.
        pub tool_calls: u64,
        /// Gaps in the output that were longer than the stall threshold.
        pub stalls: u64,
        /// Why each choice ended, at most 8.
        pub finish_reasons: Vec<Cow<'e, str>>,
        /// The conversation that it is part of, as inferred.
        pub conversation: Option<Id>,
        /// Which of the model's turns in it the answer is, from 1.
        pub turn: Option<u32>,
        /// The trace of its spans; where traces are off, that of the client's `traceparent`. `null` where there is neither.
        pub trace_id: Option<Id>,
        /// The trace that the upstream was told, or else the client's, where it is another than `trace_id`.
        pub upstream_trace_id: Option<Id>,
        /// The keyed hash of the client's API key.
        pub key_fingerprint: Option<Cow<'e, str>>,
    }
}

impl<'e> Row<'e> {
    /// The row of an exchange.
    #[must_use]
    pub fn of(id: u64, exchange: &'e Exchange) -> Self {
        let (request, response, usage) = (&exchange.request, &exchange.response, &exchange.usage);
        let model = request.model.as_ref().or(response.model.as_ref());
        let place = exchange.conversation.as_deref();
        let upstream = exchange.upstream.as_ref();
        let cost = exchange.price.as_ref().and_then(Price::known);
        let counted = usage.estimate;
        Self {
            id,
            started_at_ms: clock_ms(exchange.started_at),
            method: cut(&exchange.http.method),
            path: cut(&exchange.http.path),
            route: exchange.http.route.map(Cow::Borrowed),
            operation: exchange.operation.map(|it| operation::name(it).into()),
            model: model.map(|model| cut(model)),
            response_model: response.model.as_deref().map(cut),
            upstream: upstream.map(|upstream| cut(&upstream.name)),
            provider: upstream.and_then(|upstream| Some(cut(upstream.provider.as_deref()?))),
            status: exchange.http.status,
            end: exchange.end.as_str().into(),
            error: exchange.failure.as_ref().map(|failure| cut(&failure.kind)),
            streamed: response.streamed,
            time_to_first_token_ms: exchange.time_to_first_token().map(ms),
            time_per_output_token_ms: exchange.time_per_output_token().map(ms),
            duration_ms: ms(exchange.times.end),
            chunks: exchange.flow.chunks,
            input_tokens: usage.input_tokens.or(counted.input_tokens),
            output_tokens: usage.output_tokens.or(counted.output_tokens),
            cached_tokens: usage.cache_read_input_tokens,
            reasoning_tokens: usage.reasoning_output_tokens,
            tokens_estimated: counted.is_there(),
            cost_usd: cost.map(|cost| Usd(cost.total)),
            tool_calls: response.client_calls().count() as u64,
            stalls: exchange.flow.stall_count,
            finish_reasons: exchange
                .finish_reasons()
                .take(REASONS_MAX)
                .map(cut)
                .collect(),
            conversation: place.map(|place| Id(place.id)),
            turn: place.map(|place| place.turn),
            trace_id: exchange.trace_id().map(Id),
            upstream_trace_id: exchange.other_trace_id().map(Id),
            key_fingerprint: exchange
                .key_fingerprint
                .as_ref()
                .map(|it| it.as_str().into()),
        }
    }

    /// When it ended, in ms since 1970.
    #[must_use]
    pub fn ended_at_ms(&self) -> u64 {
        self.started_at_ms + self.duration_ms as u64
    }
}

/// A text, an ellipsis in place of what a row does not hold.
pub(super) fn cut(text: &str) -> Cow<'_, str> {
    // A character has at least a byte: most texts need no counting.
    if text.len() <= TEXT_CHARS {
        return text.into();
    }
    match text.char_indices().nth(TEXT_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn unknown_stays_absent_and_zero_stays_zero() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.response.streamed = true;
        exchange.usage.output_tokens = Some(0);
        exchange.times.request_end = Some(Duration::from_millis(10));
        exchange.times.first_token = Some(Duration::from_millis(110));
        let row = Row::of(1, &exchange);
        assert_eq!(row.time_to_first_token_ms, Some(100.0));
        assert_eq!(row.output_tokens, Some(0));
        assert_eq!(
            (row.input_tokens, row.error, row.upstream),
            (None, None, None)
        );
    }

    #[test]
    fn tokens_that_were_counted_here_say_so() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.usage.estimate.output_tokens = Some(7);
        let row = Row::of(1, &exchange);
        assert_eq!((row.output_tokens, row.tokens_estimated), (Some(7), true));
    }

    #[test]
    fn a_long_model_name_is_cut_between_characters() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.request.model = Some("é".repeat(TEXT_CHARS));
        let name = "é".repeat(TEXT_CHARS);
        assert_eq!(Row::of(1, &exchange).model.as_deref(), Some(&*name));
        exchange.request.model = Some("é".repeat(TEXT_CHARS + 1));
        assert_eq!(
            Row::of(1, &exchange).model.as_deref(),
            Some(&*format!("{name}…"))
        );
    }

    #[test]
    fn a_row_reads_back_as_it_was_written() {
        let exchange = crate::semconv::sample::streamed();
        let row = Row::of(3, &exchange);
        let text = serde_json::to_string(&row).unwrap();
        assert_eq!(serde_json::from_str::<Row<'_>>(&text).unwrap(), row);
    }
}
