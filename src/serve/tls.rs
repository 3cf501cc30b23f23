//! TLS of the client-facing listener: its certificate and key, and the handshake.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Limit for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// PEM files of the client-facing listener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// Certificate chain, leaf first.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Why the listener cannot offer TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate's file cannot be read as PEM.
    #[error("tls.certificate = {}: {cause}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: pem::Error,
    },
    /// The certificate's file has none.
    #[error("tls.certificate = {}: the file contains no certificate; expected PEM, leaf certificate first", .0.display())]
    NoCertificate(PathBuf),
    /// The key's file cannot be read as PEM.
    #[error("tls.key = {}: {cause}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: pem::Error,
    },
    /// Both are read, and are not a pair.
    #[error("tls.certificate = {}: the certificate does not match tls.key: {cause}", path.display())]
    NoPair {
        /// The certificate's file.
        path: PathBuf,
        /// What is wrong with them.
        cause: rustls::Error,
    },
}

/// The certificate that clients are shown, and its key, as the files had them when they were read last.
#[derive(Debug)]
pub struct Certificate {
    files: TlsConfig,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// What these files have.
    ///
    /// # Errors
    /// When a file cannot be read, holds no PEM of its kind, or the two do not belong together.
    pub fn of(files: TlsConfig) -> Result<Self, TlsError> {
        let current = RwLock::new(files.read()?);
        Ok(Self { files, current })
    }

    /// Reads the files again, for connections to come. Blocks while it reads.
    ///
    /// # Errors
    /// As [`of`](Self::of); then everything stays as it was.
    pub fn renew(&self) -> Result<(), TlsError> {
        let renewed = self.files.read()?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

impl TlsConfig {
    fn read(&self) -> Result<Arc<CertifiedKey>, TlsError> {
        let path = || self.certificate.clone();
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|cause| TlsError::Certificate {
                path: path(),
                cause,
            })?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate(path()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|cause| TlsError::Key {
            path: self.key.clone(),
            cause,
        })?;
        let pair = CertifiedKey::from_der(chain, key, &ring::default_provider());
        pair.map(Arc::new).map_err(|cause| TlsError::NoPair {
            path: path(),
            cause,
        })
    }
}

/// An acceptor that offers HTTP/2 and HTTP/1.1.
#[must_use]
pub fn acceptor(certificate: Arc<Certificate>) -> TlsAcceptor {
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Does the TLS handshake; `None` where the client leaves without sending a byte, as a probe for an open port does.
pub(super) async fn handshake(
    tls: TlsAcceptor,
    stream: TcpStream,
) -> io::Result<Option<TlsStream<TcpStream>>> {
    let agreed = async {
        if matches!(stream.peek(&mut [0]).await, Ok(0)) {
            return Ok(None);
        }
        tls.accept(stream).await.map(Some)
    };
    let agreed = tokio::time::timeout(HANDSHAKE, agreed).await;
    agreed.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::super::refused::{Reason, of_handshake};
    use super::*;

    fn any_acceptor() -> TlsAcceptor {
        let made = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.into()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// Both ends of a connection.
    async fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.unwrap(), accepted.unwrap().0)
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_is_waited_for_only_so_long() {
        let (_client, accepted) = connection().await;
        tokio::time::pause();
        let error = handshake(any_acceptor(), accepted).await.unwrap_err();
        assert_eq!(of_handshake(&error), Reason::TlsTimeout);
    }

    #[tokio::test]
    async fn a_client_that_leaves_without_a_byte_is_no_failure() {
        let (client, accepted) = connection().await;
        drop(client);
        assert!(handshake(any_acceptor(), accepted).await.unwrap().is_none());
    }
}
