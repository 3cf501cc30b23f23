//! The response body as it is read from an upstream.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::SizeHint;
use tokio::task::AbortHandle;

use super::http2;
use super::socket::Socket;
use super::unsent::Unsent;
use super::{BoxError, Sendable};
use crate::http1::{self, Upgraded};
use crate::idle::IdleTimeout;
use crate::message::{Body, Polled};
use crate::tap::{Describe, Fault, FaultClass};

/// Why an upstream's body broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The upstream or the way to it broke.
    #[error("the connection to the upstream broke during the response: {0}")]
    Cut(#[from] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing came for longer than the idle limit.
    #[error(
        "the upstream sent nothing for {0:?} during the response; if it needs longer, raise upstream.timeouts.idle"
    )]
    Idle(Duration),
}

impl Describe for BodyError {
    fn fault(&self) -> Fault {
        let (class, kind) = match self {
            Self::Cut(_) => (FaultClass::Cut, "stream_truncated"),
            Self::Idle(_) => (FaultClass::Timeout, "timeout"),
        };
        Fault {
            class,
            kind,
            message: self.to_string(),
        }
    }
}

/// A response body, by either version of HTTP.
pub(super) enum UpstreamBody<B: Sendable> {
    /// From a connection of its own.
    Http1(http1::ResponseBody<Socket, B>),
    /// From one that is shared.
    Http2(http2::ResponseBody<B>),
}

fn poll<F>(body: &mut F, cx: &mut Context<'_>) -> Polled<BodyError>
where
    F: Body<Error: Into<BoxError>>,
{
    let frame = ready!(body.poll_frame(cx));
    Poll::Ready(frame.map(|frame| frame.map_err(|error| BodyError::Cut(error.into()))))
}

/// A response body as it comes from the upstream, which may be silent only for so long.
pub struct ResponseBody<B: Sendable> {
    body: UpstreamBody<B>,
    idle: IdleTimeout,
    /// Sends what was left of the request when the response began.
    rest: Option<AbortHandle>,
}

impl<B: Sendable> ResponseBody<B> {
    /// A body that may be silent for as long as it likes.
    pub(super) fn new(body: UpstreamBody<B>) -> Self {
        Self {
            body,
            idle: IdleTimeout::default(),
            rest: None,
        }
    }

    /// Limits its silence from now on.
    pub(super) fn limit(&mut self, idle: IdleTimeout) {
        self.idle = idle;
    }

    /// Has the rest of the request sent, where the response has come before all of it was; the upstream may take nothing for
    /// no longer than `limit`. That goes on when the response is over, but not when it breaks off or is dropped.
    pub(super) fn send_rest(&mut self, limit: Option<Duration>) {
        let unsent = match &mut self.body {
            UpstreamBody::Http1(body) => body.unsent().map(Unsent::Http1),
            UpstreamBody::Http2(body) => body.unsent().map(Unsent::Http2),
        };
        self.rest = unsent.map(|unsent| unsent.send(limit));
    }

    /// Whether it began before all of the request had been sent.
    #[must_use]
    pub const fn is_early(&self) -> bool {
        self.rest.is_some()
    }

    fn give_up_rest(&mut self) {
        if let Some(rest) = self.rest.take() {
            rest.abort();
        }
    }

    /// The connection after a `101`, where it can be another protocol's; once.
    pub fn upgraded(&mut self) -> Option<Upgraded> {
        match &mut self.body {
            UpstreamBody::Http1(body) => body.upgraded(),
            UpstreamBody::Http2(_) => None,
        }
    }
}

impl<B: Sendable> Body for ResponseBody<B> {
    type Error = BodyError;

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<BodyError> {
        let frame = match &mut self.body {
            UpstreamBody::Http1(body) => poll(body, cx),
            UpstreamBody::Http2(body) => poll(body, cx),
        };
        if let Poll::Ready(frame) = frame {
            self.idle.reset();
            if matches!(frame, Some(Err(_))) {
                self.give_up_rest();
            }
            return Poll::Ready(frame);
        }
        let limit = ready!(self.idle.poll_elapsed(cx));
        if let UpstreamBody::Http2(body) = &self.body {
            body.give_up();
        }
        Poll::Ready(Some(Err(BodyError::Idle(limit))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            UpstreamBody::Http1(body) => body.is_end_stream(),
            UpstreamBody::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            UpstreamBody::Http1(body) => body.size_hint(),
            UpstreamBody::Http2(body) => body.size_hint(),
        }
    }

    fn unread(&mut self) -> u64 {
        let unread = match &mut self.body {
            UpstreamBody::Http1(body) => body.unread(Socket::waiting),
            UpstreamBody::Http2(body) => body.unread(),
        };
        unread as u64
    }
}

impl<B: Sendable> Drop for ResponseBody<B> {
    fn drop(&mut self) {
        if !self.is_end_stream() {
            self.give_up_rest();
        }
    }
}
