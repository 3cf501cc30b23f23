//! From typed values to TOML, as `value` reads it.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use super::units::write_duration;
use crate::exchange::ContentPolicy;

/// A TOML basic string.
pub(super) fn quote(text: impl Display) -> String {
    let mut quoted = String::from('"');
    for c in text.to_string().chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// A duration, or `off`.
pub(super) fn write_limit(limit: Option<Duration>) -> String {
    quote(limit.map_or_else(|| String::from("off"), write_duration))
}

/// A TOML array of strings.
pub(super) fn write_list(words: impl IntoIterator<Item = impl Display>) -> String {
    let words: Vec<_> = words.into_iter().map(quote).collect();
    format!("[{}]", words.join(", "))
}

/// Where content goes.
pub(super) fn write_content(policy: ContentPolicy) -> String {
    let ways = [
        (policy.attributes, "attributes"),
        (policy.events, "events"),
        (policy.store, "store"),
    ];
    let on: Vec<&str> = ways
        .iter()
        .filter(|(on, _)| *on)
        .map(|(_, way)| *way)
        .collect();
    quote(if on.is_empty() {
        "off".to_owned()
    } else {
        on.join("+")
    })
}

/// Writes a value as the word it was read from.
pub(super) fn word<T: PartialEq>(words: &[(&str, T)], value: T) -> Option<String> {
    words
        .iter()
        .find(|(_, known)| *known == value)
        .map(|(word, _)| quote(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use toml::de::DeValue;

    use super::*;

    proptest! {
        #[test]
        fn a_quoted_string_reads_back(text in any::<String>()) {
            let quoted = quote(&text);
            let read = DeValue::parse(&quoted).unwrap();
            prop_assert_eq!(read.get_ref().as_str(), Some(text.as_str()));
        }
    }
}
