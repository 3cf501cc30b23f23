//! What chat and text completion requests share.

use crate::dialect::member::{self, decode, keep, typed};
use crate::exchange::{OutputType, Problems, Request};
use crate::json::{self, Kind, Selection, Value};

/// Most stop sequences that are kept; the API allows four.
const STOPS_KEPT: usize = 16;

/// Reads a request body. `prompt` names the member that holds the prompt, `prompt_chars` measures it.
pub(in crate::dialect) fn read(
    body: &[u8],
    prompt: &'static str,
    prompt_chars: impl FnOnce(Value<'_>) -> Option<u64>,
    request: &mut Request,
    problems: &mut Problems,
) {
    let text = decode(body);
    let mut general = Selection::of([
        prompt,
        "model",
        "stream",
        "reasoning_effort",
        "service_tier",
        "response_format",
        "modalities",
    ]);
    let mut limits = Selection::of(["max_completion_tokens", "max_tokens", "n"]);
    let mut sampling = Selection::of(SAMPLING);
    let parsed = json::parse_object(&text, |key, value| {
        general.note(key, value);
        limits.note(key, value);
        sampling.note(key, value);
    });
    if parsed.is_err() {
        problems.malformed += 1;
        return;
    }
    let mut integer = |member| typed(member, problems, Value::as_i64);
    let [limit, old_limit, choices] = limits.found.map(&mut integer);
    request.max_tokens = limit.or(old_limit);
    request.choice_count = choices;
    read_sampling(sampling.found, request, problems);
    let [prompt, model, stream, effort, tier, format, modalities] = general.found;
    let mut text = |member| typed(member, problems, Value::as_text).map(keep);
    request.model = text(model);
    request.reasoning_level = text(effort);
    request.service_tier = text(tier);
    request.stream = typed(stream, problems, Value::as_bool);
    request.output_type = output_type(format, modalities, problems);
    request.prompt_chars = prompt.and_then(prompt_chars);
}

/// What [`read_sampling`] reads, in its order.
pub(in crate::dialect) const SAMPLING: [&str; 7] = [
    "top_k",
    "seed",
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "stop",
];

/// Reads how tokens are chosen and when to stop.
pub(in crate::dialect) fn read_sampling(
    found: [Option<Value<'_>>; SAMPLING.len()],
    request: &mut Request,
    problems: &mut Problems,
) {
    let [top_k, seed, temperature, top_p, frequency, presence, stop] = found;
    request.top_k = typed(top_k, problems, Value::as_i64);
    request.seed = typed(seed, problems, Value::as_i64);
    let mut float = |member| typed(member, problems, Value::as_f64);
    request.temperature = float(temperature);
    request.top_p = float(top_p);
    request.frequency_penalty = float(frequency);
    request.presence_penalty = float(presence);
    request.stop_sequences = typed(stop, problems, stop_sequences);
}

/// One stop sequence or several.
pub(in crate::dialect) fn stop_sequences(stop: Value<'_>) -> Option<Vec<String>> {
    match stop.kind() {
        Kind::String => stop.as_text().map(|text| vec![keep(text)]),
        Kind::Array => {
            let texts = stop.elements().take(STOPS_KEPT);
            texts.map(|element| element.as_text().map(keep)).collect()
        }
        _ => None,
    }
}

/// The format asked for by `response_format`, else by `modalities`.
fn output_type(
    format: Option<Value<'_>>,
    modalities: Option<Value<'_>>,
    problems: &mut Problems,
) -> Option<OutputType> {
    let modalities = typed(modalities, problems, member::array);
    let speaks = |name: Value<'_>| name.as_text().is_some_and(|name| name.is("audio"));
    let speech = modalities.is_some_and(|names| names.elements().any(speaks));
    format_type(format, problems).or(speech.then_some(OutputType::Speech))
}

/// The type of a format that is asked for by an object.
pub(in crate::dialect) fn format_type(
    format: Option<Value<'_>>,
    problems: &mut Problems,
) -> Option<OutputType> {
    let format = typed(format, problems, member::object)?;
    let name = typed(format.get("type"), problems, Value::as_text)?;
    match &*name.decode() {
        "json_object" | "json_schema" => Some(OutputType::Json),
        "text" => Some(OutputType::Text),
        _ => None,
    }
}
