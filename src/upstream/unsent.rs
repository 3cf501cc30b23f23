//! What is left of a request whose answer has come early: it goes on for as long as the upstream takes it.
//!
//! The answer is passed on meanwhile, and may be over long before. Whoever has the client's connection takes the next request
//! from it only behind the end of this one.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::socket::Socket;
use super::{Sendable, http2};
use crate::http1;
use crate::idle::IdleTimeout;

/// The rest of a request, by either version of HTTP.
pub(super) enum Unsent<B: Sendable> {
    Http1(http1::Unsent<Socket, B>),
    Http2(Box<http2::Unsent<B>>),
}

impl<B: Sendable> Unsent<B> {
    /// Sends it, apart from the answer. The upstream may take nothing for no longer than `limit`.
    pub(super) fn send(self, limit: Option<Duration>) -> AbortHandle {
        tokio::spawn(self.sent(limit)).abort_handle()
    }

    async fn sent(mut self, limit: Option<Duration>) {
        let (mut still, mut taken) = (IdleTimeout::of(limit), None);
        poll_fn(|cx| {
            if self.poll_send(cx).is_ready() {
                return Poll::Ready(());
            }
            let before = std::mem::replace(&mut taken, self.taken());
            if taken.is_none() || taken != before {
                still.reset();
            }
            if taken.is_none() {
                // The client is waited for, which has a limit of its own.
                return Poll::Pending;
            }
            still.poll_elapsed(cx).map(drop)
        })
        .await;
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Http1(unsent) => unsent.poll_send(cx),
            Self::Http2(unsent) => unsent.poll_send(cx),
        }
    }

    fn taken(&self) -> Option<u64> {
        match self {
            Self::Http1(unsent) => unsent.taken(),
            Self::Http2(unsent) => unsent.taken(),
        }
    }
}
