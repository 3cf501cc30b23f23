//! One response of a session: its events, from `response.created` to the one that ends it.
//!
//! Deltas are what counts as output. The `done` events repeat their text, and the last one repeats everything but the sound,
//! so of those only what did not come before is taken over: where no delta came at all, the texts.

use crate::dialect::contract::{Facts, Output};
use crate::dialect::kit::error::{self, note_error};
use crate::dialect::kit::item_calls::ItemCalls;
use crate::dialect::kit::items::{self, Item};
use crate::dialect::kit::member::{self, keep, typed};
use crate::dialect::kit::typed::type_of;
use crate::dialect::kit::usage;
use crate::dialect::part::{Binary, Medium, Part, Source, Words};
use crate::exchange::Choice;
use crate::parse::json::{Text, Value};

/// Reads the events of one response.
#[derive(Debug, Default)]
pub(super) struct SessionResponse {
    calls: ItemCalls,
    /// Texts or sound came in deltas.
    in_deltas: bool,
    /// Texts came in items that stood there whole.
    in_items: bool,
    /// Texts came in the last event alone.
    pub(super) at_end: bool,
    /// The format of its sound, where somebody is to see that.
    pub(super) format: Option<String>,
}

impl SessionResponse {
    /// Reads an event of this type; says what output it carried.
    pub(super) fn read(&mut self, kind: &str, event: Value<'_>, facts: &mut Facts) -> Output {
        let output = self.read_event(kind, event, facts);
        let is_said = output.content || output.audio || kind == "response.refusal.delta";
        self.in_deltas |= is_said && kind.ends_with(".delta");
        output
    }

    fn read_event(&mut self, kind: &str, event: Value<'_>, facts: &mut Facts) -> Output {
        let mut output = Output::default();
        match kind {
            "response.output_text.delta"
            | "response.text.delta"
            | "response.output_audio_transcript.delta"
            | "response.audio_transcript.delta" => {
                output.content = say(event, Part::Text, facts);
            }
            "response.output_audio.delta" | "response.audio.delta" => {
                let sound = typed(event.get("delta"), &mut facts.problems, Value::as_text);
                let sound = sound.filter(|sound| !sound.is_empty());
                let format = self.format.as_deref().map(Words::Plain);
                sound
                    .into_iter()
                    .for_each(|sound| show_sound(sound, format, facts));
                output.audio = sound.is_some();
            }
            "response.reasoning_text.delta" => {
                output.reasoning = say(event, Part::Reasoning, facts);
            }
            "response.reasoning_summary_text.delta" => {
                output.reasoning = say(event, Part::Summary, facts);
            }
            "response.refusal.delta" => {
                output.other = say(event, Part::Refusal, facts);
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                output.tool_call = self.arguments(event, facts);
            }
            "response.mcp_call_arguments.delta" => {
                let delta = event.get("delta").and_then(Value::as_text);
                if let Some(delta) = delta {
                    let key = items::key(event, facts);
                    self.calls.add_known(key, delta, facts);
                }
                output.other = show_other(event, facts);
            }
            "response.output_item.added" => output = self.item(event, false, facts),
            "response.output_item.done" => output = self.item(event, true, facts),
            "response.created" => read_response(event, facts),
            "response.done"
            | "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled" => {
                read_response(event, facts);
                output = self.whole(event, facts);
                facts.response.done = true;
            }
            // A kind of output that is new to us.
            kind => output.other = kind.ends_with(".delta") && show_other(event, facts),
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

    /// An item that is announced, or that is `done`.
    fn item(&mut self, event: Value<'_>, done: bool, facts: &mut Facts) -> Output {
        let [item, index] = event.select(["item", "output_index"]);
        let index = typed(index, &mut facts.problems, member::count);
        let Some(item) = typed(item, &mut facts.problems, member::object) else {
            return Output::default();
        };
        let mut output = Output::default();
        if done && !self.in_deltas {
            output = show_whole(item, facts);
            self.in_items |= output.any();
        }
        output.tool_call = Item::read(item, index).note_call(done, &mut self.calls, facts);
        output
    }

    /// The last event has everything again: takes over the calls of which no other event spoke, and the texts where none had
    /// any.
    fn whole(&mut self, event: Value<'_>, facts: &mut Facts) -> Output {
        let mut output = Output::default();
        for (index, item) in output_of(event).enumerate() {
            if !self.in_deltas && !self.in_items {
                output |= show_whole(item, facts);
            }
            Item::read(item, Some(index as u64)).note_call(true, &mut self.calls, facts);
        }
        self.at_end = output.any();
        output
    }
}

/// The items that a response has at its end.
pub(super) fn output_of(event: Value<'_>) -> impl Iterator<Item = Value<'_>> {
    let response = event.get("response");
    let output = response.and_then(|response| response.get("output"));
    output.into_iter().flat_map(Value::elements)
}

/// Shows the texts of a message that stands there whole.
fn show_whole(item: Value<'_>, facts: &mut Facts) -> Output {
    let mut output = Output::default();
    let content = item.get("content").into_iter();
    for part in content.flat_map(Value::elements) {
        let [text, transcript, refusal] = part.select(["text", "transcript", "refusal"]);
        let said = match &*type_of(part) {
            "output_text" | "text" => text,
            "output_audio" | "audio" => transcript,
            _ => None,
        };
        if let Some(said) = said.and_then(Value::as_text) {
            output.content |= facts.say(0, Part::Text, said);
        }
        if let Some(refusal) = refusal.and_then(Value::as_text) {
            output.other |= facts.say(0, Part::Refusal, refusal);
        }
    }
    output
}

/// Shows an event's delta; says whether it had any.
fn say<'a>(event: Value<'a>, kind: fn(Words<'a>) -> Part<'a>, facts: &mut Facts) -> bool {
    let delta = typed(event.get("delta"), &mut facts.problems, Value::as_text);
    delta.is_some_and(|delta| facts.say(0, kind, delta))
}

/// Shows a stretch of sound.
fn show_sound(sound: Text<'_>, format: Option<Words<'_>>, facts: &mut Facts) {
    let part = Binary {
        medium: Medium::Audio,
        source: Source::Inline(sound.into()),
        format,
    };
    facts.show(0, &Part::Binary(part));
}

/// Shows a delta of which the kind is not known; says whether there is any.
fn show_other(event: Value<'_>, facts: &mut Facts) -> bool {
    let delta = event.get("delta").filter(|delta| match delta.as_text() {
        Some(text) => !text.is_empty(),
        None => !delta.is_null(),
    });
    let part = delta.map(Part::Other);
    part.iter().for_each(|part| facts.show(0, part));
    part.is_some()
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
    usage::merge(reported, facts);
    let problems = &mut facts.problems;
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
    note_error(said, facts);
    if status.is_some_and(|status| status.is("failed")) {
        // Without an error object the status is all that is said of it.
        note_error(Some(error::of_kind("failed".to_owned())), facts);
    }
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
