//! What the clients of both transports are made of: certificates, and what can be wrong with them.

use std::path::{Path, PathBuf};

use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::otel::{Otlp, Tls};

/// Why an exporter cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A PEM file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// gRPC outside a tokio runtime.
    #[error("OTLP over gRPC needs a running tokio runtime")]
    NoRuntime,
    /// The client refuses its endpoint or its certificates, or cannot be started.
    #[error("cannot set up the client for {endpoint}: {reason}")]
    Client {
        /// Where it would have sent.
        endpoint: String,
        /// What it says.
        reason: String,
    },
}

/// How a gRPC channel proves itself, and whom it trusts.
pub(super) fn grpc_tls(tls: &Tls) -> Result<ClientTlsConfig, BuildError> {
    let mut config = match &tls.certificate {
        Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?)),
        None => ClientTlsConfig::new().with_enabled_roots(),
    };
    if let Some((certificate, key)) = &tls.client {
        config = config.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(config)
}

/// A client that blocks; it is built anywhere.
pub(super) fn http_client(otlp: &Otlp) -> Result<reqwest::blocking::Client, BuildError> {
    // The client panics without a provider. An error here means that one is installed already, which will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let refused = |reason: &dyn std::fmt::Display| BuildError::Client {
        endpoint: otlp.shown_endpoint(),
        reason: reason.to_string(),
    };
    // What is sent may be a credential, and so nothing for another place that a receiver names.
    let mut client = reqwest::blocking::Client::builder()
        .timeout(otlp.timeout)
        .redirect(reqwest::redirect::Policy::none())
        .http1_only()
        // Those of the process's own environment were looked up with the other settings.
        .no_proxy();
    if let Some(proxy) = &otlp.proxy {
        let mut by = reqwest::Proxy::all(proxy.to_string()).map_err(|error| refused(&error))?;
        if let Some(authorization) = proxy.authorization() {
            by = by.custom_http_auth(authorization.clone());
        }
        if let Some((user, password)) = proxy.user() {
            by = by.basic_auth(user, password);
        }
        client = client.proxy(by);
    }
    if let Some(path) = &otlp.tls.certificate {
        let authorities =
            reqwest::Certificate::from_pem_bundle(&read(path)?).map_err(|error| refused(&error))?;
        client = client.tls_certs_only(authorities);
    } else if !otlp.endpoint.starts_with("https://") {
        // Nobody is to be trusted. To read the system's authorities is half of what a start takes, and fails where it has none.
        client = client.tls_certs_only([]);
    }
    if let Some((certificate, key)) = &otlp.tls.client {
        let mut pem = read(certificate)?;
        pem.push(b'\n');
        pem.extend(read(key)?);
        client =
            client.identity(reqwest::Identity::from_pem(&pem).map_err(|error| refused(&error))?);
    }
    // A blocking client may not be built on a thread of an async runtime.
    let built = std::thread::scope(|scope| scope.spawn(|| client.build()).join());
    built
        .map_err(|_| refused(&"its constructor panicked"))?
        .map_err(|error| refused(&error))
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    std::fs::read(path).map_err(|source| BuildError::Pem {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
