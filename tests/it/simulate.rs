//! The simulated upstream on the wire: what each model sends, and what the upstream notices of its clients.

mod media;
mod responses;

use std::net::SocketAddr;

use http::Version;
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use streamgauge::simulate::{RunningSimulator, Simulator, SimulatorConfig};

use crate::client::{self, Answer};

const CHAT: &str = "/v1/chat/completions";

async fn upstream() -> RunningSimulator {
    Simulator::new(SimulatorConfig::instant())
        .start()
        .await
        .unwrap()
}

/// A chat request with three tokens to answer, and members on top.
fn chat(model: &str, more: &Value) -> String {
    let mut body = json!({
        "model": model,
        "messages": [{"role": "user", "content": "how high"}],
        "metadata": {"x-sim-chunks": "3"},
    });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body.to_string()
}

async fn ask(address: SocketAddr, model: &str, more: Value) -> Answer {
    client::send(client::post(address, CHAT, &chat(model, &more)))
        .await
        .unwrap()
}

async fn stream(model: &str, more: Value) -> Answer {
    let upstream = upstream().await;
    let mut members = json!({"stream": true});
    members
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    ask(upstream.address(), model, members).await
}

/// The JSON of every event; `[DONE]` becomes `null`.
fn events(answer: &Answer) -> Vec<Value> {
    let events = answer.text().split_terminator("\n\n");
    events
        .map(|event| match event.strip_prefix("data: ").unwrap() {
            "[DONE]" => Value::Null,
            data => serde_json::from_str(data).unwrap(),
        })
        .collect()
}

/// One member of the first choice's delta, over all events, put together.
fn joined(events: &[Value], member: &str) -> String {
    events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"][member].as_str())
        .collect()
}

#[tokio::test]
async fn a_stream_is_exact_to_the_byte() {
    let answer = stream("sim-chat", json!({})).await;
    let head = concat!(
        r#"data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":1767225600,"#,
        r#""model":"sim-chat-2026-01-01","service_tier":"default","system_fingerprint":"fp_5157a11c0de","choices":["#,
        r#"{"index":0,"delta":"#
    );
    let id = events(&answer)[0]["id"]
        .as_str()
        .unwrap()
        .strip_prefix("chatcmpl-")
        .unwrap()
        .to_owned();
    let words: Vec<_> = events(&answer)[1..4]
        .iter()
        .map(|event| event["choices"][0]["delta"]["content"].to_string())
        .collect();
    let mut expected = String::new();
    let mut event = |delta: &str, finish: &str| {
        expected += &format!("{head}{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n")
            .replace("ID", &id);
    };
    event(
        r#"{"role":"assistant","content":"","refusal":null}"#,
        "null",
    );
    for word in words {
        event(&format!(r#"{{"content":{word}}}"#), "null");
    }
    event("{}", "\"stop\"");
    expected += "data: [DONE]\n\n";
    assert_eq!(answer.text(), expected);
    assert_eq!(
        answer.header("content-type"),
        "text/event-stream; charset=utf-8"
    );
    assert!(answer.header("x-request-id").starts_with("req_"));
    assert_eq!(answer.header("openai-processing-ms"), "0");
}

#[tokio::test]
async fn the_same_request_has_the_same_bytes_and_another_seed_others() {
    let first = stream("sim-chat", json!({})).await;
    assert_eq!(first.body, stream("sim-chat", json!({})).await.body);
    assert_ne!(
        first.body,
        stream("sim-chat", json!({"seed": 7})).await.body
    );
}

#[tokio::test]
async fn asked_for_usage_comes_last_and_is_null_before() {
    let answer = stream(
        "sim-chat",
        json!({"stream_options": {"include_usage": true}}),
    )
    .await;
    let events = events(&answer);
    let (usage, chunks) = events[..events.len() - 1].split_last().unwrap();
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk.get("usage") == Some(&Value::Null))
    );
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["prompt_tokens"], 2 + 3 + 3);
    assert_eq!(usage["usage"]["completion_tokens"], 3);
    assert_eq!(usage["usage"]["total_tokens"], 11);
}

#[tokio::test]
async fn without_asking_there_is_no_usage_member() {
    assert!(
        !stream("sim-chat", json!({}))
            .await
            .text()
            .contains("\"usage\"")
    );
    let refused = json!({"stream_options": {"include_usage": false}});
    assert!(
        !stream("sim-chat", refused)
            .await
            .text()
            .contains("\"usage\"")
    );
}

#[tokio::test]
async fn a_whole_answer_says_what_its_stream_says() {
    let upstream = upstream().await;
    let whole = ask(upstream.address(), "sim-reasoning", json!({}))
        .await
        .json();
    let streamed = events(&stream("sim-reasoning", json!({})).await);
    let message = &whole["choices"][0]["message"];
    assert_eq!(message["content"], joined(&streamed, "content"));
    assert_eq!(
        message["reasoning_content"],
        joined(&streamed, "reasoning_content")
    );
    let usage = &whole["usage"];
    let reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
        .as_u64()
        .unwrap();
    assert!(reasoning > 0);
    assert_eq!(usage["completion_tokens"], reasoning + 3);
}

#[tokio::test]
async fn choices_take_turns() {
    let events = events(&stream("sim-chat", json!({"n": 2})).await);
    let order: Vec<_> = events
        .iter()
        .filter_map(|event| event["choices"][0]["index"].as_u64())
        .collect();
    assert_eq!(order, [0, 1].repeat(5));
}

#[tokio::test]
async fn two_tools_are_called_in_fragments_and_their_results_answered() {
    let tool = |name| {
        json!({"type": "function", "function": {"name": name, "parameters": {"type": "object",
        "properties": {"place": {"type": "string"}}}}})
    };
    let tools = json!({"tools": [tool("weather"), tool("level"), tool("third")]});
    let events = events(&stream("sim-tools", tools.clone()).await);
    let mut calls = [(Value::Null, String::new()), (Value::Null, String::new())];
    for call in events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["tool_calls"][0].as_object())
    {
        let (name, arguments) = &mut calls[call["index"].as_u64().unwrap() as usize];
        if call.contains_key("id") {
            *name = call["function"]["name"].clone();
        }
        *arguments += call["function"]["arguments"].as_str().unwrap();
    }
    for (name, arguments) in &calls {
        assert!(["weather", "level"].contains(&name.as_str().unwrap()));
        assert!(serde_json::from_str::<Value>(arguments).unwrap()["place"].is_string());
    }
    assert_eq!(
        events[events.len() - 2]["choices"][0]["finish_reason"],
        "tool_calls"
    );

    let result = json!({"tools": tools["tools"], "messages": [{"role": "tool", "content": "12", "tool_call_id": "c"}]});
    let answer = stream("sim-tools", result).await;
    assert!(answer.text().contains(r#""finish_reason":"stop""#));
}

#[tokio::test]
async fn max_tokens_cut_an_answer_short() {
    let events = events(&stream("sim-chat", json!({"max_tokens": 2})).await);
    assert_eq!(events.len(), 1 + 2 + 2);
    assert_eq!(events[3]["choices"][0]["finish_reason"], "length");
}

#[tokio::test]
async fn a_refusal_is_no_content() {
    let events = events(&stream("sim-refuse", json!({})).await);
    assert!(!joined(&events, "refusal").is_empty());
    assert_eq!(joined(&events, "content"), "");
}

#[tokio::test]
async fn text_completions_stream_text() {
    let upstream = upstream().await;
    let body = r#"{"model":"sim-chat","prompt":"how high is it","stream":true,"metadata":{"x-sim-chunks":2},
        "stream_options":{"include_usage":true}}"#;
    let answer = client::send(client::post(upstream.address(), "/v1/completions", body))
        .await
        .unwrap();
    let events = events(&answer);
    assert_eq!(events.len(), 2 + 3);
    assert_eq!(events[0]["object"], "text_completion");
    assert!(!events[0]["choices"][0]["text"].as_str().unwrap().is_empty());
    assert_eq!(events[2]["choices"][0]["finish_reason"], "stop");
    assert_eq!(events[3]["usage"]["prompt_tokens"], 4);
}

#[tokio::test]
async fn errors_have_the_shape_and_status_asked_for() {
    let upstream = upstream().await;
    for (model, status, kind) in [
        ("sim-error-400", 400, "invalid_request_error"),
        ("sim-error-429", 429, "requests"),
        ("sim-error-503", 503, "server_error"),
        ("sim-nonsense", 404, "invalid_request_error"),
    ] {
        let answer = ask(upstream.address(), model, json!({"stream": true})).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.json()["error"]["type"], kind);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("retry-after") == "1", status == 429);
    }
}

#[tokio::test]
async fn bad_json_and_unknown_paths_are_errors() {
    let upstream = upstream().await;
    let answer = client::send(client::post(upstream.address(), CHAT, "{\"model\":"))
        .await
        .unwrap();
    assert_eq!(answer.status, 400);
    assert!(
        answer.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("parse")
    );
    let answer = client::get(upstream.address(), "/v1/nothing").await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.json()["error"]["message"],
        "Invalid URL (GET /v1/nothing)"
    );
}

#[tokio::test]
async fn azures_paths_lead_to_the_same_calls() {
    let upstream = upstream().await;
    let body = chat("sim-chat", &json!({}));
    for (base, status) in [
        ("/openai/v1", 200),
        ("/openai/deployments/mine", 200),
        ("/openai", 404),
    ] {
        let path = format!("{base}/chat/completions?api-version=2024-10-21");
        let answer = client::send(client::post(upstream.address(), &path, &body));
        assert_eq!(answer.await.unwrap().status, status, "{path}");
    }
}

#[tokio::test]
async fn an_error_event_ends_a_stream_without_done() {
    let answer = stream("sim-error-midstream", json!({})).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.broken);
    let events = events(&answer);
    assert_eq!(events.last().unwrap()["error"]["type"], "server_error");
    assert!(!joined(&events, "content").is_empty());
}

#[tokio::test]
async fn a_cut_breaks_within_an_event() {
    let answer = stream("sim-cut", json!({})).await;
    assert!(answer.broken);
    let whole = stream("sim-chat", json!({})).await;
    assert!(answer.text().contains("\n\n") && !answer.text().ends_with("\n\n"));
    assert!(answer.body.len() < whole.body.len());
}

#[tokio::test]
async fn a_cut_breaks_a_whole_answer_and_an_http2_stream() {
    let upstream = upstream().await;
    let answer = ask(upstream.address(), "sim-cut", json!({})).await;
    assert!(answer.broken && !answer.body.is_empty());

    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let request = client::post(
        upstream.address(),
        CHAT,
        &chat("sim-cut", &json!({"stream": true})),
    );
    let answer = client::read(client.request(request).await.unwrap()).await;
    assert!(answer.broken && !answer.body.is_empty());
    assert_eq!(
        upstream
            .record()
            .until(|counts| counts.answered == 2)
            .await
            .left,
        0
    );
}

#[tokio::test]
async fn a_hang_up_comes_before_any_head() {
    let upstream = upstream().await;
    let request = client::post(upstream.address(), CHAT, &chat("sim-hangup", &json!({})));
    assert!(client::send(request).await.is_err());
    upstream.record().until(|counts| counts.answered >= 1).await;
}

#[tokio::test]
async fn stream_options_and_usage_can_be_missing_from_an_upstream() {
    let asked = json!({"stream_options": {"include_usage": true}});
    let answer = stream("sim-no-usage", asked.clone()).await;
    assert!(!answer.text().contains("\"usage\""));
    let answer = stream("sim-no-stream-options", asked).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("stream_options"));
    assert_eq!(stream("sim-no-stream-options", json!({})).await.status, 200);
}

#[tokio::test]
async fn a_stream_can_end_without_done() {
    let answer = stream("sim-no-done", json!({})).await;
    assert!(!answer.broken);
    assert!(!answer.text().contains("[DONE]"));
    assert!(answer.text().contains(r#""finish_reason":"stop""#));
}

#[tokio::test]
async fn the_upstream_sees_a_client_leave_in_the_middle_and_before_the_head() {
    let upstream = upstream().await;
    let client = client::client();
    let request = client::post(
        upstream.address(),
        CHAT,
        &chat("sim-hang", &json!({"stream": true})),
    );
    let mut response = client.request(request).await.unwrap();
    assert!(response.body_mut().frame().await.unwrap().is_ok());
    assert_eq!(upstream.record().counts().left, 0);
    drop((response, client));
    upstream.record().until(|counts| counts.left == 1).await;

    let request = client::post(upstream.address(), CHAT, &chat("sim-silent", &json!({})));
    let waiting = tokio::spawn(client::send(request));
    upstream.record().until(|counts| counts.requests == 2).await;
    waiting.abort();
    upstream.record().until(|counts| counts.left == 2).await;
}

#[tokio::test]
async fn requests_are_kept_as_received() {
    let upstream = upstream().await;
    let body = "{ \"model\":\"sim-chat\",  \"messages\":[] }";
    let mut request = client::post(upstream.address(), "/v1/chat/completions?a=b", body);
    request.headers_mut().insert("x-own", "1".parse().unwrap());
    client::send(request).await.unwrap();
    let seen = upstream.record().requests().remove(0);
    assert_eq!(seen.body, body);
    assert_eq!(seen.uri, "/v1/chat/completions?a=b");
    assert_eq!(seen.headers["x-own"], "1");
    assert_eq!(seen.version, Version::HTTP_11);
}

#[tokio::test(start_paused = true)]
async fn a_script_keeps_its_times() {
    let upstream = Simulator::new(SimulatorConfig::default())
        .start()
        .await
        .unwrap();
    let start = tokio::time::Instant::now();
    let metadata = json!({"x-sim-chunks": "4", "x-sim-think-ms": "2000", "x-sim-interval-ms": "100",
        "x-sim-stall-ms": "60000"});
    let answer = ask(
        upstream.address(),
        "sim-stall",
        json!({"stream": true, "metadata": metadata}),
    )
    .await;
    assert_eq!(answer.header("openai-processing-ms"), "1000");
    let took = start.elapsed().as_millis();
    assert!((62_400..62_500).contains(&took), "{took}");
}

#[tokio::test]
async fn embeddings_come_as_floats_or_base64() {
    let upstream = upstream().await;
    let embed = async |format: &str| {
        let body = format!(r#"{{"model":"sim-embed","input":["a b","c"],"dimensions":4{format}}}"#);
        client::send(client::post(upstream.address(), "/v1/embeddings", &body))
            .await
            .unwrap()
            .json()
    };
    let floats = embed("").await;
    assert_eq!(floats["data"].as_array().unwrap().len(), 2);
    assert_eq!(floats["data"][1]["embedding"].as_array().unwrap().len(), 4);
    assert_eq!(
        floats["usage"],
        json!({"prompt_tokens": 3, "total_tokens": 3})
    );
    let coded = embed(r#","encoding_format":"base64""#).await;
    assert_eq!(coded["data"][0]["embedding"].as_str().unwrap().len(), 24);
}

#[tokio::test]
async fn every_model_is_listed() {
    let upstream = upstream().await;
    let list = client::get(upstream.address(), "/v1/models").await.json();
    let names: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| &model["id"])
        .collect();
    assert!(names.len() > 10 && names.contains(&&json!("sim-chat")));
}
