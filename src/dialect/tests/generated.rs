//! What of a stream is gathered to be counted, and where it is given up.

use super::*;
use anthropic_messages::AnthropicMessages;
use openai_responses::OpenAiResponses;

/// The text that these events generated.
fn generated(dialect: &dyn Dialect, events: &[&str]) -> Option<String> {
    let mut facts = Facts {
        folds: AnswerFolds::gathering(Texts::default()),
        ..Facts::default()
    };
    let mut reader = dialect.reader();
    for event in events {
        reader.event(b"", event.as_bytes(), &mut facts);
    }
    let texts = facts.folds.texts.and_then(Texts::into_texts);
    texts.map(|texts| texts.concat())
}

#[test]
fn a_message_generates_its_text_its_thinking_and_the_input_of_its_tools() {
    let delta =
        |delta: &str| format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#);
    let begin = |block: &str| {
        format!(r#"{{"type":"content_block_start","index":0,"content_block":{block}}}"#)
    };
    let fragment = delta(r#"{"type":"input_json_delta","partial_json":"{}"}"#);
    let text = delta(r#"{"type":"text_delta","text":"Three"}"#);
    let tool = begin(r#"{"type":"tool_use","id":"t","name":"gauge","input":{}}"#);
    let filled = begin(r#"{"type":"tool_use","id":"t","name":"gauge","input":{"at":1}}"#);
    for (events, expected) in [
        (vec![&*text], Some("Three")),
        (vec![&*tool, &fragment], Some("gauge{}")),
        (vec![&*filled], Some(r#"gauge{"at":1}"#)),
        // Whole and in fragments: which of them is one to count?
        (vec![&*filled, &fragment], None),
        (
            vec![
                &*delta(r#"{"type":"thinking_delta","thinking":"Look."}"#),
                &delta(r#"{"type":"signature_delta","signature":"c2lnbg"}"#),
            ],
            Some("Look."),
        ),
        (
            vec![
                &*text,
                &delta(r#"{"type":"citations_delta","citation":{}}"#),
            ],
            Some("Three"),
        ),
        (vec![&*text, &delta(r#"{"type":"novel_delta"}"#)], None),
        (
            vec![&*begin(r#"{"type":"redacted_thinking","data":"x"}"#)],
            None,
        ),
        (
            vec![&*begin(r#"{"type":"server_tool_use","name":"web_search"}"#)],
            None,
        ),
    ] {
        let said = generated(&AnthropicMessages, &events);
        assert_eq!(said.as_deref(), expected, "{events:?}");
    }
}

#[test]
fn a_response_generates_its_text_its_reasoning_and_the_arguments_of_its_calls() {
    let delta =
        |of: &str| format!(r#"{{"type":"response.{of}.delta","output_index":0,"delta":"Three"}}"#);
    let added = |item: &str| {
        format!(r#"{{"type":"response.output_item.added","output_index":0,"item":{item}}}"#)
    };
    let text = delta("output_text");
    let call = added(r#"{"type":"function_call","id":"f","name":"gauge","arguments":""}"#);
    for (events, expected) in [
        (vec![&*text], Some("Three")),
        (vec![&*delta("refusal")], Some("Three")),
        (vec![&*delta("reasoning_text")], Some("Three")),
        (vec![&*delta("reasoning_summary_text")], Some("")),
        (
            vec![&*call, &delta("function_call_arguments")],
            Some("gaugeThree"),
        ),
        (vec![&*text, &delta("output_audio")], None),
        (vec![&*text, &delta("code_interpreter_call_code")], None),
        (vec![&*text, &added(r#"{"type":"web_search_call"}"#)], None),
    ] {
        let said = generated(&OpenAiResponses::Create, &events);
        assert_eq!(said.as_deref(), expected, "{events:?}");
    }
}

#[test]
fn a_line_of_ollama_generates_its_text_and_its_thinking() {
    let lines = [
        r#"{"response":"","thinking":"Look.","done":false}"#,
        r#"{"response":"Three","done":false}"#,
    ];
    let said = generated(&crate::dialect::ollama::GENERATE, &lines);
    assert_eq!(said.as_deref(), Some("Look.Three"));
    let chat = [
        r#"{"message":{"thinking":"Look."},"done":false}"#,
        r#"{"message":{"content":"Three","tool_calls":[{"function":{"name":"gauge","arguments":{}}}]},"done":false}"#,
    ];
    let said = generated(&crate::dialect::ollama::CHAT, &chat);
    assert_eq!(said.as_deref(), Some("Look.Threegauge{}"));
}
