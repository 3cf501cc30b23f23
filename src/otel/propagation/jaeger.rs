//! Jaeger: <https://www.jaegertracing.io/sdk-migration/#propagation-format>.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::{Carrier, Change, Remote, hex, id};
use crate::exchange::Trace;

const HEADER: &str = "uber-trace-id";

const SAMPLED: u128 = 1;
const DEBUG: u128 = 2;

/// `{trace}:{span}:{parent}:{flags}`; ids may have lost the zeros before them, and colons may be percent-encoded.
pub(super) fn extract(carrier: &dyn Carrier) -> Option<Remote> {
    let header: Cow<'_, str> = percent_decode_str(carrier.only(HEADER)?.trim())
        .decode_utf8()
        .ok()?;
    let mut fields = header.split(':');
    let trace_id = id(fields.next()?, 32)?;
    let span_id = id(fields.next()?, 16)?;
    let _deprecated_parent = fields.next()?;
    let flags = hex(fields.next()?, 2)?;
    fields.next().is_none().then_some(())?;
    Some(Remote {
        ids: Some((trace_id, u64::try_from(span_id).ok()?)),
        sampled: Some(flags & (SAMPLED | DEBUG) != 0),
        ..Remote::default()
    })
}

pub(super) fn inject(trace: &Trace, span_id: u64) -> Vec<Change> {
    let (trace_id, sampled) = (trace.trace_id, u8::from(trace.sampled));
    let value = format!("{trace_id:032x}:{span_id:016x}:0:{sampled}");
    vec![(HEADER, Some(value))]
}
