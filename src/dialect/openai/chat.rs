//! Chat completions: `POST …/chat/completions`.
//!
//! Governing text: the OpenAI API reference, "Chat"; vLLM, SGLang, llama.cpp, Ollama, Azure, OpenRouter, DeepSeek,
//! Mistral and others speak it with differences that the reader and its fixtures name. vLLM takes several conversations at
//! once, `POST …/chat/completions/batch`, and answers each by a choice. Knows nothing of other dialects.

use super::{Completion, request};
use crate::dialect::contract::{Dialect, Reader};
use crate::dialect::kit::cache::CacheParameters;
use crate::dialect::kit::chunks::ChunkReader;
use crate::dialect::kit::{path, prompt};
use crate::dialect::part::{PromptKind, Visitor};
use crate::exchange::{Choice, Operation, Problems, Request, Response};
use crate::parse::json::Value;

/// The dialect.
pub(in crate::dialect) struct OpenAiChat;

/// The dialect, for several conversations at once.
pub(in crate::dialect) struct OpenAiChatBatch;

impl Dialect for OpenAiChat {
    fn operation(&self) -> Operation {
        Operation::ChatCompletions
    }

    fn route(&self) -> &'static str {
        "/v1/chat/completions"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST" && path::ends_in(path, &["chat", "completions"])
    }

    fn request(
        &self,
        body: &[u8],
        request: &mut Request,
        problems: &mut Problems,
        visitor: &mut dyn Visitor,
    ) {
        let show = |[messages, tools, functions]: [Option<Value<'_>>; 3],
                    cache: &CacheParameters<'_>| {
            cache.show(visitor);
            prompt::messages(messages, PromptKind::Messages, visitor);
            prompt::tools(tools, None, visitor);
            prompt::tools(functions, None, visitor);
        };
        request::read(
            body,
            ["messages", "tools", "functions"],
            show,
            request,
            problems,
        );
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<ChunkReader<Completion>>::default()
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

impl Dialect for OpenAiChatBatch {
    fn operation(&self) -> Operation {
        Operation::ChatCompletions
    }

    fn route(&self) -> &'static str {
        "/v1/chat/completions/batch"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST" && path::ends_in(path, &["chat", "completions", "batch"])
    }

    fn request(
        &self,
        body: &[u8],
        request: &mut Request,
        problems: &mut Problems,
        visitor: &mut dyn Visitor,
    ) {
        let show = |[conversations]: [Option<Value<'_>>; 1], _: &CacheParameters<'_>| {
            for messages in conversations.into_iter().flat_map(Value::elements) {
                prompt::messages(Some(messages), PromptKind::Messages, visitor);
            }
        };
        request::read(body, ["messages"], show, request, problems);
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<ChunkReader<Completion>>::default()
    }
}
