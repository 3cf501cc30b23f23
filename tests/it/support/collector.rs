//! An OTLP receiver built on the published protobuf definitions: gRPC and HTTP/protobuf on one port, gzip accepted.
//!
//! It stores what it receives, and can be told to misbehave. Follows the OTLP specification 1.x.

use std::io::Read as _;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::codec::CompressionEncoding;

use super::DEADLINE;
use super::otlp::{Point, Received, Request, Span, points};

/// How a collector treats what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Takes it.
    Accept,
    /// Answers 503, or `UNAVAILABLE`.
    Refuse,
    /// Never answers.
    Hang,
    /// Takes it, after a while.
    Slow(Duration),
    /// Names another place, which takes it.
    Redirect,
    /// Takes it all the same, and says that it rejected so many items.
    Reject(i64),
    /// Takes spans; of metrics it knows nothing, which is this status over HTTP and `UNIMPLEMENTED` over gRPC.
    NoMetrics(u16),
}

/// Which versions of HTTP a collector understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// Both, so that one address serves both protocols of OTLP.
    Both,
    /// HTTP/1.1 alone, as a port for OTLP over HTTP.
    Http1,
    /// HTTP/2 alone, as a port for gRPC.
    Http2,
}

/// A running OTLP receiver; it stops when dropped.
#[derive(Debug)]
pub(crate) struct Collector {
    address: SocketAddr,
    shared: Shared,
    task: JoinHandle<()>,
}

impl Collector {
    /// Listens on a free port of the loopback interface.
    pub(crate) async fn start() -> Self {
        Self::speaking(Speaks::Both).await
    }

    /// The same of one that understands only so much.
    pub(crate) async fn speaking(speaks: Speaks) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared {
            received: watch::Sender::default(),
            mode: watch::Sender::new(Mode::Accept),
        };
        let task = tokio::spawn(serve(listener, speaks, router(shared.clone())));
        Self {
            address,
            shared,
            task,
        }
    }

    /// The value of `OTEL_EXPORTER_OTLP_ENDPOINT`, for either protocol.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes how requests are treated from now on.
    pub(crate) fn set_mode(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// Everything received so far.
    pub(crate) fn received(&self) -> Received {
        self.shared.received.borrow().clone()
    }

    /// Waits until what was received fulfils a condition; `what` names it.
    pub(crate) async fn wait_for(
        &self,
        what: &str,
        condition: impl FnMut(&Received) -> bool,
    ) -> Received {
        let mut receiver = self.shared.received.subscribe();
        let fulfilled = tokio::time::timeout(DEADLINE, receiver.wait_for(condition)).await;
        match fulfilled {
            Ok(Ok(received)) => received.clone(),
            _ => panic!(
                "the collector waited in vain for {what}; it has {}",
                self.received().summary()
            ),
        }
    }

    /// Waits for a number of requests, taken or not.
    pub(crate) async fn requests(&self, count: usize) -> Vec<Request> {
        let what = format!("{count} requests");
        self.wait_for(&what, |received| received.requests.len() >= count)
            .await
            .requests
    }

    /// Waits for a number of spans.
    pub(crate) async fn spans(&self, count: usize) -> Vec<Span> {
        let what = format!("{count} spans");
        self.wait_for(&what, |received| received.spans.len() >= count)
            .await
            .spans
    }

    /// Waits for the only span of that name.
    pub(crate) async fn span(&self, name: &str) -> Span {
        let received = self
            .wait_for(&format!("span {name:?}"), |received| {
                received.span(name).is_some()
            })
            .await;
        received.span(name).cloned().unwrap()
    }

    /// Waits for the first span of a kind, by OTLP's number.
    pub(crate) async fn span_of_kind(&self, kind: i32) -> Span {
        let of_kind = |received: &Received| {
            let mut spans = received.spans.iter();
            spans.find(|span| span.proto.kind == kind).cloned()
        };
        let what = format!("a span of kind {kind}");
        let received = self
            .wait_for(&what, |received| of_kind(received).is_some())
            .await;
        of_kind(&received).unwrap()
    }

    /// Waits for a point of a metric that has all the given attributes.
    pub(crate) async fn point(&self, name: &str, attributes: &[(&str, &str)]) -> Point {
        self.point_where(name, attributes, |_| true).await
    }

    /// Waits until the newest point of a metric with all the given attributes fulfils a condition.
    pub(crate) async fn point_where(
        &self,
        name: &str,
        attributes: &[(&str, &str)],
        condition: impl Fn(&Point) -> bool,
    ) -> Point {
        let what = format!("metric {name} with {attributes:?}");
        let received = self
            .wait_for(&what, |received| {
                received.point(name, attributes).is_some_and(&condition)
            })
            .await;
        received.point(name, attributes).cloned().unwrap()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug, Clone)]
struct Shared {
    received: watch::Sender<Received>,
    mode: watch::Sender<Mode>,
}

impl Shared {
    fn traces_taken(&self) -> ExportTraceServiceResponse {
        let partial = self
            .rejected()
            .map(|rejected_spans| ExportTracePartialSuccess {
                rejected_spans,
                error_message: "rejected by the test".into(),
            });
        ExportTraceServiceResponse {
            partial_success: partial,
        }
    }

    fn metrics_taken(&self) -> ExportMetricsServiceResponse {
        let rejected = self.rejected();
        let partial = rejected.map(|rejected_data_points| ExportMetricsPartialSuccess {
            rejected_data_points,
            error_message: "rejected by the test".into(),
        });
        ExportMetricsServiceResponse {
            partial_success: partial,
        }
    }

    fn logs_taken(&self) -> ExportLogsServiceResponse {
        let rejected = self.rejected();
        let partial = rejected.map(|rejected_log_records| ExportLogsPartialSuccess {
            rejected_log_records,
            error_message: "rejected by the test".into(),
        });
        ExportLogsServiceResponse {
            partial_success: partial,
        }
    }

    fn take_logs(&self, request: ExportLogsServiceRequest) {
        self.received.send_modify(|received| {
            let groups = request.resource_logs.into_iter();
            let scopes = groups.flat_map(|group| group.scope_logs);
            received
                .records
                .extend(scopes.flat_map(|scope| scope.log_records));
        });
    }

    fn rejected(&self) -> Option<i64> {
        match *self.mode.borrow() {
            Mode::Reject(items) => Some(items),
            _ => None,
        }
    }

    fn take_traces(&self, request: ExportTraceServiceRequest) {
        self.received.send_modify(|received| {
            for group in request.resource_spans {
                let resource = group.resource.unwrap_or_default();
                for scope in group.scope_spans {
                    received
                        .spans
                        .extend(scope.spans.into_iter().map(|proto| Span {
                            resource: resource.clone(),
                            schema_url: scope.schema_url.clone(),
                            proto,
                        }));
                }
            }
        });
    }

    fn take_metrics(&self, request: ExportMetricsServiceRequest) {
        self.received.send_modify(|received| {
            for group in request.resource_metrics {
                let resource = group.resource.unwrap_or_default();
                for metric in group
                    .scope_metrics
                    .into_iter()
                    .flat_map(|scope| scope.metrics)
                {
                    received.points.extend(points(&resource, metric));
                }
            }
        });
    }
}

#[tonic::async_trait]
impl TraceService for Shared {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.take_traces(request.into_inner());
        Ok(tonic::Response::new(self.traces_taken()))
    }
}

#[tonic::async_trait]
impl MetricsService for Shared {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        self.take_metrics(request.into_inner());
        Ok(tonic::Response::new(self.metrics_taken()))
    }
}

#[tonic::async_trait]
impl LogsService for Shared {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        self.take_logs(request.into_inner());
        Ok(tonic::Response::new(self.logs_taken()))
    }
}

fn router(shared: Shared) -> Router {
    let traces =
        TraceServiceServer::new(shared.clone()).accept_compressed(CompressionEncoding::Gzip);
    let metrics =
        MetricsServiceServer::new(shared.clone()).accept_compressed(CompressionEncoding::Gzip);
    let logs = LogsServiceServer::new(shared.clone()).accept_compressed(CompressionEncoding::Gzip);
    let http = Router::new()
        .route("/v1/traces", post(http_traces))
        .route("/v1/metrics", post(http_metrics))
        .route("/v1/logs", post(http_logs))
        .with_state(shared.clone());
    tonic::service::Routes::new(traces)
        .add_service(metrics)
        .add_service(logs)
        .into_axum_router()
        .merge(http)
        .layer(from_fn_with_state(shared, note_and_treat))
}

/// HTTP/1 and HTTP/2 with prior knowledge on the same port.
async fn serve(listener: TcpListener, speaks: Speaks, router: Router) {
    let builder = auto::Builder::new(TokioExecutor::new());
    let builder = match speaks {
        Speaks::Both => builder,
        Speaks::Http1 => builder.http1_only(),
        Speaks::Http2 => builder.http2_only(),
    };
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let service = TowerToHyperService::new(router.clone());
        let builder = builder.clone();
        connections.spawn(async move {
            // A peer that breaks its connection is the peer's business.
            let _ = builder
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn note_and_treat(
    State(shared): State<Shared>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let noted = Request {
        path: request.uri().path().to_owned(),
        headers: request.headers().clone(),
    };
    let is_grpc = noted
        .header("content-type")
        .is_some_and(|value| value.starts_with("application/grpc"));
    shared
        .received
        .send_modify(|received| received.requests.push(noted));
    let mode = *shared.mode.borrow();
    match mode {
        Mode::Accept | Mode::Reject(_) => {}
        Mode::Redirect if request.uri().query().is_none() => {
            return Redirect::temporary(&format!("{}?redirected", request.uri().path()))
                .into_response();
        }
        Mode::Redirect => {}
        Mode::NoMetrics(status) if request.uri().path().contains("metrics") => {
            return match is_grpc {
                true => tonic::Status::unimplemented("what is a metric?").into_http(),
                false => StatusCode::from_u16(status).unwrap().into_response(),
            };
        }
        Mode::NoMetrics(_) => {}
        Mode::Refuse if is_grpc => {
            return tonic::Status::unavailable("refused by the test").into_http();
        }
        Mode::Refuse => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Mode::Hang => std::future::pending().await,
        Mode::Slow(pause) => tokio::time::sleep(pause).await,
    }
    next.run(request).await
}

async fn http_traces(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    shared.take_traces(ExportTraceServiceRequest::decode(plain(&headers, body)).unwrap());
    protobuf(&shared.traces_taken())
}

async fn http_metrics(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    shared.take_metrics(ExportMetricsServiceRequest::decode(plain(&headers, body)).unwrap());
    protobuf(&shared.metrics_taken())
}

async fn http_logs(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    shared.take_logs(ExportLogsServiceRequest::decode(plain(&headers, body)).unwrap());
    protobuf(&shared.logs_taken())
}

fn plain(headers: &HeaderMap, body: Bytes) -> Bytes {
    let kind = headers.get(header::CONTENT_TYPE).unwrap();
    assert_eq!(
        kind, "application/x-protobuf",
        "the content type of OTLP over HTTP"
    );
    match headers.get(header::CONTENT_ENCODING) {
        None => body,
        Some(coding) => {
            assert_eq!(coding, "gzip", "the only content coding of OTLP");
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&body[..])
                .read_to_end(&mut plain)
                .unwrap();
            plain.into()
        }
    }
}

fn protobuf(message: &impl prost::Message) -> Response {
    (
        [(header::CONTENT_TYPE, "application/x-protobuf")],
        message.encode_to_vec(),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry::trace::{Span as _, SpanKind, Tracer as _, TracerProvider as _};
    use opentelemetry_otlp::{
        Compression, MetricExporter, Protocol, SpanExporter, WithExportConfig as _,
        WithHttpConfig as _, WithTonicConfig as _,
    };
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::metrics::SdkMeterProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::super::otlp::{Attributes as _, Kind};
    use super::*;

    /// What the published SDK sends arrives whole, over either protocol.
    async fn check(collector: &Collector, traces: SpanExporter, metrics: MetricExporter) {
        let resource = Resource::builder_empty()
            .with_attribute(KeyValue::new("service.name", "sender"))
            .build();
        let tracing = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_batch_exporter(traces)
            .build();
        let metering = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_periodic_exporter(metrics)
            .build();
        let mut span = tracing
            .tracer("x")
            .span_builder("call")
            .with_kind(SpanKind::Client)
            .start(&tracing.tracer("x"));
        span.set_attribute(KeyValue::new("tokens", 7));
        span.add_event("first_token", vec![KeyValue::new("at", 0.5)]);
        span.end();
        let meter = metering.meter("x");
        meter
            .u64_counter("calls")
            .build()
            .add(3, &[KeyValue::new("model", "m")]);
        meter
            .f64_histogram("seconds")
            .with_unit("s")
            .with_boundaries(vec![1.0, 2.0])
            .build()
            .record(1.5, &[]);
        // Both exporters block the thread that flushes them.
        tokio::task::spawn_blocking(move || {
            (tracing.shutdown().unwrap(), metering.shutdown().unwrap())
        })
        .await
        .unwrap();

        let span = collector.span("call").await;
        assert_eq!(span.resource.text("service.name"), Some("sender"));
        assert_eq!(span.int("tokens"), Some(7));
        assert_eq!(span.event("first_token").unwrap().double("at"), Some(0.5));
        assert_eq!(span.trace_id().len(), 32);
        assert_eq!(collector.spans(1).await.len(), 1);
        let calls = collector.point("calls", &[("model", "m")]).await;
        assert_eq!((calls.kind, calls.value), (Kind::Counter, 3.0));
        let seconds = collector
            .point_where("seconds", &[], |point| point.count == 1)
            .await;
        assert_eq!((seconds.value, seconds.unit.as_str()), (1.5, "s"));
        assert_eq!(
            (seconds.bounds, seconds.buckets),
            (vec![1.0, 2.0], vec![0, 1, 0])
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn takes_grpc_with_gzip_and_metadata() {
        let collector = Collector::start().await;
        let mut metadata = tonic::metadata::MetadataMap::new();
        metadata.insert("x-tenant", "a".parse().unwrap());
        let traces = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(collector.endpoint())
            .with_compression(Compression::Gzip)
            .with_metadata(metadata)
            .build()
            .unwrap();
        let metrics = MetricExporter::builder()
            .with_tonic()
            .with_endpoint(collector.endpoint())
            .build()
            .unwrap();
        check(&collector, traces, metrics).await;
        let requests = collector.requests(2).await;
        let traces = requests
            .iter()
            .find(|request| request.path.ends_with("TraceService/Export"))
            .unwrap();
        assert_eq!(traces.header("x-tenant"), Some("a"));
        assert_eq!(traces.header("grpc-encoding"), Some("gzip"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn takes_http_with_gzip() {
        // reqwest is built without a choice of its own; a second installation is refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let collector = Collector::start().await;
        let endpoint = collector.endpoint();
        // The blocking HTTP client may not be built on a thread of the runtime.
        let (traces, metrics) = tokio::task::spawn_blocking(move || {
            let traces = SpanExporter::builder()
                .with_http()
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(format!("{endpoint}/v1/traces"))
                .with_compression(Compression::Gzip)
                .build();
            let metrics = MetricExporter::builder()
                .with_http()
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(format!("{endpoint}/v1/metrics"))
                .build();
            (traces.unwrap(), metrics.unwrap())
        })
        .await
        .unwrap();
        check(&collector, traces, metrics).await;
        let requests = collector.requests(2).await;
        let traces = requests
            .iter()
            .find(|request| request.path == "/v1/traces")
            .unwrap();
        assert_eq!(traces.header("content-encoding"), Some("gzip"));
    }

    #[tokio::test]
    async fn refuses_hangs_and_is_slow_when_told() {
        use super::super::client;

        let collector = Collector::start().await;
        let request = b"POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        collector.set_mode(Mode::Refuse);
        assert_eq!(client::send(collector.address, request).await.status(), 503);
        collector.set_mode(Mode::Hang);
        let mut hung = client::connect(collector.address).await;
        hung.write(request).await;
        assert_eq!(collector.requests(2).await.len(), 2);
        collector.set_mode(Mode::Slow(Duration::from_millis(1)));
        assert_eq!(client::send(collector.address, request).await.status(), 200);
        assert_eq!(collector.received().requests.len(), 3);
        collector.set_mode(Mode::Accept);
        assert_eq!(client::send(collector.address, request).await.status(), 200);
    }
}
