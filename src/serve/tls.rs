//! TLS of the client-facing listener: its certificate and key, and the handshake.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
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

/// An acceptor that offers HTTP/2 and HTTP/1.1.
///
/// # Errors
/// When a file cannot be read, holds no PEM of its kind, or the two do not belong together.
pub fn acceptor(files: &TlsConfig) -> Result<TlsAcceptor, TlsError> {
    let path = || files.certificate.clone();
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| TlsError::Certificate {
            path: path(),
            cause,
        })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(path()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|cause| TlsError::Key {
        path: files.key.clone(),
        cause,
    })?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|cause| TlsError::NoPair {
            path: path(),
            cause,
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
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
