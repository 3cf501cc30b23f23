//! The side of a connection that answers.

mod incoming;
mod sending;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{EXPECT, UPGRADE};
use http::{Method, StatusCode, Version};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use self::incoming::Shared;
use self::sending::{Asked, Sending};
use super::coding::{Framing, names};
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
/// How HTTP/2 begins (RFC 9113 §3.4).
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n";

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
pub async fn serve<T, S>(io: T, service: &S, mut stop: watch::Receiver<bool>) -> Option<Upgraded>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service,
{
    let shared = Shared::new(io);
    loop {
        let next = match next_head(&shared, &mut stop).await {
            Ok(Head::Request(request)) => Call::new(request, &shared),
            Ok(Head::Http2) => return shared.take().map(Upgraded::new),
            Ok(Head::None) => return None,
            Err(error) => Err(error),
        };
        let call = match next {
            Ok(call) => call,
            Err(error) => {
                Box::pin(refuse(&shared, service.refuse(error))).await;
                return None;
            }
        };
        if !call.answer(service, &stop).await {
            return None;
        }
    }
}

/// What a connection brings next.
enum Head {
    Request(Request<()>),
    /// Another protocol, of which nothing has been taken off the input.
    Http2,
    /// Nothing any more.
    None,
}

async fn next_head<T>(
    shared: &Arc<Shared<T>>,
    stop: &mut watch::Receiver<bool>,
) -> Result<Head, HeadError>
where
    T: AsyncRead + AsyncWrite + Send + Unpin,
{
    let fill = || poll_fn(|cx| shared.poll_fill(cx));
    while !shared.has_input() {
        tokio::select! {
            biased;
            read = fill() => if !matches!(read, Ok(1..)) { return Ok(Head::None) },
            // A sender that is gone stops too.
            _ = stop.wait_for(|stop| *stop) => return Ok(Head::None),
        }
    }
    let mut limit: Option<Instant> = None;
    loop {
        if shared.begins_with(HTTP2) {
            return Ok(Head::Http2);
        }
        if let Some(request) = shared.parse()? {
            return Ok(Head::Request(request));
        }
        let stopping = *stop.borrow();
        let limit = limit.get_or_insert_with(|| Instant::now() + HEAD);
        if stopping {
            *limit = (*limit).min(Instant::now() + HEAD_WHEN_STOPPING);
        }
        tokio::select! {
            read = tokio::time::timeout_at(*limit, fill()) => match read {
                Ok(Ok(1..)) => {}
                Ok(_) => return Ok(Head::None),
                Err(_) => return Err(HeadError::Timeout),
            },
            _ = stop.wait_for(|stop| *stop), if !stopping => {}
        }
    }
}

/// What a connection must know of a request after it was handed over.
struct Call<'a, T> {
    shared: &'a Arc<Shared<T>>,
    request: Request<RequestBody>,
    asked: Asked,
    upgrade: Option<oneshot::Sender<Upgraded>>,
}

impl<'a, T> Call<'a, T>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    fn new(request: Request<()>, shared: &'a Arc<Shared<T>>) -> Result<Self, HeadError> {
        let (version, fields) = (request.version, &request.fields);
        let framing = Framing::of_request(version, fields)?;
        let http11 = version == Version::HTTP_11;
        let persistent = if http11 {
            !names(fields, "close")
        } else {
            names(fields, "keep-alive")
        };
        let (upgrade, on_upgrade) = (http11 && fields.contains(UPGRADE))
            .then(oneshot::channel)
            .unzip();
        let expects = fields
            .get(EXPECT)
            .is_some_and(|value| http11 && value.eq_ignore_ascii_case(b"100-continue"));
        let asked = Asked {
            to_head: request.method == Method::HEAD,
            http11,
            persistent,
        };
        let body = RequestBody::new(shared, framing, expects, on_upgrade);
        Ok(Self {
            shared,
            request: request.map(|()| body),
            asked,
            upgrade,
        })
    }

    /// Has the request answered and writes the answer. Says whether the connection can go on.
    async fn answer<S: Service>(self, service: &S, stop: &watch::Receiver<bool>) -> bool {
        let shared = self.shared;
        // Boxed, what leads to the response is gone when that begins; inline it would stay for as long as the connection.
        let Some((mut sending, upgrade)) = Box::pin(self.begin(service, stop)).await else {
            return false;
        };
        if poll_fn(|cx| sending.poll(shared, cx)).await.is_err() {
            return false;
        }
        if let Some(upgrade) = upgrade {
            if let Some(wire) = shared.take() {
                // Nobody waits for it where the proxy itself has given up; then it closes.
                let _ = upgrade.send(Upgraded::new(wire));
            }
            return false;
        }
        if sending.persistent() && shared.is_read() {
            return true;
        }
        close(shared).await;
        false
    }

    /// The response, and who waits for the connection after it; `None` where the client has left.
    async fn begin<S: Service>(
        self,
        service: &S,
        stop: &watch::Receiver<bool>,
    ) -> Option<(Sending<S::Body>, Option<oneshot::Sender<Upgraded>>)> {
        let mut call = pin!(service.call(self.request));
        let response = poll_fn(|cx| match call.as_mut().poll(cx) {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            Poll::Pending => self.shared.poll_departed(cx).map(|()| None),
        })
        .await?;
        let changes = response.status == StatusCode::SWITCHING_PROTOCOLS;
        let mut asked = self.asked;
        asked.persistent &= !changes && !*stop.borrow();
        Some((
            Sending::new(response, asked),
            self.upgrade.filter(|_| changes),
        ))
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
