//! What a request of Ollama's own API gives the model to read, text by text.

use crate::dialect::Prompt;
use crate::dialect::member::decode;
use crate::dialect::openai::prompt::{chat, plain};
use crate::json::{self, Value};

/// The prompt of a call, by the last segment of its path. `None` where not all of it is text, and where there is none: such
/// a call only loads the model.
pub(super) fn read(body: &[u8], last: &str) -> Option<Prompt> {
    match last {
        "chat" => chat(body).filter(|prompt| !prompt.texts.is_empty()),
        "generate" => generate(body),
        "embed" => plain(body, "input"),
        _ => plain(body, "prompt"),
    }
}

/// A prompt that the model's template makes a message of, unless it is `raw`.
fn generate(body: &[u8]) -> Option<Prompt> {
    let body = decode(body);
    let [text, system, suffix, raw, images, context] = json::parse(body.as_bytes())
        .ok()?
        .select(["prompt", "system", "suffix", "raw", "images", "context"]);
    let text = text.filter(|text| text.as_text().is_some_and(|text| !text.is_empty()))?;
    if images.is_some_and(|images| images.elements().next().is_some()) {
        return None;
    }
    let mut prompt = if raw.and_then(Value::as_bool) == Some(true) {
        Prompt::default()
    } else {
        let mut prompt = Prompt::of_messages();
        prompt.begin_message();
        if let Some(system) = system {
            prompt.begin_message();
            prompt.read(system)?;
        }
        prompt
    };
    prompt.read(text)?;
    suffix.map_or(Some(()), |suffix| prompt.read(suffix))?;
    // What came before, as tokens.
    prompt.tokens += context.map_or(0, |context| context.elements().count() as u64);
    Some(prompt)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(body: &str, last: &str) -> Option<(Vec<String>, u64)> {
        read(body.as_bytes(), last).map(|prompt| (prompt.texts, prompt.tokens))
    }

    #[test]
    fn a_prompt_is_a_message_unless_it_is_raw() {
        let texts = |texts: &[&str]| texts.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        let framed = r#"{"prompt":"How deep?","system":"Be brief.","context":[1,2]}"#;
        let expected = (texts(&["Be brief.", "How deep?"]), 3 + 2 * 4 + 2);
        assert_eq!(counted(framed, "generate"), Some(expected));
        let raw = r#"{"prompt":"How deep?","raw":true}"#;
        assert_eq!(counted(raw, "generate"), Some((texts(&["How deep?"]), 0)));
        let chat = r#"{"messages":[{"role":"assistant","content":"","tool_calls":[{"function":{"name":"gauge","arguments":{"at":1}}}]}]}"#;
        let expected = (texts(&["", "gauge", r#"{"at":1}"#]), 3 + 4);
        assert_eq!(counted(chat, "chat"), Some(expected));
        let old = r#"{"prompt":"How deep?"}"#;
        assert_eq!(counted(old, "embeddings"), Some((texts(&["How deep?"]), 0)));
        let new = r#"{"input":["How","deep?"]}"#;
        assert_eq!(counted(new, "embed"), Some((texts(&["How", "deep?"]), 0)));
    }

    #[test]
    fn images_and_the_loading_of_a_model_cannot_be_counted() {
        for (body, last) in [
            (r#"{"prompt":"a","images":["aGk="]}"#, "generate"),
            (r#"{"prompt":""}"#, "generate"),
            (r#"{"model":"m"}"#, "generate"),
            (r#"{"messages":[]}"#, "chat"),
            (
                r#"{"messages":[{"content":"a","images":["aGk="]}]}"#,
                "chat",
            ),
        ] {
            assert_eq!(counted(body, last), None, "{body}");
        }
    }
}
