//! B3, Zipkin's, in one header or several: <https://github.com/openzipkin/b3-propagation>.

use super::{Carrier, Change, Remote, ids};
use crate::exchange::Trace;

const SINGLE: &str = "b3";
const TRACE_ID: &str = "x-b3-traceid";
const SPAN_ID: &str = "x-b3-spanid";
const PARENT_SPAN_ID: &str = "x-b3-parentspanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";

/// Of both forms the single one is taken, where it can be read.
pub(super) fn extract(carrier: &dyn Carrier) -> Option<Remote> {
    let single = carrier.only(SINGLE).and_then(parse);
    single.or_else(|| several(carrier))
}

/// `{trace}-{span}`, with a decision and the span's parent behind it or not; or a decision alone.
fn parse(header: &str) -> Option<Remote> {
    let mut fields = header.trim().splitn(4, '-');
    let first = fields.next()?;
    let Some(span) = fields.next() else {
        return decision(first).map(|sampled| of(None, Some(sampled)));
    };
    let ids = ids(first, &[16, 32], span)?;
    let sampled = fields
        .next()
        .map_or(Some(None), |field| decision(field).map(Some))?;
    Some(of(Some(ids), sampled))
}

fn several(carrier: &dyn Carrier) -> Option<Remote> {
    let debug = carrier.only(FLAGS) == Some("1");
    let sampled = match carrier.only(SAMPLED) {
        _ if debug => Some(true),
        Some(sampled) => Some(decision(sampled)?),
        None => None,
    };
    let ids = match (carrier.only(TRACE_ID), carrier.only(SPAN_ID)) {
        (None, None) => None,
        (trace, span) => Some(ids(trace?, &[16, 32], span?)?),
    };
    (ids.is_some() || sampled.is_some()).then(|| of(ids, sampled))
}

/// Older clients send words; `d` is for debugging, and sampled.
fn decision(text: &str) -> Option<bool> {
    match text {
        "1" | "d" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

fn of(ids: Option<(u128, u64)>, sampled: Option<bool>) -> Remote {
    Remote {
        ids,
        sampled,
        ..Remote::default()
    }
}

pub(super) fn inject(trace: &Trace, span_id: u64) -> Vec<Change> {
    let (trace_id, sampled) = (trace.trace_id, u8::from(trace.sampled));
    let value = format!("{trace_id:032x}-{span_id:016x}-{sampled}");
    vec![(SINGLE, Some(value))]
}

pub(super) fn inject_multi(trace: &Trace, span_id: u64) -> Vec<Change> {
    vec![
        (TRACE_ID, Some(format!("{:032x}", trace.trace_id))),
        (SPAN_ID, Some(format!("{span_id:016x}"))),
        (SAMPLED, Some(u8::from(trace.sampled).to_string())),
        // They spoke of the client's span.
        (PARENT_SPAN_ID, None),
        (FLAGS, None),
    ]
}
