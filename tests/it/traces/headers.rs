//! The response's header fields that are kept, on spans and as levels; and no others.

use crate::support::client::post;
use crate::support::gauge::Gauge;
use crate::support::otlp::{Attributes as _, Span};

fn answer(status: u16, fields: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: 2\r\n{fields}\r\n{{}}")
}

fn fields(span: &Span) -> Vec<String> {
    let kept = span.attributes().iter();
    let kept = kept.filter_map(|attribute| {
        let name = attribute.key.strip_prefix("http.response.header.")?;
        Some(format!("{name}={}", span.shown(&attribute.key)))
    });
    kept.collect()
}

async fn level(gauge: &Gauge, kind: &str) -> Option<String> {
    let text = gauge.scrape("text/plain").await.text().to_owned();
    let line = text.lines().find(|line| {
        line.starts_with("streamgauge_upstream_ratelimit_remaining{")
            && line.contains(&format!("kind=\"{kind}\""))
            && line.contains("upstream=\"default\"")
    })?;
    Some(line.rsplit(' ').next()?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_limits_and_the_providers_own_words_are_kept_and_nothing_else() {
    let gauge = Gauge::start().await;
    let request = post("/v1/chat/completions", r#"{"model":"m","messages":[]}"#);
    let sent = "X-Request-Id: req_1\r\nCF-Ray: ray\r\nopenai-processing-ms: 120\r\nset-cookie: a=b\r\n\
                x-ratelimit-remaining-requests: 0\r\nx-ratelimit-remaining-tokens: 149984\r\n\
                x-ratelimit-reset-requests: 6m0s\r\nretry-after: 20\r\nx-api-key: k\r\nx-anything: y\r\n";
    gauge.call(request, answer(429, sent)).await;
    let (inference, server) = gauge.spans().await;
    let mut kept = fields(&server);
    kept.sort();
    assert_eq!(
        kept,
        [
            r#"cf-ray=["ray"]"#,
            r#"openai-processing-ms=["120"]"#,
            r#"retry-after=["20"]"#,
            r#"x-ratelimit-remaining-requests=["0"]"#,
            r#"x-ratelimit-remaining-tokens=["149984"]"#,
            r#"x-ratelimit-reset-requests=["6m0s"]"#,
            r#"x-request-id=["req_1"]"#,
        ]
    );
    assert_eq!(fields(&inference), [] as [&str; 0]);
    assert_eq!(level(&gauge, "requests").await.as_deref(), Some("0"));
    assert_eq!(level(&gauge, "tokens").await.as_deref(), Some("149984"));
    assert_eq!(level(&gauge, "input_tokens").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_no_dialect_knows_has_them_too() {
    let gauge = Gauge::start().await;
    let sent = "request-id: req_2\r\nanthropic-ratelimit-input-tokens-remaining: 7\r\n";
    gauge.call(post("/v1/files", "{}"), answer(200, sent)).await;
    let server = gauge.server_span().await;
    assert_eq!(
        fields(&server),
        [
            r#"request-id=["req_2"]"#,
            r#"anthropic-ratelimit-input-tokens-remaining=["7"]"#,
        ]
    );
    assert_eq!(level(&gauge, "input_tokens").await.as_deref(), Some("7"));
}
