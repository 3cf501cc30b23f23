//! The certificate and key of the client-facing listener.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;

/// An acceptor that offers HTTP/2 and HTTP/1.1.
///
/// # Errors
/// When a file cannot be read, holds no PEM of its kind, or the two do not belong together.
pub(super) fn acceptor(files: &Tls) -> anyhow::Result<TlsAcceptor> {
    let of = |key: &str, path: &Path| format!("tls.{key} = {}", path.display());
    let certificate = || of("certificate", &files.certificate);
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .with_context(certificate)?;
    anyhow::ensure!(
        !chain.is_empty(),
        "{}: it holds no certificate; expected PEM, leaf first",
        certificate()
    );
    let key = PrivateKeyDer::from_pem_file(&files.key).with_context(|| of("key", &files.key))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| format!("{}: it does not go with tls.key", certificate()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
