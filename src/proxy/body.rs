//! The request body as an upstream gets it, the response body as it is read from there, and as the client gets it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Either;
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::connector::BoxError;
use super::error::ProxyError;
use super::silence::Silence;
use super::stream::Stream;
use super::usage::{Filter, Splice};
use crate::http1::{self, Upgraded};
use crate::tee::{self, Event, Fault, FaultClass, RequestTee, ResponseTee, Tap};

/// The body of a request, by either version of HTTP.
pub type RequestBody = Either<http1::RequestBody, Incoming>;

/// The request body that goes upstream. Its first poll is the instant at which a connection took the request.
///
/// It is made where the request comes in, and boxed: nothing of it is moved on its way to the connection.
#[derive(Debug)]
pub struct Outgoing {
    tap: Tap,
    sent: bool,
    /// What was read ahead, in one piece.
    ahead: Bytes,
    /// What is to be put into that.
    splice: Option<Splice>,
    /// Trailers, where they were read ahead.
    trailers: Option<Box<HeaderMap>>,
    /// What is still to be read from the client.
    rest: Option<RequestTee<RequestBody>>,
    /// There while something is still to be read from the client.
    upload: Option<oneshot::Sender<ProxyError>>,
    /// Whether the client said how long the body is.
    has_length: bool,
}

/// Resolves when the client's part of a request body is over: with an error where it broke off. The upstream's
/// connection, which polls the body, tells neither.
pub type Upload = oneshot::Receiver<ProxyError>;

impl Outgoing {
    /// The body of a request that came at this time. Nothing is read yet.
    #[must_use]
    pub fn new(body: RequestBody, tap: Tap, received: Instant) -> Box<Self> {
        let body = RequestTee::new(body, tap.clone(), received);
        Box::new(Self {
            tap,
            sent: false,
            ahead: Bytes::new(),
            splice: None,
            trailers: None,
            has_length: body.size_hint().exact().is_some(),
            rest: Some(body),
            upload: None,
        })
    }

    /// Reads until the body is over or more than `limit` bytes have come.
    ///
    /// # Errors
    /// When the client's body breaks off.
    pub async fn read_ahead(&mut self, limit: usize) -> Result<(), BoxError> {
        if let Some(rest) = &mut self.rest {
            let read = rest.read_ahead(limit).await?;
            self.ahead = read.bytes;
            self.trailers = read.trailers;
            if read.over {
                self.rest = None;
            }
        }
        Ok(())
    }

    /// The whole body, where it was read ahead to its end.
    #[must_use]
    pub fn whole(&self) -> Option<&[u8]> {
        self.rest.is_none().then_some(&self.ahead)
    }

    /// Has these bytes put into a body that was read ahead. Nothing is copied.
    pub const fn put_in(&mut self, splice: Splice) {
        self.splice = Some(splice);
    }

    /// The body once more, without what is put in, for a request that may have to be repeated.
    #[must_use]
    pub fn original(&self) -> Box<Self> {
        Box::new(Self {
            tap: self.tap.clone(),
            sent: false,
            ahead: self.ahead.clone(),
            splice: None,
            trailers: self.trailers.clone(),
            rest: None,
            upload: None,
            has_length: self.has_length,
        })
    }

    /// How many bytes it has that need not be waited for.
    #[must_use]
    pub fn bytes_ahead(&self) -> usize {
        self.ahead.len() + self.splice.map_or(0, |splice| splice.text.len())
    }

    /// Tells when the client's part is over, where that is still to come.
    pub fn upload(&mut self) -> Option<Upload> {
        self.rest.as_ref().filter(|rest| !rest.is_end_stream())?;
        let (sender, upload) = oneshot::channel();
        self.upload = Some(sender);
        Some(upload)
    }

    /// The next piece of what was read ahead.
    fn next_ahead(&mut self) -> Option<Bytes> {
        let piece = match &mut self.splice {
            None => std::mem::take(&mut self.ahead),
            Some(Splice { at: 0, text }) => {
                let text = Bytes::from_static(text.as_bytes());
                self.splice = None;
                text
            }
            Some(splice) => self.ahead.split_to(std::mem::take(&mut splice.at)),
        };
        (!piece.is_empty()).then_some(piece)
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
        if let Some(bytes) = self.next_ahead() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if let Some(trailers) = self.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(*trailers))));
        }
        self.poll_rest(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.bytes_ahead() == 0
            && self.trailers.is_none()
            && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    /// Exact where the client gave a length. What the client sent in chunks goes on in chunks, read ahead or not.
    fn size_hint(&self) -> SizeHint {
        if !self.has_length {
            return SizeHint::default();
        }
        let rest = self
            .rest
            .as_ref()
            .map_or(0, |rest| rest.size_hint().lower());
        SizeHint::with_exact(self.bytes_ahead() as u64 + rest)
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

/// A response body, by either version of HTTP.
pub(super) enum UpstreamBody {
    /// From a connection of its own.
    Http1(http1::ResponseBody<Stream, Box<Outgoing>>),
    /// From one that is shared.
    Http2(Incoming),
}

impl UpstreamBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        match self {
            Self::Http1(body) => poll(body, cx),
            Self::Http2(body) => poll(body, cx),
        }
    }
}

fn poll<B>(body: &mut B, cx: &mut Context<'_>) -> Polled
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    let frame = ready!(Pin::new(body).poll_frame(cx));
    Poll::Ready(frame.map(|frame| frame.map_err(|error| BodyError::Cut(error.into()))))
}

type Polled = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

/// A response body as it comes from the upstream, watched for silence.
pub struct ResponseBody {
    body: UpstreamBody,
    silence: Silence,
}

impl ResponseBody {
    /// A body that may be silent for as long as it likes.
    pub(super) fn new(body: UpstreamBody) -> Self {
        Self {
            body,
            silence: Silence::default(),
        }
    }

    /// Has its silence watched from now on.
    pub(super) fn watch(&mut self, silence: Silence) {
        self.silence = silence;
    }

    /// The connection after a `101`, where it can be another protocol's.
    pub(super) fn into_upgraded(self) -> Option<Upgraded> {
        match self.body {
            UpstreamBody::Http1(body) => body.into_upgraded(),
            UpstreamBody::Http2(_) => None,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let this = &mut *self;
        let frame = this.body.poll_frame(cx);
        if frame.is_ready() {
            this.silence.broken();
            return frame;
        }
        let limit = ready!(this.silence.poll_too_long(cx));
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
}

/// The body of an answer.
pub enum ClientBody {
    /// The upstream's. Boxed: an answer is moved several times before its body is.
    Upstream(Box<ResponseTee<ResponseBody, Filter>>),
    /// Our own, until it has been handed over.
    Own(Option<Bytes>),
}

impl From<Bytes> for ClientBody {
    fn from(own: Bytes) -> Self {
        Self::Own(Some(own).filter(|own| !own.is_empty()))
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        match &mut *self {
            Self::Upstream(body) => Pin::new(body).poll_frame(cx),
            Self::Own(own) => Poll::Ready(own.take().map(|own| Ok(Frame::data(own)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Upstream(body) => body.is_end_stream(),
            Self::Own(own) => own.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Upstream(body) => body.size_hint(),
            Self::Own(own) => SizeHint::with_exact(own.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}
