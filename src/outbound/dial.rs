//! Connections over TCP, direct or by a forward proxy, as hyper's clients ask for them.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::{PathAndQuery, Scheme};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

use super::{ForwardProxy, Socks};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long a connection is silent until the peer is asked whether it is still there (TCP keep-alive).
pub const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long an answer to that is waited for.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// After so many questions without an answer the connection is over.
pub const KEEPALIVE_RETRIES: u32 = 3;

/// The port of a SOCKS proxy whose URL has none.
const SOCKS_PORT: u16 = 1080;

/// Makes connections to the host of a URI, without TLS. A host that a proxy is asked for is resolved by the proxy, but for that
/// of a `socks5` one.
#[derive(Debug, Clone)]
pub struct Dialer(Way);

#[derive(Debug, Clone)]
enum Way {
    Direct(HttpConnector),
    Tunnel(Tunnel<HttpConnector>),
    Socks(SocksV5<HttpConnector>, Socks),
}

impl Dialer {
    /// A dialler by this proxy; `None` for direct connections.
    #[must_use]
    pub fn new(proxy: Option<&ForwardProxy>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        tcp.enforce_http(false);
        let Some(proxy) = proxy else {
            return Self(Way::Direct(tcp));
        };
        Self(match proxy.socks() {
            None => {
                let tunnel = Tunnel::new(proxy.url().clone(), tcp);
                Way::Tunnel(match proxy.authorization() {
                    Some(authorization) => tunnel.with_auth(authorization.clone()),
                    None => tunnel,
                })
            }
            Some(socks) => {
                let by = SocksV5::new(with_port(proxy.url().clone(), SOCKS_PORT), tcp);
                let by = match proxy.user() {
                    Some((user, password)) => by.with_auth(user.into(), password.into()),
                    None => by,
                };
                Way::Socks(by, socks)
            }
        })
    }
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.0 {
            Way::Direct(tcp) => tcp.poll_ready(cx).map_err(Into::into),
            Way::Tunnel(tunnel) => tunnel.poll_ready(cx).map_err(Into::into),
            Way::Socks(socks, _) => socks.poll_ready(cx).map_err(Into::into),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match &mut self.0 {
            Way::Direct(tcp) => {
                let connecting = tcp.call(uri);
                Box::pin(async { Ok(connecting.await?) })
            }
            Way::Tunnel(tunnel) => {
                let connecting = tunnel.call(with_port_of_scheme(uri));
                Box::pin(async { Ok(connecting.await?) })
            }
            Way::Socks(socks, Socks::ResolvedThere) => {
                let connecting = socks.call(with_port_of_scheme(uri));
                Box::pin(async { Ok(connecting.await?) })
            }
            Way::Socks(socks, Socks::ResolvedHere) => {
                let mut socks = socks.clone();
                Box::pin(async move { Ok(socks.call(resolved(uri).await?).await?) })
            }
        }
    }
}

/// The same with an address in place of the host.
async fn resolved(uri: Uri) -> Result<Uri, BoxError> {
    let uri = with_port_of_scheme(uri);
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = uri.port_u16().unwrap_or(443);
    let mut addresses = tokio::net::lookup_host((host, port)).await?;
    let address = addresses.next().ok_or("the host has no address")?;
    Ok(Uri::builder()
        .scheme("socks5")
        .authority(address.to_string())
        .path_and_query(PathAndQuery::from_static("/"))
        .build()?)
}

/// The port of a URI's scheme is said to the proxy too, which takes a missing one for that of `https`.
fn with_port_of_scheme(uri: Uri) -> Uri {
    match uri.scheme() == Some(&Scheme::HTTP) {
        true => with_port(uri, 80),
        false => uri,
    }
}

/// A URI that has a port: this one, where none is there.
fn with_port(uri: Uri, port: u16) -> Uri {
    if uri.port().is_some() {
        return uri;
    }
    let host = uri.host().unwrap_or_default();
    let whole = Uri::builder()
        .scheme(uri.scheme_str().unwrap_or_default())
        .authority(format!("{host}:{port}"))
        .path_and_query(PathAndQuery::from_static("/"));
    whole.build().unwrap_or(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_said_where_the_scheme_alone_would_mean_another() {
        for (uri, said) in [
            ("http://a/v1", "a:80"),
            ("http://[::1]", "[::1]:80"),
            ("http://a:8000/v1", "a:8000"),
            ("https://a/v1", "a"),
        ] {
            let uri = with_port_of_scheme(Uri::from_static(uri));
            assert_eq!(uri.authority().unwrap().as_str(), said);
        }
        let socks = with_port(Uri::from_static("socks5h://a"), SOCKS_PORT);
        assert_eq!(socks.to_string(), "socks5h://a:1080/");
    }

    #[tokio::test]
    async fn a_host_is_resolved_here_where_the_proxy_is_not_to() {
        for (uri, address) in [
            ("http://127.0.0.1/v1", "127.0.0.1:80"),
            ("https://[::1]:8443/", "[::1]:8443"),
            ("https://127.0.0.1", "127.0.0.1:443"),
        ] {
            let uri = resolved(Uri::from_static(uri)).await.unwrap();
            assert_eq!(uri.authority().unwrap().as_str(), address);
        }
    }
}
