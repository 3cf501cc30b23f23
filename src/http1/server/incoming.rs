//! What a client sends: the connection as its requests' bodies and its server share it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::http1::coding::{Decoder, Framing, cut};
use crate::http1::head::{self, HeadError};
use crate::http1::outgoing::Outgoing;
use crate::http1::upgrade::OnUpgrade;
use crate::http1::wire::Wire;
use crate::message::Request;

/// Most bytes of further requests that are read while one is being answered. Reading is how a client that leaves is noticed.
const READ_AHEAD: usize = 64 << 10;

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

    /// Whether something has come of a request. Empty lines before it are none (RFC 9112 §2.2).
    pub(super) fn has_input(&self) -> bool {
        let mut state = self.lock();
        let Some(wire) = &mut state.wire else {
            return false;
        };
        let input = wire.input();
        while input.starts_with(b"\r\n") {
            input.advance(2);
        }
        wire.release_input();
        !wire.input().is_empty()
    }

    pub(super) fn begins_with(&self, bytes: &[u8]) -> bool {
        let mut state = self.lock();
        state
            .wire
            .as_mut()
            .is_some_and(|wire| wire.input().starts_with(bytes))
    }

    /// A request's head, once it is there.
    pub(super) fn parse(&self) -> Result<Option<Request<()>>, HeadError> {
        let mut state = self.lock();
        let Some(wire) = &mut state.wire else {
            return Ok(None);
        };
        let request = head::parse_request(wire.input())?;
        wire.release_input();
        Ok(request)
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
        while !self.interim.is_empty() {
            let io = Pin::new(self.wire.as_mut().ok_or_else(cut)?.io());
            match ready!(io.poll_write(cx, self.interim))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.interim = &self.interim[written..],
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Shared<T> {
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

/// A connection, as the body of a request sees it.
trait Source: Send {
    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>>;
    fn is_done(&self) -> bool;
    fn size_hint(&self) -> SizeHint;
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Source for Shared<T> {
    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
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
        frame
    }

    fn is_done(&self) -> bool {
        self.lock().decoder.is_done()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().decoder.size_hint()
    }
}

/// The body of a request, read from its connection as it is asked for.
pub struct RequestBody {
    source: Arc<dyn Source + Sync>,
    /// Nothing is left, or it broke off: the connection is not asked again, since it may be at the next request.
    done: bool,
    on_upgrade: Option<OnUpgrade>,
}

impl RequestBody {
    pub(super) fn new<T>(
        shared: &Arc<Shared<T>>,
        framing: Framing,
        expects: bool,
        on_upgrade: Option<OnUpgrade>,
    ) -> Self
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut state = shared.lock();
        state.decoder = Decoder::new(framing);
        state.expects = expects;
        let done = state.decoder.is_done();
        drop(state);
        Self {
            source: Arc::<Shared<T>>::clone(shared),
            done,
            on_upgrade,
        }
    }

    /// The connection after a `101`, where the request asks for one; once.
    pub fn on_upgrade(&mut self) -> Option<OnUpgrade> {
        self.on_upgrade.take()
    }
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestBody")
            .field("done", &self.done)
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
        if self.done {
            return Poll::Ready(None);
        }
        let frame = self.source.poll_frame(cx);
        self.done = match &frame {
            Poll::Pending => false,
            Poll::Ready(Some(Ok(_))) => self.source.is_done(),
            Poll::Ready(_) => true,
        };
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.done
    }

    fn size_hint(&self) -> SizeHint {
        if self.done {
            return SizeHint::with_exact(0);
        }
        self.source.size_hint()
    }
}
