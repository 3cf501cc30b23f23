//! The credentials of one exchange, so that none is told on: an upstream may quote the key it was sent in an error.
//!
//! Known are the credentials that the client sent, in header fields and in the query, and those of our own. Of others only
//! the looks are known, to `redact`.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use percent_encoding::percent_decode_str;

use super::redact::{self, REDACTED, is_secret};
use crate::exchange::ApiError;
use crate::tee::RequestHead;

/// Fields whose whole value is a credential.
const KEYS: [&str; 3] = ["api-key", "x-api-key", "x-goog-api-key"];

/// Shortest text that is taken for a credential, in bytes: local servers are called with keys like `none` or `ollama`, and a
/// cookie may say `1`.
const SHORTEST: usize = 8;

/// Most bytes of credentials that are kept; each is looked for, and a client may send any number of cookies.
const KEPT_BYTES: usize = 16 << 10;

/// What is not to be told.
pub struct Secrets {
    /// What the client sent, a line each.
    sent: String,
    /// What is ours, a line each.
    ours: Arc<str>,
}

impl Secrets {
    /// Those of a request, and `ours`, a line each.
    #[must_use]
    pub fn of(head: &RequestHead, ours: Arc<str>) -> Self {
        let mut sent = String::new();
        for field in [AUTHORIZATION, PROXY_AUTHORIZATION] {
            let values = head.fields.texts(field);
            values.for_each(|value| note(&mut sent, without_scheme(value)));
        }
        for field in KEYS {
            let values = head.fields.texts(field);
            values.for_each(|value| note(&mut sent, value));
        }
        let query = head.uri.query().unwrap_or_default();
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        for (_, value) in pairs.filter(|(name, _)| is_secret(name)) {
            note(&mut sent, value);
            note(&mut sent, &percent_decode_str(value).decode_utf8_lossy());
        }
        let cookies = head.fields.texts(COOKIE).flat_map(|value| value.split(';'));
        for (_, value) in cookies.filter_map(|cookie| cookie.split_once('=')) {
            note(&mut sent, value);
        }
        Self { sent, ours }
    }

    /// Takes them out of what an API says went wrong.
    pub(super) fn hide_in_error(&self, error: &mut ApiError) {
        let texts = [&mut error.code, &mut error.kind, &mut error.message];
        for text in texts.into_iter().flatten() {
            let hidden = redact::lookalikes(&self.hide(text)).into_owned();
            *text = hidden;
        }
    }

    /// Takes those that are known out of a text that most often has none.
    pub(super) fn hide_in(&self, text: Box<str>) -> Box<str> {
        let hidden = match self.hide(&text) {
            Cow::Owned(hidden) => Some(hidden),
            Cow::Borrowed(_) => None,
        };
        hidden.map_or(text, String::into_boxed_str)
    }

    /// The text without those that are known.
    #[must_use]
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut hidden = Cow::Borrowed(text);
        for secret in self.sent.lines().chain(self.ours.lines()) {
            if hidden.contains(secret) {
                hidden = hidden.replace(secret, REDACTED).into();
            }
        }
        hidden
    }
}

fn note(secrets: &mut String, text: &str) {
    let text = text.trim();
    let fits = secrets.len() + text.len() < KEPT_BYTES;
    if fits && text.len() >= SHORTEST && !text.contains('\n') {
        secrets.reserve(text.len() + 1);
        secrets.push_str(text);
        secrets.push('\n');
    }
}

/// A credential without the word before it that says of which scheme it is.
fn without_scheme(credential: &str) -> &str {
    credential
        .split_once(' ')
        .map_or(credential, |(_, key)| key)
}

/// Credentials of our own, in the form in which [`Secrets`] takes them.
pub(super) fn lines<'c>(credentials: impl IntoIterator<Item = &'c str>) -> Arc<str> {
    let mut lines = String::new();
    for credential in credentials {
        note(&mut lines, without_scheme(credential));
    }
    lines.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tee::Instant;
    use http::{Method, Uri, Version};
    use std::time::SystemTime;

    fn secrets(uri: &'static str, fields: &[(&'static str, &'static str)]) -> Secrets {
        let head = RequestHead {
            received: Instant::now(),
            received_at: SystemTime::UNIX_EPOCH,
            method: Method::POST,
            uri: Uri::from_static(uri),
            version: Version::HTTP_11,
            fields: fields.iter().copied().collect(),
            scheme: "http",
            peer: None,
        };
        Secrets::of(&head, lines(["Bearer our-own-key"]))
    }

    #[test]
    fn what_the_client_sent_as_a_credential_is_hidden_wherever_it_was() {
        let secrets = secrets(
            "/v1/x?key=in%2Dquery&model=harmless",
            &[
                ("authorization", "Bearer in-authorization"),
                ("proxy-authorization", "Basic aW4tcHJveHk="),
                ("api-key", "in-api-key"),
                ("x-api-key", "in-x-api-key"),
                ("x-goog-api-key", "in-goog-key"),
                ("cookie", "theme=dark; session=in-cookie"),
            ],
        );
        for secret in [
            "in-authorization",
            "aW4tcHJveHk=",
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
    fn words_that_keys_of_local_servers_are_stay() {
        let secrets = secrets("/", &[("authorization", "Bearer ollama")]);
        assert_eq!(secrets.hide("ollama is busy"), "ollama is busy");
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
