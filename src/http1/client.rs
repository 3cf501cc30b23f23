//! The side of a connection that asks: one exchange after another.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderName, Method, StatusCode, Version};
use http_body::SizeHint;
use tokio::io::{AsyncRead, AsyncWrite};

use super::coding::{Decoder, Encoder, Framing, cut, names};
use super::connection::Connection;
use super::head::{self, HeadError};
use super::outgoing::{Outgoing, OutgoingState};
use super::output::Output;
use super::pool::Pool;
use super::upgrade::Upgraded;
use super::wire::Wire;
use crate::message::{Body, Fields, Polled, Request, Response};

/// Most interim responses (1xx) before a response. One that says every few seconds that it takes longer stays below.
const INTERIM_MAX: usize = 256;

static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Connection<T> {
    /// Begins to send a request. `keeps_body` keeps its body until the response begins, to be given back where the
    /// connection breaks before that.
    pub fn send<B>(
        self,
        mut request: Box<Request<B>>,
        pool: &Arc<Pool<T>>,
        keeps_body: bool,
    ) -> Sent<T, B>
    where
        B: Body,
    {
        let encoder = encoder(&mut request);
        let has_body = encoder != Encoder::Length(0);
        let mut output = Output::new();
        head::write_request(
            &request.method,
            &request.target,
            &request.fields,
            output.text(),
        );
        // Boxed, and all of the request gone: what waits for the response is moved, and lies in every future around it.
        Sent(Some(Box::new(Exchange {
            wire: self.wire,
            rested: self.rested,
            to_head: request.method == Method::HEAD,
            has_body,
            interim: 0,
            status: StatusCode::OK,
            upload: Some(Outgoing::new(output, request.body, Some(encoder))),
            uploading: None,
            keeps_body,
            sent: None,
            decoder: Decoder::Closed,
            pool: Arc::clone(pool),
            reusable: true,
            closes_after: None,
        })))
    }
}

/// A request on its way.
///
/// # Cancel safety
/// Dropping it closes the connection.
#[derive(Debug)]
pub struct Sent<T, B>(Option<Box<Exchange<T, B>>>);

/// What came for a request.
type Answered<T, B> = Result<Response<ResponseBody<T, B>>, Unanswered<B>>;

/// A request for which no response came.
#[derive(Debug)]
pub struct Unanswered<B> {
    /// The connection broke, or what came is no response.
    pub error: io::Error,
    /// Its body, where that was kept and not a byte of a response came.
    pub body: Option<B>,
}

impl<T, B> Sent<T, B>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body,
{
    /// Sends what there is to be sent. Resolves with the head of the response, which may come before the request is over:
    /// then the response's body has the rest of it to be sent ([`ResponseBody::unsent`]). Interim responses other than `101` are left out; there may be
    /// `INTERIM_MAX`.
    ///
    /// # Errors
    /// When the connection broke, or what came is no response.
    pub fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Answered<T, B>> {
        let Some(exchange) = &mut self.0 else {
            let (error, body) = (cut(), None);
            return Poll::Ready(Err(Unanswered { error, body }));
        };
        let response = match ready!(exchange.poll_response(cx)) {
            Ok(response) => response,
            Err(error) => {
                let exchange = self.0.take();
                let body = exchange.and_then(|exchange| exchange.into_unanswered());
                return Poll::Ready(Err(Unanswered { error, body }));
            }
        };
        let mut body = ResponseBody(self.0.take().map_or(Answer::Over, Answer::Own));
        if response.status != StatusCode::SWITCHING_PROTOCOLS {
            body.finish_if_done();
        }
        Poll::Ready(Ok(response.map(|()| body)))
    }
}

/// How the body of a request is to be framed. One without a body needs no field to say so.
fn encoder<B: Body>(request: &mut Request<B>) -> Encoder {
    let Request { fields, body, .. } = request;
    if body.size_hint().exact() == Some(0) && !fields.contains(CONTENT_LENGTH) {
        fields.remove(TRANSFER_ENCODING);
        return Encoder::Length(0);
    }
    Encoder::of(fields, body, true)
}

/// A connection during an exchange.
#[derive(Debug)]
struct Exchange<T, B> {
    wire: Box<Wire<T>>,
    /// How long the connection had been at rest, where it had been used before; only until something comes.
    rested: Option<Duration>,
    /// Whether the request was a `HEAD`.
    to_head: bool,
    /// Whether it had a body, which the server may not have read.
    has_body: bool,
    /// How many interim responses there were.
    interim: usize,
    /// Of the response.
    status: StatusCode,
    /// Until the request has been sent.
    upload: Option<Outgoing<B>>,
    /// The task that sends it, where the response has come before.
    uploading: Option<Waker>,
    /// Whether its body is kept; only until something comes.
    keeps_body: bool,
    /// That body, once it has been sent.
    sent: Option<B>,
    /// Of the response.
    decoder: Decoder,
    pool: Arc<Pool<T>>,
    /// Whether the connection can carry another exchange after this one.
    reusable: bool,
    /// After which time the server says that it closes an unused connection.
    closes_after: Option<Duration>,
}

impl<T, B> Exchange<T, B>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body,
{
    /// Sends what there is to be sent of the request.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(upload) = &mut self.upload else {
            return Poll::Ready(Ok(()));
        };
        loop {
            let waits = upload.gather(cx);
            if upload.state() == OutgoingState::Broken {
                return Poll::Ready(Err(io::Error::other("the request body ended early")));
            }
            ready!(upload.poll_write(self.wire.io(), cx))?;
            if upload.state() == OutgoingState::Over {
                let sent = self.upload.take().filter(|_| self.keeps_body);
                self.sent = sent.map(Outgoing::into_body);
                return Poll::Ready(Ok(()));
            }
            if waits {
                return Poll::Pending;
            }
        }
    }

    /// The connection has died: the body of a request for which nothing has come, where it is kept.
    fn into_unanswered(self) -> Option<B> {
        if let Some(rested) = self.rested {
            self.pool.trust().ended(rested);
        }
        let unsent = self.upload.map(Outgoing::into_body);
        unsent.or(self.sent).filter(|_| self.keeps_body)
    }

    /// Whether both the request and the response are over.
    fn is_over(&self) -> bool {
        self.upload.is_none() && self.decoder.is_done()
    }

    /// The next frame of the response.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<io::Error> {
        self.wire.poll_frame(cx, &mut self.decoder)
    }

    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Response<()>>> {
        // A server may answer and close without having read everything; then its answer counts.
        let failure = match self.poll_upload(cx) {
            Poll::Ready(Err(error)) if self.upload.as_ref().is_some_and(is_broken) => {
                (self.keeps_body, self.rested) = (false, None);
                return Poll::Ready(Err(error));
            }
            Poll::Ready(Err(error)) => Some(error),
            _ => None,
        };
        loop {
            match head::parse_response(self.wire.input())? {
                Some((mut response, version)) if is_last(response.status) => {
                    self.begin(&mut response, version)?;
                    return Poll::Ready(Ok(response));
                }
                Some(_) if self.interim < INTERIM_MAX => self.interim += 1,
                Some(_) => return Poll::Ready(Err(too_many())),
                None => {
                    if ready!(self.wire.poll_fill(cx))? == 0 {
                        return Poll::Ready(Err(failure.unwrap_or_else(cut)));
                    }
                    (self.keeps_body, self.sent, self.rested) = (false, None, None);
                }
            }
        }
    }

    /// Makes ready for the body of this response.
    fn begin(&mut self, response: &mut Response<()>, version: Version) -> Result<(), HeadError> {
        self.wire.release_input();
        let (status, fields) = (response.status, &mut response.fields);
        let framing = Framing::of_response(self.to_head, status, fields)?;
        if framing == Framing::Chunked {
            // The coding overrides it (RFC 9112 §6.3), and it must not be sent on.
            fields.remove(CONTENT_LENGTH);
        }
        let persistent = match version {
            Version::HTTP_10 => names(fields, "keep-alive"),
            _ => !names(fields, "close"),
        };
        // Of a request that is answered before it is over nobody knows how much was read.
        // Chunks are none of HTTP/1.0's: where its message ends is not to be relied on (RFC 9112 §6.1).
        let faulty = version == Version::HTTP_10 && framing == Framing::Chunked;
        self.reusable =
            persistent && !faulty && framing != Framing::UntilClose && self.upload.is_none();
        self.closes_after = keep_alive_timeout(fields);
        self.status = status;
        self.decoder = Decoder::new(framing);
        Ok(())
    }
}

/// How long a server says that it keeps an unused connection (RFC 2068 §19.7.1.1, as servers still write it).
fn keep_alive_timeout(fields: &Fields) -> Option<Duration> {
    let parameters = fields.text(&KEEP_ALIVE)?.split(',');
    let mut seconds = parameters.filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_timeout = name.trim().eq_ignore_ascii_case("timeout");
        is_timeout.then(|| value.trim().trim_matches('"').parse().ok())?
    });
    seconds.next().map(Duration::from_secs)
}

/// Whether no other response follows.
fn is_last(status: StatusCode) -> bool {
    !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS
}

fn too_many() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("more than {INTERIM_MAX} interim (1xx) responses came before the response"),
    )
}

fn is_broken<B: Body>(upload: &Outgoing<B>) -> bool {
    upload.state() == OutgoingState::Broken
}

/// The body of a response, read from its connection as it is asked for. Read to its end it gives the connection to the
/// pool; dropped before, it closes it.
#[derive(Debug)]
pub struct ResponseBody<T, B>(Answer<T, B>);

/// How a response's body has its connection. The exchange is gone when the body is over. Boxed: a response is moved through
/// several futures on its way.
#[derive(Debug)]
enum Answer<T, B> {
    Own(Box<Exchange<T, B>>),
    /// The rest of the request is sent by another task.
    Shared(Arc<Mutex<Exchange<T, B>>>),
    Over,
}

/// A poisoned lock still holds a whole exchange: nothing in a critical section can panic half-way through a change of it.
fn lock<T, B>(exchange: &Mutex<Exchange<T, B>>) -> MutexGuard<'_, Exchange<T, B>> {
    exchange.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T, B> ResponseBody<T, B>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body,
{
    /// The connection after a `101`, which is no HTTP any more; once. `None` where that came before the request was over: what
    /// is sent next would be the rest of its body for the server.
    pub fn upgraded(&mut self) -> Option<Upgraded> {
        match std::mem::replace(&mut self.0, Answer::Over) {
            Answer::Own(exchange) if exchange.upload.is_none() => {
                Some(Upgraded::new(*exchange.wire))
            }
            _ => None,
        }
    }

    /// What is left of the request, where the response has come before all of it was sent; once. It has to be sent by
    /// somebody, and apart from the response: a client may read no response before it has sent everything.
    pub fn unsent(&mut self) -> Option<Unsent<T, B>> {
        match std::mem::replace(&mut self.0, Answer::Over) {
            Answer::Own(exchange) if exchange.upload.is_some() => {
                let shared = Arc::new(Mutex::new(*exchange));
                self.0 = Answer::Shared(Arc::clone(&shared));
                Some(Unsent(shared))
            }
            answer => {
                self.0 = answer;
                None
            }
        }
    }

    /// How many bytes have come that nobody has read, those among them that `waiting` says the stream has.
    pub fn unread(&mut self, waiting: impl FnOnce(&T) -> usize) -> usize {
        let of_wire = |wire: &mut Wire<T>| wire.input().len() + waiting(wire.io());
        match &mut self.0 {
            Answer::Own(exchange) => of_wire(&mut exchange.wire),
            Answer::Shared(exchange) => of_wire(&mut lock(exchange).wire),
            Answer::Over => 0,
        }
    }

    fn finish_if_done(&mut self) {
        match std::mem::replace(&mut self.0, Answer::Over) {
            Answer::Own(exchange) if exchange.is_over() => {
                if exchange.reusable {
                    let Exchange { wire, pool, .. } = *exchange;
                    let to_body = exchange.has_body.then_some(exchange.status);
                    pool.put(Connection::of(wire), to_body, exchange.closes_after);
                }
            }
            Answer::Shared(exchange) if lock(&exchange).decoder.is_done() => {
                // The rest of the request goes on; from now on what the server says is for who sends that.
                let uploading = lock(&exchange).uploading.take();
                uploading.into_iter().for_each(Waker::wake);
            }
            answer => self.0 = answer,
        }
    }
}

impl<T, B> Body for ResponseBody<T, B>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body,
{
    type Error = io::Error;

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<io::Error> {
        let frame = match &mut self.0 {
            Answer::Own(exchange) => ready!(exchange.poll_frame(cx)),
            Answer::Shared(exchange) => ready!(lock(exchange).poll_frame(cx)),
            Answer::Over => return Poll::Ready(None),
        };
        match &frame {
            Some(Err(_)) => self.0 = Answer::Over,
            _ => self.finish_if_done(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Answer::Own(exchange) => exchange.decoder.is_done(),
            Answer::Shared(exchange) => lock(exchange).decoder.is_done(),
            Answer::Over => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Answer::Own(exchange) => exchange.decoder.size_hint(),
            Answer::Shared(exchange) => lock(exchange).decoder.size_hint(),
            Answer::Over => SizeHint::with_exact(0),
        }
    }
}

/// What is left of a request whose response has begun.
///
/// # Cancel safety
/// Dropping it leaves the rest unsent.
#[derive(Debug)]
pub struct Unsent<T, B>(Arc<Mutex<Exchange<T, B>>>);

impl<T, B> Unsent<T, B>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body,
{
    /// Resolves when all of it has been sent, the client's part has broken off, or the server has closed the connection.
    pub fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut exchange = lock(&self.0);
        if exchange.poll_upload(cx).is_ready() {
            return Poll::Ready(());
        }
        if exchange.decoder.is_done() {
            // Whatever the server still says, it is no answer to anything.
            return exchange.wire.poll_fill(cx).map(drop);
        }
        exchange.uploading = Some(cx.waker().clone());
        Poll::Pending
    }

    /// How much the server has taken, while it has to take more; `None` while the client is waited for.
    #[must_use]
    pub fn taken(&self) -> Option<u64> {
        lock(&self.0).upload.as_ref().and_then(Outgoing::taken)
    }
}

impl<T, B> Drop for Unsent<T, B> {
    fn drop(&mut self) {
        // Whoever waits for the client's part learns that nobody reads it any more, while the response may go on.
        lock(&self.0).upload = None;
    }
}
