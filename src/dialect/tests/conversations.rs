//! What a request repeats of a conversation is what the answer before it said, however its client has written it down.

use proptest::sample::Index;
use serde_json::{Map, Value, json};

use super::*;
use crate::dialect::anthropic_messages::AnthropicMessages;
use crate::exchange::{Answer, Call, Digest, History, Speaker};
use openai::chat::OpenAiChat;
use openai_responses::OpenAiResponses;

/// What a request comes to.
fn asked(dialect: &dyn Dialect, request: &Value) -> History {
    history_of(dialect, request.to_string().as_bytes()).unwrap()
}

fn history_of(dialect: &dyn Dialect, body: &[u8]) -> Option<History> {
    let (mut request, mut problems) = (Request::default(), Problems::default());
    let mut folds = PromptFolds {
        history: Some(PromptHistory::default()),
        ..PromptFolds::default()
    };
    dialect.request(body, &mut request, &mut problems, &mut folds);
    folds.history.and_then(PromptHistory::finish)
}

/// What an answer comes to.
fn answered(dialect: &dyn Dialect, answer: &Value) -> Answer {
    let mut facts = Facts {
        folds: AnswerFolds::gathering(Texts::for_history()),
        ..Facts::default()
    };
    let body = answer.to_string();
    dialect.reader().body(200, body.as_bytes(), &mut facts);
    let texts = facts.folds.texts.unwrap();
    let calls = &mut facts.response.tool_calls;
    history::read_arguments(&texts, calls);
    history::answer(&texts, calls, &facts.folds.item_ids).unwrap()
}

/// A call as a request and an answer have it alike.
fn identity(call: &Call) -> [Option<Digest>; 3] {
    [call.id, call.name, call.arguments]
}

fn calls(answer: &Answer) -> Vec<[Option<Digest>; 3]> {
    answer.calls.iter().map(identity).collect()
}

/// Asserts that the only turn in a request is this answer.
fn assert_same(history: &History, answer: &Answer) {
    let [turn] = &history.answers[..] else {
        panic!("one turn expected: {:?}", history.answers);
    };
    assert_eq!(turn.text, answer.text);
    assert_eq!(turn.text_chars, answer.text_chars);
    assert_eq!(calls(turn), calls(answer));
}

fn chat_answer(message: &Value) -> Answer {
    answered(
        &OpenAiChat,
        &json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}),
    )
}

/// A request that goes on after this message.
fn chat_request(message: &Value) -> Value {
    json!({"model": "m", "messages": [
        {"role": "user", "content": "What is the weather in Orléans?"},
        message,
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]})
}

fn call(id: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": "weather", "arguments": arguments}})
}

#[test]
fn a_message_is_the_same_in_every_form_that_frameworks_give_it() {
    let sent = json!({
        "role": "assistant",
        "content": "  Let me look.\n",
        "reasoning_content": "hm",
        "refusal": null,
        "annotations": [],
        "tool_calls": [call("call_1", r#"{ "city":"Orl\u00e9ans", "unit" : "a\/b","days":1.0}"#)],
    });
    let sent = chat_answer(&sent);
    let arguments = r#"{"unit": "a/b", "days": 1, "city": "Orléans"}"#;
    let call = call("call_1", arguments);
    for message in [
        json!({"role": "assistant", "content": "Let me look.", "tool_calls": [call]}),
        json!({"tool_calls": [call], "name": "model", "content": "Let me look.", "role": "assistant", "audio": null}),
        json!({"role": "assistant", "content": [{"type": "text", "text": "Let me look."}], "tool_calls": [call]}),
        json!({"role": "assistant", "content": [{"type": "output_text", "text": "Let me"}, {"type": "text", "text": " look."}],
            "tool_calls": [call]}),
        // @openai/agents: a text part that holds everything again.
        json!({"role": "assistant", "content": [{"type": "text", "text": "Let me look.", "role": "assistant", "refusal": null,
            "tool_calls": [call], "reasoning": "hm"}], "tool_calls": [call]}),
        json!({"role": "assistant", "content": "<think>\nhm\n</think>\n\nLet me look.", "tool_calls": [call]}),
        json!({"role": "assistant", "content": [{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "Let me look."}],
            "tool_calls": [call], "reasoning_content": "hm"}),
    ] {
        assert_same(&asked(&OpenAiChat, &chat_request(&message)), &sent);
    }
    let text = json!({"role": "assistant", "content": "Let me look.", "tool_calls": []});
    let other = asked(&OpenAiChat, &chat_request(&text));
    assert_eq!(other.answers[0].text, sent.text);
    assert_eq!(other.answers[0].calls, []);
}

#[test]
fn a_message_without_text_has_none() {
    let call = call("call_1", "");
    let sent = chat_answer(&json!({"content": null, "tool_calls": [call]}));
    assert_eq!((sent.text, sent.text_chars), (None, 0));
    for content in [json!(null), json!(""), json!([]), json!(" ")] {
        let arguments = if content.is_null() { "{}" } else { "" };
        let call = self::call("call_1", arguments);
        let message = json!({"role": "assistant", "content": content, "tool_calls": [call]});
        assert_same(&asked(&OpenAiChat, &chat_request(&message)), &sent);
    }
    let absent = json!({"role": "assistant", "tool_calls": [call]});
    assert_same(&asked(&OpenAiChat, &chat_request(&absent)), &sent);
}

#[test]
fn a_chat_has_its_items_turns_and_results() {
    let history = asked(
        &OpenAiChat,
        &json!({"model": "m", "temperature": 1, "reasoning_effort": null, "user": "u", "messages": [
            {"role": "developer", "content": "Be short."},
            {"role": "user", "content": [{"type": "text", "text": " Hi "}, {"type": "image_url", "image_url": {"url": "x"}}]},
            {"role": "assistant", "content": "<think>hm</think>"},
            {"role": "assistant", "content": "Hello.\nObservation", "tool_calls": [call("call_1", "{}"), call("call_2", "1")]},
            {"role": "tool", "tool_call_id": "call_2", "content": "two: call_99999999"},
            {"role": "tool", "tool_call_id": "call_1", "content": "one"},
            {"role": "user", "content": "Results of call_12345678 and 'toolu_01AbCdEf', of call_12345678 again."},
        ], "tools": [{"type": "function", "function": {"name": "weather"}}]}),
    );
    let word = |word: &str| history::raw(word.as_bytes());
    let speakers: Vec<_> = history.items.iter().map(|item| item.speaker).collect();
    use Speaker::{Assistant, System, Tool, User};
    assert_eq!(
        speakers,
        [System, User, Assistant, Assistant, Tool, Tool, User]
    );
    let with_text = history.items.iter().map(|item| item.text.is_some());
    assert_eq!(
        with_text.collect::<Vec<_>>(),
        [false, true, false, false, false, false, true]
    );
    assert_eq!(history.answers.len(), 1);
    let turn = &history.answers[0];
    let hello = chat_answer(&json!({"content": "Hello."}));
    assert_eq!((turn.at, turn.calls.len(), turn.text_chars), (2, 2, 18));
    assert_eq!(
        Some(turn.text_prefixes.clone()),
        hello.text.map(|text| vec![text])
    );
    let results: Vec<_> = history
        .results
        .iter()
        .map(|result| (result.at, result.id))
        .collect();
    assert_eq!(
        results,
        [(4, Some(word("call_2"))), (5, Some(word("call_1")))]
    );
    assert_eq!(
        history.ids_in_text,
        [word("toolu_01AbCdEf"), word("call_12345678")]
    );
    let parameters: Vec<_> = history.parameters.iter().map(|(name, _)| *name).collect();
    assert_eq!(parameters, ["model", "user"]);
    assert_eq!(history.tools.unwrap().bytes, 51);
    assert!(!history.truncated);
}

#[test]
fn a_history_that_grows_repeats_its_items() {
    let message = json!({"role": "assistant", "content": "Let me look."});
    let whole = chat_request(&message);
    let mut shorter = whole.clone();
    shorter["messages"].as_array_mut().unwrap().truncate(1);
    let [whole, shorter] = [whole, shorter].map(|request| asked(&OpenAiChat, &request));
    assert_eq!(whole.items[..1], shorter.items);
    // A name that is added breaks the bytes, not what is said.
    let named = json!({"role": "assistant", "content": "Let me look.", "name": "model"});
    let named = asked(&OpenAiChat, &chat_request(&named));
    assert_ne!(named.items[1].segment, whole.items[1].segment);
    assert_eq!(named.answers, whole.answers);
}

#[test]
fn what_is_no_single_conversation_has_no_history() {
    for body in [
        "",
        "{}",
        "[]",
        r#"{"messages":"hi"}"#,
        r#"{"messages":[{"role":"user","content":"hi"}]"#,
    ] {
        assert_eq!(history_of(&OpenAiChat, body.as_bytes()), None, "{body}");
    }
    let several = json!({"messages": [[{"role": "user", "content": "a"}], [{"role": "user", "content": "b"}]]});
    let several = several.to_string();
    assert_eq!(
        history_of(&openai::chat::OpenAiChatBatch, several.as_bytes()),
        None
    );
}

#[test]
fn a_long_history_is_kept_up_to_a_bound() {
    let message = |at: usize| json!({"role": if at.is_multiple_of(2) { "user" } else { "assistant" }, "content": format!("call_{at:08}")});
    let messages: Vec<_> = (0..5000).map(message).collect();
    let history = asked(&OpenAiChat, &json!({ "messages": messages }));
    assert_eq!((history.items.len(), history.answers.len()), (4096, 2048));
    assert!(history.truncated);
    let last = history::raw(b"call_00004095");
    assert_eq!(
        (history.ids_in_text.len(), history.ids_in_text.last()),
        (32, Some(&last))
    );
}

#[test]
fn responses_repeat_their_items() {
    const CREATE: OpenAiResponses = OpenAiResponses::Create;
    let output = json!([
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": "Let me look. ", "annotations": [], "logprobs": []}]},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": "{\"a\":1}"},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_2", "name": "run", "input": "print(1)"},
    ]);
    let sent = answered(
        &CREATE,
        &json!({"object": "response", "id": "r", "status": "completed", "output": output}),
    );
    let word = |word: &str| history::raw(word.as_bytes());
    assert_eq!(
        sent.item_ids,
        ["rs_1", "msg_1", "ws_1", "fc_1", "ctc_1"].map(word)
    );
    let request = |items: Value| {
        let mut input = vec![json!({"role": "user", "content": "Hi"})];
        input.extend(items.as_array().unwrap().clone());
        input.push(json!({"type": "function_call_output", "call_id": "call_1", "output": "rain"}));
        asked(
            &CREATE,
            &json!({"model": "m", "instructions": "Be short.", "reasoning": {"effort": "low"}, "input": input}),
        )
    };
    let verbatim = request(output);
    assert_same(&verbatim, &sent);
    assert_eq!(verbatim.answers[0].item_ids, sent.item_ids);
    assert_eq!(verbatim.answers[0].at, 2);
    assert_eq!(verbatim.items[0].speaker, Speaker::System);
    let rewritten = request(json!([
        {"role": "assistant", "content": "<think>hm</think>"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Let me look."}]},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{ \"a\": 1 }"},
        {"type": "custom_tool_call", "call_id": "call_2", "name": "run", "input": "print(1)"},
    ]));
    assert_same(&rewritten, &sent);
    assert_eq!(rewritten.item_ids, []);
    let by_reference = request(json!([
        {"type": "item_reference", "id": "msg_1"},
        {"type": "item_reference", "id": "fc_1"},
    ]));
    assert_eq!(by_reference.item_ids, ["msg_1", "fc_1"].map(word));
    assert_eq!(by_reference.answers[0].item_ids, by_reference.item_ids);
    assert_eq!(by_reference.results[0].id, Some(word("call_1")));
    let parameters: Vec<_> = by_reference
        .parameters
        .iter()
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(parameters, ["model", "reasoning"]);
    let text = asked(&CREATE, &json!({"input": "Hi"}));
    assert_eq!(text.items[0].text, verbatim.items[1].text);
}

#[test]
fn messages_repeat_their_blocks() {
    let content = json!([
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "Let me look."},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result", "title": "t"}]},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"a": 1, "b": "é"}},
    ]);
    let sent = answered(
        &AnthropicMessages,
        &json!({"type": "message", "role": "assistant", "content": content}),
    );
    let request = |content: &Value| {
        asked(
            &AnthropicMessages,
            &json!({"model": "m", "system": [{"type": "text", "text": "Be short."}],
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": content},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "rain"}]},
                {"type": "text", "text": "Go on."},
            ]},
        ], "tool_choice": {"type": "auto"}}),
        )
    };
    let verbatim = request(&content);
    assert_same(&verbatim, &sent);
    let rewritten = json!([{"type": "text", "text": "Let me look.\n"},
        {"input": {"b": "é", "a": 1.0}, "name": "weather", "id": "toolu_1", "type": "tool_use"}]);
    assert_same(&request(&rewritten), &sent);
    assert_eq!(verbatim.items.len(), 4);
    assert_eq!(verbatim.results[0].at, 3);
    let go_on = asked(
        &AnthropicMessages,
        &json!({"messages": [{"role": "user", "content": "Go on."}]}),
    );
    assert_eq!(verbatim.items[3].text, go_on.items[0].text);
    let parameters: Vec<_> = verbatim.parameters.iter().map(|(name, _)| *name).collect();
    assert_eq!(parameters, ["model", "tool_choice"]);
}

#[test]
fn ollama_repeats_its_messages() {
    let message = json!({"role": "assistant", "content": "Let me look.", "thinking": "hm",
        "tool_calls": [{"function": {"name": "weather", "arguments": {"a": 1, "b": 2}}}]});
    let sent = answered(
        &crate::dialect::ollama::CHAT,
        &json!({"message": message, "done": true}),
    );
    let rewritten = json!({"role": "assistant", "content": " Let me look.",
        "tool_calls": [{"function": {"arguments": {"b": 2, "a": 1}, "name": "weather"}}]});
    for message in [message, rewritten] {
        let request = json!({"model": "m", "messages": [
            {"role": "user", "content": "Hi"}, message, {"role": "tool", "tool_name": "weather", "content": "rain"}]});
        let history = asked(&crate::dialect::ollama::CHAT, &request);
        assert_same(&history, &sent);
        assert_eq!(history.results[0].id, None);
    }
}

/// How a client writes a message down.
#[derive(Debug, Clone)]
struct Hand {
    spaced: bool,
    reversed: bool,
    escaped: bool,
    parts: Vec<Index>,
    named: bool,
    thinks: bool,
    padded: bool,
}

fn hand() -> impl Strategy<Value = Hand> {
    let parts = prop::collection::vec(any::<Index>(), 0..3);
    (any::<[bool; 6]>(), parts).prop_map(
        |([spaced, reversed, escaped, named, thinks, padded], parts)| Hand {
            spaced,
            reversed,
            escaped,
            parts,
            named,
            thinks,
            padded,
        },
    )
}

impl Hand {
    /// JSON as this hand writes it.
    fn write(&self, value: &Value) -> String {
        let (comma, colon) = if self.spaced {
            (", ", ": ")
        } else {
            (",", ":")
        };
        match value {
            Value::Object(members) => {
                let mut members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| {
                        format!("{}{colon}{}", self.write(&json!(name)), self.write(value))
                    })
                    .collect();
                if self.reversed {
                    members.reverse();
                }
                format!("{{{}}}", members.join(comma))
            }
            Value::Array(list) => {
                let list: Vec<_> = list.iter().map(|value| self.write(value)).collect();
                format!("[{}]", list.join(comma))
            }
            Value::String(text) if self.escaped => {
                let units = text.encode_utf16().map(|unit| match unit {
                    0x2f => "\\/".to_owned(),
                    unit => format!("\\u{unit:04x}"),
                });
                format!("\"{}\"", units.collect::<String>())
            }
            other => other.to_string(),
        }
    }

    /// A request that goes on after an answer of this text and these calls.
    fn request(&self, text: &str, calls: &[(String, Value)]) -> String {
        let mut said = text.to_owned();
        if self.padded {
            said = format!("\n {said}\t\n");
        }
        if self.thinks {
            said = format!("<think>hm</think>{said}");
        }
        let content = if self.parts.is_empty() {
            if said.is_empty() {
                json!(null)
            } else {
                json!(said)
            }
        } else {
            let mut places: Vec<_> = self
                .parts
                .iter()
                .map(|at| at.index(said.chars().count() + 1))
                .collect();
            places.push(said.chars().count());
            places.sort_unstable();
            let mut from = 0;
            let parts = places.into_iter().map(|to| {
                let text: String = said.chars().skip(from).take(to - from).collect();
                from = to;
                json!({"type": "text", "text": text})
            });
            Value::Array(parts.collect())
        };
        let calls = calls
            .iter()
            .enumerate()
            .map(|(at, (name, arguments))| call_of(at, name, &self.write(arguments)));
        let mut message = Map::from_iter([
            ("role".to_owned(), json!("assistant")),
            ("content".to_owned(), content),
            ("tool_calls".to_owned(), calls.collect()),
        ]);
        if self.named {
            message.insert("name".to_owned(), json!("model"));
        }
        self.write(&chat_request(&Value::Object(message)))
    }
}

fn call_of(at: usize, name: &str, arguments: &str) -> Value {
    json!({"id": format!("call_{at}"), "type": "function", "function": {"name": name, "arguments": arguments}})
}

fn arguments() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        any::<String>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from)
    ];
    let members = prop::collection::btree_map("[a-z]{1,4}", value, 0..4);
    members.prop_map(|members| members.into_iter().collect())
}

proptest! {
    #[test]
    fn an_answer_is_the_same_by_every_hand_and_another_is_not(
        text in any::<String>(),
        other in any::<String>(),
        calls in prop::collection::vec(("[a-z]{1,5}", arguments()), 0..3),
        more in arguments(),
        hand in hand(),
    ) {
        let written: Vec<_> = calls.iter().enumerate().map(|(at, (name, arguments))| call_of(at, name, &arguments.to_string())).collect();
        let sent = chat_answer(&json!({"content": text, "tool_calls": written}));
        let read = |request: String| history_of(&OpenAiChat, request.as_bytes()).unwrap();
        assert_same(&read(hand.request(&text, &calls)), &sent);
        let another = read(hand.request(&other, &calls));
        prop_assert_eq!(another.answers[0].text == sent.text, said(&other) == said(&text));
        if let Some((last, calls)) = calls.split_last() {
            let changed = [calls, &[(last.0.clone(), more.clone())]].concat();
            let another = read(hand.request(&text, &changed));
            prop_assert_eq!(self::calls(&another.answers[0]) == self::calls(&sent), more == last.1);
        }
    }
}

/// What of a generated text is said; none of them thinks.
fn said(text: &str) -> &str {
    text.trim()
}
