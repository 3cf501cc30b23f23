//! The proxy as a tower service over the types of the `http` crate: what an application mounts, and what connections of HTTP/2
//! are served by.
//!
//! Those types have no order of fields, in heads or trailers, and no spelling of their names; both are kept only where our own
//! HTTP/1.1 serves the connection.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::ConnectInfo;
use http::header::TRANSFER_ENCODING;
use hyper::upgrade::OnUpgrade;

use crate::message::{HttpBody, Request};
use crate::proxy::{ClientBody, Peer, Proxy, RequestBody};

/// Serves requests by a proxy. An axum application can have it as its fallback.
///
/// The client's address is taken from the request, where the application's server puts it there
/// ([`ConnectInfo`]); connections that change their protocol, such as WebSocket, work where the server supports upgrades.
#[derive(Clone)]
pub struct ProxyService {
    proxy: Arc<Proxy>,
    scheme: &'static str,
    no_room: bool,
}

impl ProxyService {
    /// A service for clients that connect by plain HTTP.
    #[must_use]
    pub const fn new(proxy: Arc<Proxy>) -> Self {
        Self {
            proxy,
            scheme: "http",
            no_room: false,
        }
    }

    /// The same for clients that connect by TLS, which is all that telemetry shows of it.
    #[must_use]
    pub fn over_tls(mut self) -> Self {
        self.scheme = "https";
        self
    }

    /// The same for clients for which there is no room: each of their requests is answered so.
    pub(super) const fn without_room(mut self) -> Self {
        self.no_room = true;
        self
    }

    pub(super) fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// The client at this address.
    pub(super) const fn peer(&self, address: Option<SocketAddr>) -> Peer {
        Peer {
            address,
            scheme: self.scheme,
            no_room: self.no_room,
        }
    }

    /// Serves one request.
    pub(super) fn respond(
        &self,
        request: Request<RequestBody>,
        address: Option<SocketAddr>,
    ) -> impl Future<Output = http::Response<HttpBody<ClientBody>>> + Send + use<> {
        let (proxy, peer) = (Arc::clone(&self.proxy), self.peer(address));
        async move {
            // Boxed, it is gone when the response begins. Inline there would be room for it, 11 KiB, for as long as the stream
            // is open, and the HTTP library would move that ten times.
            let mut response = Box::pin(proxy.handle(request, peer)).await;
            // Whoever writes it decides how it is framed (RFC 9112 §6.1, RFC 9113 §8.2.2).
            response.fields.remove(TRANSFER_ENCODING);
            http::Response::from(response.map(HttpBody))
        }
    }
}

impl tower::Service<http::Request<axum::body::Body>> for ProxyService {
    type Response = http::Response<HttpBody<ClientBody>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<axum::body::Body>) -> Self::Future {
        let extensions = request.extensions_mut();
        let upgrade = extensions.remove::<OnUpgrade>();
        let address = extensions.get::<ConnectInfo<SocketAddr>>();
        let address = address.map(|ConnectInfo(address)| *address);
        let request = Request::from(request).map(|body| RequestBody::mounted(body, upgrade));
        let response = self.respond(request, address);
        Box::pin(async move { Ok(response.await) })
    }
}
