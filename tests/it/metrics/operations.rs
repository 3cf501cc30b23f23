//! Metrics of calls that are no inference: which are recorded, in which vocabularies.

use super::{Points, attributes, measuring, pushed};
use crate::support::client::post;
use crate::support::gauge::{Gauge, json};

/// What a call for embeddings leaves in the metrics that name models, by the vocabularies that are spoken.
async fn embeddings(vocabularies: &str) -> Vec<String> {
    let gauge = measuring(vocabularies).await;
    let request = post("/v1/embeddings", r#"{"model":"m","input":"ab"}"#);
    let answer = r#"{"data":[{"embedding":[0.5]}],"model":"m-1","usage":{"prompt_tokens":8,"total_tokens":8}}"#;
    gauge.call(request, json(200, answer)).await;
    named(&gauge, &pushed(&gauge, 1).await)
}

fn named(gauge: &Gauge, points: &Points) -> Vec<String> {
    let of_models = points
        .values()
        .filter(|point| point.name.starts_with("gen_ai.") || point.name.starts_with("llm."));
    let lines = of_models.map(|point| {
        let attributes = attributes(gauge, point).replace(BASE, "BASE");
        let count = point.count.max(1);
        format!("{} {{{attributes}}} {count}", point.name)
    });
    lines.collect()
}

/// What every GenAI metric of the call carries.
const BASE: &str = "gen_ai.operation.name=embeddings gen_ai.provider.name=openai gen_ai.request.model=m gen_ai.response.model=m-1";

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_have_the_metrics_of_each_generation_once() {
    let base = "{BASE model=m server.address=127.0.0.1 server.port=PORT upstream=default} 1";
    let current = [
        format!("gen_ai.client.embeddings.duration {base}"),
        format!("gen_ai.client.embeddings.operation.input_tokens {base}"),
    ];
    let older = [
        format!("gen_ai.client.operation.duration {base}"),
        "gen_ai.client.token.usage {BASE gen_ai.token.type=input model=m server.address=127.0.0.1 server.port=PORT upstream=default} 1".to_owned(),
    ];
    assert_eq!(embeddings("gen_ai").await, current);
    assert_eq!(embeddings("gen_ai_2025").await, older);
    for both in ["gen_ai,gen_ai_2025", "gen_ai_2025,gen_ai"] {
        let found = embeddings(both).await;
        assert_eq!(found, [&current[..], &older].concat(), "{both}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_add_their_tokens_to_the_llm_metrics_and_nothing_else() {
    let expected = [
        "llm.tokens.prompt {model=m upstream=default} 1",
        "llm.tokens.total {model=m token.type=prompt upstream=default} 1",
    ];
    assert_eq!(embeddings("llm").await, expected);
}
