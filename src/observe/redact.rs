//! URLs and query strings without the values of key-like parameters, and texts without what looks like a key: a credential
//! never reaches a sink.

use std::borrow::Cow;

use http::Uri;
use percent_encoding::percent_decode_str;

/// Parameters whose value is a credential, or may be one.
const SECRET: [&str; 20] = [
    "access_key",
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "auth",
    "authorization",
    "code",
    "credential",
    "key",
    "password",
    "passwd",
    "pwd",
    "refresh_token",
    "secret",
    "sig",
    "signature",
    "subscription-key",
    "token",
    "x-api-key",
];

/// What stands in place of a value (OpenTelemetry HTTP conventions, `url.query`).
pub(super) const REDACTED: &str = "REDACTED";

/// The query with the values of key-like parameters replaced; everything else as sent.
#[must_use]
pub fn query(query: &str) -> String {
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if is_secret(name) => format!("{name}={REDACTED}"),
            _ => pair.to_owned(),
        })
        .collect();
    pairs.join("&")
}

/// An absolute URL without user and password, its query as [`query`] has it.
#[must_use]
pub fn url(uri: &Uri) -> String {
    let host = uri
        .authority()
        .map_or("", |authority| host(authority.as_str()));
    let scheme = uri.scheme_str().unwrap_or_default();
    let mut url = [scheme, "://", host, uri.path()].concat();
    if let Some(asked) = uri.query() {
        url.push('?');
        url.push_str(&query(asked));
    }
    url
}

/// Host and port of an authority, without user and password.
pub(super) fn host(authority: &str) -> &str {
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
}

/// Whether the value of a parameter of that name is a credential, or may be one.
pub(super) fn is_secret(name: &str) -> bool {
    // A server would decode the name before it looks.
    let name = percent_decode_str(name)
        .decode_utf8_lossy()
        .to_ascii_lowercase();
    let vendor = name
        .strip_prefix("x-amz-")
        .or_else(|| name.strip_prefix("x-goog-"));
    SECRET.contains(&vendor.unwrap_or(&name))
}

/// How providers' keys begin: OpenAI, Anthropic, DeepSeek and OpenRouter; Stripe's way; Groq; xAI; Google; Hugging Face;
/// Perplexity; NVIDIA; Replicate; AWS; JSON web tokens.
const PREFIXES: [&str; 12] = [
    "sk-", "sk_", "pk_", "gsk_", "xai-", "AIza", "hf_", "pplx-", "nvapi-", "r8_", "AKIA", "eyJ",
];

/// Shortest word that is taken for a key, in bytes.
const KEY_BYTES: usize = 12;

/// The text without words that look like keys: those with a provider's prefix, and what follows `Bearer` or `Basic` unless
/// it reads like a word of a sentence.
pub(super) fn lookalikes(text: &str) -> Cow<'_, str> {
    let mut hidden = String::new();
    let (mut kept, mut at) = (0, 0);
    let mut announced = false;
    while let Some(skipped) = text[at..].find(in_key) {
        let start = at + skipped;
        let word = word_at(text, start, in_key);
        let token = announced.then(|| word_at(text, start, in_token));
        let found = match token.filter(|token| is_token(token)) {
            Some(token) => token,
            None if looks_like_key(word) => word,
            None => "",
        };
        if !found.is_empty() {
            hidden.extend([&text[kept..start], REDACTED]);
            kept = start + found.len();
        }
        announced = ["bearer", "basic"]
            .iter()
            .any(|scheme| word.eq_ignore_ascii_case(scheme));
        at = start + word.len().max(found.len());
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    hidden.push_str(&text[kept..]);
    hidden.into()
}

/// Characters of a key; providers mask with stars.
const fn in_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*')
}

/// Characters of what follows `Bearer` or `Basic`.
const fn in_token(c: char) -> bool {
    in_key(c) || matches!(c, '/' | '+' | '=' | '~')
}

fn looks_like_key(word: &str) -> bool {
    word.len() >= KEY_BYTES && PREFIXES.iter().any(|prefix| word.starts_with(prefix))
}

/// The word at `start`, without the full stop of a sentence; never empty.
fn word_at(text: &str, start: usize, is_in: impl Fn(char) -> bool) -> &str {
    let rest = &text[start..];
    let word = rest.find(|c| !is_in(c)).map_or(rest, |end| &rest[..end]);
    match word.trim_end_matches('.') {
        "" => word,
        word => word,
    }
}

fn is_token(word: &str) -> bool {
    let has_digit = word.contains(|c: char| c.is_ascii_digit());
    word.len() >= 20 || (word.len() >= 8 && has_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_look_like_keys_are_replaced_and_sentences_stay() {
        for (told, kept) in [
            (
                "Incorrect API key provided: sk-proj-****************abcd. See https://a/b.",
                "Incorrect API key provided: REDACTED. See https://a/b.",
            ),
            ("key=AIzaSyA-0123456789&x=1", "key=REDACTED&x=1"),
            (
                "'Authorization: Bearer abc/def+12=='",
                "'Authorization: Bearer REDACTED'",
            ),
            (
                "basic dXNlcjpwYXNzd29yZA==, bearer gsk_0123456789",
                "basic REDACTED, bearer REDACTED",
            ),
            ("a Bearer token is required", "a Bearer token is required"),
            (
                "Bearer authentication... failed",
                "Bearer authentication... failed",
            ),
            (
                "sk-short is too short. ... é!",
                "sk-short is too short. ... é!",
            ),
            ("", ""),
        ] {
            assert_eq!(lookalikes(told), kept);
        }
    }

    #[test]
    fn a_url_loses_its_password_and_the_values_of_its_keys() {
        for (sent, kept) in [
            ("http://vllm:8000/v1/models", "http://vllm:8000/v1/models"),
            (
                "https://me:pw@[::1]:8/a?key=b&c=d",
                "https://[::1]:8/a?key=REDACTED&c=d",
            ),
            ("http://h", "http://h/"),
        ] {
            assert_eq!(url(&Uri::from_static(sent)), kept);
        }
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
            ("%zz=1&%", "%zz=1&%"),
            ("", ""),
        ] {
            assert_eq!(query(sent), kept);
        }
    }
}
