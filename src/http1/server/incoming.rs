//! What a client sends: the connection as its requests' bodies and its server share it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, Bytes};
use http::header::{EXPECT, UPGRADE};
use http::{Method, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

use super::sending::Asked;
use crate::http1::coding::{Decoder, Framing, cut, names};
use crate::http1::head::{self, HeadError};
use crate::http1::outgoing::Outgoing;
use crate::http1::upgrade::{OnUpgrade, Upgraded};
use crate::http1::wire::Wire;
use crate::message::Request;

/// Most bytes of further requests that are read while one is being answered. Reading is how a client that leaves is noticed.
const READ_AHEAD: usize = 64 << 10;

/// How HTTP/2 begins (RFC 9113 §3.4).
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n";
/// What a client is told that asks before it sends its body.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A connection, shared by its server and the body of the request being answered. Both mostly run in the same task.
pub(super) struct Shared<T>(Mutex<State<T>>);

struct State<T> {
    /// Gone when the connection has become another protocol's.
    wire: Option<Wire<T>>,
    /// Of the current request.
    decoder: Decoder,
    /// Whether the client waits to be told to send its body.
    expects: bool,
    /// What has still to be written of that.
    interim: &'static [u8],
    /// The server's task, where it waits for the body to be over, and another task reads it.
    watching: Option<Waker>,
}

impl<T> Shared<T> {
    pub(super) fn new(io: T) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            wire: Some(Wire::new(io)),
            decoder: Decoder::new(Framing::Length(0)),
            expects: false,
            interim: b"",
            watching: None,
        })))
    }

    /// A poisoned lock still holds a whole state: nothing in a critical section can panic half-way through a change.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, for another protocol.
    pub(super) fn take(&self) -> Option<Wire<T>> {
        self.lock().wire.take()
    }

    /// Whether the body of the current request has been read to its end.
    pub(super) fn is_read(&self) -> bool {
        self.lock().decoder.is_over()
    }

    /// What still comes is no message.
    pub(super) fn give_up_reading(&self) {
        self.lock().decoder = Decoder::new(Framing::UntilClose);
    }
}

impl<T> State<T> {
    fn wire(&mut self) -> io::Result<&mut Wire<T>> {
        self.wire.as_mut().ok_or_else(cut)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> State<T> {
    /// Writes what is left of the interim response.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.interim.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let io = self.wire.as_mut().ok_or_else(cut)?.io();
        while !self.interim.is_empty() {
            match ready!(Pin::new(&mut *io).poll_write(cx, self.interim))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.interim = &self.interim[written..],
            }
        }
        Pin::new(io).poll_flush(cx)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Shared<T> {
    /// Resolves once something has come of a request; with false at the end of the connection. Empty lines before a
    /// request are nothing (RFC 9112 §2.2).
    pub(super) fn poll_input(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.lock();
        let Ok(wire) = state.wire() else {
            return Poll::Ready(false);
        };
        loop {
            let input = wire.input();
            while input.starts_with(b"\r\n") {
                input.advance(2);
            }
            if !input.is_empty() {
                return Poll::Ready(true);
            }
            wire.release_input();
            if !matches!(ready!(wire.poll_fill(cx)), Ok(1..)) {
                return Poll::Ready(false);
            }
        }
    }

    /// Reads more of a head. Zero is the end of the connection.
    pub(super) fn poll_fill(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.lock().wire()?.poll_fill(cx)
    }

    /// Writes what has been gathered of an answer.
    pub(super) fn poll_write<B>(
        &self,
        cx: &mut Context<'_>,
        answer: &mut Outgoing<B>,
    ) -> Poll<io::Result<()>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut state = self.lock();
        // The answer says all that there is to say about whether to send the body (RFC 9110 §10.1.1).
        state.expects = false;
        ready!(state.poll_interim(cx))?;
        answer.poll_write(state.wire()?.io(), cx)
    }

    pub(super) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().wire()?.poll_shutdown(cx)
    }

    /// Reads and forgets; zero is the end.
    pub(super) fn poll_discard(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        let wire = state.wire()?;
        wire.input().clear();
        wire.poll_fill(cx)
    }

    /// Resolves when the client has left. Noticed only once its request has been read, and as long as it has not sent
    /// too much of the next ones: what else is there to be read comes before its leaving.
    pub(super) fn poll_departed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !state.decoder.is_over() {
            state.watching = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let Ok(wire) = state.wire() else {
            return Poll::Ready(());
        };
        while wire.input().len() < READ_AHEAD {
            match wire.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        Poll::Pending
    }
}

/// A request that has come, but for its body.
pub(super) struct Call {
    pub(super) request: Request<RequestBody>,
    pub(super) asked: Asked,
    /// Who waits for the connection, where the request asks for another protocol.
    pub(super) upgrade: Option<oneshot::Sender<Upgraded>>,
}

/// Why what has come is no request.
pub(super) enum NoCall {
    /// It is of another protocol; nothing has been taken off the input.
    Http2,
    /// It is malformed.
    Head(HeadError),
}

impl From<HeadError> for NoCall {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Shared<T> {
    /// The next request, once its head is there.
    pub(super) fn call(self: &Arc<Self>) -> Result<Option<Call>, NoCall> {
        let state = &mut *self.lock();
        let Some(wire) = &mut state.wire else {
            return Ok(None);
        };
        if wire.input().starts_with(HTTP2) {
            return Err(NoCall::Http2);
        }
        let Some(request) = head::parse_request(wire.input())? else {
            return Ok(None);
        };
        wire.release_input();
        let (version, fields) = (request.version, &request.fields);
        state.decoder = Decoder::new(Framing::of_request(version, fields)?);
        let http11 = version == Version::HTTP_11;
        let expects = fields.get(EXPECT).filter(|_| http11);
        state.expects = expects.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
        let persistent = if http11 {
            !names(fields, "close")
        } else {
            names(fields, "keep-alive")
        };
        let asked = Asked {
            to_head: request.method == Method::HEAD,
            http11,
            persistent,
        };
        let (upgrade, on_upgrade) = (http11 && fields.contains(UPGRADE))
            .then(oneshot::channel)
            .unzip();
        let body = RequestBody {
            source: Arc::<Self>::clone(self),
            left: Left::of(&state.decoder),
            on_upgrade,
        };
        Ok(Some(Call {
            request: request.map(|()| body),
            asked,
            upgrade,
        }))
    }
}

/// A connection, as the body of a request sees it.
trait Source: Send {
    /// The next frame, and what is left after it.
    fn poll_frame(
        &self,
        cx: &mut Context<'_>,
        left: &mut Left,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>>;
}

/// What is left of a body. Kept by the body, so that the connection need not be locked to be asked.
#[derive(Debug)]
struct Left {
    size: SizeHint,
    /// Nothing, trailers neither.
    nothing: bool,
}

impl Left {
    fn of(decoder: &Decoder) -> Self {
        Self {
            size: decoder.size_hint(),
            nothing: decoder.is_done(),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Source for Shared<T> {
    fn poll_frame(
        &self,
        cx: &mut Context<'_>,
        left: &mut Left,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let state = &mut *self.lock();
        if std::mem::take(&mut state.expects) && state.wire()?.input().is_empty() {
            state.interim = CONTINUE;
            // What does not leave now does with the response.
            let _ = state.poll_interim(cx)?;
        }
        let Some(wire) = &mut state.wire else {
            return Poll::Ready(Some(Err(cut())));
        };
        let frame = wire.poll_frame(cx, &mut state.decoder);
        if state.decoder.is_over()
            && let Some(watching) = state.watching.take()
            && !watching.will_wake(cx.waker())
        {
            watching.wake();
        }
        *left = Left::of(&state.decoder);
        frame
    }
}

/// The body of a request, read from its connection as it is asked for.
pub struct RequestBody {
    source: Arc<dyn Source + Sync>,
    left: Left,
    on_upgrade: Option<OnUpgrade>,
}

impl RequestBody {
    /// The connection after a `101`, where the request asks for one; once.
    pub fn on_upgrade(&mut self) -> Option<OnUpgrade> {
        self.on_upgrade.take()
    }
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestBody")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        // The connection is not asked again where nothing is left, since it may be at the next request.
        if this.left.nothing {
            return Poll::Ready(None);
        }
        let frame = this.source.poll_frame(cx, &mut this.left);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            this.left = Left::of(&Decoder::Closed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.left.nothing
    }

    fn size_hint(&self) -> SizeHint {
        self.left.size
    }
}
