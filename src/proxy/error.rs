//! What the proxy says when it has to answer itself: an OpenAI-shaped error, a status that says whose fault it is, and a
//! marker header, so that nobody takes the answer for the upstream's.

use std::error::Error as StdError;
use std::io;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, StatusCode};

use crate::http1::HeadError;
use crate::message::Response;
use crate::tee::{Fault, FaultClass};

/// Marks an answer as ours; its value is the kind of error.
pub static MARKER: HeaderName = HeaderName::from_static("x-streamgauge-error");

/// Why the proxy answers itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Nobody listens at the upstream's address.
    #[error("upstream {upstream} refused the connection: {cause}")]
    ConnectionRefused {
        /// Its name.
        upstream: String,
        /// What the transport said.
        cause: String,
    },
    /// The upstream could not be reached for another reason: name resolution, TLS, network.
    #[error("upstream {upstream} could not be reached: {cause}")]
    ConnectFailed {
        /// Its name.
        upstream: String,
        /// What the transport said.
        cause: String,
    },
    /// Connecting took too long.
    #[error("upstream {upstream} could not be connected to in time")]
    ConnectTimeout {
        /// Its name.
        upstream: String,
    },
    /// No response head came in time.
    #[error("upstream {upstream} sent no response in time")]
    FirstByteTimeout {
        /// Its name.
        upstream: String,
    },
    /// The connection broke before a response head came.
    #[error("upstream {upstream} broke the connection: {cause}")]
    Broken {
        /// Its name.
        upstream: String,
        /// What the transport said.
        cause: String,
    },
    /// No route takes the request.
    #[error(
        "no route takes this request; the configuration's routes decide by path, model and header"
    )]
    NoRoute,
    /// The request's own body broke off or is malformed.
    #[error("the request body could not be read: {cause}")]
    RequestBody {
        /// What the transport said.
        cause: String,
    },
    /// The client went away before its request was read to the end. Nobody reads this answer.
    #[error("the client went away before its request was whole")]
    ClientLeft,
    /// What came is no request.
    #[error("the request could not be read: {0}")]
    Head(HeadError),
    /// The process may open no further connection.
    #[error(
        "streamgauge has no file descriptor or port left for a connection to upstream {upstream}"
    )]
    LimitReached {
        /// Its name.
        upstream: String,
    },
    /// `CONNECT` asks for a forward proxy.
    #[error("CONNECT is for forward proxies; send requests to this address as to the API itself")]
    Connect,
}

impl ProxyError {
    /// Why a client's request body broke off: the client went away, or broke the rules of HTTP.
    #[must_use]
    pub fn of_request_body(error: &(dyn StdError + 'static)) -> Self {
        match io_error(error) {
            Some(cause)
                if matches!(
                    cause.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
                ) =>
            {
                Self::RequestBody {
                    cause: cause.to_string(),
                }
            }
            // An end of file, a reset connection, a reset HTTP/2 stream.
            _ => Self::ClientLeft,
        }
    }

    /// Low-cardinality identifier, for `error.type` and the marker header.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ConnectionRefused { .. } => "connection_refused",
            Self::ConnectFailed { .. } => "connection_failed",
            Self::ConnectTimeout { .. } => "connect_timeout",
            Self::FirstByteTimeout { .. } => "timeout",
            Self::Broken { .. } => "connection_broken",
            Self::NoRoute => "no_route",
            Self::RequestBody { .. } => "request_body",
            Self::ClientLeft => "client_left",
            Self::LimitReached { .. } => "limit_reached",
            Self::Connect => "method_not_allowed",
            Self::Head(HeadError::Malformed(_)) => "bad_request",
            Self::Head(HeadError::TooLarge) => "head_too_large",
            Self::Head(HeadError::Timeout) => "head_timeout",
        }
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::ConnectionRefused { .. } | Self::ConnectFailed { .. } | Self::Broken { .. } => {
                StatusCode::BAD_GATEWAY
            }
            Self::ConnectTimeout { .. } | Self::FirstByteTimeout { .. } => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::RequestBody { .. } | Self::ClientLeft => StatusCode::BAD_REQUEST,
            Self::LimitReached { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Connect => StatusCode::METHOD_NOT_ALLOWED,
            Self::Head(HeadError::Malformed(_)) => StatusCode::BAD_REQUEST,
            Self::Head(HeadError::TooLarge) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Head(HeadError::Timeout) => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// The same as the tee reports it.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let class = match self {
            Self::ConnectionRefused { .. } | Self::ConnectFailed { .. } => FaultClass::Refused,
            Self::ConnectTimeout { .. } | Self::FirstByteTimeout { .. } => FaultClass::Timeout,
            Self::Broken { .. } => FaultClass::Cut,
            Self::NoRoute
            | Self::RequestBody { .. }
            | Self::ClientLeft
            | Self::LimitReached { .. }
            | Self::Head(_)
            | Self::Connect => FaultClass::Rejected,
        };
        Fault {
            class,
            kind: self.kind(),
            message: self.to_string(),
        }
    }

    /// The answer, in the shape of an OpenAI error.
    #[must_use]
    pub fn response(&self) -> Response<Bytes> {
        let kind = match self.status() {
            StatusCode::SERVICE_UNAVAILABLE => "server_error",
            status if status.is_client_error() => "invalid_request_error",
            _ => "upstream_error",
        };
        let body = serde_json::json!({
            "error": {"message": self.to_string(), "type": kind, "param": null, "code": self.kind()}
        });
        let fields = [(&CONTENT_TYPE, "application/json"), (&MARKER, self.kind())];
        Response {
            status: self.status(),
            reason: None,
            fields: fields.into_iter().collect(),
            body: Bytes::from(body.to_string()),
        }
    }
}

/// The first error of the system's among the causes of an error.
pub(super) fn io_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a io::Error> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// An error, and what caused it, down to the innermost cause.
pub(super) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| {
        (*error).source()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_ours_has_the_openai_shape_and_the_marker() {
        let response = ProxyError::ConnectTimeout {
            upstream: "vllm".into(),
        }
        .response();
        assert_eq!(response.status, StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(response.fields.text(&MARKER), Some("connect_timeout"));
        let body: serde_json::Value = serde_json::from_slice(&response.body).expect("it is JSON");
        assert_eq!(
            body,
            serde_json::json!({"error": {
                "message": "upstream vllm could not be connected to in time",
                "type": "upstream_error", "param": null, "code": "connect_timeout"
            }})
        );
    }
}
