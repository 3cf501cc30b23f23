//! Whose models an upstream has, as telemetry names it: what is not known is not called `openai`, and what an upstream says of
//! itself holds from then on.

use crate::support::client::post;
use crate::support::gauge::{DONE, FINISH, delta, json, stream};
use crate::support::otlp::Attributes as _;
use crate::support::scene::{EDITED, Scene, chat};

const PROVIDER: &str = "gen_ai.provider.name";
const LEARNT: &str = "the upstream says what it is; from now on its calls have this provider, unless upstream.provider names one";

/// Has a call answered.
async fn answered(scene: &Scene, request: &[u8], answer: impl AsRef<[u8]>) {
    let (mut client, mut served) = scene.call(request).await;
    served.write(answer).await;
    assert_eq!(client.read_response().await.status(), 200);
}

/// The providers of the inference spans of so many calls, in the order in which they ended.
async fn providers(scene: &Scene, calls: usize) -> Vec<String> {
    let spans = scene.collector.spans(2 * calls).await;
    let providers = spans.iter().filter_map(|span| span.text(PROVIDER));
    providers.map(str::to_owned).collect()
}

fn embed() -> Vec<u8> {
    post("/v1/embeddings", r#"{"model":"m","input":"hi"}"#)
}

const EMBEDDED: &str = r#"{"model":"m","data":[],"usage":{"prompt_tokens":1,"total_tokens":1}}"#;

#[tokio::test]
async fn a_server_of_which_nothing_is_known_is_not_called_openai() {
    let scene = Scene::start().await;
    answered(&scene, &embed(), json(200, EMBEDDED)).await;
    assert_eq!(providers(&scene, 1).await, ["_OTHER"]);
}

#[tokio::test]
async fn what_a_server_says_of_itself_holds_from_then_on() {
    let scene = Scene::start().await;
    answered(&scene, &embed(), json(200, EMBEDDED)).await;
    providers(&scene, 1).await;
    // vLLM says it in the event that is taken out of the client's stream.
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1},"system_fingerprint":"vllm-0.23.0-tp2-a5"}"#;
    let hello = delta(r#"{"content":"hello"}"#);
    let events = [hello.as_str(), FINISH, usage, DONE];
    answered(&scene, &chat(EDITED), stream(events)).await;
    let line = scene.server.process.message(LEARNT).await;
    assert_eq!(
        (&line["upstream"], &line["provider"]),
        (&"default".into(), &"vllm".into())
    );
    providers(&scene, 2).await;
    answered(&scene, &embed(), json(200, EMBEDDED)).await;
    assert_eq!(providers(&scene, 3).await, ["_OTHER", "vllm", "vllm"]);
    let labels = [("gen_ai_provider_name", "vllm")];
    let tokens = "gen_ai_client_token_usage_count";
    assert!(scene.server.metric(tokens, &labels).await.is_some());
}

#[tokio::test]
async fn a_head_says_it_too_and_the_configuration_goes_before_it() {
    let answer = String::from_utf8(json(200, EMBEDDED)).unwrap();
    let answer = answer.replace("\r\n\r\n", "\r\nserver: llama.cpp\r\n\r\n");
    for (config, expected) in [
        ("", "llama_cpp"),
        (
            "[[upstream]]\nname = \"default\"\nurl = \"http://a/v1\"\nprovider = \"ours\"\n",
            "ours",
        ),
    ] {
        let scene = Scene::configured(config).await;
        answered(&scene, &embed(), &answer).await;
        assert_eq!(providers(&scene, 1).await, [expected]);
    }
}

/// What vLLM before 0.20 answers, whose fingerprint is `null`.
const OLDER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello","tool_calls":[]},"logprobs":null,"finish_reason":"stop","stop_reason":null}],"usage":{"prompt_tokens":1,"total_tokens":2,"completion_tokens":1},"prompt_logprobs":null,"kv_transfer_params":null}"#;

#[tokio::test]
async fn an_older_vllm_is_known_by_its_whole_answers() {
    let scene = Scene::start().await;
    let request = post("/v1/chat/completions", r#"{"model":"m","messages":[]}"#);
    answered(&scene, &request, json(200, OLDER)).await;
    assert_eq!(providers(&scene, 1).await, ["vllm"]);
}

#[tokio::test]
async fn what_is_no_call_to_a_model_says_it_too() {
    let models = r#"{"object":"list","data":[{"id":"m","object":"model","owned_by":"vllm","root":"m","parent":null}]}"#;
    let failed = json(500, models);
    for (path, answer, expected) in [
        ("/v1/models", json(200, models), "vllm"),
        ("/v1/models", failed, "_OTHER"),
        (
            "/metrics",
            json(200, "# TYPE vllm:num_requests_running gauge\n"),
            "vllm",
        ),
        ("/", json(200, "Ollama is running"), "ollama"),
    ] {
        let scene = Scene::start().await;
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        let (mut client, mut served) = scene.call(request.as_bytes()).await;
        served.write(answer).await;
        client.read_response().await;
        scene.collector.spans(1).await;
        answered(&scene, &embed(), json(200, EMBEDDED)).await;
        let spans = scene.collector.spans(3).await;
        let provider = spans.iter().find_map(|span| span.text(PROVIDER));
        assert_eq!(provider, Some(expected), "{path}");
    }
}
