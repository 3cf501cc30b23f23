//! Accepts connections to the admin port, HTTP/1.1, and bounds how many there are and how long one may stand still.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use super::stream::{Moves, Stream};
use crate::descriptors::{self, Spare};

/// Most connections that are open at once, where there are descriptors for so many. One more takes the place of the one on
/// which nothing has moved for the longest: a probe gets through, however many clients came and stayed.
const CONNECTIONS_MAX: usize = 128;
/// Fewer are not enough for probes, scrapers and a page beside each other.
const CONNECTIONS_MIN: usize = 8;
/// Descriptors that are held for connections to this port, for when others have taken all.
const SPARE: usize = 4;
/// Rest after a failed accept where there is no spare descriptor either.
const ACCEPT_REST: Duration = Duration::from_millis(50);
/// Longest wait for a request, from the start of a connection or the end of an answer to the end of the request's head.
/// Scrapers keep their connection from one scrape to the next, which is mostly a minute at most.
const IDLE: Duration = Duration::from_secs(75);
/// Most bytes of a request's head.
const HEAD_MAX: usize = 16 << 10;

/// About as many bytes of an answer wait for a client that reads slowly.
const WRITE_MAX: usize = 64 << 10;

/// Serves until `shutdown` resolves, and then the answers that have begun.
///
/// # Cancel safety
/// Dropping the future closes every connection.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_header_size(HEAD_MAX)
        .max_buf_size(WRITE_MAX);
    let service = TowerToHyperService::new(router);
    let graceful = GracefulShutdown::new();
    let mut open = Open {
        most: descriptors::sixteenth(CONNECTIONS_MIN, CONNECTIONS_MAX),
        tasks: JoinSet::new(),
        connections: Vec::new(),
        moves: Arc::default(),
    };
    let mut spare = Spare::default();
    spare.fill(SPARE);
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "accepting a connection to the admin port failed");
                if !spare.give_up() {
                    open.end_stillest();
                    tokio::time::sleep(ACCEPT_REST).await;
                }
                continue;
            }
        };
        spare.fill(SPARE);
        let _ = stream.set_nodelay(true);
        open.begin(|moves| {
            let stream = TokioIo::new(Stream::new(stream, moves));
            let connection = graceful.watch(http.serve_connection(stream, service.clone()));
            async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection to the admin port ended early");
                }
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// The connections that are open.
#[derive(Debug)]
struct Open {
    /// Most of them.
    most: usize,
    tasks: JoinSet<()>,
    connections: Vec<(AbortHandle, Moves)>,
    moves: Arc<AtomicU64>,
}

impl Open {
    /// Ends the connection on which nothing has moved for the longest.
    fn end_stillest(&mut self) {
        let stillest = (0..self.connections.len()).min_by_key(|at| self.connections[*at].1.last());
        if let Some(stillest) = stillest {
            self.connections.swap_remove(stillest).0.abort();
        }
    }

    /// Starts a connection, in place of another where there are too many.
    fn begin<C>(&mut self, connection: impl FnOnce(Moves) -> C)
    where
        C: Future<Output = ()> + Send + 'static,
    {
        while self.tasks.try_join_next().is_some() {}
        self.connections.retain(|(task, _)| !task.is_finished());
        if self.connections.len() >= self.most {
            self.end_stillest();
        }
        let moves = Moves::begin(&self.moves);
        let task = self.tasks.spawn(connection(moves.clone()));
        self.connections.push((task, moves));
    }
}
