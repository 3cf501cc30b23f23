//! What a request of the Responses API gives the model to read.

use crate::dialect::kit::items::{ARGUMENTS, tool};
use crate::dialect::kit::prompt;
use crate::dialect::part::{CallPart, Message, Part, Place, PromptKind, Role, Visitor, Words};
use crate::parse::json::{Kind, Text, Value};

/// Types of the tools that the client runs and defines.
const CLIENT_TOOLS: &[&str] = &["function", "custom"];

/// Shows the instructions, the input, and the tools. `held` is what names an earlier turn or a template that the provider
/// holds.
pub(in crate::dialect) fn show(
    [instructions, input, tools]: [Option<Value<'_>>; 3],
    held: [Option<Value<'_>>; 3],
    visitor: &mut dyn Visitor,
) {
    let instructions = instructions.filter(|it| it.kind() == Kind::String);
    let input = input.filter(|it| matches!(it.kind(), Kind::String | Kind::Array));
    if instructions.or(input).is_none() {
        return;
    }
    visitor.prompt(PromptKind::Messages);
    let is_held = held.into_iter().flatten().any(|held| !held.is_null());
    if is_held || input.is_none() {
        visitor.part(Place::said_by(Role::Other), &Part::Hidden);
    }
    if let Some(instructions) = instructions {
        show_text(Role::System, instructions, visitor);
    }
    if let Some(input) = input {
        show_input(input, visitor);
    }
    prompt::tools(tools, Some(CLIENT_TOOLS), visitor);
}

fn show_input(input: Value<'_>, visitor: &mut dyn Visitor) {
    if input.kind() == Kind::String {
        return show_text(Role::User, input, visitor);
    }
    let mut items = input.elements();
    while let Some((item, found)) = items.next_selecting(ITEM) {
        show_item(item, found, visitor);
    }
}

/// Shows a text that is a message by itself.
fn show_text(role: Role, item: Value<'_>, visitor: &mut dyn Visitor) {
    visitor.message(&Message {
        role,
        name: None,
        id: None,
        item,
    });
    prompt::text(Some(item), Part::Text, Place::said_by(role), visitor);
}

/// The members of an item that are read.
const ITEM: [&str; 9] = [
    "type",
    "role",
    "id",
    "content",
    "output",
    "call_id",
    "name",
    "summary",
    "encrypted_content",
];

/// Shows one item.
pub(in crate::dialect) fn item(item: Value<'_>, visitor: &mut dyn Visitor) {
    show_item(item, item.select(ITEM), visitor);
}

fn show_item<'a>(
    item: Value<'a>,
    [
        kind,
        role,
        id,
        content,
        output,
        call_id,
        name,
        summary,
        sealed,
    ]: [Option<Value<'a>>; ITEM.len()],
    visitor: &mut dyn Visitor,
) {
    let kind = kind.and_then(Value::as_text);
    let kind = &*kind.map(Text::decode).unwrap_or_default();
    let is_result = kind.ends_with("_output");
    let role = match kind {
        "" | "message" => prompt::role_of(role),
        _ if is_result => Role::Tool,
        _ => Role::Assistant,
    };
    let place = Place::said_by(role);
    visitor.message(&Message {
        role,
        name: None,
        id: prompt::words(id),
        item,
    });
    match (kind, content) {
        ("" | "message", Some(content)) => prompt::content(content, place, visitor),
        ("reasoning", _) => show_reasoning([content, summary, sealed], place, visitor),
        ("item_reference", _) => visitor.part(place, &Part::Hidden),
        _ if is_result => {
            visitor.part(place, &Part::ToolResult(prompt::words(call_id)));
            prompt::content(output.unwrap_or(item), place, visitor);
        }
        _ => match tool(kind, || name) {
            Some((tool, name)) if tool.is_client_run() => {
                show_call(item, call_id, &name, visitor);
            }
            _ => {
                visitor.part(place, &Part::Other(item));
                // Of what is not known some may be text, such as what a tool of the provider's found.
                let texts = [content, output].into_iter().flatten();
                texts.for_each(|text| prompt::content(text, place, &mut Inside(visitor)));
            }
        },
    }
}

/// Shows texts as those inside something that is no text.
struct Inside<'v>(&'v mut dyn Visitor);

impl Visitor for Inside<'_> {
    fn part(&mut self, place: Place, part: &Part<'_>) {
        match part {
            Part::Text(text) => self.0.part(place, &Part::Inner(*text)),
            part => self.0.part(place, part),
        }
    }
}

fn show_call(item: Value<'_>, id: Option<Value<'_>>, name: &str, visitor: &mut dyn Visitor) {
    let mut arguments = item.select(ARGUMENTS).into_iter().flatten();
    let arguments = arguments.find(|arguments| !arguments.is_null());
    let call = CallPart {
        number: 0,
        id: prompt::words(id),
        name: Some(name.into()),
        arguments: arguments.map(Words::of_json),
        again: false,
    };
    visitor.part(Place::said_by(Role::Assistant), &Part::ToolCall(call));
}

/// The summary is for people; where there is nothing else, or it is sealed, the provider holds the reasoning.
fn show_reasoning(
    [content, summary, sealed]: [Option<Value<'_>>; 3],
    place: Place,
    visitor: &mut dyn Visitor,
) {
    let is_sealed = sealed.is_some_and(|sealed| !sealed.is_null());
    let any = |list: Option<Value<'_>>| list.is_some_and(|list| list.elements().next().is_some());
    if is_sealed || (any(summary) && !any(content)) {
        visitor.part(place, &Part::Hidden);
    }
    prompt::each_text(content, Part::Reasoning, place, visitor);
    prompt::each_text(summary, Part::Summary, place, visitor);
}
