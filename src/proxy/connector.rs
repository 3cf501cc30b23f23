//! How connections to an upstream are made: name resolution, TCP, TLS, and the limit on all three.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use tower::{Service as _, ServiceExt as _};

use super::config::{self, HttpVersion};
use super::stream::Stream;

/// Connects within a limit that covers name resolution, TCP and TLS.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    https: HttpsConnector<HttpConnector>,
    limit: Duration,
}

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

impl Connector {
    /// A connector that offers these versions where TLS negotiates one.
    pub(super) fn new(
        config: &config::Upstream,
        http: HttpVersion,
        tls: rustls::ClientConfig,
    ) -> Self {
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
        Self {
            https,
            limit: config.connect_timeout,
        }
    }

    /// Connects to the host of a URI.
    ///
    /// # Errors
    /// The transport's, or [`io::ErrorKind::TimedOut`].
    pub(super) async fn connect(&self, uri: &Uri) -> Result<Stream, BoxError> {
        let mut https = self.https.clone();
        let connecting = async { https.ready().await?.call(uri.clone()).await };
        // Boxed: it is large, and most requests find a connection.
        match tokio::time::timeout(self.limit, Box::pin(connecting)).await {
            Ok(stream) => stream.map(Stream::from),
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        }
    }
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
