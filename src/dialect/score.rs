//! Scores of pairs of texts: `POST …/score`.
//!
//! Governing text: vLLM's documentation, "Scoring"; the two sides have had several names. Neither texts nor scores are
//! kept. Knows nothing of other dialects.

use crate::dialect::contract::{Dialect, Reader};
use crate::dialect::kit::member::{decode, keep, members, typed};
use crate::dialect::kit::unary::Unary;
use crate::dialect::kit::{path, prompt};
use crate::dialect::part::{PromptKind, Visitor};
use crate::exchange::{Operation, Problems, Request};
use crate::parse::json::Value;

/// The dialect.
pub(super) struct Score;

impl Dialect for Score {
    fn operation(&self) -> Operation {
        Operation::Score
    }

    fn route(&self) -> &'static str {
        "/v1/score"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST" && path::ends_in(path, &["score"])
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
        prompt::texts(sides, PromptKind::Unknown, visitor);
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<Unary>::default()
    }
}
