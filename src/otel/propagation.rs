//! Trace context as it is carried: read from what a client sends, and written for the upstream, in each format that
//! `OTEL_PROPAGATORS` can name.
//!
//! Own code, and no crate's: for OpenTelemetry's crates a context without a sampling decision, which B3 and X-Ray have, is
//! one that was decided against; and each of their propagators allocates for a request what an exchange has anyway.
//! <https://opentelemetry.io/docs/specs/otel/context/api-propagators/>

mod b3;
mod jaeger;
mod w3c;
mod xray;

use crate::exchange::Trace;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagator {
    /// `traceparent` and `tracestate` (W3C Trace Context).
    TraceContext,
    /// `b3`, Zipkin's in one header.
    B3,
    /// `X-B3-TraceId` and its like, the same in several.
    B3Multi,
    /// `uber-trace-id`.
    Jaeger,
    /// `X-Amzn-Trace-Id`.
    XRay,
}

/// What carries a context: a request's header fields, or an object in its body.
pub trait Carrier {
    /// The value under this name, in any case of its letters; `None` where there is none or more than one.
    fn only(&self, name: &str) -> Option<&str>;

    /// All values under this name, with commas between them.
    fn joined(&self, name: &str) -> Option<String>;
}

/// The context that a client sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remote {
    /// Trace and span, neither of them zero; `None` where all that was sent is whether to sample.
    pub ids: Option<(u128, u64)>,
    /// Whether its spans are recorded; `None` where that is left to who comes next.
    pub sampled: Option<bool>,
    /// Whether the trace id is known to be random.
    pub random: bool,
    /// `tracestate`, where it is well formed.
    pub tracestate: Option<String>,
}

/// What is to become of a header: its new value, or its end.
pub type Change = (&'static str, Option<String>);

impl Propagator {
    /// What a carrier says in this format; `None` where that is nothing, or malformed.
    #[must_use]
    pub fn extract(self, carrier: &dyn Carrier) -> Option<Remote> {
        match self {
            Self::TraceContext => w3c::extract(carrier),
            // Whichever of both is written, both are read.
            Self::B3 | Self::B3Multi => b3::extract(carrier),
            Self::Jaeger => jaeger::extract(carrier),
            Self::XRay => xray::extract(carrier),
        }
    }

    /// The headers that make a span the parent. Those of W3C Trace Context are [`Trace::traceparent`] and the client's own.
    #[must_use]
    pub fn inject(self, trace: &Trace, span_id: u64) -> Vec<Change> {
        match self {
            Self::TraceContext => Vec::new(),
            Self::B3 => b3::inject(trace, span_id),
            Self::B3Multi => b3::inject_multi(trace, span_id),
            Self::Jaeger => jaeger::inject(trace, span_id),
            Self::XRay => xray::inject(trace, span_id),
        }
    }
}

/// What a carrier says in any of these formats. As with OpenTelemetry's SDKs all are read in their order, and the last that
/// names a trace is taken.
pub(super) fn extract(propagators: &[Propagator], carrier: &dyn Carrier) -> Option<Remote> {
    let found = propagators
        .iter()
        .filter_map(|propagator| propagator.extract(carrier));
    found.reduce(|before, this| match this.ids {
        Some(_) => this,
        None => before,
    })
}

/// A number of at most so many hexadecimal digits, which is not zero.
fn id(text: &str, most_digits: usize) -> Option<u128> {
    hex(text, most_digits).filter(|id| *id != 0)
}

/// A number of at most so many hexadecimal digits.
fn hex(text: &str, most_digits: usize) -> Option<u128> {
    // The library takes a sign before the digits.
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (digits && text.len() <= most_digits).then(|| u128::from_str_radix(text, 16).ok())?
}

/// A trace id and a span id, each of exactly one of these numbers of digits.
fn ids(trace: &str, trace_digits: &[usize], span: &str) -> Option<(u128, u64)> {
    let fits = trace_digits.contains(&trace.len()) && span.len() == 16;
    let both = fits.then(|| id(trace, 32).zip(id(span, 16)))??;
    Some((both.0, u64::try_from(both.1).ok()?))
}

#[cfg(test)]
mod tests;
