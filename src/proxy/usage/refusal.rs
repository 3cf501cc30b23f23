//! Whether an upstream that was asked for usage has refused that, or the request for another reason.

use crate::parse::json::{Kind, Text, Value};
use crate::proxy::object::{Sought, read};

/// Most bytes of an answer that are looked into.
pub const LONGEST: usize = 16 << 10;

/// What was wrong with a request, as the answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// That usage was asked for.
    Asking,
    /// Something else, plainly.
    Another,
    /// It does not say.
    Unclear,
}

/// What the edit puts into a request.
const OURS: [&str; 2] = ["stream_options", "include_usage"];

/// Codes and types that stand for one cause only. OpenAI API reference, "Error codes"; llama.cpp, its server.
const OTHER_CODES: [&str; 10] = [
    "context_length_exceeded",
    "exceed_context_size_error",
    "content_filter",
    "content_policy_violation",
    "model_not_found",
    "invalid_prompt",
    "invalid_api_key",
    "insufficient_quota",
    "string_above_max_length",
    "unsupported_country_region_territory",
];

/// Members of a request that a message names when it is about them, and hardly else: not those that are everyday words.
const OTHERS: [&str; 19] = [
    "messages",
    "prompt",
    "temperature",
    "max_tokens",
    "max_completion_tokens",
    "top_p",
    "top_k",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "presence_penalty",
    "frequency_penalty",
    "response_format",
    "tools",
    "tool_choice",
    "tool_calls",
    "reasoning_effort",
    "context length",
    "chat template",
];

impl Cause {
    /// What the body of an answer says.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        let body = body.trim_ascii();
        let mut sought = ["error", "detail"].map(Sought::new);
        let object = read(body, &mut sought, &mut |_, _| {});
        let Some(object) = object else {
            return Self::in_text(&String::from_utf8_lossy(body));
        };
        let [error, detail] = sought.map(|sought| sought.found.last());
        if let Some(text) = error.and_then(Value::as_text) {
            return Self::in_text(&text.decode());
        }
        let error = error.filter(|error| error.kind() == Kind::Object);
        Self::in_error(error.unwrap_or(object), detail, body)
    }

    /// What the members of an error say. Where there is one that names what is wrong, it decides: a text may quote the request.
    fn in_error(error: Value<'_>, detail: Option<Value<'_>>, body: &[u8]) -> Self {
        let [param, code, kind, message] = error.select(["param", "code", "type", "message"]);
        let named = param.and_then(Value::as_text);
        let named = named.into_iter().chain(detail.into_iter().flat_map(places));
        let mut named = named
            .map(Text::decode)
            .filter(|name| !name.is_empty())
            .peekable();
        if named.peek().is_some() {
            let ours = named.any(|name| OURS.iter().any(|member| name.contains(member)));
            return if ours { Self::Asking } else { Self::Another };
        }
        let mut words = [code, kind]
            .into_iter()
            .flatten()
            .filter_map(Value::as_text);
        if words.any(|word| OTHER_CODES.iter().any(|code| word.is(code))) {
            return Self::Another;
        }
        match message.and_then(Value::as_text) {
            Some(message) => Self::in_text(&message.decode()),
            None => Self::in_text(&String::from_utf8_lossy(body)),
        }
    }

    fn in_text(text: &str) -> Self {
        if OURS.iter().any(|member| names(text, member)) {
            Self::Asking
        } else if OTHERS.iter().any(|member| names(text, member)) {
            Self::Another
        } else {
            Self::Unclear
        }
    }
}

/// The members that FastAPI names, `{"detail":[{"loc":["body","stream_options"],…}]}`; not what they lie in.
fn places(detail: Value<'_>) -> impl Iterator<Item = Text<'_>> {
    let places = detail.elements().filter_map(|fault| fault.get("loc"));
    let names = places.flat_map(Value::elements).filter_map(Value::as_text);
    names.filter(|name| !name.is("body"))
}

/// Whether a text names a member: as a word of its own, and not as a member of a request that it quotes.
fn names(text: &str, member: &str) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    text.match_indices(member).any(|(at, _)| {
        let before = text.as_bytes()[..at].last();
        let after = &text.as_bytes()[at + member.len()..];
        let quoted = after.strip_prefix(b"'").or(after.strip_prefix(b"\""));
        let is_key = quoted.is_some_and(|after| after.trim_ascii_start().starts_with(b":"));
        !before.is_some_and(is_word) && !after.first().is_some_and(is_word) && !is_key
    })
}
