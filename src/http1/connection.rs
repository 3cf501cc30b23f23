//! A connection to a server while it carries no exchange.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::Wire;

/// A connection between exchanges. Boxed, as it goes into the pool and out of it.
#[derive(Debug)]
pub struct Connection<T> {
    pub(super) wire: Box<Wire<T>>,
    /// How long it had been at rest when it was taken to be used again.
    pub(super) rested: Option<Duration>,
}

/// What a connection brings between exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing, and it is open.
    Idle,
    /// Its end, in order.
    Ended,
    /// Its end in any other way, or that the server will not wait any longer.
    Broken,
    /// Bytes that answer no request.
    Unsolicited,
}

/// How a server begins that ends a connection at rest because it has waited for long enough (RFC 9110 §15.5.9).
const TIMEOUTS: [&[u8]; 2] = [b"HTTP/1.1 408", b"HTTP/1.0 408"];

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Connection<T> {
    /// Makes a connection of a stream. Sends nothing yet.
    pub fn new(io: T) -> Self {
        Self::of(Box::new(Wire::new(io)))
    }

    /// A connection that is not in use now.
    pub(super) const fn of(wire: Box<Wire<T>>) -> Self {
        let rested = None;
        Self { wire, rested }
    }

    /// Whether it has been used before.
    pub const fn is_reused(&self) -> bool {
        self.rested.is_some()
    }

    /// What it has brought. Another request can be sent only where it is idle.
    pub(super) fn rest(&mut self) -> Rest {
        let mut cx = Context::from_waker(Waker::noop());
        match self.poll_rest(&mut cx) {
            Poll::Pending => Rest::Idle,
            Poll::Ready(Rest::Unsolicited)
                if TIMEOUTS
                    .iter()
                    .any(|said| self.wire.input().starts_with(said)) =>
            {
                Rest::Broken
            }
            Poll::Ready(rest) => rest,
        }
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Rest> {
        if !self.wire.input().is_empty() {
            return Poll::Ready(Rest::Unsolicited);
        }
        Poll::Ready(match ready!(self.wire.poll_fill(cx)) {
            Ok(0) => Rest::Ended,
            Ok(_) => Rest::Unsolicited,
            // Of TLS, whose end is often not announced.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Rest::Ended,
            Err(_) => Rest::Broken,
        })
    }

    /// Says that no further request comes, and waits for what the server makes of it.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub(super) async fn end(mut self) -> Rest {
        if poll_fn(|cx| self.wire.poll_shutdown(cx)).await.is_err() {
            return Rest::Broken;
        }
        poll_fn(|cx| self.poll_rest(cx)).await
    }
}
