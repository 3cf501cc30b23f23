//! The client-facing listener: accepts connections, HTTP/1.1 and HTTP/2, plain or TLS, and lets them finish.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::flush::{FailLast, Flushes, Watched};
use super::{Proxy, Via};

/// Limit for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Rest after a failed accept: the usual cause, no file descriptor left, does not pass at once.
const ACCEPT_REST: Duration = Duration::from_millis(50);
/// Time between two log lines about failed accepts.
const ACCEPT_TOLD: Duration = Duration::from_secs(60);

/// Serves clients until `stop` resolves, then waits for the requests and tunnels in flight. Dropping the future cuts them off.
pub async fn serve(
    listener: TcpListener,
    proxy: Arc<Proxy>,
    tls: Option<TlsAcceptor>,
    stop: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    // Dropped with this future, and the connections with it.
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    let mut told: Option<Instant> = None;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let connection = Connection { proxy: Arc::clone(&proxy), watcher: graceful.watcher() };
                    connections.spawn(connection.run(stream, peer, tls.clone()));
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
    graceful.shutdown().await;
    proxy.tunnels().closed().await;
}

struct Connection {
    proxy: Arc<Proxy>,
    watcher: Watcher,
}

impl Connection {
    async fn run(self, stream: TcpStream, peer: std::net::SocketAddr, tls: Option<TlsAcceptor>) {
        // Frames go out as they come in; a socket that cannot be told so still works.
        let _ = stream.set_nodelay(true);
        let via = |scheme| Via { peer, scheme };
        match tls {
            None => self.serve(stream, via("http")).await,
            // Boxed, so that connections without TLS need not be as large.
            Some(tls) => match Box::pin(handshake(tls, stream)).await {
                Ok(stream) => Box::pin(self.serve(stream, via("https"))).await,
                Err(error) => tracing::debug!(%peer, %error, "TLS handshake failed"),
            },
        }
    }

    async fn serve<S>(self, stream: S, via: Via)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { proxy, watcher } = self;
        let flushes = Arc::<Flushes>::default();
        let stream = Watched::new(stream, Arc::clone(&flushes));
        let service = service_fn(move |request| {
            let (proxy, flushes) = (Arc::clone(&proxy), Arc::clone(&flushes));
            // Boxed, it is gone when the response begins; inline it would stay for as long as the connection.
            Box::pin(async move {
                let response = proxy.handle(request, via).await;
                Ok::<_, Infallible>(response.map(|body| FailLast::new(body, flushes)))
            })
        });
        let mut server = auto::Builder::new(TokioExecutor::new());
        server
            .http1()
            .timer(TokioTimer::new())
            .preserve_header_case(true)
            // An upstream that sends no date is passed on without one.
            .auto_date_header(false)
            // The limit would also run while a kept-alive connection waits for its next request.
            .header_read_timeout(None);
        server
            .http2()
            .timer(TokioTimer::new())
            .auto_date_header(false)
            .adaptive_window(true);
        let connection = server
            .serve_connection_with_upgrades(TokioIo::new(stream), service)
            .into_owned();
        if let Err(error) = watcher.watch(connection).await {
            // A client that leaves is no trouble of ours, and its exchange says so.
            tracing::debug!(peer = %via.peer, error = &*error, "connection ended early");
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
