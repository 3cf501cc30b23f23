//! W3C Trace Context: <https://www.w3.org/TR/trace-context-2/>.

use std::str::FromStr;

use opentelemetry::trace::TraceState;

use super::{Carrier, Remote, hex, ids};

pub(super) fn extract(carrier: &dyn Carrier) -> Option<Remote> {
    let parent = parse(carrier.only("traceparent")?)?;
    // It says nothing without the parent it came with.
    let state = carrier.joined("tracestate");
    let well_formed = |state: &String| !state.is_empty() && TraceState::from_str(state).is_ok();
    Some(Remote {
        tracestate: state.filter(well_formed),
        ..parent
    })
}

/// Reads a `traceparent`. Versions after 00 may have more to say after the flags; version ff is none.
fn parse(header: &str) -> Option<Remote> {
    let mut fields = header.trim_matches([' ', '\t']).splitn(5, '-');
    let mut lower = || {
        let field = fields.next()?;
        (!field.bytes().any(|byte| byte.is_ascii_uppercase())).then_some(field)
    };
    let two = |field: &str| (field.len() == 2).then(|| hex(field, 2))?;
    let version = two(lower()?)?;
    let ids = ids(lower()?, &[32], lower()?)?;
    let flags = two(lower()?)?;
    let more = fields.next().is_some();
    let valid = version != 0xff && !(version == 0 && more);
    valid.then_some(Remote {
        ids: Some(ids),
        sampled: Some(flags & 1 == 1),
        random: flags & 2 == 2,
        tracestate: None,
    })
}
