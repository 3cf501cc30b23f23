//! How long a server keeps a connection that is not used, as far as its connections have shown.
//!
//! Some servers close each connection after their response, others after a second or two, and do not say so. A request that is
//! sent just then is lost, and one that may not be processed twice cannot be sent again. To look whether the connection is
//! open before it is used, as is done too, helps only where the end has arrived by then. So the server's habit is learnt:
//!
//! - A connection that ends at rest, or under the request it is used again for, shows how long the server keeps one at most.
//!   From then on none is used that has rested for half of that; after an end within [`SOON`] none at all.
//! - Connections are still put to rest, one at least, and looked at before they are let go. One that is open shows that the
//!   server keeps it for as long, so that nobody's request is the one that tries. It counts [`HOLD`] after the last end.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// A server that ends connections within this time keeps none.
const SOON: Duration = Duration::from_secs(1);
/// How long what an end has shown holds at least.
const HOLD: Duration = Duration::from_secs(60);

/// What one server has shown, on all connections to it.
#[derive(Debug)]
pub(super) struct Patience {
    since: Instant,
    /// In milliseconds; [`u64::MAX`] where no end has been seen.
    limit: AtomicU64,
    /// When an end was seen last, in milliseconds from `since`.
    ended: AtomicU64,
}

impl Patience {
    /// Of a server that nothing is known of yet.
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            limit: AtomicU64::new(u64::MAX),
            ended: AtomicU64::new(0),
        }
    }

    /// How long a connection may rest at most to be used again; `None` where nothing has shown that there is a limit.
    pub(super) fn limit(&self) -> Option<Duration> {
        let limit = self.limit.load(Relaxed);
        (limit < u64::MAX).then(|| Duration::from_millis(limit))
    }

    /// The server has ended a connection that had rested for so long. Says whether that is why none is used again any more.
    pub(super) fn ended(&self, rested: Duration) -> bool {
        let shown = match rested {
            soon if soon < SOON => 0,
            rested => millis(rested / 2),
        };
        self.ended.store(millis(self.since.elapsed()), Relaxed);
        let before = self.limit.fetch_min(shown, Relaxed);
        shown == 0 && before > 0
    }

    /// A connection that has rested for so long is open.
    pub(super) fn kept(&self, rested: Duration) {
        let rested = millis(rested);
        if self.limit.load(Relaxed) < rested {
            let ended = Duration::from_millis(self.ended.load(Relaxed));
            if self.since.elapsed() >= ended + HOLD {
                self.limit.fetch_max(rested, Relaxed);
            }
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn no_connection_is_used_that_has_rested_for_half_as_long_as_one_that_ended() {
        let patience = Patience::new();
        assert_eq!(patience.limit(), None);
        for (ended, limit) in [(60, 30), (5, 2), (20, 2), (0, 0), (60, 0)] {
            patience.ended(seconds(ended));
            let shown = patience.limit().unwrap();
            assert_eq!(shown.as_secs(), limit, "{ended}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_end_after_which_no_connection_is_used_is_told() {
        let patience = Patience::new();
        assert!(!patience.ended(seconds(5)));
        assert!(patience.ended(Duration::from_millis(20)));
        assert!(!patience.ended(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_kept_shows_that_others_are_a_while_after_the_last_end() {
        let patience = Patience::new();
        patience.ended(Duration::ZERO);
        for _ in 0..14 {
            tokio::time::advance(seconds(4)).await;
            patience.kept(seconds(4));
            assert_eq!(patience.limit(), Some(Duration::ZERO));
        }
        tokio::time::advance(seconds(4)).await;
        patience.kept(seconds(4));
        assert_eq!(patience.limit(), Some(seconds(4)));
        patience.kept(seconds(3));
        assert_eq!(patience.limit(), Some(seconds(4)));
    }
}
