//! Moderations: `POST …/moderations`.
//!
//! Governing text: the OpenAI API reference, "Moderations", which reports no tokens; Mistral does. Verdicts are not read.
//! Knows nothing of other dialects.

use crate::dialect::contract::{Dialect, Reader};
use crate::dialect::kit::member::{decode, keep, members, typed};
use crate::dialect::kit::unary::Unary;
use crate::dialect::kit::{path, prompt};
use crate::dialect::part::{PromptKind, Visitor};
use crate::exchange::{Operation, Problems, Request};
use crate::parse::json::Value;

/// The dialect.
pub(super) struct OpenAiModerations;

impl Dialect for OpenAiModerations {
    fn operation(&self) -> Operation {
        Operation::Moderation
    }

    fn route(&self) -> &'static str {
        "/v1/moderations"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST" && path::ends_in(path, &["moderations"])
    }

    fn request(
        &self,
        body: &[u8],
        request: &mut Request,
        problems: &mut Problems,
        visitor: &mut dyn Visitor,
    ) {
        let text = decode(body);
        let Some([model, input]) = members(&text, ["model", "input"], problems) else {
            return;
        };
        request.model = typed(model, problems, Value::as_text).map(keep);
        prompt::texts([input], PromptKind::Unknown, visitor);
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<Unary>::default()
    }
}
