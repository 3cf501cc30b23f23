//! The items of an output: messages, reasoning, and calls of tools, the client's own and the provider's.

use std::borrow::Cow;

use crate::dialect::member::{add, add_text};
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

/// Notes what the kind of an item tells.
pub(super) fn note(item: &Item<'_>, facts: &mut Facts) {
    facts.response.compacted |= item.kind == "compaction";
    let is_text = matches!(&*item.kind, "message" | "reasoning") || item.client_tool().is_some();
    if !is_text {
        // A call that the provider carries out: what the model wrote for it is not all shown.
        facts.generated.give_up();
    }
}

/// Counts the texts of an item that stands there whole.
pub(super) fn read_whole(item: &Item<'_>, facts: &mut Facts) -> Output {
    note(item, facts);
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
    let [text, refusal] = [text, refusal].map(|member| member.and_then(Value::as_text));
    let (response, generated) = (&mut facts.response, &mut facts.generated);
    let mut output = Output::default();
    if transcript.is_some() {
        generated.give_up();
        output.other = true;
    }
    match (&*type_of(part), text) {
        ("output_text" | "text", Some(text)) => {
            output.content = add_text(text, &mut response.content_chars, generated);
        }
        ("reasoning_text", Some(text)) => {
            output.reasoning = add_text(text, &mut response.reasoning_chars, generated);
        }
        ("summary_text", Some(text)) => {
            output.reasoning = add(&mut response.reasoning_chars, text.chars());
        }
        _ => {}
    }
    if let Some(refusal) = refusal {
        output.other |= add_text(refusal, &mut response.refusal_chars, generated);
    }
    output
}
