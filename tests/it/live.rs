//! The admin listener over a socket: health, metrics and the live page's facts.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use hyper::Request;
use serde_json::json;
use streamgauge::exchange::{
    End, Exchange, Failure, Flow, Http, Operation, Problems, Quirks, Response, Times, Unknowns,
    Upstream, Usage,
};
use streamgauge::sink::metrics::Scrape;
use streamgauge::sink::{ExchangeId, Sink as _};
use tokio::sync::mpsc;

use crate::client;
use crate::support::DEADLINE;
use crate::support::listener::{admin, admin_rendering};

/// A stream that broke, of a model whose name is markup.
fn broken() -> Exchange {
    let seconds = |s| Some(Duration::from_secs_f64(s));
    Exchange {
        started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1000),
        operation: Some(Operation::ChatCompletions),
        of_session: false,
        mistaken: false,
        http: Http {
            method: "POST".into(),
            path: "/v1/chat/completions".into(),
            query: Some("key=secret".into()),
            status: Some(200),
            ..Http::default()
        },
        annotations: Vec::new(),
        key_fingerprint: None,
        named_conversation: None,
        template: None,
        prompt_fingerprint: None,
        trace: None,
        sampling: None,
        attempts: Vec::new(),
        upstream: Some(Upstream {
            name: "local".into(),
            provider: Some("openai".into()),
        }),
        endpoint: None,
        request: streamgauge::exchange::Request {
            model: Some("<b>m</b>".into()),
            ..Default::default()
        },
        response: Response {
            streamed: true,
            ..Response::default()
        },
        usage: Usage {
            input_tokens: Some(8),
            output_tokens: Some(5),
            ..Usage::default()
        },
        rate_limits: Vec::new(),
        times: Times {
            request_end: seconds(0.5),
            first_token: seconds(1.0),
            last_token: seconds(1.4),
            end: Duration::from_secs(2),
            ..Times::default()
        },
        flow: Flow {
            chunks: Some(5),
            ..Flow::default()
        },
        end: End::Cut,
        failure: Some(Failure {
            kind: "upstream_cut".into(),
            message: "secret".into(),
        }),
        aftermath: None,
        is_identical: false,
        integrity: None,
        history: None,
        conversation: None,
        content: None,
        price: None,
        drift: None,
        moved: Vec::new(),
        problems: Problems::default(),
        quirks: Quirks::default(),
        unknown: Unknowns::default(),
    }
}

#[tokio::test]
async fn nothing_is_missing_only_after_the_last_exchange_that_was_lost() {
    let admin = admin().await;
    admin.live.finished(ExchangeId(1), &Arc::new(broken()));
    let since = async || {
        let sums = client::get(admin.address, "/api/summary").await.json();
        sums["complete_since_ms"].clone()
    };
    assert_eq!(since().await, 1_002_000);
    admin.lost_until_ms.store(1_003_001, Ordering::Relaxed);
    assert_eq!(since().await, 1_003_001);
}

#[tokio::test]
async fn exchanges_are_shown_in_flight_and_when_they_have_ended() {
    let admin = admin().await;
    *admin.in_flight.lock().unwrap() = vec![2];
    admin.live.finished(ExchangeId(1), &Arc::new(broken()));
    let flying = client::get(admin.address, "/api/in-flight").await.json();
    assert_eq!(flying["count"], 1);
    let one = &flying["exchanges"][0];
    assert!(one["age_ms"].is_number());
    let expected = json!({
        "id": 2, "method": "POST", "path": "/v1/chat/completions", "model": "m", "upstream": "main", "age_ms": one["age_ms"],
        "state": "answered", "chunks": 7, "time_to_first_token_ms": 5.0, "since_last_output_ms": null,
    });
    assert_eq!(*one, expected);
    let answer = client::get(admin.address, "/api/exchanges").await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("streamgauge-api-version"), "1");
    assert!(!answer.text().contains("secret"));
    let expected = json!({
        "id": 1, "started_at_ms": 1_000_000, "method": "POST", "path": "/v1/chat/completions", "route": null, "operation": "chat",
        "model": "<b>m</b>", "response_model": null, "upstream": "local", "provider": "openai", "status": 200, "end": "cut",
        "error": "upstream_cut", "streamed": true, "time_to_first_token_ms": 500.0, "time_per_output_token_ms": 100.0,
        "duration_ms": 2000.0, "chunks": 5, "input_tokens": 8, "output_tokens": 5, "cached_tokens": null, "reasoning_tokens": null,
        "tokens_estimated": false, "cost_usd": null, "tool_calls": 0, "stalls": 0, "finish_reasons": [], "conversation": null,
        "turn": null, "trace_id": null, "upstream_trace_id": null, "key_fingerprint": null,
    });
    let expected = json!({ "total": 1, "kept": 1, "exchanges": [expected], "next": null });
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn it_is_alive_but_not_ready_while_it_drains() {
    let admin = admin().await;
    assert_eq!(client::get(admin.address, "/readyz").await.status, 200);
    admin.ready.store(false, Ordering::Relaxed);
    assert_eq!(client::get(admin.address, "/readyz").await.status, 503);
    assert_eq!(client::get(admin.address, "/healthz").await.status, 200);
    assert_eq!(
        client::get(admin.address, "/api/summary").await.json()["ready"],
        false
    );
}

#[tokio::test]
async fn metrics_are_rendered_for_what_the_scraper_accepts() {
    let admin = admin().await;
    let request = Request::get(format!("http://{}/metrics", admin.address))
        .header("accept", "application/openmetrics-text; version=1.0.0");
    let answer = client::send(request.body(Default::default()).unwrap())
        .await
        .unwrap();
    assert_eq!(answer.header("content-type"), "text/plain; of=tests");
    assert_eq!(
        answer.text(),
        "# asked for application/openmetrics-text; version=1.0.0\n"
    );
    assert_eq!(
        client::get(admin.address, "/metrics").await.text(),
        "# asked for nothing\n"
    );
}

#[tokio::test]
async fn others_are_answered_while_a_scrape_is_rendered() {
    let (begun, mut rendering) = mpsc::unbounded_channel();
    let (go_on, wait) = std::sync::mpsc::channel();
    let wait = Mutex::new(wait);
    let admin = admin_rendering(Arc::new(move |_| {
        begun.send(()).unwrap();
        let told = wait.lock().unwrap().recv_timeout(DEADLINE);
        Scrape {
            content_type: "text/plain",
            pieces: vec![format!("# {told:?}\n").into()],
        }
    }))
    .await;
    let address = admin.address;
    let scrape = tokio::spawn(async move { client::get(address, "/metrics").await });
    rendering.recv().await.unwrap();
    assert_eq!(client::get(address, "/healthz").await.status, 200);
    go_on.send(()).unwrap();
    assert_eq!(scrape.await.unwrap().text(), "# Ok(())\n");
}

#[tokio::test]
async fn a_scrape_of_many_pieces_arrives_whole_and_tells_its_length() {
    let pieces: Vec<Vec<u8>> = ["a", "", "b", "c"]
        .map(|letter| letter.repeat(100_000).into())
        .into();
    let expected = String::from_utf8(pieces.concat()).unwrap();
    let admin = admin_rendering(Arc::new(move |_| Scrape {
        content_type: "text/plain",
        pieces: pieces.clone(),
    }))
    .await;
    let answer = client::get(admin.address, "/metrics").await;
    assert_eq!(answer.header("content-length"), "300000");
    assert_eq!(answer.text(), expected);
}

#[tokio::test]
async fn it_stops_when_told() {
    let admin = admin().await;
    client::get(admin.address, "/healthz").await;
    admin.stop.send(()).unwrap();
    admin.served.await.unwrap();
}
