//! The side of a connection that asks.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite};

use super::coding::{Decoder, Encoder, Framing, cut, names};
use super::head::{self, HeadError};
use super::outgoing::{Outgoing, State};
use super::output::Output;
use super::pool::Pool;
use super::upgrade::Upgraded;
use super::wire::Wire;
use crate::message::{Request, Response};

/// A connection between exchanges. Boxed, as it goes into the pool and out of it.
#[derive(Debug)]
pub struct Connection<T>(Box<Wire<T>>);

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Connection<T> {
    /// Makes a connection of a stream. Sends nothing yet.
    pub fn new(io: T) -> Self {
        Self(Box::new(Wire::new(io)))
    }

    /// Whether another request can be sent: nothing has come that nobody asked for, not even the end.
    pub fn is_idle(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.0.input().is_empty() && self.0.poll_fill(&mut cx).is_pending()
    }

    /// Sends a request and waits for the head of the response, which may come before the request is over: then the
    /// response's body sends the rest. Interim responses other than `101` are left out.
    ///
    /// # Errors
    /// When the connection broke, or what came is no response.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub fn send<B>(
        self,
        mut request: Box<Request<B>>,
        pool: &Arc<Pool<T>>,
    ) -> impl Future<Output = io::Result<Response<ResponseBody<T, B>>>> + use<T, B>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let encoder = encoder(&mut request);
        let mut output = Output::new();
        head::write_request(
            &request.method,
            &request.uri,
            &request.fields,
            output.text(),
        );
        // Boxed, and all of the request gone: what waits for the response is moved, and lies in every future around it.
        let mut exchange = Some(Box::new(Exchange {
            wire: self.0,
            to_head: request.method == Method::HEAD,
            upload: Some(Outgoing::new(output, request.body, Some(encoder))),
            decoder: Decoder::Closed,
            pool: Arc::clone(pool),
            reusable: true,
        }));
        poll_fn(move |cx| Exchange::poll_response(&mut exchange, cx))
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
    /// Whether the request was a `HEAD`.
    to_head: bool,
    /// Until the request has been sent.
    upload: Option<Outgoing<B>>,
    /// Of the response.
    decoder: Decoder,
    pool: Arc<Pool<T>>,
    /// Whether the connection can carry another exchange after this one.
    reusable: bool,
}

impl<T, B> Exchange<T, B>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body<Data = Bytes> + Unpin,
{
    /// Sends what there is to be sent of the request.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(upload) = &mut self.upload else {
            return Poll::Ready(Ok(()));
        };
        loop {
            let waits = upload.gather(cx);
            if upload.state() == State::Broken {
                return Poll::Ready(Err(io::Error::other("the request's body broke off")));
            }
            ready!(upload.poll_write(self.wire.io(), cx))?;
            if upload.state() == State::Over {
                self.upload = None;
                return Poll::Ready(Ok(()));
            }
            if waits {
                return Poll::Pending;
            }
        }
    }

    /// The response, whose body takes the exchange over.
    fn poll_response(
        exchange: &mut Option<Box<Self>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Response<ResponseBody<T, B>>>> {
        let Some(this) = exchange else {
            return Poll::Ready(Err(cut()));
        };
        // A server may answer and close without having read everything; then its answer counts.
        let failure = match this.poll_upload(cx) {
            Poll::Ready(Err(error)) if this.upload.as_ref().is_some_and(is_broken) => {
                return Poll::Ready(Err(error));
            }
            Poll::Ready(Err(error)) => Some(error),
            _ => None,
        };
        loop {
            match head::parse_response(this.wire.input())? {
                Some((mut response, version)) if is_last(response.status) => {
                    this.begin(&mut response, version)?;
                    let mut body = ResponseBody(exchange.take());
                    if response.status != StatusCode::SWITCHING_PROTOCOLS {
                        body.finish_if_done();
                    }
                    return Poll::Ready(Ok(response.map(|()| body)));
                }
                Some(_) => {}
                None => {
                    if ready!(this.wire.poll_fill(cx))? == 0 {
                        return Poll::Ready(Err(failure.unwrap_or_else(cut)));
                    }
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
        self.reusable = persistent && framing != Framing::UntilClose;
        self.decoder = Decoder::new(framing);
        Ok(())
    }
}

/// Whether no other response follows.
fn is_last(status: StatusCode) -> bool {
    !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS
}

fn is_broken<B: Body<Data = Bytes> + Unpin>(upload: &Outgoing<B>) -> bool {
    upload.state() == State::Broken
}

/// The body of a response, read from its connection as it is asked for. Read to its end it gives the connection to the
/// pool; dropped before, it closes it.
///
/// The exchange is gone when the body is over. Boxed: a response is moved through several futures on its way.
#[derive(Debug)]
pub struct ResponseBody<T, B>(Option<Box<Exchange<T, B>>>);

impl<T, B> ResponseBody<T, B>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body<Data = Bytes> + Unpin,
{
    /// The connection after a `101`, which is no HTTP any more.
    pub fn into_upgraded(self) -> Option<Upgraded>
    where
        T: Send + 'static,
    {
        self.0.map(|exchange| Upgraded::new(*exchange.wire))
    }

    fn finish_if_done(&mut self) {
        if let Some(exchange) = self.0.take_if(|exchange| exchange.decoder.is_done())
            && exchange.reusable
            && exchange.upload.is_none()
        {
            exchange.pool.put(Connection(exchange.wire));
        }
    }
}

impl<T, B> Body for ResponseBody<T, B>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(exchange) = &mut self.0 else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(Err(_)) = exchange.poll_upload(cx) {
            // The server has stopped to listen, or the client to send; the answer may still be whole.
            exchange.upload = None;
            exchange.reusable = false;
        }
        let Exchange { wire, decoder, .. } = &mut **exchange;
        let frame = ready!(wire.poll_frame(cx, decoder));
        match &frame {
            Some(Err(_)) => self.0 = None,
            _ => self.finish_if_done(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let exchange = self.0.as_ref();
        exchange.is_none_or(|exchange| exchange.decoder.is_done())
    }

    fn size_hint(&self) -> SizeHint {
        let nothing = || SizeHint::with_exact(0);
        let exchange = self.0.as_ref();
        exchange.map_or_else(nothing, |exchange| exchange.decoder.size_hint())
    }
}
