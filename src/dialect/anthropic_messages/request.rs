//! What a request for a message asks for.

use std::sync::LazyLock;
use std::time::Duration;

use memchr::memmem::Finder;

use super::prompt;
use crate::dialect::kit::cache::{CacheParameters, ttl_of};
use crate::dialect::kit::forced::{self, forced_tool};
use crate::dialect::kit::member::{self, decode, keep, typed};
use crate::dialect::kit::sampling::{format_type, stop_sequences};
use crate::dialect::part::Visitor;
use crate::exchange::{Problems, Request, TOOL_CHOICE};
use crate::parse::json::{Selection, Value};

/// Reads a request body.
pub(super) fn read(
    body: &[u8],
    request: &mut Request,
    problems: &mut Problems,
    visitor: &mut dyn Visitor,
) {
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
        "tools",
        "mcp_servers",
    ];
    let mut cache = CacheParameters::none();
    let mut offered = Selection::of(forced::MEMBERS);
    let found = member::members_and_all(&text, names, problems, |key, value| {
        cache.note(key, value);
        offered.note(key, value);
    });
    let Some(found) = found else {
        return;
    };
    let lifetime = lifetime(&text);
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
        held @ ..,
    ] = found;
    request.stream = typed(stream, problems, Value::as_bool);
    request.max_tokens = typed(limit, problems, Value::as_i64);
    request.temperature = typed(temperature, problems, Value::as_f64);
    request.top_p = typed(top_p, problems, Value::as_f64);
    request.top_k = typed(top_k, problems, Value::as_i64);
    request.stop_sequences = typed(stop, problems, stop_sequences);
    let output = typed(output, problems, member::object);
    let [effort, newer_format] =
        output.map_or([None; 2], |output| output.select(["effort", "format"]));
    // The format stood beside `output_config` while it was a beta.
    request.output_type = format_type(newer_format.or(format), problems);
    let mut text = |member| typed(member, problems, Value::as_text).map(keep);
    request.model = text(model);
    request.service_tier = text(tier);
    request.reasoning_level = text(effort);
    request.forced_tool = forced_tool(offered.found);
    cache.show(visitor);
    let [choice, ..] = offered.found;
    if let Some(choice) = choice.filter(|choice| !choice.is_null()) {
        visitor.parameter(TOOL_CHOICE, choice);
    }
    if let Some(lifetime) = lifetime {
        visitor.cache_lifetime(lifetime);
    }
    prompt::show(held, visitor);
}

/// The shortest time for which what is marked is to be kept since its last use; `None` where nothing is marked. A mark may stand
/// at any block, and at the request itself. It cannot be taken for a text: the quotes in one are escaped.
fn lifetime(body: &str) -> Option<Duration> {
    static MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"cache_control\""));
    const DEFAULT: Duration = Duration::from_secs(5 * 60);
    let marks = MARK.find_iter(body.as_bytes());
    let lifetimes = marks.filter_map(|at| {
        let mark = body[at + MARK.needle().len()..].trim_start();
        let mark = mark.strip_prefix(':')?.trim_start().strip_prefix('{')?;
        let (mark, _) = mark.split_once('}')?;
        let (_, ttl) = mark.split_once("\"ttl\"").unwrap_or_default();
        let mut words = ttl.split('"').skip(1);
        Some(words.next().and_then(ttl_of).unwrap_or(DEFAULT))
    });
    lifetimes.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_of_the_marks_is_how_long_a_prompt_is_kept() {
        for (body, minutes) in [
            (r#"{"messages":[]}"#, None),
            (r#"{"cache_control":null}"#, None),
            (r#"{"cache_control": {"type":"ephemeral"}}"#, Some(5)),
            (
                r#"{"cache_control" : { "type":"ephemeral", "ttl" : "1h" }}"#,
                Some(60),
            ),
            (
                r#"[{"cache_control":{"ttl":"1h"}},{"cache_control":{"type":"ephemeral"}}]"#,
                Some(5),
            ),
            (r#"{"text":"{\"cache_control\":{\"ttl\":\"1h\"}}"}"#, None),
            (r#"{"cache_control":{"#, None),
        ] {
            let lifetime = lifetime(body);
            assert_eq!(lifetime.map(|it| it.as_secs() / 60), minutes, "{body}");
        }
    }
}
