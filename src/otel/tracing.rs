//! Trace identity of an exchange: the client's context in, sampling, and ids.
//!
//! Sampling happens at the request's head, when no model is known yet.

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler, SamplingDecision, ShouldSample,
};

use super::propagation::{self, Carrier, Change, Propagator, Remote};
use crate::exchange::Trace;

/// Name of the SERVER span as far as the sampler can know it, before anything was read.
const SPAN_NAME: &str = "server";

/// Which spans a call to a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spans {
    /// SERVER for the client's request, and CLIENT for the inference below it.
    #[default]
    ServerAndClient,
    /// CLIENT for the inference alone, which takes the place of the other.
    Client,
}

/// What the spans of waits for tools are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ToolSpans {
    /// `tool_wait`, since it is no more than that.
    #[default]
    ToolWait,
    /// `execute_tool`, as the application would call them.
    ExecuteTool,
    /// There are none.
    Off,
}

/// Gives each exchange its trace.
#[derive(Debug)]
pub struct Tracing {
    sampler: Sampler,
    ids: RandomIdGenerator,
    propagators: Vec<Propagator>,
}

impl Tracing {
    /// Without propagators every exchange is the root of a trace of its own, and nothing should go upstream.
    #[must_use]
    pub fn new(sampler: Sampler, propagators: Vec<Propagator>) -> Self {
        Self {
            sampler,
            ids: RandomIdGenerator::default(),
            propagators,
        }
    }

    /// Whether a context belongs on the request to the upstream.
    #[must_use]
    pub const fn propagates(&self) -> bool {
        !self.propagators.is_empty()
    }

    /// Whether that is one of W3C Trace Context.
    #[must_use]
    pub fn speaks_w3c(&self) -> bool {
        self.propagators.contains(&Propagator::TraceContext)
    }

    /// Begins the trace of a request with these header fields. What cannot be read is ignored, and without a parent a new
    /// trace begins.
    #[must_use]
    pub fn begin(&self, carrier: &dyn Carrier) -> Trace {
        let remote = propagation::extract(&self.propagators, carrier).unwrap_or_default();
        let new_id = || {
            let id = valid(TraceId::INVALID, || self.ids.new_trace_id());
            u128::from_be_bytes(id.to_bytes())
        };
        let mut trace = Trace::of_span(self.span_id());
        trace.client_span_id = self.span_id();
        let ids = remote.ids;
        self.put(
            &mut trace,
            remote,
            ids.map_or_else(new_id, |(trace_id, _)| trace_id),
        );
        trace
    }

    /// Moves a trace that has just begun into that of another carrier, the request's body. Says whether that named one.
    pub fn join(&self, trace: &mut Trace, carrier: &dyn Carrier) -> bool {
        let remote = propagation::extract(&self.propagators, carrier);
        let named = remote.and_then(|remote| Some((remote.ids?.0, remote)));
        let joins = named.is_some();
        if let Some((trace_id, remote)) = named {
            self.put(trace, remote, trace_id);
        }
        joins
    }

    fn put(&self, trace: &mut Trace, remote: Remote, trace_id: u128) {
        trace.trace_id = trace_id;
        trace.sampled = self.samples(trace_id, &remote);
        trace.parent_sampled = remote.sampled;
        trace.parent_span_id = remote.ids.map(|(_, span_id)| span_id);
        // All bits of an id of ours are random.
        trace.random = remote.ids.is_none() || remote.random;
        trace.tracestate = remote.tracestate;
    }

    /// What the sampler says. Where the client leaves it to us, it decides as at the root.
    fn samples(&self, trace_id: u128, remote: &Remote) -> bool {
        let trace_id = TraceId::from(trace_id);
        let context = remote.sampled.map(|sampled| {
            let flags = match sampled {
                true => TraceFlags::SAMPLED,
                false => TraceFlags::NOT_SAMPLED,
            };
            // A decision alone has no span that made it; the sampler asks for a valid one.
            let span_id = remote.ids.map_or(u64::MAX, |(_, span_id)| span_id);
            let (span_id, state) = (SpanId::from(span_id), TraceState::NONE);
            let remote = SpanContext::new(trace_id, span_id, flags, true, state);
            Context::new().with_remote_span_context(remote)
        });
        let (context, kind) = (context.as_ref(), &SpanKind::Server);
        let result = self
            .sampler
            .should_sample(context, trace_id, SPAN_NAME, kind, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    /// The headers that make a span the parent, in all formats but W3C Trace Context.
    #[must_use]
    pub fn inject(&self, trace: &Trace, span_id: u64) -> Vec<Change> {
        let each = self.propagators.iter();
        each.flat_map(|propagator| propagator.inject(trace, span_id))
            .collect()
    }

    // Inline it would be there twice.
    #[inline(never)]
    fn span_id(&self) -> u64 {
        u64::from_be_bytes(valid(SpanId::INVALID, || self.ids.new_span_id()).to_bytes())
    }
}

/// Draws until the id is valid; all zeros is not.
fn valid<T: PartialEq>(invalid: T, draw: impl Fn() -> T) -> T {
    loop {
        let id = draw();
        if id != invalid {
            return id;
        }
    }
}

#[cfg(test)]
mod tests;
