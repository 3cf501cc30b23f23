//! The connections of one worker to an upstream, and who waits for a place on one.
//!
//! A request goes to the connection that has the fewest streams. Where all are full, or carry a body that the upstream may
//! not take, another one is opened, up to a bound; behind that requests wait in the order in which they came. Connections
//! are opened by tasks of their own, so that a client that leaves takes nobody's connection with it. What is unused for
//! long is closed.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::BoxError;
use super::super::config::{HttpVersion, UpstreamConfig};
use super::super::connect::Connector;
use super::super::socket::Socket;
use super::connection::{self, Connection};

/// Most connections of one worker to one upstream.
const CONNECTIONS_MAX: usize = 32;
/// Streams expected of an upstream that has not said yet how many it allows. Most allow at least so many.
const STREAMS_EXPECTED: usize = 100;
/// What a connection is sent of small bodies before it says that it takes them: less than its window is at first (RFC 9113
/// §6.9.2), which an upstream can only make larger.
const AHEAD_MAX: usize = 60 << 10;
/// For so long after it was not possible to open a further connection those that are open have to do.
const NO_FURTHER: Duration = Duration::from_secs(1);

/// The connections of one worker to one upstream.
#[derive(Debug)]
pub(in super::super) struct Pool {
    connector: Connector,
    http: HttpVersion,
    /// How long an unused connection is kept.
    keep: Duration,
    state: Mutex<PoolState>,
    /// How many requests wait, to be seen without the lock.
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct PoolState {
    /// Oldest first.
    connections: Vec<Pooled>,
    /// How many are being opened, and do not say yet how many streams they take.
    opening: usize,
    /// Until when no further one is opened.
    no_further_until: Option<Instant>,
    /// How many streams the upstream allows on one, as far as that is known.
    streams_allowed: usize,
    /// In the order in which they came.
    waiting: VecDeque<Waiting>,
}

/// A connection that takes streams.
#[derive(Debug)]
struct Pooled {
    connection: Arc<Connection>,
    /// When it last had a stream.
    used: Instant,
}

/// A request that waits for a place.
#[derive(Debug)]
struct Waiting {
    upload: Upload,
    /// Since when it has waited for others to be done, rather than for a connection that is being opened.
    since: Option<Instant>,
    granted: oneshot::Sender<Granted>,
}

/// What a request waits for.
#[derive(Debug)]
pub(in super::super) enum Granted {
    /// A place on a connection, and how long others had to be waited for.
    Http2(Slot, Duration),
    /// The upstream speaks HTTP/1.1; perhaps also a connection to it.
    Http1(Option<Socket>),
    /// There is no connection.
    Failed(SharedError),
}

/// How much a request sends after its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Upload {
    /// Nothing.
    None,
    /// So little that it passes at once.
    Small,
    /// More, or nobody knows.
    Large,
}

impl Pool {
    pub(in super::super) fn new(
        config: &UpstreamConfig,
        connector: Connector,
        http: HttpVersion,
    ) -> Arc<Self> {
        Arc::new(Self {
            connector,
            http,
            keep: config.keep_alive.http2,
            state: Mutex::new(PoolState {
                connections: Vec::new(),
                opening: 0,
                no_further_until: None,
                streams_allowed: STREAMS_EXPECTED,
                waiting: VecDeque::new(),
            }),
            waiting: AtomicUsize::new(0),
        })
    }

    /// A place on a connection, at once or when there is one.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the place to the next in line.
    pub(in super::super) async fn slot(self: &Arc<Self>, upload: Upload) -> Granted {
        let granted = {
            let mut state = self.lock();
            // Who waits already comes first.
            if state.waiting.is_empty()
                && let Some(slot) = self.take(&mut state, upload)
            {
                return Granted::Http2(slot, Duration::ZERO);
            }
            let (granted, receiver) = oneshot::channel();
            state.waiting.push_back(Waiting {
                upload,
                since: None,
                granted,
            });
            receiver
        };
        self.serve();
        // A pool that is gone keeps nobody waiting.
        granted.await.unwrap_or_else(|_| {
            let gone: BoxError = "the connections to the upstream were closed".into();
            Granted::Failed(SharedError::from(gone))
        })
    }

    /// Takes over a connection that was opened elsewhere.
    pub(in super::super) async fn adopt(self: &Arc<Self>, socket: Socket) {
        self.lock().opening += 1;
        self.begin(socket).await;
    }

    /// Gives what there is to those who wait, and opens connections for the others.
    fn serve(self: &Arc<Self>) {
        loop {
            let mut state = self.lock();
            let has_left = |first: &Waiting| first.granted.is_closed();
            while state.waiting.front().is_some_and(has_left) {
                state.waiting.pop_front();
            }
            let first = state.waiting.front().map(|first| first.upload);
            let slot = first.and_then(|upload| self.take(&mut state, upload));
            let waiting = slot.as_ref().and_then(|_| state.waiting.pop_front());
            self.waiting.store(state.waiting.len(), Relaxed);
            let (Some(slot), Some(waiting)) = (slot, waiting) else {
                self.open_further(&mut state);
                return;
            };
            drop(state);
            let waited = waiting
                .since
                .map_or(Duration::ZERO, |since| since.elapsed());
            // A slot that is not taken any more is free again.
            let _ = waiting.granted.send(Granted::Http2(slot, waited));
        }
    }

    /// A place on the best of the connections.
    fn take(self: &Arc<Self>, state: &mut PoolState, upload: Upload) -> Option<Slot> {
        let connection = state.best(upload, self.keep)?;
        connection.streams.fetch_add(1, Relaxed);
        let mut slot = Slot {
            pool: Arc::clone(self),
            connection,
            body: SlotBody::InNobodysWay,
            ahead: 0,
        };
        if upload == Upload::Large {
            slot.begin_upload();
        }
        Some(slot)
    }

    /// Opens as many connections as those who wait need.
    fn open_further(self: &Arc<Self>, state: &mut PoolState) {
        let each = state.streams_allowed.max(1);
        // A slot may be dropped where nothing runs any more.
        let runtime = Handle::try_current();
        while let Ok(runtime) = &runtime
            && state.opening * each < state.waiting.len()
            && !state.is_at_bound()
        {
            state.opening += 1;
            let pool = Arc::clone(self);
            runtime.spawn(async move { pool.open().await });
        }
        if state.opening == 0 {
            let newest_first = state.waiting.iter_mut().rev();
            let now = Instant::now();
            for waiting in newest_first.take_while(|waiting| waiting.since.is_none()) {
                waiting.since = Some(now);
            }
        }
    }

    async fn open(self: &Arc<Self>) {
        match self.connector.connect().await {
            Ok(socket) if self.http == HttpVersion::Http2 || socket.negotiated_http2() => {
                self.begin(socket).await;
            }
            Ok(socket) => self.speaks_http1(socket),
            Err(error) => self.failed(error),
        }
    }

    /// Adds a connection, which counts as being opened.
    async fn begin(self: &Arc<Self>, socket: Socket) {
        let expected = self.lock().streams_allowed;
        let (connection, driver) = match connection::open(socket, expected).await {
            Ok(opened) => opened,
            Err(error) => return self.failed(error.into()),
        };
        let (keep, pool) = (self.keep, Arc::downgrade(self));
        self.lock().connections.push(Pooled {
            connection,
            used: Instant::now(),
        });
        tokio::spawn(async move {
            let unused = |connection: &Arc<_>| with(&pool, |pool| pool.give_up(connection));
            let settled = || with(&pool, |pool| pool.lock().opening -= 1);
            let went_on = || with(&pool, |pool| pool.serve_waiting());
            driver.run(keep, unused, settled, went_on).await;
            with(&pool, |pool| pool.serve());
        });
        self.serve();
    }

    /// It was not possible to open a connection.
    fn failed(self: &Arc<Self>, error: BoxError) {
        let mut state = self.lock();
        state.opening -= 1;
        state.no_further_until = Some(Instant::now() + NO_FURTHER);
        let nothing_left = state.connections.is_empty() && state.opening == 0;
        let waiting = match nothing_left {
            true => std::mem::take(&mut state.waiting),
            false => VecDeque::new(),
        };
        drop(state);
        let error = SharedError::from(error);
        for waiting in waiting {
            // Who has left need not know.
            let _ = waiting.granted.send(Granted::Failed(error.clone()));
        }
        self.serve();
    }

    /// The upstream has chosen HTTP/1.1.
    fn speaks_http1(self: &Arc<Self>, socket: Socket) {
        let mut state = self.lock();
        state.opening -= 1;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        let mut socket = Some(socket);
        for waiting in waiting {
            if let Err(Granted::Http1(left)) = waiting.granted.send(Granted::Http1(socket.take())) {
                socket = left;
            }
        }
        self.serve();
    }

    /// Closes a connection that has been unused for too long.
    fn give_up(self: &Arc<Self>, connection: &Arc<Connection>) {
        let mut state = self.lock();
        if let Some(at) = state.place_of(connection)
            && state.connections[at].is_too_old(self.keep)
        {
            state.connections.remove(at);
            drop(state);
            self.serve_waiting();
        }
    }

    /// A place is free again.
    fn release(self: &Arc<Self>, connection: &Arc<Connection>) {
        if connection.streams.fetch_sub(1, Relaxed) == 1 {
            let mut state = self.lock();
            if let Some(at) = state.place_of(connection) {
                state.connections[at].used = Instant::now();
            }
        }
        self.serve_waiting();
    }

    fn serve_waiting(self: &Arc<Self>) {
        if self.waiting.load(Relaxed) > 0 {
            self.serve();
        }
    }

    /// A poisoned lock still holds whole connections: nothing in a critical section can panic half-way.
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does something with a pool that is still there.
fn with(pool: &Weak<Pool>, act: impl FnOnce(&Arc<Pool>)) {
    if let Some(pool) = pool.upgrade() {
        act(&pool);
    }
}

impl PoolState {
    /// Whether no further connection may be opened.
    fn is_at_bound(&self) -> bool {
        let failed_lately = || {
            self.no_further_until
                .is_some_and(|until| Instant::now() < until)
        };
        let open = self.connections.len();
        open + self.opening >= CONNECTIONS_MAX || (open > 0 && failed_lately())
    }

    /// The connection for the next request: that with the fewest streams, of several the oldest. A body does not go where
    /// another one is in its way, unless there is nothing else.
    fn best(&mut self, upload: Upload, keep: Duration) -> Option<Arc<Connection>> {
        let usable =
            |pooled: &Pooled| !pooled.connection.is_condemned() && !pooled.is_too_old(keep);
        self.connections.retain(usable);
        let mut best: Option<((bool, usize), &Pooled)> = None;
        for pooled in &self.connections {
            let allowed = pooled.connection.streams_allowed();
            if pooled.connection.is_settled() {
                self.streams_allowed = allowed;
            }
            let streams = pooled.connection.streams.load(Relaxed);
            let in_the_way = pooled.is_in_the_way_of(upload);
            let load = (in_the_way, streams);
            if streams < allowed && best.is_none_or(|(least, _)| load < least) {
                best = Some((load, pooled));
            }
        }
        let ((in_the_way, _), best) = best?;
        let shares = !in_the_way || self.is_at_bound();
        shares.then(|| Arc::clone(&best.connection))
    }

    fn place_of(&self, connection: &Arc<Connection>) -> Option<usize> {
        let is_it = |pooled: &Pooled| Arc::ptr_eq(&pooled.connection, connection);
        self.connections.iter().position(is_it)
    }
}

impl Pooled {
    /// Whether there are bodies on it that such a body had to wait for, or that had to wait for it. A small one is over before
    /// others come; a large one may use up what the upstream takes of all.
    fn is_in_the_way_of(&self, upload: Upload) -> bool {
        let (uploads, awaited) = (&self.connection.uploads, &self.connection.awaited);
        match upload {
            Upload::None => false,
            Upload::Small => uploads.load(Relaxed) > 0,
            Upload::Large => uploads.load(Relaxed) > 0 || awaited.load(Relaxed) > 0,
        }
    }

    fn is_too_old(&self, keep: Duration) -> bool {
        self.connection.streams.load(Relaxed) == 0 && self.used.elapsed() >= keep
    }
}

/// A place on a connection, for one request and its response.
#[derive(Debug)]
pub(in super::super) struct Slot {
    pool: Arc<Pool>,
    connection: Arc<Connection>,
    body: SlotBody,
    /// So many bytes of the body were sent before the connection said that it takes them.
    ahead: usize,
}

/// How far the body of a slot's request has come, as others on its connection are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlotBody {
    /// There is none, or it has been sent.
    InNobodysWay,
    /// It is small, and its client has yet to send it.
    Awaited,
    /// It is on its way, and may have to wait for the upstream.
    OnItsWay,
}

impl Slot {
    pub(super) const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// A place for what is left of a request whose response has begun: its stream then counts twice, rather than not at all
    /// when the response ends first. What is on its way of the body is from now on there.
    pub(super) fn another(&self) -> Self {
        self.connection.streams.fetch_add(1, Relaxed);
        let mut slot = Self {
            pool: Arc::clone(&self.pool),
            connection: Arc::clone(&self.connection),
            body: SlotBody::InNobodysWay,
            ahead: 0,
        };
        slot.begin_upload();
        slot
    }

    /// What a failure of a stream comes of, as far as is known.
    pub(super) fn explained(&self, error: h2::Error) -> BoxError {
        match self.connection.is_silent() {
            true => "the connection was silent, and a PING was not answered".into(),
            false => error.into(),
        }
    }

    /// Whether so much of a small body may be sent before the connection says that it takes it, which it does only once the
    /// head has gone out: then both go out together. All that is sent so, and is unanswered, fits in the window that a connection
    /// begins with, unless another body is in the way.
    pub(super) fn may_send_ahead(&mut self, bytes: usize) -> bool {
        let Connection { ahead, uploads, .. } = &*self.connection;
        if uploads.load(Relaxed) > 0 {
            return false;
        }
        if ahead.fetch_add(bytes, Relaxed) + bytes > AHEAD_MAX {
            ahead.fetch_sub(bytes, Relaxed);
            return false;
        }
        self.ahead += bytes;
        true
    }

    /// The response has begun: what was sent of the body has been taken.
    pub(super) fn answered(&mut self) {
        self.end_ahead();
        self.end_upload();
    }

    fn end_ahead(&mut self) {
        let ahead = std::mem::take(&mut self.ahead);
        if ahead > 0 {
            self.connection.ahead.fetch_sub(ahead, Relaxed);
        }
    }

    /// The request's body is small, and its client has yet to send it.
    pub(super) fn await_body(&mut self) {
        if self.body == SlotBody::InNobodysWay {
            self.count_as(SlotBody::Awaited);
        }
    }

    /// The request's body is on its way, and may have to wait for the upstream.
    pub(super) fn begin_upload(&mut self) {
        self.count_as(SlotBody::OnItsWay);
    }

    /// The request's body is not in anybody's way any more.
    pub(super) fn end_upload(&mut self) {
        if self.body != SlotBody::InNobodysWay {
            self.count_as(SlotBody::InNobodysWay);
            self.pool.serve_waiting();
        }
    }

    fn count_as(&mut self, body: SlotBody) {
        let count = |body| match body {
            SlotBody::InNobodysWay => None,
            SlotBody::Awaited => Some(&self.connection.awaited),
            SlotBody::OnItsWay => Some(&self.connection.uploads),
        };
        if let Some(before) = count(self.body) {
            before.fetch_sub(1, Relaxed);
        }
        if let Some(now) = count(body) {
            now.fetch_add(1, Relaxed);
        }
        self.body = body;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.answered();
        self.pool.release(&self.connection);
    }
}

/// Why a connection was not opened, for all who waited for it.
#[derive(Debug, Clone)]
pub(in super::super) struct SharedError(Arc<dyn StdError + Send + Sync>);

impl From<BoxError> for SharedError {
    fn from(error: BoxError) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for SharedError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}
