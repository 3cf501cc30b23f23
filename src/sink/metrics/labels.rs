//! Sets of labels: what tells the series of a metric apart.
//!
//! A set is made once, folded where its values are beyond the bound, and shared by all series that have it. Its text as
//! `/metrics` shows it is what it is known by: two sets that read alike could not be told apart there.

use std::borrow::{Borrow, Cow};
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::fold::Folds;
use crate::semconv::{Attribute, Value, prometheus_name};

/// The label of the series that takes what is beyond the most series of a metric, as the OpenTelemetry SDKs have it.
const OVERFLOW: &str = "otel.metric.overflow";

/// A set of labels.
#[derive(Debug, Clone)]
pub(super) struct LabelSet(Arc<Set>);

#[derive(Debug)]
struct Set {
    id: u64,
    attributes: Box<[Attribute<'static>]>,
    text: Box<str>,
}

impl LabelSet {
    /// Tells it from all other sets of the process.
    pub(super) fn id(&self) -> u64 {
        self.0.id
    }

    /// The labels, sorted by key.
    pub(super) fn attributes(&self) -> &[Attribute<'static>] {
        &self.0.attributes
    }

    /// The labels as they are shown, in the order of their names.
    pub(super) fn pairs(&self) -> Vec<(String, Cow<'_, str>)> {
        pairs(shown_all(self.attributes()))
    }

    /// The labels as they stand between the braces of a sample.
    pub(super) fn text(&self) -> &str {
        &self.0.text
    }
}

impl Borrow<str> for LabelSet {
    fn borrow(&self) -> &str {
        self.text()
    }
}

impl Hash for LabelSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text().hash(state);
    }
}

impl PartialEq for LabelSet {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for LabelSet {}

/// The sets that series have.
#[derive(Debug)]
pub(super) struct LabelSets {
    folds: Folds,
    known: HashSet<LabelSet, RandomState>,
    next_id: u64,
    /// How many sets there may be before those without a series are forgotten.
    sweep_at: usize,
    least_sweep_at: usize,
    /// The set of what is beyond the most series of a metric.
    overflow: LabelSet,
}

impl LabelSets {
    /// No set yet. Attributes keep so many values each, and so many sets are kept before it is looked whether all are in use.
    pub(super) fn new(values: usize, sets: usize) -> Self {
        let overflow = Set {
            id: 0,
            attributes: [(OVERFLOW, Value::Bool(true))].into(),
            text: text([(OVERFLOW, Cow::Borrowed("true"))].into_iter()).into(),
        };
        Self {
            folds: Folds::new(values),
            known: HashSet::default(),
            next_id: 1,
            sweep_at: sets,
            least_sweep_at: sets,
            overflow: LabelSet(Arc::new(overflow)),
        }
    }

    /// The set of these labels, all of which are known beforehand.
    pub(super) fn known(&mut self, attributes: Vec<Attribute<'static>>) -> LabelSet {
        self.folds.know(&attributes);
        self.of(attributes)
    }

    /// The set of these labels, folded where they are beyond the bound.
    pub(super) fn of(&mut self, mut attributes: Vec<Attribute<'_>>) -> LabelSet {
        self.folds.fold(&mut attributes);
        let text = text(shown_all(&attributes));
        if let Some(set) = self.known.get(text.as_str()) {
            return set.clone();
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|set| Arc::strong_count(&set.0) > 1);
            self.sweep_at = self.least_sweep_at.max(2 * self.known.len());
        }
        attributes.sort_by_key(|(key, _)| *key);
        let set = LabelSet(Arc::new(Set {
            id: self.next_id,
            attributes: attributes.into_iter().map(owned).collect(),
            text: text.into(),
        }));
        self.next_id += 1;
        self.known.insert(set.clone());
        set
    }

    /// The set of what is beyond the most series of a metric.
    pub(super) fn overflow(&self) -> &LabelSet {
        &self.overflow
    }
}

fn owned((key, value): Attribute<'_>) -> Attribute<'static> {
    let value = match value {
        Value::Str(text) => Value::Str(Cow::Owned(text.into_owned())),
        Value::Int(number) => Value::Int(number),
        Value::Float(number) => Value::Float(number),
        Value::Bool(flag) => Value::Bool(flag),
        // No metric has a list for a label; joined it would still be told apart.
        Value::StrList(texts) => Value::Str(Cow::Owned(texts.join(","))),
    };
    (key, value)
}

fn shown_all<'v>(attributes: &'v [Attribute<'_>]) -> impl Iterator<Item = (&'v str, Cow<'v, str>)> {
    attributes.iter().map(|(key, value)| (*key, shown(value)))
}

/// A value as a label has it.
fn shown<'v>(value: &'v Value<'_>) -> Cow<'v, str> {
    match value {
        Value::Str(text) => Cow::Borrowed(text),
        Value::Int(number) => Cow::Owned(number.to_string()),
        Value::Float(number) => Cow::Owned(number.to_string()),
        Value::Bool(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
        Value::StrList(texts) => Cow::Owned(texts.join(",")),
    }
}

/// Labels as they are shown, in the order of their names. Keys that become the same name share it, their values joined by `;`.
pub(super) fn pairs<'a>(
    labels: impl Iterator<Item = (&'a str, Cow<'a, str>)>,
) -> Vec<(String, Cow<'a, str>)> {
    let mut pairs: Vec<_> = labels
        .map(|(key, value)| (prometheus_name(key, '_'), value))
        .collect();
    pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
    pairs.dedup_by(|(name, value), (kept, values)| {
        let is_same = name == kept;
        if is_same {
            *values = Cow::Owned([&**values, ";", &**value].concat());
        }
        is_same
    });
    pairs
}

/// The same as one text.
pub(super) fn text<'a>(labels: impl Iterator<Item = (&'a str, Cow<'a, str>)>) -> String {
    let mut text = String::with_capacity(256);
    for (name, value) in pairs(labels) {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&name);
        text.push_str("=\"");
        text.push_str(&escape(&value, true));
        text.push('"');
    }
    text
}

/// A text without line ends and single backslashes; without bare quotes too where asked for.
pub(super) fn escape(text: &str, quotes: bool) -> Cow<'_, str> {
    if !text.contains(['\\', '\n', '"']) {
        return Cow::Borrowed(text);
    }
    let escaped = text.replace('\\', "\\\\").replace('\n', "\\n");
    Cow::Owned(if quotes {
        escaped.replace('"', "\\\"")
    } else {
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_become_one_name_share_it() {
        let keys = [
            ("a.b", Cow::Borrowed("1")),
            ("a_b", Cow::Borrowed("2")),
            ("9lives", Cow::Borrowed("3")),
        ];
        assert_eq!(text(keys.into_iter()), r#"_9lives="3",a_b="1;2""#);
    }

    #[test]
    fn the_same_labels_are_the_same_set_in_whatever_order() {
        let mut sets = LabelSets::new(10, 10);
        let labels = vec![("model", "m".into()), ("port", 443_i64.into())];
        let one = sets.of(labels.clone());
        let other = sets.of(labels.into_iter().rev().collect());
        assert_eq!(one.id(), other.id());
        assert_eq!(one.text(), r#"model="m",port="443""#);
        let keys: Vec<_> = one.attributes().iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["model", "port"]);
    }

    #[test]
    fn sets_that_nobody_holds_are_forgotten_and_held_ones_stay() {
        let mut sets = LabelSets::new(1_000, 10);
        let set = |sets: &mut LabelSets, number: i64| sets.of(vec![("number", number.into())]);
        let held: Vec<_> = (0..15).map(|number| set(&mut sets, number)).collect();
        for number in 15..500 {
            set(&mut sets, number);
        }
        assert!(sets.known.len() <= 2 * held.len(), "{}", sets.known.len());
        for (number, held) in (0..).zip(&held) {
            assert_eq!(set(&mut sets, number).id(), held.id());
        }
    }
}
