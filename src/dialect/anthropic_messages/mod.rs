//! Messages, Anthropic's API: `POST …/messages`.
//!
//! Governing text: the Anthropic API reference, "Messages" and "Streaming messages"; vLLM, LiteLLM, OpenRouter and other
//! relays offer it too. `…/messages/count_tokens` generates nothing and `…/messages/batches` is work for later, so both
//! have HTTP facts only; so has `…/threads/{id}/messages`, which is of OpenAI's Assistants.

mod known;
mod order;
mod prompt;
mod reader;
mod request;
mod usage;

use self::reader::Answer;
use super::typed::TypedReader;
use super::{Dialect, Prompt, Reader, path};
use crate::exchange::{Call, Problems, Request};

/// The dialect.
pub(super) struct AnthropicMessages;

impl Dialect for AnthropicMessages {
    fn call(&self) -> Call {
        Call::Messages
    }

    fn route(&self) -> &'static str {
        "/v1/messages"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST"
            && path::ends_in(path, &["messages"])
            && !path::ends_in(path, &["threads", path::ANY, "messages"])
    }

    fn request(&self, body: &[u8], request: &mut Request, problems: &mut Problems) {
        request::read(body, request, problems);
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<TypedReader<Answer>>::default()
    }

    fn is_countable(&self) -> bool {
        true
    }

    fn prompt(&self, body: &[u8]) -> Option<Prompt> {
        prompt::read(body)
    }
}
