//! How long somebody is waited for who says nothing: an upstream before its answer and within it, a client within its request.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Watches for a silence that is too long.
///
/// The limit runs only while whoever is to say something is waited for: with an upstream, a slow client does not run it
/// down.
#[derive(Debug, Default)]
pub(crate) struct IdleTimeout {
    limit: Option<Duration>,
    /// Since when it has been waited for.
    since: Option<Instant>,
    /// Set once and moved on only when it fires, so that a frame costs no timer.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl IdleTimeout {
    /// A silence of at most so long.
    #[must_use]
    pub(crate) fn of(limit: Option<Duration>) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// Something came.
    pub(crate) const fn reset(&mut self) {
        self.since = None;
    }

    /// Something came, and from now on it may last for so long.
    pub(crate) const fn restart(&mut self, limit: Option<Duration>) {
        self.limit = limit;
        self.since = None;
    }

    /// To be asked whenever nothing has come. Resolves when it has been too long: with the limit.
    pub(crate) fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let Some(limit) = self.limit else {
            return Poll::Pending;
        };
        let since = *self.since.get_or_insert_with(Instant::now);
        let Some(deadline) = since.checked_add(limit) else {
            return Poll::Pending;
        };
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if alarm.deadline() > deadline {
            alarm.as_mut().reset(deadline);
        }
        while alarm.as_mut().poll(cx).is_ready() {
            if alarm.deadline() >= deadline {
                return Poll::Ready(limit);
            }
            alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_secs(1);

    /// How long a silence lasts until it is too long.
    async fn waited(idle: &mut IdleTimeout) -> Duration {
        let since = Instant::now();
        poll_fn(|cx| idle.poll_elapsed(cx)).await;
        since.elapsed()
    }

    /// Something comes after a while.
    async fn wait(idle: &mut IdleTimeout, time: Duration) {
        let quiet = poll_fn(|cx| idle.poll_elapsed(cx));
        assert!(tokio::time::timeout(time, quiet).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn each_silence_may_last_as_long() {
        let mut idle = IdleTimeout::of(Some(LONG));
        for _ in 0..3 {
            wait(&mut idle, LONG / 2).await;
            idle.reset();
        }
        assert_eq!(waited(&mut idle).await.as_secs(), LONG.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_limit_counts_from_the_next_silence_on() {
        let mut idle = IdleTimeout::of(Some(LONG));
        wait(&mut idle, SHORT * 2).await;
        idle.restart(Some(SHORT));
        assert_eq!(waited(&mut idle).await.as_secs(), SHORT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_it_is_never_too_long() {
        wait(&mut IdleTimeout::of(None), LONG).await;
    }
}
