//! The items of an output: messages, reasoning, and calls of tools, the client's own and the provider's.

use std::borrow::Cow;

use crate::dialect::member::add;
use crate::dialect::typed::{Key, type_of};
use crate::dialect::{Facts, Output};
use crate::json::{Text, Value};

/// Calls that the client is to carry out. All others (searches, code, MCP, images) the provider carries out itself, before
/// the response is over. A `shell_call` can be either, and does not say which, so it is none of these.
const CLIENT_CALLS: [&str; 5] = [
    "function_call",
    "custom_tool_call",
    "computer_call",
    "local_shell_call",
    "apply_patch_call",
];

/// One item.
#[derive(Debug)]
pub(super) struct Item<'a> {
    value: Value<'a>,
    kind: Cow<'a, str>,
    pub(super) key: Key<'a>,
}

impl<'a> Item<'a> {
    /// The item at a place of the output.
    pub(super) fn read(value: Value<'a>, index: Option<u64>) -> Self {
        let [id, call_id] = value.select(["id", "call_id"]);
        let text = |id: Option<Value<'a>>| id?.as_text().filter(|id: &Text<'_>| !id.is_empty());
        Self {
            value,
            kind: type_of(value),
            key: Key {
                call: text(call_id),
                item: text(id),
                index,
            },
        }
    }

    /// Whether it stands for a history that was compacted.
    pub(super) fn is_compaction(&self) -> bool {
        self.kind == "compaction"
    }

    /// The tool that the client is to run: its name, or its kind where the provider defined it. `None` for anything else.
    pub(super) fn client_tool(&self) -> Option<Cow<'a, str>> {
        if !CLIENT_CALLS.contains(&&*self.kind) {
            return None;
        }
        let name = self.value.get("name").and_then(Value::as_text);
        Some(match name {
            Some(name) => name.decode(),
            None => self.kind.trim_end_matches("_call").to_owned().into(),
        })
    }

    /// What the tool is called with.
    pub(super) fn arguments(&self) -> Option<Value<'a>> {
        let members = ["arguments", "input", "action", "operation"];
        let mut there = self.value.select(members).into_iter().flatten();
        there.find(|arguments| !arguments.is_null())
    }
}

/// Counts the texts of an item that stands there whole.
pub(super) fn read_whole(item: &Item<'_>, facts: &mut Facts) -> Output {
    facts.response.compacted |= item.is_compaction();
    let [content, summary, result] = item.value.select(["content", "summary", "result"]);
    let parts = [content, summary].into_iter().flatten();
    let mut output = Output::default();
    for part in parts.flat_map(Value::elements) {
        output |= read_part(part, facts);
    }
    // The image of an image generation.
    output.other |= result.and_then(Value::as_text).is_some();
    output
}

fn read_part(part: Value<'_>, facts: &mut Facts) -> Output {
    let [text, refusal, transcript] = part.select(["text", "refusal", "transcript"]);
    let chars = |member: Option<Value<'_>>| Some(member?.as_text()?.chars());
    let response = &mut facts.response;
    let mut output = Output {
        other: transcript.is_some(),
        ..Output::default()
    };
    match (&*type_of(part), chars(text)) {
        ("output_text" | "text", Some(chars)) => {
            output.content = add(&mut response.content_chars, chars);
        }
        ("reasoning_text" | "summary_text", Some(chars)) => {
            output.reasoning = add(&mut response.reasoning_chars, chars);
        }
        _ => {}
    }
    if let Some(chars) = chars(refusal) {
        output.other |= add(&mut response.refusal_chars, chars);
    }
    output
}
