//! Where a chunk or an answer departs from the API reference.
//!
//! It looks at what the reader is about to read, beside what it has read so far, and changes no fact but the quirks and
//! the unknown. What it costs is paid by chunks that are read in full only, of which the first are inspected, and those
//! that end a choice or have none; a stream whose chunks are all alike has no news after that.

use super::known;
use crate::dialect::contract::Facts;
use crate::dialect::kit::chunks::Envelope;
use crate::dialect::kit::member::{count, is_odd_count, tokens};
use crate::dialect::kit::unknown::{check_members, note_name};
use crate::exchange::Quirk;
use crate::parse::json::{Kind, Text, Value};

/// Chunks that are inspected whatever is in them.
const INSPECTED: u8 = 32;

/// How many chunks of one response were inspected.
#[derive(Debug, Default)]
pub(super) struct Inspection {
    inspected: u8,
}

impl Inspection {
    /// Inspects a chunk or an answer that is about to be read.
    pub(super) fn object(&mut self, object: Value<'_>, envelope: &Envelope<'_>, facts: &mut Facts) {
        let Envelope {
            choices,
            usage,
            vendor,
            error,
            ..
        } = *envelope;
        if self.inspected >= INSPECTED && !choices.is_none_or(may_end) {
            return;
        }
        self.inspected = self.inspected.saturating_add(1);
        let failed = error.is_some_and(|error| !error.is_null());
        if !failed {
            check_members(object, known::envelope, (Quirk::UnknownMember, ""), facts);
        }
        identity(envelope, facts);
        let some = choices.filter(|choices| choices.elements().next().is_some());
        let quirks = &mut facts.quirks;
        let absent = choices.is_none_or(Value::is_null) && !failed;
        let streamed = facts.response.streamed;
        quirks.insert_if(absent && streamed, Quirk::NoDelta);
        let reported = usage.is_some_and(|usage| usage.kind() == Kind::Object);
        let beside = reported && streamed && some.is_some();
        quirks.insert_if(beside, Quirk::UsageBesideChoices);
        quirks.insert_if(
            vendor.is_some_and(|usage| !usage.is_null()),
            Quirk::VendorUsage,
        );
        // What a choice has at its end may be its own.
        let of_one = facts.response.choices.len() > 1 && choices.is_none_or(may_end);
        for usage in [vendor, usage].into_iter().flatten() {
            inspect_usage(usage, of_one, facts);
        }
        for (position, choice) in some.into_iter().flat_map(Value::elements).enumerate() {
            inspect_choice(choice, position as u64, facts);
        }
    }
}

/// Whether a chunk with these choices may be one of the last: none, or one that ended.
fn may_end(choices: Value<'_>) -> bool {
    let ended = |choice: Value<'_>| {
        let reason = choice.get("finish_reason");
        reason.is_some_and(|reason| !reason.is_null())
    };
    let mut choices = choices.elements().peekable();
    choices.peek().is_none() || choices.any(ended)
}

/// Names that change from chunk to chunk, or that say something else than what this is.
fn identity(envelope: &Envelope<'_>, facts: &mut Facts) {
    let [id, model, _, fingerprint] = envelope.identity;
    let response = &facts.response;
    let known = [&response.id, &response.model, &response.system_fingerprint];
    let changed = known
        .into_iter()
        .zip([id, model, fingerprint])
        .any(|(known, member)| {
            let now = member.and_then(Value::as_text);
            known
                .as_deref()
                .zip(now)
                .is_some_and(|(known, now)| !now.is(known))
        });
    let expected = if response.streamed {
        ["chat.completion.chunk", "text_completion"]
    } else {
        ["chat.completion", "text_completion"]
    };
    let kind = envelope.kind.and_then(Value::as_text);
    let wrong = kind.is_some_and(|kind| !expected.iter().any(|name| kind.is(name)));
    facts.quirks.insert_if(changed, Quirk::IdentityChanges);
    facts.quirks.insert_if(wrong, Quirk::WrongObject);
}

fn inspect_choice(choice: Value<'_>, position: u64, facts: &mut Facts) {
    let place = "choices[]";
    check_members(choice, known::choice, (Quirk::UnknownMember, place), facts);
    let [
        index,
        delta,
        message,
        text,
        finish,
        usage,
        offsets,
        verdicts,
    ] = choice.select([
        "index",
        "delta",
        "message",
        "text",
        "finish_reason",
        "usage",
        "content_filter_offsets",
        "content_filter_results",
    ]);
    let is_there = |member: Option<Value<'_>>| member.is_some_and(|member| !member.is_null());
    facts.quirks.insert_if(!is_there(index), Quirk::ChoiceIndex);
    let streamed = facts.response.streamed;
    let whole = is_there(message);
    facts
        .quirks
        .insert_if(whole && streamed, Quirk::WholeMessage);
    let empty = ![delta, message, text, offsets, verdicts]
        .into_iter()
        .any(is_there);
    facts.quirks.insert_if(empty && streamed, Quirk::NoDelta);
    if let Some(reason) = finish.and_then(Value::as_text) {
        let index = index.and_then(count).unwrap_or(position);
        inspect_finish(reason, index, facts);
    }
    if let Some(usage) = usage {
        inspect_usage(usage, facts.response.choices.len() > 1, facts);
    }
    if let Some(delta) = delta {
        inspect_message(delta, "choices[].delta", facts);
    }
    if let Some(message) = message {
        inspect_message(message, "choices[].message", facts);
    }
}

fn inspect_finish(reason: Text<'_>, index: u64, facts: &mut Facts) {
    let mut choices = facts.response.choices.iter();
    let again = choices.any(|choice| choice.index == index && choice.finish_reason.is_some());
    match known::finish_reason(&reason.decode()) {
        // Such a reason says nothing, also when it comes after another.
        Ok(Some(Quirk::EmptyFinish)) => facts.quirks.insert(Quirk::EmptyFinish),
        known => {
            facts.quirks.insert_if(again, Quirk::FinishedTwice);
            match known {
                Ok(quirk) => quirk
                    .into_iter()
                    .for_each(|quirk| facts.quirks.insert(quirk)),
                Err(()) => note_name(
                    &reason.decode(),
                    Quirk::UnknownFinishReason,
                    "choices[].finish_reason",
                    facts,
                ),
            }
        }
    }
}

fn inspect_message(message: Value<'_>, place: &'static str, facts: &mut Facts) {
    check_members(
        message,
        known::message,
        (Quirk::UnknownMember, place),
        facts,
    );
    let [content, calls] = message.select(["content", "tool_calls"]);
    let parts = content.is_some_and(|content| content.kind() == Kind::Array);
    facts.quirks.insert_if(parts, Quirk::ContentParts);
    for call in calls.into_iter().flat_map(Value::elements) {
        check_members(
            call,
            known::call,
            (Quirk::UnknownMember, "tool_calls[]"),
            facts,
        );
    }
}

/// Inspects usage; `of_one` if it may be that of one choice of several, of which what came before says nothing.
fn inspect_usage(usage: Value<'_>, of_one: bool, facts: &mut Facts) {
    let unknown = (Quirk::UnknownUsageMember, "usage");
    check_members(usage, known::usage, unknown, facts);
    let [input, output, total, input_details, output_details] = usage.select([
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
    ]);
    let mut odd = [input, output, total]
        .into_iter()
        .flatten()
        .any(is_odd_count);
    let details = [
        (input_details, "usage.prompt_tokens_details"),
        (output_details, "usage.completion_tokens_details"),
    ];
    for (details, place) in details {
        let Some(details) = details else { continue };
        let unknown = (Quirk::UnknownUsageMember, place);
        check_members(details, known::details, unknown, facts);
        odd |= details.members().any(|(_, number)| is_odd_count(number));
    }
    facts.quirks.insert_if(odd, Quirk::OddNumber);
    let reported = |member: Option<Value<'_>>| member.and_then(tokens);
    let [input, output, total] = [input, output, total].map(reported);
    if input.or(output).or(total).is_none() {
        return;
    }
    let before = &facts.usage;
    let earlier = [
        before.input_tokens,
        before.output_tokens,
        before.total_tokens,
    ];
    let goes_on = facts.response.streamed && !of_one;
    let running = goes_on && earlier.iter().any(Option::is_some);
    let differs = |now: Option<u64>, before: Option<u64>| {
        let both = now.zip(before).filter(|(now, before)| now.min(before) > &0);
        both.map(|(now, before)| now.cmp(&before))
    };
    let contradicts = goes_on
        && (differs(input, earlier[0]).is_some_and(std::cmp::Ordering::is_ne)
            || differs(output, earlier[1]).is_some_and(std::cmp::Ordering::is_lt));
    let zero = input == Some(0) || total == Some(0);
    facts.quirks.insert_if(running, Quirk::RunningUsage);
    facts.quirks.insert_if(contradicts, Quirk::UsageContradicts);
    facts.quirks.insert_if(zero, Quirk::ZeroUsage);
}
