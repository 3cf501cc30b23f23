//! AWS X-Ray:
//! <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>.

use super::{Carrier, Change, Remote, ids};
use crate::exchange::Trace;

const HEADER: &str = "x-amzn-trace-id";

/// `Root=1-{seconds}-{rest};Parent={span};Sampled={0 or 1}` in any order, with others among them. A load balancer names no
/// parent, and so nothing that a span could hang from.
pub(super) fn extract(carrier: &dyn Carrier) -> Option<Remote> {
    let header = carrier.only(HEADER)?;
    let pairs = || {
        header
            .split(';')
            .filter_map(|pair| pair.trim().split_once('='))
    };
    let named = |name: &str| {
        pairs()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    };
    let (seconds, rest) = named("Root")?.strip_prefix("1-")?.split_once('-')?;
    if (seconds.len(), rest.len()) != (8, 24) {
        return None;
    }
    let ids = ids(&[seconds, rest].concat(), &[32], named("Parent")?)?;
    Some(Remote {
        ids: Some(ids),
        // `?` asks who comes next to decide, as does nothing.
        sampled: match named("Sampled") {
            Some("1") => Some(true),
            Some("0") => Some(false),
            _ => None,
        },
        ..Remote::default()
    })
}

pub(super) fn inject(trace: &Trace, span_id: u64) -> Vec<Change> {
    let root = format!("{:032x}", trace.trace_id);
    let (seconds, rest) = root.split_at(8);
    let sampled = u8::from(trace.sampled);
    let value = format!("Root=1-{seconds}-{rest};Parent={span_id:016x};Sampled={sampled}");
    vec![(HEADER, Some(value))]
}
