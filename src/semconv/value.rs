//! Attribute values, borrowed from the exchange they describe.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// Text.
    Str(Cow<'a, str>),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// Several texts, in order.
    StrList(Vec<&'a str>),
}

/// A key and its value.
pub type Attribute<'a> = (&'static str, Value<'a>);

impl Hash for Value<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Str(text) => text.hash(state),
            Self::Int(number) => number.hash(state),
            Self::Float(number) => number.to_bits().hash(state),
            Self::Bool(flag) => flag.hash(state),
            Self::StrList(texts) => texts.hash(state),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Str(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Str(Cow::Borrowed(text))
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Str(text)
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Str(Cow::Owned(text))
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u16> for Value<'_> {
    fn from(number: u16) -> Self {
        Self::Int(number.into())
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<std::time::Duration> for Value<'_> {
    /// Seconds, the unit of every duration in the conventions.
    fn from(duration: std::time::Duration) -> Self {
        Self::Float(duration.as_secs_f64())
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl<'a> From<Vec<&'a str>> for Value<'a> {
    fn from(texts: Vec<&'a str>) -> Self {
        Self::StrList(texts)
    }
}

/// Attributes of one span, in the order they were put.
#[derive(Debug, Default)]
pub struct Attributes<'a>(Vec<Attribute<'a>>);

impl<'a> Attributes<'a> {
    /// An empty list with room for a streamed call in every vocabulary.
    #[must_use]
    pub fn roomy() -> Self {
        Self(Vec::with_capacity(80))
    }

    /// Adds an attribute. The caller sees to it that a key comes once.
    pub fn put(&mut self, key: &'static str, value: impl Into<Value<'a>>) {
        self.0.push((key, value.into()));
    }

    /// Adds an attribute where there is a value.
    pub fn put_some(&mut self, key: &'static str, value: Option<impl Into<Value<'a>>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// Adds an attribute that several vocabularies have with the same meaning, where there is a value and none of them has
    /// put it before.
    pub fn put_once(&mut self, key: &'static str, value: Option<impl Into<Value<'a>>>) {
        if !self.has(key) {
            self.put_some(key, value);
        }
    }

    /// Whether a key is there already.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == key)
    }

    /// The attributes in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Attribute<'a>> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for Attributes<'a> {
    type Item = Attribute<'a>;
    type IntoIter = std::vec::IntoIter<Attribute<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
