//! One connection of HTTP/2: what is agreed at its beginning, and the task that drives it and notices its death.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use h2::{Ping, PingPong};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep};

use super::frames::Frames;

/// What a stream may send that its client has not read, which is also the most that a client who never reads costs. It is
/// the protocol's initial value, so that it holds from the first byte on.
const STREAM_WINDOW: u32 = (64 << 10) - 1;
/// The same for all streams together: as large as there is, so that it never runs out and no stream holds up another.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// Streams of one connection, whatever the upstream allows: their windows fit in that of the connection.
pub(super) const STREAMS_MAX: usize = (CONNECTION_WINDOW / STREAM_WINDOW) as usize;
/// What is read of a head before the connection is given up. A head that is too large, but smaller than this, breaks only
/// its own stream.
const HEAD_BYTES_READ: u32 = 1 << 20;

/// Frames of data without any after which a connection takes no further streams. The library ends it, and all streams that it
/// has, at the 101st of its life.
const EMPTY_DATA_MAX: usize = 50;

/// How often a connection is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// A connection with open streams that is silent for so long is asked whether it is alive.
const SILENCE: Duration = Duration::from_secs(20);
/// How long the answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// The handle of a connection. When the last one is dropped, and the last stream, the connection closes.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Bytes>,
    /// Streams that are open or about to be.
    pub(super) streams: AtomicUsize,
    /// Those of them whose request's body is on its way.
    pub(super) uploads: AtomicUsize,
    /// Those of them whose request's body is small, and has yet to come from its client.
    pub(super) awaited: AtomicUsize,
    /// Bytes of small bodies that it was given before it said that it takes them, of requests without a response.
    pub(super) ahead: AtomicUsize,
    /// How many streams it took when it refused another one.
    refused_at: AtomicUsize,
    /// The upstream has begun to speak, which it does by saying how many streams it allows.
    settled: AtomicBool,
    /// It takes no further streams.
    condemned: AtomicBool,
    /// It did not answer when it was asked.
    silent: AtomicBool,
}

impl Connection {
    /// A handle to send a request by.
    pub(super) fn sender(&self) -> SendRequest<Bytes> {
        self.sender.clone()
    }

    /// How many streams the upstream allows; one before it has said so, as it would refuse what is too much.
    pub(super) fn streams_allowed(&self) -> usize {
        if !self.is_settled() {
            return 1;
        }
        let said = self.sender.current_max_send_streams();
        said.min(self.refused_at.load(Relaxed)).min(STREAMS_MAX)
    }

    /// Whether the upstream has said how many streams it allows, if it ever does.
    pub(super) fn is_settled(&self) -> bool {
        self.settled.load(Relaxed)
    }

    /// Whether it has more streams than are allowed, as where the upstream said so only after they had been given out.
    pub(super) fn is_overfull(&self) -> bool {
        self.streams.load(Relaxed) > self.streams_allowed()
    }

    /// It has refused a stream, which is still counted. That one at least goes elsewhere.
    pub(super) fn refused(&self) {
        match self.streams.load(Relaxed) {
            ..=1 => self.condemn(),
            streams => {
                self.refused_at.fetch_min(streams - 1, Relaxed);
            }
        }
    }

    pub(super) fn condemn(&self) {
        self.condemned.store(true, Relaxed);
    }

    pub(super) fn is_condemned(&self) -> bool {
        self.condemned.load(Relaxed)
    }

    /// Whether it has been given up because it was silent.
    pub(super) fn is_silent(&self) -> bool {
        self.silent.load(Relaxed)
    }
}

/// Opens a connection on a stream. Until the upstream says how many streams it allows, `streams` are expected.
///
/// # Errors
/// When the stream breaks.
pub(super) async fn open<T>(
    io: T,
    streams: usize,
) -> Result<(Arc<Connection>, Driver<T>), h2::Error>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let come = Arc::<Come>::default();
    let io = Heard {
        io,
        frames: Frames::default(),
        come: Arc::clone(&come),
        write_failed: false,
    };
    let (sender, mut connection) = client::Builder::new()
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_max_send_streams(streams)
        .max_header_list_size(HEAD_BYTES_READ)
        .handshake(io)
        .await?;
    let ping = connection.ping_pong().expect("it is asked for once, here");
    let handle = Arc::new(Connection {
        sender,
        streams: AtomicUsize::new(0),
        uploads: AtomicUsize::new(0),
        awaited: AtomicUsize::new(0),
        ahead: AtomicUsize::new(0),
        refused_at: AtomicUsize::new(usize::MAX),
        settled: AtomicBool::new(false),
        condemned: AtomicBool::new(false),
        silent: AtomicBool::new(false),
    });
    let driver = Driver {
        handle: Arc::downgrade(&handle),
        connection,
        ping,
        come,
    };
    Ok((handle, driver))
}

/// What drives a connection: nothing is read or written but by it.
pub(super) struct Driver<T> {
    handle: Weak<Connection>,
    connection: client::Connection<Heard<T>, Bytes>,
    ping: PingPong,
    come: Arc<Come>,
}

/// What has come by a connection.
#[derive(Debug, Default)]
struct Come {
    /// Anything, since that was last asked.
    heard: AtomicBool,
    /// Frames of data without any.
    empty_data: AtomicUsize,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Driver<T> {
    /// Drives the connection to its end, after which it takes no streams. `unused` is shown it, at least each `keep`, when it
    /// has none; `settled` is told once, when the upstream has said how many streams it allows or never will; `went_on`
    /// whenever something may have come.
    pub(super) async fn run(
        mut self,
        keep: Duration,
        unused: impl FnMut(&Arc<Connection>),
        settled: impl FnOnce(),
        went_on: impl FnMut(),
    ) {
        let mut settled = Some(settled);
        let is_silent = self
            .drive(LOOK.min(keep), unused, &mut settled, went_on)
            .await;
        if let Some(settled) = settled {
            settled();
        }
        if let Some(handle) = self.handle.upgrade() {
            handle.condemn();
            handle.silent.store(is_silent, Relaxed);
        }
    }

    /// Says whether the connection is to be given up because it is silent.
    async fn drive(
        &mut self,
        every: Duration,
        mut unused: impl FnMut(&Arc<Connection>),
        settled: &mut Option<impl FnOnce()>,
        mut went_on: impl FnMut(),
    ) -> bool {
        let mut look = pin!(sleep(every));
        let mut silence = Silence::new();
        poll_fn(|cx| {
            if Pin::new(&mut self.connection).poll(cx).is_ready() {
                return Poll::Ready(false);
            }
            if settled.is_some()
                && self.come.heard.load(Relaxed)
                && let Some(handle) = self.handle.upgrade()
            {
                handle.settled.store(true, Relaxed);
                settled.take().into_iter().for_each(|settled| settled());
            }
            if self.come.empty_data.load(Relaxed) >= EMPTY_DATA_MAX
                && let Some(handle) = self.handle.upgrade()
            {
                handle.condemn();
            }
            went_on();
            while look.as_mut().poll(cx).is_ready() {
                let now = Instant::now();
                look.as_mut().reset(now + every);
                let alive = self.come.heard.swap(false, Relaxed);
                // Without a handle it ends as soon as its last words are written.
                let handle = self.handle.upgrade();
                let resting = handle.filter(|handle| handle.streams.load(Relaxed) == 0);
                if let Some(handle) = &resting {
                    unused(handle);
                }
                if resting.is_some() || alive {
                    silence = Silence::new();
                } else if silence.asks(now) {
                    // An answer that came too late for the question before would be in the way of this one. An error: the
                    // connection is about to end.
                    let _ = self.ping.poll_pong(cx);
                    let _ = self.ping.send_ping(Ping::opaque());
                } else if silence.is_too_long(now) {
                    return Poll::Ready(true);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// How long nothing has come.
struct Silence {
    since: Instant,
    asked: Option<Instant>,
}

impl Silence {
    fn new() -> Self {
        let since = Instant::now();
        Self { since, asked: None }
    }

    /// Whether it is time to ask, once.
    fn asks(&mut self, now: Instant) -> bool {
        let due = self.asked.is_none() && now.duration_since(self.since) >= SILENCE;
        if due {
            self.asked = Some(now);
        }
        due
    }

    fn is_too_long(&self, now: Instant) -> bool {
        self.asked
            .is_some_and(|asked| now.duration_since(asked) >= ANSWER)
    }
}

/// A stream that notes what comes.
struct Heard<T> {
    io: T,
    frames: Frames,
    come: Arc<Come>,
    /// It could not be written to.
    write_failed: bool,
}

impl<T> Heard<T> {
    /// A peer that closes says before that why, as a TLS server does that wants another certificate: by TLS 1.3 its alert comes
    /// after the handshake. So a failure to write ends nothing: `taken` is let go, and what is read says how the connection ended.
    fn unless_failed<R>(&mut self, written: Poll<io::Result<R>>, taken: R) -> Poll<io::Result<R>> {
        self.write_failed |= matches!(written, Poll::Ready(Err(_)));
        match self.write_failed {
            true => Poll::Ready(Ok(taken)),
            false => written,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Heard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        let read = &buffer.filled()[before..];
        if !read.is_empty() {
            self.come.heard.store(true, Relaxed);
            let empty = self.frames.empty_data(read);
            if empty > 0 {
                self.come.empty_data.fetch_add(empty, Relaxed);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Heard<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.unless_failed(written, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.unless_failed(written, slices.iter().map(|slice| slice.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.unless_failed(flushed, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use h2::server;
    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

    use super::*;

    const KEEP: Duration = Duration::from_secs(55);

    /// A connection with so many streams, and the other end of it.
    async fn opened(streams: usize) -> (Arc<Connection>, Driver<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(1 << 16);
        let (connection, driver) = open(ours, 100).await.expect("a duplex takes the preface");
        connection.streams.store(streams, Relaxed);
        (connection, driver, theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_answers_nothing_is_given_up_while_it_has_streams() {
        let (connection, driver, mut theirs) = opened(1).await;
        // Read, so that it is not the writing that stops; never answered.
        tokio::spawn(
            async move { while theirs.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0) {} },
        );
        let began = Instant::now();
        driver.run(KEEP, |_| {}, || {}, || {}).await;
        let took = began.elapsed();
        assert!(
            took >= SILENCE + ANSWER && took <= SILENCE + ANSWER + 2 * LOOK,
            "{took:?}"
        );
        assert!(connection.is_silent() && connection.is_condemned());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_answers_a_ping_is_kept_however_long_its_streams_are_silent() {
        let (connection, driver, theirs) = opened(1).await;
        tokio::spawn(async move {
            let mut served = server::handshake(theirs).await.expect("it begins well");
            while served.accept().await.is_some() {}
        });
        let driving = driver.run(KEEP, |_| {}, || {}, || {});
        let hour = tokio::time::timeout(Duration::from_secs(3600), driving);
        assert!(hour.await.is_err(), "it is still there");
        assert!(!connection.is_condemned());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_streams_is_shown_and_not_asked() {
        let (connection, driver, theirs) = opened(0).await;
        let shown = Cell::new(0);
        let unused = |_: &Arc<Connection>| shown.set(shown.get() + 1);
        let driving = driver.run(KEEP, unused, || {}, || {});
        let minute = tokio::time::timeout(Duration::from_secs(60), driving);
        assert!(minute.await.is_err() && shown.get() >= 11);
        assert!(!connection.is_condemned());
        drop(theirs);
    }

    #[tokio::test]
    async fn a_connection_without_a_handle_closes() {
        let (connection, driver, mut theirs) = opened(0).await;
        drop(connection);
        driver.run(KEEP, |_| {}, || {}, || {}).await;
        let mut said = Vec::new();
        theirs
            .read_to_end(&mut said)
            .await
            .expect("it ends in order");
    }

    #[tokio::test]
    async fn where_a_stream_was_refused_no_more_are_sent_than_it_had() {
        let (connection, _driver, _theirs) = opened(8).await;
        assert_eq!(connection.streams_allowed(), 1, "nothing has been said yet");
        connection.settled.store(true, Relaxed);
        assert_eq!(connection.streams_allowed(), 100);
        connection.refused();
        assert_eq!(
            (connection.streams_allowed(), connection.is_condemned()),
            (7, false)
        );
        connection.streams.store(1, Relaxed);
        connection.refused();
        assert!(connection.is_condemned());
    }
}
