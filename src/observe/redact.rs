//! URLs and query strings without the values of key-like parameters: a credential never reaches a sink.

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
const REDACTED: &str = "REDACTED";

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
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let scheme = uri.scheme_str().unwrap_or_default();
    let mut url = [scheme, "://", host, uri.path()].concat();
    if let Some(asked) = uri.query() {
        url.push('?');
        url.push_str(&query(asked));
    }
    url
}

fn is_secret(name: &str) -> bool {
    // A server would decode the name before it looks.
    let name = percent_decode_str(name)
        .decode_utf8_lossy()
        .to_ascii_lowercase();
    let vendor = name
        .strip_prefix("x-amz-")
        .or_else(|| name.strip_prefix("x-goog-"));
    SECRET.contains(&vendor.unwrap_or(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

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
