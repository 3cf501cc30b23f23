//! Calls of tools, histories, and where calls belong.

use super::*;

#[test]
fn calls_of_tools_and_the_history_are_shown() {
    let request = concat!(
        r#"{"model":"m","tools":[{"type":"function","function":{"name":"gauge"}}],"tool_choice":"required","#,
        r#""messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"How deep?"}]}"#,
    );
    let answer = |arguments: &str| {
        let call = json!({"id": "call_1", "type": "function", "function": {"name": "gauge", "arguments": arguments}});
        let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
        let answer = json!({"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]});
        let answer = answer.to_string();
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: api.openai.com\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{request}HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{answer}",
            request.len(),
            answer.len()
        )
    };
    let capture = answer(r#"{"at":"bridge"}"#);
    let one = exchange(&capture);
    let call = &one["tool_calls"][0];
    assert_eq!(call["name"], "gauge");
    assert_eq!(call["facts"]["type"], "function");
    assert_eq!(call["facts"]["id"], "call_1");
    assert_eq!(call["facts"]["arguments_bytes"], 15);
    assert_eq!(call["facts"]["forced"], true);
    let history = &one["history"];
    assert_eq!(
        (&history["items"], &history["items.user"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(history["parameters"], json!(["model"]));
    assert!(!one.to_string().contains("hash"), "{one}");
    assert_eq!(
        one["conversation"],
        json!(["turn 1: it begins a conversation"])
    );
    let text = explain(capture.as_bytes(), &[]);
    let text = stdout(&text);
    assert!(text.contains("\ntool call: gauge\n"), "{text}");
    assert!(text.contains("\nhistory\n"), "{text}");
}

#[test]
fn the_place_of_each_call_in_its_conversation_is_told_in_words() {
    let user = json!({"role": "user", "content": "How deep?"});
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "gauge", "arguments": "{\"at\":\"bridge\"}"}});
    let calls = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    let result = json!({"role": "tool", "tool_call_id": "call_1", "content": "3 m"});
    let done = json!({"role": "assistant", "content": "Three metres."});
    let entries = json!([
        turn(0, std::slice::from_ref(&user), &calls),
        turn(2000, &[user, calls, result], &done),
    ]);
    let [first, second] = exchanges(har(&entries), &[]).try_into().unwrap();
    assert_eq!(
        first["conversation"],
        json!(["turn 1: it begins a conversation"])
    );
    let said: Vec<&str> = second["conversation"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(
        said[0],
        "turn 2: it goes on from entry 1 of 2, told by the calls of the answer, by id, name and arguments (calls)"
    );
    assert!(
        said[1].ends_with(" bytes of its prompt were sent before"),
        "{said:?}"
    );
    assert_eq!(
        said.last(),
        Some(&"it brings the result of gauge (call_1), 1.500 s after the call")
    );
    assert_eq!(attribute(&second, 1, "streamgauge.conversation.turn"), 2);
    assert_eq!(
        attribute(&second, 1, "streamgauge.conversation.id"),
        &Value::Null
    );
    let text = explain(har(&entries).as_bytes(), &[]);
    assert!(
        stdout(&text).contains("\nconversation\n  turn 2: "),
        "{}",
        stdout(&text)
    );

    let mut untimed = entries;
    untimed[1]["startedDateTime"] = json!("yesterday");
    let [_, second] = exchanges(har(&untimed), &[]).try_into().unwrap();
    let last = second["conversation"].as_array().unwrap().last().unwrap();
    assert_eq!(
        last,
        "it brings the result of gauge (call_1); the capture does not say how long that took"
    );
}

#[test]
fn calls_that_would_be_in_one_trace_are_told_apart_all_the_same() {
    let says = |who: &str, what: &str| json!({"role": who, "content": what});
    let [asked, answered] = [says("user", "How deep?"), says("assistant", "3 m.")];
    let [more, then] = [says("user", "And now?"), says("assistant", "4 m.")];
    let all = [
        asked,
        answered.clone(),
        more,
        then.clone(),
        says("user", "Why?"),
    ];
    let entries = json!([
        turn(0, &all[..1], &answered),
        turn(2000, &all[..3], &then),
        turn(4000, &all, &says("assistant", "Rain.")),
    ]);
    let file = File::new("joined.toml", "[conversations]\ntraces = \"joined\"\n");
    let joined = exchanges(har(&entries), &["-c", file.path().to_str().unwrap()]);
    let told = joined[2]["conversation"][0].as_str().unwrap();
    assert!(
        told.starts_with("turn 3: it goes on from entry 2 of 3,"),
        "{told}"
    );
}
