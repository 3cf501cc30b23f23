//! What a metric is: name, unit, buckets; and what a sample of it is.

use std::time::Duration;

use super::{Attribute, Label, Labels};

/// Definition of one metric.
#[derive(Debug)]
pub struct Metric {
    /// Name in OpenTelemetry spelling.
    pub name: &'static str,
    /// UCUM unit: `s`, `By`, `1`, or an annotation such as `{token}`.
    pub unit: &'static str,
    /// One sentence; where a time is measured, from when to when.
    pub description: &'static str,
    /// How samples are put together.
    pub kind: Kind,
    /// Whether the latest sample of each bucket is kept with its trace.
    pub exemplars: bool,
}

/// A sum of whole numbers without exemplars.
pub(super) const fn counter(
    name: &'static str,
    unit: &'static str,
    description: &'static str,
) -> Metric {
    Metric {
        name,
        unit,
        description,
        kind: Kind::Counter,
        exemplars: false,
    }
}

/// How samples of a metric are put together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Sum of whole numbers.
    Counter,
    /// Sum of money: of whole picodollars ([`PICODOLLARS`]), so that nothing is lost where prices are small, and told in USD.
    Cost,
    /// Distribution of numbers over buckets with these upper bounds.
    Histogram(&'static [f64]),
    /// The latest of whole numbers: that of the response whose head came last.
    Gauge,
    /// Mean of the samples of a sliding window; no point without samples.
    WindowMean,
    /// A sum that its owner keeps and that is read when metrics are collected.
    ObservedCounter,
    /// The same of a sum of time, which is read in microseconds and told in seconds.
    ObservedSeconds,
    /// A level that its owner keeps and that is read when metrics are collected.
    ObservedGauge,
}

/// So many picodollars are a US dollar.
pub const PICODOLLARS: u64 = 1_000_000_000_000;

/// The value of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// For counters, gauges, and histograms of whole numbers.
    Int(u64),
    /// For everything else.
    Float(f64),
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<Duration> for Number {
    /// Seconds.
    fn from(duration: Duration) -> Self {
        Self::Float(duration.as_secs_f64())
    }
}

/// One sample, or several of the same value.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// The metric it belongs to.
    pub metric: &'static Metric,
    /// Its value.
    pub value: Number,
    /// How often it occurred.
    pub times: u64,
}

impl Kind {
    /// Whether its owner keeps it, rather than that it is recorded sample by sample.
    #[must_use]
    pub const fn is_observed(self) -> bool {
        matches!(
            self,
            Self::ObservedCounter | Self::ObservedSeconds | Self::ObservedGauge
        )
    }
}

impl Metric {
    /// One sample of this metric.
    #[must_use]
    pub fn sample(&'static self, value: impl Into<Number>) -> Sample {
        Sample {
            metric: self,
            value: value.into(),
            times: 1,
        }
    }

    /// The same sample several times over.
    #[must_use]
    pub fn sample_times(&'static self, value: impl Into<Number>, times: u64) -> Sample {
        Sample {
            metric: self,
            value: value.into(),
            times,
        }
    }
}

/// Takes the samples of one exchange.
pub trait Record {
    /// Records those samples that there are. All carry the same labels: a set, and perhaps one label more.
    fn record(&mut self, labels: &'static Labels, by: Option<Label>, samples: &[Option<Sample>]);

    /// Records samples under labels of which not all follow from the facets of the exchange; their keys are distinct.
    fn record_under(&mut self, labels: &[Attribute<'_>], samples: &[Option<Sample>]);

    /// Whether a vocabulary of that name records too: where two have a metric in common, one of them leaves it alone.
    fn includes(&self, vocabulary: &str) -> bool;
}

/// Bucket bounds as the conventions give them.
pub mod buckets {
    /// GenAI durations, in seconds.
    pub const GEN_AI_DURATION: &[f64] = &[
        0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
    ];
    /// GenAI token counts.
    pub const GEN_AI_TOKENS: &[f64] = &[
        1.0,
        4.0,
        16.0,
        64.0,
        256.0,
        1024.0,
        4096.0,
        16384.0,
        65536.0,
        262_144.0,
        1_048_576.0,
        4_194_304.0,
        16_777_216.0,
        67_108_864.0,
    ];
    /// Turns of a conversation.
    pub const TURNS: &[f64] = &[1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0, 55.0, 89.0];
    /// Shares of a whole.
    pub const SHARE: &[f64] = &[0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0];
    /// What was counted, of what was reported.
    pub const RATIO: &[f64] = &[
        0.5, 0.75, 0.9, 0.95, 0.98, 1.0, 1.02, 1.05, 1.1, 1.25, 1.5, 2.0,
    ];
    /// How long tools take, in seconds: from a look-up in memory to a task for a person.
    pub const TOOL: &[f64] = &[
        0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
    ];
    /// Time to first token of a model server, in seconds.
    pub const SERVER_FIRST_TOKEN: &[f64] = &[
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    ];
    /// Time per output token of a model server, in seconds.
    pub const SERVER_OUTPUT_TOKEN: &[f64] = &[
        0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
    ];
    /// HTTP durations, in seconds.
    pub const HTTP: &[f64] = &[
        0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    ];
    /// Durations of whole calls in vocabularies without bounds of their own, in seconds. Each bound is a series of every
    /// model, so there are only those that a user looks at.
    pub const WHOLE: &[f64] = &[
        0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
    ];
    /// Waits within a call, likewise.
    pub const WAIT: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
    /// What servers say of their own time, in seconds: a queue that is empty and one that takes minutes.
    pub const SERVER_TIME: &[f64] = &[
        0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
        120.0, 300.0, 600.0,
    ];
    /// The proxy's own share, in seconds: microseconds when all is well, minutes behind a stalled client.
    pub const OVERHEAD: &[f64] = &[
        0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1,
        1.0, 10.0, 60.0, 600.0,
    ];
}
