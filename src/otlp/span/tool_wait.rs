//! The spans of what is inferred of tools. Such a span lies between two exchanges, and is linked to both. It stands beside
//! the call that brought the result, where there is a span above that one, as in the client's own trace; else below the inference that
//! called.

use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::trace::v1::SpanFlags;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::super::envelope::ITEM;
use super::super::protobuf;
use super::link;
use crate::exchange::sampling::with_threshold;
use crate::exchange::{Content, Identity, ToolWait};
use crate::otel::ToolSpans;
use crate::semconv::{Attributes, Value, tool_wait};

/// Writes one, if it is to be there and has a trace that is exported; says whether it did.
/// `said` is what the exchange that brought the result shows of its content.
pub(super) fn write(
    wait: &ToolWait,
    said: Option<&Content>,
    spans: ToolSpans,
    id: u64,
    out: &mut Vec<u8>,
) -> bool {
    let Some((trace, parent)) = place(wait).filter(|_| spans != ToolSpans::Off) else {
        return false;
    };
    let as_execution = spans == ToolSpans::ExecuteTool;
    let began = wait.began.duration_since(SystemTime::UNIX_EPOCH);
    let began = began.unwrap_or_default();
    protobuf::message(out, ITEM, |out| {
        protobuf::bytes(out, 1, &trace.trace_id.to_be_bytes());
        protobuf::bytes(out, 2, &id.to_be_bytes());
        if let Some(state) = with_threshold(None, trace.threshold) {
            protobuf::bytes(out, 3, state.as_bytes());
        }
        protobuf::bytes(out, 4, &parent.to_be_bytes());
        protobuf::string(out, 5, tool_wait::span_name(wait, as_execution));
        protobuf::number(out, 6, SpanKind::Internal as u64);
        protobuf::fixed_64(out, 7, nanos(began));
        protobuf::fixed_64(out, 8, nanos(began + wait.lasted));
        let mut keys = Vec::new();
        let mut write = |key: &str, value: &Value<'_>| protobuf::pair(out, 9, key, value);
        let mut span = Attributes::new(&mut keys, &mut write);
        tool_wait::attributes(wait, as_execution, &mut span);
        if let Some(said) = said {
            tool_wait::content(wait, said, &mut span);
        }
        for linked in [wait.called_by, wait.brought_by].into_iter().flatten() {
            link::to(out, &linked);
        }
        protobuf::length(out, 15, 0);
        let is_above = trace.parent_span_id == Some(parent);
        let remote = match is_above && !trace.parent_is_ours {
            true => SpanFlags::ContextIsRemoteMask as u32,
            false => 0,
        };
        let known = SpanFlags::ContextHasIsRemoteMask as u32;
        protobuf::fixed_32(out, 16, u32::from(trace.flags) | known | remote);
    });
    true
}

/// In which trace it stands, and below which span.
fn place(wait: &ToolWait) -> Option<(Identity, u64)> {
    let exported = |one: Option<Identity>| one.filter(Identity::is_sampled);
    let brought = exported(wait.brought_by);
    let beside = brought.and_then(|trace| Some((trace, trace.parent_span_id?)));
    let below = |trace: Identity| (trace, trace.client_span_id);
    beside.or(exported(wait.called_by).or(brought).map(below))
}

/// Nanoseconds, as far as they can be told.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
