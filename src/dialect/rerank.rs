//! Ranking of documents by a query: `POST …/rerank`, and llama.cpp's `…/reranking`.
//!
//! Governing text: Cohere's API reference, "Rerank", which Jina's, vLLM's, llama.cpp's and Text Embeddings Inference's
//! follow with differences in what they count. Neither documents nor scores are kept. Knows nothing of other dialects.

use super::member::{decode, keep, members, typed};
use super::openai::{length, unary::Unary};
use super::{Dialect, Reader, path};
use crate::exchange::{Call, Problems, Request};
use crate::json::Value;

/// The dialect.
pub(super) struct Rerank;

impl Dialect for Rerank {
    fn call(&self) -> Call {
        Call::Rerank
    }

    fn route(&self) -> &'static str {
        "/v1/rerank"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        let ends_in = |tail| path::ends_in(path, &[tail]);
        method == "POST" && (ends_in("rerank") || ends_in("reranking"))
    }

    fn request(&self, body: &[u8], request: &mut Request, problems: &mut Problems) {
        let text = decode(body);
        // Text Embeddings Inference calls the documents texts.
        let names = ["model", "query", "documents", "texts"];
        let Some([model, query, documents, texts]) = members(&text, names, problems) else {
            return;
        };
        request.model = typed(model, problems, Value::as_text).map(keep);
        request.prompt_chars = length::all_texts([query, documents, texts]);
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<Unary>::default()
    }
}
