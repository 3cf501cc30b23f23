//! Messages, Anthropic's API: `POST …/messages`.
//!
//! Governing text: the Anthropic API reference, "Messages" and "Streaming messages"; vLLM, LiteLLM, OpenRouter and other
//! relays offer it too. `…/messages/count_tokens` generates nothing and `…/messages/batches` is work for later, so both
//! have HTTP facts only; so has `…/threads/{id}/messages`, which is of OpenAI's Assistants. Of others that use such a path,
//! the Model Context Protocol among them, the body tells.

mod known;
mod order;
mod prompt;
mod reader;
mod request;
mod usage;

use self::reader::AnthropicMessage;
use crate::dialect::contract::{Asked, Dialect, Reader, is_json_rpc};
use crate::dialect::kit::path;
use crate::dialect::kit::typed::TypedReader;
use crate::dialect::part::Visitor;
use crate::exchange::{Operation, Problems, Request};
use crate::parse::json::{self, Kind};

/// The dialect.
pub(super) struct AnthropicMessages;

impl Dialect for AnthropicMessages {
    fn operation(&self) -> Operation {
        Operation::Messages
    }

    fn route(&self) -> &'static str {
        "/v1/messages"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST"
            && path::ends_in(path, &["messages"])
            && !path::ends_in(path, &["threads", path::ANY, "messages"])
    }

    fn request(
        &self,
        body: &[u8],
        request: &mut Request,
        problems: &mut Problems,
        prompt: &mut dyn Visitor,
    ) {
        request::read(body, request, problems, prompt);
    }

    /// Without a model and without messages it is of another API.
    fn asked(&self, body: &[u8]) -> Asked {
        let is_other = json::parse(body.trim_ascii())
            .is_ok_and(|body| body.kind() != Kind::Object || body.get("messages").is_none());
        if is_other || is_json_rpc(body) {
            Asked::Nothing
        } else {
            Asked::This
        }
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<TypedReader<AnthropicMessage>>::default()
    }
}
