//! `http.response.header.<key>`: the response's header fields that are kept, each with all its values.

use crate::exchange::Headers;
use crate::semconv::Attributes;

/// The function from each of these names to its attribute's key: a match, whose cases the compiler tells apart by length,
/// and no table to be searched.
macro_rules! keys {
    ($($name:literal),* $(,)?) => {
        fn key(name: &str) -> Option<&'static str> {
            match name {
                $($name => Some(concat!("http.response.header.", $name)),)*
                _ => None,
            }
        }
    };
}

// Every field that may be kept.
keys![
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
    "content-encoding",
    "content-type",
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

/// Puts each field on the SERVER span, once.
pub(super) fn attributes(headers: &Headers, span: &mut Attributes<'_>) {
    let mut fields = headers.iter().peekable();
    while let Some((name, value)) = fields.next() {
        let Some(key) = key(name).filter(|key| span.is_new(key)) else {
            continue;
        };
        // A name that came several times came so in a row.
        let more = std::iter::from_fn(|| fields.next_if(|(next, _)| *next == name));
        let more = more.map(|(_, value)| value);
        span.put_list(key, std::iter::once(value).chain(more));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semconv::http::Http;
    use crate::semconv::sample::{self, server_lines};

    #[test]
    fn fields_are_lists_under_their_names_and_unknown_ones_stay_out() {
        let mut exchange = sample::unary();
        let lines = "x-request-id: a\nx-request-id: b\nset-cookie: c\nretry-after: 0\n";
        exchange.http.response_headers = Headers::from_lines(lines.into());
        let mut span = server_lines(&Http, &exchange);
        span.retain(|line| line.starts_with("http.response.header."));
        assert_eq!(
            span,
            [
                r#"http.response.header.x-request-id=["a", "b"]"#,
                r#"http.response.header.retry-after=["0"]"#,
            ]
        );
    }
}
