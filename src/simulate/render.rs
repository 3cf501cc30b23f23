//! What every API renders alike, as OpenAI's API reference shows it: events, bodies, and errors.

use bytes::Bytes;
use serde_json::{Value, json};

use super::request::ApiError;

/// One event of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StreamEvent {
    pub(super) bytes: Bytes,
    /// Whether the model takes its time for it: it carries a token.
    pub(super) paced: bool,
}

/// A JSON body, indented as OpenAI sends it.
pub(super) fn pretty(value: &Value) -> Bytes {
    format!("{value:#}\n").into()
}

/// An error in OpenAI's shape.
pub(super) fn error_body(error: &ApiError) -> Bytes {
    let members = json!({"error": {
        "message": error.message,
        "type": error.kind,
        "param": error.param,
        "code": error.code,
    }});
    members.to_string().into()
}

/// The event that carries an error inside a stream, wherever it comes.
pub(super) fn error_event(error: &ApiError, _position: usize) -> StreamEvent {
    let bytes = [&b"data: "[..], &error_body(error), &b"\n\n"[..]]
        .concat()
        .into();
    StreamEvent {
        bytes,
        paced: false,
    }
}
