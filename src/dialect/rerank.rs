//! Ranking of documents by a query: `POST …/rerank`, and llama.cpp's `…/reranking`.
//!
//! Governing text: Cohere's API reference, "Rerank", which Jina's, vLLM's, llama.cpp's and Text Embeddings Inference's
//! follow with differences in what they count. Neither documents nor scores are kept. Knows nothing of other dialects.

use crate::dialect::contract::{Dialect, Reader};
use crate::dialect::kit::member::{decode, keep, members, typed};
use crate::dialect::kit::unary::Unary;
use crate::dialect::kit::{path, prompt};
use crate::dialect::part::{PromptKind, Visitor};
use crate::exchange::{Operation, Problems, Request};
use crate::parse::json::Value;

/// The dialect.
pub(super) struct Rerank;

impl Dialect for Rerank {
    fn operation(&self) -> Operation {
        Operation::Rerank
    }

    fn route(&self) -> &'static str {
        "/v1/rerank"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        let ends_in = |tail| path::ends_in(path, &[tail]);
        method == "POST" && (ends_in("rerank") || ends_in("reranking"))
    }

    fn request(
        &self,
        body: &[u8],
        request: &mut Request,
        problems: &mut Problems,
        visitor: &mut dyn Visitor,
    ) {
        let text = decode(body);
        // Text Embeddings Inference calls the documents texts.
        let names = ["model", "query", "documents", "texts"];
        let Some([model, query, documents, texts]) = members(&text, names, problems) else {
            return;
        };
        request.model = typed(model, problems, Value::as_text).map(keep);
        // The query is read again with every document.
        prompt::texts([query, documents, texts], PromptKind::Unknown, visitor);
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<Unary>::default()
    }
}
