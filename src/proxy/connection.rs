//! A connection to an upstream that is driven by whoever waits for its response.
//!
//! hyper's client connection is a future of its own, usually a task of its own; then every frame of a response crosses
//! from that task to the client's, one at a time, and is written to the client by itself. Driven from inside the
//! response body, all frames that one read brought are there before the client's connection flushes: an unpaced stream
//! costs a write per read instead of a write per chunk, and no task is woken.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::rt::{Read, Write};

use super::body::Outgoing;
use super::pool::Pool;

/// An HTTP/1.1 connection, between or during exchanges.
pub(super) struct Http1<T: Read + Write> {
    sender: SendRequest<Box<Outgoing>>,
    driver: Driver<T>,
    relay: Arc<Relay>,
    /// Wakes through the relay; made once.
    waker: Waker,
}

/// The part of a connection that reads and writes; a future that must not be polled once it is over.
struct Driver<T: Read + Write> {
    connection: Pin<Box<Connection<T, Box<Outgoing>>>>,
    over: bool,
}

impl<T: Read + Write + Unpin> Driver<T> {
    /// How the connection ends, its response or body says too.
    fn poll(&mut self, cx: &mut Context<'_>) {
        if !self.over {
            self.over = self.connection.as_mut().poll(cx).is_ready();
        }
    }
}

/// Why a request got no response.
pub(super) enum Failed {
    /// It was never begun: the connection had been closed. The request is as it was.
    Unsent(Box<Request<Box<Outgoing>>>),
    /// It broke on the way.
    Broken(hyper::Error),
}

impl<T: Read + Write + Unpin + Send + 'static> Http1<T> {
    /// Makes an HTTP/1.1 connection of a stream. Sends nothing yet.
    ///
    /// # Errors
    /// None with HTTP/1.1 today; hyper reserves them.
    pub(super) async fn new(stream: T) -> hyper::Result<Self> {
        let (sender, connection) = http1::Builder::new()
            .preserve_header_case(true)
            .handshake(stream)
            .await?;
        let driver = Driver {
            connection: Box::pin(connection),
            over: false,
        };
        let relay = Arc::<Relay>::default();
        let waker = Waker::from(Arc::clone(&relay));
        Ok(Self {
            sender,
            driver,
            relay,
            waker,
        })
    }

    /// Whether another request can be sent. Looks for what happened while nobody was driving.
    pub(super) fn is_idle(&mut self) -> bool {
        self.driver.poll(&mut Context::from_waker(&self.waker));
        !self.driver.over && self.sender.is_ready()
    }

    /// Forgets the task that drove it, which else would live as long as the connection.
    pub(super) fn rest(&self) {
        self.relay.task.take();
    }

    /// Sends a request and waits for the head of the response.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub(super) async fn send(
        mut self,
        request: Request<Box<Outgoing>>,
        pool: Arc<Pool<T>>,
    ) -> Result<Response<DrivenBody<T>>, Failed> {
        let mut response = pin!(self.sender.try_send_request(request));
        let (relay, waker, driver) = (&self.relay, &self.waker, &mut self.driver);
        let head =
            poll_fn(|cx| relay.drive(cx, waker, driver, |cx| response.as_mut().poll(cx))).await;
        match head {
            Ok(response) => Ok(response.map(|body| DrivenBody {
                body,
                over: false,
                connection: Some((self, pool)),
            })),
            Err(mut error) => Err(match error.take_message() {
                Some(request) => Failed::Unsent(Box::new(request)),
                None => Failed::Broken(error.into_error()),
            }),
        }
    }
}

/// A response body that drives the connection it comes by. Read to its end it gives the connection back to the pool;
/// dropped before, it closes it.
pub struct DrivenBody<T: Read + Write + Unpin + Send + 'static> {
    body: Incoming,
    /// Whether the body has said that it is over; one of unknown length says so only by a last, empty poll.
    over: bool,
    connection: Option<(Http1<T>, Arc<Pool<T>>)>,
}

impl<T: Read + Write + Unpin + Send + 'static> Body for DrivenBody<T> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let Some((connection, _)) = &mut this.connection else {
            return Pin::new(&mut this.body).poll_frame(cx);
        };
        let Http1 {
            driver,
            relay,
            waker,
            ..
        } = connection;
        let polled = relay.drive(cx, waker, driver, |cx| {
            Pin::new(&mut this.body).poll_frame(cx)
        });
        this.over |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<T: Read + Write + Unpin + Send + 'static> Drop for DrivenBody<T> {
    fn drop(&mut self) {
        if let Some((connection, pool)) = self.connection.take()
            && self.is_end_stream()
        {
            pool.put(connection);
        }
    }
}

/// Wakes the task that drives a connection, unless it is driving at this moment: then it is told to go round again.
#[derive(Default)]
struct Relay {
    task: AtomicWaker,
    driving: AtomicBool,
    again: AtomicBool,
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.driving.load(Ordering::SeqCst) {
            self.again.store(true, Ordering::SeqCst);
        } else {
            self.task.wake();
        }
    }
}

impl Relay {
    /// Polls `wanted`, and the connection for as long as that brings something, until both have to wait.
    fn drive<T, O>(
        &self,
        cx: &Context<'_>,
        waker: &Waker,
        driver: &mut Driver<T>,
        mut wanted: impl FnMut(&mut Context<'_>) -> Poll<O>,
    ) -> Poll<O>
    where
        T: Read + Write + Unpin,
    {
        self.task.register(cx.waker());
        let mut cx = Context::from_waker(waker);
        loop {
            self.again.store(false, Ordering::SeqCst);
            self.driving.store(true, Ordering::SeqCst);
            let mut polled = wanted(&mut cx);
            if polled.is_pending() {
                driver.poll(&mut cx);
                polled = wanted(&mut cx);
            }
            self.driving.store(false, Ordering::SeqCst);
            // A wake that came before the line above is in `again`, one that came after has reached the task.
            if polled.is_ready() || !self.again.load(Ordering::SeqCst) {
                return polled;
            }
        }
    }
}
