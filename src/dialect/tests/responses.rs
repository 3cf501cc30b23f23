//! Responses: their fixtures, requests, paths, and shapes that nobody foresaw.

use super::*;
use openai_responses::OpenAiResponses;

#[test]
fn searches_of_the_web_are_counted_once_and_other_actions_are_none() {
    let item = |id: &str, action: &str| {
        format!(
            r#"{{"type":"web_search_call","id":"{id}","status":"completed","action":{{"type":"{action}"}}}}"#
        )
    };
    let items = [
        item("ws_1", "search"),
        item("ws_2", "open_page"),
        item("ws_3", "search"),
    ];
    let done = |item: &String| format!(r#"{{"type":"response.output_item.done","item":{item}}}"#);
    let completed = format!(
        r#"{{"type":"response.completed","response":{{"status":"completed","output":[{}]}}}}"#,
        items.join(",")
    );
    let mut reader = OpenAiResponses::Create.reader();
    let mut facts = Facts::default();
    for event in items.iter().map(done).chain([completed]) {
        reader.event(b"", event.as_bytes(), &mut facts);
    }
    assert_eq!(facts.usage.web_searches, Some(2));
}

#[test]
fn responses_fixtures_read_as_expected_at_any_cut() {
    check_fixtures("responses", &OpenAiResponses::Create);
}

#[test]
fn fetched_responses_read_as_expected_at_any_cut() {
    check_fixtures("responses-fetched", &OpenAiResponses::Fetch);
}

#[test]
fn responses_are_created_fetched_and_cancelled() {
    let found = |method: &str, path: &str| {
        let dialect = for_request(method, path)?;
        Some((dialect.operation(), dialect.route()))
    };
    for prefix in ["/v1", "", "/openai/v1", "/openai", "/api/v1", "/team/v1"] {
        let path = |tail: &str| format!("{prefix}/responses{tail}");
        for (method, path, expected) in [
            ("POST", path(""), (Operation::Responses, "/v1/responses")),
            ("POST", path("/"), (Operation::Responses, "/v1/responses")),
            (
                "GET",
                path("/resp_1"),
                (Operation::FetchResponse, "/v1/responses/{id}"),
            ),
            (
                "POST",
                path("/resp_1/cancel"),
                (Operation::FetchResponse, "/v1/responses/{id}/cancel"),
            ),
        ] {
            assert_eq!(found(method, &path), Some(expected), "{method} {path}");
        }
        for (method, path) in [
            ("GET", path("")),
            ("POST", path("/resp_1")),
            ("DELETE", path("/resp_1")),
            ("GET", path("/resp_1/input_items")),
            ("POST", path("/input_tokens")),
            ("POST", path("/compact")),
        ] {
            assert_eq!(found(method, &path), None, "{method} {path}");
        }
    }
}

#[test]
fn a_request_for_a_response_is_read_whole() {
    let body = r#"{"model":"m","stream":true,"max_output_tokens":7,"temperature":0,"top_p":0.9,"top_k":40,
        "reasoning":{"effort":"high","summary":"auto"},"service_tier":"flex","text":{"format":{"type":"json_schema","name":"x"}},
        "previous_response_id":"resp_0","conversation":{"id":"conv_1"},"prompt":{"id":"pmpt_1","version":"2","variables":{}},
        "instructions":"Be","input":[{"role":"user","content":"é😀"},{"type":"compaction","encrypted_content":"..."},
        {"role":"user","content":[{"type":"input_text","text":"abc"},{"type":"input_image","image_url":"data:..."}]},
        {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
        {"type":"function_call_output","call_id":"c","output":"four"}],"unknown":{"stream":false}}"#;
    let (request, problems) = read_request(&OpenAiResponses::Create, body);
    let expected = Request {
        model: Some("m".into()),
        stream: Some(true),
        max_tokens: Some(7),
        temperature: Some(0.0),
        top_p: Some(0.9),
        top_k: Some(40),
        reasoning_level: Some("high".into()),
        output_type: Some(OutputType::Json),
        service_tier: Some("flex".into()),
        conversation_id: Some("conv_1".into()),
        previous_response_id: Some("resp_0".into()),
        compacted: true,
        prompt_name: Some("pmpt_1".into()),
        prompt_version: Some("2".into()),
        prompt_chars: Some(11),
        ..Request::default()
    };
    assert_eq!(request, expected);
    assert_eq!(problems, Problems::default());
}

#[test]
fn the_input_may_be_a_text_and_the_conversation_an_id() {
    let read = |body| read_request(&OpenAiResponses::Create, body).0;
    let request = read(r#"{"input":"abc","conversation":"conv_1"}"#);
    assert_eq!(request.prompt_chars, Some(3));
    assert_eq!(request.conversation_id.as_deref(), Some("conv_1"));
    assert!(!request.compacted);
    assert_eq!(read(r#"{"prompt":{"id":"p"}}"#).prompt_chars, None);
    assert_eq!(read(r#"{"instructions":"ab"}"#).prompt_chars, Some(2));
}

#[test]
fn members_of_a_request_for_a_response_may_be_of_any_type() {
    let body = r#"{"model":5,"stream":"true","reasoning":"high","text":{"format":"json"},"input":7,"instructions":[],
        "prompt":"p","conversation":{},"previous_response_id":null}"#;
    let (request, problems) = read_request(&OpenAiResponses::Create, body);
    assert_eq!((request, problems.mistyped), (Request::default(), 6));
    let (request, problems) = read_request(&OpenAiResponses::Create, "[]");
    assert_eq!((request, problems.malformed), (Request::default(), 1));
}

#[test]
fn a_fetch_says_in_its_query_where_it_goes_on() {
    let read = |dialect: OpenAiResponses, query| {
        let mut request = Request::default();
        dialect.query(query, &mut request);
        (request.stream, request.stream_cursor)
    };
    let fetch = OpenAiResponses::Fetch;
    assert_eq!(
        read(fetch, "stream=true&starting_after=42&include=x"),
        (Some(true), Some("42".into()))
    );
    assert_eq!(read(fetch, "stream=false&x"), (Some(false), None));
    assert_eq!(read(fetch, "stream=1&"), (None, None));
    let none = read(OpenAiResponses::Create, "stream=true&starting_after=42");
    assert_eq!(none, (None, None));
}

#[test]
fn a_fetch_has_no_body_to_be_read() {
    let (request, problems) = read_request(&OpenAiResponses::Cancel, r#"{"model":"m"}"#);
    assert_eq!(request, Request::default());
    assert_eq!(problems, Problems::default());
}

#[test]
fn calls_beyond_the_bound_are_not_kept() {
    let call = |index| {
        format!(
            "data: {{\"type\":\"response.output_item.added\",\"output_index\":{index},\"item\":\
             {{\"type\":\"function_call\",\"id\":\"fc_{index}\",\"call_id\":\"c{index}\",\"name\":\"f\"}}}}\n\n\
             data: {{\"type\":\"response.function_call_arguments.delta\",\"item_id\":\"fc_{index}\",\
             \"output_index\":{index},\"delta\":\"{{}}\"}}\n\n"
        )
    };
    let stream: String = (0..200).map(call).collect();
    let seen = read_stream(&OpenAiResponses::Create, [stream.as_bytes()]);
    let response = &seen.facts.response;
    assert_eq!(response.tool_calls.len(), 128);
    assert!(
        response
            .tool_calls
            .iter()
            .all(|call| call.arguments_chars == 2)
    );
    assert!(response.truncated);
}

#[test]
fn a_last_event_as_long_as_the_bound_is_read_and_not_counted_again() {
    let text = "x".repeat(900 << 10);
    let stream = format!(
        "data: {{\"type\":\"response.output_text.delta\",\"delta\":\"{text}\"}}\n\n\
         data: {{\"type\":\"response.completed\",\"response\":{{\"status\":\"completed\",\"output\":[{{\"type\":\"message\",\
         \"content\":[{{\"type\":\"output_text\",\"text\":\"{text}\"}}]}}],\"usage\":{{\"output_tokens\":7}}}}}}\n\n"
    );
    let seen = read_stream(&OpenAiResponses::Create, stream.as_bytes().chunks(16 << 10));
    assert_eq!(seen.facts.response.content_chars, Some(900 << 10));
    assert_eq!(seen.facts.usage.output_tokens, Some(7));
    assert!(seen.facts.response.done);
}

/// Types of events, items and parts, beside members of all of them.
const WORDS: &[&str] = &[
    "response.created",
    "response.completed",
    "response.failed",
    "response.output_text.delta",
    "response.reasoning_text.delta",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.added",
    "response.output_item.done",
    "error",
    "function_call",
    "message",
    "output_text",
    "in_progress",
];
const MEMBERS: &[&str] = &[
    "type",
    "response",
    "status",
    "item",
    "item_id",
    "output_index",
    "output",
    "delta",
    "arguments",
    "call_id",
    "name",
    "content",
    "text",
    "usage",
    "input_tokens",
    "error",
    "logprobs",
    "conversation",
];

proptest! {
    #[test]
    fn responses_of_any_shape_are_survived(stream in odd_stream(MEMBERS, WORDS)) {
        let seen = read_stream(&OpenAiResponses::Create, [stream.as_bytes()]);
        prop_assert!(seen.facts.problems.malformed <= seen.outputs.len() as u64);
        prop_assert!(seen.facts.response.choices.len() <= 1);
        let fetched = read_stream(&OpenAiResponses::Fetch, [stream.as_bytes()]);
        prop_assert_eq!(fetched.facts.usage, Usage::default());
        prop_assert!(!fetched.outputs.iter().any(|output| output.any()));
    }

    #[test]
    fn bodies_of_any_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..200), status in 200_u16..600) {
        let seen = read_body(&OpenAiResponses::Create, status, &body);
        prop_assert!(seen.facts.response.id.is_none());
        read_stream(&OpenAiResponses::Create, [body.as_slice()]);
    }
}
