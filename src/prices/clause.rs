//! How names of models and providers are recognised.

use std::sync::OnceLock;

use fancy_regex::Regex;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use wildmatch::WildMatch;

/// What a name is to be. Names are compared in lower case.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Clause {
    StartsWith(Lower),
    EndsWith(Lower),
    Contains(Lower),
    Equals(Lower),
    Regex(Pattern),
    Or(Vec<Self>),
    And(Vec<Self>),
    /// A name in which `*` and `?` stand for other characters, in lower case. Not in the catalogue.
    #[serde(skip)]
    Glob(WildMatch),
}

impl Clause {
    /// Whether a name, in lower case, is what this asks for.
    pub(super) fn is_match(&self, name: &str) -> bool {
        match self {
            Self::StartsWith(Lower(text)) => name.starts_with(&**text),
            Self::EndsWith(Lower(text)) => name.ends_with(&**text),
            Self::Contains(Lower(text)) => name.contains(&**text),
            Self::Equals(Lower(text)) => *name == **text,
            Self::Regex(pattern) => pattern.is_match(name),
            Self::Or(clauses) => clauses.iter().any(|clause| clause.is_match(name)),
            Self::And(clauses) => clauses.iter().all(|clause| clause.is_match(name)),
            Self::Glob(pattern) => pattern.matches(name),
        }
    }
}

/// A text in lower case.
#[derive(Debug)]
pub(super) struct Lower(pub(super) Box<str>);

impl<'de> Deserialize<'de> for Lower {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self(text.to_lowercase().into()))
    }
}

/// A regular expression, looked for anywhere in a name.
#[derive(Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    pub(super) fn is_match(&self, name: &str) -> bool {
        // It fails only where matching takes too many steps.
        self.0.is_match(name).unwrap_or(false)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pattern = String::deserialize(deserializer)?;
        Regex::new(&pattern).map(Self).map_err(D::Error::custom)
    }
}

/// A regular expression that stands at the beginning of an URL. Of the catalogue's fifty a process needs few, so each is made
/// when an URL comes that begins as it does.
#[derive(Debug)]
pub(super) struct UrlPattern {
    written: Box<str>,
    /// What all that it matches begins with.
    beginning: Box<str>,
    made: OnceLock<Pattern>,
}

impl UrlPattern {
    pub(super) fn is_match(&self, url: &str) -> bool {
        url.starts_with(&*self.beginning) && self.made().is_match(url)
    }

    pub(super) fn made(&self) -> &Pattern {
        self.made.get_or_init(|| {
            let made = Regex::new(&format!("^(?:{})", self.written));
            Pattern(
                made.expect("the program was built with a catalogue whose patterns can be read"),
            )
        })
    }
}

impl<'de> Deserialize<'de> for UrlPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Box::<str>::deserialize(deserializer)?;
        Ok(Self {
            beginning: beginning(&written).into(),
            written,
            made: OnceLock::new(),
        })
    }
}

/// The plain text that a regular expression of an URL begins with, as far as that is seen at once.
fn beginning(pattern: &str) -> String {
    let balanced = |text: &str| text.matches('(').count() == text.matches(')').count();
    let mut alternatives = pattern.match_indices('|');
    if alternatives.any(|(at, _)| balanced(&pattern[..at])) {
        // Outside of all groups: another way to begin.
        return String::new();
    }
    let mut text = String::new();
    let mut rest = pattern.chars();
    while let Some(next) = rest.next() {
        match next {
            '\\' => match rest.next() {
                Some(escaped) if escaped.is_ascii_punctuation() => text.push(escaped),
                _ => break,
            },
            // What stands before may be absent.
            '?' | '*' | '{' => {
                text.pop();
                break;
            }
            '.' | '+' | '[' | '(' | '^' | '$' => break,
            plain => text.push(plain),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_in_lower_case_by_each_kind_of_clause() {
        let matches = |clause: &str, name: &str| {
            serde_json::from_str::<Clause>(clause)
                .unwrap()
                .is_match(name)
        };
        for (clause, yes, no) in [
            (r#"{"starts_with":"GPT-4"}"#, "gpt-4o", "my-gpt-4"),
            (r#"{"ends_with":"-latest"}"#, "x-latest", "x-latest-2"),
            (r#"{"contains":"Claude"}"#, "eu.claude-3", "clod"),
            (r#"{"equals":"o3"}"#, "o3", "o3-mini"),
            (r#"{"regex":"^a-\\d{2}$"}"#, "a-12", "a-123"),
            (r#"{"regex":"^(?!.*-tts(?:$|-))"}"#, "gemini", "gemini-tts"),
            (r#"{"or":[{"equals":"a"},{"equals":"b"}]}"#, "b", "c"),
            (r#"{"and":[{"contains":"a"},{"contains":"b"}]}"#, "ab", "a"),
        ] {
            assert!(matches(clause, yes), "{clause} {yes}");
            assert!(!matches(clause, no), "{clause} {no}");
        }
    }

    #[test]
    fn an_url_is_what_a_pattern_says_from_its_beginning_on() {
        for (written, yes, no) in [
            (
                r"https://api\.a\.com",
                "https://api.a.com/v1",
                "https://api_a.com",
            ),
            (r"https://a\.b", "https://a.b", "http://proxy/https://a.b"),
            (r"https://(x\.)?a\.b", "https://x.a.b", "https://y.a.b"),
            (r"https?://a\.b", "http://a.b", "ftp://a.b"),
            (r"https://a|http://(b|c)", "http://b", "http://a"),
            (r"(https?://)?(?:a|b)\.c", "b.c", "https://c.c"),
            (r"https://[^/]+\.a\.b", "https://x.a.b", "https://a.b"),
        ] {
            let pattern = serde_json::to_string(written).unwrap();
            let pattern: UrlPattern = serde_json::from_str(&pattern).unwrap();
            assert!(pattern.is_match(yes), "{written} {yes}");
            assert!(!pattern.is_match(no), "{written} {no}");
        }
    }

    #[test]
    fn a_pattern_is_not_made_for_an_url_that_begins_otherwise() {
        let pattern: UrlPattern = serde_json::from_str(r#""https://api\\.a\\.com""#).unwrap();
        assert!(!pattern.is_match("http://127.0.0.1:8000/v1"));
        assert!(pattern.made.get().is_none());
    }
}
