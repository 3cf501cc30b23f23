//! What a request for a message asks for.

use crate::dialect::member::{self, decode, keep, typed};
use crate::dialect::openai::{length, request};
use crate::exchange::{Problems, Request};
use crate::json::{Kind, Value};

/// Reads a request body.
pub(super) fn read(body: &[u8], request: &mut Request, problems: &mut Problems) {
    let text = decode(body);
    let names = [
        "model",
        "stream",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "service_tier",
        "output_config",
        "output_format",
        "system",
        "messages",
    ];
    let Some(found) = member::members(&text, names, problems) else {
        return;
    };
    let [
        model,
        stream,
        limit,
        temperature,
        top_p,
        top_k,
        stop,
        tier,
        output,
        format,
        system,
        messages,
    ] = found;
    request.stream = typed(stream, problems, Value::as_bool);
    request.max_tokens = typed(limit, problems, Value::as_i64);
    request.temperature = typed(temperature, problems, Value::as_f64);
    request.top_p = typed(top_p, problems, Value::as_f64);
    request.top_k = typed(top_k, problems, Value::as_i64);
    request.stop_sequences = typed(stop, problems, request::stop_sequences);
    let output = typed(output, problems, member::object);
    let [effort, newer_format] =
        output.map_or([None; 2], |output| output.select(["effort", "format"]));
    // The format stood beside `output_config` while it was a beta.
    request.output_type = request::format_type(newer_format.or(format), problems);
    let mut text = |member| typed(member, problems, Value::as_text).map(keep);
    request.model = text(model);
    request.service_tier = text(tier);
    request.reasoning_level = text(effort);
    request.prompt_chars = prompt_chars(system, messages);
}

/// Code points of the system prompt and of the texts in all messages, those in tool results among them.
fn prompt_chars(system: Option<Value<'_>>, messages: Option<Value<'_>>) -> Option<u64> {
    let messages = messages.filter(|messages| messages.kind() == Kind::Array)?;
    let contents = messages.elements().filter_map(|it| it.get("content"));
    let messages: u64 = contents.map(content_chars).sum();
    Some(messages + system.and_then(length::texts).unwrap_or_default())
}

/// Code points of a text, or of the texts in a list of blocks.
fn content_chars(content: Value<'_>) -> u64 {
    let inner = content.elements().filter_map(|block| block.get("content"));
    let results: u64 = inner.filter_map(length::texts).sum();
    results + length::texts(content).unwrap_or_default()
}
