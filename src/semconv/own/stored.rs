//! Under which names the store of prompts has what was said.

use crate::exchange::Exchange;
use crate::semconv::{Attributes, content};

const PROMPT_HASH: &str = "streamgauge.prompt.hash";
const PROMPT_URL: &str = "streamgauge.prompt.url";
const ANSWER_HASH: &str = "streamgauge.answer.hash";
const ANSWER_URL: &str = "streamgauge.answer.url";

/// Puts them on the inference span, and why content is not whole where the span or the store has it.
pub(super) fn attributes(exchange: &Exchange, span: &mut Attributes<'_>) {
    let Some(content) = exchange.content.as_deref() else {
        return;
    };
    let stored = content.stored.as_deref();
    if content.policy.attributes || stored.is_some() {
        let missing = content.missing.iter().map(|missing| missing.as_str());
        span.put_list(content::MISSING, missing);
    }
    let Some(stored) = stored else { return };
    span.put(PROMPT_HASH, stored.prompt.to_string());
    span.put_some(ANSWER_HASH, stored.answer.map(|hash| hash.to_string()));
    if let Some(links) = &stored.links {
        span.put(PROMPT_URL, links.prompt.as_str());
        span.put_some(ANSWER_URL, links.answer.as_deref());
    }
}
