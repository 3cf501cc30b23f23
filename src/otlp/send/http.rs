//! OTLP over HTTP, in protobuf.

use std::io::{Read as _, Write as _};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use prost::Message as _;
use reqwest::blocking::{Client, Response};
use tonic::Code;

use super::client::{BuildError, http_client};
use super::{ExportResponse, Fault, Refusal, Symptom, chain};
use crate::otel::Otlp;

/// Longest answer that is read, in bytes; it holds a message for people at most.
const ANSWER_BYTES: u64 = 64 << 10;

/// The header with the status of an answer by gRPC.
const GRPC_STATUS: &str = "grpc-status";

#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    endpoint: String,
    headers: HeaderMap,
    gzip: bool,
}

impl Http {
    pub(super) fn new(otlp: &Otlp) -> Result<Self, BuildError> {
        let mut headers = HeaderMap::from_iter([
            (USER_AGENT, HeaderValue::from_static(super::USER_AGENT)),
            (
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-protobuf"),
            ),
        ]);
        if otlp.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        for (name, value) in &super::headers(otlp) {
            headers.insert(name, value.clone());
        }
        Ok(Self {
            client: http_client(otlp)?,
            endpoint: otlp.endpoint.clone(),
            headers,
            gzip: otlp.gzip,
        })
    }

    /// A request as it goes out, compressed where that is asked for.
    pub(super) fn prepare(&self, request: Bytes) -> Result<Bytes, Fault> {
        if !self.gzip {
            return Ok(request);
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let coded = encoder.write_all(&request).and_then(|()| encoder.finish());
        coded.map(Bytes::from).map_err(Fault::Compress)
    }

    pub(super) fn send(&self, body: Bytes) -> Result<ExportResponse, Refusal> {
        let request = self.client.post(&self.endpoint);
        let sent = request.headers(self.headers.clone()).body(body).send();
        let response = sent.map_err(|error| Refusal {
            fault: Fault::NoAnswer {
                symptom: Symptom::of(&error),
                // The URL may hold a key.
                cause: chain(&error.without_url()),
            },
            again: Some(Duration::ZERO),
        })?;
        if !response.status().is_success() {
            return Err(refusal(&response));
        }
        // Servers of gRPC that read HTTP/1.1 too say here, in a 200, that they do not know what was asked for.
        let code = response.headers().get(GRPC_STATUS);
        let code = code.map(|code| Code::from_bytes(code.as_bytes()));
        if let Some(code) = code.filter(|code| *code != Code::Ok) {
            return Err(Refusal {
                fault: Fault::Code(code),
                again: None,
            });
        }
        let kind = response.headers().get(CONTENT_TYPE);
        if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html")) {
            return Err(Refusal {
                fault: Fault::Page,
                again: None,
            });
        }
        let mut answer = Vec::new();
        // The spans were taken, whatever becomes of the rest of the answer.
        let _ = response.take(ANSWER_BYTES).read_to_end(&mut answer);
        Ok(ExportResponse::decode(&*answer).unwrap_or_default())
    }
}

/// How long `Retry-After` asks to wait: seconds, or a date (RFC 9110 §10.2.3), of which one gone by asks for nothing.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// Which statuses may pass, and after how long.
fn refusal(response: &Response) -> Refusal {
    let status = response.status().as_u16();
    let asked = || {
        let asked = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
        retry_after(asked, SystemTime::now())
    };
    Refusal {
        fault: Fault::Status(status),
        again: match status {
            429 | 503 => Some(asked().unwrap_or_default()),
            502 | 504 => Some(Duration::ZERO),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_by_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_767);
        let asked = |value| retry_after(value, now).map(|pause| pause.as_secs());
        assert_eq!(asked("120"), Some(120));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(10));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0));
        assert_eq!(asked("soon"), None);
    }
}
