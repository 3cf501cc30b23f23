//! The items of an output: messages, reasoning, and calls of tools, the client's own and the provider's.
//!
//! Governing text: the OpenAI API reference, "Responses" and "Realtime", whose items are alike.

use std::borrow::Cow;

use crate::dialect::member::{add, add_text, count, typed};
use crate::dialect::typed::{Calls, Key, type_of};
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
pub(in crate::dialect) struct Item<'a> {
    value: Value<'a>,
    kind: Cow<'a, str>,
    key: Key<'a>,
}

impl<'a> Item<'a> {
    /// The item at a place of the output.
    pub(in crate::dialect) fn read(value: Value<'a>, index: Option<u64>) -> Self {
        let [id, call_id] = value.select(["id", "call_id"]);
        Self {
            value,
            kind: type_of(value),
            key: Key {
                call: id_text(call_id),
                item: id_text(id),
                index,
            },
        }
    }

    /// Notes the call of a client's tool, its arguments where they are `whole`. Says whether it was new.
    pub(in crate::dialect) fn note_call(
        &self,
        whole: bool,
        calls: &mut Calls,
        facts: &mut Facts,
    ) -> bool {
        let Some(name) = self.client_tool() else {
            return false;
        };
        let new = calls.begin(self.key, &name, facts);
        if let Some(arguments) = self.arguments().filter(|_| whole) {
            calls.set(self.key, arguments, facts);
        }
        new
    }

    /// The tool that the client is to run: its name, or its kind where the provider defined it. `None` for anything else.
    fn client_tool(&self) -> Option<Cow<'a, str>> {
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
    fn arguments(&self) -> Option<Value<'a>> {
        let members = ["arguments", "input", "action", "operation"];
        let mut there = self.value.select(members).into_iter().flatten();
        there.find(|arguments| !arguments.is_null())
    }
}

/// Which item an event is about.
pub(in crate::dialect) fn key<'a>(event: Value<'a>, facts: &mut Facts) -> Key<'a> {
    let [call, item, index] = event.select(["call_id", "item_id", "output_index"]);
    Key {
        call: id_text(call),
        item: id_text(item),
        index: typed(index, &mut facts.problems, count),
    }
}

fn id_text(id: Option<Value<'_>>) -> Option<Text<'_>> {
    id?.as_text().filter(|id| !id.is_empty())
}

/// Notes what the kind of an item tells.
pub(in crate::dialect) fn note(item: &Item<'_>, facts: &mut Facts) {
    facts.response.compacted |= item.kind == "compaction";
    let is_text = matches!(&*item.kind, "message" | "reasoning") || item.client_tool().is_some();
    if !is_text {
        // A call that the provider carries out: what the model wrote for it is not all shown.
        facts.generated.give_up();
    }
}

/// Counts the texts of an item that stands there whole.
pub(in crate::dialect) fn read_whole(item: &Item<'_>, facts: &mut Facts) -> Output {
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
