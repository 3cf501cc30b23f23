//! What came on the wire and is not known: its shape, never its value.

use std::fmt;

use super::Quirk;

/// Most that is kept of one exchange.
const UNKNOWN_MAX: usize = 16;

/// One event type, finish reason or member that neither the API reference nor this program knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Unknown {
    /// What kind of thing it is, as one of the quirks that count the unknown.
    pub kind: Quirk,
    /// Where it stood, such as `choices[].delta`; empty for events.
    pub place: &'static str,
    /// Its name, bounded, with nothing in it but what names are made of.
    pub name: String,
    /// The JSON type of its value, of an object with the names and types of its members; empty for what has no value.
    pub shape: String,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place, name, shape, ..
        } = self;
        f.write_str(place)?;
        f.write_str(if place.is_empty() { "" } else { "." })?;
        f.write_str(name)?;
        f.write_str(if shape.is_empty() { "" } else { ": " })?;
        f.write_str(shape)
    }
}

/// What was not known in one exchange, each once, of which the first few are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unknowns(Vec<Unknown>);

impl Unknowns {
    /// Notes what `kind` calls `name` at this place; its shape is made up only if it is new and kept.
    pub fn note(
        &mut self,
        kind: Quirk,
        place: &'static str,
        name: &str,
        shape: impl FnOnce() -> String,
    ) {
        let known = |unknown: &Unknown| {
            unknown.kind == kind && unknown.place == place && unknown.name == name
        };
        if !self.is_full() && !self.0.iter().any(known) {
            self.0.push(Unknown {
                kind,
                place,
                name: name.to_owned(),
                shape: shape(),
            });
        }
    }

    /// Puts a word in place of the names and shapes of those of which `is` says so.
    pub fn replace(&mut self, word: &str, is: impl Fn(&str) -> bool) {
        for unknown in &mut self.0 {
            for text in [&mut unknown.name, &mut unknown.shape] {
                if is(text) {
                    word.clone_into(text);
                }
            }
        }
    }

    /// Whether nothing more is kept.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.0.len() >= UNKNOWN_MAX
    }

    /// What was kept, in order of appearance.
    pub fn iter(&self) -> std::slice::Iter<'_, Unknown> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_kept_once_with_its_shape_and_no_more_than_the_bound() {
        let mut unknown = Unknowns::default();
        for _ in 0..2 {
            unknown.note(Quirk::UnknownMember, "choices[]", "mood", || {
                "string".into()
            });
            unknown.note(Quirk::UnknownEvent, "", "response.sung", String::new);
        }
        let shown: Vec<_> = unknown.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["choices[].mood: string", "response.sung"]);
        for at in 0..100 {
            unknown.note(Quirk::UnknownMember, "", &at.to_string(), String::new);
        }
        assert!(unknown.is_full() && unknown.iter().count() == UNKNOWN_MAX);
    }
}
