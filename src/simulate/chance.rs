//! Reproducible chance: a small generator (splitmix64) and the log-normal spread that waiting times have.

use std::time::Duration;

/// A stream of pseudo-random numbers that is a function of its seed.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    /// The stream of a seed and a word, so that different words differ under one seed.
    pub(super) fn new(seed: u64, word: &str) -> Self {
        let mut chance = Self(seed);
        for byte in word.bytes() {
            chance.0 ^= u64::from(byte);
            chance.0 = chance.next();
        }
        chance
    }

    /// The next number (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// `median` spread log-normally by `sigma`, within three sigma.
    pub(super) fn spread(&mut self, median: Duration, sigma: f64) -> Duration {
        if median.is_zero() || sigma <= 0.0 {
            return median;
        }
        median.mul_f64((sigma * self.normal().clamp(-3.0, 3.0)).exp())
    }

    /// `count` give or take two fifths, never zero unless `count` is.
    pub(super) fn about(&mut self, count: usize) -> usize {
        let slack = count * 2 / 5;
        count - slack + self.below(2 * slack + 1)
    }

    /// A standard normal number, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// A number from 0, inclusive, to 1, exclusive.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_word_fix_the_stream() {
        let draw = |seed, word| Chance::new(seed, word).next();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
    }

    #[test]
    fn the_spread_has_the_given_median_and_stays_within_three_sigma() {
        let mut chance = Chance::new(7, "");
        let median = Duration::from_millis(100);
        let mut drawn: Vec<_> = (0..2001).map(|_| chance.spread(median, 0.5)).collect();
        drawn.sort();
        assert!((0.9..1.1).contains(&drawn[1000].div_duration_f64(median)));
        assert!(drawn[0] >= median.mul_f64((-1.5_f64).exp()));
        assert!(drawn[2000] <= median.mul_f64(1.5_f64.exp()));
        assert!(drawn[0] < drawn[2000]);
    }

    #[test]
    fn without_sigma_the_median_is_exact() {
        let median = Duration::from_millis(5);
        assert_eq!(Chance::new(1, "").spread(median, 0.0), median);
    }

    #[test]
    fn about_stays_near_and_above_zero() {
        let mut chance = Chance::new(3, "");
        assert!((0..100).all(|_| (6..=14).contains(&chance.about(10))));
        assert_eq!(chance.about(0), 0);
        assert_eq!(chance.about(1), 1);
    }
}
