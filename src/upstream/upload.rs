//! How far the client's part of a request body has come: told by the body to the call that sends it.
//!
//! The connection that takes the body says neither why it broke off, nor that it takes no more of it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::idle::IdleTimeout;

/// The body's end. Dropped, the client's part is over.
#[derive(Debug)]
pub struct Uploading<E>(Arc<Shared<E>>);

/// The call's end.
#[derive(Debug)]
pub struct Upload<E> {
    shared: Arc<Shared<E>>,
    /// How often a connection had asked for more when that was looked at last.
    seen: u64,
    still: IdleTimeout,
}

#[derive(Debug)]
struct Shared<E> {
    /// How often a connection has asked for more of the body; the lowest bit says that it now waits for the client.
    asked: AtomicU64,
    end: Mutex<End<E>>,
}

#[derive(Debug)]
struct End<E> {
    over: bool,
    broken: Option<E>,
    waiting: Option<Waker>,
}

const WAITS: u64 = 1;
const ONCE: u64 = 2;

/// Both ends for a body of which something is still to be read from the client.
#[must_use]
pub fn upload<E>() -> (Uploading<E>, Upload<E>) {
    let shared = Arc::new(Shared {
        asked: AtomicU64::new(0),
        end: Mutex::new(End {
            over: false,
            broken: None,
            waiting: None,
        }),
    });
    let upload = Upload {
        shared: Arc::clone(&shared),
        seen: 0,
        still: IdleTimeout::default(),
    };
    (Uploading(shared), upload)
}

impl<E> Shared<E> {
    /// A poisoned lock still holds a whole state: nothing in a critical section can panic half-way through a change.
    fn end(&self) -> MutexGuard<'_, End<E>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E> Uploading<E> {
    /// A connection has asked for more; whether it has to wait for the client.
    pub fn asked(&self, waits: bool) {
        // There is no other writer.
        let asked = self.0.asked.load(Relaxed) & !WAITS;
        self.0.asked.store(asked + ONCE + u64::from(waits), Relaxed);
    }

    /// The client's part broke off.
    pub fn break_off(self, error: E) {
        self.0.end().broken = Some(error);
    }
}

impl<E> Drop for Uploading<E> {
    fn drop(&mut self) {
        let mut end = self.0.end();
        end.over = true;
        let waiting = end.waiting.take();
        drop(end);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

impl<E> Upload<E> {
    /// From its first frame on, the upstream may take nothing for so long.
    pub(super) const fn limit(&mut self, limit: Option<Duration>) {
        self.still.restart(limit);
    }

    /// Resolves when the client's part is over: with an error where it broke off.
    pub(super) fn poll_over(&self, cx: &Context<'_>) -> Poll<Option<E>> {
        let mut end = self.shared.end();
        if end.over {
            return Poll::Ready(end.broken.take());
        }
        end.waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Why it broke off, where that is known already.
    pub(super) fn broken(&self) -> Option<E> {
        self.shared.end().broken.take()
    }

    /// Whether a connection has asked for something of it.
    pub(super) fn has_begun(&self) -> bool {
        self.shared.asked.load(Relaxed) > 0
    }

    /// Resolves when the upstream has taken nothing for too long: with the limit. A connection may be driven by another
    /// task, which wakes nobody here, so what it has done is looked at when the time seems to be over.
    pub(super) fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let asked = self.shared.asked.load(Relaxed);
        if asked == 0 || asked != self.seen || asked & WAITS == WAITS {
            self.seen = asked;
            self.still.reset();
        }
        self.still.poll_elapsed(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::{Instant, timeout};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn limited() -> (Uploading<()>, Upload<()>) {
        let (uploading, mut upload) = upload();
        upload.limit(Some(LIMIT));
        (uploading, upload)
    }

    async fn stalled(upload: &mut Upload<()>) -> Duration {
        let since = Instant::now();
        poll_fn(|cx| upload.poll_stalled(cx)).await;
        since.elapsed()
    }

    async fn goes_on(upload: &mut Upload<()>) -> bool {
        let stalled = poll_fn(|cx| upload.poll_stalled(cx));
        timeout(LIMIT * 5, stalled).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_and_not_asked_for_again_has_stalled() {
        let (uploading, mut upload) = limited();
        uploading.asked(false);
        assert_eq!(stalled(&mut upload).await, LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn neither_connecting_nor_a_slow_client_is_a_stall() {
        let (uploading, mut upload) = limited();
        assert!(!upload.has_begun() && goes_on(&mut upload).await);
        uploading.asked(true);
        assert!(upload.has_begun() && goes_on(&mut upload).await);
    }

    #[tokio::test(start_paused = true)]
    async fn each_frame_may_take_as_long() {
        let (uploading, mut upload) = limited();
        for _ in 0..4 {
            uploading.asked(false);
            let quiet = poll_fn(|cx| upload.poll_stalled(cx));
            assert!(timeout(LIMIT * 2 / 3, quiet).await.is_err());
        }
        assert!(stalled(&mut upload).await <= LIMIT);
    }
}
