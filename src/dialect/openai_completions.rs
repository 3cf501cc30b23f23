//! Text completions, the older API: `POST …/completions`.
//!
//! Governing text: the OpenAI API reference, "Completions". Knows nothing of other dialects.

use super::openai::{Answer, request};
use super::{Dialect, Reader, path};
use crate::exchange::{Call, Problems, Request};
use crate::json::{Kind, Value};

/// The dialect.
pub(super) struct OpenAiCompletions;

impl Dialect for OpenAiCompletions {
    fn call(&self) -> Call {
        Call::Completions
    }

    fn route(&self) -> &'static str {
        "/v1/completions"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST"
            && path::ends_in(path, &["completions"])
            && !path::ends_in(path, &["chat", "completions"])
    }

    fn request(&self, body: &[u8], request: &mut Request, problems: &mut Problems) {
        request::read(body, "prompt", prompt_chars, request, problems);
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<Answer>::default()
    }
}

/// Code points of the prompt, or of all prompts; `None` for prompts that are sent as token ids.
fn prompt_chars(prompt: Value<'_>) -> Option<u64> {
    match prompt.kind() {
        Kind::String => prompt.as_text().map(|text| text.chars()),
        Kind::Array => prompt
            .elements()
            .map(|prompt| prompt.as_text().map(|text| text.chars()))
            .sum(),
        _ => None,
    }
}
