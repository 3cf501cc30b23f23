//! Says in the log what an upstream sends for the first time, so that a change at a provider can be looked into.
//!
//! Each upstream and shape is said once; how often it comes is for the metrics to tell. What it remembers is bounded.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::{ExchangeId, Sink};
use crate::exchange::{Exchange, Unknown};

/// Most that is remembered; what comes beyond it is not said.
const REMEMBERED: usize = 256;

/// Remembers what was logged of which upstream.
#[derive(Debug, Default)]
pub struct UnknownsLog {
    logged: Mutex<HashSet<(Arc<str>, Unknown)>>,
}

impl UnknownsLog {
    /// Whether this is the first time, and remembers that it was.
    fn is_first(&self, upstream: &Arc<str>, unknown: &Unknown) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.len() < REMEMBERED && logged.insert((Arc::clone(upstream), unknown.clone()))
    }
}

impl Sink for UnknownsLog {
    fn name(&self) -> &'static str {
        "unknowns"
    }

    fn finished(&self, _id: ExchangeId, exchange: &Arc<Exchange>) {
        let Some(upstream) = &exchange.upstream else {
            return;
        };
        for unknown in exchange.unknown.iter() {
            if self.is_first(&upstream.name, unknown) {
                tracing::info!(
                    upstream = %upstream.name,
                    route = exchange.http.route.unwrap_or_default(),
                    kind = unknown.kind.id(),
                    shape = %unknown,
                    "the upstream sent data of an unknown kind; it was passed on unchanged"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Quirk, Unknowns};

    fn unknown(name: &str) -> Unknown {
        let mut unknown = Unknowns::default();
        unknown.note(Quirk::UnknownMember, "", name, || "string".into());
        unknown.iter().next().unwrap().clone()
    }

    #[test]
    fn a_shape_is_logged_once_for_each_upstream() {
        let log = UnknownsLog::default();
        let (one, other) = (Arc::from("one"), Arc::from("other"));
        assert!(log.is_first(&one, &unknown("mood")));
        assert!(!log.is_first(&one, &unknown("mood")));
        assert!(log.is_first(&other, &unknown("mood")));
        assert!(log.is_first(&one, &unknown("colour")));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let log = UnknownsLog::default();
        let upstream = Arc::from("main");
        let first = |at: usize| log.is_first(&upstream, &unknown(&at.to_string()));
        assert_eq!((0..1000).filter(|at| first(*at)).count(), REMEMBERED);
    }
}
