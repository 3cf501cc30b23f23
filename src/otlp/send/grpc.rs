//! OTLP over gRPC.

use std::error::Error as _;
use std::time::Duration;

use bytes::{BufMut as _, Bytes};
use http::uri::PathAndQuery;
use prost::Message as _;
use tokio::runtime::Handle;
use tonic::client;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Extensions, Request, Status};
use tonic_types::StatusExt as _;

use super::client::{BuildError, grpc_tls};
use super::{ExportResponse, Fault, Refusal, Signal, Symptom, chain};
use crate::otel::Otlp;
use crate::outbound::Dialer;

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// What the library says of an answer that has an HTTP status only, before that one.
const NO_GRPC_STATUS: &str = "grpc-status header missing, mapped from HTTP status code ";

#[derive(Debug)]
pub(super) struct Grpc {
    client: client::Grpc<Channel>,
    metadata: MetadataMap,
    runtime: Handle,
    path: PathAndQuery,
}

impl Grpc {
    pub(super) fn new(otlp: &Otlp, signal: Signal) -> Result<Self, BuildError> {
        // The channel is spawned where it is built, and would panic elsewhere.
        let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let refused = |error: tonic::transport::Error| BuildError::Client {
            endpoint: otlp.shown_endpoint(),
            reason: chain(&error),
        };
        let mut endpoint = Endpoint::from_shared(otlp.endpoint.clone())
            .and_then(|endpoint| endpoint.user_agent(super::USER_AGENT))
            .map_err(refused)?
            .timeout(otlp.timeout)
            .connect_timeout(otlp.timeout);
        if otlp.endpoint.starts_with("https://") {
            endpoint = endpoint.tls_config(grpc_tls(&otlp.tls)?).map_err(refused)?;
        }
        let dialer = Dialer::new(otlp.proxy.as_ref());
        let mut client = client::Grpc::new(endpoint.connect_with_connector_lazy(dialer));
        if otlp.gzip {
            client = client
                .send_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Gzip);
        }
        Ok(Self {
            client,
            metadata: MetadataMap::from_headers(super::headers(otlp)),
            runtime,
            path: PathAndQuery::from_static(match signal {
                Signal::Traces => TRACES,
                Signal::Metrics => METRICS,
                Signal::Logs => LOGS,
            }),
        })
    }

    pub(super) fn send(&self, body: Bytes) -> Result<ExportResponse, Refusal> {
        let mut client = self.client.clone();
        let request = Request::from_parts(self.metadata.clone(), Extensions::default(), body);
        let exchange = async {
            let ready = client.ready().await;
            ready.map_err(|error| Status::from_error(error.into()))?;
            client.unary(request, self.path.clone(), Written).await
        };
        let response = self.runtime.block_on(exchange);
        response
            .map(tonic::Response::into_inner)
            .map_err(|status| refusal(&status))
    }
}

/// Which codes may pass, and after how long.
fn refusal(status: &Status) -> Refusal {
    let asked = || status.get_details_retry_info()?.retry_delay;
    Refusal {
        fault: fault(status),
        again: match status.code() {
            // Full for good, unless it says when there is room.
            Code::ResourceExhausted => asked(),
            Code::Unavailable => Some(asked().unwrap_or_default()),
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::DataLoss => Some(Duration::ZERO),
            _ => None,
        },
    }
}

/// What a status says that came, or that was made here of something else.
fn fault(status: &Status) -> Fault {
    if let Some(cause) = status.source() {
        return Fault::NoAnswer {
            cause: chain(cause),
            symptom: Symptom::of(cause),
        };
    }
    let http_status = status.message().strip_prefix(NO_GRPC_STATUS);
    match http_status.and_then(|status| status.parse().ok()) {
        Some(status) => Fault::Status(status),
        None => Fault::Code(status.code()),
    }
}

/// A request that is written already.
struct Written;

impl Codec for Written {
    type Encode = Bytes;
    type Decode = ExportResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Written {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, request: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(request);
        Ok(())
    }
}

impl Decoder for Written {
    type Item = ExportResponse;
    type Error = Status;

    fn decode(&mut self, answer: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        let answer = ExportResponse::decode(answer);
        answer
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    fn again(status: &Status) -> Option<Duration> {
        refusal(status).again
    }

    #[test]
    fn codes_that_may_pass_are_tried_again_and_others_are_not() {
        for code in [Code::Unavailable, Code::Aborted, Code::DeadlineExceeded] {
            assert_eq!(
                again(&Status::new(code, "")),
                Some(Duration::ZERO),
                "{code:?}"
            );
        }
        for code in [
            Code::InvalidArgument,
            Code::Unauthenticated,
            Code::ResourceExhausted,
        ] {
            assert_eq!(again(&Status::new(code, "")), None, "{code:?}");
        }
    }

    #[test]
    fn a_full_receiver_that_says_when_there_is_room_is_tried_again_then() {
        let pause = Duration::from_secs(3);
        let details = ErrorDetails::with_retry_info(Some(pause));
        let full = Status::with_error_details(Code::ResourceExhausted, "full", details);
        assert_eq!(again(&full), Some(pause));
    }
}
