//! Trace identity of an exchange: W3C Trace Context in, sampling, ids, and our own `traceparent` out.
//!
//! <https://www.w3.org/TR/trace-context-2/>. Sampling happens at the request's head, when no model is known yet.

use std::str::FromStr;

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler, SamplingDecision, ShouldSample,
};

/// Gives each exchange its trace.
#[derive(Debug)]
pub struct Tracing {
    sampler: Sampler,
    ids: RandomIdGenerator,
    propagate: bool,
}

/// The trace of one exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// Trace id, never zero.
    pub trace_id: u128,
    /// The client's span; `None` at the root of a trace.
    pub parent_span_id: Option<u64>,
    /// Id of the SERVER span, never zero.
    pub server_span_id: u64,
    /// Id of the CLIENT span, never zero.
    pub client_span_id: u64,
    /// Whether the spans are exported.
    pub sampled: bool,
    /// `tracestate` as it came; `None` where it is malformed or there is no parent.
    pub tracestate: Option<String>,
}

impl Tracing {
    /// With `propagate` off every exchange is the root of a trace of its own, and nothing should go upstream.
    #[must_use]
    pub fn new(sampler: Sampler, propagate: bool) -> Self {
        Self {
            sampler,
            ids: RandomIdGenerator::default(),
            propagate,
        }
    }

    /// Whether a context belongs on the request to the upstream.
    #[must_use]
    pub const fn propagates(&self) -> bool {
        self.propagate
    }

    /// Begins the trace of a request. `name` is what its SERVER span would be called so far; `traceparent` is the
    /// header's value, `None` where it is missing or came more than once; `tracestate` is all its values joined by
    /// commas. A malformed parent makes a new root.
    #[must_use]
    pub fn begin(
        &self,
        name: &str,
        traceparent: Option<&str>,
        tracestate: Option<&str>,
    ) -> TraceContext {
        let parent = traceparent.filter(|_| self.propagate).and_then(parse);
        let trace_id = parent.as_ref().map_or_else(
            || valid(TraceId::INVALID, || self.ids.new_trace_id()),
            |parent| parent.trace_id,
        );
        let context = parent.as_ref().map(|parent| {
            let flags = if parent.sampled {
                TraceFlags::SAMPLED
            } else {
                TraceFlags::NOT_SAMPLED
            };
            let remote = SpanContext::new(trace_id, parent.span_id, flags, true, TraceState::NONE);
            Context::new().with_remote_span_context(remote)
        });
        let result = self.sampler.should_sample(
            context.as_ref(),
            trace_id,
            name,
            &SpanKind::Server,
            &[],
            &[],
        );
        let well_formed = |state: &&str| !state.is_empty() && TraceState::from_str(state).is_ok();
        TraceContext {
            trace_id: u128::from_be_bytes(trace_id.to_bytes()),
            parent_span_id: parent
                .as_ref()
                .map(|parent| u64::from_be_bytes(parent.span_id.to_bytes())),
            server_span_id: self.span_id(),
            client_span_id: self.span_id(),
            sampled: result.decision == SamplingDecision::RecordAndSample,
            tracestate: tracestate
                .filter(|_| parent.is_some())
                .filter(well_formed)
                .map(str::to_owned),
        }
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

struct Parent {
    trace_id: TraceId,
    span_id: SpanId,
    sampled: bool,
}

/// Reads a `traceparent`. Versions after 00 may have more to say after the flags; version ff is none.
fn parse(header: &str) -> Option<Parent> {
    let mut fields = header.trim_matches([' ', '\t']).splitn(5, '-');
    let version = hex(fields.next()?, 2)?;
    let trace_id = hex(fields.next()?, 32)?;
    let span_id = u64::try_from(hex(fields.next()?, 16)?).ok()?;
    let flags = hex(fields.next()?, 2)?;
    let more = fields.next().is_some();
    let valid = version != 0xff && trace_id != 0 && span_id != 0 && !(version == 0 && more);
    valid.then(|| Parent {
        trace_id: TraceId::from(trace_id),
        span_id: SpanId::from(span_id),
        sampled: flags & 1 == 1,
    })
}

/// A number in exactly so many hexadecimal digits, lower case only.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == digits && text.bytes().all(lower))
        .then(|| u128::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests;
