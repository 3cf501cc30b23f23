//! What a request for a message gives the model to read, text by text.
//!
//! Images, documents and the provider's own tools make the whole prompt uncountable.

use crate::dialect::Prompt;
use crate::dialect::member::{array, decode};
use crate::dialect::typed::type_of;
use crate::json::{self, Kind, Value};

/// The prompt: what the system says, the messages, and the tools. `None` where not all of it is text.
pub(super) fn read(body: &[u8]) -> Option<Prompt> {
    let body = decode(body);
    let [system, messages, tools, servers] =
        json::parse(body.as_bytes())
            .ok()?
            .select(["system", "messages", "tools", "mcp_servers"]);
    if servers.is_some_and(|servers| servers.elements().next().is_some()) {
        return None;
    }
    let mut prompt = Prompt::of_messages();
    if let Some(system) = system.filter(|system| !system.is_null()) {
        prompt.begin_message();
        prompt.read(system)?;
    }
    for message in messages.and_then(array)?.elements() {
        prompt.begin_message();
        read_content(message.get("content")?, &mut prompt)?;
    }
    // The client's own have no type, or this one.
    prompt.read_tools(tools, &["", "custom"])?;
    Some(prompt)
}

fn read_content(content: Value<'_>, prompt: &mut Prompt) -> Option<()> {
    if content.kind() != Kind::Array {
        return prompt.read(content);
    }
    for block in content.elements() {
        match &*type_of(block) {
            "text" => prompt.read(block.get("text")?)?,
            "thinking" => prompt.read(block.get("thinking")?)?,
            "tool_use" => {
                prompt.read(block.get("name")?)?;
                prompt.read_json(block.get("input")?);
            }
            // One without content only says that the tool ran.
            "tool_result" => {
                let result = block.get("content");
                result.map_or(Some(()), |content| prompt.read(content))?;
            }
            _ => return None,
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_the_system_the_messages_and_the_tools() {
        let body = br#"{"model":"m","system":[{"type":"text","text":"Be brief."}],"messages":[
            {"role":"user","content":"How deep?"},
            {"role":"assistant","content":[{"type":"thinking","thinking":"Look.","signature":"s"},
                {"type":"text","text":"One moment."},{"type":"tool_use","id":"t","name":"gauge","input":{"at":1}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"3.2 m"}]},
                {"type":"tool_result","tool_use_id":"u"}]}],
            "tools":[{"name":"gauge"}]}"#;
        let prompt = read(body).unwrap();
        let texts = [
            "Be brief.",
            "How deep?",
            "Look.",
            "One moment.",
            "gauge",
            r#"{"at":1}"#,
            "3.2 m",
            r#"{"name":"gauge"}"#,
        ];
        assert_eq!(prompt.texts, texts);
        assert_eq!(prompt.tokens, 3 + 4 * 4);
    }

    #[test]
    fn what_is_no_text_or_is_the_providers_cannot_be_counted() {
        let user = r#""messages":[{"role":"user","content":"a"}]"#;
        assert!(read(format!("{{{user}}}").as_bytes()).is_some());
        for body in [
            format!(r#"{{{user},"tools":[{{"type":"web_search_20250305","name":"web_search"}}]}}"#),
            format!(r#"{{{user},"mcp_servers":[{{"type":"url"}}]}}"#),
            r#"{"messages":[{"content":[{"type":"image","source":{}}]}]}"#.to_owned(),
            r#"{"messages":[{"content":[{"type":"tool_result","content":[{"type":"image"}]}]}]}"#
                .to_owned(),
            r#"{"messages":[{}]}"#.to_owned(),
            "{}".to_owned(),
            "no json".to_owned(),
        ] {
            assert_eq!(read(body.as_bytes()), None, "{body}");
        }
    }
}
