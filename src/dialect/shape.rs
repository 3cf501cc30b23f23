//! Which API a response is of, told from the response alone.
//!
//! For captures that hold no request: the path of a request decides wherever there is one. What is told is that path,
//! so that the table of dialects stays the only one. Text that no row knows is of no API; nothing is guessed from prose.

use crate::parse::json::{self, Value};
use crate::parse::sse::{self, Sniff};

/// `object` of an answer or chunk, and the path it is the answer of.
const BY_OBJECT: [(&str, &str); 4] = [
    ("chat.completion", "/v1/chat/completions"),
    ("chat.completion.chunk", "/v1/chat/completions"),
    ("text_completion", "/v1/completions"),
    ("response", "/v1/responses"),
];

/// What `type` of an answer or event begins with, and the path.
const BY_TYPE: [(&str, &str); 7] = [
    ("message", "/v1/messages"),
    ("response.", "/v1/responses"),
    ("image_generation.", "/v1/images/generations"),
    ("image_edit.", "/v1/images/edits"),
    ("speech.audio.", "/v1/audio/speech"),
    ("transcript.text.", "/v1/audio/transcriptions"),
    ("content_block_", "/v1/messages"),
];

/// Members that only one API has together, and the path. The first row whose members are all there counts.
const BY_MEMBERS: [([&str; 2], &str); 6] = [
    (["model", "embedding"], "/v1/embeddings"),
    (["choices", "delta"], "/v1/chat/completions"),
    (["choices", "message"], "/v1/chat/completions"),
    (["choices", "text"], "/v1/completions"),
    (["done", "message"], "/api/chat"),
    (["done", "response"], "/api/generate"),
];

/// Lists whose elements' members count as the answer's own.
const LISTS: [&str; 2] = ["choices", "data"];

/// The path that a request for this answer would have had; `None` where its shape is none that is known. `body` is
/// decoded, and may be a stream.
#[must_use]
pub fn path_of_response(body: &[u8]) -> Option<&'static str> {
    if sse::sniff(body) != Sniff::Stream {
        return path_of_value(body.trim_ascii());
    }
    let mut path = None;
    let mut parser = sse::Parser::new(body.len());
    let mut look = |event: sse::Event<'_>| path = path.or_else(|| path_of_value(event.data));
    parser.push(body, &mut look);
    parser.finish(look);
    path
}

fn path_of_value(text: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(text);
    // Lines of JSON begin with a value too.
    let (value, _) = json::parse_prefix(&text).ok()?;
    let [object, kind] = value.select(["object", "type"]);
    let word = |member: Option<Value<'_>>| Some(member?.as_text()?.decode().into_owned());
    let by_object = word(object).and_then(|object| {
        let mut rows = BY_OBJECT.iter();
        rows.find(|(known, _)| *known == object)
    });
    let by_type = word(kind).and_then(|kind| {
        let mut rows = BY_TYPE.iter();
        rows.find(|(known, _)| kind.starts_with(known))
    });
    let told = by_object.or(by_type).map(|(_, path)| *path);
    told.or_else(|| path_of_members(value))
}

fn path_of_members(value: Value<'_>) -> Option<&'static str> {
    let first = value
        .select(LISTS)
        .into_iter()
        .flatten()
        .find_map(|list| list.elements().next());
    let has = |name: &str| {
        let nested = first.and_then(|element| element.get(name));
        value.get(name).or(nested).is_some()
    };
    let row = BY_MEMBERS
        .iter()
        .find(|(members, _)| members.iter().all(|name| has(name)));
    row.map(|(_, path)| *path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_the_path_of_its_request() {
        for (body, path) in [
            (r#"{"object":"chat.completion"}"#, "/v1/chat/completions"),
            (" {\"choices\":[{\"text\":\"a\"}]} ", "/v1/completions"),
            (
                ": hi\n\ndata: {\"choices\":[]}\n\ndata: {\"choices\":[{\"delta\":{}}]}\n\n",
                "/v1/chat/completions",
            ),
            (
                "event: response.created\ndata: {\"type\":\"response.created\"}\n\n",
                "/v1/responses",
            ),
            (
                "event: message_start\ndata: {\"type\":\"message_start\"}\n\n",
                "/v1/messages",
            ),
            (
                r#"{"object":"list","model":"m","data":[{"object":"embedding","embedding":[1]}]}"#,
                "/v1/embeddings",
            ),
            (
                "{\"done\":false,\"message\":{}}\n{\"done\":true}",
                "/api/chat",
            ),
        ] {
            assert_eq!(path_of_response(body.as_bytes()), Some(path), "{body}");
        }
    }

    #[test]
    fn what_is_no_answer_tells_nothing() {
        for body in [
            "",
            "<html>",
            "{}",
            "[]",
            "7",
            "data: [DONE]\n\n",
            r#"{"error":{}}"#,
        ] {
            assert_eq!(path_of_response(body.as_bytes()), None, "{body}");
        }
    }
}
