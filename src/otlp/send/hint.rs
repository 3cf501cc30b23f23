//! What is most likely wrong where an export fails, and what to change: told from the endpoint and from what answered.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::io;

use http::Uri;
use tonic::Code;

use super::{Fault, Signal};
use crate::otel::{Otlp, Protocol};
use crate::tls::{Trouble, causes};

/// Usual port of OTLP over gRPC.
const GRPC_PORT: u16 = 4317;
/// Usual port of OTLP over HTTP.
const HTTP_PORT: u16 = 4318;

/// What an error of a connection says of the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symptom {
    /// TLS failed.
    Tls(Trouble),
    /// Nothing listens there.
    Refused,
    /// Its host has no address.
    UnknownHost,
    /// It took the connection, and answered with something else than the protocol, or not at all.
    OtherProtocol,
    /// Nothing.
    Unknown,
}

impl Symptom {
    /// Looks through an error and all that caused it.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        if let Some(trouble) = Trouble::of(error) {
            return Self::Tls(trouble);
        }
        let speaks_otherwise = |error: &(dyn Error + 'static)| {
            let error = error.downcast_ref::<hyper::Error>();
            error.is_some_and(|error| !error.is_timeout() && !error.is_user())
        };
        if causes(error).any(is_refused) {
            return Self::Refused;
        }
        if causes(error).any(is_unresolved) {
            return Self::UnknownHost;
        }
        match causes(error).any(speaks_otherwise) {
            true => Self::OtherProtocol,
            false => Self::Unknown,
        }
    }
}

fn is_refused(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Of a resolver there is no type of error of its own, and hyper's says so in its text.
fn is_unresolved(error: &(dyn Error + 'static)) -> bool {
    error.to_string().starts_with("dns error")
}

/// Gives each hint once, and none once an export has been taken: then the settings are right.
#[derive(Debug)]
pub(super) struct Hints {
    otlp: Otlp,
    signal: Signal,
    given: RefCell<Option<String>>,
    settled: Cell<bool>,
}

impl Hints {
    pub(super) fn new(otlp: &Otlp, signal: Signal) -> Self {
        Self {
            otlp: otlp.clone(),
            signal,
            given: RefCell::default(),
            settled: Cell::new(false),
        }
    }

    /// An export was taken.
    pub(super) fn settle(&self) {
        self.settled.set(true);
    }

    /// The hint for this fault, where it is a new one.
    pub(super) fn next(&self, fault: &Fault) -> Option<String> {
        if self.settled.get() {
            return None;
        }
        let hint = of_fault(&self.otlp, self.signal, fault)?;
        let previous = self.given.replace(Some(hint.clone()));
        (previous.as_ref() != Some(&hint)).then_some(hint)
    }
}

/// What the endpoint itself shows to be most likely wrong, whatever answers there.
#[must_use]
pub fn of_endpoint(otlp: &Otlp, signal: Signal) -> Option<String> {
    let (path, port) = (path(otlp), port(otlp));
    let protocol = otlp.variables.spelled("PROTOCOL");
    match otlp.protocol {
        Protocol::HttpProtobuf => {
            let own = signal.path();
            let twice = path.strip_suffix(&*own).and_then(|base| {
                let mut paths = ["/v1/traces", "/v1/metrics", "/v1/logs"].into_iter();
                paths.find(|path| base.ends_with(path))
            });
            if let Some(twice) = twice {
                let endpoint = otlp.variables.spelled("ENDPOINT");
                return Some(format!(
                    "{own} is added to {endpoint}, which should not end in {twice} itself"
                ));
            }
            (port == Some(GRPC_PORT)).then(|| {
                format!(
                    "port {GRPC_PORT} is usually for gRPC: set {protocol}=grpc, or use the port for HTTP, usually \
                     {HTTP_PORT}"
                )
            })
        }
        Protocol::Grpc if port == Some(HTTP_PORT) => Some(format!(
            "port {HTTP_PORT} is usually for HTTP: set {protocol}=http/protobuf, or use the port for gRPC, usually \
             {GRPC_PORT}"
        )),
        Protocol::Grpc => (!path.trim_matches('/').is_empty()).then(|| {
            format!(
                "gRPC has no use for the path {path} of the endpoint: if the receiver takes OTLP over HTTP there, set \
                 {protocol}=http/protobuf"
            )
        }),
    }
}

/// What a failed export shows to be most likely wrong.
fn of_fault(otlp: &Otlp, signal: Signal, fault: &Fault) -> Option<String> {
    match fault {
        Fault::Status(401 | 403) | Fault::Code(Code::Unauthenticated | Code::PermissionDenied) => {
            let headers = otlp.variables.spelled("HEADERS");
            Some(format!(
                "it does not accept the credentials: check {headers} (name=value, values percent-encoded)"
            ))
        }
        Fault::NoAnswer { symptom, .. } => match symptom {
            Symptom::Tls(trouble) => Some(of_tls(otlp, signal, *trouble)),
            Symptom::OtherProtocol => {
                of_endpoint(otlp, signal).or_else(|| Some(other_protocol(otlp)))
            }
            Symptom::Refused => of_endpoint(otlp, signal).or_else(|| {
                let endpoint = otlp.variables.spelled("ENDPOINT");
                Some(format!(
                    "nothing listens there: check that the receiver runs, and host and port of {endpoint}; in a \
                     container, localhost is the container itself"
                ))
            }),
            Symptom::UnknownHost => {
                let endpoint = otlp.variables.spelled("ENDPOINT");
                Some(format!(
                    "the name of its host cannot be resolved: check the host of {endpoint}, and DNS"
                ))
            }
            Symptom::Unknown => of_endpoint(otlp, signal),
        },
        _ => of_endpoint(otlp, signal).or_else(|| of_answer(otlp, signal, fault)),
    }
}

/// What is wrong with TLS, and what to change.
fn of_tls(otlp: &Otlp, signal: Signal, trouble: Trouble) -> String {
    let spelled = |name| otlp.variables.spelled(name);
    let remedy = match trouble {
        Trouble::NoTls => format!(
            "begin the endpoint with http:// (for gRPC without a scheme: set {}=true)",
            spelled("INSECURE")
        ),
        Trouble::NoCommonProtocol => {
            return of_endpoint(otlp, signal).unwrap_or_else(|| other_protocol(otlp));
        }
        Trouble::Expired => "renew it, and check the clock of this machine".to_owned(),
        Trouble::NotYetValid => {
            "check the clocks of this machine and of the one that issued it".to_owned()
        }
        Trouble::WrongName | Trouble::UnknownName => {
            format!("use a name of its certificate in {}", spelled("ENDPOINT"))
        }
        Trouble::UnknownIssuer => format!(
            "set {} to a PEM file of the authority that signed it",
            spelled("CERTIFICATE")
        ),
        Trouble::Authority => {
            "issue a certificate for the server alone (basicConstraints = CA:FALSE)".to_owned()
        }
        Trouble::BadCertificate => "check its certificate".to_owned(),
        Trouble::ClientCertificateMissing => format!(
            "set {} and {} to the PEM files of a certificate and its key",
            spelled("CLIENT_CERTIFICATE"),
            spelled("CLIENT_KEY")
        ),
        Trouble::ClientCertificateRefused => format!(
            "check that the certificate in {} is valid, and issued by an authority that the receiver trusts",
            spelled("CLIENT_CERTIFICATE")
        ),
    };
    format!("{trouble}: {remedy}")
}

fn other_protocol(otlp: &Otlp) -> String {
    let (spoken, other, value) = match otlp.protocol {
        Protocol::Grpc => ("gRPC", "HTTP", Protocol::HttpProtobuf),
        Protocol::HttpProtobuf => ("HTTP/1.1", "gRPC", Protocol::Grpc),
    };
    let tls = match otlp.endpoint.starts_with("https://") {
        true => "",
        false => "; if it speaks TLS, begin the endpoint with https://",
    };
    let variable = otlp.variables.spelled("PROTOCOL");
    format!(
        "it does not speak {spoken} on this port: if it takes OTLP over {other} there, set {variable}={value}{tls}"
    )
}

/// Of an answer that is no success, from an endpoint that looks right.
fn of_answer(otlp: &Otlp, signal: Signal, fault: &Fault) -> Option<String> {
    let own = signal.path();
    let spelled = |name| otlp.variables.spelled(name);
    match (fault, otlp.protocol) {
        (Fault::Code(_), Protocol::HttpProtobuf) => Some(format!(
            "it answers as a server of gRPC does: set {}=grpc",
            spelled("PROTOCOL")
        )),
        (Fault::Status(400..=499), Protocol::Grpc) => Some(format!(
            "it answers as a server of HTTP does: set {}=http/protobuf",
            spelled("PROTOCOL")
        )),
        (Fault::Page, _) => Some(format!(
            "another server listens there: check host and port of {}",
            spelled("ENDPOINT")
        )),
        (Fault::Status(300..=399), _) => Some(format!(
            "redirects are not followed: set {} to the address that the receiver redirects to",
            spelled("ENDPOINT")
        )),
        (Fault::Status(404 | 405 | 501), _) if !path(otlp).ends_with(&*own) => Some(format!(
            "{} is used as it stands: it usually ends in {own}",
            spelled("ENDPOINT")
        )),
        (Fault::Status(404 | 405 | 501), _) | (Fault::Code(Code::Unimplemented), _) => {
            Some(match signal {
                Signal::Metrics => {
                    "it takes no metrics there: if it stores traces only, set OTEL_METRICS_EXPORTER=none".into()
                }
                Signal::Logs => {
                    "it takes no logs there: content = \"events\" needs a receiver of logs".into()
                }
                Signal::Traces => format!(
                    "it takes no traces there: check host, port and path of {}",
                    spelled("ENDPOINT")
                ),
            })
        }
        _ => None,
    }
}

fn path(otlp: &Otlp) -> String {
    let url: Option<Uri> = otlp.endpoint.parse().ok();
    url.map_or_else(String::new, |url| url.path().to_owned())
}

fn port(otlp: &Otlp) -> Option<u16> {
    otlp.endpoint.parse::<Uri>().ok()?.port_u16()
}

#[cfg(test)]
mod tests;
