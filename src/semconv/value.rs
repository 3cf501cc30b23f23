//! Attribute values, borrowed from the exchange they describe.

use std::borrow::Cow;
use std::fmt;
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
    StrList(&'a [&'a str]),
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

impl<'a> From<&'a [&'a str]> for Value<'a> {
    fn from(texts: &'a [&'a str]) -> Self {
        Self::StrList(texts)
    }
}

/// Takes the attributes of one span, each of which is written as it is put.
pub struct Attributes<'w> {
    /// Those of the keys put so far that may come again.
    once: &'w mut Vec<&'static str>,
    write: &'w mut dyn FnMut(&str, &Value<'_>),
}

impl<'w> Attributes<'w> {
    /// Of a span without any yet; `write` is called with each. `keys` is memory, whatever is in it.
    #[must_use]
    pub fn new(
        keys: &'w mut Vec<&'static str>,
        write: &'w mut dyn FnMut(&str, &Value<'_>),
    ) -> Self {
        keys.clear();
        Self { once: keys, write }
    }

    /// Adds an attribute. The caller sees to it that a key comes once.
    pub fn put<'v>(&mut self, key: &'static str, value: impl Into<Value<'v>>) {
        (self.write)(key, &value.into());
    }

    /// The same under a key that is made up, of numbers for instance.
    pub fn put_under<'v>(&mut self, key: &str, value: impl Into<Value<'v>>) {
        (self.write)(key, &value.into());
    }

    /// Adds an attribute where there is a value.
    pub fn put_some<'v>(&mut self, key: &'static str, value: Option<impl Into<Value<'v>>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// Adds a list of texts where there are any.
    pub fn put_list<'v>(&mut self, key: &'static str, mut texts: impl Iterator<Item = &'v str>) {
        // Most lists are of one text, and need no memory.
        match (texts.next(), texts.next()) {
            (None, _) => {}
            (Some(only), None) => self.put(key, &[only][..]),
            (Some(first), Some(second)) => {
                let all: Vec<&str> = [first, second].into_iter().chain(texts).collect();
                self.put(key, &*all);
            }
        }
    }

    /// Adds an attribute that may come again with the same meaning, as from another vocabulary, where there is a value and it
    /// is new.
    pub fn put_once<'v>(&mut self, key: &'static str, value: Option<impl Into<Value<'v>>>) {
        if value.is_some() && self.is_new(key) {
            self.put_some(key, value);
        }
    }

    /// Whether a key that may come again comes for the first time. Whoever asks puts it then.
    pub fn is_new(&mut self, key: &'static str) -> bool {
        let is_new = !self.once.contains(&key);
        if is_new {
            self.once.push(key);
        }
        is_new
    }
}

impl fmt::Debug for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attributes")
            .field("once", &self.once)
            .finish_non_exhaustive()
    }
}
