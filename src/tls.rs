//! What a failed TLS connection says of its other end, in words that a user knows.
//!
//! It knows nothing of what the connection was for: what to change, and where, is said by whoever made it.

use std::error::Error;
use std::{fmt, io};

use rustls::{AlertDescription, CertificateError};

/// What a server may say of a client's certificate once the handshake is over (RFC 8446 §4.4.2.4).
const ABOUT_CLIENTS: [AlertDescription; 8] = [
    AlertDescription::CertificateRequired,
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
];

/// What is wrong at the other end of a TLS connection, or with what it was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It does not speak TLS.
    NoTls,
    /// It speaks none of the protocols that were offered (ALPN).
    NoCommonProtocol,
    /// Its certificate was valid until some time ago.
    Expired,
    /// Its certificate will be valid later.
    NotYetValid,
    /// Its certificate is for other names.
    WrongName,
    /// Nobody who is trusted has issued its certificate.
    UnknownIssuer,
    /// Its certificate is that of an authority, which may not be a server's too.
    Authority,
    /// Its certificate is no good for another reason.
    BadCertificate,
    /// It knows no server by the name that it was asked for.
    UnknownName,
    /// It wants a certificate of the client, and got none.
    ClientCertificateMissing,
    /// It got one and does not take it.
    ClientCertificateRefused,
}

impl Trouble {
    /// Looks through an error and all that caused it. The innermost says most: of a handshake that failed, more than what was
    /// to be sent over it.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        causes(error).filter_map(Self::of_cause).last()
    }

    fn of_cause(error: &(dyn Error + 'static)) -> Option<Self> {
        match error.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidMessage(_)) => Some(Self::NoTls),
            Some(rustls::Error::InvalidCertificate(error)) => Some(Self::of_certificate(error)),
            Some(rustls::Error::AlertReceived(alert)) => Self::of_alert(*alert),
            Some(_) => None,
            // HTTP/2's library keeps the text of an error alone.
            None => {
                let text = error.to_string();
                let is_it = |alert: &&AlertDescription| {
                    rustls::Error::AlertReceived(**alert).to_string() == text
                };
                Self::of_alert(*ABOUT_CLIENTS.iter().find(is_it)?)
            }
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongName
            }
            // One of the same name may be trusted, whose key is another.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            // By its name: the type is that of a library of rustls.
            CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
                Self::Authority
            }
            _ => Self::BadCertificate,
        }
    }

    /// What a server says of a client (RFC 8446 §6.2).
    const fn of_alert(alert: AlertDescription) -> Option<Self> {
        match alert {
            AlertDescription::NoApplicationProtocol => Some(Self::NoCommonProtocol),
            AlertDescription::UnrecognisedName => Some(Self::UnknownName),
            AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
                Some(Self::ClientCertificateMissing)
            }
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied => Some(Self::ClientCertificateRefused),
            _ => None,
        }
    }
}

impl fmt::Display for Trouble {
    /// A sentence about the other end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoTls => "it does not speak TLS on this port",
            Self::NoCommonProtocol => "it does not speak the version of HTTP that it was asked for",
            Self::Expired => "its certificate has expired",
            Self::NotYetValid => "its certificate is not valid yet",
            Self::WrongName => "its certificate is for another name",
            Self::UnknownIssuer => "its certificate was issued by an authority that is not trusted",
            Self::Authority => "its certificate is that of an authority, not that of a server",
            Self::BadCertificate => "its certificate cannot be accepted",
            Self::UnknownName => "it knows no server by this name",
            Self::ClientCertificateMissing => "it requires a client certificate",
            Self::ClientCertificateRefused => "it does not accept the client certificate",
        })
    }
}

/// An error, and what caused it, down to the innermost cause.
pub fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        inside_io(*error).or_else(|| (*error).source())
    })
}

/// The innermost cause of an error; libraries of HTTP say little in their own words.
pub fn root_cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    causes(error).last().unwrap_or(error)
}

/// What an error of the system's wraps; its own source is already that one's.
fn inside_io<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let inside = error.downcast_ref::<io::Error>()?.get_ref()?;
    Some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(error: rustls::Error) -> Option<Trouble> {
        Trouble::of(&io::Error::other(error))
    }

    #[test]
    fn a_handshake_is_looked_for_within_what_broke_by_it() {
        let broken = io::Error::new(
            io::ErrorKind::InvalidData,
            rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
        );
        assert_eq!(Trouble::of(&io::Error::other(broken)), Some(Trouble::NoTls));
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(Trouble::of(&refused), None);
    }

    #[test]
    fn of_an_alert_the_text_will_do() {
        let alert = rustls::Error::AlertReceived(AlertDescription::UnknownCA).to_string();
        let told = Trouble::of(&io::Error::other(alert));
        assert_eq!(told, Some(Trouble::ClientCertificateRefused));
        assert_eq!(Trouble::of(&io::Error::other("another")), None);
    }

    #[test]
    fn alerts_are_about_what_the_client_has_shown_or_not() {
        for (alert, expected) in [
            (
                AlertDescription::CertificateRequired,
                Some(Trouble::ClientCertificateMissing),
            ),
            (
                AlertDescription::UnknownCA,
                Some(Trouble::ClientCertificateRefused),
            ),
            (
                AlertDescription::UnrecognisedName,
                Some(Trouble::UnknownName),
            ),
            (AlertDescription::InternalError, None),
        ] {
            assert_eq!(of(rustls::Error::AlertReceived(alert)), expected);
        }
    }
}
