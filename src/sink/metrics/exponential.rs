//! A distribution over buckets that grow by a factor, which adapts to what is recorded.
//!
//! As the metrics data model of OpenTelemetry has it: at scale `s` the bucket of index `i` holds what is above `base^i` and not
//! above `base^(i+1)`, where the base is 2^(2^-s). A distribution begins at the finest scale and gives up one as often as its
//! samples need more than so many buckets. Two buckets of a scale are one of the next coarser, so nothing is lost but
//! resolution, and the order of samples does not matter.
//! <https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram>

/// The finest scale.
const FINEST: i32 = 20;

/// Most buckets of a distribution, as the OpenTelemetry SDKs have it. A bucket is then no wider than 4.5 % where the greatest
/// sample is a thousand times the least.
const BUCKETS: i64 = 160;

/// How many samples of each size there were. None is negative: they are times and numbers of things.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Exponential {
    scale: i32,
    zeros: u64,
    /// Index of the first bucket; of no meaning without any.
    first: i32,
    counts: Vec<u64>,
}

impl Exponential {
    /// Without samples.
    pub(super) const EMPTY: Self = Self {
        scale: FINEST,
        zeros: 0,
        first: 0,
        counts: Vec::new(),
    };

    /// Takes a number that occurred so many times.
    pub(super) fn add(&mut self, number: f64, times: u64) {
        if number <= 0.0 {
            self.zeros += times;
            return;
        }
        let index = finest_index(number) >> (FINEST - self.scale);
        let index = self.make_room(index);
        self.counts[index] += times;
    }

    /// Has a bucket for this index; the place of it.
    fn make_room(&mut self, mut index: i32) -> usize {
        if self.counts.is_empty() {
            self.first = index;
            self.counts.push(0);
            return 0;
        }
        let (mut least, mut most) = (self.first.min(index), self.last().max(index));
        while i64::from(most) - i64::from(least) >= BUCKETS {
            (least, most, index) = (least >> 1, most >> 1, index >> 1);
            self.coarsen();
        }
        if index < self.first {
            let before = (self.first - index) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, before));
            self.first = index;
        } else if index > self.last() {
            self.counts.resize((index - self.first) as usize + 1, 0);
        }
        (index - self.first) as usize
    }

    /// Gives up one scale.
    fn coarsen(&mut self) {
        let first = self.first >> 1;
        let buckets = (self.last() >> 1) - first + 1;
        let mut counts = vec![0; buckets as usize];
        for (index, count) in (self.first..).zip(&self.counts) {
            counts[((index >> 1) - first) as usize] += count;
        }
        self.scale -= 1;
        self.first = first;
        self.counts = counts;
    }

    fn last(&self) -> i32 {
        self.first + self.counts.len() as i32 - 1
    }

    /// The same at a scale no finer than that.
    pub(super) fn at_most(&self, scale: i32) -> Self {
        let mut coarse = self.clone();
        while coarse.scale > scale && !coarse.counts.is_empty() {
            coarse.coarsen();
        }
        coarse.scale = coarse.scale.min(scale);
        coarse
    }

    /// Its scale.
    pub(super) const fn scale(&self) -> i32 {
        self.scale
    }

    /// How many samples were zero.
    pub(super) const fn zeros(&self) -> u64 {
        self.zeros
    }

    /// Index of the first bucket.
    pub(super) const fn first(&self) -> i32 {
        self.first
    }

    /// How many samples fell into each bucket, from the first on.
    pub(super) fn counts(&self) -> &[u64] {
        &self.counts
    }
}

/// The index of a positive number's bucket at the finest scale. What has less than full precision, below 10^-307, counts with
/// the least number that has it.
fn finest_index(number: f64) -> i32 {
    const FRACTION_BITS: u32 = 52;
    const BIAS: i32 = 1023;
    let bits = number.max(f64::MIN_POSITIVE).to_bits();
    let exponent = (bits >> FRACTION_BITS) as i32 - BIAS;
    let fraction = bits & ((1 << FRACTION_BITS) - 1);
    // The bucket before ends with a power of two.
    if fraction == 0 {
        return (exponent << FINEST) - 1;
    }
    let significand = f64::from_bits(fraction | (BIAS as u64) << FRACTION_BITS);
    let within = (significand.log2() * f64::from(1 << FINEST)).ceil() as i32 - 1;
    (exponent << FINEST) + within.clamp(0, (1 << FINEST) - 1)
}

#[cfg(test)]
mod tests;
