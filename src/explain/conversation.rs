//! The tools that an exchange called, and what it shows of its conversation: facts that several of its spans and metrics are
//! made of. Hashes are as they are compared, so that two captures can be.

use serde_json::{Value, json};

use super::exported::Shown;
use crate::exchange::{Answer, Digest, Exchange, History, Speaker, ToolCall, ToolKind};

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
        ("arguments_hash", json!(call.arguments.map(hash))),
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
    let last = history.items.last().map(|item| hash(item.segment.raw));
    let parameters = history.parameters.iter().map(|(name, _)| *name);
    there([
        ("items", json!(history.items.len())),
        ("items.system", json!(by(Speaker::System))),
        ("items.user", json!(by(Speaker::User))),
        ("items.assistant", json!(by(Speaker::Assistant))),
        ("items.tool", json!(by(Speaker::Tool))),
        ("items.bytes", json!(items)),
        ("items.last_hash", json!(last)),
        ("tools.bytes", json!(history.tools.map(|tools| tools.bytes))),
        (
            "tools.hash",
            json!(history.tools.map(|tools| hash(tools.raw))),
        ),
        ("parameters", json!(parameters.collect::<Vec<_>>())),
        ("answers", json!(history.answers.len())),
        (
            "answers.last_hash",
            json!(history.answers.last().map(of_answer)),
        ),
        ("results", json!(history.results.len())),
        ("body_hash", json!(history.body.map(hash))),
        ("answer_hash", json!(history.answer.as_ref().map(of_answer))),
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

/// An answer by one hash: of its calls where it has some, as a history is compared, else of its text.
fn of_answer(answer: &Answer) -> String {
    let calls: Vec<_> = answer
        .calls
        .iter()
        .filter_map(|call| call.arguments)
        .collect();
    let hashes = if calls.is_empty() {
        answer.text.into_iter().collect()
    } else {
        calls
    };
    hashes.into_iter().map(hash).collect::<Vec<_>>().join(" ")
}

fn hash(digest: Digest) -> String {
    format!("{:016x}", digest.0)
}

fn there<const N: usize>(facts: [(&str, Value); N]) -> Vec<Shown> {
    let facts = facts.into_iter().filter(|(_, value)| !value.is_null());
    facts
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
