//! Chat and text completions: their fixtures, requests, paths, bounds, and shapes that nobody foresaw.

use super::*;

#[test]
fn chat_fixtures_read_as_expected_at_any_cut() {
    check_fixtures("chat", &openai::chat::OpenAiChat);
}

#[test]
fn completions_fixtures_read_as_expected_at_any_cut() {
    check_fixtures("completions", &openai::completions::OpenAiCompletions);
}

#[test]
fn requests_are_known_by_the_tail_of_their_path() {
    let call = |method, path| for_request(method, path).map(Dialect::operation);
    for path in [
        "/v1/chat/completions",
        "/chat/completions",
        "/v1/v1/chat/completions/",
        "//v1//chat//completions",
        "/openai/deployments/gpt/chat/completions",
        "/api/v1/chat/completions",
    ] {
        assert_eq!(
            call("POST", path),
            Some(Operation::ChatCompletions),
            "{path}"
        );
    }
    for path in [
        "/v1/completions",
        "/openai/deployments/chat-gpt/completions/",
        "/completions",
    ] {
        assert_eq!(call("POST", path), Some(Operation::Completions), "{path}");
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

#[test]
fn a_chat_request_is_read_whole() {
    let body = r#"{"model":"m","stream":true,"max_tokens":5,"max_completion_tokens":7,"n":2,"temperature":0,
        "top_p":0.9,"top_k":40,"frequency_penalty":-0.5,"presence_penalty":1,"stop":["a","b"],"seed":-3,
        "reasoning_effort":"high","response_format":{"type":"json_schema","json_schema":{}},"service_tier":"flex",
        "messages":[{"role":"system","content":"é😀"},{"role":"user","content":[{"type":"text","text":"abc"},
        {"type":"image_url","image_url":{"url":"data:..."}}]},{"role":"assistant","content":null},{"role":"tool"}],
        "unknown":{"stream":false}}"#;
    let (request, problems) = read_request(&openai::chat::OpenAiChat, body);
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
fn a_conversation_is_known_by_the_names_of_gateways() {
    for (body, expected) in [
        (r#"{"model":"m","session_id":"a"}"#, Some("a")),
        (r#"{"model":"m","litellm_session_id":"b"}"#, Some("b")),
        (
            r#"{"litellm_session_id":"b","model":"m","session_id":"a"}"#,
            Some("a"),
        ),
        (r#"{"model":"m","metadata":{"session_id":"a"}}"#, None),
    ] {
        let (request, _) = read_request(&openai::chat::OpenAiChat, body);
        assert_eq!(request.conversation_id.as_deref(), expected, "{body}");
    }
}

#[test]
fn members_of_a_wrong_type_are_absent_and_counted() {
    let (request, problems) = read_request(
        &openai::chat::OpenAiChat,
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
        let (request, problems) = read_request(&openai::chat::OpenAiChat, body);
        assert_eq!(
            (request, problems.malformed),
            (Request::default(), 1),
            "{body:?}"
        );
    }
}

#[test]
fn a_request_with_a_broken_character_is_still_read() {
    let body = b"{\"model\":\"m\",\"messages\":[{\"content\":\"a\xff\"}]}";
    let (request, _) = read_request(&openai::chat::OpenAiChat, body);
    assert_eq!(
        (request.model.as_deref(), request.prompt_chars),
        (Some("m"), Some(2))
    );
}

#[test]
fn sound_asked_for_is_the_output_type() {
    let output_type = |body| read_request(&openai::chat::OpenAiChat, body).0.output_type;
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
    let chars = |body| read_request(&openai::completions::OpenAiCompletions, body);
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
    let seen = read_stream(&openai::chat::OpenAiChat, [stream.as_bytes()]);
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
    let seen = read_stream(&openai::chat::OpenAiChat, [stream.as_bytes()]);
    assert_eq!(seen.facts.response.tool_calls.len(), 128);
    assert!(seen.facts.response.truncated);
}

#[test]
fn a_very_long_event_is_skipped_and_the_next_one_read() {
    let image = "x".repeat(4 << 20);
    let stream = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"images\":[\"{image}\"]}}}}]}}\n\ndata: {{\"choices\":[],\"usage\":{{\"total_tokens\":4}}}}\n\n"
    );
    let seen = read_stream(
        &openai::chat::OpenAiChat,
        stream.as_bytes().chunks(16 << 10),
    );
    assert_eq!(
        (seen.outputs.len(), seen.facts.usage.total_tokens),
        (2, Some(4))
    );
}

#[test]
fn texts_that_are_kept_are_bounded() {
    let model = "é".repeat(5000);
    let seen = read_body(
        &openai::chat::OpenAiChat,
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
        openai::chat::OpenAiChat.settle(request, &mut response);
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

proptest! {
    #[test]
    fn members_of_any_type_are_survived(stream in odd_stream(CHAT_MEMBERS, &[])) {
        let seen = read_stream(&openai::chat::OpenAiChat, [stream.as_bytes()]);
        prop_assert!(seen.facts.problems.malformed <= seen.outputs.len() as u64);
    }

    #[test]
    fn arbitrary_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..200), status in 200_u16..600) {
        let seen = read_body(&openai::chat::OpenAiChat, status, &body);
        prop_assert!(seen.facts.response.id.is_none());
        read_stream(&openai::chat::OpenAiChat, [body.as_slice()]);
    }
}
