//! The items of an output: messages, reasoning, and calls of tools, the client's own and the provider's.
//!
//! Governing text: the OpenAI API reference, "Responses" and "Realtime", whose items are alike.

use std::borrow::Cow;

use crate::dialect::contract::{Facts, Output};
use crate::dialect::kit::item_calls::{ItemCalls, ItemKey};
use crate::dialect::kit::member::{count, typed};
use crate::dialect::kit::typed::type_of;
use crate::dialect::part::Part;
use crate::exchange::ToolKind;
use crate::parse::json::{Text, Value};

/// Calls of tools, and what kind of tool it is. The provider carries out its own before the response is over. A `shell_call`
/// can be either, and does not say which, so it is none of these.
const CALLS: [(&str, ToolKind); 10] = [
    ("function_call", ToolKind::Function),
    ("custom_tool_call", ToolKind::Custom),
    ("computer_call", ToolKind::Function),
    ("local_shell_call", ToolKind::Function),
    ("apply_patch_call", ToolKind::Function),
    ("web_search_call", ToolKind::Extension),
    ("file_search_call", ToolKind::Datastore),
    ("code_interpreter_call", ToolKind::Extension),
    ("image_generation_call", ToolKind::Extension),
    ("mcp_call", ToolKind::Extension),
];

/// One item.
#[derive(Debug)]
pub(in crate::dialect) struct Item<'a> {
    value: Value<'a>,
    kind: Cow<'a, str>,
    key: ItemKey<'a>,
}

impl<'a> Item<'a> {
    /// The item at a place of the output.
    pub(in crate::dialect) fn read(value: Value<'a>, index: Option<u64>) -> Self {
        let [id, call_id] = value.select(["id", "call_id"]);
        Self {
            value,
            kind: type_of(value),
            key: ItemKey {
                call: id_text(call_id),
                item: id_text(id),
                index,
            },
        }
    }

    /// Notes the call of a tool, its arguments where they are `whole`. Says whether it was a new one, and the client's.
    pub(in crate::dialect) fn note_call(
        &self,
        whole: bool,
        calls: &mut ItemCalls,
        facts: &mut Facts,
    ) -> bool {
        let Some((kind, name)) = tool(&self.kind, || self.value.get("name")) else {
            return false;
        };
        // A call of the provider's is named by its item only.
        let key = ItemKey {
            call: self
                .key
                .call
                .or(self.key.item.filter(|_| !kind.is_client_run())),
            ..self.key
        };
        let new = calls.begin(key, (&name, kind), facts);
        if let Some(arguments) = self.arguments().filter(|_| whole) {
            calls.set(key, arguments, facts);
        }
        if whole && self.is_search() {
            calls.count_search(key, facts);
        }
        new && kind.is_client_run()
    }

    fn is_client_call(&self) -> bool {
        tool(&self.kind, || None).is_some_and(|(kind, _)| kind.is_client_run())
    }

    /// Whether it is a search of the web, which is charged by itself; that a page is opened, or something found in one, is not
    /// (guide "Web search", output and citations).
    fn is_search(&self) -> bool {
        let action = self.value.get("action").map(type_of).unwrap_or_default();
        self.kind == "web_search_call" && matches!(&*action, "search" | "")
    }

    /// What the tool is called with.
    fn arguments(&self) -> Option<Value<'a>> {
        let mut there = self.value.select(ARGUMENTS).into_iter().flatten();
        there.find(|arguments| !arguments.is_null())
    }
}

/// The members that may say what a tool is called with.
pub(in crate::dialect) const ARGUMENTS: [&str; 6] = [
    "arguments",
    "input",
    "action",
    "operation",
    "code",
    "queries",
];

/// The tool that is to be run: of which kind it is, and its name, or the kind of item where the provider defined it. `None`
/// where an item of this kind calls for none.
pub(in crate::dialect) fn tool<'a>(
    item: &str,
    name: impl FnOnce() -> Option<Value<'a>>,
) -> Option<(ToolKind, Cow<'a, str>)> {
    let (_, kind) = CALLS.iter().find(|(known, _)| *known == item)?;
    let name = match name().and_then(Value::as_text) {
        Some(name) => name.decode(),
        None => item.trim_end_matches("_call").to_owned().into(),
    };
    Some((*kind, name))
}

/// Which item an event is about.
pub(in crate::dialect) fn key<'a>(event: Value<'a>, facts: &mut Facts) -> ItemKey<'a> {
    let [call, item, index] = event.select(["call_id", "item_id", "output_index"]);
    ItemKey {
        call: id_text(call),
        item: id_text(item),
        index: typed(index, &mut facts.problems, count),
    }
}

fn id_text(id: Option<Value<'_>>) -> Option<Text<'_>> {
    id?.as_text().filter(|id| !id.is_empty())
}

/// Notes what an item that is announced, or that stands there `whole`, says by its kind.
pub(in crate::dialect) fn note(item: &Item<'_>, whole: bool, facts: &mut Facts) {
    facts.response.compacted |= item.kind == "compaction";
    if let Some(id) = item.key.item {
        facts.folds.item(id.into());
    }
    let is_text = matches!(&*item.kind, "message" | "reasoning") || item.is_client_call();
    if !is_text {
        // A call that the provider carries out: what the model wrote for it is not all shown.
        let part = if whole {
            Part::Other(item.value)
        } else {
            Part::Hidden
        };
        facts.show(0, &part);
    }
}

/// Shows the texts of an item that stands there whole.
pub(in crate::dialect) fn read_whole(item: &Item<'_>, facts: &mut Facts) -> Output {
    note(item, true, facts);
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
    let mut output = Output::default();
    if transcript.is_some() {
        facts.show(0, &Part::Other(part));
        output.other = true;
    }
    match (&*type_of(part), text) {
        ("output_text" | "text", Some(text)) => output.content = facts.say(0, Part::Text, text),
        ("reasoning_text", Some(text)) => output.reasoning = facts.say(0, Part::Reasoning, text),
        ("summary_text", Some(text)) => output.reasoning = facts.say(0, Part::Summary, text),
        _ => {}
    }
    if let Some(refusal) = refusal {
        output.other |= facts.say(0, Part::Refusal, refusal);
    }
    output
}
