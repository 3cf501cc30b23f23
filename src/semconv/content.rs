//! Content in the shape of the GenAI conventions: `gen_ai.input.messages`, `gen_ai.output.messages`,
//! `gen_ai.system_instructions` and `gen_ai.tool.definitions`, as their JSON schemas have them.
//!
//! Follows open-telemetry/semantic-conventions-genai v0.1.0. A part that is no text has its size and SHA-256 in place of its
//! bytes. What is cut says so in its own text, and what is cut first is the oldest.

use serde_json::{Map, Value as Json, json};

use super::Attributes;
use crate::exchange::{Content, ContentMessage, ContentPart, ContentTool, Exchange, Speaker};

/// Why content is not whole.
pub const MISSING: &str = "streamgauge.content.missing";

const KEYS: [&str; 4] = [
    "gen_ai.system_instructions",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.tool.definitions",
];

/// The content that the spans of an exchange show.
#[must_use]
pub fn of_span(exchange: &Exchange) -> Option<&Content> {
    let content = exchange.content.as_deref();
    content.filter(|content| content.policy.attributes)
}

/// Whether a key is one of content's.
#[must_use]
pub fn is_key(key: &str) -> bool {
    KEYS.contains(&key)
}

/// Puts it on a span, as texts of JSON: a span has no other way.
pub(super) fn put(exchange: &Exchange, span: &mut Attributes<'_>) {
    let Some(content) = of_span(exchange) else {
        return;
    };
    for (key, value) in structured(content) {
        span.put_under(key, value.to_string());
    }
}

/// What of it is there, by its attributes' names.
pub fn structured(content: &Content) -> impl Iterator<Item = (&'static str, Json)> {
    let bytes = content.shown_bytes;
    let values = [
        (!content.system.is_empty()).then(|| parts(&content.system, &mut Room::of(bytes))),
        (!content.input.is_empty()).then(|| messages(&content.input, bytes)),
        (!content.output.is_empty()).then(|| messages(&content.output, bytes)),
        (!content.tools.is_empty()).then(|| tools(&content.tools, bytes)),
    ];
    let pairs = KEYS.into_iter().zip(values);
    pairs.filter_map(|(key, value)| Some((key, value?)))
}

/// What a message or a part takes up at least, in bytes, so that very many with little or no text have a bound, too.
const PART_BYTES: usize = 64;
/// So many are shown however little text may be.
const PARTS_MIN: usize = 16;

/// How much may still be shown.
pub(super) struct Room {
    /// Of texts, in bytes.
    text: usize,
    /// Messages, parts and tools.
    parts: usize,
}

impl Room {
    /// For so many bytes of texts.
    pub(super) fn of(bytes: usize) -> Self {
        Self {
            text: bytes,
            parts: (bytes / PART_BYTES).max(PARTS_MIN),
        }
    }

    /// As much of a text as fits, with a mark where that is not all.
    pub(super) fn cut(&mut self, text: &str) -> String {
        if text.len() <= self.text {
            self.text -= text.len();
            return text.to_owned();
        }
        let mut end = self.text;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.text = 0;
        format!("{}[cut: {end} of {} bytes]", &text[..end], text.len())
    }

    /// A name, which is short and shown whole, and leaves less room for texts.
    pub(super) fn name<'t>(&mut self, name: &'t str) -> &'t str {
        self.text = self.text.saturating_sub(name.len());
        name
    }

    /// Takes the place of a message, a part or a tool.
    pub(super) const fn take(&mut self) {
        self.parts = self.parts.saturating_sub(1);
    }

    pub(super) const fn is_full(&self) -> bool {
        self.text == 0 || self.parts == 0
    }

    /// How many bytes of texts may still be shown.
    pub(super) const fn text(&self) -> usize {
        self.text
    }
}

/// What is said of those that are left out behind others: `what` they are, in the plural.
pub(super) fn cut_after(count: usize, what: &str) -> String {
    format!("[cut: {count} {what} after this]")
}

/// Each as it is shown for as long as there is room, the first one in any case; and how many are left out.
fn that_fit<T>(
    all: &[T],
    room: &mut Room,
    show: impl Fn(&T, &mut Room) -> Json,
) -> (Vec<Json>, usize) {
    let mut shown = Vec::new();
    for one in all {
        if room.is_full() && !shown.is_empty() {
            break;
        }
        room.take();
        shown.push(show(one, room));
    }
    let left = all.len() - shown.len();
    (shown, left)
}

/// The last ones that fit, and how many there were before them.
pub(super) fn last_that_fit(messages: &[ContentMessage], bytes: usize) -> (usize, Vec<Json>) {
    let mut room = Room::of(bytes);
    let mut shown = Vec::new();
    let mut left = messages.len();
    while left > 0 && !room.is_full() {
        left -= 1;
        room.take();
        shown.push(message(&messages[left], &mut room));
    }
    shown.reverse();
    (left, shown)
}

fn messages(messages: &[ContentMessage], bytes: usize) -> Json {
    let (left_out, mut shown) = last_that_fit(messages, bytes);
    if left_out > 0 {
        let mark = format!("[cut: {left_out} messages before this]");
        let part = json!({ "type": "text", "content": mark });
        shown.insert(0, json!({ "role": "system", "parts": [part] }));
    }
    shown.into()
}

fn message(message: &ContentMessage, room: &mut Room) -> Json {
    let mut object = Map::new();
    object.insert("role".to_owned(), role(message.speaker).into());
    if let Some(name) = &message.name {
        object.insert("name".to_owned(), room.name(name).into());
    }
    object.insert("parts".to_owned(), parts(&message.parts, room));
    if let Some(reason) = &message.finish_reason {
        object.insert("finish_reason".to_owned(), reason.as_str().into());
    }
    object.into()
}

/// How the conventions call who says a message.
#[must_use]
pub const fn role(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::System => "system",
        Speaker::User => "user",
        Speaker::Assistant => "assistant",
        Speaker::Tool => "tool",
        Speaker::Other => "other",
    }
}

fn parts(parts: &[ContentPart], room: &mut Room) -> Json {
    let (mut shown, left) = that_fit(parts, room, part);
    if left > 0 {
        shown.push(json!({ "type": "text", "content": cut_after(left, "parts") }));
    }
    shown.into()
}

/// Members without those that are `null`.
fn object(members: Json) -> Json {
    match members {
        Json::Object(mut members) => {
            members.retain(|_, value| !value.is_null());
            members.into()
        }
        other => other,
    }
}

fn part(part: &ContentPart, room: &mut Room) -> Json {
    match part {
        ContentPart::Text(text) => json!({ "type": "text", "content": room.cut(text) }),
        ContentPart::Reasoning(text) => json!({ "type": "reasoning", "content": room.cut(text) }),
        ContentPart::Refusal(text) => json!({ "type": "refusal", "content": room.cut(text) }),
        ContentPart::ToolCall {
            id,
            name,
            arguments,
        } => object(json!({
            "type": "tool_call",
            "id": id.as_deref().map(|id| room.name(id)),
            "name": room.name(name),
            "arguments": parsed(room.cut(arguments)),
        })),
        ContentPart::ToolCallResponse { id, response } => object(json!({
            "type": "tool_call_response",
            "id": id.as_deref().map(|id| room.name(id)),
            "response": room.cut(response),
        })),
        ContentPart::Blob {
            modality,
            mime_type,
            bytes,
            sha256,
        } => object(json!({
            "type": "blob",
            "modality": modality,
            "mime_type": mime_type.as_deref().map(|it| room.name(it)),
            "size": bytes,
            "sha256": hex(sha256),
        })),
        ContentPart::Uri {
            modality,
            mime_type,
            uri,
        } => object(json!({
            "type": "uri",
            "modality": modality,
            "mime_type": mime_type.as_deref().map(|it| room.name(it)),
            "uri": room.cut(uri),
        })),
        ContentPart::File {
            modality,
            mime_type,
            file_id,
        } => object(json!({
            "type": "file",
            "modality": modality,
            "mime_type": mime_type.as_deref().map(|it| room.name(it)),
            "file_id": room.name(file_id),
        })),
        ContentPart::Other { kind, bytes } => {
            json!({ "type": room.name(kind), "size": bytes })
        }
    }
}

/// Arguments as what they say, where they are JSON.
fn parsed(arguments: String) -> Json {
    match arguments.trim() {
        "" => Json::Object(Map::new()),
        text => serde_json::from_str(text).unwrap_or(Json::String(arguments)),
    }
}

fn tools(tools: &[ContentTool], bytes: usize) -> Json {
    let show = |tool: &ContentTool, room: &mut Room| {
        object(json!({
            "type": room.name(&tool.kind),
            "name": room.name(&tool.name),
            "description": tool.description.as_deref().map(|text| room.cut(text)),
            "parameters": tool.parameters.as_deref().map(|text| parsed(room.cut(text))),
        }))
    };
    let (mut shown, left) = that_fit(tools, &mut Room::of(bytes), show);
    if left > 0 {
        shown.push(json!({ "type": "function", "name": cut_after(left, "tools") }));
    }
    shown.into()
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> ContentMessage {
        ContentMessage {
            speaker: Speaker::User,
            name: None,
            parts: vec![ContentPart::Text(text.to_owned())],
            finish_reason: None,
        }
    }

    fn input(content: &Content) -> Json {
        let found = structured(content).find(|(key, _)| *key == "gen_ai.input.messages");
        found.unwrap().1
    }

    #[test]
    fn what_is_cut_says_so_and_the_newest_is_kept() {
        let content = Content {
            shown_bytes: 7,
            input: vec![said("first"), said("ééé"), said("last")],
            ..Content::default()
        };
        let shown = input(&content);
        assert_eq!(
            shown[0]["parts"][0]["content"],
            "[cut: 1 messages before this]"
        );
        assert_eq!(shown[1]["parts"][0]["content"], "é[cut: 2 of 6 bytes]");
        assert_eq!(shown[2]["parts"][0]["content"], "last");
        assert_eq!(shown.as_array().unwrap().len(), 3);
    }

    #[test]
    fn arguments_are_what_they_say_where_they_are_json_and_whole() {
        let call = |arguments: &str| ContentPart::ToolCall {
            id: Some("c1".to_owned()),
            name: "f".to_owned(),
            arguments: arguments.to_owned(),
        };
        let shown = |text: &str, room| part(&call(text), &mut Room::of(room));
        let whole = shown(r#"{"a":[1]}"#, 100);
        let expected = json!({"type":"tool_call","id":"c1","name":"f","arguments":{"a":[1]}});
        assert_eq!(whole, expected);
        assert_eq!(shown("print(1)", 100)["arguments"], "print(1)");
        assert_eq!(shown("", 100)["arguments"], json!({}));
        assert_eq!(
            shown(r#"{"a":[1]}"#, 6)["arguments"],
            r#"{"a[cut: 3 of 9 bytes]"#
        );
    }

    #[test]
    fn names_leave_less_room_for_texts() {
        let other = ContentPart::Other {
            kind: "kind".to_owned(),
            bytes: 7,
        };
        let text = ContentPart::Text("text".to_owned());
        let shown = parts(&[other, text], &mut Room::of(6));
        assert_eq!(shown[0]["type"], "kind");
        assert_eq!(shown[1]["content"], "te[cut: 2 of 4 bytes]");
    }

    #[test]
    fn very_many_parts_or_tools_are_within_the_bound_however_little_text_they_have() {
        const SHOWN: usize = 64 << 10;
        let many = 16 << 10;
        let name = "k".repeat(250);
        let other = ContentPart::Other {
            kind: name.clone(),
            bytes: 7,
        };
        let blob = ContentPart::Blob {
            modality: "image",
            mime_type: None,
            bytes: 3,
            sha256: [0; 32],
        };
        let tool = ContentTool {
            kind: "function".to_owned(),
            name,
            description: None,
            parameters: None,
        };
        let empty = ContentMessage {
            parts: Vec::new(),
            ..said("")
        };
        let of_parts = |part: ContentPart| ContentMessage {
            parts: vec![part; many],
            ..said("")
        };
        for (input, tools, left_out) in [
            (vec![of_parts(other)], vec![], "parts after this]"),
            (vec![of_parts(blob)], vec![], "parts after this]"),
            (vec![empty; many], vec![], "messages before this]"),
            (vec![], vec![tool; many], "tools after this]"),
        ] {
            let content = Content {
                shown_bytes: SHOWN,
                input,
                tools,
                ..Content::default()
            };
            let (_, shown) = structured(&content).next().unwrap();
            let shown = shown.to_string();
            assert!(shown.contains(left_out), "{}", &shown[..200]);
            // Each has what frames it, too.
            assert!(shown.len() < 3 * SHOWN, "{} {left_out}", shown.len());
        }
    }

    #[test]
    fn of_what_is_no_text_there_is_no_byte() {
        let blob = ContentPart::Blob {
            modality: "image",
            mime_type: Some("image/png".to_owned()),
            bytes: 3,
            sha256: [0xab; 32],
        };
        let shown = part(&blob, &mut Room::of(0));
        let expected = json!({
            "type": "blob", "modality": "image", "mime_type": "image/png", "size": 3, "sha256": "ab".repeat(32),
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_is_not_there_has_no_attribute() {
        assert_eq!(structured(&Content::default()).count(), 0);
    }
}
