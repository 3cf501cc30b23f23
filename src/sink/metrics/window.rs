//! The mean of a series over a sliding window, for `llm.error.rate`.
//!
//! A window is a ring of slots; the oldest slot falls out whole, so the window is exact to one slot's width. A series
//! without a sample in the window has no mean.

use std::time::{Duration, Instant};

/// Into how many slots a window is cut.
const SLOTS: usize = 60;

/// Tells the time in slots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Length of a slot, in nanoseconds.
    slot: u64,
    start: Instant,
}

/// The samples of one series by slot; each slot knows which turn of the ring it is of.
#[derive(Debug, Clone)]
pub(super) struct Ring([Slot; SLOTS]);

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    turn: u64,
    count: u64,
    sum: f64,
}

impl Clock {
    /// The clock of windows of that length; one shorter than a minute's sixtieth counts by the millisecond.
    pub(super) fn new(length: Duration, start: Instant) -> Self {
        let slot = (length / SLOTS as u32).max(Duration::from_millis(1));
        Self {
            slot: nanos(slot),
            start,
        }
    }

    /// Slots since the beginning.
    pub(super) fn turn(self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.start)) / self.slot
    }
}

/// Enough for some centuries.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Default for Ring {
    fn default() -> Self {
        Self([Slot::default(); SLOTS])
    }
}

impl Ring {
    /// Adds a sample of now. Not inlined: one sample in twenty is of a window, and the others want a short way.
    #[inline(never)]
    pub(super) fn add_now(&mut self, clock: Clock, value: f64) {
        self.add(clock.turn(Instant::now()), value);
    }

    fn add(&mut self, turn: u64, value: f64) {
        let Self(slots) = self;
        let slot = &mut slots[turn as usize % SLOTS];
        if slot.turn != turn {
            *slot = Slot {
                turn,
                ..Slot::default()
            };
        }
        slot.count += 1;
        slot.sum += value;
    }

    /// The mean of what is in the window; `None` where it is empty.
    pub(super) fn mean(&self, turn: u64) -> Option<f64> {
        let Self(slots) = self;
        let live = slots.iter().filter(|slot| slot.turn + SLOTS as u64 > turn);
        let (count, sum) = live.fold((0, 0.0), |(count, sum), slot| {
            (count + slot.count, sum + slot.sum)
        });
        (count > 0).then(|| sum / count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean at a second, of samples given as second and value.
    fn mean(samples: &[(u64, f64)], at: u64) -> Option<f64> {
        let start = Instant::now();
        let clock = Clock::new(Duration::from_secs(300), start);
        let turn = |second| clock.turn(start + Duration::from_secs(second));
        let mut ring = Ring::default();
        for (second, value) in samples {
            ring.add(turn(*second), *value);
        }
        ring.mean(turn(at))
    }

    #[test]
    fn the_mean_is_over_the_window() {
        let samples = [(0, 1.0), (10, 0.0), (20, 0.0), (20, 0.0)];
        assert_eq!(mean(&samples, 30), Some(0.25));
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let samples = [(0, 1.0), (200, 0.0)];
        assert_eq!(mean(&samples, 299), Some(0.5));
        assert_eq!(mean(&samples, 300), Some(0.0));
    }

    #[test]
    fn without_samples_in_the_window_there_is_no_mean() {
        assert_eq!(mean(&[], 0), None);
        assert_eq!(mean(&[(0, 1.0)], 600), None);
    }

    #[test]
    fn a_window_goes_on_after_a_time_without_samples() {
        assert_eq!(mean(&[(0, 1.0), (700, 0.5)], 700), Some(0.5));
    }

    #[test]
    fn a_slot_is_emptied_when_the_ring_comes_round() {
        assert_eq!(mean(&[(0, 1.0), (300, 0.0)], 300), Some(0.0));
    }
}
