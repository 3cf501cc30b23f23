//! A gate for log lines that trouble would otherwise repeat without end.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets one line through per period and counts those it held back.
#[derive(Debug)]
pub struct LogLimit {
    period: Duration,
    state: Mutex<LineState>,
}

#[derive(Debug, Default)]
struct LineState {
    last: Option<Instant>,
    held_back: u64,
}

impl LogLimit {
    /// One line a minute.
    pub fn per_minute() -> Self {
        Self {
            period: Duration::from_secs(60),
            state: Mutex::default(),
        }
    }

    /// How many were held back since the last line, if any: for a last line, which tells of them.
    pub fn take_held_back(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::take(&mut state.held_back)).filter(|held_back| *held_back > 0)
    }

    /// The last line: says how many were held back since the last one, where any were. `line` is the message of those.
    pub fn end(&self, line: &'static str) {
        if let Some(held_back) = self.take_held_back() {
            tracing::warn!(line, held_back, "more lines were held back, before the end");
        }
    }

    /// Whether a line may be written now; if so, how many were held back since the last one.
    pub fn pass(&self) -> Option<u64> {
        self.pass_at(Instant::now())
    }

    fn pass_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < self.period)
        {
            state.held_back += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.held_back))
    }
}

/// A gate for each of a few kinds of lines.
#[derive(Debug)]
pub struct LogLimits<K>(Mutex<HashMap<K, LogLimit>>);

impl<K> Default for LogLimits<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> LogLimits<K> {
    /// Whether a line of this kind may be written now, one a minute; if so, how many were held back since the last one.
    pub fn pass(&self, kind: K) -> Option<u64> {
        let mut limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = limits.entry(kind);
        limit.or_insert_with(LogLimit::per_minute).pass()
    }

    /// The kinds of which lines were held back since the last one, and how many: for a last line, which tells of them.
    pub fn take_held_back(&self) -> Vec<(K, u64)>
    where
        K: Clone,
    {
        let limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held_back = limits
            .iter()
            .filter_map(|(kind, limit)| Some((kind.clone(), limit.take_held_back()?)));
        held_back.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_gate_of_its_own() {
        let limits = LogLimits::default();
        assert_eq!(limits.pass("no_route"), Some(0));
        assert_eq!(limits.pass("no_route"), None);
        assert_eq!(limits.pass("bad_request"), Some(0));
    }

    #[test]
    fn what_was_held_back_is_told_of_once() {
        let limits = LogLimits::default();
        for _ in 0..3 {
            limits.pass("no_route");
        }
        limits.pass("bad_request");
        assert_eq!(limits.take_held_back(), [("no_route", 2)]);
        assert_eq!(limits.take_held_back(), []);
    }

    #[test]
    fn one_line_passes_per_period_and_tells_of_the_others() {
        let gate = LogLimit::per_minute();
        let start = Instant::now();
        assert_eq!(gate.pass_at(start), Some(0));
        assert_eq!(gate.pass_at(start + Duration::from_secs(1)), None);
        assert_eq!(gate.pass_at(start + Duration::from_secs(59)), None);
        assert_eq!(gate.pass_at(start + Duration::from_secs(60)), Some(2));
        assert_eq!(gate.pass_at(start + Duration::from_secs(120)), Some(0));
    }
}
