//! One response of a session: its events, from `response.created` to the one that ends it.
//!
//! Deltas are what counts as output. The `done` events repeat their text, and the last one repeats everything but the sound,
//! so of those only what did not come before is taken over.

use crate::dialect::member::{self, add, cut, keep, typed};
use crate::dialect::openai::{error, usage};
use crate::dialect::{Facts, Output};
use crate::exchange::{Choice, ToolCall};
use crate::json::{Text, Value};

/// Most tool calls that are kept.
const CALLS_KEPT: usize = 128;

/// Longest name that is kept, in bytes.
const NAME_KEPT: usize = 256;

/// Reads the events of one response.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The item of each call in [`Response::tool_calls`](crate::exchange::Response::tool_calls).
    items: Vec<String>,
}

impl Answer {
    /// Reads an event of this type; says what output it carried.
    pub(super) fn read(&mut self, kind: &str, event: Value<'_>, facts: &mut Facts) -> Output {
        let mut output = Output::default();
        match kind {
            "response.output_text.delta"
            | "response.text.delta"
            | "response.output_audio_transcript.delta"
            | "response.audio_transcript.delta" => {
                output.content = count(event, facts, |facts| &mut facts.response.content_chars);
            }
            "response.output_audio.delta" | "response.audio.delta" => {
                let sound = typed(event.get("delta"), &mut facts.problems, Value::as_text);
                output.audio = sound.is_some_and(|sound| !sound.is_empty());
            }
            "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => {
                output.reasoning = count(event, facts, |facts| &mut facts.response.reasoning_chars);
            }
            "response.refusal.delta" => {
                output.other = count(event, facts, |facts| &mut facts.response.refusal_chars);
            }
            "response.function_call_arguments.delta"
            | "response.custom_tool_call_input.delta"
            | "response.mcp_call_arguments.delta" => {
                output.tool_call = self.arguments(event, facts)
            }
            "response.output_item.added" | "response.output_item.done" => {
                if let Some(item) = typed(event.get("item"), &mut facts.problems, member::object) {
                    output.tool_call = self.item(item, facts);
                }
            }
            "response.created" => read_response(event, facts),
            "response.done"
            | "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled" => {
                read_response(event, facts);
                self.whole(event, facts);
                facts.response.done = true;
            }
            // A kind of output that is new to us.
            kind => output.other = kind.ends_with(".delta") && says(event),
        }
        output
    }

    /// A fragment of a call's arguments.
    fn arguments(&mut self, event: Value<'_>, facts: &mut Facts) -> bool {
        let [item, call, delta] = event.select(["item_id", "call_id", "delta"]);
        let Some(delta) = typed(delta, &mut facts.problems, Value::as_text) else {
            return false;
        };
        let at = self.place(text(item).map(keep), text(call).map(keep), facts);
        if let Some(at) = at {
            facts.response.tool_calls[at].arguments_chars += delta.chars();
        }
        !delta.is_empty()
    }

    /// An item that is announced or repeated; says whether it is a call that was not known.
    fn item(&mut self, item: Value<'_>, facts: &mut Facts) -> bool {
        let [kind, id, call, name, arguments, input] =
            item.select(["type", "id", "call_id", "name", "arguments", "input"]);
        let is = |known| {
            kind.and_then(Value::as_text)
                .is_some_and(|kind| kind.is(known))
        };
        if !["function_call", "custom_tool_call", "mcp_call"]
            .iter()
            .any(|known| is(known))
        {
            return false;
        }
        let known = facts.response.tool_calls.len();
        let Some(at) = self.place(text(id).map(keep), text(call).map(keep), facts) else {
            return false;
        };
        let kept = &mut facts.response.tool_calls[at];
        if let Some(name) = text(name).filter(|_| kept.name.is_empty()) {
            kept.name = cut(&name.decode(), NAME_KEPT).to_owned();
        }
        if let Some(whole) = text(arguments.or(input)).filter(|_| kept.arguments_chars == 0) {
            kept.arguments_chars = whole.chars();
        }
        at == known
    }

    /// The call of an item, which is added where it is new; `None` where there are too many, or nothing names it.
    fn place(
        &mut self,
        item: Option<String>,
        call: Option<String>,
        facts: &mut Facts,
    ) -> Option<usize> {
        let calls = &mut facts.response.tool_calls;
        let key = item.or_else(|| call.clone())?;
        if let Some(at) = self.items.iter().position(|known| *known == key) {
            if calls[at].id.is_none() {
                calls[at].id = call;
            }
            return Some(at);
        }
        if calls.len() == CALLS_KEPT {
            facts.response.truncated = true;
            return None;
        }
        calls.push(ToolCall {
            index: calls.len() as u64,
            id: call,
            ..ToolCall::default()
        });
        self.items.push(key);
        Some(calls.len() - 1)
    }

    /// The last event has everything again: takes over the calls of which no other event spoke.
    fn whole(&mut self, event: Value<'_>, facts: &mut Facts) {
        let output = event
            .get("response")
            .and_then(|response| response.get("output"));
        for item in output.into_iter().flat_map(Value::elements) {
            self.item(item, facts);
        }
    }
}

fn text(member: Option<Value<'_>>) -> Option<Text<'_>> {
    member.and_then(Value::as_text)
}

/// Adds an event's delta to a length; says whether it had any.
fn count(
    event: Value<'_>,
    facts: &mut Facts,
    length: impl FnOnce(&mut Facts) -> &mut Option<u64>,
) -> bool {
    let delta = typed(event.get("delta"), &mut facts.problems, Value::as_text);
    delta.is_some_and(|delta| add(length(facts), delta.chars()))
}

fn says(event: Value<'_>) -> bool {
    event
        .get("delta")
        .is_some_and(|delta| match delta.as_text() {
            Some(text) => !text.is_empty(),
            None => !delta.is_null(),
        })
}

/// Reads the object that the first and the last event of a response have.
fn read_response(event: Value<'_>, facts: &mut Facts) {
    let Some(response) = typed(event.get("response"), &mut facts.problems, member::object) else {
        return;
    };
    let [id, model, tier, status, details, incomplete, said, reported] = response.select([
        "id",
        "model",
        "service_tier",
        "status",
        "status_details",
        "incomplete_details",
        "error",
        "usage",
    ]);
    let problems = &mut facts.problems;
    let mut text = |member| typed(member, problems, Value::as_text).filter(|text| !text.is_empty());
    let (id, model, tier, status) = (text(id), text(model), text(tier), text(status));
    let kept = &mut facts.response;
    kept.id = kept.id.take().or_else(|| id.map(keep));
    kept.model = model.map(keep).or(kept.model.take());
    kept.service_tier = tier.map(keep).or(kept.service_tier.take());
    usage::merge(reported, &mut facts.usage, problems);
    let details = typed(details, problems, member::object);
    let incomplete = typed(incomplete, problems, member::object).or(details);
    let reason = incomplete
        .and_then(|details| details.get("reason"))
        .and_then(Value::as_text);
    if let Some(status) = status {
        note_status(status, reason, facts);
    }
    let said = said
        .or_else(|| details?.get("error"))
        .and_then(error::from_member);
    facts.response.error = facts.response.error.take().or(said);
}

/// How a response ended, as a finish reason: `stop` where all is well, as chat says it; why it is incomplete; else the status.
fn note_status(status: Text<'_>, reason: Option<Text<'_>>, facts: &mut Facts) {
    let finish_reason = match &*status.decode() {
        "completed" => Some("stop".to_owned()),
        "incomplete" => Some(keep(reason.unwrap_or(status))),
        "cancelled" | "failed" => Some(keep(status)),
        // In progress.
        _ => None,
    };
    facts.response.choices = vec![Choice {
        index: 0,
        finish_reason,
    }];
}
