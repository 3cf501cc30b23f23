//! Whether a server reads the bodies of the requests that it turns away.
//!
//! A careless one answers an error, leaves the request's body unread, and keeps the connection: then it takes that body
//! for the beginning of the next request, which fails, and may be another client's. A server that closes such a
//! connection, or that reads the body first, is sound. Nothing in an answer tells one from the other (RFC 9112 §9.3
//! leaves it to the server), so a server has to prove itself:
//!
//! - After an answer other than 2xx to a request with a body the connection carries no other request. Its sending side is
//!   closed, and its end awaited. What a careless server has left unread it reads now, up to that end: it answers it, and
//!   those bytes, which nobody asked for, condemn it. A sound server has nothing to read, and closes in silence.
//! - Silence alone would prove nothing: most readers take a line first, and a JSON body has no line end. Nor would an end
//!   that is not seen, as with a slow server: neither is counted.
//! - After [`PROVEN`] silent ends the connections are kept, so that a storm of 429 costs no handshakes. Each status is
//!   proven by itself, since a 401 often comes from another part of a server than a 429; one in [`AGAIN`] is looked at
//!   again, as servers change.
//! - Bytes that nobody asked for on a connection at rest condemn a server too, and for good. Then no connection is kept
//!   that has carried a body, whatever the status: a server that leaves bodies unread may do so after a 2xx as well.
//!
//! Where a server answers before all of the body has been sent, the connection is never kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;

use super::connection::{Connection, Rest};
use super::patience::Patience;

/// So many silent ends prove a server.
const PROVEN: u8 = 4;
/// After so many connections that were kept another one is looked at.
const AGAIN: u8 = 250;
/// Statuses other than 2xx: 300 to 599.
const STATUSES: usize = 300;
/// Connections to one server whose end is awaited at the same time; others are closed unseen. Each has a socket.
const AWAITED: usize = 8;
/// How long an end is awaited.
const END: Duration = Duration::from_secs(5);

/// What a server has shown of itself, on all connections to it.
#[derive(Debug)]
pub struct Trust {
    /// The server's name in the log.
    server: Box<str>,
    condemned: AtomicBool,
    /// By status: silent ends, and from [`PROVEN`] on also the connections kept since one was last looked at.
    proofs: [AtomicU8; STATUSES],
    awaited: Arc<Semaphore>,
    patience: Patience,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Keep,
    /// Its end is looked at.
    Prove,
    Close,
}

impl Trust {
    /// Of a server that nothing is known of yet.
    #[must_use]
    pub fn new(server: &str) -> Arc<Self> {
        Arc::new(Self {
            server: server.into(),
            condemned: AtomicBool::new(false),
            proofs: [const { AtomicU8::new(0) }; STATUSES],
            awaited: Arc::new(Semaphore::new(AWAITED)),
            patience: Patience::new(),
        })
    }

    pub(super) fn is_condemned(&self) -> bool {
        self.condemned.load(Relaxed)
    }

    /// The server has sent what nobody asked for.
    pub(super) fn condemn(&self) {
        if !self.condemned.swap(true, Relaxed) {
            tracing::warn!(
                upstream = &*self.server,
                "the upstream sent bytes that belong to no response, such as an answer to a request body that it did not read; \
                 from now on its connections are closed after each request with a body"
            );
        }
    }

    /// How long it keeps connections, as far as they have shown.
    pub(super) const fn patience(&self) -> &Patience {
        &self.patience
    }

    /// The server has ended a connection that had rested for so long.
    pub(super) fn ended(&self, rested: Duration) {
        if self.patience.ended(rested) {
            tracing::info!(
                upstream = &*self.server,
                "the upstream closes connections soon after a response without announcing it; for at least a minute, each request \
                 to it gets a new connection"
            );
        }
    }

    /// Gives a connection back for which this was the answer to a request with a body. `None`: it must not be used again.
    pub(super) fn after<T>(
        self: &Arc<Self>,
        status: StatusCode,
        connection: Connection<T>,
    ) -> Option<Connection<T>>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        match self.next(status) {
            Next::Keep => return Some(connection),
            Next::Prove => self.prove(status, connection),
            Next::Close => {}
        }
        None
    }

    fn next(&self, status: StatusCode) -> Next {
        if self.is_condemned() {
            return Next::Close;
        }
        if status.is_success() {
            return Next::Keep;
        }
        let Some(proofs) = self.proofs(status) else {
            return Next::Close;
        };
        let kept = proofs.fetch_update(Relaxed, Relaxed, |proofs| match proofs {
            ..PROVEN => None,
            PROVEN..AGAIN => Some(proofs + 1),
            AGAIN.. => Some(PROVEN),
        });
        match kept {
            Ok(..AGAIN) => Next::Keep,
            _ => Next::Prove,
        }
    }

    fn proofs(&self, status: StatusCode) -> Option<&AtomicU8> {
        self.proofs
            .get(usize::from(status.as_u16()).checked_sub(300)?)
    }

    /// Closes the connection and looks how the server takes it.
    fn prove<T>(self: &Arc<Self>, status: StatusCode, connection: Connection<T>)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Ok(awaited) = Arc::clone(&self.awaited).try_acquire_owned() else {
            return;
        };
        let trust = Arc::clone(self);
        tokio::spawn(async move {
            match tokio::time::timeout(END, connection.end()).await {
                Ok(Rest::Ended) => trust.proven(status),
                Ok(Rest::Unsolicited) => trust.condemn(),
                _ => {}
            }
            drop(awaited);
        });
    }

    /// A connection has ended in silence.
    fn proven(&self, status: StatusCode) {
        if let Some(proofs) = self.proofs(status) {
            // An error: the server is proven already.
            let _ = proofs.fetch_update(Relaxed, Relaxed, |proofs| {
                (proofs < PROVEN).then_some(proofs + 1)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITED: StatusCode = StatusCode::TOO_MANY_REQUESTS;

    #[test]
    fn an_error_answer_is_kept_only_of_a_proven_server_and_looked_at_again_at_times() {
        let trust = Trust::new("a");
        for _ in 0..PROVEN {
            assert_eq!(trust.next(LIMITED), Next::Prove);
            trust.proven(LIMITED);
        }
        let all = usize::from(AGAIN - PROVEN);
        for _ in 0..3 {
            let kept = (0..all).filter(|_| trust.next(LIMITED) == Next::Keep);
            assert_eq!(kept.count(), all);
            assert_eq!(trust.next(LIMITED), Next::Prove);
        }
    }

    #[test]
    fn each_status_is_proven_by_itself() {
        let trust = Trust::new("a");
        for _ in 0..PROVEN {
            trust.proven(LIMITED);
        }
        assert_eq!(trust.next(LIMITED), Next::Keep);
        assert_eq!(trust.next(StatusCode::UNAUTHORIZED), Next::Prove);
        assert_eq!(trust.next(StatusCode::TEMPORARY_REDIRECT), Next::Prove);
        assert_eq!(trust.next(StatusCode::from_u16(999).unwrap()), Next::Close);
        assert_eq!(trust.next(StatusCode::OK), Next::Keep);
    }

    #[test]
    fn a_condemned_server_is_never_trusted_again() {
        let trust = Trust::new("a");
        trust.condemn();
        for _ in 0..=PROVEN {
            trust.proven(LIMITED);
        }
        assert_eq!(trust.next(LIMITED), Next::Close);
        assert_eq!(trust.next(StatusCode::OK), Next::Close);
    }
}
