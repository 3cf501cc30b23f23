//! Whose calls they are: on spans, as labels of what tokens cost, and summed up by the hour, over a restart too.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::client::{get, post};
use crate::support::gauge::{Gauge, SERVER, json as answer, with_headers};
use crate::support::http1::Message;
use crate::support::otlp::{Attributes as _, Span};

const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/own-prices.toml");

/// A call of a model with a price of the user's own, of a team, with a key.
fn ask(team: &str, key: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"model":"m","user":"u-1","metadata":{{"team":"{team}"}},"messages":[{{"role":"user","content":"hi"}}]}}"#
    );
    let lines = format!("authorization: Bearer {key}\r\nOpenAI-Project: proj-1\r\n");
    with_headers(&post("/v1/chat/completions", &body), &lines)
}

/// A million tokens in, none out: 2 USD.
fn priced() -> Vec<u8> {
    answer(
        200,
        r#"{"id":"a","object":"chat.completion","model":"example-contract","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000000,"completion_tokens":0,"total_tokens":1000000}}"#,
    )
}

/// A folder of this test alone.
fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("streamgauge-it-{name}-{}", std::process::id()))
}

async fn costs(gauge: &Gauge, query: &str) -> Message {
    get(gauge.server.admin, &format!("/api/costs?{query}")).await
}

async fn spans(gauge: &Gauge, count: usize) -> Vec<Span> {
    let mut spans = gauge.received(count).await.spans;
    spans.sort_by_key(|span| span.proto.start_time_unix_nano);
    spans
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keys_fingerprint_is_on_the_spans_and_the_key_is_nowhere() {
    let secret = |program: crate::support::process::Program| {
        program.env("STREAMGAUGE_TELEMETRY_KEY_SECRET", "a long random text")
    };
    let mut seen = Vec::new();
    for _ in 0..2 {
        let gauge = Gauge::with(secret).await;
        for key in ["sk-one-0123456789", "sk-two-0123456789"] {
            gauge.call(ask("a", key), priced()).await;
        }
        let spans = spans(&gauge, 4).await;
        let of = |key: usize| {
            let pair = spans[2 * key..2 * key + 2].iter();
            let prints =
                pair.map(|span| span.text("streamgauge.key.fingerprint").unwrap().to_owned());
            prints.collect::<Vec<_>>()
        };
        assert_eq!(of(0)[0], of(0)[1], "SERVER and inference");
        assert_ne!(of(0)[0], of(1)[0]);
        assert_eq!(of(0)[0].len(), 16);
        assert!(spans.iter().all(|span| span.text("user.id").is_none()));
        assert!(!format!("{spans:?}").contains("0123456789"));
        let page = gauge.scrape("text/plain").await;
        assert!(!page.text().contains(&of(0)[0]), "on no metric by default");
        seen.push(of(0)[0].clone());
    }
    assert_eq!(seen[0], seen[1], "the same secret, the same fingerprint");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_costs_have_the_labels_that_are_named_and_nothing_else_has() {
    let gauge = Gauge::with(|program| {
        program
            .env("STREAMGAUGE_PRICES", OWN)
            .env(
                "STREAMGAUGE_TELEMETRY_ATTRIBUTES",
                "metadata:team,user,header:openai-project=project",
            )
            .env("STREAMGAUGE_TELEMETRY_LABELS", "team,project")
            .env("STREAMGAUGE_LIMITS_LABEL_VALUES", "2")
    })
    .await;
    for team in ["a", "a", "b", "c", "d"] {
        gauge.call(ask(team, "sk-1"), priced()).await;
    }
    let spans = spans(&gauge, 10).await;
    for span in &spans {
        assert_eq!(span.text("user.id"), Some("u-1"));
        assert_eq!(span.text("project"), Some("proj-1"));
    }
    gauge.settled(5).await;
    let page = gauge.scrape("text/plain").await;
    let samples = |name: &str| -> Vec<String> {
        let lines = page.text().lines().filter(|line| line.starts_with(name));
        lines
            .map(|line| line.replace(r#",project="proj-1""#, ""))
            .collect()
    };
    assert_eq!(
        samples("llm_tokens_cost_total{"),
        [("_other", 4), ("a", 4), ("b", 2)].map(|(team, usd)| format!(
            r#"llm_tokens_cost_total{{model="m",team="{team}",token_type="prompt",upstream="default"}} {usd}"#
        ))
    );
    assert_eq!(samples("llm_tokens_prompt_total{").len(), 3);
    assert_eq!(
        samples("llm_requests_total{"),
        [r#"llm_requests_total{model="m",upstream="default"} 5"#]
    );
    assert_eq!(page.text().matches("u-1").count(), 0);
    let served = spans.iter().filter(|span| span.proto.kind == SERVER);
    assert_eq!(served.count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_are_told_as_json_and_csv_and_survive_a_restart() {
    let folder = folder("costs");
    let begin = || {
        Gauge::with(|program| {
            program
                .env("STREAMGAUGE_PRICES", OWN)
                .env("STREAMGAUGE_TELEMETRY_ATTRIBUTES", "metadata:team")
                .env(
                    "STREAMGAUGE_TELEMETRY_LABELS",
                    "team,streamgauge.key.fingerprint",
                )
                .env("STREAMGAUGE_STATE_FOLDER", &folder)
        })
    };
    let gauge = begin().await;
    for team in ["=a", "b", "=a"] {
        gauge.call(ask(team, "sk-1"), priced()).await;
    }
    gauge.settled(3).await;
    // An answer with text and a count of none leaves open what the text took: the cost is a part.
    let sums = |calls: u64| {
        json!({
            "calls": calls, "input_tokens": calls * 1_000_000, "output_tokens": 0, "usd": (2 * calls).to_string(),
            "estimated_input_tokens": 0, "estimated_output_tokens": 0, "estimated_usd": "0", "unpriced_calls": 0, "partial_calls": calls,
        })
    };
    let row = |team: &str, calls: u64| {
        let mut row = sums(calls);
        row["model"] = "m".into();
        row["team"] = team.into();
        row
    };
    let expected = |a: u64, b: u64| json!({"by": ["model", "team"], "rows": [row("=a", a), row("b", b)], "total": sums(a + b)});
    let told = costs(&gauge, "by=model,team&since=24h").await;
    let told: Value = serde_json::from_str(told.text()).unwrap();
    assert_eq!(told, expected(2, 1));
    let key = costs(&gauge, "by=streamgauge.key.fingerprint")
        .await
        .text()
        .to_owned();
    gauge.server.process.terminate().await;
    gauge.server.process.message("stopped").await;

    let gauge = begin().await;
    gauge.call(ask("b", "sk-1"), priced()).await;
    gauge.settled(1).await;
    let told = costs(&gauge, "by=model,team").await;
    let told: Value = serde_json::from_str(told.text()).unwrap();
    assert_eq!(told, expected(2, 2));
    let csv = costs(&gauge, "by=team&format=csv").await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(
        csv.text(),
        "team,calls,input_tokens,output_tokens,estimated_input_tokens,estimated_output_tokens,usd,estimated_usd,unpriced_calls,partial_calls\r\n\
         '=a,2,2000000,0,0,0,4,0,0,2\r\n\
         b,2,2000000,0,0,0,4,0,0,2\r\n"
    );
    // The secret is in the folder, too: one key, before and after.
    let again = costs(&gauge, "by=streamgauge.key.fingerprint").await;
    let print = |text: &str| -> Value {
        let told: Value = serde_json::from_str(text).unwrap();
        assert_eq!(told["rows"].as_array().unwrap().len(), 1);
        told["rows"][0]["streamgauge.key.fingerprint"].clone()
    };
    assert_eq!(print(again.text()), print(&key));
    let wrong = costs(&gauge, "by=colour").await;
    assert_eq!(wrong.status(), 400);
    let error: serde_json::Value = serde_json::from_str(wrong.text()).unwrap();
    assert_eq!(error["error"]["parameter"], "by");
    let says = error["error"]["message"].as_str().unwrap();
    assert!(says.starts_with("by: expected some of hour, upstream, model, team"));
    let kept = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(kept, 4, "the sums, the secret, the history and the lock");
    std::fs::remove_dir_all(&folder).unwrap();
}
