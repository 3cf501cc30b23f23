//! What the dialects show of a prompt, part by part, and the tokens that are counted in it.

use std::borrow::Cow;

use super::*;
use crate::dialect::anthropic_messages::AnthropicMessages;
use crate::dialect::ollama;
use openai::chat::OpenAiChat;
use openai::completions::OpenAiCompletions;
use openai_responses::OpenAiResponses;

/// Writes down what it is shown.
#[derive(Default)]
struct Shown(Vec<String>);

fn word(words: Option<Words<'_>>) -> Cow<'_, str> {
    words.map_or("-".into(), Words::decode)
}

impl Visitor for Shown {
    fn prompt(&mut self, kind: PromptKind) {
        self.0.push(format!("{kind:?}"));
    }

    fn message(&mut self, message: &Message<'_>) {
        let Message { role, name, id, .. } = message;
        let [name, id] = [name, id].map(|it| it.map(Words::decode).unwrap_or_default());
        self.0
            .push(format!("{role:?}: {name} {id}").trim_end().to_owned());
    }

    fn part(&mut self, place: Place, part: &Part<'_>) {
        let part = match *part {
            Part::Text(text) => format!("text {}", text.decode()),
            Part::Inner(text) => format!("inner {}", text.decode()),
            Part::Reasoning(text) => format!("reasoning {}", text.decode()),
            Part::Summary(text) => format!("summary {}", text.decode()),
            Part::Refusal(text) => format!("refusal {}", text.decode()),
            Part::Suffix(text) => format!("suffix {}", text.decode()),
            Part::ToolCall(call) => {
                let [id, name, arguments] = [call.id, call.name, call.arguments].map(word);
                format!("call {} {id} {name} {arguments}", call.number)
            }
            Part::ToolResult(of) => format!("result of {}", word(of)),
            Part::Tools(tools) => {
                let tools = tools.each().map(|(definition, by_client)| {
                    let by = if by_client { "client" } else { "provider" };
                    format!("{by} {}", definition.written())
                });
                format!("tools {}", tools.collect::<Vec<_>>().join(", "))
            }
            Part::Binary(binary) => format!("binary {:?}", binary.medium),
            Part::Tokens(list) => format!("tokens {}", list.written()),
            Part::Context(list) => format!("context {}", list.written()),
            Part::Hidden => "hidden".to_owned(),
            Part::Other(value) => format!("other {}", value.written()),
        };
        self.0.push(format!("  {:?} {part}", place.role));
    }
}

fn shown(dialect: &dyn Dialect, body: &str) -> Vec<String> {
    let (mut request, mut problems) = (Request::default(), Problems::default());
    let mut shown = Shown::default();
    dialect.request(body.as_bytes(), &mut request, &mut problems, &mut shown);
    shown.0
}

#[test]
fn a_chat_shows_who_said_what_which_tool_was_called_and_what_it_brought() {
    let body = r#"{"model":"m","messages":[
        {"role":"developer","content":"Be brief."},
        {"role":"user","name":"ann","content":[{"type":"text","text":"How deep?"},{"type":"image_url","image_url":{"url":"https://a/b"}},
            {"type":"input_audio","input_audio":{"data":"AA","format":"wav"}},{"type":"new"},"or so"]},
        {"role":"assistant","content":null,"reasoning_content":"Look.","tool_calls":[
            {"id":"c1","type":"function","function":{"name":"gauge","arguments":"{\"at\":1}"}},
            {"id":"c2","type":"custom","custom":{"name":"ask","input":"him"}}]},
        {"role":"tool","tool_call_id":"c1","content":"3.2 m"},
        {"role":"assistant","content":[{"type":"refusal","refusal":"No."},{"type":"thinking","thinking":[{"type":"text","text":"Hm."}]}],
            "function_call":{"name":"old","arguments":"{}"}},
        {"role":"function","name":"old","content":[{"type":"text","text":"nothing"}]},
        {"role":"critic","content":"","refusal":"I will not."}],
        "tools":[{"type":"function"}]}"#;
    let expected = [
        "Messages",
        "System:",
        "  System text Be brief.",
        "User: ann",
        "  User text How deep?",
        "  User binary Image",
        "  User binary Audio",
        r#"  User other {"type":"new"}"#,
        "  User text or so",
        "Assistant:",
        "  Assistant reasoning Look.",
        r#"  Assistant call 0 c1 gauge {"at":1}"#,
        "  Assistant call 1 c2 ask him",
        "Tool:",
        "  Tool result of c1",
        "  Tool text 3.2 m",
        "Assistant:",
        "  Assistant refusal No.",
        "  Assistant reasoning Hm.",
        "  Assistant call 0 - old {}",
        "Tool: old",
        "  Tool result of -",
        "  Tool text nothing",
        "Other:",
        "  Other text ",
        "  Other refusal I will not.",
        r#"  System tools client {"type":"function"}"#,
    ];
    assert_eq!(shown(&OpenAiChat, body), expected);
}

#[test]
fn a_text_completion_shows_its_texts_or_tokens() {
    let shown = |body| shown(&OpenAiCompletions, body);
    let texts = ["Plain", "  User text a", "  User text b", "  User suffix c"];
    assert_eq!(shown(r#"{"prompt":["a","b"],"suffix":"c"}"#), texts);
    let tokens = ["Plain", "  User tokens [1,2]", "  User tokens [3]"];
    assert_eq!(shown(r#"{"prompt":[[1,2],[3]]}"#), tokens);
    assert_eq!(shown(r#"{"prompt":null,"suffix":"c"}"#), [""; 0]);
}

#[test]
fn a_request_for_a_response_shows_its_items() {
    let body = r#"{"model":"m","instructions":"Be brief.","previous_response_id":"r","input":[
        {"role":"user","content":"How deep?"},
        {"type":"reasoning","id":"rs","summary":[{"type":"summary_text","text":"Thinks."}],"content":[{"type":"reasoning_text","text":"Look."}]},
        {"type":"function_call","id":"fc","call_id":"c1","name":"gauge","arguments":"{}"},
        {"type":"function_call_output","call_id":"c1","output":"3.2 m"},
        {"type":"computer_call","call_id":"c2","action":{"type":"click"}},
        {"type":"computer_call_output","call_id":"c2","output":{"type":"computer_screenshot","image_url":"data:,AA"}},
        {"type":"item_reference","id":"msg_1"},
        {"type":"mcp_call","id":"mcp_1","output":"found"},
        {"type":"message","role":"assistant","id":"msg_2","content":[{"type":"output_text","text":"3.2 m."},{"type":"input_file","file_id":"f"}]}],
        "tools":[{"type":"function","name":"gauge"},{"type":"web_search"}]}"#;
    let expected = [
        "Messages",
        "  Other hidden",
        "System:",
        "  System text Be brief.",
        "User:",
        "  User text How deep?",
        "Assistant:  rs",
        "  Assistant reasoning Look.",
        "  Assistant summary Thinks.",
        "Assistant:  fc",
        "  Assistant call 0 c1 gauge {}",
        "Tool:",
        "  Tool result of c1",
        "  Tool text 3.2 m",
        "Assistant:",
        r#"  Assistant call 0 c2 computer {"type":"click"}"#,
        "Tool:",
        "  Tool result of c2",
        "  Tool binary Image",
        "Assistant:  msg_1",
        "  Assistant hidden",
        "Assistant:  mcp_1",
        r#"  Assistant other {"type":"mcp_call","id":"mcp_1","output":"found"}"#,
        "  Assistant inner found",
        "Assistant:  msg_2",
        "  Assistant text 3.2 m.",
        "  Assistant binary File",
        r#"  System tools client {"type":"function","name":"gauge"}, provider {"type":"web_search"}"#,
    ];
    assert_eq!(shown(&OpenAiResponses::Create, body), expected);
    let short = shown(&OpenAiResponses::Create, r#"{"input":"How deep?"}"#);
    assert_eq!(short, ["Messages", "User:", "  User text How deep?"]);
}

#[test]
fn a_request_for_a_message_shows_its_blocks() {
    let body = r#"{"model":"m","system":[{"type":"text","text":"Be brief."}],"messages":[
        {"role":"user","content":"How deep?"},
        {"role":"assistant","content":[{"type":"thinking","thinking":"Look.","signature":"s"},{"type":"redacted_thinking","data":"x"},
            {"type":"text","text":"One moment."},{"type":"tool_use","id":"t","name":"gauge","input":{"at":1}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"3.2 m"},{"type":"image","source":{}}]},
            {"type":"tool_result","tool_use_id":"u"},{"type":"text","text":"And now?"},
            {"type":"search_result","title":"no text","content":[{"type":"text","text":"4 m"}]}]}],
        "tools":[{"name":"gauge"},{"type":"web_search_20250305"}],"mcp_servers":[{}]}"#;
    let expected = [
        "Messages",
        "System:",
        "  System text Be brief.",
        "User:",
        "  User text How deep?",
        "Assistant:",
        "  Assistant reasoning Look.",
        "  Assistant hidden",
        "  Assistant text One moment.",
        r#"  Assistant call 3 t gauge {"at":1}"#,
        "User:",
        "  Tool result of t",
        "  Tool text 3.2 m",
        "  Tool binary Image",
        "  Tool result of u",
        "  User text And now?",
        r#"  User other {"type":"search_result","title":"no text","content":[{"type":"text","text":"4 m"}]}"#,
        "  User inner 4 m",
        r#"  System tools client {"name":"gauge"}, provider {"type":"web_search_20250305"}"#,
        "  System hidden",
    ];
    assert_eq!(shown(&AnthropicMessages, body), expected);
}

#[test]
fn a_request_of_ollamas_shows_its_messages_or_its_prompt() {
    let chat = r#"{"messages":[{"role":"user","content":"What is it?","images":["aGk="]},
        {"role":"assistant","thinking":"Look.","tool_calls":[{"function":{"name":"gauge","arguments":{"at":1}}}]}],"tools":[{}]}"#;
    let expected = [
        "Messages",
        "User:",
        "  User text What is it?",
        "  User binary Image",
        "Assistant:",
        "  Assistant reasoning Look.",
        r#"  Assistant call 0 - gauge {"at":1}"#,
        "  System tools client {}",
    ];
    assert_eq!(shown(&ollama::CHAT, chat), expected);
    let framed = r#"{"prompt":"How deep?","system":"Be brief.","suffix":"m","context":[1,2],"images":["aGk="]}"#;
    let expected = [
        "Messages",
        "System:",
        "  System text Be brief.",
        "User:",
        "  User text How deep?",
        "  User binary Image",
        "  User suffix m",
        "  User context [1,2]",
    ];
    assert_eq!(shown(&ollama::GENERATE, framed), expected);
    let raw = shown(&ollama::GENERATE, r#"{"prompt":"How deep?","raw":true}"#);
    assert_eq!(raw, ["Plain", "  User text How deep?"]);
}

/// The texts that are counted of a prompt, and the tokens on top of them; `None` where it cannot be counted.
fn counted(dialect: &dyn Dialect, body: &str) -> Option<(Vec<String>, u64)> {
    let mut texts = Vec::new();
    let mut tokens = PromptTokens::new(|text: &str| {
        texts.push(text.to_owned());
        Some(0)
    });
    let (mut request, mut problems) = (Request::default(), Problems::default());
    dialect.request(body.as_bytes(), &mut request, &mut problems, &mut tokens);
    let tokens = tokens.tokens()?;
    Some((texts, tokens))
}

fn expect(dialect: &dyn Dialect, body: &str, texts: &[&str], tokens: u64) {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    assert_eq!(counted(dialect, body), Some((texts, tokens)), "{body}");
}

#[test]
fn messages_are_counted_with_what_frames_them_and_the_tools() {
    let chat = r#"{"model":"m","messages":[
        {"role":"system","content":"Be brief."},
        {"role":"user","content":[{"type":"text","text":"How deep?"}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"c","function":{"name":"gauge","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"c","content":"3.2 m"}],
        "tools":[{"type":"function"}]}"#;
    let texts = [
        "Be brief.",
        "How deep?",
        "gauge",
        "{}",
        "3.2 m",
        r#"{"type":"function"}"#,
    ];
    expect(&OpenAiChat, chat, &texts, 3 + 4 * 4);

    let response = r#"{"model":"m","instructions":"Be brief.","previous_response_id":null,"input":[
        {"role":"user","content":[{"type":"input_text","text":"How deep?"}]},
        {"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"Look."}]},
        {"type":"function_call","call_id":"c","name":"gauge","arguments":"{}"},
        {"type":"function_call_output","call_id":"c","output":"3.2 m"},
        {"type":"message","role":"assistant","content":[{"type":"refusal","refusal":"No."}]}],
        "tools":[{"type":"function","name":"gauge"}]}"#;
    let tool = r#"{"type":"function","name":"gauge"}"#;
    let texts = [
        "Be brief.",
        "How deep?",
        "Look.",
        "gauge",
        "{}",
        "3.2 m",
        "No.",
        tool,
    ];
    expect(&OpenAiResponses::Create, response, &texts, 3 + 6 * 4);
    let short = r#"{"input":"How deep?"}"#;
    expect(&OpenAiResponses::Create, short, &["How deep?"], 3 + 4);

    let message = r#"{"model":"m","system":[{"type":"text","text":"Be brief."}],"messages":[
        {"role":"user","content":"How deep?"},
        {"role":"assistant","content":[{"type":"thinking","thinking":"Look.","signature":"s"},
            {"type":"text","text":"One moment."},{"type":"tool_use","id":"t","name":"gauge","input":{"at":1}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"3.2 m"}]},
            {"type":"tool_result","tool_use_id":"u"}]}],
        "tools":[{"name":"gauge"}]}"#;
    let tool = r#"{"name":"gauge"}"#;
    let call = ["gauge", r#"{"at":1}"#];
    let texts = [
        "Be brief.",
        "How deep?",
        "Look.",
        "One moment.",
        call[0],
        call[1],
        "3.2 m",
        tool,
    ];
    expect(&AnthropicMessages, message, &texts, 3 + 4 * 4);

    let ollama = r#"{"messages":[{"role":"assistant","content":"","tool_calls":[{"function":{"name":"gauge","arguments":{"at":1}}}]}]}"#;
    expect(&ollama::CHAT, ollama, &["", call[0], call[1]], 3 + 4);
    let generate = r#"{"prompt":"How deep?","system":"Be brief.","context":[1,2]}"#;
    let texts = ["Be brief.", "How deep?"];
    expect(&ollama::GENERATE, generate, &texts, 3 + 2 * 4 + 2);
}

#[test]
fn a_plain_prompt_is_counted_text_by_text_or_in_its_tokens() {
    expect(&OpenAiCompletions, r#"{"prompt":"a"}"#, &["a"], 0);
    expect(
        &OpenAiCompletions,
        r#"{"prompt":["a","b"]}"#,
        &["a", "b"],
        0,
    );
    expect(&OpenAiCompletions, r#"{"prompt":[[1,2],[3]]}"#, &[], 3);
    let raw = r#"{"prompt":"How deep?","raw":true}"#;
    expect(&ollama::GENERATE, raw, &["How deep?"], 0);
    expect(&ollama::EMBEDDINGS, r#"{"prompt":"How?"}"#, &["How?"], 0);
    expect(
        &ollama::EMBED,
        r#"{"input":["How","deep?"]}"#,
        &["How", "deep?"],
        0,
    );
}

#[test]
fn what_is_no_text_or_is_not_in_the_request_cannot_be_counted() {
    let message = r#""messages":[{"role":"user","content":"a"}]"#;
    assert!(counted(&AnthropicMessages, &format!("{{{message}}}")).is_some());
    let web_search = format!(r#"{{{message},"tools":[{{"type":"web_search_20250305"}}]}}"#);
    let mcp = format!(r#"{{{message},"mcp_servers":[{{"type":"url"}}]}}"#);
    let cases: [(&dyn Dialect, &[&str]); 5] = [
        (
            &OpenAiChat,
            &[
                r#"{"messages":[{"content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{}}]}]}"#,
                r#"{"messages":[{"content":{}}]}"#,
                r#"{"messages":[{"content":"a","images":["aGk="]}]}"#,
                r#"{"messages":"a"}"#,
                "{}",
                "no json",
            ],
        ),
        (
            &OpenAiCompletions,
            &[
                r#"{"prompt":{}}"#,
                r#"{"prompt":null}"#,
                r#"{"prompt":[true]}"#,
            ],
        ),
        (
            &OpenAiResponses::Create,
            &[
                r#"{"input":"a","previous_response_id":"resp_1"}"#,
                r#"{"input":"a","conversation":{"id":"conv_1"}}"#,
                r#"{"input":"a","prompt":{"id":"pmpt_1"}}"#,
                r#"{"input":"a","tools":[{"type":"web_search"}]}"#,
                r#"{"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:,"}]}]}"#,
                r#"{"input":[{"type":"item_reference","id":"msg_1"}]}"#,
                r#"{"input":[{"type":"reasoning","summary":[],"encrypted_content":"x"}]}"#,
                r#"{"input":[{"type":"reasoning","summary":[{"type":"summary_text","text":"a"}]}]}"#,
                r#"{"input":[{"type":"message","role":"user"}]}"#,
                r#"{"instructions":"a"}"#,
                r#"{"input":{}}"#,
                "{}",
                "no json",
            ],
        ),
        (
            &AnthropicMessages,
            &[
                &web_search,
                &mcp,
                r#"{"messages":[{"content":[{"type":"image","source":{}}]}]}"#,
                r#"{"messages":[{"content":[{"type":"tool_result","content":[{"type":"image"}]}]}]}"#,
                r#"{"messages":[{}]}"#,
                "{}",
                "no json",
            ],
        ),
        (
            &ollama::GENERATE,
            &[
                r#"{"prompt":"a","images":["aGk="]}"#,
                r#"{"prompt":""}"#,
                r#"{"model":"m"}"#,
            ],
        ),
    ];
    for (dialect, bodies) in cases {
        for body in bodies {
            assert_eq!(counted(dialect, body), None, "{body}");
        }
    }
    // Such a call only loads the model.
    assert_eq!(counted(&ollama::CHAT, r#"{"messages":[]}"#), None);
}

#[test]
fn what_is_compared_drawn_or_spoken_is_not_counted() {
    let cases: [(&dyn Dialect, &str); 4] = [
        (&rerank::Rerank, r#"{"query":"a","documents":["b"]}"#),
        (&score::Score, r#"{"text_1":"a","text_2":"b"}"#),
        (&images::GENERATIONS, r#"{"prompt":"a"}"#),
        (&audio_speech::AudioSpeech, r#"{"input":"a"}"#),
    ];
    for (dialect, body) in cases {
        assert_eq!(counted(dialect, body), None, "{body}");
        assert!(
            read_request(dialect, body).0.prompt_chars.is_some(),
            "{body}"
        );
    }
}

#[test]
fn the_length_of_a_prompt_is_that_of_its_text_alone() {
    let chars = |dialect: &dyn Dialect, body| read_request(dialect, body).0.prompt_chars;
    let reasoning = r#"{"input":[{"type":"reasoning","content":[{"type":"reasoning_text","text":"Look."}]},
        {"role":"user","content":"a"}]}"#;
    assert_eq!(chars(&OpenAiResponses::Create, reasoning), Some(1));
    let messages = r#"{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"Look."},
        {"type":"tool_use","name":"gauge","input":{}}]},{"role":"user","content":[{"type":"text","text":"a"}]}]}"#;
    assert_eq!(chars(&AnthropicMessages, messages), Some(1));
    let context = r#"{"prompt":"a","context":[1,2],"suffix":"b"}"#;
    assert_eq!(chars(&ollama::GENERATE, context), Some(1));
    assert_eq!(chars(&OpenAiChat, r#"{"messages":[]}"#), Some(0));
    assert_eq!(chars(&OpenAiChat, r#"{"messages":[{"content":5}]}"#), None);
}
