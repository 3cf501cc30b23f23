//! Embeddings: `POST …/embeddings`.
//!
//! Governing text: the OpenAI API reference, "Embeddings"; vLLM takes chat messages in place of the input. Vectors, which
//! are lists of numbers or base64, are not read. Knows nothing of other dialects.

use super::member::{decode, keep, members, typed};
use super::openai::{length, prompt, unary::Unary};
use super::{Dialect, Prompt, Reader, path};
use crate::exchange::{Call, Problems, Request};
use crate::json::Value;

/// The dialect.
pub(super) struct OpenAiEmbeddings;

impl Dialect for OpenAiEmbeddings {
    fn call(&self) -> Call {
        Call::Embeddings
    }

    fn route(&self) -> &'static str {
        "/v1/embeddings"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        let ollamas_own = path::ends_in(path, &["api", "embeddings"]);
        method == "POST" && path::ends_in(path, &["embeddings"]) && !ollamas_own
    }

    fn request(&self, body: &[u8], request: &mut Request, problems: &mut Problems) {
        let text = decode(body);
        let names = [
            "model",
            "input",
            "messages",
            "encoding_format",
            "dimensions",
        ];
        let Some([model, input, messages, format, dimensions]) = members(&text, names, problems)
        else {
            return;
        };
        request.model = typed(model, problems, Value::as_text).map(keep);
        request.encoding_format = typed(format, problems, Value::as_text).map(keep);
        request.dimensions = typed(dimensions, problems, Value::as_i64);
        let messages = || length::messages(messages?);
        request.prompt_chars = length::all_texts([input]).or_else(messages);
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<Unary>::default()
    }

    fn prompt(&self, body: &[u8]) -> Option<Prompt> {
        prompt::plain(body, "input")
    }
}
