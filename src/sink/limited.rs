//! A gate for log lines that trouble would otherwise repeat without end.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets one line through per period and counts those it held back.
#[derive(Debug)]
pub(super) struct Limited {
    period: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    held_back: u64,
}

impl Limited {
    /// One line a minute.
    pub(super) fn per_minute() -> Self {
        Self {
            period: Duration::from_secs(60),
            state: Mutex::default(),
        }
    }

    /// Whether a line may be written now; if so, how many were held back since the last one.
    pub(super) fn pass(&self) -> Option<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_passes_per_period_and_tells_of_the_others() {
        let gate = Limited::per_minute();
        let start = Instant::now();
        assert_eq!(gate.pass_at(start), Some(0));
        assert_eq!(gate.pass_at(start + Duration::from_secs(1)), None);
        assert_eq!(gate.pass_at(start + Duration::from_secs(59)), None);
        assert_eq!(gate.pass_at(start + Duration::from_secs(60)), Some(2));
        assert_eq!(gate.pass_at(start + Duration::from_secs(120)), Some(0));
    }
}
