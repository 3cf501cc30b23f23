//! Reading variables: one value at a time, with every mistake kept, and every value that is right and of no use here.

use std::fmt::Display;
use std::time::Duration;

/// A variable with a value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is {value}: expected {expected}")]
pub struct Error {
    /// The variable's name.
    pub variable: String,
    /// Its value in quotes; for one that may hold a credential, a word in its place.
    pub value: String,
    /// What would be right.
    pub expected: String,
}

/// A value that the specification allows, and for which there is nothing here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} has {value:?}: {instead}")]
pub struct Warning {
    /// The variable's name.
    pub variable: String,
    /// The value, or the one of its list.
    pub value: String,
    /// What happens instead.
    pub instead: &'static str,
}

/// The names that a variable may have.
pub(super) struct Names {
    /// Those that mean something here.
    pub(super) used: &'static [&'static str],
    /// The others that the specification has.
    pub(super) others: &'static [&'static str],
    /// What happens instead of those.
    pub(super) instead: &'static str,
}

/// Looks variables up and collects what is wrong with them.
pub(super) struct Reader<L> {
    lookup: L,
    pub(super) errors: Vec<Error>,
    pub(super) warnings: Vec<Warning>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    pub(super) fn new(lookup: L) -> Self {
        Self {
            lookup,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The value, trimmed; an empty one counts as not set, as the specification asks.
    pub(super) fn text(&self, variable: &str) -> Option<String> {
        let value = (self.lookup)(variable)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The first of several variables that is set, with its name.
    pub(super) fn first<'v>(&self, variables: &[&'v str]) -> Option<(&'v str, String)> {
        variables
            .iter()
            .find_map(|variable| Some((*variable, self.text(variable)?)))
    }

    /// Keeps a mistake.
    pub(super) fn wrong(&mut self, variable: &str, value: &str, expected: impl Display) {
        self.keep(variable, format!("{value:?}"), expected);
    }

    /// Keeps a mistake in a value that must not be shown.
    pub(super) fn wrong_secret(&mut self, variable: &str, expected: impl Display) {
        self.keep(variable, "malformed".to_owned(), expected);
    }

    /// Once: a variable that both signals read is wrong for both.
    fn keep(&mut self, variable: &str, value: String, expected: impl Display) {
        let error = Error {
            variable: variable.to_owned(),
            value,
            expected: expected.to_string(),
        };
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// The value as `parse` makes it; what it refuses is kept as a mistake and counts as not set.
    pub(super) fn parsed<T>(
        &mut self,
        variables: &[&str],
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let (variable, value) = self.first(variables)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.wrong(variable, &value, expected);
        }
        parsed
    }

    /// One of the names; `None` where none is set, or one for which there is nothing here.
    pub(super) fn name(&mut self, variables: &[&str], names: &Names) -> Option<&'static str> {
        let (variable, value) = self.first(variables)?;
        self.known(variable, &value, names)
    }

    /// Those of the names that stand in a list, with commas between them; `None` where it is not set or wrong.
    pub(super) fn names(&mut self, variable: &str, names: &Names) -> Option<Vec<&'static str>> {
        let list = self.text(variable)?;
        let mistakes = self.errors.len();
        let entries = list
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let known = entries
            .filter_map(|entry| self.known(variable, entry, names))
            .collect();
        (self.errors.len() == mistakes).then_some(known)
    }

    fn known(&mut self, variable: &str, value: &str, names: &Names) -> Option<&'static str> {
        if let Some(name) = names.used.iter().find(|name| **name == value) {
            return Some(name);
        }
        if !names.others.contains(&value) {
            self.wrong(variable, value, one_of(names.used));
            return None;
        }
        let warning = Warning {
            variable: variable.to_owned(),
            value: value.to_owned(),
            instead: names.instead,
        };
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
        None
    }

    /// A whole number above zero.
    pub(super) fn count(&mut self, variable: &str) -> Option<usize> {
        let positive = |value: &str| value.parse().ok().filter(|count| *count > 0);
        self.parsed(&[variable], "a whole number above 0", positive)
    }

    /// Milliseconds above zero.
    pub(super) fn millis(&mut self, variables: &[&str]) -> Option<Duration> {
        let positive = |value: &str| value.parse().ok().filter(|millis| *millis > 0);
        self.parsed(variables, "milliseconds, a whole number above 0", positive)
            .map(Duration::from_millis)
    }

    /// `true` or `false`; anything else but `true` is false by the specification, and here a mistake.
    pub(super) fn flag(&mut self, variables: &[&str]) -> bool {
        let flag = |value: &str| match value.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        self.parsed(variables, "true or false", flag)
            .unwrap_or(false)
    }
}

/// `a, b or c`.
fn one_of(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [names @ .., last] => format!("{} or {last}", names.join(", ")),
    }
}

/// Splits `key=value,key=value`; values stay percent-encoded. `None` where an entry has no key or no `=`.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let entries = text
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    let pair = |entry: &str| {
        let (key, value) = entry.split_once('=')?;
        let key = key.trim();
        (!key.is_empty()).then(|| (key.to_owned(), value.trim().to_owned()))
    };
    entries.map(pair).collect()
}

/// Undoes percent-encoding. `None` for a broken escape or what is no UTF-8.
pub fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(hex, 16).ok()?);
        rest = tail.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_split_at_commas_and_the_first_equals_sign() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            pairs("a=1, b = x=y,,"),
            Some(vec![pair("a", "1"), pair("b", "x=y")])
        );
        assert_eq!(pairs("a=1,b"), None);
        assert_eq!(pairs("=1"), None);
    }

    #[test]
    fn escapes_are_undone_or_refused() {
        assert_eq!(
            percent_decode("Basic%20abc%3D").as_deref(),
            Some("Basic abc=")
        );
        for broken in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(percent_decode(broken), None, "{broken}");
        }
    }
}
