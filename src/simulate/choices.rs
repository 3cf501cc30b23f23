//! Renders answers as the APIs of chat and of text completions show them, whose answers are choices: the events of a
//! stream, or one JSON body.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::completion::{Choice, Completion, Token, TokenCounts};
use super::render::{StreamEvent, pretty};

/// The `system_fingerprint` of every answer.
const FINGERPRINT: &str = "fp_5157a11c0de";

/// The two APIs whose answers are choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Chat,
    Text,
}

/// What surrounds the choice in every event of a stream.
struct ChunkTemplate {
    before: String,
    after: &'static str,
    shape: Shape,
}

impl ChunkTemplate {
    fn new(shape: Shape, answer: &Completion, include_usage: bool) -> Self {
        let object = match shape {
            Shape::Chat => "chat.completion.chunk",
            Shape::Text => "text_completion",
        };
        let before = format!(
            r#"data: {{"id":"{}","object":"{object}","created":{},"model":{},"service_tier":"default","system_fingerprint":"{FINGERPRINT}","choices":["#,
            answer.id,
            answer.created,
            quote(&answer.model),
        );
        let after = if include_usage {
            "],\"usage\":null}\n\n"
        } else {
            "]}\n\n"
        };
        Self {
            before,
            after,
            shape,
        }
    }

    fn choice(
        &self,
        index: usize,
        delta: &str,
        finish_reason: Option<&str>,
        paced: bool,
    ) -> StreamEvent {
        let finish_reason = finish_reason.map_or_else(|| "null".to_owned(), quote);
        let choice = match self.shape {
            Shape::Chat => format!(
                r#"{{"index":{index},"delta":{{{delta}}},"logprobs":null,"finish_reason":{finish_reason}}}"#
            ),
            Shape::Text => format!(
                r#"{{"text":{delta},"index":{index},"logprobs":null,"finish_reason":{finish_reason}}}"#
            ),
        };
        let bytes = [&self.before, &choice, self.after].concat().into();
        StreamEvent { bytes, paced }
    }

    fn usage(&self, usage: &TokenCounts) -> StreamEvent {
        let bytes = format!("{}],\"usage\":{}}}\n\n", self.before, usage_json(usage)).into();
        StreamEvent {
            bytes,
            paced: false,
        }
    }
}

/// Every chunk of a stream, `[DONE]` included. Choices take turns, token by token.
pub(super) fn events(shape: Shape, answer: &Completion, include_usage: bool) -> Vec<StreamEvent> {
    let frame = ChunkTemplate::new(shape, answer, include_usage);
    let mut events = Vec::new();
    if shape == Shape::Chat {
        let role = r#""role":"assistant","content":"","refusal":null"#;
        events
            .extend((0..answer.choices.len()).map(|index| frame.choice(index, role, None, false)));
    }
    let longest = answer
        .choices
        .iter()
        .map(|choice| choice.tokens.len())
        .max()
        .unwrap_or(0);
    for position in 0..=longest {
        for (
            index,
            Choice {
                tokens,
                finish_reason,
            },
        ) in answer.choices.iter().enumerate()
        {
            if let Some(token) = tokens.get(position) {
                events.push(frame.choice(index, &delta(shape, token), None, true));
            } else if position == tokens.len() {
                let nothing = if shape == Shape::Chat { "" } else { "\"\"" };
                events.push(frame.choice(index, nothing, Some(finish_reason), false));
            }
        }
    }
    if include_usage {
        events.push(frame.usage(&answer.usage));
    }
    events.push(StreamEvent {
        bytes: Bytes::from_static(b"data: [DONE]\n\n"),
        paced: false,
    });
    events
}

/// The members of a chat delta, or the text of a text completion.
fn delta(shape: Shape, token: &Token) -> String {
    match token {
        Token::Content(word) if shape == Shape::Text => quote(word),
        Token::Content(word) => format!(r#""content":{}"#, quote(word)),
        Token::Reasoning(word) => format!(r#""reasoning_content":{}"#, quote(word)),
        Token::Refusal(word) => format!(r#""refusal":{}"#, quote(word)),
        Token::Call { index, id, name } => format!(
            r#""tool_calls":[{{"index":{index},"id":"{id}","type":"function","function":{{"name":{},"arguments":""}}}}]"#,
            quote(name)
        ),
        Token::Arguments { index, fragment } => format!(
            r#""tool_calls":[{{"index":{index},"function":{{"arguments":{}}}}}]"#,
            quote(fragment)
        ),
    }
}

/// A whole answer.
pub(super) fn body(shape: Shape, answer: &Completion, report_usage: bool) -> Bytes {
    let choices = answer.choices.iter().enumerate();
    let (object, choices): (_, Vec<Value>) = match shape {
        Shape::Chat => ("chat.completion", choices.map(chat_choice).collect()),
        Shape::Text => ("text_completion", choices.map(text_choice).collect()),
    };
    let mut members = json!({
        "id": answer.id,
        "object": object,
        "created": answer.created,
        "model": answer.model,
        "choices": choices,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    });
    if report_usage {
        members["usage"] = usage_json(&answer.usage);
    }
    pretty(&members)
}

fn chat_choice((index, choice): (usize, &Choice)) -> Value {
    let mut texts = [const { String::new() }; 3];
    let mut calls: Vec<Value> = Vec::new();
    let mut arguments: Vec<String> = Vec::new();
    for token in &choice.tokens {
        match token {
            Token::Content(word) => texts[0] += word,
            Token::Reasoning(word) => texts[1] += word,
            Token::Refusal(word) => texts[2] += word,
            Token::Call { id, name, .. } => {
                calls.push(json!({"id": id, "type": "function", "function": {"name": name}}));
                arguments.push(String::new());
            }
            Token::Arguments { index, fragment } => arguments[*index] += fragment,
        }
    }
    for (call, arguments) in calls.iter_mut().zip(arguments) {
        call["function"]["arguments"] = arguments.into();
    }
    let [content, reasoning, refusal] = texts.map(|text| (!text.is_empty()).then_some(text));
    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    message.insert("content".into(), content.into());
    message.insert("refusal".into(), refusal.into());
    if let Some(reasoning) = reasoning {
        message.insert("reasoning_content".into(), reasoning.into());
    }
    if !calls.is_empty() {
        message.insert("tool_calls".into(), calls.into());
    }
    json!({
        "index": index,
        "message": message,
        "logprobs": null,
        "finish_reason": choice.finish_reason,
    })
}

fn text_choice((index, choice): (usize, &Choice)) -> Value {
    let words = choice.tokens.iter().filter_map(|token| match token {
        Token::Content(word) => Some(*word),
        _ => None,
    });
    json!({
        "text": words.collect::<String>(),
        "index": index,
        "logprobs": null,
        "finish_reason": choice.finish_reason,
    })
}

fn usage_json(usage: &TokenCounts) -> Value {
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// A JSON string.
fn quote(text: &str) -> String {
    Value::from(text).to_string()
}
