//! Who carries requests to an upstream: a pooled HTTP/1.1 connection for each, or one HTTP/2 connection for all that run
//! on the same worker.
//!
//! Nothing is sent twice: a request is given to another connection only where the first has not begun it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Version;
use http::header::{
    AUTHORIZATION, CONNECTION, COOKIE, HOST, PROXY_AUTHORIZATION, TRANSFER_ENCODING,
};
use http::uri::Scheme;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::body::{Outgoing, ResponseBody, UpstreamBody};
use super::config::{self, HttpVersion};
use super::connector::{BoxError, Connector, tls};
use super::stream::Stream;
use super::workers::PerWorker;
use crate::http1::{self, Pool};
use crate::message::{Request, Response};

/// How long an unused connection is kept; shorter than the 60 s and more that servers commonly allow.
const IDLE_CONNECTION: Duration = Duration::from_secs(55);

/// A request for an upstream. Boxed: it is moved through several futures on its way, and each has room for it.
pub(super) type Outbound = Box<Request<Box<Outgoing>>>;

/// Its answer, boxed for the same reason.
pub(super) type Inbound = Box<Response<ResponseBody>>;

/// Why a request was not answered.
pub(super) enum CarryError {
    /// There is no connection.
    Connect(BoxError),
    /// There was one.
    Broken(BoxError),
}

impl From<io::Error> for CarryError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.into())
    }
}

/// Carries requests to one upstream.
#[derive(Debug)]
pub(super) struct Carrier {
    http: HttpVersion,
    connector: Connector,
    /// For requests that ask for another protocol, which only HTTP/1.1 can.
    upgrading: Connector,
    /// Whether the upstream is known to speak HTTP/2.
    speaks_http2: AtomicBool,
    connections: PerWorker<Connections>,
}

/// The connections of one worker.
#[derive(Debug)]
struct Connections {
    idle: Arc<Pool<Stream>>,
    http2: Http2,
}

impl Carrier {
    /// A carrier of the upstream's versions of HTTP. Connects to nothing yet.
    ///
    /// # Errors
    /// When the system's TLS roots cannot be read for an `https` URL.
    pub(super) fn new(config: &config::Upstream) -> io::Result<Self> {
        let tls = tls(config)?;
        let plain = config.url.scheme() != Some(&Scheme::HTTPS);
        let http = match config.http {
            // Nothing negotiates in the clear.
            HttpVersion::Auto if plain => HttpVersion::Http1,
            http => http,
        };
        Ok(Self {
            http,
            connector: Connector::new(config, http, tls.clone()),
            upgrading: Connector::new(config, HttpVersion::Http1, tls),
            speaks_http2: AtomicBool::new(http == HttpVersion::Http2),
            connections: PerWorker::new(|| Connections {
                idle: Pool::new(IDLE_CONNECTION),
                http2: Http2::default(),
            }),
        })
    }

    /// Sends a request and waits for the head of the response. `upgrade` says that it asks for another protocol.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection (HTTP/2: resets the stream), so that the upstream stops.
    pub(super) async fn carry(
        &self,
        request: Outbound,
        upgrade: bool,
    ) -> Result<Inbound, CarryError> {
        let (connection, request) = if self.http == HttpVersion::Http1 || upgrade {
            let connection = match self.connections.own().idle.take() {
                Some(connection) => connection,
                None => {
                    let connector = if upgrade {
                        &self.upgrading
                    } else {
                        &self.connector
                    };
                    let stream = connector.connect(&request.uri).await;
                    http1::Connection::new(stream.map_err(CarryError::Connect)?)
                }
            };
            (connection, request)
        } else {
            // Boxed: it is large, and a stream in the clear need not be as large.
            match Box::pin(self.negotiated(request)).await? {
                Ok(response) => return Ok(response),
                Err(by_http1) => by_http1,
            }
        };
        let sent = connection.send(request, &self.connections.own().idle);
        Ok(inbound(sent.await?, UpstreamBody::Http1))
    }

    /// Sends by HTTP/2 where the upstream speaks it, else gives the request back with a connection of HTTP/1.1 for it.
    async fn negotiated(
        &self,
        request: Outbound,
    ) -> Result<Result<Inbound, (http1::Connection<Stream>, Outbound)>, CarryError> {
        let Connections { idle, http2 } = self.connections.own();
        let mut unsent = request;
        loop {
            let request = unsent;
            // Whoever finds no connection to an upstream of HTTP/2 waits for the one that is being opened.
            let opening = match self.speaks_http2.load(Ordering::Relaxed) {
                true if http2.current().is_none() => Some(http2.opening.lock().await),
                _ => None,
            };
            let sender = match http2.current() {
                Some(sender) => sender,
                None => {
                    if let Some(connection) = idle.take() {
                        return Ok(Err((connection, request)));
                    }
                    let connecting = self.connector.connect(&request.uri);
                    let stream = connecting.await.map_err(CarryError::Connect)?;
                    if self.http != HttpVersion::Http2 && !stream.negotiated_http2() {
                        return Ok(Err((http1::Connection::new(stream), request)));
                    }
                    self.speaks_http2.store(true, Ordering::Relaxed);
                    http2.open(stream).await?
                }
            };
            drop(opening);
            match by_http2(sender, request).await? {
                Ok(response) => return Ok(Ok(inbound(response, UpstreamBody::Http2))),
                Err(given_back) => unsent = given_back,
            }
        }
    }
}

fn inbound<B>(response: Response<B>, body: impl FnOnce(B) -> UpstreamBody) -> Inbound {
    Box::new(response.map(|of| ResponseBody::new(body(of))))
}

/// Sends a request, or gives it back where the connection has closed in the meantime.
async fn by_http2(
    mut sender: SendRequest<Box<Outgoing>>,
    request: Outbound,
) -> Result<Result<Response<Incoming>, Outbound>, CarryError> {
    match sender.try_send_request(to_http2(*request)).await {
        Ok(response) => Ok(Ok(Response::from(response))),
        Err(mut error) => match error.take_message() {
            Some(request) => Ok(Err(Box::new(Request::from(request)))),
            None => Err(CarryError::Broken(error.into_error().into())),
        },
    }
}

/// A request as it goes by HTTP/2.
fn to_http2(request: Request<Box<Outgoing>>) -> http::Request<Box<Outgoing>> {
    let mut headers = request.fields.to_map();
    // `:authority` says it; bodies are framed otherwise; and there is no `Connection`, with which what it names would go:
    // `TE` (RFC 9113 §8.2.2).
    headers.remove(HOST);
    headers.remove(CONNECTION);
    headers.remove(TRANSFER_ENCODING);
    for name in [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE] {
        if let Some(credential) = headers.get_mut(name) {
            // Such are kept out of the compression's tables (RFC 7541 §7.1.3).
            credential.set_sensitive(true);
        }
    }
    let mut made = http::Request::new(request.body);
    *made.method_mut() = request.method;
    *made.uri_mut() = request.uri;
    *made.version_mut() = Version::HTTP_11;
    *made.headers_mut() = headers;
    made
}

/// The HTTP/2 connection to an upstream.
#[derive(Debug, Default)]
struct Http2 {
    current: Mutex<Option<SendRequest<Box<Outgoing>>>>,
    opening: tokio::sync::Mutex<()>,
}

impl Http2 {
    /// The connection, while it is open.
    fn current(&self) -> Option<SendRequest<Box<Outgoing>>> {
        self.lock()
            .as_ref()
            .filter(|sender| !sender.is_closed())
            .cloned()
    }

    async fn open(&self, stream: Stream) -> Result<SendRequest<Box<Outgoing>>, CarryError> {
        let broken = |error: hyper::Error| CarryError::Broken(error.into());
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .adaptive_window(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        // How it ends, its responses say too. It ends when the last sender is gone.
        tokio::spawn(connection);
        *self.lock() = Some(sender.clone());
        Ok(sender)
    }

    /// A poisoned lock still holds a whole sender.
    fn lock(&self) -> MutexGuard<'_, Option<SendRequest<Box<Outgoing>>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
