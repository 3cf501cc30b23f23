//! What a request of the Responses API gives the model to read, text by text.
//!
//! What the provider holds (earlier turns, templates, sealed reasoning), what is no text, and the provider's own tools make
//! the whole prompt uncountable.

use crate::dialect::Prompt;
use crate::dialect::member::decode;
use crate::dialect::typed::type_of;
use crate::json::{self, Kind, Value};

/// The prompt of a create: the instructions, the input, and the tools. `None` where not all of it is text that is here.
pub(super) fn read(body: &[u8]) -> Option<Prompt> {
    let body = decode(body);
    let [input, instructions, tools, held @ ..] = json::parse(body.as_bytes()).ok()?.select([
        "input",
        "instructions",
        "tools",
        "previous_response_id",
        "conversation",
        "prompt",
    ]);
    if held.into_iter().flatten().any(|held| !held.is_null()) {
        return None;
    }
    let mut prompt = Prompt::of_messages();
    if let Some(instructions) = instructions.filter(|it| !it.is_null()) {
        prompt.begin_message();
        prompt.read(instructions)?;
    }
    let input = input?;
    match input.kind() {
        Kind::String => {
            prompt.begin_message();
            prompt.read(input)?;
        }
        Kind::Array => input
            .elements()
            .try_for_each(|item| read_item(item, &mut prompt))?,
        _ => return None,
    }
    prompt.read_tools(tools, &["function", "custom"])?;
    Some(prompt)
}

fn read_item(item: Value<'_>, prompt: &mut Prompt) -> Option<()> {
    prompt.begin_message();
    let [content, summary, sealed, name, arguments, input, output] = item.select([
        "content",
        "summary",
        "encrypted_content",
        "name",
        "arguments",
        "input",
        "output",
    ]);
    match &*type_of(item) {
        "" | "message" => prompt.read(content?),
        "function_call" | "custom_tool_call" => {
            prompt.read(name?)?;
            prompt.read_json(arguments.or(input)?);
            Some(())
        }
        "function_call_output" | "custom_tool_call_output" => prompt.read(output?),
        "reasoning" if sealed.is_none_or(|sealed| sealed.is_null()) => {
            // The summary is for people; where there is nothing else the provider holds the reasoning.
            let content = content.filter(|content| content.elements().next().is_some());
            let nothing = summary.is_none_or(|summary| summary.elements().next().is_none());
            content.map_or(nothing.then_some(()), |content| prompt.read(content))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_the_instructions_the_input_and_the_tools() {
        let body =
            br#"{"model":"m","instructions":"Be brief.","previous_response_id":null,"input":[
            {"role":"user","content":[{"type":"input_text","text":"How deep?"}]},
            {"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"Look."}]},
            {"type":"function_call","call_id":"c","name":"gauge","arguments":"{}"},
            {"type":"function_call_output","call_id":"c","output":"3.2 m"},
            {"type":"message","role":"assistant","content":[{"type":"refusal","refusal":"No."}]}],
            "tools":[{"type":"function","name":"gauge"}]}"#;
        let prompt = read(body).unwrap();
        let texts = [
            "Be brief.",
            "How deep?",
            "Look.",
            "gauge",
            "{}",
            "3.2 m",
            "No.",
            r#"{"type":"function","name":"gauge"}"#,
        ];
        assert_eq!(prompt.texts, texts);
        assert_eq!(prompt.tokens, 3 + 6 * 4);
        let prompt = read(br#"{"input":"How deep?"}"#).unwrap();
        assert_eq!((prompt.texts.len(), prompt.tokens), (1, 3 + 4));
    }

    #[test]
    fn what_is_no_text_or_is_held_by_the_provider_cannot_be_counted() {
        for body in [
            r#"{"input":"a","previous_response_id":"resp_1"}"#,
            r#"{"input":"a","conversation":{"id":"conv_1"}}"#,
            r#"{"input":"a","prompt":{"id":"pmpt_1"}}"#,
            r#"{"input":"a","tools":[{"type":"web_search"}]}"#,
            r#"{"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:,"}]}]}"#,
            r#"{"input":[{"type":"item_reference","id":"msg_1"}]}"#,
            r#"{"input":[{"type":"reasoning","summary":[],"encrypted_content":"x"}]}"#,
            r#"{"input":[{"type":"reasoning","summary":[{"type":"summary_text","text":"a"}]}]}"#,
            r#"{"input":{}}"#,
            "{}",
            "no json",
        ] {
            assert_eq!(read(body.as_bytes()), None, "{body}");
        }
    }
}
