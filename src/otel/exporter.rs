//! The OTLP exporter of metrics over gRPC and HTTP, and what the sender of spans shares with it.
//!
//! The SDK's thread calls it and is blocked meanwhile: HTTP by a blocking client, gRPC by a channel that lives on the
//! tokio runtime. The crate reads endpoint, headers, timeout and compression from the environment itself, but no
//! certificates, and it drops what it cannot parse; so everything is handed to it explicitly.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use opentelemetry_otlp::{
    Compression, ExporterBuildError, MetricExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};

use super::send;
use super::settings::{Otlp, Protocol, Tls};

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
    /// The HTTP client refuses its certificates, or cannot be started.
    #[error("cannot set up the HTTP client for {endpoint}: {reason}")]
    Client {
        /// Where it would have sent.
        endpoint: String,
        /// What it says.
        reason: String,
    },
    /// The exporter refuses its settings.
    #[error("cannot set up the exporter for {endpoint}: {source}")]
    Exporter {
        /// Where it would have sent.
        endpoint: String,
        /// What it says.
        source: ExporterBuildError,
    },
}

/// The exporter of metrics.
pub(super) fn metrics(otlp: &Otlp) -> Result<MetricExporter, BuildError> {
    let builder = MetricExporter::builder().with_temporality(otlp.temporality);
    let built = match otlp.protocol {
        Protocol::Grpc => grpc(builder.with_tonic(), otlp)?.build(),
        Protocol::HttpProtobuf => http(builder.with_http(), otlp)?.build(),
    };
    built.map_err(|source| BuildError::Exporter {
        endpoint: otlp.shown_endpoint(),
        source,
    })
}

fn grpc<B: WithExportConfig + WithTonicConfig>(builder: B, otlp: &Otlp) -> Result<B, BuildError> {
    // The channel is spawned where it is built, and would panic elsewhere.
    tokio::runtime::Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
    let mut builder = builder
        .with_endpoint(&otlp.endpoint)
        .with_timeout(otlp.timeout)
        .with_metadata(MetadataMap::from_headers(send::headers(otlp)));
    if otlp.endpoint.starts_with("https://") {
        builder = builder.with_tls_config(grpc_tls(&otlp.tls)?);
    }
    Ok(if otlp.gzip {
        builder.with_compression(Compression::Gzip)
    } else {
        builder
    })
}

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

fn http<B: WithExportConfig + WithHttpConfig>(builder: B, otlp: &Otlp) -> Result<B, BuildError> {
    let headers: HashMap<String, String> = otlp.headers.iter().cloned().collect();
    let builder = builder
        .with_http_client(http_client(otlp)?)
        .with_endpoint(&otlp.endpoint)
        .with_timeout(otlp.timeout)
        .with_headers(headers);
    Ok(if otlp.gzip {
        builder.with_compression(Compression::Gzip)
    } else {
        builder
    })
}

pub(super) fn http_client(otlp: &Otlp) -> Result<reqwest::blocking::Client, BuildError> {
    // The client panics without a provider. An error here means that one is installed already, which will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let refused = |reason: &dyn std::fmt::Display| BuildError::Client {
        endpoint: otlp.shown_endpoint(),
        reason: reason.to_string(),
    };
    let mut client = reqwest::blocking::Client::builder().timeout(otlp.timeout);
    if let Some(path) = &otlp.tls.certificate {
        let authorities =
            reqwest::Certificate::from_pem_bundle(&read(path)?).map_err(|error| refused(&error))?;
        client = client.tls_certs_only(authorities);
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
        .map_err(|_| refused(&"it panicked"))?
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
