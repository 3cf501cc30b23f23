//! The times between events with output, kept as a sketch: exact in count, sum and maximum, within 3.2 % elsewhere.
//!
//! Buckets are the 32 equal parts of an octave and their edges meet 10 ms · 2ⁿ, the edges of the histogram buckets that
//! the GenAI conventions prescribe. Each bucket keeps its own sum, so replaying its mean as often
//! as it counted puts every gap into the right histogram bucket and gives the exact sum.

use std::time::Duration;

/// Where the edges meet the histogram's.
const BASE: Duration = Duration::from_millis(10);
/// The first bits of a number's mantissa, which part an octave into 32.
const PART_BITS: u32 = 5;

/// Gaps of one stream.
#[derive(Debug, Default)]
pub struct Gaps {
    /// Sorted by bucket.
    buckets: Vec<Bucket>,
    count: u64,
    max: Duration,
}

#[derive(Debug)]
struct Bucket {
    index: i16,
    count: u64,
    sum: Duration,
}

impl Gaps {
    /// Adds a gap.
    pub fn push(&mut self, gap: Duration) {
        self.count += 1;
        self.max = self.max.max(gap);
        let index = bucket_of(gap);
        match self
            .buckets
            .binary_search_by_key(&index, |bucket| bucket.index)
        {
            Ok(at) => {
                self.buckets[at].count += 1;
                self.buckets[at].sum += gap;
            }
            Err(at) => self.buckets.insert(
                at,
                Bucket {
                    index,
                    count: 1,
                    sum: gap,
                },
            ),
        }
    }

    /// The longest gap; `None` without any.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        (self.count > 0).then_some(self.max)
    }

    /// The 99th percentile by nearest rank; `None` without any gap.
    #[must_use]
    pub fn p99(&self) -> Option<Duration> {
        let rank = (self.count * 99).div_ceil(100);
        let mut seen = 0;
        let bucket = self.buckets.iter().find(|bucket| {
            seen += bucket.count;
            seen >= rank
        })?;
        Some(bucket.mean())
    }

    /// Every gap, as (mean, how many) of each bucket.
    #[must_use]
    pub fn into_means(self) -> Vec<(Duration, u64)> {
        self.buckets
            .iter()
            .map(|bucket| (bucket.mean(), bucket.count))
            .collect()
    }
}

impl Bucket {
    fn mean(&self) -> Duration {
        self.sum.div_f64(self.count as f64)
    }
}

/// Edges are upper bounds that belong to their bucket, as in the histograms.
///
/// Bucket 0 ends with the base. A float's exponent is its octave, and the mantissa is behind it: no logarithm is needed.
fn bucket_of(gap: Duration) -> i16 {
    if gap.is_zero() {
        return i16::MIN;
    }
    let part = |number: f64| (number.to_bits() - 1) >> (f64::MANTISSA_DIGITS - 1 - PART_BITS);
    let past = part(gap.div_duration_f64(BASE)).cast_signed() - part(1.0).cast_signed();
    past as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(gaps: &[Duration]) -> Gaps {
        let mut sketch = Gaps::default();
        gaps.iter().for_each(|gap| sketch.push(*gap));
        sketch
    }

    #[test]
    fn without_gaps_nothing_is_known() {
        let none = of(&[]);
        assert_eq!((none.max(), none.p99()), (None, None));
    }

    #[test]
    fn the_edges_of_the_conventions_buckets_are_edges_here() {
        for octave in -6..13 {
            let edge = BASE.mul_f64(2f64.powi(octave));
            assert_eq!(bucket_of(edge), octave as i16 * 32, "{edge:?}");
            assert_eq!(
                bucket_of(edge + edge / 1000),
                octave as i16 * 32 + 1,
                "beyond {edge:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn count_sum_and_maximum_are_exact_and_p99_is_near(nanos in prop::collection::vec(0u64..700_000_000_000, 1..300)) {
            let gaps: Vec<Duration> = nanos.iter().copied().map(Duration::from_nanos).collect();
            let sketch = of(&gaps);
            let mut sorted = gaps.clone();
            sorted.sort();
            let exact = sorted[(gaps.len() * 99).div_ceil(100) - 1].as_secs_f64();
            prop_assert_eq!(sketch.max(), sorted.last().copied());
            let p99 = sketch.p99().map_or(f64::NAN, |gap| gap.as_secs_f64());
            prop_assert!((p99 - exact).abs() <= exact * 0.032, "{} is not near {}", p99, exact);
            let means = sketch.into_means();
            prop_assert_eq!(means.iter().map(|(_, count)| count).sum::<u64>(), gaps.len() as u64);
            let sum: f64 = means.iter().map(|(mean, count)| mean.as_secs_f64() * *count as f64).sum();
            let exact: f64 = gaps.iter().map(Duration::as_secs_f64).sum();
            prop_assert!((sum - exact).abs() < 1e-6, "{} is not {}", sum, exact);
        }
    }
}
