//! Idle connections to one server. The one used last is used next, so that those too many grow old and go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::client::Connection;

/// How often old connections, and those their server has closed, are let go.
const SWEEP: Duration = Duration::from_secs(5);

/// Connections between exchanges.
pub struct Pool<T> {
    keep: Duration,
    state: Mutex<State<T>>,
}

struct State<T> {
    /// Oldest first.
    idle: Vec<(Instant, Connection<T>)>,
    swept: bool,
}

impl<T> std::fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl<T> Pool<T> {
    /// A poisoned lock still holds whole connections: nothing in a critical section can panic half-way.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Pool<T> {
    /// A pool that keeps an unused connection for so long.
    #[must_use]
    pub fn new(keep: Duration) -> Arc<Self> {
        Arc::new(Self {
            keep,
            state: Mutex::new(State {
                idle: Vec::new(),
                swept: false,
            }),
        })
    }

    /// A connection that was open a moment ago; `None` where there is none.
    pub fn take(&self) -> Option<Connection<T>> {
        loop {
            // The lock is not held while a connection is looked at: that reads from its socket.
            let (since, mut connection) = self.lock().idle.pop()?;
            if since.elapsed() < self.keep && connection.is_idle() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next exchange, if it can carry one. Must be called within a tokio runtime.
    pub(super) fn put(self: &Arc<Self>, mut connection: Connection<T>) {
        if !connection.is_idle() {
            return;
        }
        let mut state = self.lock();
        state.idle.push((Instant::now(), connection));
        if !std::mem::replace(&mut state.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Lets go what is too old or closed. Says whether anything is left.
    fn let_go(&self) -> bool {
        let idle = std::mem::take(&mut self.lock().idle);
        let mut kept: Vec<_> = idle
            .into_iter()
            .filter_map(|(since, mut connection)| {
                (since.elapsed() < self.keep && connection.is_idle()).then_some((since, connection))
            })
            .collect();
        let mut state = self.lock();
        // What came back in the meantime is younger.
        kept.append(&mut state.idle);
        state.idle = kept;
        state.swept = !state.idle.is_empty();
        state.swept
    }
}

async fn sweep<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(pool: Weak<Pool<T>>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(pool) = pool.upgrade() else { return };
        if !pool.let_go() {
            return;
        }
    }
}
