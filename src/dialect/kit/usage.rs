//! Token counts, by any of their names.
//!
//! A stream may report them never, once, or on every chunk as a running total, so each field's last value wins and
//! nothing is summed. Some servers (MiniMax) send zeros as a placeholder: a zero does not overwrite a number. Chat calls
//! them by prompt and completion, the Responses API and Messages by input and output; relays of one to the other mix them, and
//! so they do with what the cache served. The Realtime API and that of transcriptions spell `…_token_details`. What the counts
//! come to together is the business of `counts`.

use crate::dialect::contract::Facts;
use crate::dialect::counts::{Cached, Told, update};
use crate::dialect::kit::member::{count, object, tokens, typed};
use crate::exchange::{Problems, Usage};
use crate::parse::json::{Kind, Value};

/// Takes over what a `usage` member reports. Absent and `null` report nothing.
pub(in crate::dialect) fn merge(member: Option<Value<'_>>, facts: &mut Facts) {
    merge_as(Cached::Within, member, facts);
}

/// As [`merge`], of Anthropic's API, where `input_tokens` are what the cache did neither serve nor take up.
pub(in crate::dialect) fn merge_uncached(member: Option<Value<'_>>, facts: &mut Facts) {
    merge_as(Cached::Beside, member, facts);
}

/// Reads a usage object by itself, whatever API it is of: Anthropic's names for what its cache did say that the input has no
/// cached tokens in it.
pub(in crate::dialect) fn read(object: Value<'_>, facts: &mut Facts) {
    let of_anthropic = ["cache_read_input_tokens", "cache_creation_input_tokens"];
    let prompt = object.get("prompt_tokens").is_none();
    let uncached = prompt && of_anthropic.iter().any(|name| object.get(name).is_some());
    let cached = if uncached {
        Cached::Beside
    } else {
        Cached::Within
    };
    merge_as(cached, Some(object), facts);
}

fn merge_as(cached: Cached, member: Option<Value<'_>>, facts: &mut Facts) {
    let Some(reported) = typed(member, &mut facts.problems, object) else {
        return;
    };
    let names = Names::of(reported);
    let problems = &mut facts.problems;
    let mut more = Usage::default();
    let told = names.told(cached, &mut more, problems);
    let steps = names.iterations.filter(|list| list.kind() == Kind::Array);
    let steps = steps.and_then(|steps| sum(steps, problems));
    facts.counts.report(told, &more, steps, &mut facts.usage);
}

/// The sums over the steps of a call: its message, compactions of what came before it, other models that were asked.
fn sum(steps: Value<'_>, problems: &mut Problems) -> Option<Told> {
    let mut sum = Told::default();
    for step in steps.elements() {
        let step = typed(Some(step), problems, object)?;
        let step = Names::of(step).told(Cached::Beside, &mut Usage::default(), problems);
        sum.add_step(step);
    }
    (sum != Told::default()).then_some(sum)
}

/// The members of usage that are read, by what they count.
#[derive(Default)]
struct Names<'a> {
    /// Input, cached tokens in it.
    prompt: Option<Value<'a>>,
    /// Input, by the name of which it depends on the API whether it has cached tokens in it.
    input: Option<Value<'a>>,
    output: Option<Value<'a>>,
    total: Option<Value<'a>>,
    /// Served by the cache, and part of the input: Moonshot, DeepSeek.
    cached: Option<Value<'a>>,
    /// The same by Anthropic's names.
    cache_read: Option<Value<'a>>,
    cache_write: Option<Value<'a>>,
    /// How many were written for how long.
    cache_creation: Option<Value<'a>>,
    reasoning: Option<Value<'a>>,
    input_details: Option<Value<'a>>,
    output_details: Option<Value<'a>>,
    iterations: Option<Value<'a>>,
    /// What the provider's own tools did.
    server_tools: Option<Value<'a>>,
}

impl<'a> Names<'a> {
    /// The compiler tells names apart by their lengths first.
    fn of(reported: Value<'a>) -> Self {
        let mut names = Self::default();
        let there = reported.members().filter(|(_, value)| !value.is_null());
        for (name, value) in there {
            let slot = match &*name.decode() {
                "prompt_tokens" => &mut names.prompt,
                "input_tokens" => &mut names.input,
                "completion_tokens" | "output_tokens" => &mut names.output,
                "total_tokens" => &mut names.total,
                "cached_tokens" | "prompt_cache_hit_tokens" => &mut names.cached,
                "cache_read_input_tokens" | "cache_read_tokens" => &mut names.cache_read,
                "cache_creation_input_tokens" | "cache_creation_tokens" | "cache_write_tokens" => {
                    &mut names.cache_write
                }
                "cache_creation" => &mut names.cache_creation,
                "reasoning_tokens" | "thinking_tokens" => &mut names.reasoning,
                "prompt_tokens_details" | "input_tokens_details" | "input_token_details" => {
                    &mut names.input_details
                }
                "completion_tokens_details" | "output_tokens_details" | "output_token_details" => {
                    &mut names.output_details
                }
                "iterations" => &mut names.iterations,
                "server_tool_use" => &mut names.server_tools,
                _ => continue,
            };
            // Relays fill in only one of two names.
            let is_empty = slot.is_none_or(|before| is_zero(before) || !is_zero(value));
            if is_empty {
                *slot = Some(value);
            }
        }
        names
    }

    /// What is reported; `more` takes what the main counts are made up of.
    fn told(&self, cached: Cached, more: &mut Usage, problems: &mut Problems) -> Told {
        let mut read = |member: Option<Value<'_>>| typed(member, problems, tokens);
        let (prompt, input) = (read(self.prompt), read(self.input));
        let mut told = Told {
            input: prompt.filter(|prompt| *prompt > 0).or(input).or(prompt),
            output: read(self.output),
            cache_read: read(self.cache_read),
            cache_write: read(self.cache_write),
            cached,
        };
        more.total_tokens = read(self.total);
        more.reasoning_output_tokens = read(self.reasoning);
        let part = read(self.cached);
        update(&mut told.cache_read, part);
        let listed = update_input_details(self.input_details, &mut told, more, problems);
        let is_some = |count: Option<u64>| count.is_some_and(|count| count > 0);
        if is_some(prompt) || is_some(part) || is_some(listed) {
            told.cached = Cached::Within;
        }
        update_output_details(self.output_details, more, problems);
        let is_object = |it: &Value<'_>| it.kind() == Kind::Object;
        let times = self.cache_creation.filter(is_object);
        let mut read = |member: Option<Value<'_>>| typed(member, problems, count);
        if let Some(times) = times {
            let written = ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"];
            let [short, long] = times.select(written).map(&mut read);
            more.cache_write_5m_input_tokens = short;
            more.cache_write_1h_input_tokens = long;
        }
        let tools = self.server_tools.filter(is_object);
        more.web_searches = read(tools.and_then(|tools| tools.get("web_search_requests")));
        if told.cache_write.is_none() {
            let times = times.into_iter().flat_map(Value::members);
            let counts = times.filter_map(|(_, written)| tokens(written));
            told.cache_write = counts.reduce(u64::saturating_add);
        }
        told
    }
}

fn is_zero(value: Value<'_>) -> bool {
    count(value) == Some(0)
}

/// Takes over how the input tokens are made up. Says how many cached ones are among them.
fn update_input_details(
    details: Option<Value<'_>>,
    told: &mut Told,
    more: &mut Usage,
    problems: &mut Problems,
) -> Option<u64> {
    let details = typed(details, problems, object)?;
    update_cached_details(details.get("cached_tokens_details"), more, problems);
    let [cached, written, created, audio, text, image] = details
        .select([
            "cached_tokens",
            "cache_write_tokens",
            "cache_creation_tokens",
            "audio_tokens",
            "text_tokens",
            "image_tokens",
        ])
        .map(|member| typed(member, problems, tokens));
    update(&mut told.cache_read, cached);
    update(&mut told.cache_write, written.or(created));
    more.audio_input_tokens = audio;
    more.text_input_tokens = text;
    more.image_input_tokens = image;
    cached
}

/// Takes over how the cached tokens are made up, as the Realtime API tells it.
fn update_cached_details(details: Option<Value<'_>>, more: &mut Usage, problems: &mut Problems) {
    let Some(details) = typed(details, problems, object) else {
        return;
    };
    let [text, image, audio] = details
        .select(["text_tokens", "image_tokens", "audio_tokens"])
        .map(|member| typed(member, problems, tokens));
    more.text_cache_read_input_tokens = text;
    more.image_cache_read_input_tokens = image;
    more.audio_cache_read_input_tokens = audio;
}

/// Takes over how the output tokens are made up.
fn update_output_details(details: Option<Value<'_>>, more: &mut Usage, problems: &mut Problems) {
    let Some(details) = typed(details, problems, object) else {
        return;
    };
    let [reasoning, thinking, audio, text, image] = details
        .select([
            "reasoning_tokens",
            "thinking_tokens",
            "audio_tokens",
            "text_tokens",
            "image_tokens",
        ])
        .map(|member| typed(member, problems, tokens));
    update(&mut more.reasoning_output_tokens, reasoning.or(thinking));
    more.audio_output_tokens = audio;
    more.text_output_tokens = text;
    more.image_output_tokens = image;
}

/// Takes over one count, unless it is a zero after a number.
pub(in crate::dialect) fn take(
    slot: &mut Option<u64>,
    member: Option<Value<'_>>,
    problems: &mut Problems,
) {
    update(slot, typed(member, problems, tokens));
}
