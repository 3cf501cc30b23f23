//! The usual scene: a scripted upstream, the real binary in front of it, and a collector behind it.

use super::collector::Collector;
use super::http1::Connection;
use super::otlp::Span;
use super::process::{Program, Server};
use super::upstream::Upstream;
use super::{client, file};

/// An upstream, a server and a collector.
#[derive(Debug)]
pub(crate) struct Scene {
    /// Where the server sends requests.
    pub(crate) upstream: Upstream,
    /// The server.
    pub(crate) server: Server,
    /// Where the server sends telemetry.
    pub(crate) collector: Collector,
    _config: file::File,
}

impl Scene {
    /// A server at its defaults.
    pub(crate) async fn start() -> Self {
        Self::configured("").await
    }

    /// A server with a configuration file.
    pub(crate) async fn configured(config: &str) -> Self {
        Self::with(config, |program| program).await
    }

    /// A server with a configuration file and what `more` adds to its command line.
    pub(crate) async fn with(config: &str, more: impl FnOnce(Program) -> Program) -> Self {
        let upstream = Upstream::start().await;
        let url = upstream.base_url();
        Self::build(upstream, &url, config, more).await
    }

    /// A server with a configuration file in front of another upstream than the scripted one.
    pub(crate) async fn towards(url: &str, config: &str) -> Self {
        Self::build(Upstream::start().await, url, config, |program| program).await
    }

    /// A server with a configuration file that names the upstream.
    pub(crate) async fn before(
        upstream: Upstream,
        config: &str,
        more: impl FnOnce(Program) -> Program,
    ) -> Self {
        Self::of(upstream, None, config, more).await
    }

    async fn build(
        upstream: Upstream,
        url: &str,
        config: &str,
        more: impl FnOnce(Program) -> Program,
    ) -> Self {
        Self::of(upstream, Some(url), config, more).await
    }

    async fn of(
        upstream: Upstream,
        url: Option<&str>,
        config: &str,
        more: impl FnOnce(Program) -> Program,
    ) -> Self {
        let collector = Collector::start().await;
        let config = file::File::new("config.toml", config);
        let program = match url {
            Some(url) => Program::serve(url).args(["-c", config.name()]),
            None => Program::configured(config.name()),
        };
        let program = program
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
            .env("OTEL_BSP_SCHEDULE_DELAY", "5");
        Self {
            server: more(program).listen().await,
            upstream,
            collector,
            _config: config,
        }
    }

    /// Opens a connection to the proxy.
    pub(crate) async fn client(&self) -> Connection {
        client::connect(self.server.proxy).await
    }

    /// Sends a request and takes it at the upstream: both ends, the request read there.
    pub(crate) async fn call(&self, request: &[u8]) -> (Connection, Connection) {
        let mut client = self.client().await;
        client.write(request).await;
        let mut served = self.upstream.accept().await;
        served.read_request().await;
        (client, served)
    }

    /// The two spans of the only inference call: SERVER and inference.
    pub(crate) async fn spans(&self) -> (Span, Span) {
        let mut spans = self.collector.spans(2).await;
        assert_eq!(spans.len(), 2, "one call has two spans");
        spans.sort_by_key(|span| span.proto.kind);
        let client = spans.pop().unwrap();
        (spans.pop().unwrap(), client)
    }
}

/// A streamed chat call that the server asks for usage on the client's behalf.
pub(crate) const EDITED: &str = r#"{"model":"m","stream":true,"messages":[]}"#;
/// A streamed chat call that passes as it is.
pub(crate) const UNEDITED: &str =
    r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#;
/// Head of a streamed response.
pub(crate) const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
/// An event with generated output.
pub(crate) const TOKEN: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
/// The events that end a stream.
pub(crate) const END: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
/// The event that asking for usage adds.
pub(crate) const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1,\"total_tokens\":4}}\n\n";

/// The bytes of a chat call.
pub(crate) fn chat(body: &str) -> Vec<u8> {
    client::post("/v1/chat/completions", body)
}
