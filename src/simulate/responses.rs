//! Renders answers as the Responses API shows them: the typed events of a stream, or one JSON body.

use bytes::Bytes;
use serde_json::{Value, json};

use super::completion::{Choice, Completion, Token, TokenCounts};
use super::render::{StreamEvent, pretty};
use super::request::ApiError;

/// One item of the output.
struct OutputItem {
    id: String,
    kind: ItemKind,
    /// Its text or arguments, as it is streamed.
    pieces: Vec<String>,
}

enum ItemKind {
    Reasoning,
    Text,
    Refusal,
    Call { call_id: String, name: String },
}

impl ItemKind {
    /// What the events of its text are called, and the member that has the whole of it.
    const fn text_event(&self) -> (&'static str, &'static str) {
        match self {
            Self::Reasoning => ("reasoning_summary_text", "text"),
            Self::Text => ("output_text", "text"),
            Self::Refusal => ("refusal", "refusal"),
            Self::Call { .. } => ("function_call_arguments", "arguments"),
        }
    }

    /// What the events of the part around its text are called; a call has none.
    const fn part_event(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Reasoning => Some(("reasoning_summary_part", "summary_index")),
            Self::Text | Self::Refusal => Some(("content_part", "content_index")),
            Self::Call { .. } => None,
        }
    }

    fn part(&self, text: &str) -> Value {
        match self {
            Self::Reasoning => json!({"type": "summary_text", "text": text}),
            Self::Refusal => json!({"type": "refusal", "refusal": text}),
            _ => json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []}),
        }
    }
}

impl OutputItem {
    fn text(&self) -> String {
        self.pieces.concat()
    }

    /// The item as it is announced, empty, or as it stands when it is done.
    fn json(&self, done: bool) -> Value {
        let text = if done { self.text() } else { String::new() };
        let parts: Vec<Value> = done.then(|| self.kind.part(&text)).into_iter().collect();
        let status = if done { "completed" } else { "in_progress" };
        match &self.kind {
            ItemKind::Reasoning => json!({"id": self.id, "type": "reasoning", "summary": parts}),
            ItemKind::Text | ItemKind::Refusal => json!({
                "id": self.id, "type": "message", "status": status, "role": "assistant", "content": parts,
            }),
            ItemKind::Call { call_id, name } => json!({
                "id": self.id, "type": "function_call", "status": status, "call_id": call_id, "name": name,
                "arguments": text,
            }),
        }
    }
}

/// The items of an answer, in the order of their first tokens.
fn items(answer: &Completion) -> Vec<OutputItem> {
    let mut items: Vec<OutputItem> = Vec::new();
    for token in answer.choices.iter().flat_map(|choice| &choice.tokens) {
        let (kind, piece) = match token {
            Token::Reasoning(word) => (ItemKind::Reasoning, *word),
            Token::Content(word) => (ItemKind::Text, *word),
            Token::Refusal(word) => (ItemKind::Refusal, *word),
            Token::Arguments { fragment, .. } => {
                // Calls are composed one after another.
                if let Some(call) = items.last_mut() {
                    call.pieces.push(fragment.clone());
                }
                continue;
            }
            Token::Call { id, name, .. } => {
                let kind = ItemKind::Call {
                    call_id: id.clone(),
                    name: name.clone(),
                };
                items.push(item(answer, items.len(), kind));
                continue;
            }
        };
        let same = |last: &&mut OutputItem| last.kind.text_event() == kind.text_event();
        match items.last_mut().filter(same) {
            Some(last) => last.pieces.push(piece.to_owned()),
            None => {
                let mut item = item(answer, items.len(), kind);
                item.pieces.push(piece.to_owned());
                items.push(item);
            }
        }
    }
    items
}

fn item(answer: &Completion, index: usize, kind: ItemKind) -> OutputItem {
    let prefix = match kind {
        ItemKind::Reasoning => "rs",
        ItemKind::Text | ItemKind::Refusal => "msg",
        ItemKind::Call { .. } => "fc",
    };
    let of = answer.id.trim_start_matches("resp_");
    OutputItem {
        id: format!("{prefix}_{of}_{index}"),
        kind,
        pieces: Vec::new(),
    }
}

/// Every event of a stream.
pub(super) fn events(answer: &Completion, report_usage: bool) -> Vec<StreamEvent> {
    let items = items(answer);
    let mut events = Events::default();
    let begun = || json!({"response": response(answer, "in_progress", &[], None)});
    events.push("response.created", begun(), false);
    events.push("response.in_progress", begun(), false);
    for (index, item) in items.iter().enumerate() {
        events.push_item(index, item);
    }
    let status = status(answer);
    let usage = report_usage.then_some(&answer.usage);
    let whole = json!({"response": response(answer, status, &items, usage)});
    events.push(&format!("response.{status}"), whole, false);
    events.0
}

/// A whole answer.
pub(super) fn body(answer: &Completion, report_usage: bool) -> Bytes {
    let usage = report_usage.then_some(&answer.usage);
    pretty(&response(answer, status(answer), &items(answer), usage))
}

/// The event that carries an error, as the one at this position of a stream.
pub(super) fn error_event(error: &ApiError, position: usize) -> StreamEvent {
    let members = json!({"code": error.kind, "message": error.message, "param": error.param});
    event("error", position, members, false)
}

/// How an answer ended, in this API's word.
fn status(answer: &Completion) -> &'static str {
    let cut = |choice: &Choice| choice.finish_reason == "length";
    if answer.choices.iter().any(cut) {
        "incomplete"
    } else {
        "completed"
    }
}

fn response(
    answer: &Completion,
    status: &str,
    items: &[OutputItem],
    usage: Option<&TokenCounts>,
) -> Value {
    let reason = (status == "incomplete").then(|| json!({"reason": "max_output_tokens"}));
    json!({
        "id": answer.id,
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "error": null,
        "incomplete_details": reason,
        "instructions": null,
        "metadata": {},
        "model": answer.model,
        "output": items.iter().map(|item| item.json(true)).collect::<Vec<_>>(),
        "parallel_tool_calls": true,
        "service_tier": "default",
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": usage.map(usage_json),
    })
}

fn usage_json(usage: &TokenCounts) -> Value {
    json!({
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    })
}

/// Events, numbered as they come.
#[derive(Default)]
struct Events(Vec<StreamEvent>);

impl Events {
    fn push(&mut self, kind: &str, members: Value, paced: bool) {
        let event = event(kind, self.0.len(), members, paced);
        self.0.push(event);
    }

    /// An item from its announcement to its end.
    fn push_item(&mut self, index: usize, item: &OutputItem) {
        // Naming its tool is a token of a call.
        let named = matches!(item.kind, ItemKind::Call { .. });
        let whole = |done| json!({"output_index": index, "item": item.json(done)});
        let place = || json!({"item_id": item.id, "output_index": index});
        let part_event = item.kind.part_event();
        let part = |events: &mut Self, step: &str, text: &str| {
            if let Some((name, position)) = part_event {
                let mut members = place();
                members[position] = 0.into();
                members["part"] = item.kind.part(text);
                events.push(&format!("response.{name}.{step}"), members, false);
            }
        };
        let (name, member) = item.kind.text_event();
        let text = |member: &str, text: &str| {
            let mut members = place();
            if let Some((_, position)) = part_event {
                members[position] = 0.into();
            }
            members[member] = text.into();
            members
        };
        self.push("response.output_item.added", whole(false), named);
        part(self, "added", "");
        for piece in &item.pieces {
            self.push(
                &format!("response.{name}.delta"),
                text("delta", piece),
                true,
            );
        }
        let all = item.text();
        self.push(&format!("response.{name}.done"), text(member, &all), false);
        part(self, "done", &all);
        self.push("response.output_item.done", whole(true), false);
    }
}

fn event(kind: &str, number: usize, members: Value, paced: bool) -> StreamEvent {
    let mut data = json!({"type": kind, "sequence_number": number});
    if let (Some(data), Value::Object(members)) = (data.as_object_mut(), members) {
        data.extend(members);
    }
    let bytes = format!("event: {kind}\ndata: {data}\n\n").into();
    StreamEvent { bytes, paced }
}
