//! Links to spans (`Span.links`).

use opentelemetry_proto::tonic::trace::v1::SpanFlags;

use super::super::protobuf;
use crate::exchange::{Identity, ToldUpstream};
use crate::semconv::{Value, own};

/// To the inference span of an exchange.
pub(super) fn to(out: &mut Vec<u8>, exchange: &Identity) {
    let Identity {
        trace_id,
        client_span_id,
        flags,
        ..
    } = *exchange;
    write(out, trace_id, client_span_id, flags, |_| ());
}

/// To the span that the upstream was given as the parent of its own, in the trace that it was told.
pub(super) fn upstream(out: &mut Vec<u8>, told: &ToldUpstream, span_id: u64) {
    write(out, told.trace_id, span_id, told.flags, |out| {
        protobuf::attribute(out, 4, &(own::LINK, Value::from(own::UPSTREAM_LINK)));
    });
}

fn write(
    out: &mut Vec<u8>,
    trace_id: u128,
    span_id: u64,
    flags: u8,
    attributes: impl Fn(&mut Vec<u8>),
) {
    protobuf::message(out, 13, |out| {
        protobuf::bytes(out, 1, &trace_id.to_be_bytes());
        protobuf::bytes(out, 2, &span_id.to_be_bytes());
        attributes(out);
        let flags = u32::from(flags) | SpanFlags::ContextHasIsRemoteMask as u32;
        protobuf::fixed_32(out, 6, flags);
    });
}
