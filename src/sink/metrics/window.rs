//! The mean of a series over a sliding window, for `llm.error.rate`.
//!
//! A window is a ring of slots; the oldest slot falls out whole, so the window is exact to one slot's width. A series
//! without a sample in the window has no point, and is dropped unless more may be added to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use opentelemetry::KeyValue;

/// Into how many slots a window is cut.
const SLOTS: usize = 60;

/// Sliding means by label set.
#[derive(Debug)]
pub(super) struct Windows {
    clock: Clock,
    means: Mutex<HashMap<Vec<KeyValue>, Window, RandomState>>,
}

/// The window of one label set. Clones add to the same.
#[derive(Debug, Clone)]
pub(super) struct Window {
    clock: Clock,
    ring: Arc<Mutex<Ring>>,
}

/// Tells the time in slots.
#[derive(Debug, Clone, Copy)]
struct Clock {
    slot: Duration,
    start: Instant,
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
            clock: Clock { slot, start },
            means: Mutex::default(),
        }
    }

    /// The window of these labels.
    pub(super) fn bind(&self, labels: &[KeyValue]) -> Window {
        let mut means = lock(&self.means);
        let window = means.entry(labels.to_vec()).or_insert_with(|| Window {
            clock: self.clock,
            ring: Arc::new(Mutex::new(Ring([Slot::default(); SLOTS]))),
        });
        window.clone()
    }

    /// The mean of each label set that has a sample in the window; of the others, those that nobody holds are forgotten.
    pub(super) fn means(&self, now: Instant) -> Vec<(Vec<KeyValue>, f64)> {
        let turn = self.clock.turn(now);
        let mut windows = lock(&self.means);
        let mut means = Vec::with_capacity(windows.len());
        windows.retain(|labels, window| {
            let Ring(slots) = &*lock(&window.ring);
            let live = slots.iter().filter(|slot| slot.turn + SLOTS as u64 > turn);
            let (count, sum) = live.fold((0, 0.0), |(count, sum), slot| {
                (count + slot.count, sum + slot.sum)
            });
            if count > 0 {
                means.push((labels.clone(), sum / count as f64));
            }
            count > 0 || Arc::strong_count(&window.ring) > 1
        });
        means
    }
}

impl Window {
    /// Adds a sample.
    pub(super) fn add(&self, value: f64, now: Instant) {
        lock(&self.ring).add(self.clock.turn(now), value);
    }
}

impl Clock {
    /// Slots since the beginning.
    fn turn(self, now: Instant) -> u64 {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        let (windows, start, labels) = windows();
        windows.bind(&labels).add(1.0, start);
        windows.bind(&labels).add(0.0, start + seconds(10));
        windows.bind(&labels).add(0.0, start + seconds(20));
        windows.bind(&labels).add(0.0, start + seconds(20));
        assert_eq!(
            windows.means(start + seconds(30)),
            [(labels.to_vec(), 0.25)]
        );
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let (windows, start, labels) = windows();
        windows.bind(&labels).add(1.0, start);
        windows.bind(&labels).add(0.0, start + seconds(200));
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
        let (windows, start, labels) = windows();
        windows.bind(&labels).add(1.0, start);
        assert!(windows.means(start + seconds(600)).is_empty());
        assert!(lock(&windows.means).is_empty());
    }

    #[test]
    fn a_window_that_is_held_goes_on_after_a_time_without_samples() {
        let (windows, start, labels) = windows();
        let window = windows.bind(&labels);
        window.add(1.0, start);
        assert!(windows.means(start + seconds(600)).is_empty());
        window.add(0.5, start + seconds(700));
        let means = windows.means(start + seconds(700));
        assert_eq!(means, [(labels.to_vec(), 0.5)]);
    }

    #[test]
    fn a_slot_is_emptied_when_the_ring_comes_round() {
        let (windows, start, labels) = windows();
        windows.bind(&labels).add(1.0, start);
        windows.bind(&labels).add(0.0, start + seconds(300));
        assert_eq!(
            windows.means(start + seconds(300)),
            [(labels.to_vec(), 0.0)]
        );
    }
}
