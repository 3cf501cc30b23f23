//! The request body as an upstream gets it, and the response body as it is read from there.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until};

use super::RequestBody;
use super::carrier::UpstreamBody;
use super::connector::BoxError;
use super::error::ProxyError;
use crate::tee::{self, Event, Fault, FaultClass, RequestTee, Tap};

/// The request body that goes upstream. Its first poll is the instant at which a connection took the request.
#[derive(Debug)]
pub struct Outgoing {
    tap: Tap,
    sent: bool,
    /// Frames that were read ahead.
    ahead: VecDeque<Bytes>,
    trailers: Option<Box<HeaderMap>>,
    /// What is still to be read from the client.
    rest: Option<RequestTee<RequestBody>>,
    /// There while something is still to be read from the client.
    upload: Option<oneshot::Sender<ProxyError>>,
    has_length: bool,
}

/// Resolves when the client's part of a request body is over: with an error where it broke off. The upstream's
/// connection, which polls the body, tells neither.
pub type Upload = oneshot::Receiver<ProxyError>;

impl Outgoing {
    /// A body of what was read ahead, and what is still to come from the client; with an [`Upload`] where something is.
    #[must_use]
    pub fn new(tap: Tap, read: ReadAhead) -> (Self, Option<Upload>) {
        let rest = read.rest.as_ref().filter(|rest| !rest.is_end_stream());
        let (sender, upload) = rest.map(|_| oneshot::channel()).unzip();
        let body = Self {
            tap,
            sent: false,
            ahead: read.frames,
            trailers: read.trailers,
            rest: read.rest,
            upload: sender,
            has_length: read.has_length,
        };
        (body, upload)
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(&mut *rest).poll_frame(cx);
        match &frame {
            Poll::Ready(Some(Err(error))) => {
                if let Some(upload) = self.upload.take() {
                    // Nobody listens any more where the upstream has answered already.
                    let _ = upload.send(ProxyError::of_request_body(&**error));
                }
            }
            Poll::Ready(None) => self.upload = None,
            // The connection may not poll again after the last frame.
            Poll::Ready(_) if rest.is_end_stream() => self.upload = None,
            _ => {}
        }
        frame
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.sent {
            self.sent = true;
            self.tap.show(Event::Sent(Instant::now()));
        }
        if let Some(bytes) = self.ahead.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if let Some(trailers) = self.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(*trailers))));
        }
        self.poll_rest(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty()
            && self.trailers.is_none()
            && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    /// Exact where the client gave a length. What the client sent in chunks goes on in chunks, read ahead or not.
    fn size_hint(&self) -> SizeHint {
        if !self.has_length {
            return SizeHint::default();
        }
        let ahead: u64 = self.ahead.iter().map(|bytes| bytes.len() as u64).sum();
        let rest = self
            .rest
            .as_ref()
            .map_or(0, |rest| rest.size_hint().lower());
        SizeHint::with_exact(ahead + rest)
    }
}

/// What was read of a request body before it was sent on.
#[derive(Debug, Default)]
pub struct ReadAhead {
    /// Frames in their order.
    pub frames: VecDeque<Bytes>,
    /// Trailers, once the body is over.
    pub trailers: Option<Box<HeaderMap>>,
    /// The rest; `None` when the body is over.
    pub rest: Option<RequestTee<RequestBody>>,
    /// Whether the client said how long the body is.
    pub has_length: bool,
}

impl ReadAhead {
    /// Nothing read ahead.
    #[must_use]
    pub fn nothing(body: RequestTee<RequestBody>) -> Self {
        Self {
            has_length: body.size_hint().exact().is_some(),
            rest: Some(body),
            ..Self::default()
        }
    }

    /// Reads until the body is over or more than `limit` bytes have come.
    ///
    /// # Errors
    /// When the client's body breaks off.
    pub async fn up_to(limit: usize, mut body: RequestTee<RequestBody>) -> Result<Self, BoxError> {
        let has_length = body.size_hint().exact().is_some();
        let ahead = body.read_ahead(limit).await?;
        Ok(Self {
            frames: [ahead.bytes].into(),
            trailers: ahead.trailers,
            rest: (!ahead.over).then_some(body),
            has_length,
        })
    }

    /// The whole body in one piece; `None` where there is more to come, or was more than one piece.
    #[must_use]
    pub fn whole(&self) -> Option<Bytes> {
        match (&self.rest, self.frames.as_slices()) {
            (None, ([whole], [])) => Some(whole.clone()),
            _ => None,
        }
    }
}

/// Why an upstream's body broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The upstream or the way to it broke.
    #[error("the upstream broke off: {0}")]
    Cut(#[from] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing came for longer than the idle limit.
    #[error("nothing came from the upstream for {0:?}")]
    Idle(Duration),
}

impl tee::response::Describe for BodyError {
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

/// A response body as it comes from the upstream, watched for silence.
///
/// The limit runs only while the upstream is waited for: a slow client does not run it down.
pub struct ResponseBody {
    body: UpstreamBody,
    limit: Option<Duration>,
    waiting_since: Option<Instant>,
    /// Set once and moved on only when it fires, so that a frame costs no timer.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl ResponseBody {
    /// A body whose frames may be this far apart.
    #[must_use]
    pub fn new(body: UpstreamBody, limit: Option<Duration>) -> Self {
        Self {
            body,
            limit,
            waiting_since: None,
            alarm: None,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waiting_since = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)));
        }
        let Some(limit) = this.limit else {
            return Poll::Pending;
        };
        let deadline = *this.waiting_since.get_or_insert_with(Instant::now) + limit;
        let alarm = this
            .alarm
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        while alarm.as_mut().poll(cx).is_ready() {
            if alarm.deadline() >= deadline {
                return Poll::Ready(Some(Err(BodyError::Idle(limit))));
            }
            alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
