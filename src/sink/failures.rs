//! Logs calls that fail at an upstream: one line a minute for each upstream and kind of failure, and one when the upstream
//! answers again.
//!
//! A line has our own words, a status or the API's error code, and the URL without credentials. What a response said in its
//! body is not in it. Metrics have the exact counts.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Deadline, ExchangeId, Sink};
use crate::exchange::{Exchange, UpstreamFailure};
use crate::log::LogLimits;

/// Failures of each upstream. Upstreams come from the configuration, kinds are our own words and statuses: both are few.
#[derive(Debug, Default)]
pub struct FailuresLog {
    lines: LogLimits<(Arc<str>, Cow<'static, str>)>,
    failing: Mutex<HashMap<Arc<str>, u64>>,
    answering: LogLimits<Arc<str>>,
}

impl FailuresLog {
    /// Counts a failure of an upstream since it answered last.
    fn failed(&self, upstream: &Arc<str>) {
        *self.failing().entry(Arc::clone(upstream)).or_default() += 1;
    }

    /// The upstream has answered; how many calls had failed before, if any, and that may be said.
    fn answered(&self, upstream: &Arc<str>) -> Option<u64> {
        let mut failing = self.failing();
        failing.get(upstream)?;
        self.answering.pass(Arc::clone(upstream))?;
        failing.remove(upstream)
    }

    fn failing(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, u64>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for FailuresLog {
    fn name(&self) -> &'static str {
        "failures"
    }

    fn finished(&self, _id: ExchangeId, exchange: &Arc<Exchange>) {
        let Some(upstream) = &exchange.upstream else {
            return;
        };
        let name = &upstream.name;
        let failed = exchange.upstream_failure();
        let Some(kind) = failed.and_then(kind) else {
            if exchange.http.status.is_some_and(|status| status < 400)
                && let Some(failed) = self.answered(name)
            {
                tracing::info!(upstream = %name, failed, "the upstream answers again");
            }
            return;
        };
        self.failed(name);
        let Some(held_back) = self.lines.pass((Arc::clone(name), kind.clone())) else {
            return;
        };
        let failure = exchange.failure.as_ref();
        let answered = exchange.attempts.last().and_then(|attempt| attempt.status);
        tracing::warn!(
            upstream = %name,
            kind = %kind,
            url = exchange.attempts.last().map(|attempt| attempt.url.as_str()),
            status = answered,
            // Where it says more than the kind.
            error_type = failure
                .map(|failure| failure.kind.as_str())
                .filter(|error| *error != kind),
            // Of what the upstream's body said nothing is logged.
            error = failure
                .filter(|_| matches!(failed, Some(UpstreamFailure::Transport(_))))
                .map(|failure| failure.message.as_str()),
            trace_id = exchange.trace_id().map(|id| format!("{id:032x}")),
            held_back,
            "a call to the upstream failed"
        );
    }

    fn flush(&self, _deadline: Deadline) {
        for ((upstream, kind), held_back) in self.lines.take_held_back() {
            tracing::warn!(%upstream, %kind, held_back, "more calls to the upstream failed, before the shutdown");
        }
    }
}

/// What kind of failure of the upstream is logged, if any: an error that the client's request asked for is none.
fn kind(failure: UpstreamFailure<'_>) -> Option<Cow<'static, str>> {
    match failure {
        UpstreamFailure::Transport(word) => Some(Cow::Owned(word.to_owned())),
        UpstreamFailure::ErrorEvent => Some(Cow::Borrowed("error_event")),
        UpstreamFailure::Status(status @ (429 | 500..)) => Some(Cow::Owned(status.to_string())),
        UpstreamFailure::Status(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::exchange::{End, Failure};

    fn failed(end: End, status: u16, kind: &str) -> Exchange {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.end = end;
        exchange.http.status = Some(status);
        exchange.failure = Some(Failure {
            kind: kind.into(),
            message: String::new(),
        });
        exchange
    }

    #[test]
    fn what_the_upstream_or_the_way_to_it_did_is_a_failure_and_what_the_client_did_is_none() {
        for (end, status, error, expected) in [
            (
                End::Refused,
                502,
                "connection_refused",
                Some("connection_refused"),
            ),
            (End::Timeout, 504, "timeout", Some("timeout")),
            (End::Timeout, 200, "shutdown", None),
            (End::Cut, 200, "stream_truncated", Some("stream_truncated")),
            (
                End::Unfinished,
                200,
                "stream_truncated",
                Some("stream_truncated"),
            ),
            (End::ErrorEvent, 200, "server_error", Some("error_event")),
            (End::Done, 503, "overloaded", Some("503")),
            (End::Done, 429, "rate_limit_exceeded", Some("429")),
            (End::Done, 400, "invalid_request_error", None),
            (End::Rejected, 404, "no_route", None),
        ] {
            let exchange = failed(end, status, error);
            let kind = exchange.upstream_failure().and_then(kind);
            assert_eq!(kind.as_deref(), expected, "{error}");
        }
    }

    #[test]
    fn the_first_answer_after_failures_says_how_many_there_were() {
        let log = FailuresLog::default();
        let name: Arc<str> = "main".into();
        assert_eq!(log.answered(&name), None);
        log.failed(&name);
        log.failed(&name);
        assert_eq!(log.answered(&name), Some(2));
        assert_eq!(log.answered(&name), None);
        log.failed(&name);
        assert_eq!(log.answered(&name), None, "once a minute");
    }
}
