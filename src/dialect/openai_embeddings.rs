//! Embeddings: `POST …/embeddings`.
//!
//! Governing text: the OpenAI API reference, "Embeddings"; vLLM takes chat messages in place of the input. Vectors, which
//! are lists of numbers or base64, are not read. Knows nothing of other dialects.

use crate::dialect::contract::{Dialect, Reader};
use crate::dialect::kit::member::{decode, keep, members, typed};
use crate::dialect::kit::unary::Unary;
use crate::dialect::kit::{path, prompt};
use crate::dialect::part::{PromptKind, Visitor};
use crate::exchange::{Operation, Problems, Request};
use crate::parse::json::Value;

/// The dialect.
pub(super) struct OpenAiEmbeddings;

impl Dialect for OpenAiEmbeddings {
    fn operation(&self) -> Operation {
        Operation::Embeddings
    }

    fn route(&self) -> &'static str {
        "/v1/embeddings"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        let ollamas_own = path::ends_in(path, &["api", "embeddings"]);
        method == "POST" && path::ends_in(path, &["embeddings"]) && !ollamas_own
    }

    fn request(
        &self,
        body: &[u8],
        request: &mut Request,
        problems: &mut Problems,
        visitor: &mut dyn Visitor,
    ) {
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
        if !prompt::texts([input], PromptKind::Plain, visitor) {
            // Whether the template frames them as it does in a chat is not known.
            prompt::messages(messages, PromptKind::Unknown, visitor);
        }
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<Unary>::default()
    }
}
