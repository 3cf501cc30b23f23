//! TLS on either side: a certificate for the loopback address, a server that takes TLS off a connection, and a client.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector, client};

use super::within;

/// A name that no resolver knows, of which the certificates are too.
pub(crate) const NAME: &str = "streamgauge.test";

/// An authority, which issues certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    /// Its own certificate in PEM.
    pub(crate) pem: String,
}

impl Authority {
    /// A new one of this name.
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let made = params.self_signed(&key).unwrap();
        Self {
            pem: made.pem(),
            certificate: made.into(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Issues a certificate for 127.0.0.1 and [`NAME`], with these changes.
    pub(crate) fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let names = ["127.0.0.1", NAME].map(String::from);
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let made = params.signed_by(&key, &self.issuer).unwrap();
        Certificate {
            certificate_pem: made.pem(),
            key_pem: key.serialize_pem(),
            certificate: made.into(),
            key: key.into(),
        }
    }
}

/// A certificate for 127.0.0.1 and [`NAME`], and its key.
pub(crate) struct Certificate {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    /// The certificate in PEM.
    pub(crate) certificate_pem: String,
    /// The key in PEM.
    pub(crate) key_pem: String,
}

impl Certificate {
    /// Makes a new one, self-signed.
    pub(crate) fn new() -> Self {
        let made =
            rcgen::generate_simple_self_signed(["127.0.0.1", NAME].map(String::from)).unwrap();
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
        Self::asking(None, certificate, protocols, plain).await
    }

    /// The same, asking who the client is, where somebody is named whom its certificate is to be issued by.
    pub(crate) async fn asking(
        clients: Option<&Authority>,
        certificate: &Certificate,
        protocols: &[&str],
        plain: SocketAddr,
    ) -> Self {
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.certificate.clone()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let mut config = config
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
