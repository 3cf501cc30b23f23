//! The client-facing listener: accepts connections, HTTP/1.1 and HTTP/2, plain or TLS, and lets them finish.

mod connections;
mod fail_last;
mod open_stream;
mod refused;
mod service;
mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;

use self::connections::Connections;
use self::fail_last::{FailLast, Flushes, Watched};
use self::open_stream::OpenStream;
use crate::descriptors::{self, Left};
use crate::http1::head::{FIELDS_MAX, HEAD_BYTES_MAX};
use crate::http1::{self, Occupancy, Peer, RefusedHead};
use crate::log::LogLimit;
use crate::message::{Request, Response};
use crate::proxy::{ClientBody, Proxy, RequestBody};
use crate::workers::{Load, Workers};

pub use refused::{Reason, RefusedConnections};
pub use service::ProxyService;
pub use tls::{Certificate, TlsConfig, TlsError, acceptor};

/// A head as large as HTTP/1.1 may have it, as HTTP/2 counts: 32 bytes are added for each field (RFC 9113 §6.5.2).
const HEAD_LIST_BYTES_MAX: u32 = (HEAD_BYTES_MAX + 32 * FIELDS_MAX) as u32;
/// Streams of one connection of HTTP/2.
const STREAMS_MAX: u32 = 200;
/// What a client may send of one request's body that its upstream has not taken. The windows of all streams fit in that of
/// the connection, so that no upload holds up another one.
const STREAM_WINDOW: u32 = 256 << 10;
/// Rest after a failed accept: the usual cause, no file descriptor left, does not pass at once.
const ACCEPT_REST: Duration = Duration::from_millis(50);
/// Why a connection is refused where descriptors run out.
const NO_ROOM: &str =
    "too few file descriptors are left; raise the limit of open files (ulimit -n, LimitNOFILE)";
/// How long a client is waited for that will only be told that there is no room.
const TURN_AWAY_WAIT: Duration = Duration::from_secs(1);
/// When its connection is closed at the latest: it is one of few.
const TURN_AWAY_LIMIT: Duration = Duration::from_secs(5);
/// Longest time between two looks for connections that are idle for too long.
const SWEEP: Duration = Duration::from_secs(5);
/// How often at least that is looked for within their limit.
const SWEEPS: u32 = 8;
/// How long an HTTP/2 client is waited for that has been told to end and has no request in flight.
const GOING_AWAY: Duration = Duration::from_secs(2);

/// How clients connect.
#[derive(Clone, Default)]
pub struct ServeConfig {
    /// Accepts TLS; `None` for plain TCP.
    pub tls: Option<TlsAcceptor>,
    /// Longest wait of a connection for a request; `None` for no limit. It may be exceeded by an eighth, or by 5 s.
    pub idle: Option<Duration>,
}

/// Serves clients until `stop` resolves, then waits for the requests and tunnels in flight. Dropping the future cuts them off.
///
/// # Errors
/// When the threads to serve them on cannot be started.
pub async fn serve(
    listener: TcpListener,
    proxy: Arc<Proxy>,
    config: ServeConfig,
    refused: Arc<RefusedConnections>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let workers = Workers::start()?;
    let (stopping, stopped) = watch::channel(false);
    // Dropped with this future, and the connections with it.
    let mut connections = Connections::default();
    let mut stop = pin!(stop);
    let accept_failures = LogLimit::per_minute();
    let mut sweeps = interval(config.idle.map_or(SWEEP, |idle| SWEEP.min(idle / SWEEPS)));
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let room = room_for(&stream, &mut connections).await;
                    if room != Room::Call {
                        refused.add(Reason::Descriptors, peer, &NO_ROOM);
                    }
                    if room == Room::Nothing {
                        continue;
                    }
                    let (worker, load) = workers.least_loaded();
                    let occupancy = Arc::<Occupancy>::default();
                    let connection = Connection {
                        service: ProxyService::new(Arc::clone(&proxy)),
                        stop: stopped.clone(),
                        load,
                        refused: Arc::clone(&refused),
                        occupancy: Arc::clone(&occupancy),
                    };
                    // Let go by this runtime, to be taken up by a worker's.
                    let (stream, tls) = (stream.into_std(), config.tls.clone());
                    if room == Room::Call {
                        connections.begin(&occupancy, connection.run(stream, peer, tls), worker);
                    } else {
                        connections.turn_away(connection.turn_away(stream, peer, tls), worker);
                    }
                }
                Err(error) => {
                    connections.make_room();
                    if let Some(held_back) = accept_failures.pass() {
                        tracing::warn!(%error, held_back, "accepting a connection failed");
                    }
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            },
            Some(()) = connections.ended() => {}
            _ = sweeps.tick(), if config.idle.is_some() => {
                if let Some(limit) = config.idle {
                    connections.end_idle(limit);
                }
            }
            () = &mut stop => break,
        }
    }
    drop(listener);
    accept_failures.end("accepting a connection failed");
    stopping.send_replace(true);
    connections.all_ended().await;
    proxy.tunnels().closed().await;
    Ok(())
}

/// What the descriptors that are left are enough for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// For a connection, and for what comes of it.
    Call,
    /// To say that there is no room.
    Answer,
    /// For nothing but calls that have begun.
    Nothing,
}

/// What there is room for, by a connection that has just been accepted. Where descriptors become few, those that wait make
/// room.
async fn room_for(stream: &TcpStream, connections: &mut Connections) -> Room {
    let left = descriptors::left_after(stream.as_raw_fd());
    if left == Left::Enough {
        return Room::Call;
    }
    connections.make_room();
    if left == Left::Few {
        return Room::Call;
    }
    // Those that are to go may not have come to it yet.
    match tokio::time::timeout(ACCEPT_REST, connections.ended()).await {
        Ok(Some(())) => Room::Call,
        _ if left == Left::Reserve => Room::Answer,
        _ => Room::Nothing,
    }
}

struct Connection {
    service: ProxyService,
    stop: watch::Receiver<bool>,
    load: Load,
    refused: Arc<RefusedConnections>,
    occupancy: Arc<Occupancy>,
}

impl Connection {
    async fn run(
        self,
        stream: io::Result<std::net::TcpStream>,
        peer: SocketAddr,
        tls: Option<TlsAcceptor>,
    ) {
        let stream = match stream.and_then(TcpStream::from_std) {
            Ok(stream) => stream,
            Err(error) => return self.refused.add(Reason::Setup, peer, &error),
        };
        // Frames go out as they come in; a socket that cannot be told so still works.
        let _ = stream.set_nodelay(true);
        tracing::debug!(%peer, tls = tls.is_some(), "accepted a connection of a client");
        match tls {
            None => self.serve(stream, peer).await,
            // Boxed, so that connections without TLS need not be as large.
            Some(tls) => Box::pin(self.serve_tls(stream, tls, peer)).await,
        }
    }

    /// Answers what comes by saying that there is no room for it.
    async fn turn_away(
        mut self,
        stream: io::Result<std::net::TcpStream>,
        peer: SocketAddr,
        tls: Option<TlsAcceptor>,
    ) {
        let (stopping, stopped) = watch::channel(false);
        self.stop = stopped;
        self.service = self.service.without_room();
        let serving = async {
            let mut serving = pin!(self.run(stream, peer, tls));
            if tokio::time::timeout(TURN_AWAY_WAIT, serving.as_mut())
                .await
                .is_err()
            {
                stopping.send_replace(true);
                serving.await;
            }
        };
        // Whether it ends by itself makes no difference.
        let _ = tokio::time::timeout(TURN_AWAY_LIMIT, serving).await;
    }

    async fn serve_tls(mut self, stream: TcpStream, tls: TlsAcceptor, peer: SocketAddr) {
        self.service = self.service.over_tls();
        match tls::handshake(tls, stream).await {
            Ok(Some(stream)) => self.serve(stream, peer).await,
            Ok(None) => {}
            Err(error) => {
                let reason = refused::of_handshake(&error);
                self.refused.add(reason, peer, &error);
            }
        }
    }

    /// A client may begin with HTTP/2 whatever TLS has negotiated, or without TLS.
    async fn serve<S>(self, stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Peer + Unpin + Send + 'static,
    {
        let Self {
            service,
            stop,
            load: _load,
            refused,
            occupancy,
        } = self;
        let session = Session {
            service,
            peer,
            refused,
        };
        let serving = http1::serve(stream, &session, &occupancy, stop.clone());
        if let Some(stream) = serving.await {
            Box::pin(session.serve_http2(stream, occupancy, stop)).await;
        }
    }
}

/// The requests of one connection.
struct Session {
    service: ProxyService,
    peer: SocketAddr,
    refused: Arc<RefusedConnections>,
}

impl http1::Service for Session {
    type Body = ClientBody;

    fn call(
        &self,
        request: Request<http1::RequestBody>,
    ) -> impl Future<Output = Response<ClientBody>> + Send {
        let peer = self.service.peer(Some(self.peer));
        self.service
            .proxy()
            .handle(request.map(RequestBody::from), peer)
    }

    fn refuse(&self, refused: RefusedHead) -> Response<ClientBody> {
        let peer = self.service.peer(Some(self.peer));
        self.service.proxy().refuse(refused, peer)
    }
}

impl Session {
    async fn serve_http2(
        self,
        stream: http1::Upgraded,
        occupancy: Arc<Occupancy>,
        mut stop: watch::Receiver<bool>,
    ) {
        let Self {
            service,
            peer,
            refused,
        } = self;
        let flushes = Arc::<Flushes>::default();
        let stream = Watched::new(stream, Arc::clone(&flushes));
        let used = Arc::clone(&occupancy);
        let service = service_fn(move |request: http::Request<Incoming>| {
            let stream = OpenStream::begin(&used);
            let request = Request::from(request).map(RequestBody::http2);
            let response = service.respond(request, Some(peer));
            let flushes = Arc::clone(&flushes);
            async move {
                let response = response.await;
                Ok::<_, Infallible>(response.map(|body| FailLast::new(stream.with(body), flushes)))
            }
        });
        let mut server = http2::Builder::new(TokioExecutor::new());
        server
            .timer(TokioTimer::new())
            // An upstream that sends no date is passed on without one.
            .auto_date_header(false)
            .max_header_list_size(HEAD_LIST_BYTES_MAX)
            .max_concurrent_streams(STREAMS_MAX)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(STREAM_WINDOW * STREAMS_MAX);
        let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
        // It has been in use by the request that it began like.
        occupancy.leave();
        let stopping = async {
            tokio::select! {
                // A sender that is gone stops too.
                _ = stop.wait_for(|stop| *stop) => {}
                () = occupancy.dismissed() => {}
            }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopping => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = idle_for(&occupancy, GOING_AWAY) => return,
                }
            }
        };
        let Err(error) = ended else { return };
        match refused::http2_fault(&error) {
            Some(fault) => refused.add(Reason::Http2Protocol, peer, fault),
            // A client that leaves is no trouble of ours, and its exchange says so.
            None => tracing::debug!(%peer, %error, "a connection ended early"),
        }
    }
}

/// Resolves when a connection has had no request in flight for so long, or nearly.
async fn idle_for(occupancy: &Occupancy, time: Duration) {
    let mut idle = false;
    loop {
        tokio::time::sleep(time / 2).await;
        if std::mem::replace(&mut idle, occupancy.is_idle()) && idle {
            return;
        }
    }
}
