//! What is inferred of conversations and agents, and what became of a prompt's cache. Nothing here has a name that the
//! conventions keep for what is known.

use super::{BASE, counter};
use crate::exchange::{Again, CacheVerdict, Changed, Conversation, End, Exchange};
use crate::semconv::metric::{Kind, Metric, Record, buckets};
use crate::semconv::{Attributes, Value};

/// How a repeated request ended before, on [`RETRIES`].
const AFTER: &str = "after";
/// Which part of a prompt changed, on [`CACHE_BREAKS`].
const SEGMENT: &str = "segment";
/// The tool, on [`REPEATED_CALLS`].
const TOOL_NAME: &str = "tool.name";

pub(super) static TURNS: Metric = Metric {
    name: "streamgauge.conversation.turns",
    unit: "{turn}",
    description: "Which turn of its conversation each call is, as inferred.",
    kind: Kind::Histogram(buckets::TURNS),
    exemplars: false,
};
pub(super) static TOKENS: Metric = Metric {
    name: "streamgauge.conversation.tokens",
    unit: "{token}",
    description: "Tokens reported in a conversation up to each call, as inferred.",
    kind: Kind::Histogram(buckets::GEN_AI_TOKENS),
    exemplars: false,
};
pub(super) static REPEATED_CALLS: Metric = counter(
    "streamgauge.agent.repeated_calls",
    "{call}",
    "Calls of a tool with the same arguments as before in their conversation, from the threshold on.",
);
pub(super) static RETRIES: Metric = counter(
    "streamgauge.agent.retries",
    "{request}",
    "Requests with the body of one that had just failed, by how that one ended.",
);
pub(super) static REUSED_RATIO: Metric = Metric {
    name: "streamgauge.prompt.reused_ratio",
    unit: "1",
    description: "Share of a prompt's bytes that the request before in its conversation had sent too, from the front.",
    kind: Kind::Histogram(buckets::SHARE),
    exemplars: false,
};
pub(super) static CACHE_BREAKS: Metric = counter(
    "streamgauge.prompt.cache_breaks",
    "{request}",
    "Requests whose prompt changed before its end, so that no cache could serve the rest, by the first part that changed.",
);
pub(super) static LOST_TOKENS: Metric = counter(
    "streamgauge.prompt.lost_tokens",
    "{token}",
    "Input tokens that a cache could have served and did not, by the share of bytes that had been sent before.",
);

/// Span event where a prompt changed before its end.
const CACHE_BREAK_EVENT: &str = "cache_break";
/// Span event where a tool was called again with the same arguments.
const REPEATED_CALL_EVENT: &str = "repeated_call";
/// Span event where nothing new was said.
const NO_PROGRESS_EVENT: &str = "no_progress";
/// Span event where the history has become long.
const HISTORY_GROWN_EVENT: &str = "history_grown";
/// Span event where a request was sent again.
const RETRY_EVENT: &str = "retry";
const REPEAT_EVENT: &str = "repeat";

/// An attribute of a span event.
type Detail<'e> = (&'static str, Value<'e>);

/// Puts its place on the inference span.
pub(super) fn attributes(exchange: &Exchange, span: &mut Attributes<'_>) {
    let Some(place) = &exchange.conversation else {
        return;
    };
    span.put("streamgauge.conversation.id", id(place.id));
    span.put("streamgauge.conversation.turn", u64::from(place.turn));
    span.put("streamgauge.conversation.branch", u64::from(place.branch));
    span.put("streamgauge.conversation.depth", u64::from(place.depth));
    let linked_by = place.linked_by.map(|rule| rule.as_str());
    span.put_some("streamgauge.conversation.linked_by", linked_by);
    let parent = place.parent.map(|parent| id(parent.id));
    span.put_some("streamgauge.conversation.parent.id", parent);
    let Some(reuse) = &place.reuse else { return };
    span.put_some("streamgauge.prompt.reused_ratio", ratio(place));
    span.put_some("streamgauge.prompt.possible_tokens", reuse.possible_tokens);
    span.put_some("streamgauge.prompt.lost_tokens", reuse.lost_tokens);
    let verdict = reuse.verdict.map(CacheVerdict::as_str);
    span.put_some("streamgauge.prompt.cache", verdict);
}

/// Shows each event of a conversation that the inference span gets, with its attributes.
pub fn events(exchange: &Exchange, show: &mut dyn FnMut(&'static str, &[Detail<'_>])) {
    let Some(place) = &exchange.conversation else {
        return;
    };
    for repeated in &place.repeated_calls {
        let call = exchange.response.tool_calls.get(repeated.number);
        let times = (
            "streamgauge.repeated_call.times",
            u64::from(repeated.times).into(),
        );
        match call {
            Some(call) => show(
                REPEATED_CALL_EVENT,
                &[("gen_ai.tool.name", (&call.name).into()), times],
            ),
            None => show(REPEATED_CALL_EVENT, &[times]),
        }
    }
    if let Some(turns) = place.without_progress {
        let turns = ("streamgauge.no_progress.turns", u64::from(turns).into());
        show(NO_PROGRESS_EVENT, &[turns]);
    }
    if let Some(bytes) = place.grown_bytes {
        show(
            HISTORY_GROWN_EVENT,
            &[("streamgauge.history.bytes", bytes.into())],
        );
    }
    match place.again {
        Some(again @ Again::Retry { tries, .. }) => show(
            RETRY_EVENT,
            &[
                ("streamgauge.retry.after", after(again).into()),
                ("streamgauge.retry.tries", u64::from(tries).into()),
            ],
        ),
        Some(Again::Repeat) => show(REPEAT_EVENT, &[]),
        None => {}
    }
    if let Some(changed) = broken(place) {
        let segment: Detail<'_> = ("streamgauge.prompt.segment", changed.segment().into());
        let which: Option<Detail<'_>> = match changed {
            Changed::Parameters(name) => Some(("streamgauge.prompt.member", name.into())),
            Changed::Message(at) => Some(("streamgauge.prompt.message", u64::from(at).into())),
            Changed::Tools | Changed::System => None,
        };
        match which {
            Some(which) => show(CACHE_BREAK_EVENT, &[segment, which]),
            None => show(CACHE_BREAK_EVENT, &[segment]),
        }
    }
}

/// Records what there is to count.
pub(super) fn record(exchange: &Exchange, record: &mut dyn Record) {
    let Some(place) = &exchange.conversation else {
        return;
    };
    let lost = place.reuse.as_ref().and_then(|reuse| reuse.lost_tokens);
    let samples = [
        Some(TURNS.sample(u64::from(place.turn))),
        place.tokens.map(|tokens| TOKENS.sample(tokens)),
        ratio(place).map(|ratio| REUSED_RATIO.sample(ratio)),
        lost.map(|tokens| LOST_TOKENS.sample(tokens)),
    ];
    record.record(&BASE, None, &samples);
    if let Some(changed) = broken(place) {
        let by = (SEGMENT, changed.segment());
        record.record(&BASE, Some(by), &[Some(CACHE_BREAKS.sample(1_u64))]);
    }
    let upstream = exchange.upstream.as_ref();
    let upstream = upstream.map(|upstream| (super::facets::UPSTREAM, (&*upstream.name).into()));
    let mut under = |label, sample| {
        let labels: Vec<_> = upstream.clone().into_iter().chain([label]).collect();
        record.record_under(&labels, &[Some(sample)]);
    };
    if let Some(again @ Again::Retry { .. }) = place.again {
        under((AFTER, after(again).into()), RETRIES.sample(1_u64));
    }
    for repeated in &place.repeated_calls {
        let call = exchange.response.tool_calls.get(repeated.number);
        if let Some(call) = call.filter(|call| !call.name.is_empty()) {
            under(
                (TOOL_NAME, (&call.name).into()),
                REPEATED_CALLS.sample(1_u64),
            );
        }
    }
}

/// The id of a conversation, or of its trace, as it is written.
#[must_use]
pub fn id(id: u128) -> String {
    // By way of the formatter it took 600 instructions.
    let mut digits = [0; 32];
    let (pairs, _) = digits.as_chunks_mut();
    for (pair, byte) in pairs.iter_mut().zip(id.to_be_bytes()) {
        *pair = [byte >> 4, byte & 0xf].map(|number| DIGITS[usize::from(number)]);
    }
    std::str::from_utf8(&digits).unwrap_or_default().to_owned()
}

/// The digits of hexadecimal numbers.
const DIGITS: [u8; 16] = *b"0123456789abcdef";

fn ratio(place: &Conversation) -> Option<f64> {
    let reuse = place
        .reuse
        .as_ref()
        .filter(|reuse| reuse.prompt_bytes > 0)?;
    Some(reuse.matched_bytes as f64 / reuse.prompt_bytes as f64)
}

/// The part that changed, where it cost something.
fn broken(place: &Conversation) -> Option<Changed> {
    let reuse = place.reuse.as_ref()?;
    let is_broken = reuse.verdict == Some(CacheVerdict::PrefixChanged);
    reuse.changed.filter(|_| is_broken)
}

/// How the earlier one ended: its status where it came to an answer.
fn after(again: Again) -> String {
    match again {
        Again::Retry {
            end: End::HttpError,
            status: Some(status),
            ..
        } => status.to_string(),
        Again::Retry { end, .. } => end.as_str().to_owned(),
        Again::Repeat => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_32_digits() {
        assert_eq!(id(0), "0".repeat(32));
        let one = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210;
        assert_eq!(id(one), "0123456789abcdeffedcba9876543210");
    }
}
