//! Requests of Ollama's own API.

use super::prompt;
use crate::dialect::kit::cache::CacheParameters;
use crate::dialect::kit::member::{self, decode, keep, typed};
use crate::dialect::kit::sampling::{SAMPLING, read_sampling};
use crate::dialect::part::Visitor;
use crate::exchange::{OutputType, Problems, Request};
use crate::parse::json::{self, Kind, Selection, Value};

/// Reads a request body. `streams` says that an answer is streamed where the request does not say otherwise, `last` is the
/// last segment of the path.
pub(super) fn read(
    body: &[u8],
    (streams, last): (bool, &str),
    request: &mut Request,
    problems: &mut Problems,
    visitor: &mut dyn Visitor,
) {
    let text = decode(body);
    let mut asked = Selection::of([
        "model",
        "stream",
        "think",
        "format",
        "options",
        "dimensions",
    ]);
    let mut held = Selection::of(prompt::MEMBERS);
    let mut cache = CacheParameters::none();
    let parsed = json::parse_object(&text, |key, value| {
        asked.note(key, value);
        held.note(key, value);
        cache.note(key, value);
    });
    if parsed.is_err() {
        problems.malformed += 1;
        return;
    }
    let [model, stream, think, format, options, dimensions] = asked.found;
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
    cache.show(visitor);
    prompt::show(held.found, last, visitor);
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
