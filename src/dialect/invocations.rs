//! Calls of whatever a server has: `POST …/invocations`, the one path of a container of SageMaker's. The body tells which of
//! its APIs it is of.
//!
//! Governing text: vLLM's documentation, "SageMaker". Knows of other dialects only which bodies are theirs.

use crate::dialect::contract::{Asked, Dialect, Reader};
use crate::dialect::kit::member::decode;
use crate::dialect::kit::path;
use crate::dialect::openai::chat::OpenAiChat;
use crate::dialect::openai::completions::OpenAiCompletions;
use crate::dialect::openai_embeddings::OpenAiEmbeddings;
use crate::dialect::part::Visitor;
use crate::dialect::rerank::Rerank;
use crate::dialect::score::Score;
use crate::exchange::{Operation, Problems, Request};
use crate::parse::json;

/// A member that requests of one API only have, and the API. The first one that is there counts.
static BY_MEMBER: [(&str, &dyn Dialect); 8] = [
    ("messages", &OpenAiChat),
    ("prompt", &OpenAiCompletions),
    ("input", &OpenAiEmbeddings),
    ("query", &Rerank),
    ("queries", &Score),
    ("text_1", &Score),
    ("data_1", &Score),
    ("documents", &Score),
];

/// The dialect, until a body has been read.
pub(super) struct Invocations;

impl Dialect for Invocations {
    /// What most of them are.
    fn operation(&self) -> Operation {
        OpenAiChat.operation()
    }

    fn route(&self) -> &'static str {
        "/invocations"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST" && path::ends_in(path, &["invocations"])
    }

    fn is_told_by_body(&self) -> bool {
        true
    }

    fn asked(&self, body: &[u8]) -> Asked {
        let text = decode(body);
        let Ok((body, _)) = json::parse_prefix(text.trim_ascii_start()) else {
            return Asked::Nothing;
        };
        let mut rows = BY_MEMBER.iter();
        match rows.find(|(member, _)| body.get(member).is_some()) {
            Some((_, dialect)) => Asked::Other(*dialect),
            None => Asked::Nothing,
        }
    }

    /// The API that the body is of reads it.
    fn request(&self, _: &[u8], _: &mut Request, _: &mut Problems, _: &mut dyn Visitor) {}

    fn reader(&self) -> Box<dyn Reader> {
        OpenAiChat.reader()
    }
}
