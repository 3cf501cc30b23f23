//! Text completions, the older API: `POST …/completions`.
//!
//! Governing text: the OpenAI API reference, "Completions". Knows nothing of other dialects.

use super::openai::{Answer, length, prompt, request};
use super::{Dialect, Prompt, Reader, path};
use crate::exchange::{Call, Problems, Request};

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
        request::read(body, "prompt", length::texts, request, problems);
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(Answer::inspected())
    }

    fn is_countable(&self) -> bool {
        true
    }

    fn prompt(&self, body: &[u8]) -> Option<Prompt> {
        prompt::plain(body, "prompt")
    }
}
