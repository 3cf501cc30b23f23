//! What a request for a chat or text completion asks for.

use crate::dialect::kit::cache::CacheParameters;
use crate::dialect::kit::forced::{self, forced_tool};
use crate::dialect::kit::member::{self, decode, keep, typed};
use crate::dialect::kit::sampling::{SAMPLING, format_type, read_sampling};
use crate::exchange::{OutputType, Problems, Request};
use crate::parse::json::{self, Index, Selection, Value};

/// Reads a request body. `prompt` names the members that hold the prompt, which `show` gets with what its cache depends on.
pub(super) fn read<const N: usize>(
    body: &[u8],
    prompt: [&'static str; N],
    show: impl FnOnce([Option<Value<'_>>; N], &CacheParameters<'_>),
    request: &mut Request,
    problems: &mut Problems,
) {
    let text = decode(body);
    let mut prompt = Selection::of(prompt);
    let mut general = Selection::of([
        "model",
        "stream",
        "reasoning_effort",
        "service_tier",
        "response_format",
        "modalities",
        // What gateways know a conversation by: OpenRouter, LiteLLM.
        "session_id",
        "litellm_session_id",
    ]);
    let mut limits = Selection::of(["max_completion_tokens", "max_tokens", "n"]);
    let mut sampling = Selection::of(SAMPLING);
    let mut cache = CacheParameters::none();
    let mut tools = Selection::of(forced::MEMBERS);
    // Messages are walked over part by part: with an index, nothing is looked through twice.
    let mut index = Index::default();
    let Ok(object) = json::parse_object_indexed(&text, &mut index) else {
        problems.malformed += 1;
        return;
    };
    for (key, value) in object.members() {
        let noted = prompt.note(key, value) || general.note(key, value) || limits.note(key, value);
        if !noted {
            sampling.note(key, value);
        }
        cache.note(key, value);
        tools.note(key, value);
    }
    let mut integer = |member| typed(member, problems, Value::as_i64);
    let [limit, old_limit, choices] = limits.found.map(&mut integer);
    request.max_tokens = limit.or(old_limit);
    request.choice_count = choices;
    read_sampling(sampling.found, request, problems);
    let [
        model,
        stream,
        effort,
        tier,
        format,
        modalities,
        session,
        litellm_session,
    ] = general.found;
    let mut text = |member| typed(member, problems, Value::as_text).map(keep);
    request.model = text(model);
    request.reasoning_level = text(effort);
    request.service_tier = text(tier);
    request.conversation_id = text(session.or(litellm_session));
    request.stream = typed(stream, problems, Value::as_bool);
    request.output_type = output_type(format, modalities, problems);
    request.forced_tool = forced_tool(tools.found);
    show(prompt.found, &cache);
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
