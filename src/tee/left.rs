//! What becomes of an upstream's answer behind the departure of the client: it is cancelled, or read on within limits, and the
//! exchange is ended once.

use std::future::poll_fn;
use std::task::{Poll, ready};
use std::time::Duration;

use crate::message::{Body, Frame};
use crate::tap::{Aftermath, Closing, Event, Fate, Instant, Tap};

/// How far an answer is read whose client has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainLimits {
    /// For how long.
    pub time: Duration,
    /// So many bytes of its body, and what one more read brings.
    pub bytes: usize,
}

/// The end of an exchange whose client has left. Dropped it closes the exchange, so it has to be dropped behind the upstream's
/// body: then it knows how long it took to let go of the upstream.
#[derive(Debug)]
pub struct Parting {
    tap: Tap,
    /// Until it is told.
    closing: Option<Closing>,
    bytes: u64,
    fate: Fate,
}

impl Parting {
    /// The upstream is cancelled at once, in one of two ways; so many bytes of its answer nobody has read.
    #[must_use]
    pub const fn at_once(tap: Tap, closing: Closing, fate: Fate, unread: u64) -> Self {
        Self {
            tap,
            closing: Some(closing),
            bytes: unread,
            fate,
        }
    }

    /// The upstream's answer is going to be read on.
    #[must_use]
    pub fn reading_on(tap: Tap, closing: Closing) -> Self {
        tap.show(Event::Left(closing.at));
        Self {
            tap,
            closing: Some(closing),
            bytes: 0,
            fate: Fate::Stopped,
        }
    }

    /// When the client left.
    fn left(&self) -> Instant {
        self.closing
            .as_ref()
            .map_or_else(Instant::now, |closing| closing.at)
    }

    /// Until when its answer may be read.
    #[must_use]
    pub fn deadline(&self, limits: DrainLimits) -> Option<Instant> {
        self.left().checked_add(limits.time)
    }

    /// Nothing of an answer is read on, for this reason.
    pub const fn without_body(&mut self, fate: Fate) {
        self.fate = fate;
    }

    /// Reads the answer on, and shows it.
    pub async fn read_on<B: Body>(&mut self, body: &mut B, limits: DrainLimits) {
        let deadline = self.deadline(limits);
        let reading = poll_fn(|cx| {
            while self.bytes < limits.bytes as u64 {
                match ready!(body.poll_frame(cx)) {
                    Some(Ok(Frame::Data(bytes))) => {
                        self.bytes += bytes.len() as u64;
                        self.tap.show_response(Instant::now(), &bytes);
                        if body.is_end_stream() {
                            return Poll::Ready(Fate::Drained);
                        }
                    }
                    Some(Ok(Frame::Trailers(_))) | None => return Poll::Ready(Fate::Drained),
                    Some(Err(_)) => return Poll::Ready(Fate::Broken),
                }
            }
            Poll::Ready(Fate::LimitReached)
        });
        self.fate = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, reading)
                .await
                .unwrap_or(Fate::LimitReached),
            None => reading.await,
        };
    }
}

impl Drop for Parting {
    fn drop(&mut self) {
        let Some(mut closing) = self.closing.take() else {
            return;
        };
        if !self.fate.is_at_once() {
            closing.response_bytes += self.bytes;
        }
        closing.aftermath = Some(Aftermath {
            until: Instant::now(),
            bytes: self.bytes,
            fate: self.fate,
        });
        self.tap.close(closing);
    }
}
