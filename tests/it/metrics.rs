//! Metrics of a known set of calls: what is pushed, what `/metrics` says, and that the two agree.

mod agreement;
mod operations;

use std::collections::BTreeMap;

use crate::support::client::{get, post, send};
use crate::support::gauge::{DONE, Gauge, chat, json, stream};
use crate::support::otlp::{Attributes as _, Kind, Point};

/// The newest point of each series.
type Points = BTreeMap<(String, String), Point>;

/// Attributes as one line, sorted, the upstream's port as `PORT`.
fn attributes(gauge: &Gauge, point: &Point) -> String {
    let port = format!("server.port={}", gauge.upstream.address().port());
    let mut lines: Vec<String> = point
        .attributes()
        .iter()
        .map(|attribute| format!("{}={}", attribute.key, point.shown(&attribute.key)))
        .map(|line| {
            if line == port {
                "server.port=PORT".to_owned()
            } else {
                line
            }
        })
        .collect();
    lines.sort();
    lines.join(" ")
}

/// What was pushed after so many exchanges had been counted.
async fn pushed(gauge: &Gauge, exchanges: u64) -> Points {
    gauge.settled(exchanges).await;
    let is_push = |path: &str| path == "/v1/metrics";
    let pushes = |received: &crate::support::otlp::Received| {
        let requests = received.requests.iter();
        requests.filter(|request| is_push(&request.path)).count()
    };
    // One may be on its way, and one begun before the counting; the points of the last to begin may still be missing.
    let enough = pushes(&gauge.collector.received()) + 3;
    let received = gauge
        .collector
        .wait_for("another push", |received| pushes(received) >= enough)
        .await;
    // What the operating system says of the process changes between any two looks.
    let points = received.points.into_iter();
    let series = points
        .filter(|point| !point.name.starts_with("process."))
        .map(|point| ((point.name.clone(), attributes(gauge, &point)), point));
    series.collect()
}

/// One streamed call with everything, one whole answer with audio, one that is turned away, one that is no inference.
/// Returns how many bytes of bodies went to the upstream and how many came from there.
async fn known_calls(gauge: &Gauge) -> (usize, usize) {
    let events = [
        r#"{"id":"c-1","model":"m-1","service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
        r#"{"id":"c-1","model":"m-1","choices":[{"index":0,"delta":{"reasoning":"hm"}}]}"#,
        r#"{"id":"c-1","model":"m-1","choices":[{"index":0,"delta":{"content":"a"}}]}"#,
        r#"{"id":"c-1","model":"m-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":"{}"}}]}}]}"#,
        r#"{"id":"c-1","model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        r#"{"id":"c-1","model":"m-1","choices":[],"usage":{"prompt_tokens":20,"completion_tokens":8,"total_tokens":28,"prompt_tokens_details":{"cached_tokens":5,"cache_write_tokens":3},"completion_tokens_details":{"reasoning_tokens":2}}}"#,
        DONE,
    ];
    let streamed = gauge.call(chat(), stream(events)).await;
    let whole = r#"{"id":"c-2","model":"m-1","choices":[{"index":0,"message":{"content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":30,"completion_tokens":10,"total_tokens":40,"prompt_tokens_details":{"audio_tokens":12,"text_tokens":18},"completion_tokens_details":{"audio_tokens":4}}}"#;
    let request = || post("/v1/chat/completions", r#"{"model":"m","messages":[]}"#);
    let unary = gauge.call(request(), json(200, whole)).await;
    let error = r#"{"error":{"message":"slow down","type":"tokens","code":"rate_limit_exceeded"}}"#;
    let refused = gauge.call(request(), json(429, error)).await;
    let serve = async {
        let mut served = gauge.upstream.accept().await;
        served.read_request().await;
        served.write(json(200, "{}")).await;
    };
    let (_, models) = tokio::join!(serve, get(gauge.server.proxy, "/v1/models"));
    let calls = [streamed, unary, refused];
    let sent = calls.iter().map(|call| call.seen.body.len()).sum();
    let received = calls.iter().map(|call| call.got.body.len()).sum::<usize>();
    (sent, received + models.body.len())
}

/// A proxy that has the metrics of these vocabularies.
async fn measuring(vocabularies: &str) -> Gauge {
    let chosen = "STREAMGAUGE_TELEMETRY_METRICS";
    Gauge::with(|program| program.env(chosen, vocabularies)).await
}

/// A series as a line: a number's value, the count and sum of a histogram of whole numbers, the count of one of times.
fn line((name, attributes): &(String, String), point: &Point) -> String {
    let value = match point.kind {
        Kind::Histogram if point.unit == "s" => format!("count {}", point.count),
        Kind::Histogram => format!("count {} sum {}", point.count, point.value),
        // An estimate, which follows the code.
        _ if name.ends_with(".remembered.bytes") => "SOME".to_owned(),
        _ => point.value.to_string(),
    };
    format!("{name} [{}] {{{attributes}}} {value}", point.unit)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_of_known_calls_is_exact() {
    let gauge = measuring("gen_ai,gen_ai_2025,llm").await;
    let (sent, received) = known_calls(&gauge).await;
    let points = pushed(&gauge, 4).await;
    // Those that begin at zero and have counted nothing are many.
    let counted = points
        .iter()
        .filter(|(_, point)| point.kind != Kind::Counter || point.value > 0.0);
    let found: Vec<String> = counted.map(|(key, point)| line(key, point)).collect();
    let expected = include_str!("metrics/known_calls.txt")
        .replace(
            "$CALL",
            "gen_ai.operation.name=chat gen_ai.provider.name=openai gen_ai.request.model=m",
        )
        .replace("$ANSWER", "gen_ai.response.model=m-1")
        .replace("$OPENAI", "openai.response.service_tier=default")
        .replace("$UPSTREAM", "server.address=127.0.0.1 server.port=PORT")
        .replace("$NAME", "upstream=default")
        .replace("$VERSION", env!("CARGO_PKG_VERSION"))
        .replace("$SENT", &sent.to_string())
        .replace("$RECEIVED", &received.to_string());
    let expected: Vec<&str> = expected.lines().collect();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn histograms_have_the_buckets_of_the_conventions() {
    let seconds = [
        0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
    ];
    let tokens: Vec<f64> = (0..14).map(|power| 4f64.powi(power)).collect();
    let first_token = [
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    ];
    let output_token = [
        0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
    ];
    let http = [
        0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    ];
    let gauge = measuring("gen_ai,gen_ai_2025").await;
    known_calls(&gauge).await;
    let mut checked = 0;
    for point in pushed(&gauge, 4)
        .await
        .values()
        .filter(|point| point.kind == Kind::Histogram)
    {
        let expected = match point.name.as_str() {
            "gen_ai.server.time_to_first_token" => &first_token[..],
            "gen_ai.server.time_per_output_token" => &output_token,
            "http.server.request.duration" | "http.client.request.duration" => &http,
            name if name.starts_with("gen_ai.") && name.contains("token") => &tokens,
            name if name.starts_with("gen_ai.") => &seconds,
            // Of turns and tokens.
            name if name.starts_with("streamgauge.conversation.") => continue,
            // Ours reach to the minutes that a stream may last.
            name => {
                assert!(point.bounds.last() >= Some(&300.0), "{name}");
                continue;
            }
        };
        assert_eq!(point.bounds, expected, "{}", point.name);
        assert_eq!(
            point.buckets.iter().sum::<u64>(),
            point.count,
            "{}",
            point.name
        );
        checked += 1;
    }
    assert_eq!(checked, 28);
}

/// What Prometheus asks for where it takes native histograms.
const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,text/plain;q=0.5";

#[tokio::test(flavor = "multi_thread")]
async fn the_standard_variable_decides_on_the_buckets_that_are_pushed_and_else_the_setting() {
    let standard = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
    let ours = "STREAMGAUGE_TELEMETRY_HISTOGRAMS";
    for (variables, expected) in [
        (&[(ours, "exponential")][..], Kind::Exponential),
        (
            &[(standard, "base2_exponential_bucket_histogram")],
            Kind::Exponential,
        ),
        (
            &[
                (ours, "exponential"),
                (standard, "explicit_bucket_histogram"),
            ],
            Kind::Histogram,
        ),
    ] {
        let gauge = Gauge::with(|program| {
            let variables = variables.iter();
            variables.fold(program, |program, (name, value)| program.env(name, value))
        })
        .await;
        known_calls(&gauge).await;
        let points = pushed(&gauge, 4).await;
        let histograms = [Kind::Histogram, Kind::Exponential];
        let mut points = points
            .values()
            .filter(|point| histograms.contains(&point.kind));
        let requests = points
            .clone()
            .find(|point| point.name == "llm.request.duration" && point.text("model") == Some("m"));
        assert_eq!(requests.map(|point| point.count), Some(2), "{variables:?}");
        assert!(
            points
                .all(|point| point.kind == expected
                    && point.buckets.iter().sum::<u64>() == point.count),
            "{variables:?}"
        );
        let text = gauge.scrape("text/plain").await;
        assert!(text.text().contains("llm_request_duration_seconds_bucket"));
        let page = gauge.scrape(PROTOBUF).await;
        let kind = page.header("content-type").unwrap();
        assert!(
            kind.starts_with("application/vnd.google.protobuf; proto=io.prometheus.client"),
            "{kind}"
        );
    }
}

/// A call of a model that answers nothing of interest.
async fn ask(gauge: &Gauge, model: &str) {
    let body = format!(r#"{{"model":"{model}","messages":[]}}"#);
    gauge
        .call(post("/v1/chat/completions", &body), json(200, "{}"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_beyond_the_bound_fold_in_metrics_and_stay_on_spans() {
    let gauge = Gauge::with(|program| program.env("STREAMGAUGE_LIMITS_LABEL_VALUES", "2")).await;
    for (asked, model) in (1..).zip(["a", "b", "c", "a", "d"]) {
        ask(&gauge, model).await;
        // Which are the first two is decided by who is counted first.
        gauge.settled(asked).await;
    }
    let points = pushed(&gauge, 5).await;
    let requests = points.values().filter(|point| point.name == "llm.requests");
    let found: Vec<_> = requests
        .map(|point| (point.text("model").unwrap(), point.value))
        .collect();
    assert_eq!(found, [("_other", 2.0), ("a", 2.0), ("b", 1.0)]);
    let received = gauge.received(10).await;
    for model in ["b", "c", "d"] {
        assert!(received.span(&format!("chat {model}")).is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_chosen_vocabularies_are_spoken() {
    let gauge = Gauge::with(|program| {
        let program = program.env("STREAMGAUGE_TELEMETRY_VOCABULARY", "llm");
        program.env("STREAMGAUGE_TELEMETRY_METRICS", "llm")
    })
    .await;
    ask(&gauge, "m").await;
    let points = pushed(&gauge, 1).await;
    assert!(points.values().any(|point| point.name == "llm.requests"));
    assert!(
        !points
            .values()
            .any(|point| point.name.starts_with("gen_ai."))
    );
    let (inference, _) = gauge.spans().await;
    assert_eq!(
        (inference.name(), inference.text("llm.model")),
        ("chat m", Some("m"))
    );
    assert_eq!(inference.attribute("gen_ai.request.model"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_of_a_repeated_request_is_a_client_request() {
    let gauge = Gauge::start().await;
    let request = post(
        "/v1/chat/completions",
        r#"{"model":"m","stream":true,"messages":[]}"#,
    );
    let serve = async {
        for answer in [json(400, "{}"), stream([DONE])] {
            let mut served = gauge.upstream.accept().await;
            served.read_request().await;
            served.write(answer).await;
        }
    };
    tokio::join!(serve, send(gauge.server.proxy, request));
    let points = pushed(&gauge, 1).await;
    let count = |name: &str| -> Vec<(Option<i64>, u64)> {
        let points = points.values().filter(|point| point.name == name);
        points
            .map(|point| (point.int("http.response.status_code"), point.count))
            .collect()
    };
    assert_eq!(
        count("http.client.request.duration"),
        [(Some(400), 1), (Some(200), 1)]
    );
    assert_eq!(count("http.server.request.duration"), [(Some(200), 1)]);
}
