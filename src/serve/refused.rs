//! Connections that are closed for a fault outside of any request: counted by reason, and logged at a limited rate.
//!
//! A request that is rejected is an exchange, and is reported as one. No byte that came is logged.

use std::error::Error as StdError;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::log::LogLimit;

/// Why a connection was refused: the attribute `reason` of `streamgauge.connections.refused`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The operating system could not register it.
    Setup,
    /// The TLS handshake failed: not TLS, nothing in common, a certificate that is not trusted, or the client broke off.
    TlsHandshake,
    /// The TLS handshake took too long.
    TlsTimeout,
    /// Too few file descriptors were left, and no connection was idle that could have gone in its place.
    Descriptors,
    /// The client violated the HTTP/2 protocol in a way that ends the whole connection.
    Http2Protocol,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Setup,
        Self::TlsHandshake,
        Self::TlsTimeout,
        Self::Descriptors,
        Self::Http2Protocol,
    ];

    /// The attribute's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::TlsHandshake => "tls_handshake",
            Self::TlsTimeout => "tls_timeout",
            Self::Descriptors => "descriptors",
            Self::Http2Protocol => "http2_protocol",
        }
    }
}

/// The connections of a listener that were refused.
#[derive(Debug)]
pub struct RefusedConnections([Refused; Reason::ALL.len()]);

/// Those of one reason.
#[derive(Debug)]
struct Refused {
    count: AtomicU64,
    log: LogLimit,
}

impl Default for RefusedConnections {
    fn default() -> Self {
        Self(Reason::ALL.map(|_| Refused {
            count: AtomicU64::new(0),
            log: LogLimit::per_minute(),
        }))
    }
}

impl RefusedConnections {
    /// How many there were for this reason.
    #[must_use]
    pub fn count(&self, reason: Reason) -> u64 {
        self.of(reason).count.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, reason: Reason, peer: SocketAddr, error: &dyn Display) {
        let refused = self.of(reason);
        refused.count.fetch_add(1, Ordering::Relaxed);
        if let Some(held_back) = refused.log.pass() {
            let reason = reason.as_str();
            tracing::warn!(reason, %peer, %error, held_back, "a connection was refused");
        }
    }

    /// Says in the log how many lines were held back: nothing more is accepted.
    pub fn end(&self) {
        for reason in Reason::ALL {
            if let Some(held_back) = self.of(reason).log.take_held_back() {
                let reason = reason.as_str();
                tracing::warn!(
                    reason,
                    held_back,
                    "more connections were refused, before the shutdown"
                );
            }
        }
    }

    const fn of(&self, reason: Reason) -> &Refused {
        &self.0[reason as usize]
    }
}

/// Why a TLS handshake failed.
pub(super) fn of_handshake(error: &io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::TimedOut => Reason::TlsTimeout,
        _ => Reason::TlsHandshake,
    }
}

/// The fault for which we ended an HTTP/2 connection; `None` where the client left, or ended it for a fault of ours.
pub(super) fn http2_fault(ended: &hyper::Error) -> Option<&h2::Error> {
    let cause: &h2::Error = ended.source()?.downcast_ref()?;
    cause.is_library().then_some(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_counted_by_itself() {
        let refused = RefusedConnections::default();
        let peer = ([127, 0, 0, 1], 1).into();
        for (times, reason) in Reason::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| refused.add(reason, peer, &"a test"));
        }
        let counts = Reason::ALL.map(|reason| refused.count(reason));
        assert_eq!(counts, [0, 1, 2, 3, 4]);
    }
}
