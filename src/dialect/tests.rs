mod ollama;

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

mod unary;

use super::*;
use crate::exchange::{ApiError, Choice, OutputType, Quirk, ServerTimes, ToolCall};
use crate::sse;

mod generated;
mod messages;
mod responses;

#[path = "../../tests/fixtures/facts.rs"]
pub(super) mod facts;

/// What a response came to: its facts, and the output of each event.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) facts: Facts,
    pub(super) outputs: Vec<Output>,
}

fn read_stream<'a>(dialect: &dyn Dialect, pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    let mut seen = Seen::default();
    let mut reader = dialect.reader();
    let mut parser = sse::Parser::new(1 << 20);
    let mut on_event = |event: sse::Event<'_>| {
        let output = reader.event(event.name, event.data, &mut seen.facts);
        seen.outputs.push(output);
    };
    for piece in pieces {
        parser.push(piece, &mut on_event);
    }
    parser.finish(on_event);
    seen.facts.quirks |= framing_quirks(parser.oddities());
    seen
}

fn read_body(dialect: &dyn Dialect, status: u16, body: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let output = dialect.reader().body(status, body, &mut seen.facts);
    seen.outputs.push(output);
    seen
}

/// What was seen, in the form of `expected.json`: whatever is absent, false or zero is left out.
pub(super) fn summary(seen: &Seen) -> Value {
    let Facts {
        response,
        usage,
        problems,
        quirks,
        unknown,
        ..
    } = &seen.facts;
    let outputs = &seen.outputs;
    let events = |kind: fn(&Output) -> bool| outputs.iter().filter(|output| kind(output)).count();
    let flow = json!({
        "events": outputs.len(),
        "first_output": outputs.iter().position(|output| output.any()).map(|at| at + 1),
        "output": events(|output| output.any()),
        "content": events(|output| output.content),
        "reasoning": events(|output| output.reasoning),
        "tool_call": events(|output| output.tool_call),
        "audio_events": events(|output| output.audio),
        "other": events(|output| output.other),
    });
    let mut summary = facts::summary(&facts::Facts {
        response,
        usage,
        problems,
        quirks: *quirks,
        unknown,
    });
    without_quirks_of_the_whole(&mut summary);
    merge(&mut summary, facts::pruned(flow));
    summary
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

/// Takes out quirks that no dialect sees, or not alone: they show in the head, in the request, or at the end.
fn without_quirks_of_the_whole(summary: &mut Value) {
    const OF_THE_WHOLE: [Quirk; 16] = [
        Quirk::BlankBeforeBody,
        Quirk::ContentType,
        Quirk::NotAsAsked,
        Quirk::NoLastBlankLine,
        Quirk::Broken,
        Quirk::ChoiceIndex,
        Quirk::UsageNotSent,
        Quirk::UsageRefused,
        Quirk::UsageSums,
        Quirk::NoAnswer,
        Quirk::CallsUnannounced,
        Quirk::NoDone,
        Quirk::NoFinish,
        Quirk::ErrorInside,
        Quirk::EmptyBody,
        Quirk::ErrorForm,
    ];
    let of_the_whole = |id: &Value| OF_THE_WHOLE.iter().any(|quirk| id == quirk.id());
    if let Some(Value::Array(ids)) = summary.get_mut("quirks") {
        ids.retain(|id| !of_the_whole(id));
    }
    *summary = facts::pruned(summary.take());
}

pub(super) fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(folder);
    let mut cases: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

/// Reads each case whole and cut in two at every byte, and compares with what is expected.
fn check_fixtures(folder: &str, dialect: &dyn Dialect) {
    for case in fixtures(folder) {
        let name = case.display();
        let expected = fs::read_to_string(case.join("expected.json")).unwrap();
        let mut expected: Value = serde_json::from_str(&expected).unwrap();
        without_quirks_of_the_whole(&mut expected);
        let members = expected.as_object_mut().unwrap();
        // What the fixture stands for, and what only a replay has.
        for other in ["quirk", "request", "content_type", "cuts", "end", "settled"] {
            members.remove(other);
        }
        assert!(
            members.remove("about").is_some(),
            "{name} does not say what it is"
        );
        let status = members
            .remove("status")
            .map_or(200, |status| status.as_u64().unwrap());
        if let Ok(stream) = fs::read(case.join("response.sse")) {
            assert_eq!(sse::sniff(&stream), sse::Sniff::Stream, "{name}");
            for cut in 0..=stream.len() {
                let (one, two) = stream.split_at(cut);
                let seen = read_stream(dialect, [one, two]);
                assert_eq!(summary(&seen), expected, "{name}, cut at {cut}");
            }
            assert_eq!(
                summary(&read_stream(dialect, stream.chunks(1))),
                expected,
                "{name}, in bytes"
            );
        } else if let Ok(lines) = fs::read(case.join("response.ndjson")) {
            assert_eq!(dialect.framing(), Framing::Lines, "{name}");
            assert_eq!(
                summary(&ollama::read_lines(dialect, &lines)),
                expected,
                "{name}"
            );
        } else {
            let whole = ["response.json", "response.txt", "response.bin"];
            let body = whole.map(|name| fs::read(case.join(name)).ok());
            let body = body.into_iter().flatten().next().unwrap();
            let seen = read_body(dialect, status as u16, &body);
            assert_eq!(summary(&seen), expected, "{name}");
        }
    }
}

#[test]
fn chat_fixtures_read_as_expected_at_any_cut() {
    check_fixtures("chat", &openai_chat::OpenAiChat);
}

#[test]
fn completions_fixtures_read_as_expected_at_any_cut() {
    check_fixtures("completions", &openai_completions::OpenAiCompletions);
}

#[test]
fn image_fixtures_read_as_expected_at_any_cut() {
    check_fixtures("images", &images::GENERATIONS);
}

#[test]
fn speech_fixtures_read_as_expected_at_any_cut() {
    check_fixtures("speech", &audio_speech::AudioSpeech);
}

#[test]
fn transcription_fixtures_read_as_expected_at_any_cut() {
    check_fixtures("transcriptions", &audio_transcription::TRANSCRIPTIONS);
}

#[test]
fn requests_are_known_by_the_tail_of_their_path() {
    let call = |method, path| for_request(method, path).map(Dialect::call);
    for path in [
        "/v1/chat/completions",
        "/chat/completions",
        "/v1/v1/chat/completions/",
        "//v1//chat//completions",
        "/openai/deployments/gpt/chat/completions",
        "/api/v1/chat/completions",
    ] {
        assert_eq!(call("POST", path), Some(Call::ChatCompletions), "{path}");
    }
    for path in [
        "/v1/completions",
        "/openai/deployments/chat-gpt/completions/",
        "/completions",
    ] {
        assert_eq!(call("POST", path), Some(Call::Completions), "{path}");
    }
    for path in [
        "/v1/chat",
        "/v1/chat/completions/c1",
        "/v1/chatcompletions",
        "/",
        "",
    ] {
        assert_eq!(call("POST", path), None, "{path}");
    }
    assert_eq!(call("GET", "/v1/chat/completions"), None);
}

fn read_request(dialect: &dyn Dialect, body: &str) -> (Request, Problems) {
    let (mut request, mut problems) = (Request::default(), Problems::default());
    dialect.request(body.as_bytes(), &mut request, &mut problems);
    (request, problems)
}

#[test]
fn a_chat_request_is_read_whole() {
    let body = r#"{"model":"m","stream":true,"max_tokens":5,"max_completion_tokens":7,"n":2,"temperature":0,
        "top_p":0.9,"top_k":40,"frequency_penalty":-0.5,"presence_penalty":1,"stop":["a","b"],"seed":-3,
        "reasoning_effort":"high","response_format":{"type":"json_schema","json_schema":{}},"service_tier":"flex",
        "messages":[{"role":"system","content":"é😀"},{"role":"user","content":[{"type":"text","text":"abc"},
        {"type":"image_url","image_url":{"url":"data:..."}}]},{"role":"assistant","content":null},{"role":"tool"}],
        "unknown":{"stream":false}}"#;
    let (request, problems) = read_request(&openai_chat::OpenAiChat, body);
    let expected = Request {
        model: Some("m".into()),
        stream: Some(true),
        max_tokens: Some(7),
        choice_count: Some(2),
        temperature: Some(0.0),
        top_p: Some(0.9),
        top_k: Some(40),
        frequency_penalty: Some(-0.5),
        presence_penalty: Some(1.0),
        stop_sequences: Some(vec!["a".into(), "b".into()]),
        seed: Some(-3),
        reasoning_level: Some("high".into()),
        output_type: Some(OutputType::Json),
        service_tier: Some("flex".into()),
        prompt_chars: Some(5),
        ..Request::default()
    };
    assert_eq!(request, expected);
    assert_eq!(problems, Problems::default());
}

#[test]
fn members_of_a_wrong_type_are_absent_and_counted() {
    let (request, problems) = read_request(
        &openai_chat::OpenAiChat,
        r#"{"model":5,"stream":"true","n":1.5,"temperature":"warm","stop":[1],"top_p":null,"seed":12.0}"#,
    );
    let expected = Request {
        seed: Some(12),
        ..Request::default()
    };
    assert_eq!(request, expected);
    assert_eq!(problems.mistyped, 5);
}

#[test]
fn a_body_that_is_no_object_is_malformed() {
    for body in ["", "[]", "{", "\u{feff}{}"] {
        let (request, problems) = read_request(&openai_chat::OpenAiChat, body);
        assert_eq!(
            (request, problems.malformed),
            (Request::default(), 1),
            "{body:?}"
        );
    }
}

#[test]
fn a_request_with_a_broken_character_is_still_read() {
    let (mut request, mut problems) = (Request::default(), Problems::default());
    let body = b"{\"model\":\"m\",\"messages\":[{\"content\":\"a\xff\"}]}";
    openai_chat::OpenAiChat.request(body, &mut request, &mut problems);
    assert_eq!(
        (request.model.as_deref(), request.prompt_chars),
        (Some("m"), Some(2))
    );
}

#[test]
fn sound_asked_for_is_the_output_type() {
    let output_type = |body| read_request(&openai_chat::OpenAiChat, body).0.output_type;
    assert_eq!(
        output_type(r#"{"modalities":["text","audio"]}"#),
        Some(OutputType::Speech)
    );
    assert_eq!(output_type(r#"{"modalities":["text"]}"#), None);
    assert_eq!(
        output_type(r#"{"response_format":{"type":"text"}}"#),
        Some(OutputType::Text)
    );
}

#[test]
fn a_completion_prompt_may_be_text_texts_or_tokens() {
    let chars = |body| read_request(&openai_completions::OpenAiCompletions, body);
    assert_eq!(chars(r#"{"prompt":"ab"}"#).0.prompt_chars, Some(2));
    assert_eq!(
        chars(r#"{"prompt":["ab","c"],"stop":"x"}"#).0.prompt_chars,
        Some(3)
    );
    let (tokens, problems) = chars(r#"{"prompt":[[1,2],[3]]}"#);
    assert_eq!((tokens.prompt_chars, problems.mistyped), (None, 0));
}

#[test]
fn choices_beyond_the_bound_are_not_kept() {
    let chunk = |index| {
        format!("data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"a\"}}}}]}}\n\n")
    };
    let stream: String = (0..200).map(chunk).collect();
    let seen = read_stream(&openai_chat::OpenAiChat, [stream.as_bytes()]);
    assert_eq!(seen.facts.response.choices.len(), 128);
    assert!(seen.facts.response.truncated);
    assert_eq!(seen.facts.response.content_chars, Some(200));
}

#[test]
fn tool_calls_beyond_the_bound_are_not_kept() {
    let call = |id| {
        format!(
            "{{\"index\":{id},\"id\":\"c{id}\",\"function\":{{\"name\":\"f\",\"arguments\":\"{{}}\"}}}}"
        )
    };
    let calls: Vec<_> = (0..200).map(call).collect();
    let stream = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{}]}}}}]}}\n\n",
        calls.join(",")
    );
    let seen = read_stream(&openai_chat::OpenAiChat, [stream.as_bytes()]);
    assert_eq!(seen.facts.response.tool_calls.len(), 128);
    assert!(seen.facts.response.truncated);
}

#[test]
fn a_very_long_event_is_skipped_and_the_next_one_read() {
    let image = "x".repeat(4 << 20);
    let stream = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"images\":[\"{image}\"]}}}}]}}\n\ndata: {{\"choices\":[],\"usage\":{{\"total_tokens\":4}}}}\n\n"
    );
    let seen = read_stream(&openai_chat::OpenAiChat, stream.as_bytes().chunks(16 << 10));
    assert_eq!(
        (seen.outputs.len(), seen.facts.usage.total_tokens),
        (2, Some(4))
    );
}

#[test]
fn texts_that_are_kept_are_bounded() {
    let model = "é".repeat(5000);
    let seen = read_body(
        &openai_chat::OpenAiChat,
        200,
        format!("{{\"model\":\"{model}\"}}").as_bytes(),
    );
    assert_eq!(seen.facts.response.model.unwrap().len(), 2048);
}

#[test]
fn choices_of_one_answer_are_folded_when_one_was_asked_for() {
    let one = Request {
        model: Some("m".into()),
        ..Request::default()
    };
    let two = Request {
        choice_count: Some(2),
        ..one.clone()
    };
    let choice = |index, reason: Option<&str>| Choice {
        index,
        finish_reason: reason.map(Into::into),
    };
    let split = Response {
        choices: vec![choice(0, None), choice(3, Some("tool_calls"))],
        tool_calls: vec![ToolCall {
            choice: 3,
            ..ToolCall::default()
        }],
        ..Response::default()
    };
    let settled = |request: &Request| {
        let mut response = split.clone();
        openai_chat::OpenAiChat.settle(request, &mut response);
        response
    };
    assert_eq!(settled(&one).choices, [choice(0, Some("tool_calls"))]);
    assert_eq!(settled(&one).tool_calls[0].choice, 0);
    assert_eq!(settled(&two), split);
    assert_eq!(settled(&Request::default()), split);
}

/// The members of a chat chunk.
const CHAT_MEMBERS: &[&str] = &[
    "id",
    "model",
    "choices",
    "usage",
    "error",
    "index",
    "delta",
    "message",
    "content",
    "tool_calls",
    "function",
    "arguments",
    "name",
    "finish_reason",
    "text",
    "prompt_tokens",
    "reasoning",
    "logprobs",
    "function_call",
];

/// Streams of chunks whose members of these names have any type, or one of these words as their value.
fn odd_stream(
    members: &'static [&'static str],
    words: &'static [&'static str],
) -> impl Strategy<Value = String> {
    let odd = [
        "null", "\"\"", "\"x\"", "-1", "1.5", "7", "true", "[]", "{}",
    ];
    let words = words.iter().map(|word| format!("\"{word}\""));
    let leaves: Vec<_> = odd.into_iter().map(str::to_owned).chain(words).collect();
    let leaf = prop::sample::select(leaves);
    let key = prop::sample::select(members);
    let value = leaf.prop_recursive(6, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::vec((key.clone(), inner), 0..5).prop_map(|members| {
                let members: Vec<_> = members
                    .iter()
                    .map(|(key, value)| format!("\"{key}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    prop::collection::vec(value, 0..6).prop_map(|values| {
        values
            .iter()
            .map(|value| format!("data: {value}\n\n"))
            .collect()
    })
}

proptest! {
    #[test]
    fn members_of_any_type_are_survived(stream in odd_stream(CHAT_MEMBERS, &[])) {
        let seen = read_stream(&openai_chat::OpenAiChat, [stream.as_bytes()]);
        prop_assert!(seen.facts.problems.malformed <= seen.outputs.len() as u64);
    }

    #[test]
    fn arbitrary_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..200), status in 200_u16..600) {
        let seen = read_body(&openai_chat::OpenAiChat, status, &body);
        prop_assert!(seen.facts.response.id.is_none());
        read_stream(&openai_chat::OpenAiChat, [body.as_slice()]);
    }
}
