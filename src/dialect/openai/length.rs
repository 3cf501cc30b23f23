//! How long the texts of a request are, in Unicode code points.

use crate::json::{Kind, Value};

/// Of one text or of all in a list, each a string or an object with the member `text`; an object without one, such as an
/// image, adds nothing. `None` where any is neither, as in a prompt that is sent as token ids.
pub(in crate::dialect) fn texts(value: Value<'_>) -> Option<u64> {
    match value.kind() {
        Kind::Array => value.elements().map(text).sum(),
        _ => text(value),
    }
}

fn text(value: Value<'_>) -> Option<u64> {
    match value.kind() {
        Kind::String => value.as_text().map(|text| text.chars()),
        Kind::Object => {
            let text = value.get("text").and_then(Value::as_text);
            Some(text.map_or(0, |text| text.chars()))
        }
        _ => None,
    }
}

/// Of the [`texts`] in several members together, those left out that are absent. `None` where none is there.
pub(in crate::dialect) fn all_texts<'a>(
    members: impl IntoIterator<Item = Option<Value<'a>>>,
) -> Option<u64> {
    let there = members.into_iter().flatten().filter(|it| !it.is_null());
    there
        .map(texts)
        .reduce(|sum, more| Some(sum? + more?))
        .flatten()
}

/// Of the [`texts`] in the contents of all messages.
pub(in crate::dialect) fn messages(value: Value<'_>) -> Option<u64> {
    let content = |message: Value<'_>| texts(message.get("content")?);
    (value.kind() == Kind::Array).then(|| value.elements().filter_map(content).sum())
}
