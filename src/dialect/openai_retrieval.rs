//! Searches of a vector store: `POST …/vector_stores/{id}/search`. Everything else about vector stores is no call to a
//! model.
//!
//! Governing text: the OpenAI API reference, "Vector stores". Neither the query nor what was found is kept. Knows nothing
//! of other dialects.

use super::member::{decode, members, typed};
use super::openai::{length, unary::Unary};
use super::{Dialect, Reader, path};
use crate::exchange::{Call, Problems, Request};
use crate::json::Value;

/// The dialect.
pub(super) struct OpenAiRetrieval;

impl Dialect for OpenAiRetrieval {
    fn call(&self) -> Call {
        Call::Retrieval
    }

    fn route(&self) -> &'static str {
        "/v1/vector_stores/{vector_store_id}/search"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST" && path::ends_in(path, &["vector_stores", path::ANY, "search"])
    }

    fn request(&self, body: &[u8], request: &mut Request, problems: &mut Problems) {
        let text = decode(body);
        let Some([query, most]) = members(&text, ["query", "max_num_results"], problems) else {
            return;
        };
        request.result_limit = typed(most, problems, Value::as_i64);
        request.prompt_chars = length::all_texts([query]);
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<Unary>::default()
    }
}
