//! All metrics with their series, behind one lock, which an exchange takes once.
//!
//! A collection takes it metric by metric, for as long as it takes to copy the numbers of one. Only observers wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::bundle::{At, Bundle, Bundles};
use super::family::{Collected, Family, For, Told};
use super::labels::{LabelSet, LabelSets};
use super::observed::{Observed, Reading};
use super::points::Moment;
use super::window::Clock;
use crate::semconv::{
    Attribute, Begins, Facets, FromZero, Label, Labels, Metric, Record, Sample, Vocabulary,
    upstream_label,
};

/// How much of it there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Different values of a label before the rest fold into `_other`.
    pub(super) label_values: usize,
    /// Most series of a metric.
    pub(super) series: usize,
}

/// All metrics.
#[derive(Debug)]
pub(super) struct Registry(Mutex<Aggregates>);

/// All metrics, while they are locked.
#[derive(Debug)]
pub(super) struct Aggregates {
    bundles: Bundles,
    families: Families,
    observed: Vec<Observed>,
    /// The order in which they are told.
    order: Vec<Instrument>,
}

/// The metrics that are recorded.
#[derive(Debug)]
struct Families {
    all: Vec<Family>,
    /// Places in `all` by the names of the metrics.
    by_name: HashMap<&'static str, usize>,
    /// By the names of the metrics: those of which several series begin at once.
    together: HashMap<&'static str, &'static FromZero>,
    sets: LabelSets,
}

/// A metric by its place among those that are recorded, or those that are observed.
#[derive(Debug, Clone, Copy)]
enum Instrument {
    Recorded(usize),
    Observed(usize),
}

impl Registry {
    /// These metrics, without series.
    pub(super) fn new(
        metrics: impl Iterator<Item = &'static Metric>,
        bounds: Bounds,
        told: Told,
        clock: Clock,
    ) -> Self {
        let mut contents = Aggregates {
            bundles: Bundles::default(),
            families: Families {
                all: Vec::new(),
                by_name: HashMap::new(),
                together: HashMap::new(),
                sets: LabelSets::new(bounds.label_values, 4 * bounds.series),
            },
            observed: Vec::new(),
            order: Vec::new(),
        };
        for metric in metrics {
            contents.add(metric, bounds.series, told, clock);
        }
        Self(Mutex::new(contents))
    }

    /// Locks it.
    pub(super) fn open(&self) -> MutexGuard<'_, Aggregates> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Collects one metric after another. A metric without a series is left out.
    pub(super) fn collect(&self, by: For, mut each: impl FnMut(&Collected)) {
        for at in 0.. {
            let Some(part) = self.open().part(at, by) else {
                return;
            };
            let collected = match part {
                Part::Collected(collected) => collected,
                Part::Unread(reading) => reading.read(),
            };
            if let Some(collected) = &collected {
                each(collected);
            }
        }
    }
}

/// What is told of one metric.
enum Part {
    Collected(Option<Collected>),
    Unread(Reading),
}

impl Aggregates {
    fn add(&mut self, metric: &'static Metric, series: usize, told: Told, clock: Clock) {
        if self.families.by_name.contains_key(metric.name) {
            return;
        }
        if let Some(family) = Family::new(metric, series, told, clock) {
            let place = self.families.all.len();
            self.families.by_name.insert(metric.name, place);
            self.families.all.push(family);
            self.order.push(Instrument::Recorded(place));
        }
        if let Some(observed) = Observed::new(metric, told.temporality) {
            self.order.push(Instrument::Observed(self.observed.len()));
            self.observed.push(observed);
        }
    }

    fn part(&mut self, at: usize, by: For) -> Option<Part> {
        Some(match *self.order.get(at)? {
            Instrument::Recorded(place) => Part::Collected(self.families.all[place].collect(by)),
            Instrument::Observed(place) => Part::Unread(self.observed[place].collect(by)),
        })
    }

    /// Adds a number to a metric that is observed; says whether there is such a metric.
    pub(super) fn watch(
        &mut self,
        metric: &'static Metric,
        labels: &[Attribute<'_>],
        read: Arc<dyn Fn() -> u64 + Send + Sync>,
    ) -> bool {
        let mut observed = self.observed.iter_mut();
        let Some(observed) = observed.find(|observed| std::ptr::eq(observed.metric(), metric))
        else {
            return false;
        };
        observed.watch(self.families.sets.of(labels.to_vec()), read);
        true
    }

    /// Has a counter begin at zero, where it is recorded.
    pub(super) fn begin(&mut self, row: &'static FromZero, upstreams: &[impl AsRef<str>]) {
        let now = SystemTime::now();
        match row.begins {
            Begins::WithProcess => self.families.begin(row, &[], now),
            Begins::WithUpstream => {
                for name in upstreams {
                    self.families
                        .begin(row, &[upstream_label(name.as_ref())], now);
                }
            }
            Begins::WithModel => {
                self.families.together.insert(row.metric.name, row);
            }
        }
    }

    /// Takes the samples of an exchange with these facets.
    pub(super) fn recorder<'r>(
        &'r mut self,
        facets: &'r Facets<'r>,
        moment: Moment,
        vocabularies: &'r [&'static dyn Vocabulary],
    ) -> Recorder<'r> {
        Recorder {
            bundle: self.bundles.of(facets),
            next: 0,
            families: &mut self.families,
            facets,
            moment,
            vocabularies,
        }
    }
}

impl Families {
    /// Where samples of a metric with these labels go; `None` where the metric is not recorded.
    fn at(&mut self, metric: &Metric, labels: &LabelSet, now: SystemTime) -> Option<At> {
        let family = *self.by_name.get(metric.name)?;
        let series = self.all[family].series_count();
        let place = self.all[family].place(labels, self.sets.overflow(), now);
        let is_new = self.all[family].series_count() > series;
        let row = self.together.get(metric.name).filter(|_| is_new);
        for others in row.map_or_else(Vec::new, |row| row.beside(labels.attributes())) {
            let others = self.sets.of(others);
            self.all[family].place(&others, self.sets.overflow(), now);
        }
        Some(At { family, place })
    }

    /// Begins the series of a counter that have these labels and those that it brings.
    fn begin(&mut self, row: &FromZero, beside: &[Attribute<'static>], now: SystemTime) {
        let Some(family) = self.by_name.get(row.metric.name) else {
            return;
        };
        for labels in row.sets(beside) {
            let labels = self.sets.known(labels);
            self.all[*family].begin(&labels, self.sets.overflow(), now);
        }
    }
}

/// Records the samples of one exchange.
pub(super) struct Recorder<'r> {
    bundle: &'r mut Bundle,
    /// Where in the bundle the next set of labels most likely is.
    next: usize,
    families: &'r mut Families,
    facets: &'r Facets<'r>,
    moment: Moment,
    vocabularies: &'r [&'static dyn Vocabulary],
}

impl Record for Recorder<'_> {
    fn record(&mut self, labels: &'static Labels, by: Option<Label>, samples: &[Option<Sample>]) {
        if samples.iter().all(Option::is_none) {
            return;
        }
        let Self {
            families, moment, ..
        } = self;
        let set = || families.sets.of(labels.of(self.facets, by));
        let (set, slots) = self.bundle.strand(&mut self.next, labels, by, set);
        let mut next = 0;
        for sample in samples.iter().flatten() {
            let find = || families.at(sample.metric, set, moment.ended_at);
            if let Some(at) = slots.at(&mut next, sample.metric, find) {
                families.all[at.family].add(at.place, sample, moment);
            }
        }
    }

    fn record_under(&mut self, labels: &[Attribute<'_>], samples: &[Option<Sample>]) {
        if samples.iter().all(Option::is_none) {
            return;
        }
        let set = self.families.sets.of(labels.to_vec());
        for sample in samples.iter().flatten() {
            let now = self.moment.ended_at;
            if let Some(at) = self.families.at(sample.metric, &set, now) {
                self.families.all[at.family].add(at.place, sample, &self.moment);
            }
        }
    }

    fn includes(&self, vocabulary: &str) -> bool {
        let mut spoken = self.vocabularies.iter();
        spoken.any(|spoken| spoken.name() == vocabulary)
    }
}

#[cfg(test)]
mod tests;
