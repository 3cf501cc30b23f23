//! The side of a connection that answers.

mod incoming;
mod sending;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use self::incoming::{Asked, NoRequest, ReceivedRequest, SharedConnection};
use self::sending::Sending;
use super::head::{HEAD_TIME_MAX, HEAD_TIME_MAX_STOPPING, HeadError};
use super::occupancy::Occupancy;
use super::peer::Peer;
use super::upgrade::Upgraded;
use super::wire::Wire;
use crate::message::{Body, Request, Response};

pub use incoming::RequestBody;

/// How long a client that is still sending is listened to after its answer: closed at once, the connection would be reset,
/// and the answer lost with it (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);

/// Answers requests.
pub trait Service: Sync {
    /// The body of an answer. An error breaks the connection off, after everything that came before it.
    type Body: Body + Send;

    /// Answers one request. Dropped where the client leaves before there is an answer.
    fn call(
        &self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// Answers what is no request.
    fn refuse(&self, refused: RefusedHead) -> Response<Self::Body>;
}

/// Something that came in place of a request, or a request that is none by what its head says.
#[derive(Debug)]
pub struct RefusedHead {
    /// What is wrong with it.
    pub error: HeadError,
    /// When it began to come.
    pub since: Instant,
    /// Its head, where that could be read.
    pub request: Option<Box<Request<()>>>,
}

/// Serves a connection until either side closes it, or until `stop` says true or it is dismissed, and no request is in
/// flight. A client that begins with HTTP/2 gets the connection given back. It is in use but for the waits for requests.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub async fn serve<T, S>(
    io: T,
    service: &S,
    occupancy: &Occupancy,
    stop: watch::Receiver<bool>,
) -> Option<Upgraded>
where
    T: AsyncRead + AsyncWrite + Peer + Send + Unpin + 'static,
    S: Service,
{
    let serving = Serving(SharedConnection::new(io));
    let shared = &serving.0;
    // Made once: made for each request, it was entered into the watch's list and taken out of it again each time.
    let mut stopped = pin!(stopped(stop.clone(), occupancy));
    loop {
        occupancy.leave();
        if !poll_fn(|cx| poll_input(shared, stopped.as_mut(), cx)).await {
            return None;
        }
        occupancy.enter();
        // Boxed, what leads to the response is gone when that begins; inline it would stay for as long as the connection.
        let (mut sending, upgrade) = match Box::pin(begin(shared, service, &stop)).await {
            Begun::Response(sending, upgrade) => (sending, upgrade),
            Begun::Http2 => return shared.take().map(Upgraded::new),
            Begun::Nothing => return None,
        };
        if poll_fn(|cx| sending.poll(shared, cx)).await.is_err() {
            return None;
        }
        if let Some(upgrade) = upgrade {
            if let Some(wire) = shared.take() {
                // Nobody waits for it where the proxy itself has given up; then it closes.
                let _ = upgrade.send(Upgraded::new(wire));
            }
            return None;
        }
        // An answer may come before the request is over, which then goes on.
        if !sending.persistent() || !poll_fn(|cx| shared.poll_read_through(cx)).await {
            close(shared).await;
            return None;
        }
        shared.end_request();
    }
}

/// A connection that is served; dropped, it is over. A body that an upstream still holds would keep it open.
struct Serving<T>(Arc<SharedConnection<T>>);

impl<T> Drop for Serving<T> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Resolves when the connection is to end: with the server, of which a sender that is gone says the same, or by itself.
async fn stopped(mut stop: watch::Receiver<bool>, occupancy: &Occupancy) {
    loop {
        let stops = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => true,
            () = occupancy.dismissed() => false,
        };
        // What its socket has got is looked for once more: a request that has come by now is answered.
        tokio::task::yield_now().await;
        if stops || occupancy.is_dismissed() {
            return;
        }
    }
}

/// Resolves with whether a request comes: not where the connection is over, or is to stop while it waits.
fn poll_input<T>(
    shared: &SharedConnection<T>,
    stopped: Pin<&mut impl Future<Output = ()>>,
    cx: &mut Context<'_>,
) -> Poll<bool>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    match shared.poll_input(cx) {
        Poll::Pending => stopped.poll(cx).map(|()| false),
        comes => comes,
    }
}

/// What became of a request that has begun to come.
enum Begun<B> {
    /// The response, and who waits for the connection after it.
    Response(Box<Sending<B>>, Option<oneshot::Sender<Upgraded>>),
    /// It is none of this version.
    Http2,
    /// The client has left, or has been refused.
    Nothing,
}

/// Reads a request and has it answered, unless the client leaves before.
async fn begin<T, S>(
    shared: &Arc<SharedConnection<T>>,
    service: &S,
    stop: &watch::Receiver<bool>,
) -> Begun<S::Body>
where
    T: AsyncRead + AsyncWrite + Peer + Send + Unpin + 'static,
    S: Service,
{
    let mut since = None;
    let call = match shared.call() {
        // Boxed: heads mostly come whole.
        Ok(None) => {
            let since = *since.insert(Instant::now());
            Box::pin(rest_of_head(shared, since, stop)).await
        }
        call => call,
    };
    let call = match call {
        Ok(Some(call)) => call,
        Ok(None) => return Begun::Nothing,
        Err(NoRequest::Http2) => return Begun::Http2,
        Err(NoRequest::Head(error, request)) => {
            let refused = RefusedHead {
                error,
                since: since.unwrap_or_else(Instant::now),
                request,
            };
            Box::pin(refuse(shared, service.refuse(refused))).await;
            return Begun::Nothing;
        }
    };
    let (mut asked, upgrade) = (call.asked, call.upgrade);
    let mut answer = pin!(service.call(call.request));
    let response = poll_fn(|cx| match answer.as_mut().poll(cx) {
        Poll::Ready(response) => Poll::Ready(Some(response)),
        Poll::Pending => shared.poll_departed(cx).map(|()| None),
    });
    let Some(response) = response.await else {
        return Begun::Nothing;
    };
    let changes = response.status == StatusCode::SWITCHING_PROTOCOLS;
    // Of a body that nobody reads to its end the connection is full: it is closed after the answer, which says so.
    asked.persistent &= !changes && !*stop.borrow() && shared.is_read();
    Begun::Response(Sending::new(response, asked), upgrade.filter(|_| changes))
}

/// Waits for a head that has come in part since then; `None` where the connection ended before it.
async fn rest_of_head<T>(
    shared: &Arc<SharedConnection<T>>,
    since: Instant,
    stop: &watch::Receiver<bool>,
) -> Result<Option<ReceivedRequest>, NoRequest>
where
    T: AsyncRead + AsyncWrite + Peer + Send + Unpin + 'static,
{
    let mut stop = stop.clone();
    let mut limit = since + HEAD_TIME_MAX;
    loop {
        let stopping = *stop.borrow();
        if stopping {
            limit = limit.min(Instant::now() + HEAD_TIME_MAX_STOPPING);
        }
        let fill = poll_fn(|cx| shared.poll_fill(cx));
        tokio::select! {
            read = tokio::time::timeout_at(limit, fill) => match read {
                Ok(Ok(1..)) => {}
                Ok(_) => return Ok(None),
                Err(_) => return Err(HeadError::Timeout.into()),
            },
            _ = stop.wait_for(|stop| *stop), if !stopping => {}
        }
        if let Some(call) = shared.call()? {
            return Ok(Some(call));
        }
    }
}

async fn refuse<T, B>(shared: &Arc<SharedConnection<T>>, response: Response<B>)
where
    T: AsyncRead + AsyncWrite + Peer + Send + Unpin + 'static,
    B: Body,
{
    let asked = Asked {
        to_head: false,
        http11: true,
        persistent: false,
    };
    let mut sending = Sending::new(response, asked);
    if poll_fn(|cx| sending.poll(shared, cx)).await.is_ok() {
        shared.give_up_reading();
        close(shared).await;
    }
}

/// Closes a connection of which everything has been written, behind the end of the request.
async fn close<T>(shared: &Arc<SharedConnection<T>>)
where
    T: AsyncRead + AsyncWrite + Peer + Send + Unpin + 'static,
{
    if poll_fn(|cx| shared.poll_shutdown(cx)).await.is_err()
        || poll_fn(|cx| shared.poll_read_through(cx)).await
    {
        return;
    }
    // By itself: a server that stops need not wait for it.
    shared.take().map(|wire| tokio::spawn(linger(wire)));
}

/// Reads and forgets what still comes of a client that nobody listens to.
async fn linger<T: AsyncRead + Unpin>(mut wire: Wire<T>) {
    let rest = async {
        while let Ok(1..) = poll_fn(|cx| wire.poll_fill(cx)).await {
            wire.input().clear();
        }
    };
    // Whether it ends in time makes no difference.
    let _ = tokio::time::timeout(LINGER, rest).await;
}

#[cfg(test)]
mod tests;
