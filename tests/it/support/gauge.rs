//! The real binary between a scripted upstream and a collector, and the calls that tests make through it.

use super::collector::Collector;
use super::http1::{Connection, Message, chunk};
use super::otlp::{Attributes as _, Received, Span};
use super::process::{Program, Server};
use super::upstream::Upstream;
use super::{client, within};

/// A running proxy with both its neighbours.
#[derive(Debug)]
pub(crate) struct Gauge {
    /// Whom it calls.
    pub(crate) upstream: Upstream,
    /// Where it exports to.
    pub(crate) collector: Collector,
    /// The proxy.
    pub(crate) server: Server,
}

/// One call: what the upstream saw of it, and what the client got.
#[derive(Debug)]
pub(crate) struct Call {
    /// The request as it reached the upstream.
    pub(crate) seen: Message,
    /// The response as it reached the client.
    pub(crate) got: Message,
}

impl Gauge {
    /// Exports traces and metrics over HTTP, without delay.
    pub(crate) async fn start() -> Self {
        Self::with(|program| program).await
    }

    /// The same with changes to the command line or the environment.
    pub(crate) async fn with(change: impl FnOnce(Program) -> Program) -> Self {
        let (upstream, collector) = (Upstream::start().await, Collector::start().await);
        let program = Program::serve(&upstream.base_url())
            // The scripted upstream stands for OpenAI.
            .env("STREAMGAUGE_UPSTREAM_PROVIDER", "openai")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
            .env("OTEL_BSP_SCHEDULE_DELAY", "20")
            .env("OTEL_METRIC_EXPORT_INTERVAL", "50");
        let server = change(program).listen().await;
        Self {
            upstream,
            collector,
            server,
        }
    }

    /// Sends a request and has the upstream answer with these bytes.
    pub(crate) async fn call(&self, request: impl AsRef<[u8]>, answer: impl AsRef<[u8]>) -> Call {
        let serve = async {
            let mut served = self.upstream.accept().await;
            let seen = served.read_request().await;
            served.write(answer).await;
            seen
        };
        let (seen, got) = tokio::join!(serve, client::send(self.server.proxy, request));
        Call { seen, got }
    }

    /// Sends a request and returns both ends once the upstream has read it.
    pub(crate) async fn open(&self, request: impl AsRef<[u8]>) -> (Connection, Connection) {
        let mut caller = client::connect(self.server.proxy).await;
        caller.write(request).await;
        let mut served = self.upstream.accept().await;
        served.read_request().await;
        (caller, served)
    }

    /// The spans of the only call so far: inference and SERVER.
    pub(crate) async fn spans(&self) -> (Span, Span) {
        let received = self.received(2).await;
        let of_kind = |kind| {
            let span = received.spans.iter().find(|span| span.proto.kind == kind);
            span.cloned()
                .unwrap_or_else(|| panic!("no span of kind {kind} in {}", received.summary()))
        };
        (of_kind(CLIENT), of_kind(SERVER))
    }

    /// The SERVER span of the only call so far, one that is no inference.
    pub(crate) async fn server_span(&self) -> Span {
        let received = self.received(1).await;
        assert_eq!(received.spans.len(), 1, "{}", received.summary());
        received.spans[0].clone()
    }

    /// What the collector has once it has so many spans.
    pub(crate) async fn received(&self, spans: usize) -> Received {
        let what = format!("{spans} spans");
        let enough = |received: &Received| received.spans.len() >= spans;
        self.collector.wait_for(&what, enough).await
    }

    /// `/metrics` for a scraper that accepts this.
    pub(crate) async fn scrape(&self, accept: &str) -> Message {
        let request =
            format!("GET /metrics HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\n\r\n");
        client::send(self.server.admin, request).await
    }

    /// Waits until so many exchanges have reached the metrics.
    pub(crate) async fn settled(&self, exchanges: u64) {
        let done = async {
            loop {
                let text = self.scrape("text/plain").await;
                let counts = text.text().lines().filter_map(|line| {
                    let sample = line.strip_prefix("streamgauge_exchanges_total{")?;
                    sample.rsplit(' ').next()?.parse::<u64>().ok()
                });
                if counts.sum::<u64>() >= exchanges {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        within("exchanges to be counted", done).await;
    }
}

/// OTLP's number for a SERVER span.
pub(crate) const SERVER: i32 = 2;
/// OTLP's number for a CLIENT span.
pub(crate) const CLIENT: i32 = 3;

/// A response that is a stream of these events, each in a chunk of its own and with `data: ` before it.
pub(crate) fn stream<'a>(events: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut response = STREAM_HEAD.as_bytes().to_vec();
    for data in events {
        response.extend(event(data));
    }
    response.extend(chunk(""));
    response
}

/// The head of a stream.
pub(crate) const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";

/// One event as a chunk.
pub(crate) fn event(data: &str) -> Vec<u8> {
    chunk(format!("data: {data}\n\n"))
}

/// A whole JSON response.
pub(crate) fn json(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A streamed chat request for the model `m` that asks for usage itself, so that it passes unedited.
pub(crate) fn chat() -> Vec<u8> {
    client::post(
        "/v1/chat/completions",
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}"#,
    )
}

/// A request with more header lines, each with its line end.
pub(crate) fn with_headers(request: &[u8], lines: &str) -> Vec<u8> {
    let end = request.windows(2).position(|at| at == b"\r\n").unwrap() + 2;
    [&request[..end], lines.as_bytes(), &request[end..]].concat()
}

/// A chunk of the first choice with this delta.
pub(crate) fn delta(delta: &str) -> String {
    format!(
        r#"{{"id":"c-1","model":"m-1","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#
    )
}

/// The chunk that ends the first choice.
pub(crate) const FINISH: &str =
    r#"{"id":"c-1","model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
/// The chunk that reports usage.
pub(crate) const USAGE: &str = r#"{"id":"c-1","model":"m-1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}"#;
/// The sentinel.
pub(crate) const DONE: &str = "[DONE]";

/// Attributes as sorted lines; those that are a time stand as `TIME`, once it is certain that they are one. The place in a
/// conversation, the cost and what tells prompts apart, which have tests of their own, are left out.
pub(crate) fn lines(span: &Span) -> Vec<String> {
    let mut lines: Vec<String> = span
        .attributes()
        .iter()
        .filter(|attribute| {
            let elsewhere = [
                "streamgauge.conversation.",
                "streamgauge.cost.",
                "streamgauge.prompt.fingerprint",
                "streamgauge.key.fingerprint",
                "gen_ai.usage.cost",
            ];
            !elsewhere.iter().any(|it| attribute.key.starts_with(it))
        })
        .map(|attribute| match is_time(&attribute.key) {
            false => format!("{}={}", attribute.key, span.shown(&attribute.key)),
            true => {
                let time = span.double(&attribute.key).unwrap();
                assert!(time.is_finite() && time >= 0.0, "{}: {time}", attribute.key);
                format!("{}=TIME", attribute.key)
            }
        })
        .collect();
    lines.sort();
    lines
}

fn is_time(key: &str) -> bool {
    key.contains("time_")
        || key.contains(".gap.")
        || key.ends_with("_ms")
        || key.ends_with(".duration")
}
