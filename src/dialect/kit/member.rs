//! Tolerant reading of single members: absent and `null` are alike, a wrong type is absent and counted.

use std::borrow::Cow;

use crate::dialect::counts::TOKENS_MAX;
use crate::exchange::Problems;
use crate::parse::json::{self, Kind, Selection, Text, Value};

/// Longest text that is kept, in bytes; what an upstream calls its model or says of an error is its own choice.
const TEXT_KEPT: usize = 2048;

/// Bytes as text, broken characters replaced. A stream of events is decoded so (WHATWG Encoding), and a broken character
/// should cost itself only.
pub(in crate::dialect) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    // The lossy conversion is several times slower than the check that there is nothing to convert.
    match json::text(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// The members of these names of a body that must be one JSON object; `None`, and a problem, where it is none.
pub(in crate::dialect) fn members<'a, const N: usize>(
    text: &'a str,
    names: [&'static str; N],
    problems: &mut Problems,
) -> Option<[Option<Value<'a>>; N]> {
    members_and_all(text, names, problems, |_, _| {})
}

/// The same, and `each` is called with every member.
pub(in crate::dialect) fn members_and_all<'a, const N: usize>(
    text: &'a str,
    names: [&'static str; N],
    problems: &mut Problems,
    mut each: impl FnMut(Text<'a>, Value<'a>),
) -> Option<[Option<Value<'a>>; N]> {
    let mut selection = Selection::of(names);
    let parsed = json::parse_object(text, |key, value| {
        selection.note(key, value);
        each(key, value);
    });
    problems.malformed += u64::from(parsed.is_err());
    parsed.ok().map(|_| selection.found)
}

/// What `read` makes of a member; a problem where it makes nothing of a member that is there.
pub(in crate::dialect) fn typed<'a, T>(
    member: Option<Value<'a>>,
    problems: &mut Problems,
    read: impl FnOnce(Value<'a>) -> Option<T>,
) -> Option<T> {
    let value = member.filter(|value| !value.is_null())?;
    let read = read(value);
    problems.mistyped += u64::from(read.is_none());
    read
}

/// The value, if it is an object.
pub(in crate::dialect) fn object(value: Value<'_>) -> Option<Value<'_>> {
    (value.kind() == Kind::Object).then_some(value)
}

/// The value, if it is an array.
pub(in crate::dialect) fn array(value: Value<'_>) -> Option<Value<'_>> {
    (value.kind() == Kind::Array).then_some(value)
}

/// A count: a whole number that is not negative, also in a string or with an empty fraction.
pub(in crate::dialect) fn count(value: Value<'_>) -> Option<u64> {
    match value.as_text() {
        Some(text) => text.decode().trim().parse().ok(),
        None => value.as_u64(),
    }
}

/// A count of tokens: as [`count`], within reason.
pub(in crate::dialect) fn tokens(value: Value<'_>) -> Option<u64> {
    count(value).filter(|tokens| *tokens <= TOKENS_MAX)
}

/// Whether a count of tokens is written otherwise than as a whole number that is not negative, or is out of reason.
pub(in crate::dialect) fn is_odd_count(number: Value<'_>) -> bool {
    let is_plain = || number.raw().iter().all(u8::is_ascii_digit) && tokens(number).is_some();
    !number.is_null() && !is_plain()
}

/// A text to keep, cut at the bound.
pub(in crate::dialect) fn keep(text: Text<'_>) -> String {
    keep_str(&text.decode())
}

/// As [`keep`], for decoded text.
pub(in crate::dialect) fn keep_str(text: &str) -> String {
    cut(text, TEXT_KEPT).to_owned()
}

/// As much of a text as fits into `bytes` without breaking a character.
pub(in crate::dialect) fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
