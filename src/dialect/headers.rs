//! Response header fields that are worth keeping, by allow-list.
//!
//! Sources: the OpenAI API reference, "Debugging requests" and "Rate limits"; Anthropic's, "Rate limits" and "Errors";
//! Azure (`apim-request-id`) and Cloudflare (`cf-ray`); RFC 9110 §10.2.3 (`retry-after`). Nothing that may be a credential
//! belongs here: no `authorization`, no `*-key`, no cookie.

use crate::exchange::{Headers, Limited, RateLimit};

/// Names of the fields that are kept, sorted.
pub const KEPT: [&str; 29] = [
    "anthropic-ratelimit-input-tokens-limit",
    "anthropic-ratelimit-input-tokens-remaining",
    "anthropic-ratelimit-input-tokens-reset",
    "anthropic-ratelimit-output-tokens-limit",
    "anthropic-ratelimit-output-tokens-remaining",
    "anthropic-ratelimit-output-tokens-reset",
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-tokens-limit",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset",
    "apim-request-id",
    "cf-ray",
    CODING,
    CONTENT_TYPE,
    "openai-organization",
    "openai-processing-ms",
    "openai-project",
    "openai-version",
    "request-id",
    "retry-after",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "x-request-id",
];

/// The field that says how a body is coded; kept because the body could not be read without it.
pub const CODING: &str = "content-encoding";

/// The field that says what a body is; kept because what it says and what comes may differ.
pub const CONTENT_TYPE: &str = "content-type";

/// Whether a content type announces server-sent events, whatever its parameters.
#[must_use]
pub fn announces_events(content_type: &str) -> bool {
    let end = memchr::memchr(b';', content_type.as_bytes());
    let kind = &content_type[..end.unwrap_or(content_type.len())];
    kind.trim().eq_ignore_ascii_case("text/event-stream")
}

/// Which field says how much is left of what.
const REMAINING: [(&str, Limited); 6] = [
    ("x-ratelimit-remaining-requests", Limited::Requests),
    ("x-ratelimit-remaining-tokens", Limited::Tokens),
    ("anthropic-ratelimit-requests-remaining", Limited::Requests),
    ("anthropic-ratelimit-tokens-remaining", Limited::Tokens),
    (
        "anthropic-ratelimit-input-tokens-remaining",
        Limited::InputTokens,
    ),
    (
        "anthropic-ratelimit-output-tokens-remaining",
        Limited::OutputTokens,
    ),
];

/// What a response says is left of the upstream's limits. A value that is no whole number says nothing.
#[must_use]
pub fn rate_limits(headers: &Headers) -> Vec<RateLimit> {
    let limit = |(name, value): (&str, &str)| {
        let (_, limited) = REMAINING.iter().find(|(known, _)| *known == name)?;
        Some(RateLimit {
            limited: *limited,
            remaining: value.trim().parse().ok()?,
        })
    };
    headers.iter().filter_map(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_sorted_and_none_is_a_credentials() {
        assert!(KEPT.is_sorted());
        for (name, _) in REMAINING {
            assert!(KEPT.contains(&name), "{name}");
        }
        for secret in ["auth", "key", "cookie", "secret", "session"] {
            assert!(KEPT.iter().all(|name| !name.contains(secret)), "{secret}");
        }
    }

    #[test]
    fn nothing_left_is_a_value_and_no_number_is_none() {
        let lines = "x-ratelimit-remaining-requests: 0\nx-ratelimit-remaining-tokens: many\n\
                     anthropic-ratelimit-input-tokens-remaining: 7\nx-ratelimit-limit-requests: 9\n";
        let left = |limited, remaining| RateLimit { limited, remaining };
        assert_eq!(
            rate_limits(&Headers::from_lines(lines.into())),
            [left(Limited::Requests, 0), left(Limited::InputTokens, 7)]
        );
    }
}
