//! How an answer is to be made, as the requests of several APIs say it: how tokens are chosen, when to stop, in which format.

use crate::dialect::kit::member::{self, keep, typed};
use crate::exchange::{OutputType, Problems, Request};
use crate::parse::json::{Kind, Value};

/// Most stop sequences that are kept; the API allows four.
const STOPS_KEPT: usize = 16;

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
