//! Tokens in, tokens out: `POST …/inference/v1/generate`, by which the halves of a divided vLLM call each other, and trainers
//! call it.
//!
//! Governing text: vLLM's documentation, "Disaggregated serving", and its source. The envelope is that of a completion whose
//! choices have tokens in place of text. Knows nothing of other dialects.

use crate::dialect::contract::{Dialect, Facts, Output, Reader};
use crate::dialect::kit::choice::Choices;
use crate::dialect::kit::chunks::{ChunkReader, Chunks};
use crate::dialect::kit::member::{decode, keep, members, object, typed};
use crate::dialect::kit::sampling::{SAMPLING, read_sampling};
use crate::dialect::kit::{path, prompt};
use crate::dialect::part::{Part, PromptKind, Visitor};
use crate::exchange::{Operation, Problems, Request};
use crate::parse::json::Value;

/// The dialect.
pub(super) struct VllmGenerate;

impl Dialect for VllmGenerate {
    fn operation(&self) -> Operation {
        Operation::Completions
    }

    fn route(&self) -> &'static str {
        "/inference/v1/generate"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST" && path::ends_in(path, &["inference", "v1", "generate"])
    }

    fn request(
        &self,
        body: &[u8],
        request: &mut Request,
        problems: &mut Problems,
        visitor: &mut dyn Visitor,
    ) {
        let text = decode(body);
        let names = ["model", "stream", "token_ids", "sampling_params"];
        let Some([model, stream, tokens, sampling]) = members(&text, names, problems) else {
            return;
        };
        request.model = typed(model, problems, Value::as_text).map(keep);
        request.stream = typed(stream, problems, Value::as_bool);
        if let Some(sampling) = typed(sampling, problems, object) {
            let [limit, choices] = sampling.select(["max_tokens", "n"]);
            request.max_tokens = typed(limit, problems, Value::as_i64);
            request.choice_count = typed(choices, problems, Value::as_i64);
            read_sampling(sampling.select(SAMPLING), request, problems);
        }
        prompt::texts([tokens], PromptKind::Plain, visitor);
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<ChunkReader<Generated>>::default()
    }
}

/// What was generated so far.
#[derive(Debug, Default)]
struct Generated {
    choices: Choices,
}

impl Chunks for Generated {
    fn choices(&mut self, choices: Value<'_>, facts: &mut Facts) -> Output {
        let mut output = self.choices.read(choices, facts);
        for choice in choices.elements() {
            let tokens = choice.get("token_ids");
            if let Some(tokens) = tokens.filter(|tokens| tokens.elements().next().is_some()) {
                facts.show(0, &Part::Tokens(tokens));
                output.content = true;
            }
        }
        output
    }
}
