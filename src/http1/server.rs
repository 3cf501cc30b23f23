//! The side of a connection that answers.

mod incoming;
mod sending;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use self::incoming::{Call, NoCall, Shared};
use self::sending::{Asked, Sending};
use super::head::HeadError;
use super::upgrade::Upgraded;
use crate::message::{Request, Response};

pub use incoming::RequestBody;

/// Limit for a head, from its first byte on. A connection may be idle for longer.
const HEAD: Duration = Duration::from_secs(30);
/// The same once the server is to stop.
const HEAD_WHEN_STOPPING: Duration = Duration::from_secs(1);
/// How long a client that is still sending is listened to after its answer: closed at once, the connection would be reset,
/// and the answer lost with it (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);

/// Answers requests.
pub trait Service: Sync {
    /// The body of an answer. An error breaks the connection off, after everything that came before it.
    type Body: Body<Data = Bytes> + Unpin + Send;

    /// Answers one request. Dropped where the client leaves before there is an answer.
    fn call(
        &self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// Answers what is no request.
    fn refuse(&self, error: HeadError) -> Response<Self::Body>;
}

/// Serves a connection until either side closes it, or until `stop` says true and no request is in flight. A client that
/// begins with HTTP/2 gets the connection given back.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub async fn serve<T, S>(io: T, service: &S, stop: watch::Receiver<bool>) -> Option<Upgraded>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service,
{
    let shared = Shared::new(io);
    // Made once: made for each request, it was entered into the watch's list and taken out of it again each time.
    let mut stopped = pin!(stopped(stop.clone()));
    while poll_fn(|cx| poll_input(&shared, stopped.as_mut(), cx)).await {
        // Boxed, what leads to the response is gone when that begins; inline it would stay for as long as the connection.
        let (mut sending, upgrade) = match Box::pin(begin(&shared, service, &stop)).await {
            Begun::Response(sending, upgrade) => (sending, upgrade),
            Begun::Http2 => return shared.take().map(Upgraded::new),
            Begun::Nothing => return None,
        };
        if poll_fn(|cx| sending.poll(&shared, cx)).await.is_err() {
            return None;
        }
        if let Some(upgrade) = upgrade {
            if let Some(wire) = shared.take() {
                // Nobody waits for it where the proxy itself has given up; then it closes.
                let _ = upgrade.send(Upgraded::new(wire));
            }
            return None;
        }
        if !sending.persistent() || !shared.is_read() {
            close(&shared).await;
            return None;
        }
    }
    None
}

/// Resolves when the server is to stop. A sender that is gone stops too.
async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Resolves with whether a request comes: not where the connection is over, or is to stop while it waits.
fn poll_input<T>(
    shared: &Shared<T>,
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
    shared: &Arc<Shared<T>>,
    service: &S,
    stop: &watch::Receiver<bool>,
) -> Begun<S::Body>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service,
{
    let call = match shared.call() {
        // Boxed: heads mostly come whole.
        Ok(None) => Box::pin(rest_of_head(shared, stop)).await,
        call => call,
    };
    let call = match call {
        Ok(Some(call)) => call,
        Ok(None) => return Begun::Nothing,
        Err(NoCall::Http2) => return Begun::Http2,
        Err(NoCall::Head(error)) => {
            Box::pin(refuse(shared, service.refuse(error))).await;
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
    asked.persistent &= !changes && !*stop.borrow();
    Begun::Response(Sending::new(response, asked), upgrade.filter(|_| changes))
}

/// Waits for a head that did not come at once; `None` where the connection ended before it.
async fn rest_of_head<T>(
    shared: &Arc<Shared<T>>,
    stop: &watch::Receiver<bool>,
) -> Result<Option<Call>, NoCall>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut stop = stop.clone();
    let mut limit = Instant::now() + HEAD;
    loop {
        let stopping = *stop.borrow();
        if stopping {
            limit = limit.min(Instant::now() + HEAD_WHEN_STOPPING);
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

async fn refuse<T, B>(shared: &Arc<Shared<T>>, response: Response<B>)
where
    T: AsyncRead + AsyncWrite + Send + Unpin,
    B: Body<Data = Bytes> + Unpin,
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

/// Closes a connection of which everything has been written.
async fn close<T>(shared: &Arc<Shared<T>>)
where
    T: AsyncRead + AsyncWrite + Send + Unpin,
{
    let unread = !shared.is_read();
    if poll_fn(|cx| shared.poll_shutdown(cx)).await.is_err() || !unread {
        return;
    }
    let rest = async { while let Ok(1..) = poll_fn(|cx| shared.poll_discard(cx)).await {} };
    let _ = tokio::time::timeout(LINGER, rest).await;
}
