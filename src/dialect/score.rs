//! Scores of pairs of texts: `POST …/score`.
//!
//! Governing text: vLLM's documentation, "Scoring"; the two sides have had several names. Neither texts nor scores are
//! kept. Knows nothing of other dialects.

use super::member::{decode, keep, members, typed};
use super::openai::{length, unary::Unary};
use super::{Dialect, Reader, path};
use crate::exchange::{Call, Problems, Request};
use crate::json::Value;

/// The dialect.
pub(super) struct Score;

impl Dialect for Score {
    fn call(&self) -> Call {
        Call::Score
    }

    fn route(&self) -> &'static str {
        "/v1/score"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST" && path::ends_in(path, &["score"])
    }

    fn request(&self, body: &[u8], request: &mut Request, problems: &mut Problems) {
        let text = decode(body);
        let names = [
            "model",
            "text_1",
            "text_2",
            "data_1",
            "data_2",
            "queries",
            "documents",
        ];
        let Some([model, sides @ ..]) = members(&text, names, problems) else {
            return;
        };
        request.model = typed(model, problems, Value::as_text).map(keep);
        request.prompt_chars = length::all_texts(sides);
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<Unary>::default()
    }
}
