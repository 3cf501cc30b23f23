//! What a request gives the model to read, text by text.
//!
//! Only what is text can be counted: an image, a sound or a file in a message makes the whole prompt uncountable.

use crate::dialect::Prompt;
use crate::dialect::member::{array, decode};
use crate::json::{self, Kind, Value};

/// The prompt of a chat, OpenAI's or Ollama's: its messages and the tools it offers. `None` where not all of it is text.
pub(in crate::dialect) fn chat(body: &[u8]) -> Option<Prompt> {
    let body = decode(body);
    let [messages, tools, functions] =
        json::parse(body.as_bytes())
            .ok()?
            .select(["messages", "tools", "functions"]);
    let mut prompt = Prompt::of_messages();
    let messages = messages.and_then(array)?;
    messages
        .elements()
        .try_for_each(|message| read_message(message, &mut prompt))?;
    let offered = [tools, functions].into_iter().flatten();
    let offered = offered.flat_map(Value::elements);
    offered.for_each(|tool| prompt.read_json(tool));
    Some(prompt)
}

/// The prompt of a call whose member of that name is one text or several, or the tokens of them. `None` where it is
/// anything else.
pub(in crate::dialect) fn plain(body: &[u8], member: &str) -> Option<Prompt> {
    let body = decode(body);
    let mut prompt = Prompt::default();
    read_plain(json::parse(body.as_bytes()).ok()?.get(member)?, &mut prompt)?;
    Some(prompt)
}

fn read_message(message: Value<'_>, prompt: &mut Prompt) -> Option<()> {
    prompt.begin_message();
    let [content, name, calls, refusal, reasoning, thinking, images] = message.select([
        "content",
        "name",
        "tool_calls",
        "refusal",
        "reasoning_content",
        "thinking",
        "images",
    ]);
    // As Ollama has them: beside the content.
    if images.is_some_and(|images| images.elements().next().is_some()) {
        return None;
    }
    let texts = [content, name, refusal, reasoning.or(thinking)];
    for text in texts.into_iter().flatten() {
        prompt.read(text)?;
    }
    let functions = calls.into_iter().flat_map(Value::elements);
    for function in functions.filter_map(|call| call.get("function")) {
        let [name, arguments] = function.select(["name", "arguments"]);
        name.map_or(Some(()), |name| prompt.read(name))?;
        arguments.into_iter().for_each(|it| prompt.read_json(it));
    }
    Some(())
}

fn read_plain(value: Value<'_>, prompt: &mut Prompt) -> Option<()> {
    match value.kind() {
        Kind::Array => value
            .elements()
            .try_for_each(|element| read_plain(element, prompt))?,
        Kind::String => prompt.read(value)?,
        _ => {
            value.as_u64()?;
            prompt.tokens += 1;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_is_its_messages_what_frames_them_and_its_tools() {
        let body = br#"{"model":"m","messages":[
            {"role":"system","content":"Be brief."},
            {"role":"user","content":[{"type":"text","text":"How deep?"}]},
            {"role":"assistant","content":null,"tool_calls":[{"id":"c","function":{"name":"gauge","arguments":"{}"}}]},
            {"role":"tool","tool_call_id":"c","content":"3.2 m"}],
            "tools":[{"type":"function"}]}"#;
        let prompt = chat(body).unwrap();
        let texts = [
            "Be brief.",
            "How deep?",
            "gauge",
            "{}",
            "3.2 m",
            r#"{"type":"function"}"#,
        ];
        assert_eq!(prompt.texts, texts);
        assert_eq!(prompt.tokens, 3 + 4 * 4);
    }

    #[test]
    fn what_is_no_text_cannot_be_counted() {
        for body in [
            r#"{"messages":[{"content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{}}]}]}"#,
            r#"{"messages":[{"content":{}}]}"#,
            r#"{"messages":[{"content":"a","images":["aGk="]}]}"#,
            r#"{"messages":"a"}"#,
            "{}",
            "no json",
        ] {
            assert_eq!(chat(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn a_plain_prompt_is_text_or_tokens() {
        let read = |body: &str| {
            plain(body.as_bytes(), "prompt").map(|prompt| (prompt.texts, prompt.tokens))
        };
        let texts = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(read(r#"{"prompt":"a"}"#), Some((texts(&["a"]), 0)));
        assert_eq!(
            read(r#"{"prompt":["a","b"]}"#),
            Some((texts(&["a", "b"]), 0))
        );
        assert_eq!(read(r#"{"prompt":[[1,2],[3]]}"#), Some((texts(&[]), 3)));
        assert_eq!(read(r#"{"prompt":{}}"#), None);
        assert_eq!(read(r#"{"prompt":null}"#), None);
    }
}
