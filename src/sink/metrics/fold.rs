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
    seen: HashMap<&'static str, HashSet<String>>,
}

impl Folds {
    /// Keeps at most `limit` values per attribute.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            seen: HashMap::new(),
        }
    }

    /// Replaces texts beyond the bound; says whether it did. Numbers and flags pass, their range is narrow.
    pub(super) fn fold(&mut self, attributes: &mut [Attribute<'_>]) -> bool {
        let mut folded = false;
        for (key, value) in attributes {
            let Value::Str(text) = value else { continue };
            let seen = self.seen.entry(key).or_default();
            if seen.contains(&**text) {
                continue;
            }
            if seen.len() < self.limit {
                seen.insert(text.clone().into_owned());
            } else {
                *text = Cow::Borrowed(OTHER);
                folded = true;
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
    fn numbers_are_not_folded() {
        let mut folds = Folds::new(0);
        let mut attributes = [("port", Value::Int(443)), ("stream", Value::Bool(true))];
        assert!(!folds.fold(&mut attributes));
    }
}
