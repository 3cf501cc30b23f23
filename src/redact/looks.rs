//! Words that look like keys, wherever they stand: of a key that nobody told us, only its looks are known.

use std::borrow::Cow;
use std::ops::Range;

use super::REDACTED;

/// How keys begin: those of OpenAI, Anthropic, DeepSeek and OpenRouter; Stripe's way; Groq; xAI; Google; Hugging Face;
/// Perplexity; NVIDIA; Replicate; AWS, lasting and temporary; JSON web tokens; GitHub; GitLab; Slack; npm; DigitalOcean;
/// SendGrid; Google's OAuth; Shopify; Databricks.
const PREFIXES: [&str; 29] = [
    "sk-",
    "sk_",
    "pk_",
    "rk_",
    "gsk_",
    "xai-",
    "AIza",
    "hf_",
    "pplx-",
    "nvapi-",
    "r8_",
    "AKIA",
    "ASIA",
    "eyJ",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "npm_",
    "dop_v1_",
    "SG.",
    "ya29.",
    "shpat_",
];

/// Shortest word that is taken for a key, in bytes.
const KEY_BYTES: usize = 12;

/// The text without words that look like keys: those with a provider's prefix, and what follows `Bearer` or `Basic` unless
/// it reads like a word of a sentence.
#[must_use]
pub fn lookalikes(text: &str) -> Cow<'_, str> {
    let mut hidden = String::new();
    let mut kept = 0;
    each(text, |found| {
        hidden.extend([&text[kept..found.start], REDACTED]);
        kept = found.end;
    });
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    hidden.push_str(&text[kept..]);
    hidden.into()
}

/// Shows where such words stand, in order.
pub(super) fn each(text: &str, mut show: impl FnMut(Range<usize>)) {
    let mut at = 0;
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
            show(start..start + found.len());
        }
        announced = ["bearer", "basic"]
            .iter()
            .any(|scheme| word.eq_ignore_ascii_case(scheme));
        at = start + word.len().max(found.len());
    }
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
}
