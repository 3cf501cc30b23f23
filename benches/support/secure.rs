//! TLS for the benches: a certificate for the loopback address, and what a server and a client make of it.

use std::io;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The other name of the certificate: nginx looks for a name where an address stands.
pub(crate) const NAME: &str = "localhost";
/// What HTTP/1.1 is called where TLS agrees on it (ALPN, RFC 7301).
pub(crate) const HTTP1: &[u8] = b"http/1.1";
/// The same of HTTP/2.
pub(crate) const HTTP2: &[u8] = b"h2";

/// A certificate that vouches for itself, and its key.
pub(crate) struct Certificate {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    /// The certificate in PEM.
    pub(crate) certificate_pem: String,
    /// The key in PEM.
    pub(crate) key_pem: String,
}

impl Certificate {
    /// Makes a new one for 127.0.0.1 and [`NAME`].
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub(crate) fn new() -> io::Result<Self> {
        let names = ["127.0.0.1", NAME].map(String::from);
        let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
        Ok(Self {
            certificate_pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
            certificate: made.cert.into(),
            key: made.signing_key.into(),
        })
    }

    /// A server that shows it and speaks these protocols, the one it prefers first.
    ///
    /// # Errors
    ///
    /// rustls takes no offence at a certificate of [`Certificate::new`].
    pub(crate) fn server(&self, protocols: &[&[u8]]) -> io::Result<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())
            .map_err(io::Error::other)?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }

    /// A client that trusts it alone and asks for this protocol.
    ///
    /// # Errors
    ///
    /// As of [`Certificate::server`].
    pub(crate) fn client(&self, protocol: &[u8]) -> io::Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.certificate.clone())
            .map_err(io::Error::other)?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(config)
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
