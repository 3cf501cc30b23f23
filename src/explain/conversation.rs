//! The tools that an exchange called, what it shows of its conversation, and its place in it: facts that several of its spans and
//! metrics are made of. What calls are compared by are hashes, which say nothing to anybody, and are not shown.

use std::time::Duration;

use serde_json::{Value, json};

use super::exported::Shown;
use super::replay::number;
use crate::exchange::{
    Again, Changed, Conversation, Exchange, History, Identity, Reuse, Rule, Speaker, ToolCall,
    ToolKind, ToolWait,
};

/// A tool call that an answer asks for.
#[derive(Debug)]
pub(super) struct ShownCall {
    pub(super) name: String,
    pub(super) facts: Vec<Shown>,
}

/// The calls of an exchange.
pub(super) fn calls(exchange: &Exchange) -> Vec<ShownCall> {
    let calls = exchange.response.tool_calls.iter();
    calls
        .map(|call| ShownCall {
            name: call.name.clone(),
            facts: of_call(call),
        })
        .collect()
}

/// What of a conversation an exchange shows; empty where it shows nothing.
pub(super) fn history(exchange: &Exchange) -> Vec<Shown> {
    exchange
        .history
        .as_deref()
        .map(of_history)
        .unwrap_or_default()
}

fn of_call(call: &ToolCall) -> Vec<Shown> {
    let kind = match call.kind {
        ToolKind::Function => "function",
        ToolKind::Custom => "custom",
        ToolKind::Extension => "extension",
        ToolKind::Datastore => "datastore",
    };
    there([
        ("type", json!(kind)),
        ("id", json!(call.id)),
        ("arguments_bytes", json!(call.arguments_bytes)),
        (
            "forced",
            if call.forced {
                json!(true)
            } else {
                Value::Null
            },
        ),
    ])
}

fn of_history(history: &History) -> Vec<Shown> {
    let by = |speaker| {
        let items = history.items.iter();
        items.filter(|item| item.speaker == speaker).count()
    };
    let bytes = |bytes: u32| u64::from(bytes);
    let items: u64 = history
        .items
        .iter()
        .map(|item| bytes(item.segment.bytes))
        .sum();
    let parameters = history.parameters.iter().map(|(name, _)| *name);
    there([
        ("items", json!(history.items.len())),
        ("items.system", json!(by(Speaker::System))),
        ("items.user", json!(by(Speaker::User))),
        ("items.assistant", json!(by(Speaker::Assistant))),
        ("items.tool", json!(by(Speaker::Tool))),
        ("items.bytes", json!(items)),
        ("tools.bytes", json!(history.tools.map(|tools| tools.bytes))),
        ("parameters", json!(parameters.collect::<Vec<_>>())),
        ("answers", json!(history.answers.len())),
        ("results", json!(history.results.len())),
        (
            "truncated",
            if history.truncated {
                json!(true)
            } else {
                Value::Null
            },
        ),
    ])
}

fn there<const N: usize>(facts: [(&str, Value); N]) -> Vec<Shown> {
    let facts = facts.into_iter().filter(|(_, value)| !value.is_null());
    facts
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// A call of the capture, as others refer to it.
pub(super) struct CapturedCall {
    /// Its heading; empty where there is only one.
    pub(super) title: String,
    /// Whether the capture says when it was.
    pub(super) is_timed: bool,
}

/// The place of an exchange among the calls of a capture, in sentences: those that are true of both of two runs.
pub(super) fn place(exchanges: &[Exchange; 2], calls: &[CapturedCall]) -> Vec<String> {
    let [one, other] = exchanges;
    let (Some(first), Some(second)) = (&one.conversation, &other.conversation) else {
        return Vec::new();
    };
    let mut said = sentences(one, first, calls);
    let also = sentences(other, second, calls);
    said.retain(|sentence| also.contains(sentence));
    let waits = first.waits.iter().zip(&second.waits);
    said.extend(waits.map(|waits| wait(waits, calls)));
    said
}

fn sentences(exchange: &Exchange, place: &Conversation, calls: &[CapturedCall]) -> Vec<String> {
    let title = |identity: &Identity| {
        let call = calls.get(number(identity).wrapping_sub(1));
        call.map_or("another call", |call| &*call.title).to_owned()
    };
    let turn = place.turn;
    let mut said = vec![match (&place.previous, place.linked_by) {
        (Some(previous), Some(rule)) => {
            format!(
                "turn {turn}: it goes on from {}, told by {}",
                title(previous),
                by(rule)
            )
        }
        _ if turn > 1 => {
            format!("turn {turn}: the turns before it are in its history, and not in the capture")
        }
        _ => "turn 1: it begins a conversation".to_owned(),
    }];
    let name = exchange.conversation_id();
    said.extend(name.map(|name| format!("the conversation has a name: {name}")));
    if place.branch > 0 {
        let branch = place.branch;
        said.push(format!(
            "branch {branch}: the history was edited, or goes on a second time from one turn"
        ));
    }
    let caller = place.parent.and_then(|parent| parent.exchange);
    said.extend(caller.map(|caller| {
        let (depth, title) = (place.depth, title(&caller));
        format!("it was begun by a tool call of {title} (depth {depth})")
    }));
    said.extend(place.again.map(again));
    said.extend(place.reuse.iter().flat_map(reuse));
    said.extend(place.repeated_calls.iter().map(|repeated| {
        let call = exchange.response.tool_calls.get(repeated.number);
        let (name, times) = (call.map_or("a tool", |call| &call.name), repeated.times);
        format!("{name} is called with the same arguments, {times} times by now")
    }));
    let without = place.without_progress;
    said.extend(without.map(|turns| format!("{turns} answers in a row said nothing new")));
    said
}

/// What told it, and the value of `streamgauge.conversation.linked_by`.
fn by(rule: Rule) -> String {
    let what = match rule {
        Rule::ResponseId => "the id of the response, which it names",
        Rule::ItemId => "the id of an item of the answer",
        Rule::Calls => "the calls of the answer, by id, name and arguments",
        Rule::CallNames => "the calls of the answer, by name and arguments",
        Rule::Text => "the text of the answer",
        Rule::TextPrefix => "the text of the answer, with more behind it",
        Rule::Prefix => "all of the request",
        Rule::CallIdInText => "the id of a call, which stands in a text",
        Rule::Named => "the name of the conversation",
    };
    format!("{what} ({})", rule.as_str())
}

fn again(again: Again) -> String {
    match again {
        Again::Repeat => "the same body had succeeded before".to_owned(),
        Again::Retry { end, status, tries } => {
            let how = status.map_or_else(|| end.as_str().to_owned(), |status| status.to_string());
            format!("a retry: the same body had failed with {how}, {tries} times by now")
        }
    }
}

/// What of the prompt was sent before, what changed in it, and what the cache made of it.
fn reuse(reuse: &Reuse) -> Vec<String> {
    let Reuse {
        matched_bytes,
        prompt_bytes,
        ..
    } = reuse;
    let mut said = vec![format!(
        "{matched_bytes} of the {prompt_bytes} bytes of its prompt were sent before"
    )];
    said.extend(reuse.changed.map(|changed| {
        let what = match changed {
            Changed::Parameters(name) => format!("the member {name}"),
            Changed::Tools => "the tools".to_owned(),
            Changed::System => "the system prompt".to_owned(),
            Changed::Message(at) => format!("message {at}, counted from 0"),
        };
        format!("the first part of the prompt that changed is {what}")
    }));
    if let Some(verdict) = reuse.verdict {
        let lost = reuse.lost_tokens.filter(|lost| *lost > 0);
        let lost = lost.map_or_else(String::new, |lost| {
            format!("; about {lost} input tokens could have come from it")
        });
        said.push(format!("the prompt cache: {}{lost}", verdict.as_str()));
    }
    said
}

/// How long a tool took: between the two ends that times within an answer, which no capture has, leave open.
fn wait((one, other): (&ToolWait, &ToolWait), calls: &[CapturedCall]) -> String {
    let id = one.call_id.as_ref();
    let id = id.map_or_else(String::new, |id| format!(" ({id})"));
    let result = format!("it brings the result of {}{id}", one.name);
    let is_timed = |identity: &Option<Identity>| {
        let call = identity
            .as_ref()
            .map(|identity| number(identity).wrapping_sub(1));
        call.and_then(|at| calls.get(at))
            .is_some_and(|call| call.is_timed)
    };
    if !is_timed(&one.called_by) || !is_timed(&one.brought_by) {
        return format!("{result}; the capture does not say how long that took");
    }
    let (least, most) = (one.lasted.min(other.lasted), one.lasted.max(other.lasted));
    let seconds = |time: Duration| format!("{:.3} s", time.as_secs_f64());
    match (seconds(least), seconds(most)) {
        (least, most) if least == most => format!("{result}, {least} after the call"),
        (least, most) => format!("{result}, {least} to {most} after the call"),
    }
}
