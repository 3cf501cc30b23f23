//! The transport of requests to an upstream: a pooled HTTP/1.1 connection for each, or a place on an HTTP/2 connection that
//! many share, all of the same worker.
//!
//! Nothing is sent twice here. Whoever has a request that was not answered learns whether it may be sent again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use http::Uri;
use http::uri::{Authority, Scheme};

use super::base_url::Base;
use super::body::{ResponseBody, UpstreamBody};
use super::config::{HttpVersion, UpstreamConfig};
use super::connect::Connector;
use super::http2::{self, Granted, upload_of};
use super::socket::Socket;
use super::{BoxError, Sendable};
use crate::http1::{self, Keep, Trust};
use crate::message::{Request, Response};
use crate::tap::Why;
use crate::workers::PerWorker;

/// A request for an upstream. Boxed: it is moved through several futures on its way, and each has room for it.
pub type Outbound<B> = Box<Request<B>>;

/// Its answer, boxed for the same reason.
pub type Inbound<B> = Box<Response<ResponseBody<B>>>;

/// Why a request was not answered.
pub(super) enum TransportError {
    /// There is no connection.
    Connect(BoxError),
    /// There was one.
    Broken(BoxError),
    /// The upstream says that it has processed nothing of the request.
    Unprocessed(BoxError),
}

/// A request that was not answered.
pub(super) struct Unanswered<B> {
    pub(super) error: TransportError,
    /// Its body, and why, where the request may be sent again.
    pub(super) again: Option<(B, Why)>,
}

/// The connections to one upstream.
#[derive(Debug)]
pub(super) struct Transport {
    scheme: Scheme,
    authority: Authority,
    connector: Connector,
    /// For what only HTTP/1.1 can: requests that ask for another protocol, and targets that are no URI.
    only_http1: Connector,
    /// Whether the upstream has been seen to choose HTTP/1.1, last.
    chooses_http1: AtomicBool,
    connections: PerWorker<Connections>,
}

/// The connections of one worker.
#[derive(Debug)]
struct Connections {
    idle: Arc<http1::Pool<Socket>>,
    shared: Arc<http2::Pool>,
}

/// A request that a connection has taken.
///
/// # Cancel safety
/// Dropping it closes the connection (HTTP/2: resets the stream), so that the upstream stops.
pub(super) enum Exchange<B> {
    Http1(http1::Sent<Socket, B>),
    Http2(Option<Box<http2::Exchange<B>>>),
}

impl Transport {
    /// A transport by the upstream's versions of HTTP. Connects to nothing yet.
    ///
    /// # Errors
    /// When there is nobody to trust, or a certificate's file will not do.
    pub(super) fn new(config: &UpstreamConfig, base: &Base) -> io::Result<Self> {
        let tls = tls(config)?;
        let plain = config.url.scheme() != Some(&Scheme::HTTPS);
        let http = match config.http {
            // Nothing negotiates in the clear.
            HttpVersion::Auto if plain => HttpVersion::Http1,
            http => http,
        };
        let trust = Trust::new(&config.name);
        let connector = Connector::new(config, http, tls.clone());
        let keep = Keep {
            idle: config.keep_alive.http1,
            connections: config.keep_alive.connections,
        };
        Ok(Self {
            scheme: base.scheme.clone(),
            authority: base.authority.clone(),
            only_http1: Connector::new(config, HttpVersion::Http1, tls),
            chooses_http1: AtomicBool::new(http == HttpVersion::Http1),
            connections: PerWorker::new(|| Connections {
                idle: http1::Pool::new(keep, Arc::clone(&trust)),
                shared: http2::Pool::new(config, connector.clone(), http),
            }),
            connector,
        })
    }

    /// Reads the certificates' files again, for the connections to come.
    ///
    /// # Errors
    /// As [`new`](Self::new); then everything stays as it was.
    pub(super) fn renew(&self, config: &UpstreamConfig) -> io::Result<()> {
        let tls = tls(config)?;
        self.connector.renew(config, tls.clone());
        self.only_http1.renew(config, tls);
        Ok(())
    }

    /// Gives a request to a connection, once there is one; `fresh` says that of HTTP/1.1 it is to be a new one, `upgrade` that
    /// the request asks for another protocol.
    pub(super) async fn begin<B: Sendable>(
        &self,
        request: Outbound<B>,
        fresh: bool,
        upgrade: bool,
    ) -> Result<Exchange<B>, TransportError> {
        let own = self.connections.own();
        let mut request = request;
        let connection = loop {
            let shares = !upgrade && !self.chooses_http1.load(Relaxed);
            let uri = shares.then(|| self.uri(&request)).flatten();
            let only_http1 = upgrade || (shares && uri.is_none());
            if let Some(uri) = uri {
                // Boxed: it is large, and a stream in the clear need not be as large.
                match Box::pin(self.shared(request, uri, fresh)).await? {
                    Ok(exchange) => {
                        tracing::debug!(
                            host = self.authority.host(),
                            "the request shares a connection of HTTP/2 to the upstream"
                        );
                        return Ok(Exchange::Http2(Some(exchange)));
                    }
                    Err((given_back, socket)) => {
                        request = given_back;
                        if let Some(socket) = socket {
                            break http1::Connection::new(socket);
                        }
                    }
                }
            }
            if let Some(idle) = (!fresh).then(|| own.idle.take()).flatten() {
                tracing::debug!(
                    host = self.authority.host(),
                    "the request has an idle connection to the upstream"
                );
                break idle;
            }
            let connector = match only_http1 {
                true => &self.only_http1,
                false => &self.connector,
            };
            let socket = connector.connect().await;
            let socket = socket.map_err(TransportError::Connect)?;
            if !socket.negotiated_http2() {
                break http1::Connection::new(socket);
            }
            self.chooses_http1.store(false, Relaxed);
            Box::pin(own.shared.adopt(socket)).await;
        };
        // What is safe to be asked twice, by a connection that the server may just have closed.
        let repeatable = connection.is_reused() && request.method.is_idempotent();
        if repeatable {
            request.body.keep();
        }
        Ok(Exchange::Http1(
            connection.send(request, &own.idle, repeatable),
        ))
    }

    fn uri<B>(&self, request: &Request<B>) -> Option<Uri> {
        let (scheme, authority) = (self.scheme.clone(), self.authority.clone());
        request.target.to_uri(scheme, authority)
    }

    /// Sends by HTTP/2 where the upstream speaks it, else gives the request back; perhaps with a connection for it.
    async fn shared<B: Sendable>(
        &self,
        request: Outbound<B>,
        uri: Uri,
        fresh: bool,
    ) -> Result<Shared<B>, TransportError> {
        let pool = &self.connections.own().shared;
        let upload = upload_of(&request.body);
        let mut unsent = request;
        if !fresh {
            unsent.body.keep();
        }
        loop {
            match pool.slot(upload).await {
                Granted::Http2(slot, waited) => {
                    if !waited.is_zero() {
                        unsent.body.waited(waited);
                    }
                    let begun = http2::Exchange::begin(slot, unsent, &uri);
                    match begun.map_err(TransportError::Broken)? {
                        Ok(exchange) => return Ok(Ok(exchange)),
                        Err(given_back) => unsent = given_back,
                    }
                }
                Granted::Http1(socket) => {
                    self.chooses_http1.store(true, Relaxed);
                    return Ok(Err((unsent, socket)));
                }
                Granted::Failed(error) => return Err(TransportError::Connect(error.into())),
            }
        }
    }
}

/// A request that has gone by HTTP/2, or cannot.
type Shared<B> = Result<Box<http2::Exchange<B>>, (Outbound<B>, Option<Socket>)>;

impl<B: Sendable> Exchange<B> {
    /// Resolves with the head of the response.
    pub(super) fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Inbound<B>, Unanswered<B>>> {
        Poll::Ready(match self {
            Self::Http1(sent) => match ready!(sent.poll_response(cx)) {
                Ok(response) => Ok(inbound(response, UpstreamBody::Http1)),
                Err(http1::Unanswered { error, body }) => Err(Unanswered {
                    error: TransportError::Broken(error.into()),
                    again: body.map(|body| (body, Why::ConnectionClosed)),
                }),
            },
            Self::Http2(exchange) => match ready!(http2::Exchange::poll_response(exchange, cx)) {
                Ok(response) => Ok(inbound(response, UpstreamBody::Http2)),
                Err(http2::Unanswered { error, unprocessed }) => Err(Unanswered {
                    error: match unprocessed {
                        Some(_) => TransportError::Unprocessed(error),
                        None => TransportError::Broken(error),
                    },
                    again: unprocessed.map(|body| (body, Why::Unprocessed)),
                }),
            },
        })
    }

    /// The upstream took too long.
    pub(super) fn give_up(&self) {
        if let Self::Http2(Some(exchange)) = self {
            exchange.give_up();
        }
    }
}

fn tls(config: &UpstreamConfig) -> io::Result<rustls::ClientConfig> {
    let files = config.tls.read().map_err(|error| {
        io::Error::other(format!(
            "upstream.{} of {}: {error}",
            error.key, config.name
        ))
    })?;
    let client = config.tls.client(&config.url, files);
    client.map_err(|error| io::Error::other(format!("upstream {}: {error}", config.name)))
}

fn inbound<B: Sendable, R>(
    response: Response<R>,
    body: impl FnOnce(R) -> UpstreamBody<B>,
) -> Inbound<B> {
    Box::new(response.map(|of| ResponseBody::new(body(of))))
}
