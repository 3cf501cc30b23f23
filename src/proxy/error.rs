//! What the proxy says when it has to answer itself: an OpenAI-shaped error, a status that says whose fault it is, and a
//! marker header, so that nobody takes the answer for the upstream's.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, Method, StatusCode};

use super::client::BodyTimeout;
use crate::http1::HeadError;
use crate::message::{Fields, Response};
use crate::tap::{Fault, FaultClass};
use crate::upstream::{UpstreamError, io_error};

/// Marks an answer as ours; its value is the kind of error.
pub static MARKER: HeaderName = HeaderName::from_static("x-streamgauge-error");

/// After how many seconds a client may try again where we had no room for its call. Somebody else's call may end at any time; the SDKs
/// would come back within half a second, all of them.
const ROOM_AFTER: &str = "1";

/// Why the proxy answers itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// The upstream was not reached, or did not answer.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// No route takes the request.
    #[error(
        "no route matches this request: {why}; the routes in the configuration decide by {decides}; change the request, or add \
         a [[route]] without conditions for all others"
    )]
    NoRoute {
        /// What of the request none of them takes.
        why: Box<Unrouted>,
        /// What the routes look at.
        decides: Arc<str>,
    },
    /// The request's own body broke off or is malformed.
    #[error("the request body could not be read: {cause}")]
    RequestBody {
        /// What the transport said.
        cause: String,
    },
    /// The client sent nothing of the request's body for too long.
    #[error(
        "the request body did not arrive: nothing of it was received for {limit:?}; if clients need longer, raise \
         limits.client_body"
    )]
    BodyTimeout {
        /// The limit that is set.
        limit: Duration,
    },
    /// The client went away before its request was read to the end. Nobody reads this answer.
    #[error("the client closed the connection before its request was complete")]
    ClientLeft,
    /// The bytes are not a request.
    #[error("the request could not be read: {0}")]
    Head(HeadError),
    /// `CONNECT` asks for a forward proxy.
    #[error(
        "CONNECT is not supported: streamgauge is not a forward proxy; set OPENAI_BASE_URL to this address, and do not \
         set HTTPS_PROXY to it"
    )]
    Connect,
    /// A browser sent it for a page of another site, and it would get a key of ours.
    #[error(
        "the request was sent by a browser for a web page of another site, and would use a key of the proxy; if that page may \
         use it, add its origin to allow.origins"
    )]
    CrossSite,
    /// It is for a host that is not allowed.
    #[error(
        "the host of the request is not allowed; send the request to a name that allow.hosts lists, or add this one"
    )]
    Host,
    /// The client has connected where descriptors had run out.
    #[error(
        "streamgauge has too few file descriptors left for another call; retry later, or raise the limit of open files \
         (ulimit -n)"
    )]
    NoRoom,
}

/// What of a request no route takes. Of its body there is nothing in it but the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unrouted {
    /// Whatever its model is.
    #[error("its path is {}", shown(.0))]
    Path(String),
    /// The model that it names.
    #[error("its model is {} and its path is {}", shown(model), shown(path))]
    Model {
        /// As the body names it.
        model: String,
        /// Without the query.
        path: String,
    },
    /// It is no request whose body is read.
    #[error("it names no model, since the method is {0}, and its path is {path}", path = shown(.1))]
    Method(Method, String),
    /// Its body is too large to be read.
    #[error(
        "its model was not read, since its body has {}{bytes} bytes and limits.inspect_bytes is {limit}",
        if *.is_all { "" } else { "at least " }
    )]
    TooLarge {
        /// How large it is.
        bytes: u64,
        /// Whether that is all of it.
        is_all: bool,
        /// Most bytes that are read.
        limit: usize,
    },
    /// Its body is compressed.
    #[error("its model was not read, since its body has a content-encoding")]
    Coded,
    /// Its body could not be held.
    #[error("its model was not read, since too much memory is in use")]
    NotHeld,
    /// There is nothing in its body.
    #[error("it names no model, since its body is empty")]
    Empty,
    /// Its body is something else.
    #[error("it names no model, since its body is no JSON object")]
    NoObject,
    /// There is no model in its body.
    #[error("its body names no model (\"model\")")]
    NoModel,
}

/// Longest text of a client's that is shown whole, in characters.
const SHOWN: usize = 200;

/// A text of a client's, on one line.
fn shown(text: &str) -> String {
    let cut = text.char_indices().nth(SHOWN);
    let (text, more) = cut.map_or((text, ""), |(end, _)| (&text[..end], "…"));
    format!("{}{more}", text.escape_debug())
}

impl ProxyError {
    /// Why a client's request body broke off: the client went away, was too slow, or broke the rules of HTTP.
    #[must_use]
    pub fn of_request_body(error: &(dyn StdError + 'static)) -> Self {
        if let Some(BodyTimeout(limit)) = error.downcast_ref() {
            return Self::BodyTimeout { limit: *limit };
        }
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

    /// The same, said of the repeat of a request that the upstream had not processed the first time either.
    #[must_use]
    pub fn repeated(mut self) -> Self {
        if let Self::Upstream(UpstreamError::Unprocessed { twice, .. }) = &mut self {
            *twice = true;
        }
        self
    }

    /// Low-cardinality identifier, for `error.type` and the marker header.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Upstream(error) => error.kind(),
            Self::NoRoute { .. } => "no_route",
            Self::RequestBody { .. } => "request_body",
            Self::BodyTimeout { .. } => "body_timeout",
            Self::ClientLeft => "client_left",
            Self::Connect => "method_not_allowed",
            Self::Head(HeadError::Malformed(_) | HeadError::Target(_)) => "bad_request",
            Self::Head(HeadError::TargetTooLong) => "target_too_long",
            Self::CrossSite => "cross_site",
            Self::Host => "host_not_allowed",
            Self::NoRoom => "limit_reached",
            Self::Head(HeadError::TooLarge) => "head_too_large",
            Self::Head(HeadError::Timeout) => "head_timeout",
        }
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Upstream(error) => match error {
                UpstreamError::ConnectionRefused { .. }
                | UpstreamError::ConnectFailed { .. }
                | UpstreamError::CertificateRefused { .. }
                | UpstreamError::Broken { .. }
                | UpstreamError::Unprocessed { .. } => StatusCode::BAD_GATEWAY,
                UpstreamError::ConnectTimeout { .. }
                | UpstreamError::SendTimeout { .. }
                | UpstreamError::FirstByteTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
                UpstreamError::LimitReached { .. } => StatusCode::SERVICE_UNAVAILABLE,
            },
            Self::NoRoute { .. } => StatusCode::NOT_FOUND,
            Self::RequestBody { .. } | Self::ClientLeft => StatusCode::BAD_REQUEST,
            Self::Connect => StatusCode::METHOD_NOT_ALLOWED,
            Self::Head(HeadError::Malformed(_) | HeadError::Target(_)) => StatusCode::BAD_REQUEST,
            Self::Head(HeadError::TargetTooLong) => StatusCode::URI_TOO_LONG,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
            Self::Head(HeadError::TooLarge) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Head(HeadError::Timeout) | Self::BodyTimeout { .. } => {
                StatusCode::REQUEST_TIMEOUT
            }
        }
    }

    /// The same as the tee reports it.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let class = match self {
            Self::Upstream(error) => error.fault_class(),
            Self::NoRoute { .. }
            | Self::RequestBody { .. }
            | Self::BodyTimeout { .. }
            | Self::ClientLeft
            | Self::Head(_)
            | Self::Connect
            | Self::CrossSite
            | Self::Host
            | Self::NoRoom => FaultClass::Rejected,
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
        let mut fields: Fields = [(&CONTENT_TYPE, "application/json"), (&MARKER, self.kind())]
            .into_iter()
            .collect();
        // That of a lack of room; there is no other.
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            fields.append(RETRY_AFTER, ROOM_AFTER);
        }
        if *self == Self::NoRoom {
            fields.append(CONNECTION, "close");
        }
        Response {
            status: self.status(),
            reason: None,
            fields,
            body: Bytes::from(body.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_ours_has_the_openai_shape_and_the_marker() {
        let error = UpstreamError::ConnectTimeout {
            upstream: "vllm".into(),
            address: "10.0.0.1:8000".into(),
            limit: std::time::Duration::from_secs(10),
        };
        let response = ProxyError::from(error).response();
        assert_eq!(response.status, StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(response.fields.text(&MARKER), Some("connect_timeout"));
        let body: serde_json::Value = serde_json::from_slice(&response.body).expect("it is JSON");
        assert_eq!(
            body,
            serde_json::json!({"error": {
                "message": "cannot connect to upstream vllm at 10.0.0.1:8000 in time (upstream.timeouts.connect is 10s); \
                    check that its URL (upstream.url) is right and that no firewall drops the connection",
                "type": "upstream_error", "param": null, "code": "connect_timeout"
            }})
        );
    }
}
