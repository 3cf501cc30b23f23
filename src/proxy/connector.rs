//! How connections to an upstream are made: name resolution, TCP, TLS, and the limit on all three.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::Service;

use super::body::Outgoing;
use super::config::{self, HttpVersion};
use super::pool::IDLE_CONNECTION;

pub(super) fn connector(
    config: &config::Upstream,
    http: HttpVersion,
    tls: rustls::ClientConfig,
) -> Connector {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let tls = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http();
    let https = match http {
        HttpVersion::Auto => tls.enable_all_versions().wrap_connector(tcp),
        HttpVersion::Http1 => tls.enable_http1().wrap_connector(tcp),
        HttpVersion::Http2 => tls.enable_http2().wrap_connector(tcp),
    };
    Connector {
        https,
        limit: config.connect_timeout,
    }
}

pub(super) fn shared(http: HttpVersion, connector: Connector) -> Client<Connector, Box<Outgoing>> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION)
        .http1_preserve_header_case(true)
        .http2_only(http == HttpVersion::Http2)
        .http2_adaptive_window(true)
        .build(connector)
}

/// The system's roots, or none for an upstream that is not reached by TLS.
pub(super) fn tls(config: &config::Upstream) -> io::Result<rustls::ClientConfig> {
    let builder = rustls::ClientConfig::builder();
    let builder = if config.url.scheme() == Some(&Scheme::HTTPS) {
        builder.with_native_roots()?
    } else {
        builder.with_root_certificates(rustls::RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}

/// Connects within a limit that covers name resolution, TCP and TLS.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    https: HttpsConnector<HttpConnector>,
    limit: Duration,
}

/// A plain or TLS stream to an upstream.
pub(super) type Connection = <HttpsConnector<HttpConnector> as Service<Uri>>::Response;
pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = Connection;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.https.call(uri);
        let limit = self.limit;
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connection) => connection,
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        })
    }
}
