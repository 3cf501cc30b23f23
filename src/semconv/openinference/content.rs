//! Content in OpenInference's names: a key for each member of each message, and the whole as `input.value` and
//! `output.value`.

use serde_json::{Value as Json, json};

use super::super::Attributes;
use super::super::content::{self, Room};
use crate::exchange::{Content, ContentMessage, ContentPart, ContentTool, Exchange};

/// Puts it on a span.
pub(super) fn put(exchange: &Exchange, span: &mut Attributes<'_>) {
    let Some(content) = content::of_span(exchange) else {
        return;
    };
    let bytes = content.shown_bytes;
    let mut room = Room::of(bytes);
    // What stands apart elsewhere is a message here.
    let before = usize::from(!content.system.is_empty());
    if before > 0 {
        let key = "llm.input_messages.0.message";
        put_parts(key, "system", &content.system, &mut room, span);
    }
    let first = first_that_fits(&content.input, room.text());
    // What is cut is the oldest.
    for (at, message) in content.input[first..].iter().enumerate().rev() {
        let key = format!("llm.input_messages.{}.message", at + before);
        put_message(&key, message, &mut room, span);
    }
    let mut room = Room::of(bytes);
    for (at, message) in content.output.iter().enumerate() {
        if at > 0 && room.is_full() {
            break;
        }
        let key = format!("llm.output_messages.{at}.message");
        put_message(&key, message, &mut room, span);
    }
    let mut room = Room::of(bytes);
    for (at, tool) in content.tools.iter().enumerate() {
        if at > 0 && room.is_full() {
            break;
        }
        let key = format!("llm.tools.{at}.tool.json_schema");
        span.put_under(&key, schema(tool, &mut room).to_string());
    }
    put_values(content, span);
}

/// The first of the messages of which all behind it fit.
fn first_that_fits(messages: &[ContentMessage], bytes: usize) -> usize {
    content::last_that_fit(messages, bytes).0
}

/// The whole: a text where it is no more than one, else the messages as JSON.
fn put_values(content: &Content, span: &mut Attributes<'_>) {
    let sides = [
        (
            "input.value",
            "input.mime_type",
            "gen_ai.input.messages",
            &content.input,
        ),
        (
            "output.value",
            "output.mime_type",
            "gen_ai.output.messages",
            &content.output,
        ),
    ];
    for (value, mime_type, name, messages) in sides {
        if let Some(text) = only_text(messages) {
            span.put(value, Room::of(content.shown_bytes).cut(text));
            span.put(mime_type, "text/plain");
        } else if let Some((_, json)) = content::structured(content).find(|(key, _)| *key == name) {
            span.put(value, json.to_string());
            span.put(mime_type, "application/json");
        }
    }
}

fn only_text(messages: &[ContentMessage]) -> Option<&str> {
    match messages {
        [only] => match only.parts.as_slice() {
            [ContentPart::Text(text)] => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn put_message(key: &str, message: &ContentMessage, room: &mut Room, span: &mut Attributes<'_>) {
    room.take();
    if let Some(name) = &message.name {
        span.put_under(&format!("{key}.name"), room.name(name));
    }
    let role = content::role(message.speaker);
    put_parts(key, role, &message.parts, room, span);
}

fn put_parts(
    key: &str,
    role: &str,
    parts: &[ContentPart],
    room: &mut Room,
    span: &mut Attributes<'_>,
) {
    span.put_under(&format!("{key}.role"), role);
    let is_beside = |part: &&ContentPart| {
        matches!(
            part,
            ContentPart::ToolCall { .. } | ContentPart::ToolCallResponse { .. }
        )
    };
    let said: Vec<&ContentPart> = parts.iter().filter(|part| !is_beside(part)).collect();
    match said.as_slice() {
        [] => {}
        [ContentPart::Text(text)] => span.put_under(&format!("{key}.content"), room.cut(text)),
        several => {
            for (at, part) in several.iter().enumerate() {
                let key = format!("{key}.contents.{at}.message_content");
                if at > 0 && room.is_full() {
                    let left = content::cut_after(several.len() - at, "parts");
                    span.put_under(&format!("{key}.type"), "text");
                    span.put_under(&format!("{key}.text"), left);
                    break;
                }
                put_content(&key, part, room, span);
            }
        }
    }
    let mut calls = 0;
    for part in parts {
        if calls > 0 && room.is_full() {
            break;
        }
        match part {
            ContentPart::ToolCall {
                id,
                name,
                arguments,
            } => {
                let key = format!("{key}.tool_calls.{calls}.tool_call");
                room.take();
                if let Some(id) = id {
                    span.put_under(&format!("{key}.id"), room.name(id));
                }
                span.put_under(&format!("{key}.function.name"), room.name(name));
                span.put_under(&format!("{key}.function.arguments"), room.cut(arguments));
                calls += 1;
            }
            // A message has one; what APIs put into one message are several there.
            ContentPart::ToolCallResponse { id, response } if said.is_empty() => {
                if let Some(id) = id {
                    span.put_under(&format!("{key}.tool_call_id"), room.name(id));
                }
                span.put_under(&format!("{key}.content"), room.cut(response));
                return;
            }
            _ => {}
        }
    }
}

fn put_content(key: &str, part: &ContentPart, room: &mut Room, span: &mut Attributes<'_>) {
    let mut put = |kind: &str, member: &str, value: String| {
        span.put_under(&format!("{key}.type"), kind);
        span.put_under(&format!("{key}.{member}"), value);
    };
    room.take();
    match part {
        ContentPart::Reasoning(text) => put("reasoning", "text", room.cut(text)),
        ContentPart::Text(text) | ContentPart::Refusal(text) => put("text", "text", room.cut(text)),
        ContentPart::Uri { uri, .. } => put("image", "image.image.url", room.cut(uri)),
        ContentPart::Blob { bytes, sha256, .. } => {
            let sha256 = content::hex(sha256);
            put("text", "text", format!("[{bytes} bytes, sha256 {sha256}]"));
        }
        ContentPart::File { file_id, .. } => {
            put("text", "text", format!("[file {}]", room.name(file_id)));
        }
        ContentPart::Other { kind, bytes } => {
            put(
                "text",
                "text",
                format!("[{}, {bytes} bytes]", room.name(kind)),
            );
        }
        ContentPart::ToolCall { .. } | ContentPart::ToolCallResponse { .. } => {}
    }
}

/// A tool as OpenAI defines it, which is what its readers know.
fn schema(tool: &ContentTool, room: &mut Room) -> Json {
    room.take();
    let parameters = tool.parameters.as_deref().map(|text| room.cut(text));
    let parameters =
        parameters.map(|text| serde_json::from_str(&text).unwrap_or(Json::String(text)));
    json!({
        "type": room.name(&tool.kind),
        "function": {
            "name": room.name(&tool.name),
            "description": tool.description.as_deref().map(|text| room.cut(text)),
            "parameters": parameters,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;
    use crate::exchange::{ContentPolicy, Speaker};

    #[test]
    fn messages_are_flat_keys_and_calls_stand_beside_what_is_said() {
        let mut exchange = sample::streamed();
        let message = |speaker, parts| ContentMessage {
            speaker,
            name: None,
            parts,
            finish_reason: None,
        };
        let text = |text: &str| ContentPart::Text(text.to_owned());
        exchange.content = Some(Box::new(Content {
            policy: ContentPolicy {
                attributes: true,
                events: false,
                store: false,
            },
            shown_bytes: 100,
            system: vec![text("be brief")],
            input: vec![
                message(Speaker::User, vec![text("hello")]),
                message(
                    Speaker::Tool,
                    vec![ContentPart::ToolCallResponse {
                        id: Some("c1".to_owned()),
                        response: "7".to_owned(),
                    }],
                ),
            ],
            output: vec![message(
                Speaker::Assistant,
                vec![
                    ContentPart::Reasoning("hm".to_owned()),
                    text("well"),
                    ContentPart::ToolCall {
                        id: Some("c2".to_owned()),
                        name: "add".to_owned(),
                        arguments: "{}".to_owned(),
                    },
                ],
            )],
            ..Content::default()
        }));
        let lines = sample::attribute_lines(|span| put(&exchange, span));
        let expected = [
            "llm.input_messages.0.message.role=system",
            "llm.input_messages.0.message.content=be brief",
            "llm.input_messages.2.message.role=tool",
            "llm.input_messages.2.message.tool_call_id=c1",
            "llm.input_messages.2.message.content=7",
            "llm.input_messages.1.message.role=user",
            "llm.input_messages.1.message.content=hello",
            "llm.output_messages.0.message.role=assistant",
            "llm.output_messages.0.message.contents.0.message_content.type=reasoning",
            "llm.output_messages.0.message.contents.0.message_content.text=hm",
            "llm.output_messages.0.message.contents.1.message_content.type=text",
            "llm.output_messages.0.message.contents.1.message_content.text=well",
            "llm.output_messages.0.message.tool_calls.0.tool_call.id=c2",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name=add",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments={}",
        ];
        assert_eq!(lines[..expected.len()], expected);
        assert!(lines[expected.len()].starts_with(r#"input.value=[{"parts":"#));
        assert_eq!(lines.len(), expected.len() + 4, "{lines:#?}");
    }
}
