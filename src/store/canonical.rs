//! How objects are written: the one form whose bytes make their names.
//!
//! Members stand in the order of these types, without spaces, and what is not there has none. A change of any of it gives the same
//! message another name: what is stored already would be stored again.

use serde::Serialize;

use crate::exchange::{ContentHash, ContentMessage, ContentPart, ContentTool};
use crate::semconv::content::role;

/// A message: whole, without why a choice ended, and the arguments of calls as they were written, so that an answer is the same object
/// when the next request repeats it.
#[derive(Serialize)]
pub(super) struct Message<'c> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'c str>,
    parts: Vec<Part<'c>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'c> {
    Text {
        content: &'c str,
    },
    Reasoning {
        content: &'c str,
    },
    Refusal {
        content: &'c str,
    },
    ToolCall {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'c str>,
        name: &'c str,
        arguments: &'c str,
    },
    ToolCallResponse {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'c str>,
        response: &'c str,
    },
    Blob {
        modality: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        mime_type: Option<&'c str>,
        size: u64,
        sha256: ContentHash,
    },
    Uri {
        modality: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        mime_type: Option<&'c str>,
        uri: &'c str,
    },
    File {
        modality: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        mime_type: Option<&'c str>,
        file_id: &'c str,
    },
    #[serde(untagged)]
    Other {
        #[serde(rename = "type")]
        kind: &'c str,
        size: u64,
    },
}

/// The definition of a tool.
#[derive(Serialize)]
pub(super) struct Tool<'c> {
    #[serde(rename = "type")]
    kind: &'c str,
    name: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'c str>,
}

/// A list of what a prompt is made of.
#[derive(Serialize)]
pub(super) struct PromptList {
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) system: Option<ContentHash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tools: Option<ContentHash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) runs: Vec<ContentHash>,
    pub(super) messages: Vec<ContentHash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) missing: Vec<&'static str>,
}

/// A list of some of its messages.
#[derive(Serialize)]
pub(super) struct RunList<'c> {
    pub(super) kind: &'static str,
    pub(super) messages: &'c [ContentHash],
}

/// A list of what was answered.
#[derive(Serialize)]
pub(super) struct AnswerList<'c> {
    pub(super) kind: &'static str,
    pub(super) prompt: ContentHash,
    pub(super) messages: Vec<Choice<'c>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) missing: Vec<&'static str>,
}

/// One choice of an answer.
#[derive(Serialize)]
pub(super) struct Choice<'c> {
    pub(super) message: ContentHash,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finish_reason: Option<&'c str>,
}

impl<'c> Message<'c> {
    pub(super) fn of(message: &'c ContentMessage) -> Self {
        Self {
            role: role(message.speaker),
            name: message.name.as_deref(),
            parts: message.parts.iter().map(Part::of).collect(),
        }
    }

    /// Instructions that stand apart, as a message of the system.
    pub(super) fn of_system(parts: &'c [ContentPart]) -> Self {
        Self {
            role: role(crate::exchange::Speaker::System),
            name: None,
            parts: parts.iter().map(Part::of).collect(),
        }
    }
}

impl<'c> Part<'c> {
    fn of(part: &'c ContentPart) -> Self {
        match part {
            ContentPart::Text(content) => Self::Text { content },
            ContentPart::Reasoning(content) => Self::Reasoning { content },
            ContentPart::Refusal(content) => Self::Refusal { content },
            ContentPart::ToolCall {
                id,
                name,
                arguments,
            } => Self::ToolCall {
                id: id.as_deref(),
                name,
                arguments,
            },
            ContentPart::ToolCallResponse { id, response } => Self::ToolCallResponse {
                id: id.as_deref(),
                response,
            },
            ContentPart::Blob {
                modality,
                mime_type,
                bytes,
                sha256,
            } => Self::Blob {
                modality,
                mime_type: mime_type.as_deref(),
                size: *bytes,
                sha256: ContentHash(*sha256),
            },
            ContentPart::Uri {
                modality,
                mime_type,
                uri,
            } => Self::Uri {
                modality,
                mime_type: mime_type.as_deref(),
                uri,
            },
            ContentPart::File {
                modality,
                mime_type,
                file_id,
            } => Self::File {
                modality,
                mime_type: mime_type.as_deref(),
                file_id,
            },
            ContentPart::Other { kind, bytes } => Self::Other { kind, size: *bytes },
        }
    }
}

impl<'c> Tool<'c> {
    pub(super) fn of(tool: &'c ContentTool) -> Self {
        Self {
            kind: &tool.kind,
            name: &tool.name,
            description: tool.description.as_deref(),
            parameters: tool.parameters.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Speaker;

    #[test]
    fn every_part_has_a_form_and_what_is_not_there_none() {
        let text = || "t".to_owned();
        let parts = vec![
            ContentPart::Reasoning(text()),
            ContentPart::Refusal(text()),
            ContentPart::ToolCall {
                id: Some("c1".to_owned()),
                name: text(),
                arguments: "{\"big\": 12345678901234567890123}".to_owned(),
            },
            ContentPart::ToolCallResponse {
                id: None,
                response: text(),
            },
            ContentPart::Blob {
                modality: "image",
                mime_type: Some("image/png".to_owned()),
                bytes: 3,
                sha256: [0xab; 32],
            },
            ContentPart::Uri {
                modality: "image",
                mime_type: None,
                uri: text(),
            },
            ContentPart::File {
                modality: "document",
                mime_type: None,
                file_id: text(),
            },
            ContentPart::Other {
                kind: "computer_call".to_owned(),
                bytes: 7,
            },
        ];
        let message = ContentMessage {
            speaker: Speaker::Assistant,
            name: Some(text()),
            parts,
            finish_reason: Some("stop".to_owned()),
        };
        let expected = [
            r#"{"role":"assistant","name":"t","parts":["#,
            r#"{"type":"reasoning","content":"t"},"#,
            r#"{"type":"refusal","content":"t"},"#,
            r#"{"type":"tool_call","id":"c1","name":"t","arguments":"{\"big\": 12345678901234567890123}"},"#,
            r#"{"type":"tool_call_response","response":"t"},"#,
            &format!(
                r#"{{"type":"blob","modality":"image","mime_type":"image/png","size":3,"sha256":"{}"}},"#,
                "ab".repeat(32)
            ),
            r#"{"type":"uri","modality":"image","uri":"t"},"#,
            r#"{"type":"file","modality":"document","file_id":"t"},"#,
            r#"{"type":"computer_call","size":7}]}"#,
        ];
        let written = serde_json::to_string(&Message::of(&message)).unwrap();
        assert_eq!(written, expected.concat());
        let tool = ContentTool {
            kind: "function".to_owned(),
            name: text(),
            description: None,
            parameters: Some("{}".to_owned()),
        };
        assert_eq!(
            serde_json::to_string(&Tool::of(&tool)).unwrap(),
            r#"{"type":"function","name":"t","parameters":"{}"}"#
        );
    }
}
