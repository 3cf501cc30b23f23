//! The simulated Responses API: its events in order, whole answers, and responses that are fetched.

use serde_json::{Value, json};
use streamgauge::simulate::RunningSimulator;

use super::upstream;
use crate::client::{self, Answer};

/// A request with two tokens to answer, and members on top.
async fn create(upstream: &RunningSimulator, model: &str, more: Value) -> Answer {
    let mut body = json!({"model": model, "input": "how high", "metadata": {"x-sim-chunks": "2"}});
    let members = body.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    let request = client::post(upstream.address(), "/v1/responses", &body.to_string());
    client::send(request).await.unwrap()
}

/// The data of every event, once it is certain that its name and its number are right.
fn events(answer: &Answer, first: u64) -> Vec<Value> {
    let events = answer.text().split_terminator("\n\n");
    let events = events.zip(first..).map(|(event, number)| {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        assert_eq!(data["sequence_number"], number);
        data
    });
    events.collect()
}

fn types(events: &[Value]) -> Vec<&str> {
    let types = events.iter().map(|event| event["type"].as_str().unwrap());
    types
        .map(|kind| kind.strip_prefix("response.").unwrap_or(kind))
        .collect()
}

#[tokio::test]
async fn a_text_is_streamed_and_repeated_by_what_ends_it() {
    let upstream = upstream().await;
    let answer = create(&upstream, "sim-chat", json!({"stream": true})).await;
    let events = events(&answer, 0);
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(types(&events), expected);
    let deltas: String = events[4..6]
        .iter()
        .map(|event| event["delta"].as_str().unwrap())
        .collect();
    let response = &events[9]["response"];
    assert_eq!(events[6]["text"], *deltas);
    assert_eq!(response["output"][0]["content"][0]["text"], *deltas);
    assert_eq!(response["usage"]["output_tokens"], 2);
    let whole = create(&upstream, "sim-chat", json!({})).await;
    let whole = whole.json();
    assert_eq!(whole, *response);
}

#[tokio::test]
async fn reasoning_and_calls_are_items_of_their_own() {
    let upstream = upstream().await;
    let tools =
        json!({"stream": true, "tools": [{"type": "function", "name": "f", "parameters": {}}]});
    let answer = create(&upstream, "sim-reasoning", tools).await;
    let events = events(&answer, 0);
    let items = events.last().unwrap()["response"]["output"].clone();
    assert_eq!(items[0]["type"], "reasoning");
    assert_eq!(items[1]["type"], "function_call");
    assert_eq!(
        (&items[1]["name"], &items[1]["arguments"]),
        (&json!("f"), &json!("{}"))
    );
    for kind in [
        "reasoning_summary_text.delta",
        "function_call_arguments.delta",
    ] {
        assert!(types(&events).contains(&kind), "{kind}");
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_short_is_incomplete() {
    let upstream = upstream().await;
    let answer = create(&upstream, "sim-chat", json!({"max_output_tokens": 1})).await;
    let response = answer.json();
    assert_eq!(response["status"], "incomplete");
    let reason = &response["incomplete_details"]["reason"];
    assert_eq!(reason, "max_output_tokens");
}

#[tokio::test]
async fn an_error_in_the_middle_has_the_shape_of_this_api() {
    let upstream = upstream().await;
    let answer = create(&upstream, "sim-error-midstream", json!({"stream": true})).await;
    let events = events(&answer, 0);
    assert_eq!(types(&events).last(), Some(&"error"));
    assert_eq!(events.last().unwrap()["code"], "server_error");
}

#[tokio::test]
async fn a_response_is_fetched_by_its_id_from_any_event_on() {
    let upstream = upstream().await;
    let whole = client::get(upstream.address(), "/v1/responses/resp_7").await;
    assert_eq!(
        whole.body,
        client::get(upstream.address(), "/v1/responses/resp_7")
            .await
            .body
    );
    let response = whole.json();
    assert_eq!(response["id"], "resp_7");
    let all = client::get(upstream.address(), "/v1/responses/resp_7?stream=true").await;
    let all = events(&all, 0);
    assert_eq!(all.last().unwrap()["response"], response);
    let path = "/v1/responses/resp_7?stream=true&starting_after=4";
    let rest = client::get(upstream.address(), path).await;
    assert_eq!(events(&rest, 5), all[5..]);
}
