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
