//! What only streamgauge knows: `streamgauge.*`.
//!
//! How an exchange ended, where its numbers come from, what the proxy cost, whether the bytes were the same, and the
//! health of the observer and the exporters. Every `time_to_*` counts from the last byte of the request, at the proxy.

use super::metric::{Kind, Metric, Record, buckets};
use super::{Attribute, Attributes, Facets, Labels, Vocabulary};
use crate::exchange::{Exchange, Quirk, UsageSource};
use std::time::Duration;

mod upstream;

const END: &str = "streamgauge.end";
const USAGE_SOURCE: &str = "streamgauge.usage.source";
const UPSTREAM: &str = "streamgauge.upstream.name";
const PARTIAL: &str = "streamgauge.partial";
const QUIRKS_SPAN: &str = "streamgauge.quirks";
const INTEGRITY_SPAN: &str = "streamgauge.integrity";
const OVERHEAD_SPAN: &str = "streamgauge.overhead.duration";

/// Span event at the first event with generated output.
pub const FIRST_TOKEN_EVENT: &str = "first_token";
/// Span event when a stream goes on after a stall.
pub const STALL_EVENT: &str = "stall";
/// How long it had stood still, in seconds; on [`STALL_EVENT`].
pub const STALL_DURATION: &str = "streamgauge.stall.duration";

/// What was lost or misread, on [`OBSERVATION_PROBLEMS`] and [`TELEMETRY_DROPPED`]; which limit, on
/// `streamgauge.upstream.ratelimit.remaining`.
pub const KIND: &str = "kind";
/// `traces` or `metrics`, on [`EXPORT_FAILURES`].
pub const SIGNAL: &str = "signal";
/// Result of the comparison, on `streamgauge.integrity`.
const RESULT: &str = "result";
/// Which quirk, on `streamgauge.quirks`.
const QUIRK: &str = "quirk";
/// Which first, on `streamgauge.time_to_first`.
const FIRST: &str = "first";

static EXCHANGES: Metric = counter(
    "streamgauge.exchanges",
    "{exchange}",
    "Exchanges that are over, by how they ended, where their token counts come from, and whether all was seen.",
);
static OVERHEAD: Metric = Metric {
    name: OVERHEAD_SPAN,
    unit: "s",
    description: "The proxy's own share of an exchange: until the request was ready to go, and the time frames spent inside.",
    kind: Kind::Histogram(buckets::OVERHEAD),
    exemplars: true,
};
static INTEGRITY: Metric = counter(
    INTEGRITY_SPAN,
    "{response}",
    "Response bodies by what comparing both sides' bytes says; different must be zero.",
);
static TIME_TO_FIRST: Metric = Metric {
    name: "streamgauge.time_to_first",
    unit: "s",
    description: "Time from the last byte of the request to the first of a kind in a stream: byte, event, token, reasoning, content, audio, tool_call.",
    kind: Kind::Histogram(buckets::LONG),
    exemplars: true,
};
static GAP_MAX: Metric = Metric {
    name: "streamgauge.gap.max",
    unit: "s",
    description: "Longest time between two events with generated output of a stream.",
    kind: Kind::Histogram(buckets::LONG),
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
/// Exchanges that have begun and not ended. Registered by the application.
pub static IN_FLIGHT: Metric = health(
    "streamgauge.exchanges.in_flight",
    "{exchange}",
    "Exchanges in flight.",
    Kind::ObservedGauge,
);
/// Events handed to observers that none has folded yet. Registered by the application.
pub static OBSERVER_QUEUE: Metric = health(
    "streamgauge.observer.queue",
    "{event}",
    "Events that wait to be observed.",
    Kind::ObservedGauge,
);
/// Telemetry lost before it could be exported, by kind. Registered by the application.
pub static TELEMETRY_DROPPED: Metric = health(
    "streamgauge.telemetry.dropped",
    "{item}",
    "Telemetry that was dropped because a queue was full or an export failed, by kind.",
    Kind::ObservedCounter,
);
/// Exports that failed after their retries, by signal. Registered by the application.
pub static EXPORT_FAILURES: Metric = health(
    "streamgauge.export.failures",
    "{export}",
    "Exports that failed, by signal.",
    Kind::ObservedCounter,
);

static METRICS: [&Metric; 21] = [
    &EXCHANGES,
    &OVERHEAD,
    &INTEGRITY,
    &TIME_TO_FIRST,
    &GAP_MAX,
    &STALLS,
    &EVENTS,
    &CHUNKS,
    &REQUEST_BYTES,
    &RESPONSE_BYTES,
    &OBSERVATION_PROBLEMS,
    &QUIRKS,
    &IN_FLIGHT,
    &OBSERVER_QUEUE,
    &TELEMETRY_DROPPED,
    &EXPORT_FAILURES,
    &upstream::LOAD_TIME,
    &upstream::QUEUE_TIME,
    &upstream::PREFILL_TIME,
    &upstream::DECODE_TIME,
    &upstream::RATE_LIMIT_REMAINING,
];

const fn counter(name: &'static str, unit: &'static str, description: &'static str) -> Metric {
    Metric {
        name,
        unit,
        description,
        kind: Kind::Counter,
        exemplars: false,
    }
}

const fn health(
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    kind: Kind,
) -> Metric {
    Metric {
        name,
        unit,
        description,
        kind,
        exemplars: false,
    }
}

/// The vocabulary of streamgauge itself; always spoken.
pub struct Own;

impl Vocabulary for Own {
    fn name(&self) -> &'static str {
        "streamgauge"
    }

    fn metrics(&self) -> &'static [&'static Metric] {
        &METRICS
    }

    fn server<'a>(&self, exchange: &'a Exchange, span: &mut Attributes<'a>) {
        span.put(END, exchange.end.as_str());
        span.put_some(
            UPSTREAM,
            exchange.upstream.as_ref().map(|upstream| &*upstream.name),
        );
        span.put(OVERHEAD_SPAN, exchange.overhead());
        span.put("streamgauge.response.bytes", exchange.bytes_from_upstream());
        span.put_some(
            INTEGRITY_SPAN,
            exchange.integrity.map(|integrity| integrity.as_str()),
        );
    }

    fn inference<'a>(&self, exchange: &'a Exchange, span: &mut Attributes<'a>) {
        span.put(END, exchange.end.as_str());
        span.put_some(
            UPSTREAM,
            exchange.upstream.as_ref().map(|upstream| &*upstream.name),
        );
        span.put_some(USAGE_SOURCE, exchange.usage_source().map(source));
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
        span.put_some(
            "streamgauge.usage.audio.input_duration",
            exchange.usage.audio_input_duration,
        );
        upstream::attributes(exchange, span);
        flow(exchange, span);
        for (_, key, count) in problems(exchange)
            .into_iter()
            .filter(|(_, _, count)| *count > 0)
        {
            span.put(key, count);
        }
        if exchange.problems.is_partial() {
            span.put(PARTIAL, true);
        }
        if exchange.response.truncated {
            span.put("streamgauge.truncated", true);
        }
        if !exchange.quirks.is_empty() {
            let ids: Vec<_> = exchange.quirks.iter().map(Quirk::id).collect();
            span.put(QUIRKS_SPAN, ids);
        }
    }

    fn samples(&self, exchange: &Exchange, record: &mut dyn Record) {
        // Of what is part of a session, the session's own exchange says it.
        let whole = |sample| (!exchange.of_session).then_some(sample);
        record.record(
            &BASE,
            None,
            &[
                whole(OVERHEAD.sample(exchange.overhead())),
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
        upstream::record_times(exchange, record);
        upstream::record_limits(exchange, record);
        record.record(&ENDING, None, &[Some(EXCHANGES.sample(1_u64))]);
        if exchange.output_is_timed() {
            for (first, _, time) in firsts(exchange) {
                let Some(time) = time else { continue };
                let samples = [Some(TIME_TO_FIRST.sample(time))];
                record.record(&BASE, Some((FIRST, first)), &samples);
            }
        }
        if let Some(result) = exchange.integrity {
            let by = (RESULT, result.as_str());
            record.record(&BASE, Some(by), &[Some(INTEGRITY.sample(1_u64))]);
        }
        for (kind, _, count) in problems(exchange) {
            if count > 0 {
                let samples = [Some(OBSERVATION_PROBLEMS.sample(count))];
                record.record(&BASE, Some((KIND, kind)), &samples);
            }
        }
        if !exchange.quirks.is_empty() {
            for quirk in exchange.quirks.iter() {
                let by = (QUIRK, quirk.id());
                record.record(&BASE, Some(by), &[Some(QUIRKS.sample(1_u64))]);
            }
        }
    }
}

/// Labels that every metric of an exchange carries.
static BASE: Labels = Labels(push_base);
/// Those that say how it ended.
static ENDING: Labels = Labels(|facets, labels| {
    push_base(facets, labels);
    labels.push((END, facets.end.as_str().into()));
    let from = facets.usage_source;
    labels.extend(from.map(|from| (USAGE_SOURCE, source(from).into())));
    labels.push((PARTIAL, facets.partial.into()));
});

fn push_base<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    let upstream = facets.upstream.as_ref();
    labels.extend(upstream.map(|upstream| (UPSTREAM, (&*upstream.name).into())));
}

/// Marks samples of tokens that nobody reported, so that they can be told from those that somebody did.
pub(super) fn push_source<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    if facets.estimated {
        labels.push((USAGE_SOURCE, source(UsageSource::Estimated).into()));
    }
}

fn flow<'a>(exchange: &'a Exchange, span: &mut Attributes<'a>) {
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
    let calls = exchange.response.tool_calls.len() as u64;
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

/// The kinds of problems: label, span attribute, count.
fn problems(exchange: &Exchange) -> [(&'static str, &'static str, u64); 5] {
    let problems = &exchange.problems;
    [
        (
            "malformed",
            "streamgauge.problems.malformed",
            problems.malformed,
        ),
        (
            "mistyped",
            "streamgauge.problems.mistyped",
            problems.mistyped,
        ),
        (
            "oversized",
            "streamgauge.problems.oversized",
            problems.oversized,
        ),
        (
            "undecodable",
            "streamgauge.problems.undecodable",
            problems.undecodable,
        ),
        (
            "missed_frames",
            "streamgauge.problems.missed_frames",
            problems.missed_frames,
        ),
    ]
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
