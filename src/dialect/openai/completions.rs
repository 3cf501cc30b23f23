//! Text completions, the older API: `POST …/completions`.
//!
//! Governing text: the OpenAI API reference, "Completions". Knows nothing of other dialects.

use super::{Completion, request};
use crate::dialect::contract::{Dialect, Reader};
use crate::dialect::kit::cache::CacheParameters;
use crate::dialect::kit::chunks::ChunkReader;
use crate::dialect::kit::{path, prompt};
use crate::dialect::part::{Part, Place, PromptKind, Role, Visitor};
use crate::exchange::{Operation, Problems, Request};
use crate::parse::json::Value;

/// The dialect.
pub(in crate::dialect) struct OpenAiCompletions;

impl Dialect for OpenAiCompletions {
    fn operation(&self) -> Operation {
        Operation::Completions
    }

    fn route(&self) -> &'static str {
        "/v1/completions"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST"
            && path::ends_in(path, &["completions"])
            && !path::ends_in(path, &["chat", "completions"])
    }

    fn request(
        &self,
        body: &[u8],
        request: &mut Request,
        problems: &mut Problems,
        visitor: &mut dyn Visitor,
    ) {
        let show = |[text, suffix]: [Option<Value<'_>>; 2], _: &CacheParameters<'_>| {
            if prompt::texts([text], PromptKind::Plain, visitor) {
                prompt::text(suffix, Part::Suffix, Place::said_by(Role::User), visitor);
            }
        };
        request::read(body, ["prompt", "suffix"], show, request, problems);
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<ChunkReader<Completion>>::default()
    }
}
