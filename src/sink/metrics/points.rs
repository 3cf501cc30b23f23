//! The numbers of all series of one metric: sums, levels, distributions, sliding means.
//!
//! Each kind as the metrics data model of OpenTelemetry has it. The numbers lie side by side, by the place of the series,
//! so that recording allocates nothing and a collection copies them in one piece.
//! <https://opentelemetry.io/docs/specs/otel/metrics/data-model/>

use std::time::SystemTime;

use super::exponential::Exponential;
use super::window::{Clock, Ring};
use crate::semconv::{Kind, Metric, Number, Sample};

/// When and in which trace samples were taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// When the response came that they are of.
    pub(super) seen_at: SystemTime,
    /// When the exchange ended.
    pub(super) ended_at: SystemTime,
    /// The span they belong to; `None` where it is not exported.
    pub(super) origin: Option<Origin>,
}

/// A span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Origin {
    /// Trace id.
    pub(super) trace_id: u128,
    /// Span id.
    pub(super) span_id: u64,
}

/// A sample and the span it came from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exemplar {
    /// The value of the sample.
    pub(super) value: f64,
    /// Where it came from.
    pub(super) origin: Origin,
    /// When it was taken.
    pub(super) at: SystemTime,
}

/// The numbers of all series of a metric.
#[derive(Debug, Clone)]
pub(super) enum Points {
    /// Sums of whole numbers.
    Sums(Vec<u64>),
    /// Sums of picodollars.
    Costs(Vec<u64>),
    /// The newest of whole numbers.
    Levels(Vec<Level>),
    /// Distributions.
    Histograms(Histograms),
    /// Means of a sliding window.
    Means(Clock, Vec<Ring>),
}

/// The newest of whole numbers, and when the response came that it is of: exchanges that began earlier may end later.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    pub(super) number: u64,
    seen_at: SystemTime,
}

/// Distributions over the same buckets, and where they are asked for also over buckets of their own.
#[derive(Debug, Clone)]
pub(super) struct Histograms {
    bounds: &'static [f64],
    /// Of each series one count for each bound, and one for what is above.
    counts: Vec<u64>,
    extents: Vec<Extent>,
    /// The newest exemplar of each bucket that has one, by series; empty for a metric without exemplars.
    exemplars: Vec<Vec<(usize, Exemplar)>>,
    keeps_exemplars: bool,
    /// Of each series; empty where they are not asked for.
    exponentials: Vec<Exponential>,
    keeps_exponentials: bool,
}

/// What a distribution comes to, whatever its buckets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extent {
    /// The sum of all samples.
    pub(super) sum: f64,
    /// The least of them.
    pub(super) min: f64,
    /// The greatest.
    pub(super) max: f64,
}

impl Points {
    /// Of no series yet; `None` for metrics that are observed rather than recorded.
    pub(super) fn of(metric: &'static Metric, clock: Clock, exponentials: bool) -> Option<Self> {
        match metric.kind {
            Kind::Counter => Some(Self::Sums(Vec::new())),
            Kind::Cost => Some(Self::Costs(Vec::new())),
            Kind::Gauge => Some(Self::Levels(Vec::new())),
            Kind::Histogram(bounds) => {
                let exemplars = metric.exemplars;
                let histograms = Histograms::new(bounds, exemplars, exponentials);
                Some(Self::Histograms(histograms))
            }
            Kind::WindowMean => Some(Self::Means(clock, Vec::new())),
            Kind::ObservedCounter | Kind::ObservedSeconds | Kind::ObservedGauge => None,
        }
    }

    /// Makes room for one series more.
    pub(super) fn push(&mut self) {
        match self {
            Self::Sums(sums) | Self::Costs(sums) => sums.push(0),
            Self::Levels(levels) => levels.push(Level::NONE),
            Self::Histograms(histograms) => histograms.push(),
            Self::Means(_, rings) => rings.push(Ring::default()),
        }
    }

    /// Takes a sample into the series at a place; says whether it counts.
    pub(super) fn add(&mut self, place: usize, sample: &Sample, moment: &Moment) -> bool {
        match (self, sample.value) {
            (Self::Sums(sums) | Self::Costs(sums), Number::Int(number)) => {
                let sum = &mut sums[place];
                *sum = sum.saturating_add(number.saturating_mul(sample.times));
                true
            }
            (Self::Histograms(histograms), Number::Float(number)) => {
                histograms.add(place, number, sample.times, moment)
            }
            (Self::Histograms(histograms), Number::Int(number)) => {
                histograms.add(place, number as f64, sample.times, moment)
            }
            (Self::Levels(levels), Number::Int(number)) => levels[place].set(number, moment),
            (Self::Means(clock, rings), Number::Float(number)) => {
                rings[place].add_now(*clock, number);
                true
            }
            (_, number) => {
                debug_assert!(false, "{} does not take {number:?}", sample.metric.name);
                false
            }
        }
    }

    /// The numbers of some series, which then begin anew. Levels and windows have no beginning.
    pub(super) fn take(&mut self, places: &[usize]) -> Self {
        match self {
            Self::Sums(sums) => Self::Sums(taken(sums, places)),
            Self::Costs(sums) => Self::Costs(taken(sums, places)),
            Self::Levels(levels) => {
                Self::Levels(places.iter().map(|place| levels[*place]).collect())
            }
            Self::Histograms(histograms) => Self::Histograms(histograms.take(places)),
            Self::Means(clock, rings) => {
                let copy = |place: &usize| rings[*place].clone();
                Self::Means(*clock, places.iter().map(copy).collect())
            }
        }
    }
}

fn taken(sums: &mut [u64], places: &[usize]) -> Vec<u64> {
    let take = |place: &usize| std::mem::take(&mut sums[*place]);
    places.iter().map(take).collect()
}

impl Level {
    const NONE: Self = Self {
        number: 0,
        seen_at: SystemTime::UNIX_EPOCH,
    };

    fn set(&mut self, number: u64, moment: &Moment) -> bool {
        let newest = self.seen_at <= moment.seen_at;
        if newest {
            *self = Self {
                number,
                seen_at: moment.seen_at,
            };
        }
        newest
    }
}

impl Extent {
    const NONE: Self = Self {
        sum: 0.0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
    };
}

impl Histograms {
    fn new(bounds: &'static [f64], keeps_exemplars: bool, keeps_exponentials: bool) -> Self {
        Self {
            bounds,
            counts: Vec::new(),
            extents: Vec::new(),
            exemplars: Vec::new(),
            keeps_exemplars,
            exponentials: Vec::new(),
            keeps_exponentials,
        }
    }

    fn push(&mut self) {
        let buckets = self.bounds.len() + 1;
        self.counts.resize(self.counts.len() + buckets, 0);
        self.extents.push(Extent::NONE);
        if self.keeps_exemplars {
            self.exemplars.push(Vec::new());
        }
        if self.keeps_exponentials {
            self.exponentials.push(Exponential::EMPTY);
        }
    }

    /// Takes a number that occurred so many times; says whether it counts.
    fn add(&mut self, place: usize, number: f64, times: u64, moment: &Moment) -> bool {
        // It would spoil the sum for good.
        if !number.is_finite() {
            return false;
        }
        let bucket = self.bounds.partition_point(|bound| *bound < number);
        self.counts[place * (self.bounds.len() + 1) + bucket] += times;
        let extent = &mut self.extents[place];
        extent.sum += number * times as f64;
        if number < extent.min {
            extent.min = number;
        }
        if number > extent.max {
            extent.max = number;
        }
        if let Some(exponential) = self.exponentials.get_mut(place) {
            exponential.add(number, times);
        }
        if let (Some(origin), Some(kept)) = (moment.origin, self.exemplars.get_mut(place)) {
            let exemplar = Exemplar {
                value: number,
                origin,
                at: moment.ended_at,
            };
            match kept.iter_mut().find(|(of, _)| *of == bucket) {
                Some((_, newest)) => *newest = exemplar,
                None => keep_first(kept, bucket, exemplar),
            }
        }
        true
    }

    fn take(&mut self, places: &[usize]) -> Self {
        let mut taken = Self::new(self.bounds, self.keeps_exemplars, self.keeps_exponentials);
        let buckets = self.bounds.len() + 1;
        for place in places {
            let counts = &mut self.counts[place * buckets..][..buckets];
            taken.counts.extend_from_slice(counts);
            counts.fill(0);
            let extent = &mut self.extents[*place];
            taken.extents.push(std::mem::replace(extent, Extent::NONE));
            let kept = self.exemplars.get_mut(*place).map(std::mem::take);
            taken.exemplars.extend(kept);
            let exponential = self.exponentials.get_mut(*place);
            let empty = Exponential::EMPTY;
            let taking = exponential.map(|exponential| std::mem::replace(exponential, empty));
            taken.exponentials.extend(taking);
        }
        taken
    }

    /// Upper bounds of all buckets but the last.
    pub(super) fn bounds(&self) -> &'static [f64] {
        self.bounds
    }

    /// How many samples fell into each bucket of a series.
    pub(super) fn counts(&self, place: usize) -> &[u64] {
        let buckets = self.bounds.len() + 1;
        &self.counts[place * buckets..][..buckets]
    }

    /// What the samples of a series come to.
    pub(super) fn extent(&self, place: usize) -> &Extent {
        &self.extents[place]
    }

    /// A series over buckets of its own; `None` where they are not asked for.
    pub(super) fn exponential(&self, place: usize) -> Option<&Exponential> {
        self.exponentials.get(place)
    }

    /// The exemplars of a series, each with its bucket.
    pub(super) fn exemplars(&self, place: usize) -> &[(usize, Exemplar)] {
        self.exemplars.get(place).map_or(&[], Vec::as_slice)
    }
}

/// Keeps the first exemplar of a bucket. Few buckets of a series ever have one.
#[cold]
fn keep_first(kept: &mut Vec<(usize, Exemplar)>, bucket: usize, exemplar: Exemplar) {
    kept.reserve_exact(1);
    kept.push((bucket, exemplar));
}
