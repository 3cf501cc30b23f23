//! The client-facing listener: accepts connections, HTTP/1.1 and HTTP/2, plain or TLS, and lets them finish.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::TRANSFER_ENCODING;
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::body::ClientBody;
use super::error::ProxyError;
use super::flush::{FailLast, Flushes, Watched};
use super::workers::{Load, Workers};
use super::{Proxy, Via};
use crate::http1::{self, HeadError};
use crate::message::{Request, Response};

/// Limit for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Rest after a failed accept: the usual cause, no file descriptor left, does not pass at once.
const ACCEPT_REST: Duration = Duration::from_millis(50);
/// Time between two log lines about failed accepts.
const ACCEPT_TOLD: Duration = Duration::from_secs(60);

/// Serves clients until `stop` resolves, then waits for the requests and tunnels in flight. Dropping the future cuts them off.
///
/// # Errors
/// When the threads to serve them on cannot be started.
pub async fn serve(
    listener: TcpListener,
    proxy: Arc<Proxy>,
    tls: Option<TlsAcceptor>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let workers = Workers::start()?;
    let (stopping, stopped) = watch::channel(false);
    // Dropped with this future, and the connections with it.
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    let mut told: Option<Instant> = None;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // Let go by this runtime, to be taken up by a worker's.
                Ok((stream, peer)) => if let Ok(stream) = stream.into_std() {
                    let (worker, load) = workers.least_loaded();
                    let connection = Connection { proxy: Arc::clone(&proxy), stop: stopped.clone(), load };
                    connections.spawn_on(connection.run(stream, peer, tls.clone()), worker);
                }
                Err(error) => {
                    if told.is_none_or(|at| at.elapsed() >= ACCEPT_TOLD) {
                        told = Some(Instant::now());
                        tracing::warn!(%error, "accepting a connection failed");
                    }
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = &mut stop => break,
        }
    }
    drop(listener);
    stopping.send_replace(true);
    while connections.join_next().await.is_some() {}
    proxy.tunnels().closed().await;
    Ok(())
}

struct Connection {
    proxy: Arc<Proxy>,
    stop: watch::Receiver<bool>,
    load: Load,
}

impl Connection {
    async fn run(
        self,
        stream: std::net::TcpStream,
        peer: std::net::SocketAddr,
        tls: Option<TlsAcceptor>,
    ) {
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%peer, %error, "a connection could not be taken up");
                return;
            }
        };
        // Frames go out as they come in; a socket that cannot be told so still works.
        let _ = stream.set_nodelay(true);
        let via = |scheme| Via { peer, scheme };
        match tls {
            None => self.serve(stream, via("http")).await,
            // Boxed, so that connections without TLS need not be as large.
            Some(tls) => Box::pin(self.serve_tls(stream, tls, via("https"))).await,
        }
    }

    async fn serve_tls(self, stream: TcpStream, tls: TlsAcceptor, via: Via) {
        match handshake(tls, stream).await {
            Ok(stream) => self.serve(stream, via).await,
            Err(error) => tracing::debug!(peer = %via.peer, %error, "TLS handshake failed"),
        }
    }

    /// A client may begin with HTTP/2 whatever TLS has negotiated, or without TLS.
    async fn serve<S>(self, stream: S, via: Via)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self {
            proxy,
            stop,
            load: _load,
        } = self;
        let session = Session { proxy, via };
        if let Some(stream) = http1::serve(stream, &session, stop.clone()).await {
            Box::pin(session.serve_http2(stream, stop)).await;
        }
    }
}

/// The requests of one connection.
struct Session {
    proxy: Arc<Proxy>,
    via: Via,
}

impl http1::Service for Session {
    type Body = ClientBody;

    fn call(
        &self,
        request: Request<http1::RequestBody>,
    ) -> impl Future<Output = Response<ClientBody>> + Send {
        self.proxy.handle(request.map(Either::Left), self.via)
    }

    fn refuse(&self, error: HeadError) -> Response<ClientBody> {
        tracing::debug!(peer = %self.via.peer, %error, "what came is no request");
        let response = ProxyError::Head(error).response();
        response.map(ClientBody::from)
    }
}

impl Session {
    async fn serve_http2(self, stream: http1::Upgraded, mut stop: watch::Receiver<bool>) {
        let Self { proxy, via } = self;
        let flushes = Arc::<Flushes>::default();
        let stream = Watched::new(stream, Arc::clone(&flushes));
        let service = service_fn(move |request: http::Request<Incoming>| {
            let (proxy, flushes) = (Arc::clone(&proxy), Arc::clone(&flushes));
            async move {
                let request = Request::from(request).map(Either::Right);
                let mut response = proxy.handle(request, via).await;
                // HTTP/2 frames bodies otherwise (RFC 9113 §8.2.2).
                response.fields.remove(TRANSFER_ENCODING);
                let response = response.map(|body| FailLast::new(body, flushes));
                Ok::<_, Infallible>(http::Response::from(response))
            }
        });
        let mut server = http2::Builder::new(TokioExecutor::new());
        server
            .timer(TokioTimer::new())
            // An upstream that sends no date is passed on without one.
            .auto_date_header(false)
            .adaptive_window(true);
        let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
        let stopping = async {
            // A sender that is gone stops too.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopping => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            // A client that leaves is no trouble of ours, and its exchange says so.
            tracing::debug!(peer = %via.peer, %error, "connection ended early");
        }
    }
}

async fn handshake(
    tls: TlsAcceptor,
    stream: TcpStream,
) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    tokio::time::timeout(HANDSHAKE, tls.accept(stream))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
