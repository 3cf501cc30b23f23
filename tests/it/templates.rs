//! The template that a prompt was made from, as each place tells it, and the fingerprint of those that nobody names.

use crate::support::client::post;
use crate::support::gauge::{CLIENT, Gauge, json, with_headers};
use crate::support::otlp::{Attributes as _, Span};

fn answer() -> Vec<u8> {
    let body = r#"{"id":"c-1","object":"chat.completion","model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
    json(200, body)
}

fn ask(more: &str, user: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"model":"m",{more}"tools":[{{"type":"function","function":{{"name":"weather"}}}}],
        "messages":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":"{user}"}}]}}"#
    );
    post("/v1/chat/completions", &body)
}

/// The inference spans of these calls, in their order.
async fn inferences(gauge: &Gauge, requests: &[Vec<u8>]) -> Vec<Span> {
    for request in requests {
        gauge.call(request, answer()).await;
    }
    let mut spans = gauge.received(2 * requests.len()).await.spans;
    spans.retain(|span| span.proto.kind == CLIENT);
    spans.sort_by_key(|span| span.proto.start_time_unix_nano);
    spans
}

fn template(span: &Span) -> [Option<&str>; 2] {
    [
        span.text("llm.prompt.template"),
        span.text("llm.prompt.template.version"),
    ]
}

fn variables(span: &Span) -> Vec<String> {
    let variables = span.attributes().iter().filter_map(|attribute| {
        let name = attribute.key.strip_prefix("llm.prompt.variables.")?;
        Some(format!("{name}={}", span.shown(&attribute.key)))
    });
    variables.collect()
}

/// The same place, with variables that are not to be told.
const BAGGAGE: &str = "baggage: llm.prompt.template=greet,llm.prompt.template.version=3,llm.prompt.variables.city=Rome\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_named_and_without_one_the_constant_part_has_a_fingerprint() {
    let gauge = Gauge::start().await;
    let response = r#"{"model":"m","input":"hi","instructions":"Be brief.","prompt":{"id":"pmpt_1","version":"7","variables":{"city":"Oslo"}}}"#;
    let spans = inferences(
        &gauge,
        &[
            with_headers(&ask("", "one"), BAGGAGE),
            post("/v1/responses", response),
            ask("", "two"),
            ask("", "three"),
            ask(r#""temperature":1,"#, "four"),
        ],
    )
    .await;
    let named = [
        [Some("greet"), Some("3")],
        [Some("pmpt_1"), Some("7")],
        [None; 2],
        [None; 2],
        [None; 2],
    ];
    assert_eq!(spans.iter().map(template).collect::<Vec<_>>(), named);
    assert!(spans.iter().all(|span| variables(span).is_empty()));
    let fingerprints: Vec<_> = spans
        .iter()
        .map(|span| span.text("streamgauge.prompt.fingerprint"))
        .collect();
    assert_eq!(fingerprints[..2], [None, None]);
    assert_eq!(fingerprints[2].map(str::len), Some(16));
    assert_eq!(fingerprints[2..], [fingerprints[2]; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_and_metadata_are_told_where_that_is_asked_for() {
    let gauge = Gauge::with(|program| {
        program
            .env(
                "STREAMGAUGE_TELEMETRY_PROMPT_TEMPLATE",
                "metadata:template,baggage:llm.prompt.template",
            )
            .env("STREAMGAUGE_TELEMETRY_PROMPT_VERSION", "metadata:version")
            .env("STREAMGAUGE_TELEMETRY_PROMPT_VARIABLES", "true")
            .env(
                "STREAMGAUGE_TELEMETRY_ATTRIBUTES",
                "metadata:team,user,safety_identifier=who",
            )
            .env("STREAMGAUGE_TELEMETRY_CONVERSATION", "metadata:thread")
    })
    .await;
    let long = "x".repeat(250);
    let metadata = format!(
        r#""user":"u-1","safety_identifier":"s-1","metadata":{{"template":"greet","version":"4","team":"search","thread":"t-1","llm.prompt.variables.long":"{long}"}},"#
    );
    let field = "x-prompt-variable-city: Rome\r\n";
    let spans = inferences(&gauge, &[with_headers(&ask(&metadata, "one"), field)]).await;
    let [span] = &spans[..] else {
        panic!("{} spans", spans.len())
    };
    assert_eq!(template(span), [Some("greet"), Some("4")]);
    assert_eq!(
        variables(span),
        ["city=Rome".to_owned(), format!("long={}", &long[..200])]
    );
    for (key, value) in [
        ("team", "search"),
        ("user.id", "u-1"),
        ("who", "s-1"),
        ("gen_ai.conversation.id", "t-1"),
    ] {
        assert_eq!(span.text(key), Some(value), "{key}");
    }
}
