//! Requests of Ollama's own API.

use crate::dialect::member::{self, decode, keep, members, typed};
use crate::dialect::openai::length;
use crate::dialect::openai::request::{SAMPLING, read_sampling};
use crate::exchange::{OutputType, Problems, Request};
use crate::json::{Kind, Value};

/// Reads a request body. `streams` says that an answer is streamed where the request does not say otherwise.
pub(super) fn read(body: &[u8], streams: bool, request: &mut Request, problems: &mut Problems) {
    let text = decode(body);
    let names = [
        "model",
        "stream",
        "think",
        "format",
        "options",
        "dimensions",
        "messages",
        "system",
        "prompt",
        "input",
    ];
    let Some(
        [
            model,
            stream,
            think,
            format,
            options,
            dimensions,
            messages,
            texts @ ..,
        ],
    ) = members(&text, names, problems)
    else {
        return;
    };
    request.model = typed(model, problems, Value::as_text).map(keep);
    request.stream = match stream.filter(|stream| !stream.is_null()) {
        None => streams.then_some(true),
        given => typed(given, problems, Value::as_bool),
    };
    // Whether to think is true or false, or says how hard.
    let effort = think.filter(|think| think.kind() != Kind::Bool);
    request.reasoning_level = typed(effort, problems, Value::as_text).map(keep);
    request.output_type = format.and_then(output_type);
    request.dimensions = typed(dimensions, problems, Value::as_i64);
    let messages = messages.and_then(length::messages);
    request.prompt_chars = messages.or_else(|| length::all_texts(texts));
    if let Some(options) = typed(options, problems, member::object) {
        read_options(options, request, problems);
    }
}

/// A schema, or the word for any JSON.
fn output_type(format: Value<'_>) -> Option<OutputType> {
    let any = format.as_text().is_some_and(|name| name.is("json"));
    (any || format.kind() == Kind::Object).then_some(OutputType::Json)
}

fn read_options(options: Value<'_>, request: &mut Request, problems: &mut Problems) {
    // A negative limit is none.
    let limit = typed(options.get("num_predict"), problems, Value::as_i64);
    request.max_tokens = limit.filter(|limit| *limit >= 0);
    read_sampling(options.select(SAMPLING), request, problems);
}
