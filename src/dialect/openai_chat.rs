//! Chat completions: `POST …/chat/completions`.
//!
//! Governing text: the OpenAI API reference, "Chat"; vLLM, SGLang, llama.cpp, Ollama, Azure, OpenRouter, DeepSeek,
//! Mistral and others speak it with differences that the shared reader and its fixtures name. Knows nothing of other
//! dialects.

use super::openai::{Answer, length, prompt, request};
use super::{Dialect, Prompt, Reader, path};
use crate::exchange::{Call, Choice, Problems, Request, Response};

/// The dialect.
pub(super) struct OpenAiChat;

impl Dialect for OpenAiChat {
    fn call(&self) -> Call {
        Call::ChatCompletions
    }

    fn route(&self) -> &'static str {
        "/v1/chat/completions"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST" && path::ends_in(path, &["chat", "completions"])
    }

    fn request(&self, body: &[u8], request: &mut Request, problems: &mut Problems) {
        request::read(body, "messages", length::messages, request, problems);
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(Answer::inspected())
    }

    fn is_countable(&self) -> bool {
        true
    }

    fn prompt(&self, body: &[u8]) -> Option<Prompt> {
        prompt::chat(body)
    }

    /// One answer was asked for, so all choices are that answer: old TGI counted tokens in `index`, GitHub Copilot puts
    /// text and tool call into choices of their own.
    fn settle(&self, request: &Request, response: &mut Response) {
        // Without a model the request was not read, and how many choices it asked for is not known.
        let one_asked = request.model.is_some() && request.choice_count.unwrap_or(1) == 1;
        if !one_asked || response.choices.len() < 2 {
            return;
        }
        let mut ended = response.choices.iter_mut().rev();
        let finish_reason = ended.find_map(|choice| choice.finish_reason.take());
        response.choices = vec![Choice {
            index: 0,
            finish_reason,
        }];
        for call in &mut response.tool_calls {
            call.choice = 0;
        }
    }
}
