//! Decides which traces are kept, once an exchange is over and known to be of interest or not: all that failed, were left, were slow
//! or expensive, stood still or ran in circles, and of the rest a share.
//!
//! One decision holds for all spans of an exchange, and, as far as it is remembered, for those of its trace. The share is
//! decided by the trace's own number, so that every process that keeps the same share keeps the same traces. With which
//! probability a trace was kept goes into its `tracestate`: one that is kept for what it is stands for itself alone, whatever the share.
//!
//! It comes behind the stages that find something out, since it asks for what they found.

mod slow;

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use foldhash::fast::RandomState;
use rust_decimal::Decimal;

use self::slow::Slow;
use super::{Finished, Stage};
use crate::exchange::sampling::{number, threshold, with_threshold};
use crate::exchange::{
    Conversation, End, Exchange, Identity, Integrity, Price, Sampling, Threshold, Trace,
};

/// Most traces that are remembered as kept for a reason.
const REMEMBERED: usize = 10_000;

/// Which traces are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleConfig {
    /// Which share is kept of what nothing else speaks for, from 0 to 1. With 1 everything is kept, and nothing decided here.
    /// Default 1.
    pub share: f64,
    /// A call that takes longer is kept; `None` for no such bound. Default 30 s.
    pub slow: Option<Duration>,
    /// A call that takes longer than this share of the calls of its model lately is kept; `None` where that does not count.
    /// Default 0.99.
    pub slow_quantile: Option<f64>,
    /// A call that costs as much is kept, in USD; `None` for no such bound. Default 0.25.
    pub expensive_usd: Option<Decimal>,
    /// What it counts that a client keeps its own span. Default [`OfParent::Respect`].
    pub parent: OfParent,
    /// Whether the sampler at the head of a request has kept a share of the traces, so that nobody can say which share of all is
    /// kept. Default false. Set by the application.
    pub after_share: bool,
}

/// What the decision of a client counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OfParent {
    /// What it keeps is kept, so that its trace is whole.
    #[default]
    Respect,
    /// It is kept as any other.
    Ignore,
}

impl Default for SampleConfig {
    fn default() -> Self {
        Self {
            share: 1.0,
            slow: Some(Duration::from_secs(30)),
            slow_quantile: Some(0.99),
            expensive_usd: Some(Decimal::new(25, 2)),
            parent: OfParent::default(),
            after_share: false,
        }
    }
}

/// Sets [`Exchange::sampling`], and what of the [`Trace`] follows from it.
pub(super) struct SampleStage {
    config: SampleConfig,
    /// `None` where nothing is kept without a reason.
    share: Option<Threshold>,
    slow: Slow,
    reasons: Reasons,
}

/// Traces that were kept for a reason lately.
#[derive(Debug, Default)]
struct Reasons {
    traces: HashSet<u128, RandomState>,
    /// The same in the order in which they came.
    order: VecDeque<u128>,
}

impl Reasons {
    fn note(&mut self, trace_id: u128) {
        if !self.traces.insert(trace_id) {
            return;
        }
        self.order.push_back(trace_id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.traces.remove(&oldest);
        }
    }

    fn has(&self, trace_id: u128) -> bool {
        self.traces.contains(&trace_id)
    }
}

/// A decision, and with which probability it fell; `None` where that is not known, or not ours to say.
type Decision = (Sampling, Option<Threshold>);

impl SampleStage {
    /// `None` where everything is kept.
    pub(super) fn new(config: &SampleConfig) -> Option<Self> {
        (config.share < 1.0).then(|| Self {
            share: Threshold::of_share(config.share),
            slow: Slow::new(config.slow, config.slow_quantile),
            reasons: Reasons::default(),
            config: config.clone(),
        })
    }

    fn decide(&self, exchange: &Exchange, trace: &Trace, is_slow: bool) -> Decision {
        let parent_keeps = trace.parent_sampled == Some(true);
        if parent_keeps && self.config.parent == OfParent::Respect {
            return (Sampling::Parent, None);
        }
        let state = trace.tracestate.as_deref();
        // What kept the trace before kept no more than its own share of all.
        let before = state.filter(|_| parent_keeps).and_then(threshold);
        let before = before.unwrap_or(Threshold::ALL);
        let reason = reason(exchange).or(is_slow.then_some(Sampling::Slow));
        let reason = reason.or(self.is_expensive(exchange).then_some(Sampling::Expensive));
        let known = |threshold| (!self.config.after_share).then_some(threshold);
        let share = self
            .share
            .filter(|share| share.keeps(number(trace.trace_id, state)));
        match (reason, share) {
            (Some(reason), _) => (reason, known(before)),
            _ if self.reasons.has(trace.trace_id) => (Sampling::Trace, None),
            (None, Some(share)) => (Sampling::Share, known(share.max(before))),
            (None, None) => (Sampling::Dropped, None),
        }
    }

    fn is_expensive(&self, exchange: &Exchange) -> bool {
        let cost = exchange.price.as_ref().and_then(Price::known);
        let bound = self.config.expensive_usd;
        bound
            .zip(cost)
            .is_some_and(|(bound, cost)| cost.total >= bound)
    }

    /// Has what an exchange says of others follow from what was decided of those.
    fn settle(&self, place: &mut Conversation, own: &Identity, threshold: Option<Threshold>) {
        let waits = place.waits.iter_mut();
        let ends = waits.flat_map(|wait| [&mut wait.called_by, &mut wait.brought_by]);
        let parent = place.parent.iter_mut().map(|parent| &mut parent.exchange);
        let others = ends.chain(parent).chain([&mut place.previous]).flatten();
        for other in others.filter(|other| other.is_sampled()) {
            if other.client_span_id == own.client_span_id {
                (other.flags, other.threshold) = (own.flags, threshold);
            } else {
                self.settle_earlier(other);
            }
        }
    }

    /// The same of one that ended before: its number is known, and, lately, the reasons.
    fn settle_earlier(&self, other: &mut Identity) {
        let has_client = other.parent_span_id.is_some() && !other.parent_is_ours;
        let of_parent = self.config.parent == OfParent::Respect && has_client;
        if of_parent {
            return;
        }
        let known = |threshold| (!self.config.after_share).then_some(threshold);
        if self.reasons.has(other.trace_id) {
            other.threshold = known(Threshold::ALL);
        } else if let Some(share) = self
            .share
            .filter(|it| it.keeps(number(other.trace_id, None)))
        {
            other.threshold = known(share);
        } else {
            other.flags &= !1;
        }
    }
}

/// What an exchange is kept for by itself.
fn reason(exchange: &Exchange) -> Option<Sampling> {
    let place = exchange.conversation.as_deref();
    let is_repeated =
        |place: &Conversation| !place.repeated_calls.is_empty() || place.without_progress.is_some();
    let is_wrong = exchange.failure.is_some() || exchange.integrity == Some(Integrity::Different);
    if is_wrong {
        Some(Sampling::Error)
    } else if exchange.end == End::ClientLeft {
        Some(Sampling::ClientLeft)
    } else if exchange
        .drift
        .as_ref()
        .is_some_and(|drift| drift.new.is_some())
    {
        Some(Sampling::ModelChange)
    } else if exchange.flow.stall_count > 0 {
        Some(Sampling::Stall)
    } else {
        place.is_some_and(is_repeated).then_some(Sampling::Repeated)
    }
}

impl Stage for SampleStage {
    fn name(&self) -> &'static str {
        "sample"
    }

    fn run(&mut self, finished: &mut Finished) {
        let exchange = &mut *finished.exchange;
        let is_slow = self.slow.is_slow(exchange);
        let Some(trace) = exchange.trace.as_ref().filter(|trace| trace.sampled) else {
            // It may still end the wait of another, which is kept.
            let own = exchange.trace.as_ref().map(Trace::identity);
            if let (Some(own), Some(place)) = (own, &mut exchange.conversation) {
                self.settle(place, &own, None);
            }
            return;
        };
        let (sampling, threshold) = self.decide(exchange, trace, is_slow);
        exchange.sampling = Some(sampling);
        let Some(trace) = &mut exchange.trace else {
            return;
        };
        match sampling {
            Sampling::Parent => {}
            Sampling::Dropped => trace.sampled = false,
            _ => trace.tracestate = with_threshold(trace.tracestate.as_deref(), threshold),
        }
        if !matches!(
            sampling,
            Sampling::Parent | Sampling::Share | Sampling::Dropped
        ) {
            self.reasons.note(trace.trace_id);
        }
        let own = trace.identity();
        if let Some(place) = &mut exchange.conversation {
            self.settle(place, &own, threshold);
        }
    }
}

#[cfg(test)]
mod tests;
