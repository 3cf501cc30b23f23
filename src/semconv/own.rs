//! What only streamgauge knows: `streamgauge.*`.
//!
//! How an exchange ended, where its numbers come from, what the proxy cost, whether the bytes were the same, and the
//! health of the observer and the exporters. Every `time_to_*` counts from the last byte of the request, at the proxy.

use super::facets::{self, KEY_FINGERPRINT, ROUTE, push_model, push_told, push_upstream};
use super::metric::{Kind, Metric, Record, buckets, counter};
use super::{Attribute, Attributes, Facets, FromZero, Labels, Vocabulary};
use crate::exchange::{Digest, Exchange, Hex, Problems, Quirk, Sampling, UsageSource};
use std::time::Duration;

pub mod conversation;
pub(super) mod cost;
pub mod drift;
mod failures;
mod health;
mod outcome;
pub mod process;
mod stored;
mod upstream;
mod waste;
mod zero;

pub use failures::{KINDS, REJECTIONS};
pub use health::{
    CONNECTIONS_REFUSED, EXPORT_FAILURES, FORGOTTEN_TURNS, IN_FLIGHT, OBSERVER_QUEUE, OPERATION,
    REASON, REMEMBERED_BYTES, REMEMBERED_TURNS, SIGNAL, STATE_AVAILABLE, STATE_ERRORS,
    STATE_UNSHARED, STORE_ERRORS, STORE_OBJECTS, TELEMETRY_DROPPED, UNANSWERED_CALLS,
};
pub use zero::FROM_ZERO;

const END: &str = "streamgauge.end";
const SAMPLING_SPAN: &str = "streamgauge.sampling";
const USAGE_SOURCE: &str = "streamgauge.usage.source";
const ESTIMATED_INPUT_SPAN: &str = "streamgauge.usage.estimated.input_tokens";
const ESTIMATED_OUTPUT_SPAN: &str = "streamgauge.usage.estimated.output_tokens";
const UPSTREAM: &str = "streamgauge.upstream.name";
const PARTIAL: &str = "streamgauge.partial";
const QUIRKS_SPAN: &str = "streamgauge.quirks";
const INTEGRITY_SPAN: &str = "streamgauge.integrity";
const OVERHEAD_SPAN: &str = "streamgauge.overhead.duration";
const ATTEMPTS: &str = "streamgauge.attempts";

/// Span event at the first event with generated output.
pub const FIRST_TOKEN_EVENT: &str = "first_token";
/// Span event when a stream goes on after a stall.
pub const STALL_EVENT: &str = "stall";
/// How long it had stood still, in seconds; on [`STALL_EVENT`].
pub const STALL_DURATION: &str = "streamgauge.stall.duration";

/// What an inference span is linked to, on a link that says so.
pub const LINK: &str = "streamgauge.link";
/// The context that the upstream was given, as a value of [`LINK`].
pub const UPSTREAM_LINK: &str = "upstream";

/// What was lost or misread, on [`OBSERVATION_PROBLEMS`] and [`TELEMETRY_DROPPED`]; which limit, on
/// `streamgauge.upstream.ratelimit.remaining`; what failed, on `streamgauge.upstream.failures`.
pub const KIND: &str = "kind";
/// What was decided, on `streamgauge.sampling.exchanges`.
const DECISION: &str = "decision";
/// Result of the comparison, on `streamgauge.integrity`; what became of objects, on [`STORE_OBJECTS`].
pub const RESULT: &str = "result";
/// Which member, on `streamgauge.usage.moved`.
const MEMBER: &str = "member";
/// Which quirk, on `streamgauge.quirks`.
const QUIRK: &str = "quirk";
/// Which first, on `streamgauge.time_to_first`.
const FIRST: &str = "first";
/// Why a request was sent again, and whether the client got the response to it, on `streamgauge.resends`.
const WHY: &str = "why";
const ANSWERED: &str = "answered";

static EXCHANGES: Metric = counter(
    "streamgauge.exchanges",
    "{exchange}",
    "Exchanges that are over, by model and route, and how they ended.",
);
static PARTIAL_EXCHANGES: Metric = counter(
    "streamgauge.exchanges.partial",
    "{exchange}",
    "Exchanges of which something passed unread, so that their figures may be too low.",
);
static SAMPLING: Metric = counter(
    "streamgauge.sampling.exchanges",
    "{exchange}",
    "Exchanges of sampled traces, by why tail sampling kept their spans, or that it dropped them.",
);
static USAGE_CALLS: Metric = counter(
    "streamgauge.usage.calls",
    "{call}",
    "Calls to a model, by where their token counts come from.",
);
static ESTIMATED_INPUT: Metric = counter(
    ESTIMATED_INPUT_SPAN,
    "{token}",
    "Input tokens of calls that reported none, counted in the text that passed.",
);
static ESTIMATED_OUTPUT: Metric = counter(
    ESTIMATED_OUTPUT_SPAN,
    "{token}",
    "Output tokens of calls that reported none, counted in the text that passed.",
);
static OVERHEAD: Metric = Metric {
    name: OVERHEAD_SPAN,
    unit: "s",
    description: "The proxy's own share of an exchange: while the request was here and no attempt under way or one waited for others, and the time frames spent inside.",
    kind: Kind::Histogram(buckets::OVERHEAD),
    exemplars: true,
};
static RESENDS: Metric = counter(
    "streamgauge.resends",
    "{attempt}",
    "Attempts after an exchange's first, by why they were made, and whether the client got the response to them.",
);
static INTEGRITY: Metric = counter(
    INTEGRITY_SPAN,
    "{response}",
    "Response bodies by what comparing both sides' bytes says; different must be zero.",
);
static USAGE_MOVED: Metric = counter(
    "streamgauge.usage.moved",
    "{response}",
    "Responses whose removed usage event took a member along that no other chunk had, by member.",
);
static TIME_TO_FIRST: Metric = Metric {
    name: "streamgauge.time_to_first",
    unit: "s",
    description: "Time from the last byte of the request to the first of a kind in a stream: byte, event, token, reasoning, content, audio, tool_call.",
    kind: Kind::Histogram(buckets::WAIT),
    exemplars: true,
};
static GAP_MAX: Metric = Metric {
    name: "streamgauge.gap.max",
    unit: "s",
    description: "Longest time between two events with generated output of a stream.",
    kind: Kind::Histogram(buckets::WAIT),
    exemplars: true,
};
static STALLS: Metric = counter(
    "streamgauge.stalls",
    "{stall}",
    "Gaps in streams that were longer than the stall threshold.",
);
static EVENTS: Metric = counter(
    "streamgauge.events",
    "{event}",
    "Server-sent events with data.",
);
static CHUNKS: Metric = counter(
    "streamgauge.chunks",
    "{event}",
    "Server-sent events with generated output.",
);
static REQUEST_BYTES: Metric = counter(
    "streamgauge.request.bytes",
    "By",
    "Bytes of request bodies and of tunnels, as clients sent them.",
);
static RESPONSE_BYTES: Metric = counter(
    "streamgauge.response.bytes",
    "By",
    "Bytes of response bodies and of tunnels, as upstreams sent them, still coded.",
);

/// What the observer could not read or did not see, by kind.
pub static OBSERVATION_PROBLEMS: Metric = counter(
    "streamgauge.observation.problems",
    "{problem}",
    "What the observer could not make sense of or did not see, by kind.",
);
static QUIRKS: Metric = counter(
    QUIRKS_SPAN,
    "{exchange}",
    "Exchanges in which the upstream departed from the API reference, by quirk.",
);
static METRICS: [&Metric; 70] = [
    &waste::INPUT,
    &waste::OUTPUT,
    &waste::COST,
    &waste::DURATION,
    &waste::BYTES,
    &waste::CUT_BY_LENGTH,
    &waste::IDENTICAL,
    &waste::RETRIES,
    &waste::ESTIMATE_RATIO,
    &cost::ESTIMATED,
    &cost::UNPRICED,
    &cost::PARTIAL,
    &EXCHANGES,
    &PARTIAL_EXCHANGES,
    &SAMPLING,
    &drift::CHANGES,
    &drift::INFO,
    &failures::UPSTREAM_FAILURES,
    &failures::REQUESTS_REJECTED,
    &USAGE_CALLS,
    &ESTIMATED_INPUT,
    &ESTIMATED_OUTPUT,
    &OVERHEAD,
    &RESENDS,
    &INTEGRITY,
    &USAGE_MOVED,
    &TIME_TO_FIRST,
    &GAP_MAX,
    &STALLS,
    &EVENTS,
    &CHUNKS,
    &REQUEST_BYTES,
    &RESPONSE_BYTES,
    &OBSERVATION_PROBLEMS,
    &QUIRKS,
    &CONNECTIONS_REFUSED,
    &IN_FLIGHT,
    &OBSERVER_QUEUE,
    &TELEMETRY_DROPPED,
    &EXPORT_FAILURES,
    &conversation::TURNS,
    &conversation::TOKENS,
    &conversation::REPEATED_CALLS,
    &conversation::RETRIES,
    &conversation::REUSED_RATIO,
    &conversation::CACHE_BREAKS,
    &conversation::LOST_TOKENS,
    &REMEMBERED_TURNS,
    &REMEMBERED_BYTES,
    &FORGOTTEN_TURNS,
    &UNANSWERED_CALLS,
    &STATE_AVAILABLE,
    &STATE_ERRORS,
    &STATE_UNSHARED,
    &STORE_OBJECTS,
    &STORE_ERRORS,
    &upstream::LOAD_TIME,
    &upstream::QUEUE_TIME,
    &upstream::PREFILL_TIME,
    &upstream::DECODE_TIME,
    &upstream::WAIT,
    &upstream::RATE_LIMIT_REMAINING,
    &process::BUILD_INFO,
    &process::CPU,
    &process::RESIDENT_MEMORY,
    &process::VIRTUAL_MEMORY,
    &process::OPEN_FDS,
    &process::MAX_FDS,
    &process::THREADS,
    &process::START_TIME,
];

/// The vocabulary of streamgauge itself; always spoken.
pub struct Own;

impl Vocabulary for Own {
    fn name(&self) -> &'static str {
        "streamgauge"
    }

    fn metrics(&self) -> &'static [&'static Metric] {
        &METRICS
    }

    fn begin_at_zero(&self) -> &'static [FromZero] {
        FROM_ZERO
    }

    fn server(&self, exchange: &Exchange, span: &mut Attributes<'_>) {
        span.put(END, exchange.end.as_str());
        span.put_some(
            UPSTREAM,
            exchange.upstream.as_ref().map(|upstream| &*upstream.name),
        );
        attempts(exchange, span);
        sampling(exchange, span);
        span.put_some(
            KEY_FINGERPRINT,
            exchange.key_fingerprint.as_ref().map(Hex::as_str),
        );
        request(exchange, span);
    }

    fn inference(&self, exchange: &Exchange, span: &mut Attributes<'_>) {
        span.put(END, exchange.end.as_str());
        span.put_some(
            UPSTREAM,
            exchange.upstream.as_ref().map(|upstream| &*upstream.name),
        );
        attempts(exchange, span);
        sampling(exchange, span);
        span.put_some(
            KEY_FINGERPRINT,
            exchange.key_fingerprint.as_ref().map(Hex::as_str),
        );
        span.put_some(USAGE_SOURCE, exchange.usage_source().map(source));
        stored::attributes(exchange, span);
        let estimate = exchange.usage.estimate;
        span.put_some(ESTIMATED_INPUT_SPAN, estimate.input_tokens);
        span.put_some(ESTIMATED_OUTPUT_SPAN, estimate.output_tokens);
        if exchange.request.usage_injected {
            span.put("streamgauge.usage.injected", true);
        }
        let since_head = exchange
            .times
            .response_head
            .and_then(|at| exchange.since_request(at));
        span.put_some("streamgauge.time_to_response_head", since_head);
        for (_, key, time) in firsts(exchange) {
            span.put_some(key, time);
        }
        span.put_some(
            "streamgauge.time_per_output_token",
            exchange.time_per_output_token(),
        );
        let usage = &exchange.usage;
        span.put_some(
            "streamgauge.usage.audio.input_duration",
            usage.audio_input_duration,
        );
        span.put_some(
            "streamgauge.usage.message.input_tokens",
            usage.message_input_tokens,
        );
        span.put_some(
            "streamgauge.usage.message.output_tokens",
            usage.message_output_tokens,
        );
        upstream::attributes(exchange, span);
        let constant = exchange.prompt_fingerprint.map(Digest::hex);
        span.put_some(
            "streamgauge.prompt.fingerprint",
            constant.as_ref().map(Hex::as_str),
        );
        conversation::attributes(exchange, span);
        cost::attributes(exchange, span);
        flow(exchange, span);
        for (problem, count) in problems(exchange) {
            span.put(problem.key, count);
        }
        if exchange.problems.is_partial() {
            span.put(PARTIAL, true);
        }
        if exchange.response.truncated {
            span.put("streamgauge.truncated", true);
        }
        span.put_list(QUIRKS_SPAN, exchange.quirks.iter().map(Quirk::id));
    }

    fn samples(&self, exchange: &Exchange, record: &mut dyn Record) {
        // Of what is part of a session, the session's own exchange says it.
        let whole = |sample| (!exchange.of_session).then_some(sample);
        record.record(
            &BASE,
            None,
            &[
                exchange.overhead().map(|ours| OVERHEAD.sample(ours)),
                whole(REQUEST_BYTES.sample(exchange.bytes_from_client())),
                whole(RESPONSE_BYTES.sample(exchange.bytes_from_upstream())),
                exchange.flow.events.map(|count| EVENTS.sample(count)),
                exchange.flow.chunks.map(|count| CHUNKS.sample(count)),
                exchange
                    .flow
                    .chunks
                    .map(|_| STALLS.sample(exchange.flow.stall_count)),
                exchange.flow.gap_max.map(|gap| GAP_MAX.sample(gap)),
            ],
        );
        conversation::record(exchange, record);
        cost::record(exchange, record);
        drift::record(exchange, record);
        waste::record(exchange, record);
        upstream::record_times(exchange, record);
        upstream::record_wait(exchange, record);
        upstream::record_limits(exchange, record);
        outcome::record(exchange, record);
        failures::record(exchange, record);
        record_resends(exchange, record);
        if exchange.output_is_timed() {
            for (first, _, time) in firsts(exchange) {
                let Some(time) = time else { continue };
                let samples = [Some(TIME_TO_FIRST.sample(time))];
                record.record(&BASE, Some((FIRST, first)), &samples);
            }
        }
        outcome::record_faults(exchange, record);
    }
}

/// What is said of the client's request alone: on the SERVER span, or on an inference span that stands for it too.
pub fn request(exchange: &Exchange, span: &mut Attributes<'_>) {
    span.put_some(OVERHEAD_SPAN, exchange.overhead());
    span.put("streamgauge.response.bytes", exchange.bytes_from_upstream());
    span.put_some(
        INTEGRITY_SPAN,
        exchange.integrity.map(|integrity| integrity.as_str()),
    );
    waste::request(exchange, span);
}

/// Says why the trace was kept, where that was decided when the exchange was over.
fn sampling(exchange: &Exchange, span: &mut Attributes<'_>) {
    span.put_some(SAMPLING_SPAN, exchange.sampling.map(Sampling::as_str));
}

/// Says which of several attempts was answered.
fn attempts(exchange: &Exchange, span: &mut Attributes<'_>) {
    if exchange.attempts.len() > 1 {
        span.put(ATTEMPTS, exchange.attempts.len() as u64);
        let answering = exchange.answering_attempt();
        span.put_some("streamgauge.attempt.answering", answering.map(number));
    }
}

/// Attributes of the CLIENT span of one attempt, by its place in [`Exchange::attempts`].
pub fn attempt(exchange: &Exchange, at: usize, span: &mut Attributes<'_>) {
    if let Some(attempt) = exchange.attempts.get(at) {
        span.put(UPSTREAM, &*attempt.upstream.name);
        span.put("streamgauge.attempt.number", number(at));
        span.put("streamgauge.attempt.why", attempt.why.as_str());
    }
}

/// What an attempt is called by its place: the first is 1.
const fn number(at: usize) -> u64 {
    at as u64 + 1
}

fn record_resends(exchange: &Exchange, record: &mut dyn Record) {
    for (at, attempt) in exchange.attempts.iter().enumerate().skip(1) {
        let labels = [
            (facets::UPSTREAM, (&*attempt.upstream.name).into()),
            (WHY, attempt.why.as_str().into()),
            (ANSWERED, (exchange.answering_attempt() == Some(at)).into()),
        ];
        record.record_under(&labels, &[Some(RESENDS.sample(1_u64))]);
    }
}

/// Labels that every metric of an exchange carries.
static BASE: Labels = Labels(push_upstream);
/// Those that say which model was called.
static MODEL: Labels = Labels(push_call);
/// Those that say what was called.
static CALL: Labels = Labels(push_routed);
/// The same, and what a user has named.
static ATTRIBUTED: Labels = Labels(|facets, labels| {
    push_routed(facets, labels);
    push_told(facets, labels);
});

fn push_routed<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    push_call(facets, labels);
    labels.extend(facets.route.map(|route| (ROUTE, route.into())));
}

fn push_call<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    push_upstream(facets, labels);
    push_model(facets, labels);
}

/// Marks samples of tokens that nobody reported, so that they can be told from those that somebody did.
pub(super) fn push_source<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    if facets.estimated {
        labels.push((USAGE_SOURCE, source(UsageSource::Estimated).into()));
    }
}

fn flow(exchange: &Exchange, span: &mut Attributes<'_>) {
    let flow = &exchange.flow;
    span.put_some("streamgauge.events", flow.events);
    span.put_some("streamgauge.chunks", flow.chunks);
    span.put_some("streamgauge.gap.max", flow.gap_max);
    span.put_some("streamgauge.gap.p99", flow.gap_p99);
    span.put_some("streamgauge.stalls", flow.chunks.map(|_| flow.stall_count));
    span.put_some(
        "streamgauge.reasoning.length",
        exchange.response.reasoning_chars,
    );
    span.put_some(
        "streamgauge.refusal.length",
        exchange.response.refusal_chars,
    );
    let calls = exchange.response.client_calls().count() as u64;
    span.put_some("streamgauge.tool_calls", (calls > 0).then_some(calls));
}

/// The kinds of "first": label, span attribute, time.
fn firsts(exchange: &Exchange) -> [(&'static str, &'static str, Option<Duration>); 7] {
    let times = &exchange.times;
    let since = |at: Option<Duration>| at.and_then(|at| exchange.since_request(at));
    [
        (
            "byte",
            "streamgauge.time_to_first_byte",
            since(times.first_byte),
        ),
        (
            "event",
            "streamgauge.time_to_first_event",
            since(times.first_chunk).filter(|_| exchange.response.streamed),
        ),
        (
            "token",
            "streamgauge.time_to_first_token",
            exchange.time_to_first_token(),
        ),
        (
            "reasoning",
            "streamgauge.time_to_first_reasoning",
            since(times.first_reasoning),
        ),
        (
            "content",
            "streamgauge.time_to_first_content",
            since(times.first_content),
        ),
        (
            "audio",
            "streamgauge.time_to_first_audio",
            since(times.first_audio),
        ),
        (
            "tool_call",
            "streamgauge.time_to_first_tool_call",
            since(times.first_tool_call),
        ),
    ]
}

/// A kind of problem: its label, its span attribute, and how many there were.
struct Problem {
    kind: &'static str,
    key: &'static str,
    count: fn(&Problems) -> u64,
}

static PROBLEMS: [Problem; 5] = [
    Problem {
        kind: "malformed",
        key: "streamgauge.problems.malformed",
        count: |problems| problems.malformed,
    },
    Problem {
        kind: "mistyped",
        key: "streamgauge.problems.mistyped",
        count: |problems| problems.mistyped,
    },
    Problem {
        kind: "oversized",
        key: "streamgauge.problems.oversized",
        count: |problems| problems.oversized,
    },
    Problem {
        kind: "undecodable",
        key: "streamgauge.problems.undecodable",
        count: |problems| problems.undecodable,
    },
    Problem {
        kind: "missed_frames",
        key: "streamgauge.problems.missed_frames",
        count: |problems| problems.missed_frames,
    },
];

/// The problems that there were, each with its number.
fn problems(exchange: &Exchange) -> impl Iterator<Item = (&'static Problem, u64)> {
    let problems = PROBLEMS.iter();
    let counted = problems.map(|problem| (problem, (problem.count)(&exchange.problems)));
    counted.filter(|(_, count)| *count > 0)
}

const fn source(source: UsageSource) -> &'static str {
    match source {
        UsageSource::Reported => "reported",
        UsageSource::ReportedPartial => "reported_partial",
        UsageSource::Estimated => "estimated",
        UsageSource::Missing => "missing",
    }
}

#[cfg(test)]
mod tests;
