//! Messages: their fixtures, requests, paths, and shapes that nobody foresaw.

use super::*;
use anthropic_messages::AnthropicMessages;

#[test]
fn what_a_cache_takes_up_is_told_by_its_lifetime_and_searches_as_they_add_up() {
    let mut reader = AnthropicMessages.reader();
    let mut facts = Facts::default();
    for event in [
        r#"{"type":"message_start","message":{"usage":{"input_tokens":9,"cache_creation_input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":3},"output_tokens":1}}}"#,
        r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":3,"server_tool_use":{"web_search_requests":1}}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5,"server_tool_use":{"web_search_requests":2}}}"#,
    ] {
        reader.event(b"", event.as_bytes(), &mut facts);
    }
    let usage = &facts.usage;
    assert_eq!(usage.cache_write_input_tokens, Some(5));
    assert_eq!(usage.cache_write_5m_input_tokens, Some(2));
    assert_eq!(usage.cache_write_1h_input_tokens, Some(3));
    assert_eq!(usage.web_searches, Some(2));
}

#[test]
fn messages_fixtures_read_as_expected_at_any_cut() {
    check_fixtures("messages", &AnthropicMessages);
}

#[test]
fn messages_are_known_by_the_tail_of_their_path() {
    let call = |method, path| for_request(method, path).map(Dialect::operation);
    for path in [
        "/v1/messages",
        "/messages/",
        "/anthropic/v1/messages",
        "/api/v1/messages",
    ] {
        assert_eq!(call("POST", path), Some(Operation::Messages), "{path}");
    }
    for path in [
        "/v1/messages/count_tokens",
        "/v1/messages/batches",
        "/v1/threads/thread_1/messages",
        "/v1/messages/msg_1",
    ] {
        assert_eq!(call("POST", path), None, "{path}");
    }
    assert_eq!(call("GET", "/v1/messages"), None);
}

#[test]
fn a_request_for_a_message_is_read_whole() {
    let body = r#"{"model":"m","stream":true,"max_tokens":7,"temperature":0,"top_p":0.9,"top_k":40,"stop_sequences":["a","b"],
        "service_tier":"standard_only","thinking":{"type":"adaptive"},"output_config":{"effort":"high","format":{"type":"json_schema"}},
        "system":[{"type":"text","text":"Be"}],"messages":[{"role":"user","content":"é😀"},
        {"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]},
        {"role":"user","content":[{"type":"text","text":"abc"},{"type":"image","source":{"type":"base64","data":"..."}},
        {"type":"tool_result","tool_use_id":"t","content":"four"},
        {"type":"tool_result","tool_use_id":"u","content":[{"type":"text","text":"five5"},{"type":"image"}]}]}]}"#;
    let (request, problems) = read_request(&AnthropicMessages, body);
    let expected = Request {
        model: Some("m".into()),
        stream: Some(true),
        max_tokens: Some(7),
        temperature: Some(0.0),
        top_p: Some(0.9),
        top_k: Some(40),
        stop_sequences: Some(vec!["a".into(), "b".into()]),
        reasoning_level: Some("high".into()),
        output_type: Some(OutputType::Json),
        service_tier: Some("standard_only".into()),
        prompt_chars: Some(16),
        ..Request::default()
    };
    assert_eq!(request, expected);
    assert_eq!(problems, Problems::default());
}

#[test]
fn a_system_prompt_is_part_of_the_prompt() {
    let chars = |body| read_request(&AnthropicMessages, body).0.prompt_chars;
    assert_eq!(
        chars(r#"{"system":"ab","messages":[{"role":"user","content":"c"}]}"#),
        Some(3)
    );
    assert_eq!(chars(r#"{"messages":[]}"#), Some(0));
    assert_eq!(chars(r#"{"system":"ab"}"#), None);
}

#[test]
fn members_of_a_request_for_a_message_may_be_of_any_type() {
    let body = r#"{"model":5,"stream":1,"max_tokens":"x","stop_sequences":[1],"output_config":"high","messages":7,"system":7}"#;
    let (request, problems) = read_request(&AnthropicMessages, body);
    assert_eq!((request, problems.mistyped), (Request::default(), 5));
    let (request, problems) = read_request(&AnthropicMessages, "[]");
    assert_eq!((request, problems.malformed), (Request::default(), 1));
}

#[test]
fn counts_near_the_end_of_their_range_are_none() {
    let most = u64::MAX;
    let body = format!(r#"{{"usage":{{"input_tokens":{most},"cache_read_input_tokens":{most}}}}}"#);
    let seen = read_body(&AnthropicMessages, 200, body.as_bytes());
    assert_eq!(seen.facts.usage, Usage::default());
    assert_eq!(seen.facts.problems.mistyped, 2);
}

/// Types of events, blocks and deltas, beside members of all of them.
const WORDS: &[&str] = &[
    "message_start",
    "content_block_start",
    "content_block_delta",
    "message_delta",
    "message_stop",
    "message",
    "error",
    "text",
    "tool_use",
    "text_delta",
    "input_json_delta",
];
const MEMBERS: &[&str] = &[
    "type",
    "message",
    "index",
    "content_block",
    "delta",
    "usage",
    "input_tokens",
    "cache_read_input_tokens",
    "text",
    "partial_json",
    "stop_reason",
    "content",
    "name",
    "input",
    "error",
];

proptest! {
    #[test]
    fn messages_of_any_shape_are_survived(stream in odd_stream(MEMBERS, WORDS)) {
        let seen = read_stream(&AnthropicMessages, [stream.as_bytes()]);
        prop_assert!(seen.facts.problems.malformed <= seen.outputs.len() as u64);
        prop_assert!(seen.facts.response.choices.len() <= 1);
    }

    #[test]
    fn bodies_of_any_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..200), status in 200_u16..600) {
        let seen = read_body(&AnthropicMessages, status, &body);
        prop_assert!(seen.facts.response.id.is_none());
        read_stream(&AnthropicMessages, [body.as_slice()]);
    }
}
