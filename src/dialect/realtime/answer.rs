//! One response of a session: its events, from `response.created` to the one that ends it.
//!
//! Deltas are what counts as output. The `done` events repeat their text, and the last one repeats everything but the sound,
//! so of those only what did not come before is taken over.

use crate::dialect::member::{self, add, keep, typed};
use crate::dialect::openai::items::{self, Item};
use crate::dialect::openai::{error, usage};
use crate::dialect::typed::Calls;
use crate::dialect::{Facts, Output};
use crate::exchange::Choice;
use crate::json::{Text, Value};

/// Reads the events of one response.
#[derive(Debug, Default)]
pub(super) struct Answer {
    calls: Calls,
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
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                output.tool_call = self.arguments(event, facts);
            }
            "response.output_item.added" => output.tool_call = self.item(event, false, facts),
            "response.output_item.done" => output.tool_call = self.item(event, true, facts),
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
        let key = items::key(event, facts);
        let Some(delta) = typed(event.get("delta"), &mut facts.problems, Value::as_text) else {
            return false;
        };
        self.calls.add(key, delta, facts);
        !delta.is_empty()
    }

    /// An item that is announced, or that is `done`; says whether it is a call that was not known.
    fn item(&mut self, event: Value<'_>, done: bool, facts: &mut Facts) -> bool {
        let [item, index] = event.select(["item", "output_index"]);
        let index = typed(index, &mut facts.problems, member::count);
        let item = typed(item, &mut facts.problems, member::object);
        item.is_some_and(|item| Item::read(item, index).note_call(done, &mut self.calls, facts))
    }

    /// The last event has everything again: takes over the calls of which no other event spoke.
    fn whole(&mut self, event: Value<'_>, facts: &mut Facts) {
        let output = event
            .get("response")
            .and_then(|response| response.get("output"));
        let items = output.into_iter().flat_map(Value::elements);
        for (index, item) in items.enumerate() {
            Item::read(item, Some(index as u64)).note_call(true, &mut self.calls, facts);
        }
    }
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
