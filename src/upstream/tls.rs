//! TLS towards an upstream: whom we trust, and how we prove who we are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Uri;
use http::uri::Scheme;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// What is said of TLS towards an upstream. Files are PEM; they are read when connections are set up, and again on demand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Authorities that are trusted beside those of the system.
    pub ca: Option<PathBuf>,
    /// What the upstream is shown where it asks who we are; nothing by default.
    pub client: Option<ClientCertificate>,
    /// Name that the certificate is to be for, and that is asked for (SNI), in place of the host of the URL.
    pub server_name: Option<ServerName<'static>>,
    /// Any certificate will do. Whoever is on the way can read and change everything.
    pub insecure: bool,
}

/// A certificate of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its chain, leaf first.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// A setting whose file will not do.
#[derive(Debug, thiserror::Error)]
#[error("expected {expected} in {}: {cause}", path.display())]
pub struct TlsFileError {
    /// The setting's name in the table `tls`.
    pub key: &'static str,
    /// What the file should contain.
    expected: &'static str,
    path: PathBuf,
    cause: String,
}

/// What files contain.
pub(super) struct Certificates {
    authorities: Vec<CertificateDer<'static>>,
    own: Option<CertifiedKey>,
}

impl UpstreamTls {
    /// Whether there is a file that can change.
    #[must_use]
    pub const fn has_files(&self) -> bool {
        self.ca.is_some() || self.client.is_some()
    }

    /// What of its files cannot be used: each names the setting, its file, and what the file should contain.
    #[must_use]
    pub fn faults(&self) -> Vec<TlsFileError> {
        let authorities = self.ca.as_deref().map(authorities);
        let own = self.client.as_ref().map(ClientCertificate::read);
        let faults = [authorities.and_then(Result::err), own.and_then(Result::err)];
        faults.into_iter().flatten().collect()
    }

    pub(super) fn read(&self) -> Result<Certificates, TlsFileError> {
        let authorities = self.ca.as_deref().map(authorities).transpose()?;
        let own = self.client.as_ref().map(ClientCertificate::read);
        Ok(Certificates {
            authorities: authorities.unwrap_or_default(),
            own: own.transpose()?,
        })
    }

    /// Connections with these certificates.
    ///
    /// # Errors
    /// When nobody would be trusted, since the system has no roots.
    pub(super) fn client(
        &self,
        url: &Uri,
        certificates: Certificates,
    ) -> Result<ClientConfig, NoRoots> {
        let builder = ClientConfig::builder();
        let builder = if self.insecure {
            let provider = Arc::clone(builder.crypto_provider());
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        } else {
            // None for an upstream that is not reached by TLS.
            let roots = match url.scheme() == Some(&Scheme::HTTPS) {
                true => roots(certificates.authorities)?,
                false => RootCertStore::empty(),
            };
            builder.with_root_certificates(roots)
        };
        Ok(match certificates.own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let own: Arc<dyn ResolvesClientCert> = Arc::new(SingleCertAndKey::from(own));
                builder.with_client_cert_resolver(own)
            }
        })
    }
}

impl ClientCertificate {
    fn read(&self) -> Result<CertifiedKey, TlsFileError> {
        let wrong = |key, expected, path: &Path, cause: &dyn fmt::Display| TlsFileError {
            key,
            expected,
            path: path.to_owned(),
            cause: cause.to_string(),
        };
        let chain = certificates(&self.certificate).map_err(|cause| {
            let expected = "the client certificate, leaf first, as PEM";
            wrong(
                "tls.client_certificate",
                expected,
                &self.certificate,
                &cause,
            )
        })?;
        let expected = "the key of client_certificate as PEM, without a password";
        let of_key = |cause: &dyn fmt::Display| wrong("tls.client_key", expected, &self.key, cause);
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|cause| of_key(&cause))?;
        CertifiedKey::from_der(chain, key, &ring::default_provider())
            .map_err(|cause| of_key(&cause))
    }
}

/// The authorities in a file, each of which can be one.
fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let wrong = |cause: String| TlsFileError {
        key: "tls.ca",
        expected: "the certificates of one or more authorities as PEM",
        path: path.to_owned(),
        cause,
    };
    let found = certificates(path).map_err(wrong)?;
    let mut roots = RootCertStore::empty();
    for authority in &found {
        let added = roots.add(authority.clone());
        added.map_err(|cause| wrong(cause.to_string()))?;
    }
    Ok(found)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found {
        Ok(found) if found.is_empty() => Err("it has none".to_owned()),
        Ok(found) => Ok(found),
        Err(cause) => Err(cause.to_string()),
    }
}

/// Nobody is trusted.
#[derive(Debug, thiserror::Error)]
#[error(
    "no certificates of trusted authorities were found{}; install those of the system (the package ca-certificates), or set \
     SSL_CERT_FILE or upstream.tls.ca to a PEM file", because(.0)
)]
pub(super) struct NoRoots(Vec<String>);

fn because(errors: &[String]) -> String {
    match errors {
        [] => String::new(),
        errors => format!(" ({})", errors.join(", ")),
    }
}

/// The system's roots, and these.
fn roots(added: Vec<CertificateDer<'static>>) -> Result<RootCertStore, NoRoots> {
    let system = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some that a system has are odd, and are no reason to trust none.
    roots.add_parsable_certificates(system.certs);
    roots.add_parsable_certificates(added);
    if roots.is_empty() {
        let errors = system.errors.iter().map(ToString::to_string).collect();
        return Err(NoRoots(errors));
    }
    Ok(roots)
}

/// Takes any certificate; that its owner is at the other end is still verified.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
