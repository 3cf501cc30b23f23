//! What a client tells of a call beside what is asked of the model: header fields, baggage and members of the request that an operator
//! has listed.
//!
//! They become attributes of spans, labels of metrics, or the id of the conversation. Nothing is taken that is not listed. Baggage:
//! <https://www.w3.org/TR/baggage/>.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::HeaderName;
use percent_encoding::percent_decode_str;

use crate::message::Fields;
use crate::parse::json::{self, Kind, Value};
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
    /// In a member of the request's `metadata`.
    Metadata(Box<str>),
    /// In a member of the request that says who it is for.
    Member(Member),
}

/// A member of a request that says who it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// `user`.
    User,
    /// `safety_identifier`.
    SafetyIdentifier,
}

/// What stands in a request's body, as far as it tells of anything here.
#[derive(Debug, Clone, Copy)]
pub struct Members<'b> {
    /// `metadata`.
    pub metadata: Option<Value<'b>>,
    /// `user`.
    pub user: Option<Value<'b>>,
    /// `safety_identifier`.
    pub safety_identifier: Option<Value<'b>>,
    /// `prompt`.
    pub prompt: Option<Value<'b>>,
}

impl<'b> Members<'b> {
    /// Those of a body; `None` where it is no JSON object.
    #[must_use]
    pub fn of(body: &'b [u8]) -> Option<Self> {
        let object = json::parse(body.trim_ascii()).ok()?;
        let names = ["metadata", "user", "safety_identifier", "prompt"];
        let [metadata, user, safety_identifier, prompt] = object.select(names);
        Some(Self {
            metadata,
            user,
            safety_identifier,
            prompt,
        })
    }
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
            Self::Metadata(name) => write!(f, "metadata:{name}"),
            Self::Member(member) => f.write_str(member.spelled()),
        }
    }
}

impl fmt::Display for Annotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.source, self.name)
    }
}

impl Source {
    /// Reads `header:NAME`, `baggage:NAME`, `metadata:NAME`, `user` or `safety_identifier`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(member) = Member::ALL.into_iter().find(|it| it.spelled() == text) {
            return Some(Self::Member(member));
        }
        let (kind, name) = text.split_once(':')?;
        match kind {
            "header" => name.parse().ok().map(Self::Header),
            // The key of an entry is a token, as the name of a header is.
            "baggage" => name
                .parse::<HeaderName>()
                .ok()
                .map(|_| Self::Baggage(name.into())),
            // Any text may be a name there; quotes and escapes are nobody's.
            "metadata" => {
                let fits = |c: char| !c.is_control() && !['"', '\\'].contains(&c);
                let is_name = !name.is_empty() && name.chars().all(fits);
                is_name.then(|| Self::Metadata(name.into()))
            }
            _ => None,
        }
    }

    /// Its name there.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Header(name) => name.as_str(),
            Self::Baggage(name) | Self::Metadata(name) => name,
            Self::Member(member) => member.spelled(),
        }
    }

    /// What an attribute is called that has its value and no name of its own.
    #[must_use]
    pub fn attribute(&self) -> &str {
        match self {
            Self::Member(Member::User) => "user.id",
            _ => self.name(),
        }
    }

    /// Whether it stands in a request's body.
    #[must_use]
    pub const fn is_in_body(&self) -> bool {
        matches!(self, Self::Metadata(_) | Self::Member(_))
    }

    /// What a request with these fields tells there, without what looks like a credential.
    #[must_use]
    pub fn value(&self, fields: &Fields) -> Option<String> {
        match self {
            Self::Header(name) => kept(fields.text(name)?),
            Self::Baggage(name) => kept(&baggage(fields, name)?),
            Self::Metadata(_) | Self::Member(_) => None,
        }
    }

    /// The same of a request with these members.
    #[must_use]
    pub fn value_in(&self, members: &Members<'_>) -> Option<String> {
        let value = match self {
            Self::Header(_) | Self::Baggage(_) => None,
            Self::Metadata(name) => members.metadata?.get(name),
            Self::Member(Member::User) => members.user,
            Self::Member(Member::SafetyIdentifier) => members.safety_identifier,
        }?;
        match value.kind() {
            Kind::String => kept(&value.as_text()?.decode()),
            Kind::Number | Kind::Bool => kept(std::str::from_utf8(value.raw()).ok()?),
            _ => None,
        }
    }
}

impl Member {
    const ALL: [Self; 2] = [Self::User, Self::SafetyIdentifier];

    /// As the wire has it.
    const fn spelled(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::SafetyIdentifier => "safety_identifier",
        }
    }
}

/// As much of a value as is kept, without what looks like a credential; `None` where there is nothing.
pub(super) fn kept(value: &str) -> Option<String> {
    let cut: String = value.trim().chars().take(VALUE_CHARS).collect();
    (!cut.is_empty()).then(|| redact::lookalikes(&cut).into_owned())
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
    let (_, value) = baggage_entries(fields).find(|(key, _)| *key == name)?;
    decoded(value)
}

/// All entries of the baggage, as they are written.
pub(super) fn baggage_entries(fields: &Fields) -> impl Iterator<Item = (&str, &str)> {
    let entries = fields.texts("baggage").flat_map(|value| value.split(','));
    entries.filter_map(|entry| {
        // Properties follow a value.
        let entry = entry.split(';').next().unwrap_or_default();
        let (key, value) = entry.split_once('=')?;
        Some((key.trim(), value.trim()))
    })
}

/// The value of an entry.
pub(super) fn decoded(value: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(value).decode_utf8().ok()
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
    fn a_member_of_the_request_tells_a_text_or_a_number_and_nothing_else() {
        let body = r#" {"user":"u-1","safety_identifier":"s\u002d1","metadata":{"team":" search ","tier":3,"on":true,"list":["x"],"nothing":null}} "#;
        let members = Members::of(body.as_bytes()).unwrap();
        for (source, expected) in [
            ("user", Some("u-1")),
            ("safety_identifier", Some("s-1")),
            ("metadata:team", Some("search")),
            ("metadata:tier", Some("3")),
            ("metadata:on", Some("true")),
            ("metadata:list", None),
            ("metadata:nothing", None),
            ("metadata:other", None),
            ("header:user", None),
        ] {
            let source = Source::parse(source).unwrap();
            assert_eq!(source.value_in(&members).as_deref(), expected, "{source}");
        }
        assert!(Members::of(b"not JSON").is_none());
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
            "metadata:",
            "metadata:a\\b",
            "model",
        ] {
            assert_eq!(Source::parse(text), None, "{text}");
        }
    }
}
