//! One metric with its series, and what is told of it when metrics are collected.

use std::collections::HashMap;
use std::time::{Instant, SystemTime};

use foldhash::fast::RandomState;

use super::labels::LabelSet;
use super::points::{Histograms, Moment, Points};
use super::window::Clock;
use crate::otel::{Buckets, Temporality};
use crate::semconv::{Kind, Metric, PICODOLLARS, Sample};

/// Who collects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// A scrape, which can only read totals.
    Scrape,
    /// A push; where it is of differences, of those since the last one.
    Push,
}

/// How numbers are told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    /// Whether totals are pushed or differences.
    pub(super) temporality: Temporality,
    /// The buckets of distributions in a scrape that can have either, and in a push.
    pub(super) scraped: Buckets,
    pub(super) pushed: Buckets,
}

impl Told {
    /// Whether distributions are told over buckets that grow exponentially.
    fn exponential(self, by: For) -> bool {
        let buckets = match by {
            For::Scrape => self.scraped,
            For::Push => self.pushed,
        };
        buckets == Buckets::Exponential
    }
}

/// A metric that is recorded sample by sample.
#[derive(Debug)]
pub(super) struct Family {
    metric: &'static Metric,
    /// Most series, those beyond which share one.
    limit: usize,
    told: Told,
    /// Place of each series by the id of its labels.
    places: HashMap<u64, usize, RandomState>,
    series: Vec<Series>,
    totals: Points,
    /// `None` where totals are pushed.
    interval: Option<Interval>,
}

/// What was recorded since the last push of differences.
#[derive(Debug)]
struct Interval {
    points: Points,
    /// Whether a series was recorded at all: a difference of zero is told too.
    touched: Vec<bool>,
    began: SystemTime,
}

/// A series and when it began.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) labels: LabelSet,
    pub(super) began: SystemTime,
}

/// What is told of a metric at one moment.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) metric: &'static Metric,
    /// Whether the numbers are differences.
    pub(super) is_delta: bool,
    /// Whether distributions are told over buckets that grow exponentially.
    pub(super) exponential: bool,
    pub(super) at: SystemTime,
    pub(super) series: Vec<Series>,
    pub(super) values: Values,
}

/// The numbers of the series, in their order.
#[derive(Debug)]
pub(super) enum Values {
    Whole(Vec<u64>),
    Floats(Vec<f64>),
    Histograms(Histograms),
}

impl Family {
    /// Without series; `None` for metrics that are observed rather than recorded.
    pub(super) fn new(
        metric: &'static Metric,
        limit: usize,
        told: Told,
        clock: Clock,
    ) -> Option<Self> {
        let is_delta = is_delta(metric, told.temporality);
        let in_totals = told.exponential(For::Scrape) || told.exponential(For::Push) && !is_delta;
        let totals = Points::of(metric, clock, in_totals)?;
        let points = Points::of(metric, clock, told.exponential(For::Push));
        let interval = points.filter(|_| is_delta).map(|points| Interval {
            points,
            touched: Vec::new(),
            began: SystemTime::now(),
        });
        Some(Self {
            metric,
            limit,
            told,
            places: HashMap::default(),
            series: Vec::new(),
            totals,
            interval,
        })
    }

    /// The place of the series with these labels, which begins now where it is new.
    pub(super) fn place(
        &mut self,
        labels: &LabelSet,
        overflow: &LabelSet,
        now: SystemTime,
    ) -> usize {
        if let Some(place) = self.places.get(&labels.id()) {
            return *place;
        }
        let labels = if self.places.len() < self.limit {
            labels
        } else {
            overflow
        };
        let series = &mut self.series;
        let (totals, interval) = (&mut self.totals, &mut self.interval);
        *self.places.entry(labels.id()).or_insert_with(|| {
            series.push(Series {
                labels: labels.clone(),
                began: now,
            });
            totals.push();
            if let Some(interval) = interval {
                interval.points.push();
                interval.touched.push(false);
            }
            series.len() - 1
        })
    }

    /// Begins a series that is known beforehand, which takes the place of no other.
    pub(super) fn begin(&mut self, labels: &LabelSet, overflow: &LabelSet, now: SystemTime) {
        self.limit += 1;
        self.place(labels, overflow, now);
    }

    /// How many series there are.
    pub(super) fn series_count(&self) -> usize {
        self.series.len()
    }

    /// Takes a sample into the series at a place.
    pub(super) fn add(&mut self, place: usize, sample: &Sample, moment: &Moment) {
        let counts = self.totals.add(place, sample, moment);
        if let (true, Some(interval)) = (counts, &mut self.interval) {
            interval.points.add(place, sample, moment);
            interval.touched[place] = true;
        }
    }

    /// What is told of it; `None` where there is nothing to tell.
    pub(super) fn collect(&mut self, by: For) -> Option<Collected> {
        let at = SystemTime::now();
        let (is_delta, series, values) = match (by, &mut self.interval) {
            (For::Push, Some(interval)) => {
                let (series, values) = interval.collect(&self.series, at);
                (true, series, values)
            }
            _ => {
                let (series, values) = totals(&self.series, &self.totals);
                (false, series, values)
            }
        };
        (!series.is_empty()).then_some(Collected {
            metric: self.metric,
            is_delta,
            exponential: self.told.exponential(by),
            at,
            series,
            values,
        })
    }
}

impl Interval {
    /// What was recorded, and begins the next.
    fn collect(&mut self, series: &[Series], at: SystemTime) -> (Vec<Series>, Values) {
        let began = std::mem::replace(&mut self.began, at);
        let touched = self.touched.iter().enumerate();
        let places: Vec<usize> = touched.filter_map(|(at, is)| is.then_some(at)).collect();
        self.touched.fill(false);
        let series: Vec<Series> = places
            .iter()
            .map(|place| Series {
                labels: series[*place].labels.clone(),
                began,
            })
            .collect();
        totals(&series, &self.points.take(&places))
    }
}

/// The series that have a number, and these.
fn totals(series: &[Series], points: &Points) -> (Vec<Series>, Values) {
    let values = match points {
        Points::Sums(sums) => Values::Whole(sums.clone()),
        Points::Costs(sums) => {
            let usd = |sum: &u64| *sum as f64 / PICODOLLARS as f64;
            Values::Floats(sums.iter().map(usd).collect())
        }
        Points::Levels(levels) => Values::Whole(levels.iter().map(|level| level.number).collect()),
        Points::Histograms(histograms) => Values::Histograms(histograms.clone()),
        Points::Means(clock, rings) => {
            let turn = clock.turn(Instant::now());
            let means = series.iter().zip(rings);
            let live = means.filter_map(|(series, ring)| Some((series.clone(), ring.mean(turn)?)));
            let (series, means) = live.unzip();
            return (series, Values::Floats(means));
        }
    };
    (series.to_vec(), values)
}

/// Whether a push tells differences of a metric, by what the receiver prefers.
pub(super) fn is_delta(metric: &Metric, preferred: Temporality) -> bool {
    match preferred {
        Temporality::Delta => metric.kind != Kind::WindowMean,
        // Differences of what is observed would take memory rather than save it.
        Temporality::LowMemory => {
            matches!(metric.kind, Kind::Counter | Kind::Cost | Kind::Histogram(_))
        }
        Temporality::Cumulative => false,
    }
}
