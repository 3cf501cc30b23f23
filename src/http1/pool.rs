//! Idle connections to one server. The one used last is used next, so that those too many grow old and go.
//!
//! None is used that the server may be about to close: what is sent then is lost, and only some of it may be sent again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::connection::{Connection, Rest};
use super::trust::Trust;

/// How often, at least, old connections and those their server has closed are let go.
const SWEEP: Duration = Duration::from_secs(5);

/// How much earlier than its server an idle connection is given up: what is on the way then arrives in time.
const MARGIN: Duration = Duration::from_secs(1);

/// What a pool keeps.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// How long an unused connection is kept, where its server does not say less.
    pub idle: Duration,
    /// How many are kept at most; zero keeps none.
    pub connections: usize,
}

/// Connections between exchanges.
pub struct Pool<T> {
    keep: Keep,
    trust: Arc<Trust>,
    state: Mutex<PoolState<T>>,
}

struct PoolState<T> {
    /// Oldest first.
    idle: VecDeque<Idle<T>>,
    swept: bool,
}

/// A connection at rest.
struct Idle<T> {
    since: Instant,
    /// How long it may be used from then on.
    keep: Duration,
    connection: Connection<T>,
    /// Whether the last request had a body.
    after_body: bool,
}

impl<T> std::fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl<T> Pool<T> {
    /// A poisoned lock still holds whole connections: nothing in a critical section can panic half-way.
    fn lock(&self) -> MutexGuard<'_, PoolState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Pool<T> {
    /// A pool that keeps so much, as far as the server is trusted.
    #[must_use]
    pub fn new(keep: Keep, trust: Arc<Trust>) -> Arc<Self> {
        Arc::new(Self {
            keep,
            trust,
            state: Mutex::new(PoolState {
                idle: VecDeque::new(),
                swept: false,
            }),
        })
    }

    /// A connection that was open a moment ago; `None` where there is none.
    pub fn take(&self) -> Option<Connection<T>> {
        loop {
            // The lock is not held while a connection is looked at: that reads from its socket.
            let idle = self.youngest()?;
            let rested = idle.since.elapsed();
            if let Some(mut idle) = self.usable(idle) {
                idle.connection.rested = Some(rested);
                return Some(idle.connection);
            }
        }
    }

    /// The connection that has rested for the shortest time, where that is not too long for what the server has shown.
    fn youngest(&self) -> Option<Idle<T>> {
        let limit = self.trust.patience().limit();
        let mut state = self.lock();
        let youngest = state.idle.back()?;
        if limit.is_some_and(|limit| youngest.since.elapsed() >= limit) {
            return None;
        }
        state.idle.pop_back()
    }

    /// Keeps a connection for the next exchange, if it can carry one. `to_body` is the answer to a request that had a
    /// body, `closes_after` the time after which the server says that it closes what is unused. Must be called within a
    /// tokio runtime.
    pub(super) fn put(
        self: &Arc<Self>,
        connection: Connection<T>,
        to_body: Option<StatusCode>,
        closes_after: Option<Duration>,
    ) {
        let told = closes_after.map(|time| time.saturating_sub(MARGIN));
        let keep = told.map_or(self.keep.idle, |told| told.min(self.keep.idle));
        if keep.is_zero() || self.keep.connections == 0 {
            return;
        }
        let trusted = match to_body {
            Some(status) => self.trust.after(status, connection),
            None => Some(connection),
        };
        let Some(mut connection) = trusted else {
            return;
        };
        let since = Instant::now();
        if !self.is_idle(&mut connection, Duration::ZERO) {
            return;
        }
        let mut state = self.lock();
        if !state.idle.is_empty() && self.trust.patience().limit() == Some(Duration::ZERO) {
            // It will not be used; one is enough to show what the server does.
            return;
        }
        let surplus = match state.idle.len() {
            kept if kept >= self.keep.connections => state.idle.pop_front(),
            _ => None,
        };
        state.idle.push_back(Idle {
            since,
            keep,
            connection,
            after_body: to_body.is_some(),
        });
        if !std::mem::replace(&mut state.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self), SWEEP.min(self.keep.idle)));
        }
        drop(state);
        // It closes its socket, for which nobody need wait.
        drop(surplus);
    }

    /// A connection that is neither too old nor closed, and has brought nothing.
    fn usable(&self, mut idle: Idle<T>) -> Option<Idle<T>> {
        let rested = idle.since.elapsed();
        let usable = self.is_idle(&mut idle.connection, rested)
            && rested < idle.keep
            && !(idle.after_body && self.trust.is_condemned());
        usable.then_some(idle)
    }

    /// Whether a connection that has rested for so long can be used. What it shows of its server is noted.
    fn is_idle(&self, connection: &mut Connection<T>, rested: Duration) -> bool {
        let rest = connection.rest();
        match rest {
            Rest::Idle => self.trust.patience().kept(rested),
            Rest::Ended | Rest::Broken => self.trust.ended(rested),
            Rest::Unsolicited => self.trust.condemn(),
        }
        rest == Rest::Idle
    }

    /// What the server has shown of itself.
    pub(super) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Lets go what is too old or closed. Says whether anything is left.
    fn let_go(&self) -> bool {
        let idle = std::mem::take(&mut self.lock().idle);
        let mut kept: VecDeque<_> = idle
            .into_iter()
            .filter_map(|idle| self.usable(idle))
            .collect();
        let mut state = self.lock();
        // What came back in the meantime is younger.
        kept.append(&mut state.idle);
        state.idle = kept;
        state.swept = !state.idle.is_empty();
        state.swept
    }
}

async fn sweep<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    pool: Weak<Pool<T>>,
    every: Duration,
) {
    loop {
        tokio::time::sleep(every).await;
        let Some(pool) = pool.upgrade() else { return };
        if !pool.let_go() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn pool(idle: Duration, connections: usize) -> Arc<Pool<DuplexStream>> {
        Pool::new(Keep { idle, connections }, Trust::new("a"))
    }

    /// Puts a connection into a pool; its other end.
    fn put(pool: &Arc<Pool<DuplexStream>>, closes_after: Option<Duration>) -> DuplexStream {
        let (ours, theirs) = duplex(64);
        pool.put(Connection::new(ours), None, closes_after);
        theirs
    }

    #[tokio::test(start_paused = true)]
    async fn of_more_than_may_be_kept_the_oldest_goes() {
        let pool = pool(HOUR, 2);
        let mut ends = Vec::new();
        for _ in 0..3 {
            ends.push(put(&pool, None));
        }
        let mut oldest = ends.remove(0);
        let read = tokio::io::AsyncReadExt::read(&mut oldest, &mut [0]).await;
        assert_eq!(read.unwrap(), 0, "closed");
        assert!(pool.take().is_some() && pool.take().is_some());
        assert!(pool.take().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_used_only_while_its_server_certainly_keeps_it() {
        let seconds = Duration::from_secs;
        for (idle, told, kept) in [
            (4, None, 4),
            (4, Some(3), 2),
            (4, Some(75), 4),
            (4, Some(0), 0),
            (60, Some(5), 4),
        ] {
            for after in 0..6 {
                let pool = pool(seconds(idle), 8);
                let _end = put(&pool, told.map(seconds));
                tokio::time::advance(seconds(after)).await;
                assert_eq!(
                    pool.take().is_some(),
                    after < kept,
                    "{idle} {told:?} {after}"
                );
            }
        }
    }
}
