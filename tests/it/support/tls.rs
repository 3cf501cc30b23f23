//! TLS on either side: a certificate for the loopback address, a server that takes TLS off a connection, and a client.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector, client};

use super::within;

/// A self-signed certificate for 127.0.0.1 and its key.
pub(crate) struct Certificate {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    /// The certificate in PEM.
    pub(crate) certificate_pem: String,
    /// The key in PEM.
    pub(crate) key_pem: String,
}

impl Certificate {
    /// Makes a new one.
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed([String::from("127.0.0.1")]).unwrap();
        Self {
            certificate_pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
            certificate: made.cert.into(),
            key: made.signing_key.into(),
        }
    }

    /// Connects by TLS, trusting this certificate alone and offering these protocols.
    pub(crate) async fn connect(
        &self,
        address: SocketAddr,
        protocols: &[&str],
    ) -> client::TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn(protocols);
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let handshake = TlsConnector::from(Arc::new(config))
            .connect(ServerName::IpAddress(address.ip().into()), stream);
        within("a TLS handshake", handshake).await.unwrap()
    }
}

/// Listens for TLS with this certificate and these protocols, and hands on what is inside to a plain listener.
#[derive(Debug)]
pub(crate) struct Terminator {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Terminator {
    pub(crate) async fn start(
        certificate: &Certificate,
        protocols: &[&str],
        plain: SocketAddr,
    ) -> Self {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.certificate.clone()],
                certificate.key.clone_key(),
            )
            .unwrap();
        config.alpn_protocols = alpn(protocols);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(hand_on(acceptor.clone(), stream, plain));
            }
        });
        Self { address, task }
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn hand_on(acceptor: TlsAcceptor, stream: TcpStream, plain: SocketAddr) {
    // A handshake that fails and a connection that breaks are for the ends to notice.
    let Ok(mut outside) = acceptor.accept(stream).await else {
        return;
    };
    let mut inside = TcpStream::connect(plain).await.unwrap();
    for stream in [outside.get_ref().0, &inside] {
        stream.set_nodelay(true).unwrap();
    }
    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn alpn(protocols: &[&str]) -> Vec<Vec<u8>> {
    protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect()
}
