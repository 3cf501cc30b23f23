//! The mean of a series over a sliding window, for `llm.error.rate`.
//!
//! A window is a ring of slots; the oldest slot falls out whole, so the window is exact to one slot's width. A series
//! without a sample in the window is dropped, and has no point.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use opentelemetry::KeyValue;

/// Into how many slots a window is cut.
const SLOTS: usize = 60;

/// Sliding means by label set.
#[derive(Debug)]
pub(super) struct Windows {
    slot: Duration,
    start: Instant,
    means: HashMap<Vec<KeyValue>, Ring, RandomState>,
}

/// Samples by slot; each slot knows which turn of the ring it is of.
#[derive(Debug)]
struct Ring([Slot; SLOTS]);

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    turn: u64,
    count: u64,
    sum: f64,
}

impl Windows {
    /// Windows of that length; one shorter than a minute's sixtieth counts by the millisecond.
    pub(super) fn new(length: Duration, start: Instant) -> Self {
        let slot = (length / SLOTS as u32).max(Duration::from_millis(1));
        Self {
            slot,
            start,
            means: HashMap::default(),
        }
    }

    /// Adds a sample.
    pub(super) fn add(&mut self, labels: &[KeyValue], value: f64, now: Instant) {
        let turn = self.turn(now);
        if let Some(ring) = self.means.get_mut(labels) {
            ring.add(turn, value);
        } else {
            let mut ring = Ring([Slot::default(); SLOTS]);
            ring.add(turn, value);
            self.means.insert(labels.to_vec(), ring);
        }
    }

    /// The mean of each label set that has a sample in the window; the others are forgotten.
    pub(super) fn means(&mut self, now: Instant) -> Vec<(Vec<KeyValue>, f64)> {
        let turn = self.turn(now);
        let mut means = Vec::with_capacity(self.means.len());
        self.means.retain(|labels, Ring(slots)| {
            let live = slots.iter().filter(|slot| slot.turn + SLOTS as u64 > turn);
            let (count, sum) = live.fold((0, 0.0), |(count, sum), slot| {
                (count + slot.count, sum + slot.sum)
            });
            if count > 0 {
                means.push((labels.clone(), sum / count as f64));
            }
            count > 0
        });
        means
    }

    /// Slots since the beginning.
    fn turn(&self, now: Instant) -> u64 {
        let slots = now.saturating_duration_since(self.start).as_nanos() / self.slot.as_nanos();
        u64::try_from(slots).unwrap_or(u64::MAX)
    }
}

impl Ring {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows() -> (Windows, Instant, [KeyValue; 1]) {
        let start = Instant::now();
        (
            Windows::new(Duration::from_secs(300), start),
            start,
            [KeyValue::new("model", "m")],
        )
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_mean_is_over_the_window() {
        let (mut windows, start, labels) = windows();
        windows.add(&labels, 1.0, start);
        windows.add(&labels, 0.0, start + seconds(10));
        windows.add(&labels, 0.0, start + seconds(20));
        windows.add(&labels, 0.0, start + seconds(20));
        assert_eq!(
            windows.means(start + seconds(30)),
            [(labels.to_vec(), 0.25)]
        );
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let (mut windows, start, labels) = windows();
        windows.add(&labels, 1.0, start);
        windows.add(&labels, 0.0, start + seconds(200));
        assert_eq!(
            windows.means(start + seconds(299)),
            [(labels.to_vec(), 0.5)]
        );
        assert_eq!(
            windows.means(start + seconds(300)),
            [(labels.to_vec(), 0.0)]
        );
    }

    #[test]
    fn a_series_without_samples_has_no_point() {
        let (mut windows, start, labels) = windows();
        windows.add(&labels, 1.0, start);
        assert!(windows.means(start + seconds(600)).is_empty());
        assert!(windows.means.is_empty());
    }

    #[test]
    fn a_slot_is_emptied_when_the_ring_comes_round() {
        let (mut windows, start, labels) = windows();
        windows.add(&labels, 1.0, start);
        windows.add(&labels, 0.0, start + seconds(300));
        assert_eq!(
            windows.means(start + seconds(300)),
            [(labels.to_vec(), 0.0)]
        );
    }
}
