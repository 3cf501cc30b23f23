//! Moderations: `POST …/moderations`.
//!
//! Governing text: the OpenAI API reference, "Moderations", which reports no tokens; Mistral does. Verdicts are not read.
//! Knows nothing of other dialects.

use super::member::{decode, keep, members, typed};
use super::openai::{length, unary::Unary};
use super::{Dialect, Reader, path};
use crate::exchange::{Call, Problems, Request};
use crate::json::Value;

/// The dialect.
pub(super) struct OpenAiModerations;

impl Dialect for OpenAiModerations {
    fn call(&self) -> Call {
        Call::Moderation
    }

    fn route(&self) -> &'static str {
        "/v1/moderations"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST" && path::ends_in(path, &["moderations"])
    }

    fn request(&self, body: &[u8], request: &mut Request, problems: &mut Problems) {
        let text = decode(body);
        let Some([model, input]) = members(&text, ["model", "input"], problems) else {
            return;
        };
        request.model = typed(model, problems, Value::as_text).map(keep);
        request.prompt_chars = length::all_texts([input]);
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<Unary>::default()
    }
}
