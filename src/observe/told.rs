//! What a client tells of a call beside the call itself: header fields and baggage that an operator has listed.
//!
//! They become attributes of spans, or the id of the conversation. Nothing is taken that is not listed. Baggage:
//! <https://www.w3.org/TR/baggage/>.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::HeaderName;
use percent_encoding::percent_decode_str;

use crate::message::Fields;
use crate::redact;

/// Longest value that is kept, in code points.
const VALUE_CHARS: usize = 200;

/// Where a client tells something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In a header field.
    Header(HeaderName),
    /// In an entry of the baggage.
    Baggage(Box<str>),
}

/// What is made of it: an attribute of this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Where its value stands.
    pub source: Source,
    /// Its name.
    pub name: Arc<str>,
}

impl fmt::Display for Source {
    /// As the settings spell it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Baggage(name) => write!(f, "baggage:{name}"),
        }
    }
}

impl fmt::Display for Annotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.source, self.name)
    }
}

impl Source {
    /// Reads `header:NAME` or `baggage:NAME`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once(':')?;
        match kind {
            "header" => name.parse().ok().map(Self::Header),
            // The key of an entry is a token, as the name of a header is.
            "baggage" => name
                .parse::<HeaderName>()
                .ok()
                .map(|_| Self::Baggage(name.into())),
            _ => None,
        }
    }

    /// Its name there.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Header(name) => name.as_str(),
            Self::Baggage(name) => name,
        }
    }

    /// What a request with these fields tells there, without what looks like a credential.
    #[must_use]
    pub fn value(&self, fields: &Fields) -> Option<String> {
        let value: Cow<'_, str> = match self {
            Self::Header(name) => fields.text(name)?.into(),
            Self::Baggage(name) => baggage(fields, name)?,
        };
        let cut: String = value.trim().chars().take(VALUE_CHARS).collect();
        (!cut.is_empty()).then(|| redact::lookalikes(&cut).into_owned())
    }
}

/// The sources of which a conversation's id is taken if nothing else is set: what those that know of one send. Names that
/// also hold a login's session somewhere are not among them.
#[must_use]
pub fn conversations() -> Vec<Source> {
    let headers = [
        "x-conversation-id",
        "x-litellm-session-id",
        "helicone-session-id",
    ];
    let baggage = [
        "gen_ai.conversation.id",
        "langfuse.session.id",
        "session.id",
    ];
    let headers = headers.map(|name| Source::Header(HeaderName::from_static(name)));
    let baggage = baggage.map(|name| Source::Baggage(name.into()));
    headers.into_iter().chain(baggage).collect()
}

/// Whether a name speaks of a credential, by another word than `session`: that of a conversation is none.
#[must_use]
pub fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    redact::is_secret(&name.replace("session", "-"))
}

/// The value of an entry of the baggage; the first, where there are several.
fn baggage<'f>(fields: &'f Fields, name: &str) -> Option<Cow<'f, str>> {
    let mut entries = fields.texts("baggage").flat_map(|value| value.split(','));
    let value = entries.find_map(|entry| {
        // Properties follow a value.
        let entry = entry.split(';').next().unwrap_or_default();
        let (key, value) = entry.split_once('=')?;
        (key.trim() == name).then(|| value.trim())
    });
    percent_decode_str(value?).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(source: &str, fields: &[(&str, &str)]) -> Option<String> {
        let fields: Fields = fields.iter().copied().collect();
        Source::parse(source)
            .expect("it is a source")
            .value(&fields)
    }

    #[test]
    fn a_value_is_taken_from_its_field_or_its_entry() {
        let fields = [
            ("X-Team", " search "),
            ("baggage", "user=7, tenant = a%20b%2Cc;ttl=1;x"),
            ("baggage", "tenant=other,tpl=v%C3%A4,broken=%ff,none="),
        ];
        for (source, expected) in [
            ("header:x-team", Some("search")),
            ("header:x-feature", None),
            ("baggage:tenant", Some("a b,c")),
            ("baggage:user", Some("7")),
            ("baggage:tpl", Some("vä")),
            ("baggage:ttl", None),
            ("baggage:Tenant", None),
            ("baggage:broken", None),
            ("baggage:none", None),
        ] {
            assert_eq!(told(source, &fields).as_deref(), expected, "{source}");
        }
    }

    #[test]
    fn a_value_is_cut_and_has_no_key_in_it() {
        let long = "ä".repeat(300);
        let encoded =
            percent_encoding::utf8_percent_encode(&long, percent_encoding::NON_ALPHANUMERIC);
        let cut = told("baggage:a", &[("baggage", &format!("a={encoded}"))]);
        assert_eq!(cut, Some("ä".repeat(200)));
        let key = told("header:x-team", &[("x-team", "sk-proj-0123456789abcdef")]);
        assert_eq!(key.as_deref(), Some("REDACTED"));
    }

    #[test]
    fn a_session_is_no_credential_unless_another_word_says_so() {
        for name in [
            "x-session-id",
            "x-litellm-session-id",
            "session.id",
            "x-team",
        ] {
            assert!(!is_credential(name), "{name}");
        }
        for name in ["authorization", "x-session-token", "cookie", "x-api-key"] {
            assert!(is_credential(name), "{name}");
        }
    }

    #[test]
    fn what_is_no_source_is_none() {
        for text in [
            "",
            "x-team",
            "header:",
            "header:a b",
            "baggage:a=b",
            "cookie:a",
        ] {
            assert_eq!(Source::parse(text), None, "{text}");
        }
    }
}
