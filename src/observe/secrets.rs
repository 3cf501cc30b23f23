//! The credentials of one exchange, so that none is told on: an upstream may quote the key it was sent anywhere.
//!
//! Known are the credentials that the client sent, in header fields and in the query, and those of our own. Of others only
//! the looks are known, to `redact`.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use memchr::memmem;
use percent_encoding::percent_decode_str;

use crate::exchange::{ApiError, Exchange};
use crate::message::Field;
use crate::redact::{self, REDACTED, is_secret};
use crate::tap::RequestHead;

/// Shortest text that is taken for a credential, in bytes: local servers are called with keys like `none` or `ollama`, and a
/// cookie may say `1`.
const SHORTEST: usize = 8;

/// Longer ones that clients of local servers send in place of a key, and that stand in names of models and hosts.
const NO_KEYS: [&str; 4] = ["llama-cpp", "llama.cpp", "lm-studio", "localhost"];

/// Most bytes of credentials that are kept; each is looked for, and a client may send any number of cookies.
const KEPT_BYTES: usize = 16 << 10;

/// A text of at least so many bytes may have been cut where it was taken, and end in a part of a credential.
const CUT_BYTES: usize = 1 << 10;

/// Fields of nearly every request whose names speak of no credential, so that those need not be taken apart.
const HARMLESS: [&str; 14] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "content-type",
    "host",
    "traceparent",
    "user-agent",
    "x-stainless-arch",
    "x-stainless-async",
    "x-stainless-lang",
    "x-stainless-os",
    "x-stainless-package-version",
    "x-stainless-runtime",
    "x-stainless-runtime-version",
];

/// What is not to be told.
pub struct Secrets {
    /// What the client sent, a line each.
    sent: String,
    /// What is ours, a line each.
    ours: Arc<str>,
    /// A text with fewer bytes holds none of them, nor was it cut: most have fewer.
    shortest: usize,
}

impl Secrets {
    /// Those of a request, and `ours`, a line each. What stands in a header field that is `told` is none.
    #[must_use]
    pub fn of(head: &RequestHead, ours: Arc<str>, told: impl Fn(&str) -> bool) -> Self {
        let mut sent = String::new();
        let is_harmless = |field: &Field<'_>| HARMLESS.iter().any(|name| field.is(name));
        let may_hold = |field: &Field<'_>| {
            field.value.len() >= SHORTEST
                && !is_harmless(field)
                && is_secret(field.name())
                && !told(field.name())
        };
        for field in head.fields.iter().filter(may_hold) {
            let Some(value) = field.text() else { continue };
            if field.is(AUTHORIZATION) || field.is(PROXY_AUTHORIZATION) {
                note_authorization(&mut sent, value);
            } else if field.is(COOKIE) {
                let cookies = value.split(';').filter_map(|cookie| cookie.split_once('='));
                cookies.for_each(|(_, value)| note(&mut sent, value));
            } else {
                note(&mut sent, value);
            }
        }
        // A page cannot set other fields where it opens a WebSocket: `openai-insecure-api-key.KEY`.
        let protocols = head.fields.texts(SEC_WEBSOCKET_PROTOCOL);
        let protocols = protocols.flat_map(|value| value.split(','));
        for (name, value) in protocols.filter_map(|protocol| protocol.split_once('.')) {
            if is_secret(name) {
                note(&mut sent, value);
            }
        }
        let query = head.target.query().unwrap_or_default();
        let pairs = query
            .split(['&', ';'])
            .filter_map(|pair| pair.split_once('='));
        for (name, value) in pairs {
            if is_secret(&percent_decode_str(name).decode_utf8_lossy()) {
                note(&mut sent, value);
                note(&mut sent, &percent_decode_str(value).decode_utf8_lossy());
            }
        }
        let lengths = lines_of(&sent).chain(lines_of(&ours)).map(str::len);
        let shortest = lengths.min().unwrap_or(usize::MAX).min(CUT_BYTES);
        Self {
            sent,
            ours,
            shortest,
        }
    }

    /// Takes them out of what an API says went wrong, and what else looks like one.
    pub(super) fn hide_in_error(&self, error: &mut ApiError) {
        let texts = [&mut error.code, &mut error.kind, &mut error.message];
        for text in texts.into_iter().flatten() {
            let hidden = redact::lookalikes(&self.hide(text)).into_owned();
            *text = hidden;
        }
    }

    /// Takes those that are known out of every text of an exchange.
    pub(super) fn hide_in(&self, exchange: &mut Exchange) {
        exchange.replace_texts(&|text| match self.hide(text) {
            Cow::Owned(hidden) => Some(hidden),
            Cow::Borrowed(_) => None,
        });
        exchange
            .unknown
            .replace(REDACTED, |name| self.may_be_in_name(name));
    }

    /// The text without those that are known.
    #[must_use]
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut hidden = Cow::Borrowed(text);
        if text.len() < self.shortest {
            return hidden;
        }
        // Those that are there lie in one line. Header fields are shorter than keys, and a search is long to begin.
        let longest = longest_line(text);
        for secret in self.known() {
            if secret.len() <= longest && find(&hidden, secret).is_some() {
                hidden = hidden.replace(secret, REDACTED).into();
            }
            if let Some(kept) = without_beginning_of(&hidden, secret) {
                hidden = [&hidden[..kept], REDACTED].concat().into();
            }
        }
        hidden
    }

    /// How much of a text comes before any of them.
    pub(super) fn clear_len(&self, text: &str) -> usize {
        if text.len() < self.shortest {
            return text.len();
        }
        let places = self.known().filter_map(|secret| find(text, secret));
        places.min().unwrap_or(text.len())
    }

    /// Whether a name of something unknown may have one in it. Names are cut, and a question mark stands for what is no part
    /// of a name.
    fn may_be_in_name(&self, name: &str) -> bool {
        let begins = |secret: &str, at: usize| {
            let beginning = secret.chars().take(SHORTEST);
            let mut pairs = beginning.zip(name[at..].chars());
            let same = pairs.by_ref().take_while(|(secret, name)| {
                secret == name || *name == '?' && !secret.is_ascii_alphanumeric()
            });
            same.count() == SHORTEST
        };
        let starts = || name.char_indices().map(|(at, _)| at);
        redact::lookalikes(name) != name
            || self
                .known()
                .any(|secret| starts().any(|at| begins(secret, at)))
    }

    fn known(&self) -> impl Iterator<Item = &str> {
        lines_of(&self.sent).chain(lines_of(&self.ours))
    }
}

/// The lines of a text in which each has an end. The standard library's search for it takes three times as long.
fn lines_of(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (line, rest) = text.split_at(memchr::memchr(b'\n', text.as_bytes())?);
        text = &rest[1..];
        Some(line)
    })
}

/// Where a credential stands in a text.
fn find(text: &str, secret: &str) -> Option<usize> {
    memmem::find(text.as_bytes(), secret.as_bytes())
}

/// How much of a text that may have been cut comes before the beginning of a credential at its end.
fn without_beginning_of(text: &str, secret: &str) -> Option<usize> {
    if text.len() < CUT_BYTES {
        return None;
    }
    let longest = secret.len().min(text.len());
    let mut lens = (SHORTEST..longest)
        .rev()
        .filter(|len| secret.is_char_boundary(*len));
    let len = lens.find(|len| text.ends_with(&secret[..*len]))?;
    Some(text.len() - len)
}

/// Notes a credential without the word before it that says of which scheme it is; of a user and a password the latter, too.
fn note_authorization(secrets: &mut String, value: &str) {
    let space = memchr::memchr(b' ', value.as_bytes());
    let (scheme, key) = space.map_or(("", value), |at| (&value[..at], &value[at + 1..]));
    note(secrets, key);
    if !scheme.eq_ignore_ascii_case("basic") {
        return;
    }
    let decoded = BASE64_STANDARD.decode(key.trim()).unwrap_or_default();
    let decoded = String::from_utf8(decoded).unwrap_or_default();
    if let Some((user, password)) = decoded.split_once(':') {
        // Where there is no password the user is the key.
        note(secrets, if password.is_empty() { user } else { password });
    }
}

/// The length of the longest line of a text, in bytes.
fn longest_line(text: &str) -> usize {
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', text.as_bytes()).chain([text.len()]);
    let lengths = ends.map(|end| end - std::mem::replace(&mut start, end + 1));
    lengths.max().unwrap_or_default()
}

fn note(secrets: &mut String, text: &str) {
    let text = text.trim();
    let fits = secrets.len() + text.len() < KEPT_BYTES;
    let is_line = memchr::memchr(b'\n', text.as_bytes()).is_none();
    let is_key = text.len() >= SHORTEST && is_line && !NO_KEYS.contains(&text);
    if fits && is_key {
        secrets.reserve(text.len() + 1);
        secrets.push_str(text);
        secrets.push('\n');
    }
}

/// Credentials of our own, in the form in which [`Secrets`] takes them.
pub(super) fn lines<'c>(credentials: impl IntoIterator<Item = &'c str>) -> Arc<str> {
    let mut lines = String::new();
    for credential in credentials {
        note_authorization(&mut lines, credential);
    }
    lines.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Choice, Failure, Quirk, ToolCall};
    use crate::message::Target;
    use crate::tap::Instant;
    use http::{Method, Version};
    use std::time::SystemTime;

    fn secrets(target: &'static str, fields: &[(&'static str, &'static str)]) -> Secrets {
        let head = RequestHead {
            received: Instant::now(),
            received_at: SystemTime::UNIX_EPOCH,
            method: Method::POST,
            target: Target::of_path(target.into()),
            version: Version::HTTP_11,
            fields: fields.iter().copied().collect(),
            scheme: "http",
            peer: None,
        };
        Secrets::of(&head, lines(["Bearer our-own-key"]), |_| false)
    }

    #[test]
    fn what_the_client_sent_as_a_credential_is_hidden_wherever_it_was() {
        let secrets = secrets(
            "/v1/x?key=in%2Dquery&model=harmless",
            &[
                ("authorization", "Bearer in-authorization"),
                ("proxy-authorization", "Basic bWU6cGFzc3dvcmQtMQ=="),
                ("api-key", "in-api-key"),
                ("x-api-key", "in-x-api-key"),
                ("x-goog-api-key", "in-goog-key"),
                ("X-Portkey-Virtual-Key", "in-virtual-key"),
                (
                    "sec-websocket-protocol",
                    "realtime, openai-insecure-api-key.in-protocol",
                ),
                ("cookie", "theme=dark; session=in-cookie"),
            ],
        );
        for secret in [
            "in-authorization",
            "bWU6cGFzc3dvcmQtMQ==",
            "password-1",
            "in-virtual-key",
            "in-protocol",
            "in-api-key",
            "in-x-api-key",
            "in-goog-key",
            "in-cookie",
            "in%2Dquery",
            "in-query",
            "our-own-key",
        ] {
            let told = format!("a \"{secret}\", a harmless dark thing");
            let hidden = "a \"REDACTED\", a harmless dark thing";
            assert_eq!(secrets.hide(&told), hidden, "{secret}");
        }
    }

    #[test]
    fn names_that_are_not_looked_at_speak_of_no_credential() {
        for name in HARMLESS {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn words_that_keys_of_local_servers_are_stay() {
        let secrets = secrets("/", &[("authorization", "Bearer ollama")]);
        assert_eq!(secrets.hide("ollama is busy"), "ollama is busy");
        let secrets = self::secrets("/", &[("authorization", "Bearer lm-studio")]);
        assert_eq!(secrets.hide("lm-studio/qwen"), "lm-studio/qwen");
    }

    #[test]
    fn a_credential_that_was_cut_off_with_a_long_text_is_hidden() {
        let secrets = secrets("/", &[("authorization", "Bearer 0123456789")]);
        let long = "x".repeat(2_000);
        let told = |end: &str| secrets.hide(&format!("{long}{end}")).into_owned();
        assert_eq!(told("012345678"), format!("{long}REDACTED"));
        assert_eq!(told("0123456"), format!("{long}0123456"));
        assert_eq!(told("0123456789"), format!("{long}REDACTED"));
        assert_eq!(secrets.clear_len("x-0123456789"), 2);
    }

    #[test]
    fn a_name_that_was_made_of_a_credential_is_hidden() {
        let secrets = secrets("/", &[("authorization", "Bearer a+b/c=d-e-f-g")]);
        for name in [
            "a?b/c?d-e-f-g",
            "x-a?b/c?d-e",
            "{a?b/c?d-: string}",
            "sk-0123456789",
        ] {
            assert!(secrets.may_be_in_name(name), "{name}");
        }
        for name in ["a?b/c?d", "mood", "", "a-b/c-d-e"] {
            assert!(!secrets.may_be_in_name(name), "{name}");
        }
    }

    #[test]
    fn every_text_of_an_exchange_is_cleaned() {
        const KEY: &str = "0123456789";
        let text = || format!("a {KEY} b");
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.http.path = text().into();
        exchange.http.query = Some(text());
        exchange.http.user_agent = Some(text());
        exchange.request.model = Some(text());
        exchange.request.stop_sequences = Some(vec![text()]);
        exchange.response.id = Some(text());
        exchange.response.model = Some(text());
        exchange.response.choices.push(Choice {
            index: 0,
            finish_reason: Some(text()),
        });
        exchange.response.tool_calls.push(ToolCall {
            name: text(),
            id: Some(text()),
            ..ToolCall::default()
        });
        exchange.failure = Some(Failure {
            kind: text(),
            message: text(),
        });
        exchange.unknown.note(Quirk::UnknownMember, "", KEY, || {
            format!("{{{KEY}: string}}")
        });
        secrets("/", &[("authorization", "Bearer 0123456789")]).hide_in(&mut exchange);
        let shown = format!("{exchange:?}");
        assert!(!shown.contains(KEY), "{shown}");
        assert_eq!(shown.matches("a REDACTED b").count(), 12, "{shown}");
    }

    #[test]
    fn every_text_of_an_error_is_cleaned_of_known_and_of_likely_credentials() {
        let text = || Some("no in-key-1, no sk-proj-0123456789".to_owned());
        let mut error = ApiError {
            code: text(),
            kind: text(),
            message: text(),
            status: Some(401),
        };
        secrets("/", &[("api-key", "in-key-1")]).hide_in_error(&mut error);
        for text in [error.code, error.kind, error.message] {
            assert_eq!(text.as_deref(), Some("no REDACTED, no REDACTED"));
        }
    }
}
