//! Which trace an exchange belongs to. It is settled when the exchange begins, and the same for the header that goes upstream,
//! for spans and for exemplars. Where the exchanges of a conversation are to be in one trace, only the header keeps what was settled then.

use super::{Exchange, Identity};

/// Identity of the two spans of an exchange (W3C Trace Context).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Trace id, never zero.
    pub trace_id: u128,
    /// The span above ours, as a rule the client's; `None` at the root of a trace.
    pub parent_span_id: Option<u64>,
    /// Whether that is a span of an earlier exchange of the conversation. Set by the pipeline.
    pub parent_is_ours: bool,
    /// Our SERVER span, never zero.
    pub server_span_id: u64,
    /// Our CLIENT span, never zero; the one whose context went upstream for an inference call.
    pub client_span_id: u64,
    /// Whether the spans are exported: as it was told upstream, until the pipeline decides otherwise.
    pub sampled: bool,
    /// What the client decided about that; `None` where there is no client's span, and where it left that open.
    pub parent_sampled: Option<bool>,
    /// Whether the trace id is known to be random, which samplers further on may rely on.
    pub random: bool,
    /// `tracestate` as it came; `None` where it is malformed or there is no parent. Where the pipeline decides, it adds with which
    /// probability the trace is kept.
    pub tracestate: Option<String>,
    /// What the upstream knows of the trace, where the pipeline has put the spans into another; `None` elsewhere, and where it
    /// was told nothing.
    pub told_upstream: Option<Box<ToldUpstream>>,
}

/// The trace that an upstream was told, with our CLIENT span as the parent of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToldUpstream {
    /// Its id.
    pub trace_id: u128,
    /// Its flags.
    pub flags: u8,
}

impl Trace {
    /// A trace of which nothing is known but a span of ours.
    #[must_use]
    pub const fn of_span(span_id: u64) -> Self {
        Self {
            trace_id: 0,
            parent_span_id: None,
            parent_is_ours: false,
            server_span_id: span_id,
            client_span_id: span_id,
            sampled: false,
            parent_sampled: None,
            random: false,
            tracestate: None,
            told_upstream: None,
        }
    }

    /// The trace of one response of a session, whose SERVER span is the parent. Its own span needs an id that no other of the
    /// trace has; it follows from `number`, which is the response's, and from the random one that the session does not use.
    #[must_use]
    pub fn of_response(&self, number: u64) -> Self {
        // Odd, so that no two numbers of 64 bits come to the same.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let id = self.client_span_id ^ number.wrapping_mul(STEP);
        Self {
            client_span_id: if id == 0 { STEP } else { id },
            ..self.clone()
        }
    }

    /// What others refer to it by.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        Identity {
            trace_id: self.trace_id,
            parent_span_id: self.parent_span_id,
            parent_is_ours: self.parent_is_ours,
            top_span_id: self.server_span_id,
            client_span_id: self.client_span_id,
            flags: self.flags(),
            threshold: None,
        }
    }

    /// Puts the spans into the trace of an earlier exchange, at the place that this identity gives them. `is_told` is whether the
    /// upstream was told the trace that they were in.
    pub fn join(&mut self, joined: &Identity, is_told: bool) {
        let told = ToldUpstream {
            trace_id: self.trace_id,
            flags: self.flags(),
        };
        self.told_upstream = is_told.then(|| Box::new(told));
        self.trace_id = joined.trace_id;
        self.parent_span_id = joined.parent_span_id;
        self.parent_is_ours = joined.parent_is_ours;
        self.sampled = joined.is_sampled();
        self.random = joined.is_random();
        // What is above decides, as far as it is a client's: our own decisions follow from the trace.
        self.parent_sampled = (!joined.parent_is_ours).then_some(self.sampled);
    }

    /// Whether the span above ours is one of another process.
    #[must_use]
    pub const fn has_remote_parent(&self) -> bool {
        self.parent_span_id.is_some() && !self.parent_is_ours
    }

    /// The flags of the trace (W3C Trace Context Level 2 §3.2.2.5).
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.sampled as u8 | (self.random as u8) << 1
    }

    /// The `traceparent` that makes one of our spans the parent (W3C Trace Context §3.2).
    #[must_use]
    pub fn traceparent(&self, span_id: u64) -> [u8; 55] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], &self.trace_id.to_be_bytes());
        write_hex(&mut text[36..52], &span_id.to_be_bytes());
        text[54] = b'0' + self.flags();
        text
    }
}

/// The trace id in a `traceparent` (W3C Trace Context §3.2); `None` where it is malformed.
#[must_use]
pub fn trace_id(traceparent: &str) -> Option<u128> {
    let hex = |text: &str, digits| {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == digits && text.bytes().all(is_hex))
            .then(|| u128::from_str_radix(text, 16).ok())
            .flatten()
    };
    let mut parts = traceparent.trim().split('-');
    hex(parts.next()?, 2).filter(|version| *version != 0xff)?;
    let id = hex(parts.next()?, 32).filter(|id| *id != 0)?;
    hex(parts.next()?, 16).filter(|span| *span != 0)?;
    hex(parts.next()?, 2)?;
    Some(id)
}

impl Exchange {
    /// The trace that it belongs to: ours, or, where traces are off, the one that the client named to the upstream.
    #[must_use]
    pub fn trace_id(&self) -> Option<u128> {
        let ours = self.trace.as_ref().map(|trace| trace.trace_id);
        ours.or(self.http.trace_id)
    }

    /// The trace that the upstream was told, or else the one that the client named, where it is another.
    #[must_use]
    pub fn other_trace_id(&self) -> Option<u128> {
        let told = self
            .trace
            .as_ref()
            .and_then(|trace| trace.told_upstream.as_deref());
        let other = told.map(|told| told.trace_id).or(self.http.trace_id);
        other.filter(|other| Some(*other) != self.trace_id())
    }
}

/// Writes bytes in hexadecimal.
// Inline, it would be unrolled for each length, to a kilobyte of code.
#[inline(never)]
fn write_hex(text: &mut [u8], bytes: &[u8]) {
    for (digits, byte) in text.chunks_exact_mut(2).zip(bytes) {
        digits[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        digits[1] = b"0123456789abcdef"[usize::from(byte & 0xf)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_is_read_of_a_traceparent_that_is_whole() {
        let whole = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(
            trace_id(whole),
            Some(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c)
        );
        for broken in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(trace_id(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_traceparent_names_the_span_and_has_the_flags() {
        let mut trace = Trace {
            trace_id: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
            sampled: true,
            ..Trace::of_span(0xb7ad)
        };
        let expected = *b"00-0af7651916cd43dd8448eb211c80319c-000000000000b7ad-01";
        assert_eq!(trace.traceparent(trace.client_span_id), expected);
        for (sampled, random, flags) in [
            (false, false, b"-00"),
            (false, true, b"-02"),
            (true, true, b"-03"),
        ] {
            (trace.sampled, trace.random) = (sampled, random);
            assert!(trace.traceparent(1).ends_with(flags));
        }
    }
}
