//! Searches of a vector store: `POST …/vector_stores/{id}/search`. Everything else about vector stores is no call to a
//! model.
//!
//! Governing text: the OpenAI API reference, "Vector stores". Neither the query nor what was found is kept. Knows nothing
//! of other dialects.

use crate::dialect::contract::{Dialect, Reader};
use crate::dialect::kit::member::{decode, members, typed};
use crate::dialect::kit::unary::Unary;
use crate::dialect::kit::{path, prompt};
use crate::dialect::part::{PromptKind, Visitor};
use crate::exchange::{Operation, Problems, Request};
use crate::parse::json::Value;

/// The dialect.
pub(super) struct OpenAiRetrieval;

impl Dialect for OpenAiRetrieval {
    fn operation(&self) -> Operation {
        Operation::Retrieval
    }

    fn route(&self) -> &'static str {
        "/v1/vector_stores/{vector_store_id}/search"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST" && path::ends_in(path, &["vector_stores", path::ANY, "search"])
    }

    fn request(
        &self,
        body: &[u8],
        request: &mut Request,
        problems: &mut Problems,
        visitor: &mut dyn Visitor,
    ) {
        let text = decode(body);
        let Some([query, most]) = members(&text, ["query", "max_num_results"], problems) else {
            return;
        };
        request.result_limit = typed(most, problems, Value::as_i64);
        prompt::texts([query], PromptKind::Unknown, visitor);
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<Unary>::default()
    }
}
