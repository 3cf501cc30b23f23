//! What a client is to the proxy: where it connects from, the body of its request, and its side of a connection that changes
//! its protocol; by our own HTTP/1.1, by HTTP/2, or by whatever server an application has.

use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::SizeHint;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use super::headers;
use crate::http1::{self, Upgraded};
use crate::idle::IdleTimeout;
use crate::message::{Body, Polled};
use crate::upstream::BoxError;

/// The other end of the connection a request came by.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its address; `None` where the server does not say.
    pub address: Option<SocketAddr>,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Whether there are too few file descriptors left for a call of its.
    pub no_room: bool,
}

/// The client sent nothing of a request's body for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing of it arrived for {0:?}")]
pub(super) struct BodyTimeout(pub(super) Duration);

/// The body of a request, which may be silent only for so long.
#[derive(Debug)]
pub struct RequestBody {
    source: Source,
    idle: IdleTimeout,
}

#[derive(Debug)]
enum Source {
    Http1(http1::RequestBody),
    Http2(Incoming),
    /// Of an application's server, with its way to change the protocol.
    Mounted(axum::body::Body, Option<hyper::upgrade::OnUpgrade>),
}

impl From<http1::RequestBody> for RequestBody {
    fn from(body: http1::RequestBody) -> Self {
        Source::Http1(body).into()
    }
}

impl From<Source> for RequestBody {
    fn from(source: Source) -> Self {
        let idle = IdleTimeout::default();
        Self { source, idle }
    }
}

impl RequestBody {
    /// Of a connection of HTTP/2.
    pub(crate) fn http2(body: Incoming) -> Self {
        Source::Http2(body).into()
    }

    /// Of an application's server. `upgrade` is what its requests have as an extension where they ask for another protocol.
    #[must_use]
    pub fn mounted(body: axum::body::Body, upgrade: Option<hyper::upgrade::OnUpgrade>) -> Self {
        Source::Mounted(body, upgrade).into()
    }

    /// Limits its silence from now on.
    pub(super) const fn limit(&mut self, idle: Option<Duration>) {
        self.idle.restart(idle);
    }

    /// What the source gives, unless that has been silent for too long.
    fn limited(&mut self, cx: &mut Context<'_>, frame: Polled<BoxError>) -> Polled<BoxError> {
        if frame.is_ready() {
            self.idle.reset();
            return frame;
        }
        let limit = ready!(self.idle.poll_elapsed(cx));
        Poll::Ready(Some(Err(BodyTimeout(limit).into())))
    }

    /// The client's side of a connection whose protocol the request asks to change; once.
    pub(super) fn on_upgrade(&mut self) -> Option<ClientUpgrade> {
        match &mut self.source {
            Source::Http1(body) => body.on_upgrade().map(ClientUpgrade::Own),
            Source::Http2(_) => None,
            Source::Mounted(_, upgrade) => upgrade.take().map(ClientUpgrade::Hyper),
        }
    }
}

impl Body for RequestBody {
    type Error = BoxError;

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<BoxError> {
        let frame = self.source.poll_frame(cx);
        self.limited(cx, frame)
    }

    fn poll_onto(&mut self, cx: &mut Context<'_>, gathered: &mut Vec<u8>) -> Polled<BoxError> {
        let frame = match &mut self.source {
            Source::Http1(body) => crossing(body.poll_onto(cx, gathered)),
            source => source.poll_frame(cx),
        };
        self.limited(cx, frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Http1(body) => body.is_end_stream(),
            Source::Http2(body) => body.is_end_stream(),
            Source::Mounted(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Http1(body) => body.size_hint(),
            Source::Http2(body) => body.size_hint(),
            Source::Mounted(body, _) => body.size_hint(),
        }
    }
}

impl Source {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<BoxError> {
        match self {
            Self::Http1(body) => crossing(body.poll_frame(cx)),
            Self::Http2(body) => Poll::Ready(match ready!(crossing(Body::poll_frame(body, cx))) {
                // A reset that names no error is an end for the HTTP library; here it is none: what came would go on as the
                // whole request.
                None if !body.is_end_stream() => Some(Err("the client reset the request".into())),
                frame => frame,
            }),
            Self::Mounted(body, _) => crossing(Body::poll_frame(body, cx)),
        }
    }
}

/// What of a frame passes on.
fn crossing(frame: Polled<impl Into<BoxError>>) -> Polled<BoxError> {
    frame.map(|frame| frame.map(|frame| frame.map(headers::crossing).map_err(Into::into)))
}

/// The client's side of a connection that is to change its protocol.
#[derive(Debug)]
pub(super) enum ClientUpgrade {
    Own(http1::OnUpgrade),
    Hyper(hyper::upgrade::OnUpgrade),
}

impl ClientUpgrade {
    /// The connection, once the `101` is out; `None` where that did not get as far as the client.
    pub(super) async fn connection(self) -> Option<Upgraded> {
        match self {
            Self::Own(upgrade) => upgrade.await.ok(),
            Self::Hyper(upgrade) => {
                let upgraded = upgrade.await.ok()?;
                Some(Upgraded::of(TokioIo::new(upgraded)))
            }
        }
    }
}
