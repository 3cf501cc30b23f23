//! What a credential looks like, and personal data, and texts without any: names that speak of one, words that look like one,
//! queries and URLs, and whole texts by a policy.
//!
//! It knows names and texts, and nothing of requests: whose credentials are known, `observe` knows.

mod detector;
mod json;
mod looks;
mod member;
mod names;
mod place;
mod redactor;
mod unescaped;

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

pub use detector::Detector;
pub use looks::lookalikes;
pub use names::is_secret;
pub use redactor::{BadPattern, Found, PATTERNS_MAX, Pattern, Policy, Redactor};
pub use unescaped::read_plain;

/// What stands in place of a value (OpenTelemetry HTTP conventions, `url.query`).
pub const REDACTED: &str = "REDACTED";

/// The query with the values of key-like parameters replaced, and words that look like keys; everything else as sent.
#[must_use]
pub fn query(query: &str) -> String {
    let mut shown = String::with_capacity(query.len());
    // Some servers part their parameters so, too.
    for piece in query.split_inclusive(['&', ';']) {
        let pair = piece.trim_end_matches(['&', ';']);
        match pair.split_once('=') {
            Some((name, value)) if is_secret(&decoded(name)) || has_secret(value) => {
                shown.extend([name, "=", REDACTED]);
            }
            _ => shown.push_str(&lookalikes(pair)),
        }
        shown.push_str(&piece[pair.len()..]);
    }
    shown
}

/// Whether a value is a query or a URL itself, and has a key-like parameter.
fn has_secret(value: &str) -> bool {
    let value = decoded(value);
    let mut pairs = value.split(['?', '#', '&', ';']);
    pairs.any(|pair| {
        pair.split_once('=')
            .is_some_and(|(name, _)| is_secret(&decoded(name)))
    })
}

/// A server would decode it before it looks.
fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// The URL of a path and a query at an origin, its query as [`query`] has it.
#[must_use]
pub fn url(origin: &str, path: &str, asked: Option<&str>) -> String {
    let mut url = [origin, path].concat();
    if let Some(asked) = asked {
        url.push('?');
        url.push_str(&query(asked));
    }
    url
}

/// Host and port of an authority, without user and password.
#[must_use]
pub fn host(authority: &str) -> &str {
    let at = memchr::memrchr(b'@', authority.as_bytes());
    at.map_or(authority, |at| &authority[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_loses_the_values_of_its_keys() {
        assert_eq!(url("http://h", "/v1/models", None), "http://h/v1/models");
        assert_eq!(
            url("http://h", "/a", Some("key=b&c=d")),
            "http://h/a?key=REDACTED&c=d"
        );
    }

    #[test]
    fn values_of_key_like_parameters_are_replaced_and_nothing_else() {
        for (sent, kept) in [
            ("api-version=2024-06-01", "api-version=2024-06-01"),
            ("key=abc&alt=sse", "key=REDACTED&alt=sse"),
            ("alt=sse&API_KEY=a=b&x", "alt=sse&API_KEY=REDACTED&x"),
            ("%6bey=abc", "%6bey=REDACTED"),
            (
                "X-Amz-Signature=abc&X-Goog-Credential=d",
                "X-Amz-Signature=REDACTED&X-Goog-Credential=REDACTED",
            ),
            ("monkey=1&max_tokens=2", "monkey=1&max_tokens=2"),
            (
                "token[]=a&auth%5Btoken%5D=b",
                "token[]=REDACTED&auth%5Btoken%5D=REDACTED",
            ),
            ("x=1;session_id=abc;y=2", "x=1;session_id=REDACTED;y=2"),
            (
                "next=https%3A%2F%2Fa%2F%3Ftoken%3Db&x=https://a?b=c",
                "next=REDACTED&x=https://a?b=c",
            ),
            ("q=sk-0123456789abc&sk-0123456789abc", "q=REDACTED&REDACTED"),
            ("a=1&&b;", "a=1&&b;"),
            ("%zz=1&%", "%zz=1&%"),
            ("", ""),
        ] {
            assert_eq!(query(sent), kept);
        }
    }
}
