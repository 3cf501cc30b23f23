//! What a client sends: the connection as its requests' bodies and its server share it.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Buf as _;
use http::header::{EXPECT, UPGRADE};
use http::{Method, Version};
use http_body::SizeHint;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep};

use crate::http1::coding::{Decoder, Framing, cut, names};
use crate::http1::head::{self, HeadError};
use crate::http1::outgoing::Outgoing;
use crate::http1::peer::Peer;
use crate::http1::upgrade::{OnUpgrade, Upgraded};
use crate::http1::wire::Wire;
use crate::message::{Body, Polled, Request};

/// Most bytes of further requests that are read while one is being answered. Reading is how a client that leaves is noticed.
const READ_AHEAD: usize = 64 << 10;
/// How often it is looked whether a client has left behind bytes that are not read for now.
const LOOK: Duration = Duration::from_millis(500);

/// How a connection of HTTP/2 begins (RFC 9113 §3.4).
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n";
/// What a client is told that asks before it sends its body.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A connection, shared by its server and the body of the request being answered. Both mostly run in the same task.
///
/// A body may outlive its request: an HTTP/2 upstream that has answered may still be sent it. From then on what the
/// connection brings is not that body's, and it may not read any more.
pub(super) struct SharedConnection<T>(Mutex<ConnectionState<T>>);

struct ConnectionState<T> {
    /// Gone when the connection is over, or has become another protocol's.
    wire: Option<Wire<T>>,
    /// Counts the requests, and goes up when one is over: a body of another request is dead.
    request: u64,
    /// Of the current request.
    decoder: Decoder,
    /// Whether somebody may still read the current body.
    has_reader: bool,
    /// The task that waits for more of the current body.
    reading: Option<Waker>,
    /// Whether the client waits to be told to send its body.
    expects: bool,
    /// What has still to be written of that.
    interim: &'static [u8],
    /// The server's task, where it waits for the body to be over, and another task reads it.
    watching: Option<Waker>,
    /// Fires for a look at whether the client has left. Only bytes that wait for long enough make one.
    look: Option<Pin<Box<Sleep>>>,
}

impl<T> SharedConnection<T> {
    pub(super) fn new(io: T) -> Arc<Self> {
        Arc::new(Self(Mutex::new(ConnectionState {
            wire: Some(Wire::new(io)),
            request: 0,
            has_reader: false,
            reading: None,
            decoder: Decoder::new(Framing::Length(0)),
            expects: false,
            interim: b"",
            watching: None,
            look: None,
        })))
    }

    /// A poisoned lock still holds a whole state: nothing in a critical section can panic half-way through a change.
    fn lock(&self) -> MutexGuard<'_, ConnectionState<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, for another protocol.
    pub(super) fn take(&self) -> Option<Wire<T>> {
        self.lock().wire.take()
    }

    /// The current request is over: no body of it can be read any more.
    pub(super) fn end_request(&self) {
        self.lock().let_go();
    }

    /// The connection is over, whoever still has a body of it.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.let_go();
        state.wire = None;
    }

    /// Whether the body of the current request has been read to its end, with its trailers, or somebody reads it whose client
    /// has been told to send it.
    pub(super) fn is_read(&self) -> bool {
        let state = self.lock();
        state.decoder.is_done() || (state.has_reader && !state.expects)
    }

    /// What still comes is no message.
    pub(super) fn give_up_reading(&self) {
        self.lock().decoder = Decoder::new(Framing::UntilClose);
    }
}

impl<T> ConnectionState<T> {
    fn wire(&mut self) -> io::Result<&mut Wire<T>> {
        self.wire.as_mut().ok_or_else(cut)
    }

    /// Takes the connection from the body that reads it.
    fn let_go(&mut self) {
        self.request += 1;
        self.expects = false;
        self.has_reader = false;
        if let Some(reading) = self.reading.take()
            && !self.decoder.is_done()
        {
            // It would not be woken otherwise: what comes next wakes whoever reads next.
            reading.wake();
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> ConnectionState<T> {
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

impl<T: Peer> ConnectionState<T> {
    /// Resolves when the client has left behind bytes that nobody reads for now.
    fn poll_left_behind(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(wire) = &mut self.wire else {
            return Poll::Ready(());
        };
        let look = self.look.get_or_insert_with(|| Box::pin(sleep(LOOK)));
        while look.as_mut().poll(cx).is_ready() {
            if wire.io().has_finished() {
                return Poll::Ready(());
            }
            look.as_mut().reset(Instant::now() + LOOK);
        }
        Poll::Pending
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> SharedConnection<T> {
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
        B: Body,
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
}

impl<T: AsyncRead + AsyncWrite + Peer + Unpin> SharedConnection<T> {
    /// Resolves when whoever reads the body of the current request has come to its end, trailers included; with false where
    /// nobody will, or the client has left.
    pub(super) fn poll_read_through(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.lock();
        if state.decoder.is_done() || !state.has_reader {
            return Poll::Ready(state.decoder.is_done());
        }
        state.watching = Some(cx.waker().clone());
        match state.reading {
            Some(_) => Poll::Pending,
            None => state.poll_left_behind(cx).map(|()| false),
        }
    }

    /// Resolves when the client has left. Whoever reads from it notices that at once. Where nobody does, because its body
    /// is not taken, or because it has sent too much of further requests, it is looked for at times.
    pub(super) fn poll_departed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !state.decoder.is_over() {
            state.watching = Some(cx.waker().clone());
            return match state.reading {
                Some(_) => Poll::Pending,
                None => state.poll_left_behind(cx),
            };
        }
        let Ok(wire) = state.wire() else {
            return Poll::Ready(());
        };
        while wire.input().len() < READ_AHEAD {
            match wire.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        state.poll_left_behind(cx)
    }
}

/// A request that has come, but for its body.
pub(super) struct ReceivedRequest {
    pub(super) request: Request<RequestBody>,
    pub(super) asked: Asked,
    /// Who waits for the connection, where the request asks for another protocol.
    pub(super) upgrade: Option<oneshot::Sender<Upgraded>>,
}

/// What of a request decides about how it is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) to_head: bool,
    pub(super) http11: bool,
    /// Whether the connection could go on after the answer.
    pub(super) persistent: bool,
}

/// Why what has come is no request.
pub(super) enum NoRequest {
    /// It is of another protocol; nothing has been taken off the input.
    Http2,
    /// Its head is malformed, or says what no request may say; then what was read of it.
    Head(HeadError, Option<Box<Request<()>>>),
}

impl From<HeadError> for NoRequest {
    fn from(error: HeadError) -> Self {
        Self::Head(error, None)
    }
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> SharedConnection<T> {
    /// The next request, once its head is there.
    pub(super) fn call(self: &Arc<Self>) -> Result<Option<ReceivedRequest>, NoRequest> {
        let state = &mut *self.lock();
        let Some(wire) = &mut state.wire else {
            return Ok(None);
        };
        if state.request == 0 && wire.input().starts_with(HTTP2) {
            return Err(NoRequest::Http2);
        }
        let Some(mut request) = head::parse_request(wire.input())? else {
            return Ok(None);
        };
        wire.release_input();
        let version = request.version;
        let framing = head::check_host(&request)
            .and_then(|()| Framing::of_request(version, &mut request.fields));
        let framing = match framing {
            Ok(framing) => framing,
            Err(error) => return Err(NoRequest::Head(error, Some(Box::new(request)))),
        };
        let fields = &request.fields;
        state.decoder = Decoder::new(framing);
        state.has_reader = true;
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
            request: state.request,
            left: Left::of(&state.decoder),
            on_upgrade,
        };
        Ok(Some(ReceivedRequest {
            request: request.map(|()| body),
            asked,
            upgrade,
        }))
    }
}

/// A connection, as the body of a request sees it.
trait Source: Send {
    /// The next frame of this request's body, or what comes added to `onto`, and what is left after it.
    ///
    /// # Errors
    /// When the connection broke, or has left that request behind.
    fn poll_frame(
        &self,
        request: u64,
        cx: &mut Context<'_>,
        left: &mut Left,
        onto: Option<&mut Vec<u8>>,
    ) -> Polled<io::Error>;

    /// Nobody reads this request's body any more.
    fn abandon(&self, request: u64);
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

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Source for SharedConnection<T> {
    fn poll_frame(
        &self,
        request: u64,
        cx: &mut Context<'_>,
        left: &mut Left,
        onto: Option<&mut Vec<u8>>,
    ) -> Polled<io::Error> {
        let state = &mut *self.lock();
        if state.request != request {
            return Poll::Ready(Some(Err(cut())));
        }
        if std::mem::take(&mut state.expects) && state.wire()?.input().is_empty() {
            state.interim = CONTINUE;
            // What does not leave now does with the response.
            let _ = state.poll_interim(cx)?;
        }
        let Some(wire) = &mut state.wire else {
            return Poll::Ready(Some(Err(cut())));
        };
        let frame = match onto {
            Some(gathered) => wire.poll_onto(cx, &mut state.decoder, gathered),
            None => wire.poll_frame(cx, &mut state.decoder),
        };
        if matches!(frame, Poll::Ready(Some(Err(_)))) {
            state.has_reader = false;
        }
        if (state.decoder.is_over() || !state.has_reader)
            && let Some(watching) = state.watching.take()
            && !watching.will_wake(cx.waker())
        {
            watching.wake();
        }
        state.reading = frame.is_pending().then(|| cx.waker().clone());
        *left = Left::of(&state.decoder);
        frame
    }

    fn abandon(&self, request: u64) {
        let state = &mut *self.lock();
        if state.request == request {
            state.has_reader = false;
            state.watching.take().into_iter().for_each(Waker::wake);
        }
    }
}

/// The body of a request, read from its connection as it is asked for.
pub struct RequestBody {
    source: Arc<dyn Source + Sync>,
    /// Which of the connection's it is the body of.
    request: u64,
    left: Left,
    on_upgrade: Option<OnUpgrade>,
}

impl RequestBody {
    /// The connection after a `101`, where the request asks for one; once.
    pub fn on_upgrade(&mut self) -> Option<OnUpgrade> {
        self.on_upgrade.take()
    }

    fn poll(&mut self, cx: &mut Context<'_>, onto: Option<&mut Vec<u8>>) -> Polled<io::Error> {
        // The connection need not be asked again where nothing is left.
        if self.left.nothing {
            return Poll::Ready(None);
        }
        let left = &mut self.left;
        let frame = self.source.poll_frame(self.request, cx, left, onto);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.left = Left::of(&Decoder::Closed);
        }
        frame
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.left.nothing {
            self.source.abandon(self.request);
        }
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
    type Error = io::Error;

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<io::Error> {
        self.poll(cx, None)
    }

    fn poll_onto(&mut self, cx: &mut Context<'_>, gathered: &mut Vec<u8>) -> Polled<io::Error> {
        self.poll(cx, Some(gathered))
    }

    fn is_end_stream(&self) -> bool {
        self.left.nothing
    }

    fn size_hint(&self) -> SizeHint {
        self.left.size
    }
}
