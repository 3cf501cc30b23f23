//! Calls that are answered by one JSON body: embeddings, moderations, ranking, scores, tokens, search.

use super::check;
use crate::support::client::{get, post};
use crate::support::gauge::{CLIENT, Gauge, json, lines};
use crate::support::otlp::Attributes as _;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

/// What the inference span of every answered call says on top.
const DONE: [&str; 3] = [
    "streamgauge.end=done",
    "streamgauge.time_to_first_byte=TIME",
    "streamgauge.time_to_response_head=TIME",
];

/// Makes one call, and checks that both ends see the same bytes, the names of both spans, and every attribute of the
/// inference span but those that all have.
async fn expect(
    (path, request, answer): (&str, &str, &str),
    (name, server_name): (&str, &str),
    attributes: &[&str],
) {
    let gauge = Gauge::start().await;
    let call = gauge.call(post(path, request), json(200, answer)).await;
    assert_eq!((call.seen.text(), call.got.text()), (request, answer));
    let (inference, server) = gauge.spans().await;
    let attributes = [attributes, &DONE].concat();
    check(&gauge, &inference, &server, name, &attributes);
    assert_eq!(server.name(), server_name);
    assert_eq!(inference.status(), StatusCode::Unset);
    assert!(inference.proto.events.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_have_every_attribute_that_their_wire_carries() {
    let call = (
        "/v1/embeddings",
        r#"{"model":"embed","input":["Grüß","dich"],"encoding_format":"base64","dimensions":2}"#,
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPwAAAMA="}],"model":"embed-1","usage":{"prompt_tokens":8,"total_tokens":8}}"#,
    );
    let attributes = [
        "gen_ai.embeddings.dimension.count=2",
        "gen_ai.operation.name=embeddings",
        "gen_ai.request.encoding_formats=[\"base64\"]",
        "gen_ai.request.model=embed",
        "gen_ai.response.model=embed-1",
        "gen_ai.usage.input_tokens=8",
        "llm.model=embed",
        "llm.prompt.length=8",
        "llm.response.model=embed-1",
        "llm.response.usage.prompt_tokens=8",
        "llm.response.usage.total_tokens=8",
        "streamgauge.usage.source=reported",
    ];
    expect(
        call,
        ("embeddings embed", "POST /v1/embeddings"),
        &attributes,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_far_beyond_what_is_held_of_an_answer_hide_nothing() {
    let gauge = Gauge::start().await;
    // A thousand vectors of 3072 numbers, as base64: more than the 8 MiB of `limits.inspect_bytes`.
    let vector = format!(r#"{{"embedding":"{}"}}"#, "A".repeat(12 << 10));
    let vectors = vec![vector; 1000].join(",");
    let answer = format!(
        r#"{{"object":"list","data":[{vectors}],"model":"embed-1","usage":{{"prompt_tokens":8}}}}"#
    );
    let request = post("/v1/embeddings", r#"{"model":"embed","input":"a"}"#);
    let call = gauge.call(request, json(200, &answer)).await;
    assert!(call.got.text() == answer);
    let (inference, _) = gauge.spans().await;
    assert_eq!(inference.int("gen_ai.usage.input_tokens"), Some(8));
    assert_eq!(inference.text("gen_ai.response.model"), Some("embed-1"));
    let partial = lines(&inference);
    assert!(!partial.contains(&"streamgauge.partial=true".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn moderations_have_a_model_and_no_usage_is_due() {
    let call = (
        "/v1/moderations",
        r#"{"model":"mod","input":"abc"}"#,
        r#"{"id":"modr-1","model":"mod-1","results":[{"flagged":false}]}"#,
    );
    let attributes = [
        "gen_ai.operation.name=moderation",
        "gen_ai.request.model=mod",
        "gen_ai.response.id=modr-1",
        "gen_ai.response.model=mod-1",
        "llm.model=mod",
        "llm.prompt.length=3",
        "llm.response.model=mod-1",
    ];
    expect(
        call,
        ("moderation mod", "POST /v1/moderations"),
        &attributes,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ranking_has_its_total_as_input() {
    let call = (
        "/v2/rerank",
        r#"{"model":"rank","query":"ab","documents":["c","d"],"top_n":1}"#,
        r#"{"id":"rerank-1","model":"rank","usage":{"total_tokens":56},"results":[{"index":1,"relevance_score":0.9}]}"#,
    );
    let attributes = [
        "gen_ai.operation.name=rerank",
        "gen_ai.request.model=rank",
        "gen_ai.response.id=rerank-1",
        "gen_ai.response.model=rank",
        "gen_ai.usage.input_tokens=56",
        "llm.model=rank",
        "llm.prompt.length=4",
        "llm.response.model=rank",
        "llm.response.usage.prompt_tokens=56",
        "llm.response.usage.total_tokens=56",
        "streamgauge.usage.source=reported",
    ];
    expect(call, ("rerank rank", "POST /v1/rerank"), &attributes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_score_has_model_and_usage() {
    let call = (
        "/score",
        r#"{"model":"m","text_1":"ab","text_2":["c"]}"#,
        r#"{"id":"score-1","model":"m","data":[{"index":0,"score":1.0}],"usage":{"prompt_tokens":12,"total_tokens":12,"completion_tokens":0}}"#,
    );
    let attributes = [
        "gen_ai.operation.name=score",
        "gen_ai.request.model=m",
        "gen_ai.response.id=score-1",
        "gen_ai.response.model=m",
        "gen_ai.usage.input_tokens=12",
        "llm.model=m",
        "llm.prompt.length=3",
        "llm.response.model=m",
        "llm.response.usage.prompt_tokens=12",
        "llm.response.usage.total_tokens=12",
        "streamgauge.usage.source=reported",
    ];
    expect(call, ("score m", "POST /v1/score"), &attributes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tokenizer_counts_is_no_usage() {
    let call = (
        "/tokenize",
        r#"{"model":"m","prompt":"abc"}"#,
        r#"{"count":3,"max_model_len":4096,"tokens":[1,2,3]}"#,
    );
    let tokenize = ["gen_ai.operation.name=tokenize", "gen_ai.request.model=m"];
    let attributes = [&tokenize[..], &["llm.model=m", "llm.prompt.length=3"]].concat();
    expect(call, ("tokenize m", "POST /tokenize"), &attributes).await;
    let call = (
        "/detokenize",
        r#"{"model":"m","tokens":[1,2,3]}"#,
        r#"{"prompt":"abc"}"#,
    );
    let attributes = [&tokenize[..], &["llm.model=m"]].concat();
    expect(call, ("tokenize m", "POST /detokenize"), &attributes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_of_a_vector_store_is_a_retrieval() {
    let call = (
        "/v1/vector_stores/vs_1/search",
        r#"{"query":"abc","max_num_results":5}"#,
        r#"{"object":"vector_store.search_results.page","data":[],"has_more":false}"#,
    );
    let attributes = [
        "gen_ai.data_source.id=vs_1",
        "gen_ai.operation.name=retrieval",
        "gen_ai.retrieval.top_k=5",
        "llm.prompt.length=3",
    ];
    let server_name = "POST /v1/vector_stores/{vector_store_id}/search";
    expect(call, ("retrieval vs_1", server_name), &attributes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_call_has_the_apis_word_for_it() {
    let gauge = Gauge::start().await;
    let error = r#"{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}"#;
    let request = post("/v1/embeddings", r#"{"model":"m","input":"a"}"#);
    gauge.call(request, json(400, error)).await;
    let (inference, _) = gauge.spans().await;
    let kind = inference.text("error.type");
    assert_eq!(kind, Some("context_length_exceeded"));
    assert_eq!(inference.status(), StatusCode::Error);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_azure_the_deployment_is_the_model_where_the_body_names_none() {
    let answers = [
        ("chat/completions", r#"{"messages":[]}"#, "chat"),
        ("completions", r#"{"prompt":"a"}"#, "text_completion"),
        ("embeddings", r#"{"input":"a"}"#, "embeddings"),
    ];
    for (tail, body, operation) in answers {
        let path = format!("/openai/deployments/my-ada/{tail}?api-version=1");
        let gauge = Gauge::start().await;
        let call = gauge.call(post(&path, body), json(200, "{}")).await;
        assert_eq!(call.seen.text(), body);
        let (inference, server) = gauge.spans().await;
        assert_eq!(inference.name(), format!("{operation} my-ada"));
        assert_eq!(inference.text("gen_ai.request.model"), Some("my-ada"));
        assert_eq!(server.text("http.route").unwrap(), format!("/v1/{tail}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_azure_the_bodys_own_model_stands_above_the_deployment() {
    let gauge = Gauge::start().await;
    let path = "/openai/deployments/my-ada/embeddings?api-version=1";
    let request = post(path, r#"{"model":"ada","input":"a"}"#);
    gauge.call(request, json(200, "{}")).await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(inference.text("gen_ai.request.model"), Some("ada"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_vector_stores_is_http_only() {
    let gauge = Gauge::start().await;
    let request = post("/v1/vector_stores", r#"{"name":"a"}"#);
    gauge.call(request, json(200, "{}")).await;
    let span = gauge.server_span().await;
    assert_eq!(span.name(), "POST");
    assert!(lines(&span).iter().all(|line| !line.contains("gen_ai.")));
    let search = async {
        let mut served = gauge.upstream.accept().await;
        served.read_request().await;
        served.write(json(200, "{}")).await;
    };
    let path = "/v1/vector_stores/vs_1/search";
    tokio::join!(search, get(gauge.server.proxy, path));
    let received = gauge.received(2).await;
    let calls = received
        .spans
        .iter()
        .filter(|span| span.proto.kind == CLIENT);
    assert_eq!(calls.count(), 0, "{}", received.summary());
}
