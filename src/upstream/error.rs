//! Why an upstream did not answer.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use super::transport::TransportError;
use crate::outbound::ForwardProxy;
use crate::tap::FaultClass;
use crate::tls::{Trouble, causes, root_cause};

/// What stood between a request and its answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// Nobody listens at the upstream's address.
    #[error(
        "upstream {upstream} refused the connection to {address} ({cause}); check that it is running and that its URL \
         (upstream.url) is right"
    )]
    ConnectionRefused {
        /// Its name.
        upstream: String,
        /// Its host and port.
        address: String,
        /// What the transport said.
        cause: String,
    },
    /// The upstream could not be reached for another reason: name resolution, TLS, network.
    #[error(
        "cannot connect to upstream {upstream} at {address}: {cause}; {}",
        trouble.map_or(
            "check the scheme, host and port of its URL (upstream.url), and DNS and TLS between here and there",
            advice
        )
    )]
    ConnectFailed {
        /// Its name.
        upstream: String,
        /// Its host and port.
        address: String,
        /// What the transport said.
        cause: String,
        /// What that means, where it is clear.
        trouble: Option<Trouble>,
    },
    /// TLS with the upstream failed by a certificate: its own, or ours.
    #[error("cannot connect to upstream {upstream} at {address}: {trouble} ({cause}); {}", advice(*.trouble))]
    CertificateRefused {
        /// Its name.
        upstream: String,
        /// Its host and port.
        address: String,
        /// What is wrong.
        trouble: Trouble,
        /// What the transport said.
        cause: String,
    },
    /// Connecting took too long.
    #[error(
        "cannot connect to upstream {upstream} at {address} in time (upstream.timeouts.connect is {limit:?}); check \
         that its URL (upstream.url) is right and that no firewall drops the connection"
    )]
    ConnectTimeout {
        /// Its name.
        upstream: String,
        /// Its host and port.
        address: String,
        /// The limit that is set.
        limit: Duration,
    },
    /// The upstream took nothing of the request body for too long.
    #[error(
        "upstream {upstream} did not read the request body for {limit:?}; check that it is not overloaded; if it needs \
         longer, raise upstream.timeouts.send"
    )]
    SendTimeout {
        /// Its name.
        upstream: String,
        /// The limit that is set.
        limit: Duration,
    },
    /// No response head came in time.
    #[error(
        "upstream {upstream} sent no response head within {limit:?}; if it needs longer, raise \
         upstream.timeouts.first_byte"
    )]
    FirstByteTimeout {
        /// Its name.
        upstream: String,
        /// The limit that is set.
        limit: Duration,
    },
    /// The connection broke before a response head came.
    #[error(
        "the connection to upstream {upstream} at {address} failed before a response head arrived: {cause}; check the \
         upstream's log, and that its URL (upstream.url) has the right scheme and port"
    )]
    Broken {
        /// Its name.
        upstream: String,
        /// Its host and port.
        address: String,
        /// What the transport said.
        cause: String,
    },
    /// The upstream says that it has processed nothing of the request, as it may by HTTP/2.
    #[error(
        "upstream {upstream} at {address} refused the request{} without processing it: {cause}; retry later; if this goes on, \
         check whether the upstream restarts or is overloaded",
        if *.twice { " twice" } else { "" }
    )]
    Unprocessed {
        /// Its name.
        upstream: String,
        /// Its host and port.
        address: String,
        /// How it said so.
        cause: String,
        /// Whether it did so again when the request was repeated.
        twice: bool,
    },
    /// The process may open no further connection.
    #[error(
        "streamgauge has no file descriptor or local port left for a connection to upstream {upstream}; retry later, \
         or raise the limit of open files (ulimit -n)"
    )]
    LimitReached {
        /// Its name.
        upstream: String,
    },
}

impl UpstreamError {
    /// What a failure of the transport means to those who called the upstream of this name and address, by this proxy.
    pub(super) fn of_transport(
        upstream: String,
        address: String,
        connect_timeout: Duration,
        proxy: Option<&ForwardProxy>,
        error: &TransportError,
    ) -> Self {
        let (connecting, error) = match error {
            TransportError::Connect(error) => (true, &**error),
            TransportError::Broken(error) => (false, &**error),
            TransportError::Unprocessed(said) => {
                return Self::Unprocessed {
                    upstream,
                    address,
                    cause: said.to_string(),
                    twice: false,
                };
            }
        };
        let cause = root_cause(error).to_string();
        // What is wrong with our own certificate may be said only once the connection is used (RFC 8446 §4.4.2.4).
        let trouble = Trouble::of(error);
        let cause = match trouble {
            Some(trouble @ (Trouble::NoTls | Trouble::NoCommonProtocol)) => {
                format!("{trouble} ({cause})")
            }
            Some(trouble) => {
                return Self::CertificateRefused {
                    upstream,
                    address,
                    trouble,
                    cause,
                };
            }
            None => cause,
        };
        if !connecting {
            return Self::Broken {
                upstream,
                address,
                cause,
            };
        }
        let io = io_error(error);
        let os_error = io.and_then(io::Error::raw_os_error);
        match (io.map(io::Error::kind), proxy) {
            _ if os_error.is_some_and(is_our_limit) => Self::LimitReached { upstream },
            (Some(io::ErrorKind::TimedOut), _) => Self::ConnectTimeout {
                upstream,
                address,
                limit: connect_timeout,
            },
            (_, Some(proxy)) => Self::ConnectFailed {
                upstream,
                address,
                // It may be the proxy that refused.
                cause: format!("by the proxy {proxy}: {cause}"),
                trouble,
            },
            (Some(io::ErrorKind::ConnectionRefused), None) => Self::ConnectionRefused {
                upstream,
                address,
                cause,
            },
            _ => Self::ConnectFailed {
                upstream,
                address,
                cause,
                trouble,
            },
        }
    }

    /// Low-cardinality identifier, for `error.type` and the marker header.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ConnectionRefused { .. } => "connection_refused",
            Self::ConnectFailed { .. } => "connection_failed",
            Self::CertificateRefused { .. } => "certificate_refused",
            Self::ConnectTimeout { .. } => "connect_timeout",
            Self::FirstByteTimeout { .. } => "timeout",
            Self::SendTimeout { .. } => "send_timeout",
            Self::Broken { .. } | Self::Unprocessed { .. } => "connection_broken",
            Self::LimitReached { .. } => "limit_reached",
        }
    }

    /// Which kind of failure the exchange ends with.
    #[must_use]
    pub const fn fault_class(&self) -> FaultClass {
        match self {
            Self::ConnectionRefused { .. }
            | Self::ConnectFailed { .. }
            | Self::CertificateRefused { .. } => FaultClass::Refused,
            Self::ConnectTimeout { .. }
            | Self::FirstByteTimeout { .. }
            | Self::SendTimeout { .. } => FaultClass::Timeout,
            Self::Broken { .. } | Self::Unprocessed { .. } => FaultClass::Cut,
            Self::LimitReached { .. } => FaultClass::Rejected,
        }
    }
}

/// Whether an OS error says that this process or host has run out of something.
fn is_our_limit(os_error: i32) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const EADDRNOTAVAIL: i32 = 99;
    matches!(os_error, ENFILE | EMFILE | EADDRNOTAVAIL)
}

/// What to do about a certificate.
const fn advice(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::NoTls => "begin its URL (upstream.url) with http://, or correct the port",
        Trouble::NoCommonProtocol => "set upstream.http to \"auto\"",
        Trouble::Expired => {
            "renew the certificate of the upstream, and check the clock of this machine"
        }
        Trouble::NotYetValid => "check the clocks of this machine and of the one that issued it",
        Trouble::WrongName => {
            "call it by a name of its certificate (upstream.url), or set upstream.tls.server_name to one"
        }
        Trouble::UnknownIssuer => {
            "set upstream.tls.ca to a PEM file with the certificate of the authority that issued it, or add that to the \
             certificates of the system (SSL_CERT_FILE)"
        }
        Trouble::Authority => {
            "issue a certificate for the server alone (basicConstraints = CA:FALSE), which the authority signs"
        }
        Trouble::BadCertificate => "check the certificate of the upstream",
        Trouble::UnknownName => {
            "check the host of its URL (upstream.url), or set upstream.tls.server_name to the name that it has"
        }
        Trouble::ClientCertificateMissing => {
            "set upstream.tls.client_certificate and upstream.tls.client_key to the PEM files of a certificate and its key"
        }
        Trouble::ClientCertificateRefused => {
            "check that the certificate in upstream.tls.client_certificate is valid, and issued by an authority that the \
             upstream trusts"
        }
    }
}

/// The first error of the system's among the causes of an error.
pub(crate) fn io_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a io::Error> {
    causes(error).find_map(|cause| cause.downcast_ref())
}
