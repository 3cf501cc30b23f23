//! How connections to an upstream are made: name resolution, a proxy's tunnel, TCP, TLS, and the limit on all of it.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use http::Uri;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use rustls::ClientConfig;
use tower::{Service as _, ServiceExt as _};

use super::BoxError;
use super::config::{HttpVersion, UpstreamConfig};
use super::socket::Socket;
use crate::outbound::Dialer;
use crate::tls::root_cause;

/// Connects within a limit that covers name resolution, TCP and TLS. Clones trust the same, also once that changes.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    https: Arc<RwLock<HttpsConnector<Dialer>>>,
    http: HttpVersion,
    /// Whose scheme, host and port are connected to.
    url: Uri,
    limit: Duration,
    /// The upstream's name, for the log.
    name: Arc<str>,
}

impl Connector {
    /// A connector that offers these versions where TLS negotiates one.
    pub(super) fn new(config: &UpstreamConfig, http: HttpVersion, tls: ClientConfig) -> Self {
        Self {
            https: Arc::new(RwLock::new(https(config, http, tls))),
            http,
            url: config.url.clone(),
            limit: config.connect_timeout,
            name: Arc::clone(&config.name),
        }
    }

    /// Has connections from now on made by this. Those that there are stay.
    pub(super) fn renew(&self, config: &UpstreamConfig, tls: ClientConfig) {
        let renewed = https(config, self.http, tls);
        *self.https.write().unwrap_or_else(PoisonError::into_inner) = renewed;
    }

    /// Connects to the upstream.
    ///
    /// # Errors
    /// The transport's, or [`io::ErrorKind::TimedOut`].
    pub(super) async fn connect(&self) -> Result<Socket, BoxError> {
        let mut https = {
            let https = self.https.read().unwrap_or_else(PoisonError::into_inner);
            https.clone()
        };
        let connecting = async { https.ready().await?.call(self.url.clone()).await };
        // Boxed: it is large, and most requests find a connection.
        let begun = Instant::now();
        let socket = match tokio::time::timeout(self.limit, Box::pin(connecting)).await {
            Ok(stream) => stream.map(Socket::from),
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        };
        self.log(&socket, begun.elapsed());
        socket
    }

    fn log(&self, socket: &Result<Socket, BoxError>, took: Duration) {
        let (upstream, host) = (&*self.name, self.url.host());
        match socket {
            Ok(socket) => {
                let http2 = socket.negotiated_http2();
                tracing::debug!(upstream, host, ?took, http2, "connected to the upstream");
            }
            Err(error) => {
                let error = root_cause(&**error);
                tracing::debug!(upstream, host, ?took, %error, "cannot connect to the upstream");
            }
        }
    }
}

fn https(config: &UpstreamConfig, http: HttpVersion, tls: ClientConfig) -> HttpsConnector<Dialer> {
    let tcp = Dialer::new(config.via.proxy());
    let mut tls = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http();
    if let Some(name) = &config.tls.server_name {
        tls = tls.with_server_name_resolver(FixedServerNameResolver::new(name.clone()));
    }
    match http {
        HttpVersion::Auto => tls.enable_all_versions().wrap_connector(tcp),
        HttpVersion::Http1 => tls.enable_http1().wrap_connector(tcp),
        HttpVersion::Http2 => tls.enable_http2().wrap_connector(tcp),
    }
}
