//! Tells requests that were with an upstream twice at the same time: an agent that asks twice, a client that did not wait for its
//! first answer. Two that ask for the same at once get two answers, and pay for both.
//!
//! It is told when exchanges end, in that order: of two that were in flight at once the one that ends last is identical with
//! the other. So nothing is kept of what is in flight.

use std::collections::VecDeque;
use std::hash::BuildHasher as _;
use std::time::SystemTime;

use foldhash::fast::RandomState;
use foldhash::{HashMap, HashMapExt as _};

use super::{Finished, Stage};
use crate::exchange::Exchange;

/// Most requests that are remembered: those that ended last.
const REMEMBERED: usize = 4096;

/// Sets [`Exchange::is_identical`].
#[derive(Debug)]
pub(super) struct IdenticalStage {
    hasher: RandomState,
    /// When the last of the same requests to the same upstream was over.
    over: HashMap<u64, SystemTime>,
    /// The same in the order in which they came first.
    order: VecDeque<u64>,
}

impl IdenticalStage {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::default(),
            over: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Takes note of an exchange. Says whether one that is over was in flight at the same time.
    fn take(&mut self, exchange: &Exchange) -> Option<bool> {
        let (_, upstream) = exchange.model_call()?;
        let body = exchange.request.body?;
        let key = self.hasher.hash_one((&*upstream.name, body.0));
        let began = exchange.started_at + exchange.issued();
        let ends = exchange.started_at + exchange.call_end();
        if let Some(over) = self.over.get_mut(&key) {
            let is_identical = began < *over;
            *over = ends.max(*over);
            return Some(is_identical);
        }
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.over.remove(&oldest);
        }
        self.order.push_back(key);
        self.over.insert(key, ends);
        Some(false)
    }
}

impl Stage for IdenticalStage {
    fn name(&self) -> &'static str {
        "identical"
    }

    fn run(&mut self, finished: &mut Finished) {
        let is_identical = self.take(&finished.exchange);
        finished.exchange.is_identical = is_identical.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::exchange::{Digest, Operation, Upstream};

    /// A call with this body to this upstream, from one second to another.
    fn call(body: u64, upstream: &str, (from, to): (u64, u64)) -> Exchange {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH + Duration::from_secs(from));
        exchange.operation = Some(Operation::ChatCompletions);
        exchange.request.body = Some(Digest(body));
        exchange.upstream = Some(Upstream {
            name: upstream.into(),
            provider: None,
        });
        exchange.times.forwarded = Some(Duration::ZERO);
        exchange.times.end = Duration::from_secs(to - from);
        exchange
    }

    #[test]
    fn of_the_same_requests_at_the_same_time_all_but_the_first_to_end_are_identical() {
        let mut stage = IdenticalStage::new();
        for (body, upstream, span, is_identical) in [
            (1, "a", (0, 5), false),
            (1, "a", (2, 6), true),
            (1, "b", (2, 6), false),
            (2, "a", (2, 6), false),
            // That began while the second was under way, and ends long after.
            (1, "a", (5, 60), true),
            (1, "a", (60, 61), false),
            (1, "a", (62, 63), false),
        ] {
            let told = stage.take(&call(body, upstream, span));
            assert_eq!(told, Some(is_identical), "{body} {upstream} {span:?}");
        }
    }

    #[test]
    fn a_request_whose_body_was_not_seen_is_identical_with_none() {
        let mut stage = IdenticalStage::new();
        for _ in 0..2 {
            let mut unseen = call(1, "a", (0, 5));
            unseen.request.body = None;
            assert_eq!(stage.take(&unseen), None);
        }
    }

    #[test]
    fn no_more_are_remembered_than_may_be() {
        let mut stage = IdenticalStage::new();
        for body in 0..=REMEMBERED as u64 {
            stage.take(&call(body, "a", (0, 5)));
        }
        assert_eq!(
            (stage.order.len(), stage.over.len()),
            (REMEMBERED, REMEMBERED)
        );
        assert_eq!(stage.take(&call(0, "a", (1, 6))), Some(false), "forgotten");
        assert_eq!(stage.take(&call(2, "a", (1, 6))), Some(true));
    }
}
