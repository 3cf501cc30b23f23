//! Which of our counters begin at zero.
//!
//! Those that somebody may want to be told of when they first count, and whose labels are few: the quirks are the most, some
//! seventy for an upstream. Of a model there are only the ends that are failures, and its client's leaving. What else an
//! upstream does to a stream is a quirk, and what we reject has no model.

use super::{
    ANSWERED, CHUNKS, END, ESTIMATED_INPUT, ESTIMATED_OUTPUT, EVENTS, EXCHANGES, INTEGRITY, KIND,
    MEMBER, OBSERVATION_PROBLEMS, PARTIAL_EXCHANGES, PROBLEMS, QUIRK, QUIRKS, REASON,
    REQUEST_BYTES, RESENDS, RESPONSE_BYTES, RESULT, STALLS, USAGE_CALLS, USAGE_MOVED, USAGE_SOURCE,
    WHY, failures, source, waste,
};
use crate::exchange::{End, Integrity, Quirk, UsageSource, Why};
use crate::semconv::zero::{Begins, FromZero, Known};
use crate::semconv::{Metric, Value};

/// Those of our counters that begin at zero.
pub static FROM_ZERO: &[FromZero] = &[
    FromZero {
        metric: &EXCHANGES,
        begins: Begins::WithModel,
        labels: &[Known {
            key: END,
            values: || texts(TOLD_ENDS.iter().map(|end| end.as_str())),
        }],
    },
    FromZero {
        metric: &failures::REQUESTS_REJECTED,
        begins: Begins::WithProcess,
        labels: &[Known {
            key: REASON,
            values: || texts(failures::REJECTIONS.iter().copied()),
        }],
    },
    FromZero {
        metric: &failures::UPSTREAM_FAILURES,
        begins: Begins::WithUpstream,
        labels: &[Known {
            key: KIND,
            values: || texts(failures::KINDS.iter().copied()),
        }],
    },
    FromZero {
        metric: &INTEGRITY,
        begins: Begins::WithUpstream,
        labels: &[Known {
            key: RESULT,
            values: || texts(Integrity::ALL.iter().map(|result| result.as_str())),
        }],
    },
    FromZero {
        metric: &QUIRKS,
        begins: Begins::WithUpstream,
        labels: &[Known {
            key: QUIRK,
            values: || texts(Quirk::ALL.iter().map(|quirk| quirk.id())),
        }],
    },
    FromZero {
        metric: &OBSERVATION_PROBLEMS,
        begins: Begins::WithUpstream,
        labels: &[Known {
            key: KIND,
            values: || texts(PROBLEMS.iter().map(|problem| problem.kind)),
        }],
    },
    FromZero {
        metric: &USAGE_CALLS,
        begins: Begins::WithUpstream,
        labels: &[Known {
            key: USAGE_SOURCE,
            values: || texts(UsageSource::ALL.map(source).into_iter()),
        }],
    },
    FromZero {
        metric: &USAGE_MOVED,
        begins: Begins::WithUpstream,
        labels: &[Known {
            key: MEMBER,
            values: || texts(["system_fingerprint", "service_tier"].into_iter()),
        }],
    },
    FromZero {
        metric: &RESENDS,
        begins: Begins::WithUpstream,
        labels: &[
            Known {
                key: WHY,
                values: || texts(Why::AGAIN.iter().map(|why| why.as_str())),
            },
            Known {
                key: ANSWERED,
                values: || [true, false].map(Value::from).into(),
            },
        ],
    },
    FromZero {
        metric: &waste::BYTES,
        begins: Begins::WithUpstream,
        labels: &[Known {
            key: waste::FATE,
            values: || texts(waste::fates()),
        }],
    },
    of_upstream(&waste::RETRIES),
    of_upstream(&PARTIAL_EXCHANGES),
    of_upstream(&ESTIMATED_INPUT),
    of_upstream(&ESTIMATED_OUTPUT),
    of_upstream(&STALLS),
    of_upstream(&EVENTS),
    of_upstream(&CHUNKS),
    of_upstream(&REQUEST_BYTES),
    of_upstream(&RESPONSE_BYTES),
];

/// The ends of a model's calls that somebody may want to be told of.
const TOLD_ENDS: [End; 6] = [
    End::HttpError,
    End::ErrorEvent,
    End::Cut,
    End::ClientLeft,
    End::Timeout,
    End::Refused,
];

/// A counter without further labels.
const fn of_upstream(metric: &'static Metric) -> FromZero {
    FromZero {
        metric,
        begins: Begins::WithUpstream,
        labels: &[],
    }
}

fn texts(texts: impl Iterator<Item = &'static str>) -> Vec<Value<'static>> {
    texts.map(Value::from).collect()
}
