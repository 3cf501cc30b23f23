//! Vocabularies: sets of names for the same facts.
//!
//! A vocabulary turns an [`Exchange`] into attributes of its spans and samples of its metrics. Attribute keys and metric
//! names are spelled in this folder only. It knows no OpenTelemetry SDK and no sink. It says only what the wire carried:
//! what an exchange does not know is absent, never zero.

pub mod content;
pub mod gen_ai;
pub mod gen_ai_2024;
pub mod gen_ai_2025;
pub mod http;
pub mod llm;
pub mod openinference;
pub mod operation;
pub mod own;
pub mod provider;
pub mod tool_wait;
pub mod traceloop;

mod facets;
mod metric;
mod name;

#[cfg(test)]
pub(crate) mod sample;
mod value;
mod zero;

pub use facets::{Facets, KEY_FINGERPRINT, Label, Labels, told, upstream_label};
pub use metric::{Kind, Metric, Number, PICODOLLARS, Record, Sample, buckets};
pub use name::prometheus_name;
pub use value::{Attribute, Attributes, Value};
pub use zero::{Begins, FromZero, Known};

use crate::exchange::Exchange;

/// A set of names for the facts of an exchange.
pub trait Vocabulary: Send + Sync {
    /// Its name in the settings `telemetry.vocabulary` and `telemetry.metrics`.
    fn name(&self) -> &'static str;

    /// Every metric that [`samples`](Self::samples) may record.
    fn metrics(&self) -> &'static [&'static Metric];

    /// Attributes of the SERVER span.
    fn server(&self, _exchange: &Exchange, _span: &mut Attributes<'_>) {}

    /// Attributes of the inference span; asked only for an exchange with [`Exchange::model_call`].
    fn inference(&self, exchange: &Exchange, span: &mut Attributes<'_>);

    /// Those of its counters that begin at zero.
    fn begin_at_zero(&self) -> &'static [FromZero] {
        &[]
    }

    /// Metric samples.
    fn samples(&self, exchange: &Exchange, record: &mut dyn Record);
}

/// Vocabularies that a setting can choose.
static CHOICES: [&dyn Vocabulary; 6] = [
    &gen_ai::GenAi,
    &gen_ai_2025::GenAi2025,
    &gen_ai_2024::GenAi2024,
    &llm::Llm,
    &openinference::OpenInference,
    &traceloop::Traceloop,
];

/// Vocabularies that are always spoken: HTTP, and what only streamgauge knows.
pub static ALWAYS: [&dyn Vocabulary; 2] = [&http::Http, &own::Own];

/// Names for `telemetry.vocabulary` when nothing is set.
pub const DEFAULTS: [&str; 3] = ["gen_ai", "gen_ai_2025", "llm"];

/// Names for `telemetry.metrics` when nothing is set: an attribute of a span costs little, a histogram many series.
pub const DEFAULT_METRICS: [&str; 2] = ["llm", "gen_ai_2025"];

/// The vocabulary of that name.
#[must_use]
pub fn named(name: &str) -> Option<&'static dyn Vocabulary> {
    CHOICES.into_iter().find(|choice| choice.name() == name)
}

/// Names of all vocabularies that can be chosen.
pub fn names() -> impl Iterator<Item = &'static str> {
    CHOICES.iter().map(|choice| choice.name())
}

/// Names of those that have metrics.
pub fn names_with_metrics() -> impl Iterator<Item = &'static str> {
    let with_metrics = CHOICES.iter().filter(|choice| !choice.metrics().is_empty());
    with_metrics.map(|choice| choice.name())
}

/// The vocabularies of these names, in their order.
pub fn all_named(names: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<&'static dyn Vocabulary> {
    let names = names.into_iter();
    names.filter_map(|name| named(name.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn every_default_has_a_vocabulary_of_that_name() {
        for name in DEFAULTS.into_iter().chain(DEFAULT_METRICS) {
            assert_eq!(named(name).map(Vocabulary::name), Some(name));
        }
        assert!(named("gen_ai_2031").is_none());
    }

    #[test]
    fn a_metric_name_belongs_to_one_definition() {
        let mut seen: HashMap<&str, &Metric> = HashMap::new();
        for vocabulary in CHOICES.iter().chain(&ALWAYS) {
            for metric in vocabulary.metrics() {
                let other = seen.insert(metric.name, metric);
                assert!(
                    other.is_none_or(|other| std::ptr::eq(other, *metric)),
                    "{}",
                    metric.name
                );
                assert!(!metric.description.is_empty(), "{}", metric.name);
            }
        }
    }

    #[test]
    fn only_listed_metrics_are_recorded() {
        for exchange in [
            sample::streamed(),
            sample::unary(),
            sample::embeddings(),
            sample::client_left(),
            sample::rate_limited(),
            sample::plain(),
        ] {
            for vocabulary in CHOICES.iter().chain(&ALWAYS) {
                let mut recorded = sample::Recorded::among(&exchange, &[]);
                vocabulary.samples(&exchange, &mut recorded);
                for (metric, _, _) in &recorded.0 {
                    assert!(
                        vocabulary
                            .metrics()
                            .iter()
                            .any(|known| known.name == *metric),
                        "{metric}"
                    );
                }
            }
        }
    }

    /// The attributes that vocabularies put together, in their order.
    fn together(vocabularies: &[&dyn Vocabulary], exchange: &Exchange) -> Vec<String> {
        let mut lines = sample::attribute_lines(|span| {
            for vocabulary in vocabularies {
                vocabulary.inference(exchange, span);
            }
        });
        lines.sort_unstable();
        lines
    }

    #[test]
    fn no_span_has_a_key_twice() {
        for exchange in [sample::streamed(), sample::unary(), sample::embeddings()] {
            let all: Vec<_> = CHOICES.into_iter().chain(ALWAYS).collect();
            let lines = together(&all, &exchange);
            let mut keys: Vec<_> = lines
                .iter()
                .map(|line| line.split_once('=').unwrap().0)
                .collect();
            keys.dedup();
            assert_eq!(keys.len(), lines.len());
        }
    }

    #[test]
    fn a_span_says_the_same_in_whatever_order_vocabularies_are_chosen() {
        let exchange = sample::streamed();
        let all = together(&CHOICES, &exchange);
        for first in 0..CHOICES.len() {
            let mut turned = CHOICES;
            turned.rotate_left(first);
            assert_eq!(together(&turned, &exchange), all);
            turned.reverse();
            assert_eq!(together(&turned, &exchange), all);
        }
    }

    #[test]
    fn a_vocabulary_alone_leaves_out_nothing_that_others_share_with_it() {
        let exchange = sample::streamed();
        let all = together(&CHOICES, &exchange);
        for choice in CHOICES {
            let alone = together(&[choice], &exchange);
            let strange: Vec<_> = alone.iter().filter(|line| !all.contains(line)).collect();
            assert!(strange.is_empty(), "{}: {strange:?}", choice.name());
        }
    }

    #[test]
    fn generations_that_share_a_metric_record_it_once() {
        let mut exchanges = [sample::streamed(), sample::unary()];
        exchanges[1].operation = Some(crate::exchange::Operation::Rerank);
        let generations = ["gen_ai", "gen_ai_2025", "gen_ai_2024"];
        for (exchange, chosen) in exchanges.iter().flat_map(|exchange| {
            let sets = (1..8_usize).map(|set| {
                let chosen = generations.iter().enumerate();
                chosen.filter(move |(at, _)| set >> at & 1 == 1)
            });
            sets.map(move |set| (exchange, set.map(|(_, name)| *name).collect::<Vec<_>>()))
        }) {
            let mut recorded = sample::Recorded::among(exchange, &chosen);
            for name in &chosen {
                named(name).unwrap().samples(exchange, &mut recorded);
            }
            let durations = recorded.0.iter();
            let durations = durations.filter(|(metric, ..)| metric.ends_with("operation.duration"));
            let by_2024 = chosen.contains(&"gen_ai_2024");
            let expected =
                usize::from(chosen != ["gen_ai"] || !exchange.operation.unwrap().generates_text());
            let labels: Vec<_> = durations.map(|(_, labels, _)| labels).collect();
            assert_eq!(labels.len(), expected, "{chosen:?}");
            for labels in labels {
                assert_eq!(labels.contains("gen_ai.system="), by_2024, "{chosen:?}");
                let newer = chosen != ["gen_ai_2024"];
                assert_eq!(
                    labels.contains("gen_ai.provider.name="),
                    newer,
                    "{chosen:?}"
                );
            }
        }
    }
}
