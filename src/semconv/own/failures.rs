//! Calls that failed at an upstream, and requests that were rejected: by kinds that are known beforehand, so that an alert sees
//! the first. The code of an API's error is on the metrics that have `error.type`.

use super::{BASE, KIND, REASON, counter};
use crate::exchange::{End, Exchange, UpstreamFailure};
use crate::semconv::facets::UPSTREAM;
use crate::semconv::metric::{Metric, Record};

/// Calls that failed at an upstream.
pub(super) static UPSTREAM_FAILURES: Metric = counter(
    "streamgauge.upstream.failures",
    "{exchange}",
    "Exchanges that failed at an upstream, or on the way to it, by kind.",
);
/// Requests that were rejected.
pub(super) static REQUESTS_REJECTED: Metric = counter(
    "streamgauge.requests.rejected",
    "{request}",
    "Requests that were rejected by the proxy, by reason.",
);

const ERROR_EVENT: &str = "error_event";
const RATE_LIMITED: &str = "429";
const CLIENT_FAULT: &str = "4xx";
const SERVER_FAULT: &str = "5xx";

/// Values of the label `kind` of the first; those that are words are values of `error.type`.
pub const KINDS: [&str; 12] = [
    "certificate_refused",
    "connection_refused",
    "connection_failed",
    "connect_timeout",
    "send_timeout",
    "timeout",
    "connection_broken",
    "stream_truncated",
    ERROR_EVENT,
    RATE_LIMITED,
    CLIENT_FAULT,
    SERVER_FAULT,
];

/// Values of the label `reason` of the second, of `error.type` too.
pub const REJECTIONS: [&str; 11] = [
    "no_route",
    "cross_site",
    "host_not_allowed",
    "request_body",
    "body_timeout",
    "limit_reached",
    "method_not_allowed",
    "bad_request",
    "target_too_long",
    "head_too_large",
    "head_timeout",
];

/// Records what failed; nothing where all went well.
pub(super) fn record(exchange: &Exchange, record: &mut dyn Record) {
    let rejected = exchange.failure.as_ref();
    if let Some(failure) = rejected.filter(|_| exchange.end == End::Rejected) {
        let reason = [(REASON, (&failure.kind).into())];
        record.record_under(&reason, &[Some(REQUESTS_REJECTED.sample(1_u64))]);
    }
    let Some(failure) = exchange.upstream_failure() else {
        return;
    };
    let samples = [Some(UPSTREAM_FAILURES.sample(1_u64))];
    let kind = match failure {
        UpstreamFailure::Transport(word) => {
            let upstream = exchange.upstream.as_ref();
            let upstream = upstream.map(|upstream| (UPSTREAM, (&*upstream.name).into()));
            let labels: Vec<_> = upstream.into_iter().chain([(KIND, word.into())]).collect();
            return record.record_under(&labels, &samples);
        }
        UpstreamFailure::ErrorEvent => ERROR_EVENT,
        UpstreamFailure::Status(429) => RATE_LIMITED,
        UpstreamFailure::Status(..500) => CLIENT_FAULT,
        UpstreamFailure::Status(_) => SERVER_FAULT,
    };
    record.record(&BASE, Some((KIND, kind)), &samples);
}
