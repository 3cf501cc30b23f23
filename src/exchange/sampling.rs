//! Which traces are kept, and with which probability: OpenTelemetry's consistent probability sampling, by which whoever
//! decides about a trace decides the same, and whoever counts what was kept knows how many that stands for.
//!
//! <https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/>,
//! <https://opentelemetry.io/docs/specs/otel/trace/tracestate-handling/>

use std::fmt;

/// What became of the trace of an exchange, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sampling {
    /// Kept: the client's own span is kept.
    Parent,
    /// Kept: the call failed, or the client got other bytes than the upstream sent.
    Error,
    /// Kept: the client left before the end.
    ClientLeft,
    /// Kept: it took longer than a bound, or than most calls of its model lately.
    Slow,
    /// Kept: it cost more than a bound.
    Expensive,
    /// Kept: something else answered than before.
    ModelChange,
    /// Kept: its stream stood still.
    Stall,
    /// Kept: the model called a tool as before, or nothing new was said.
    Repeated,
    /// Kept: another exchange of its trace was kept for one of these reasons.
    Trace,
    /// Kept: one of the share that is kept of all others.
    Share,
    /// Not kept.
    Dropped,
}

impl Sampling {
    /// The value of `streamgauge.sampling`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parent => "parent",
            Self::Error => "error",
            Self::ClientLeft => "client_left",
            Self::Slow => "slow",
            Self::Expensive => "expensive",
            Self::ModelChange => "model_change",
            Self::Stall => "stall",
            Self::Repeated => "repeated",
            Self::Trace => "trace",
            Self::Share => "share",
            Self::Dropped => "dropped",
        }
    }
}

/// Digits of a number of 56 bits.
const DIGITS: usize = 14;
const BITS: u32 = 56;

/// Most members of a `tracestate` (W3C Trace Context §3.3.1.1), and most characters of a member's value (§3.3.1.3.2).
const MEMBERS_MAX: usize = 32;
const VALUE_MAX: usize = 256;

/// From which number on a trace is kept, of the 2^56 that it may have. 0 keeps all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Threshold(u64);

impl Threshold {
    /// Keeps everything.
    pub const ALL: Self = Self(0);

    /// Keeps this share of all traces, from 0 to 1; `None` where that is none of them.
    #[must_use]
    pub fn of_share(share: f64) -> Option<Self> {
        let kept = (share * (1_u64 << BITS) as f64).round() as u64;
        (kept > 0).then(|| Self((1_u64 << BITS).saturating_sub(kept)))
    }

    /// Whether a trace with this number is kept.
    #[must_use]
    pub const fn keeps(self, number: u64) -> bool {
        number >= self.0
    }

    /// Of the value of `th`.
    fn parse(text: &str) -> Option<Self> {
        let number = hex(text).filter(|_| (1..=DIGITS).contains(&text.len()))?;
        Some(Self(number << (4 * (DIGITS - text.len()))))
    }
}

impl fmt::Display for Threshold {
    /// As `th` has it: hexadecimal, without the zeros at its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:014x}", self.0);
        let short = digits.trim_end_matches('0');
        f.write_str(if short.is_empty() { "0" } else { short })
    }
}

/// The number of a trace, of 56 bits: the one that its `tracestate` names, else the end of its id.
#[must_use]
pub fn number(trace_id: u128, tracestate: Option<&str>) -> u64 {
    let named = tracestate.and_then(|state| part(state, "rv"));
    let named = named.filter(|text| text.len() == DIGITS).and_then(hex);
    named.unwrap_or(trace_id as u64 & ((1 << BITS) - 1))
}

/// The threshold that a `tracestate` names: that of who kept the trace before.
#[must_use]
pub fn threshold(tracestate: &str) -> Option<Threshold> {
    part(tracestate, "th").and_then(Threshold::parse)
}

/// A `tracestate` that names this threshold, or none. All else in it stays, as far as there is room.
#[must_use]
pub fn with_threshold(tracestate: Option<&str>, threshold: Option<Threshold>) -> Option<String> {
    let state = tracestate.unwrap_or_default();
    let ours = value(state);
    let named = threshold.map(|threshold| format!("th:{threshold}"));
    let kept = ours.iter().flat_map(|value| value.split(';'));
    let kept = kept.filter(|part| !part.is_empty() && key(part) != "th");
    let mut said = named.unwrap_or_default();
    for part in kept {
        if said.len() + 1 + part.len() <= VALUE_MAX {
            let between = if said.is_empty() { "" } else { ";" };
            said = [&said, between, part].concat();
        }
    }
    let ours = (!said.is_empty()).then(|| format!("ot={said}"));
    // What is changed moves to the front (§3.5), and what does not fit goes from the end (§3.3.1.5).
    let others = members(state).filter(|member| key_of_member(member) != "ot");
    let all = ours.as_deref().into_iter().chain(others);
    let all: Vec<&str> = all.take(MEMBERS_MAX).collect();
    (!all.is_empty()).then(|| all.join(","))
}

fn members(tracestate: &str) -> impl Iterator<Item = &str> {
    let members = tracestate.split(',').map(str::trim);
    members.filter(|member| !member.is_empty())
}

fn key_of_member(member: &str) -> &str {
    member.split('=').next().unwrap_or_default()
}

/// OpenTelemetry's own value.
fn value(tracestate: &str) -> Option<&str> {
    let mut pairs = members(tracestate).filter_map(|member| member.split_once('='));
    pairs.find_map(|(key, value)| (key == "ot").then_some(value))
}

fn key(part: &str) -> &str {
    part.split(':').next().unwrap_or_default()
}

/// A part of that value.
fn part<'s>(tracestate: &'s str, wanted: &str) -> Option<&'s str> {
    let mut parts = value(tracestate)?.split(';');
    parts.find_map(|part| {
        let (key, value) = part.split_once(':')?;
        (key == wanted).then_some(value)
    })
}

fn hex(text: &str) -> Option<u64> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    // The library takes a sign and capitals too.
    let digits = !text.is_empty() && text.bytes().all(is_digit);
    digits.then(|| u64::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The examples of the specification.
    #[test]
    fn a_threshold_is_written_without_the_zeros_at_its_end() {
        for (share, written) in [
            (1.0, "0"),
            (0.5, "8"),
            (0.25, "c"),
            (0.125, "e"),
            (1.0 / 256.0, "ff"),
        ] {
            let threshold = Threshold::of_share(share).unwrap();
            assert_eq!(threshold.to_string(), written);
            assert_eq!(Threshold::parse(written), Some(threshold));
        }
        assert_eq!(Threshold::of_share(0.0), None);
        assert!(
            Threshold::of_share(0.1)
                .unwrap()
                .to_string()
                .starts_with("e66666666666")
        );
        for wrong in ["", "C", "+8", "8g", "0123456789abcde"] {
            assert_eq!(Threshold::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_trace_is_kept_by_the_end_of_its_id_or_by_the_number_that_it_was_given() {
        let half = Threshold::of_share(0.5).unwrap();
        let id = 0xffff_ffff_ffff_ffff_ff7f_ffff_ffff_ffff_u128;
        assert!(!half.keeps(number(id, None)));
        assert!(half.keeps(number(id + 1, None)));
        let given = Some("a=1,ot=p:8;rv:80000000000000");
        assert!(half.keeps(number(id, given)));
        for malformed in [
            "ot=rv:8",
            "ot=rv:8000000000000G",
            "xot=rv:80000000000000",
            "ot",
        ] {
            assert!(!half.keeps(number(id, Some(malformed))), "{malformed}");
        }
    }

    #[test]
    fn a_threshold_takes_the_place_of_another_and_leaves_the_rest() {
        let half = Threshold::of_share(0.5);
        for (before, after) in [
            (None, "ot=th:8"),
            (Some("a=1"), "ot=th:8,a=1"),
            (
                Some("a=1 , ot=th:c;rv:0123456789abcd,b=2"),
                "ot=th:8;rv:0123456789abcd,a=1,b=2",
            ),
            (Some("ot=x:1"), "ot=th:8;x:1"),
        ] {
            assert_eq!(with_threshold(before, half).as_deref(), Some(after));
        }
        assert_eq!(
            with_threshold(Some("ot=th:c,a=1"), None).as_deref(),
            Some("a=1")
        );
        assert_eq!(with_threshold(Some("ot=th:c"), None), None);
        assert_eq!(threshold("a=1,ot=rv:0;th:c"), Threshold::of_share(0.25));
    }

    #[test]
    fn what_has_no_room_goes_from_the_end() {
        let full: Vec<String> = (0..32).map(|at| format!("k{at}=v")).collect();
        let state = with_threshold(Some(&full.join(",")), Some(Threshold::ALL)).unwrap();
        assert_eq!(state.split(',').count(), 32);
        assert!(state.starts_with("ot=th:0,k0=v,") && state.ends_with("k30=v"));
        let long = format!("ot=x:{}", "y".repeat(254));
        let state = with_threshold(Some(&long), Some(Threshold::ALL));
        assert_eq!(state.as_deref(), Some("ot=th:0"));
    }

    proptest! {
        #[test]
        fn whoever_keeps_the_smaller_share_keeps_nothing_that_the_other_does_not(
            id in any::<u128>(), one in 0.0..=1.0_f64, other in 0.0..=1.0_f64,
        ) {
            let (small, large) = (one.min(other), one.max(other));
            let keeps = |share| Threshold::of_share(share).is_some_and(|it| it.keeps(number(id, None)));
            prop_assert!(!keeps(small) || keeps(large));
        }

        #[test]
        fn a_threshold_is_read_as_it_was_written(share in 1e-15..=1.0_f64, state in "[a-z=:;, 0-9]{0,40}") {
            let wanted = Threshold::of_share(share);
            let written = with_threshold(Some(&state), wanted).unwrap();
            prop_assert_eq!(threshold(&written), wanted);
            prop_assert_eq!(number(7, Some(&written)), number(7, Some(&state)));
        }
    }
}
