//! Counters that begin at zero: a query such as `increase()` sees the first event only where the series was there before it.
//!
//! Only series are made whose labels are all known beforehand, and only those that are worth their place: each is in every
//! scrape from then on.

use super::facets::MODEL;
use super::{Attribute, Metric, Value};

/// A counter that begins at zero.
#[derive(Debug)]
pub struct FromZero {
    /// The counter.
    pub metric: &'static Metric,
    /// When there is a series of it for each combination of the values that follow.
    pub begins: Begins,
    /// Its further labels, each with all values that it may have.
    pub labels: &'static [Known],
}

/// When a counter begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// With the process.
    WithProcess,
    /// With the process, for each upstream of the configuration.
    WithUpstream,
    /// With the first sample that has a model, with all its other labels.
    WithModel,
}

/// A label all values of which are known beforehand.
#[derive(Debug)]
pub struct Known {
    /// Its key.
    pub key: &'static str,
    /// Its values.
    pub values: fn() -> Vec<Value<'static>>,
}

impl FromZero {
    /// The sets of labels of its series, beside labels that all of them have.
    #[must_use]
    pub fn sets(&self, beside: &[Attribute<'static>]) -> Vec<Vec<Attribute<'static>>> {
        let mut sets = vec![beside.to_vec()];
        for label in self.labels {
            let values = (label.values)();
            let with_each = |set: Vec<Attribute<'static>>| {
                let values = values.clone().into_iter();
                values
                    .map(move |value| [&set[..], &[(label.key, value)]].concat())
                    .collect::<Vec<_>>()
            };
            sets = sets.into_iter().flat_map(with_each).collect();
        }
        sets
    }

    /// The sets of labels of the series that begin with one that has these, of which it is one; none where it brings no other.
    #[must_use]
    pub fn beside(&self, labels: &[Attribute<'static>]) -> Vec<Vec<Attribute<'static>>> {
        let of_model = labels.iter().any(|(key, _)| *key == MODEL);
        if self.begins != Begins::WithModel || !of_model {
            return Vec::new();
        }
        let mut others = labels.to_vec();
        others.retain(|(key, _)| self.labels.iter().all(|label| label.key != *key));
        self.sets(&others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semconv::{Kind, own};

    static METRIC: Metric = Metric {
        name: "calls",
        unit: "{call}",
        description: "Calls.",
        kind: Kind::Counter,
        exemplars: false,
    };

    const LABELS: &[Known] = &[
        Known {
            key: "end",
            values: || vec!["done".into(), "cut".into()],
        },
        Known {
            key: "partial",
            values: || vec![true.into(), false.into()],
        },
    ];

    fn from_zero(begins: Begins) -> FromZero {
        FromZero {
            metric: &METRIC,
            begins,
            labels: LABELS,
        }
    }

    #[test]
    fn there_is_a_set_for_each_combination_of_values() {
        let sets = from_zero(Begins::WithUpstream).sets(&[("upstream", "main".into())]);
        let set = |end: &'static str, partial: bool| -> Vec<Attribute<'static>> {
            vec![
                ("upstream", "main".into()),
                ("end", end.into()),
                ("partial", partial.into()),
            ]
        };
        let expected = [
            set("done", true),
            set("done", false),
            set("cut", true),
            set("cut", false),
        ];
        assert_eq!(sets, expected);
    }

    #[test]
    fn with_a_model_come_those_that_differ_in_the_known_labels() {
        let labels: [Attribute<'static>; 3] = [
            ("end", "done".into()),
            ("model", "m".into()),
            ("partial", false.into()),
        ];
        let sets = from_zero(Begins::WithModel).beside(&labels);
        assert_eq!(sets, from_zero(Begins::WithModel).sets(&labels[1..2]));
        assert!(from_zero(Begins::WithModel).beside(&labels[..1]).is_empty());
        assert!(from_zero(Begins::WithUpstream).beside(&labels).is_empty());
    }

    #[test]
    fn only_counters_that_are_recorded_begin_at_zero() {
        for row in own::FROM_ZERO {
            assert_eq!(row.metric.kind, Kind::Counter, "{}", row.metric.name);
        }
    }
}
