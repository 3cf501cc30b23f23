//! Whether a connection is in use, and since when it is not, so that its listener can let go of one that is idle.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// What times count from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The rest of the state is how many uses there are; without, since when there is none, in milliseconds.
const IN_USE: u64 = 1 << 63;
const DISMISSED: u64 = 1 << 62;

/// Shared by a connection and its listener. At first it is in use, by whoever accepts it.
///
/// A request costs two atomic changes and one look at the clock. One that has come on a connection that was dismissed, but
/// had not ended yet, takes that back.
#[derive(Debug)]
pub struct Occupancy {
    state: AtomicU64,
    dismissal: Notify,
}

impl Default for Occupancy {
    fn default() -> Self {
        Self {
            state: AtomicU64::new(IN_USE + 1),
            dismissal: Notify::new(),
        }
    }
}

impl Occupancy {
    /// A use begins.
    pub fn enter(&self) {
        self.change(|state| match state & IN_USE {
            0 => IN_USE | 1,
            _ => state + 1,
        });
    }

    /// A use is over. After the last one the connection is idle.
    pub fn leave(&self) {
        self.change(|state| {
            if state == IN_USE + 1 {
                now()
            } else {
                state - 1
            }
        });
    }

    fn change(&self, change: impl Fn(u64) -> u64) {
        let change = |state| Some(change(state));
        // It always changes.
        let _ = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
    }

    /// Since when it has been idle; `None` where it is in use, or dismissed already.
    pub fn idle_since(&self) -> Option<IdleSince> {
        let state = self.state.load(Ordering::Acquire);
        (state & (IN_USE | DISMISSED) == 0).then_some(IdleSince(state))
    }

    /// Whether nobody uses it now.
    pub fn is_idle(&self) -> bool {
        self.state.load(Ordering::Acquire) & IN_USE == 0
    }

    /// Has it end, where it has been idle all the time since.
    pub fn dismiss(&self, IdleSince(since): IdleSince) {
        let dismissed = self.state.compare_exchange(
            since,
            since | DISMISSED,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        if dismissed.is_ok() {
            self.dismissal.notify_one();
        }
    }

    /// Resolves when it is to end.
    ///
    /// # Cancel safety
    /// It can be asked for again.
    pub async fn dismissed(&self) {
        while !self.is_dismissed() {
            self.dismissal.notified().await;
        }
    }

    /// Whether it is to end, and no request has taken that back.
    pub fn is_dismissed(&self) -> bool {
        self.state.load(Ordering::Acquire) & DISMISSED != 0
    }
}

/// When a connection has become idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdleSince(u64);

impl IdleSince {
    /// How long that is ago.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Duration::from_millis(now().saturating_sub(self.0))
    }
}

fn now() -> u64 {
    u64::try_from(START.elapsed().as_millis()).unwrap_or_default() & !(IN_USE | DISMISSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_idle_after_the_last_use() {
        let occupancy = Occupancy::default();
        occupancy.enter();
        occupancy.leave();
        assert_eq!(occupancy.idle_since(), None);
        occupancy.leave();
        let since = occupancy.idle_since().unwrap();
        tokio::time::advance(Duration::from_secs(75)).await;
        assert_eq!(since.elapsed(), Duration::from_secs(75));
        occupancy.enter();
        assert!(occupancy.idle_since().is_none() && !occupancy.is_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_has_been_used_in_the_meantime_is_not_dismissed() {
        let occupancy = Occupancy::default();
        occupancy.leave();
        let since = occupancy.idle_since().unwrap();
        occupancy.enter();
        tokio::time::advance(Duration::from_secs(1)).await;
        occupancy.dismiss(since);
        occupancy.leave();
        occupancy.dismiss(since);
        assert!(
            occupancy.idle_since().is_some(),
            "it was idle since another time"
        );
    }

    #[tokio::test]
    async fn what_is_dismissed_learns_of_it_and_a_request_takes_it_back() {
        let occupancy = Occupancy::default();
        occupancy.leave();
        let dismiss = async { occupancy.dismiss(occupancy.idle_since().unwrap()) };
        tokio::join!(occupancy.dismissed(), dismiss);
        occupancy.dismissed().await;
        assert!(occupancy.is_idle() && occupancy.idle_since().is_none());
        occupancy.enter();
        assert!(!occupancy.is_idle());
        occupancy.leave();
        assert!(occupancy.idle_since().is_some());
    }
}
