//! What the calls share that are answered by one JSON body in which no text is generated: embeddings, moderations,
//! ranking, scores, tokens, search.
//!
//! The envelope is that of a chat answer without choices. The results themselves, vectors, scores, tokens or documents,
//! are not read. Governing text: the OpenAI API reference; Cohere's and Jina's for ranking. Knows nothing of the request.

use crate::dialect::contract::{Facts, Output, Reader};
use crate::dialect::kit::chunks::{ChunkReader, Chunks};
use crate::dialect::kit::member::{decode, object, tokens, typed};
use crate::exchange::{Quirk, Usage};
use crate::parse::json;

/// What the ids of infinity's answers begin with. Its usage counts characters, unless it was started to count tokens, which
/// the wire does not tell.
const COUNTS_CHARACTERS: &str = "infinity-";

/// Reads one such answer.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Unary(ChunkReader<Bare>);

/// An envelope with nothing in it that is read.
#[derive(Debug, Default)]
struct Bare;

impl Chunks for Bare {}

impl Reader for Unary {
    /// None of these APIs has a stream: what a relay wraps into an event is the whole answer.
    fn event(&mut self, name: &[u8], data: &[u8], facts: &mut Facts) -> Output {
        let output = self.0.event(name, data, facts);
        facts.response.done = true;
        settle_usage(data, facts);
        output
    }

    /// Results are lists, of vectors above all.
    fn reads_lists(&self) -> bool {
        false
    }

    fn body(&mut self, status: u16, body: &[u8], facts: &mut Facts) -> Output {
        // Text Embeddings Inference and llama.cpp's own paths answer with the bare list of results.
        if status < 400 && body.trim_ascii_start().starts_with(b"[") {
            return Output::default();
        }
        let output = self.0.body(status, body, facts);
        settle_usage(body, facts);
        output
    }
}

/// Makes the usage what it is of a call in which nothing is generated: input, wherever it stands.
fn settle_usage(body: &[u8], facts: &mut Facts) {
    // vLLM and Mistral report output all the same, a zero.
    facts.usage.output_tokens = None;
    let id = facts.response.id.as_deref().unwrap_or_default();
    if id.starts_with(COUNTS_CHARACTERS) {
        facts.quirks.insert(Quirk::OtherUnits);
        facts.usage = Usage::default();
        return;
    }
    // LitServe has places for counts, and does not count. No input has no token.
    let usage = &mut facts.usage;
    for slot in [&mut usage.input_tokens, &mut usage.total_tokens] {
        facts.quirks.insert_if(*slot == Some(0), Quirk::ZeroUsage);
        *slot = slot.filter(|count| *count > 0);
    }
    if facts.usage.input_tokens.is_none() && facts.response.error.is_none() {
        read_meta(body, facts);
        // Of a ranking Jina and vLLM report the total only.
        let usage = &mut facts.usage;
        usage.input_tokens = usage.input_tokens.or(usage.total_tokens);
    }
}

/// What Cohere says of tokens: those it bills stand above those it read. Its search units are no tokens.
fn read_meta(body: &[u8], facts: &mut Facts) {
    let text = decode(body);
    let Ok((body, _)) = json::parse_prefix(text.trim_ascii()) else {
        return;
    };
    let problems = &mut facts.problems;
    let Some(meta) = typed(body.get("meta"), problems, object) else {
        return;
    };
    for counts in meta.select(["tokens", "billed_units"]) {
        let counts = typed(counts, problems, object);
        let input = counts.and_then(|counts| counts.get("input_tokens"));
        if let Some(input) = typed(input, problems, tokens) {
            facts.usage.input_tokens = Some(input);
        }
    }
}
