//! Which calls are slow: by a bound, and by what is usual for their model.
//!
//! How long calls of a model take is counted in buckets, each 2 % wider than the one before. Old calls fade: after each thousand all
//! counts are halved.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::exchange::Exchange;

/// Most models of which that is counted, by upstream and name; clients can invent any. Those beyond have no usual time.
const MODELS_MAX: usize = 256;

/// Fewest calls after which something is unusual.
const CALLS_MIN: u16 = 100;

/// So many calls make older ones count half.
const CALLS_MAX: u16 = 1_000;

/// Buckets: up to more than an hour, of which the last has all that took longer.
const BUCKETS: usize = 1_072;
const PER_OCTAVE: f64 = 32.0;

/// Knows what is slow.
#[derive(Debug)]
pub(super) struct Slow {
    bound: Option<Duration>,
    quantile: Option<f64>,
    models: HashMap<(Arc<str>, Box<str>), Usual, RandomState>,
}

impl Slow {
    pub(super) fn new(bound: Option<Duration>, quantile: Option<f64>) -> Self {
        Self {
            bound,
            quantile,
            models: HashMap::default(),
        }
    }

    /// Whether a call took longer than it should. What it took counts for those to come, unless it failed.
    pub(super) fn is_slow(&mut self, exchange: &Exchange) -> bool {
        let time = exchange.times.end;
        let is_long = self.bound.is_some_and(|bound| time >= bound);
        let of_model = exchange.model_call().zip(exchange.request.model.as_deref());
        let (Some(quantile), Some(((_, upstream), model))) = (self.quantile, of_model) else {
            return is_long;
        };
        if exchange.failure.is_some() {
            return is_long;
        }
        let key = (Arc::clone(&upstream.name), model.into());
        let is_known = self.models.len() < MODELS_MAX || self.models.contains_key(&key);
        is_known && self.models.entry(key).or_default().is_above(time, quantile) || is_long
    }
}

/// How long the calls of a model take.
#[derive(Debug)]
struct Usual {
    counts: [u16; BUCKETS],
    calls: u16,
}

impl Default for Usual {
    fn default() -> Self {
        Self {
            counts: [0; BUCKETS],
            calls: 0,
        }
    }
}

impl Usual {
    /// Whether a time is longer than this share of those before, so that no more than the rest are; takes it in.
    fn is_above(&mut self, time: Duration, quantile: f64) -> bool {
        let bucket = bucket(time);
        let shorter: u16 = self.counts[..bucket].iter().sum();
        let is_above =
            self.calls >= CALLS_MIN && f64::from(shorter) >= quantile * f64::from(self.calls);
        self.counts[bucket] += 1;
        self.calls += 1;
        if self.calls >= CALLS_MAX {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.calls = self.counts.iter().sum();
        }
        is_above
    }
}

fn bucket(time: Duration) -> usize {
    let micros = (time.as_micros() as f64).max(1.0);
    ((micros.log2() * PER_OCTAVE) as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn nothing_is_unusual_before_enough_calls_and_equal_ones_never_are() {
        let mut usual = Usual::default();
        assert!(!usual.is_above(MS(1), 0.99));
        assert!(!usual.is_above(MS(60_000), 0.99));
        let mut usual = Usual::default();
        assert!((0..5_000).all(|_| !usual.is_above(MS(200), 0.99)));
        assert!(usual.is_above(MS(400), 0.99));
    }

    #[test]
    fn what_has_become_usual_is_slow_no_more() {
        let mut usual = Usual::default();
        (0..2_000).for_each(|_| _ = usual.is_above(MS(100), 0.99));
        let slow = (0..2_000).filter(|_| usual.is_above(MS(300), 0.99)).count();
        assert!((1..50).contains(&slow), "{slow}");
    }

    #[test]
    fn buckets_reach_past_an_hour() {
        assert!(bucket(Duration::from_secs(3_600)) < BUCKETS - 1);
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
        assert_eq!(bucket(Duration::ZERO), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn about_the_rest_of_the_share_is_slow(
            times in prop::collection::vec(1_u64..100_000, 4_000), quantile in 0.5..=0.99_f64,
        ) {
            let mut usual = Usual::default();
            let slow = times.iter().filter(|time| usual.is_above(MS(**time), quantile)).count();
            let share = slow as f64 / times.len() as f64;
            // Calls of one bucket are slow together or not at all, and not before the bucket is passed.
            prop_assert!(share <= 1.0 - quantile + 0.05, "{share}");
            prop_assert!(share >= (1.0 - quantile) * 0.2 - 0.01, "{share}");
        }
    }
}
