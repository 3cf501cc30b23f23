//! Error objects, in an HTTP error's body or inside a stream that began with a 200.

use crate::dialect::member::{decode, keep, keep_str};
use crate::exchange::ApiError;
use crate::json::{Kind, Value};

/// What the member `error` says: an object, or a bare string. `None` for the `null`, `false`, `""` and `{}` that some
/// servers put beside a good answer.
pub(in crate::dialect) fn from_member(error: Value<'_>) -> Option<ApiError> {
    match error.kind() {
        Kind::Object => from_object(error),
        Kind::String => error
            .as_text()
            .filter(|text| !text.is_empty())
            .map(|text| from_text(&text.decode())),
        _ => None,
    }
}

/// What an answer says that is known to be an error: in its member `error`, else by itself.
pub(in crate::dialect) fn from_answer(answer: Value<'_>) -> Option<ApiError> {
    let member = answer.get("error").and_then(from_member);
    member.or_else(|| from_object(answer))
}

/// What an object says that is an error itself; `None` if it has none of an error's members.
pub(in crate::dialect) fn from_object(object: Value<'_>) -> Option<ApiError> {
    let [code, kind, message, detail] = object.select(["code", "type", "message", "detail"]);
    let text = |member: Option<Value<'_>>| {
        let text = member?.as_text()?;
        (!text.is_empty()).then(|| keep(text))
    };
    // FastAPI, under many servers, says `detail`: a string, or a list of what is wrong where.
    let message = message.or(detail).filter(|message| !message.is_null());
    let error = ApiError {
        code: text(code),
        kind: text(kind),
        message: message.map(|message| match message.as_text() {
            Some(text) => keep(text),
            None => keep_str(&decode(message.raw())),
        }),
        status: code.and_then(Value::as_i64),
    };
    (error != ApiError::default()).then_some(error)
}

/// An error of which only a text is known.
pub(in crate::dialect) fn from_text(message: &str) -> ApiError {
    ApiError {
        message: Some(keep_str(message)),
        ..ApiError::default()
    }
}

/// Whether an object without `error` and `choices` calls itself an error, as older vLLM (`object`) and relays of other
/// APIs (`type`) do.
pub(in crate::dialect) fn is_bare(object: Value<'_>) -> bool {
    let says_error = |member: Value<'_>| member.as_text().is_some_and(|text| text.is("error"));
    let members = object.select(["object", "type"]);
    members.into_iter().flatten().any(says_error)
}
