//! How names of models and providers are recognised.

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

/// A regular expression that stands at the beginning of an URL.
#[derive(Debug)]
pub(super) struct UrlPattern(Pattern);

impl UrlPattern {
    pub(super) fn is_match(&self, url: &str) -> bool {
        self.0.is_match(url)
    }
}

impl<'de> Deserialize<'de> for UrlPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pattern = format!("^(?:{})", String::deserialize(deserializer)?);
        let pattern = Regex::new(&pattern).map_err(D::Error::custom)?;
        Ok(Self(Pattern(pattern)))
    }
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
}
