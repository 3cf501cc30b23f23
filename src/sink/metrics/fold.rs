//! The bound on label values: beyond it a value becomes `_other`.
//!
//! A client chooses model names, an upstream error codes and fingerprints; each attribute keeps the first so many
//! different texts it sees. `_other` comes on top. Spans are not folded.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::semconv::{Attribute, Value};

/// What stands for every value beyond the bound.
const OTHER: &str = "_other";

/// The values each attribute has had.
#[derive(Debug)]
pub(super) struct Folds {
    limit: usize,
    /// Those that were known beforehand, which do not count.
    known: HashMap<&'static str, HashSet<String>>,
    seen: HashMap<&'static str, HashSet<String>>,
    /// Attributes of which it was said that they fold.
    told: HashSet<&'static str>,
}

impl Folds {
    /// Keeps at most `limit` values per attribute.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            known: HashMap::new(),
            seen: HashMap::new(),
            told: HashSet::new(),
        }
    }

    /// Keeps these texts beside those that are seen.
    pub(super) fn know(&mut self, attributes: &[Attribute<'_>]) {
        for (key, value) in attributes {
            if let Value::Str(text) = value {
                let known = self.known.entry(key).or_default();
                known.insert(text.clone().into_owned());
            }
        }
    }

    /// Replaces texts beyond the bound; says whether it did. Numbers and flags pass, their range is narrow.
    pub(super) fn fold(&mut self, attributes: &mut [Attribute<'_>]) -> bool {
        let mut folded = false;
        for (key, value) in attributes {
            let Value::Str(text) = value else { continue };
            let known = self.known.get(key);
            if known.is_some_and(|known| known.contains(&**text)) {
                continue;
            }
            let seen = self.seen.entry(key).or_default();
            if seen.contains(&**text) {
                continue;
            }
            if seen.len() < self.limit {
                seen.insert(text.clone().into_owned());
            } else {
                *text = Cow::Borrowed(OTHER);
                folded = true;
                if self.told.insert(key) {
                    tracing::warn!(
                        label = key,
                        values = self.limit,
                        "a label of metrics has as many values as it may have (limits.label_values); further values become _other"
                    );
                }
            }
        }
        folded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(folds: &mut Folds, key: &'static str, text: &str) -> Value<'static> {
        let mut attributes = [(key, Value::from(text.to_owned()))];
        folds.fold(&mut attributes);
        let [(_, value)] = attributes;
        value
    }

    #[test]
    fn values_beyond_the_bound_are_other_and_known_ones_stay() {
        let mut folds = Folds::new(2);
        assert_eq!(fold(&mut folds, "model", "a"), "a".into());
        assert_eq!(fold(&mut folds, "model", "b"), "b".into());
        assert_eq!(fold(&mut folds, "model", "c"), "_other".into());
        assert_eq!(fold(&mut folds, "model", "a"), "a".into());
    }

    #[test]
    fn each_attribute_has_its_own_bound() {
        let mut folds = Folds::new(1);
        fold(&mut folds, "model", "a");
        assert_eq!(fold(&mut folds, "tool", "b"), "b".into());
    }

    #[test]
    fn what_is_known_beforehand_takes_no_place() {
        let mut folds = Folds::new(1);
        folds.know(&[("upstream", "a".into()), ("upstream", "b".into())]);
        assert_eq!(fold(&mut folds, "upstream", "c"), "c".into());
        assert_eq!(fold(&mut folds, "upstream", "d"), "_other".into());
        assert_eq!(fold(&mut folds, "upstream", "b"), "b".into());
    }

    #[test]
    fn numbers_are_not_folded() {
        let mut folds = Folds::new(0);
        let mut attributes = [("port", Value::Int(443)), ("stream", Value::Bool(true))];
        assert!(!folds.fold(&mut attributes));
    }
}
