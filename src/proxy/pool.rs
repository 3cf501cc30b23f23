//! Idle HTTP/1.1 connections to one upstream. The one used last is used next, so that those too many grow old and go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::rt::{Read, Write};
use tokio::time::Instant;

use super::connection::Http1;

/// How long an unused connection is kept; shorter than the 60 s and more that servers commonly allow.
pub(super) const IDLE_CONNECTION: Duration = Duration::from_secs(55);
/// How often old connections, and those their server has closed, are let go.
const SWEEP: Duration = Duration::from_secs(5);

/// Connections between exchanges.
pub(super) struct Pool<T: Read + Write>(Mutex<State<T>>);

struct State<T: Read + Write> {
    /// Oldest first.
    idle: Vec<(Instant, Http1<T>)>,
    swept: bool,
}

impl<T: Read + Write> std::fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl<T: Read + Write + Unpin + Send + 'static> Pool<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            idle: Vec::new(),
            swept: false,
        })))
    }

    /// A connection that was open a moment ago; `None` where there is none.
    pub(super) fn take(&self) -> Option<Http1<T>> {
        loop {
            // The lock is not held while a connection is looked at: that reads from its socket.
            let (since, mut connection) = self.lock().idle.pop()?;
            if since.elapsed() < IDLE_CONNECTION && connection.is_idle() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next exchange, if it can carry one. Must be called within a tokio runtime.
    pub(super) fn put(self: &Arc<Self>, mut connection: Http1<T>) {
        if !connection.is_idle() {
            return;
        }
        connection.rest();
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
                (since.elapsed() < IDLE_CONNECTION && connection.is_idle())
                    .then_some((since, connection))
            })
            .collect();
        let mut state = self.lock();
        // What came back in the meantime is younger.
        kept.append(&mut state.idle);
        state.idle = kept;
        state.swept = !state.idle.is_empty();
        state.swept
    }

    /// A poisoned lock still holds whole connections: nothing in a critical section can panic half-way.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sweep<T: Read + Write + Unpin + Send + 'static>(pool: Weak<Pool<T>>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(pool) = pool.upgrade() else { return };
        if !pool.let_go() {
            return;
        }
    }
}
