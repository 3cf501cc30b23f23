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
use super::head;
use super::outgoing::{Outgoing, State};
use super::output::Output;
use super::pool::Pool;
use super::upgrade::Upgraded;
use super::wire::Wire;
use crate::message::{Fields, Request, Response};

/// A connection between exchanges.
#[derive(Debug)]
pub struct Connection<T>(Wire<T>);

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Connection<T> {
    /// Makes a connection of a stream. Sends nothing yet.
    pub fn new(io: T) -> Self {
        Self(Wire::new(io))
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
        request: Request<B>,
        pool: &Arc<Pool<T>>,
    ) -> impl Future<Output = io::Result<Response<ResponseBody<T, B>>>> + use<T, B>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let Request {
            method,
            uri,
            mut fields,
            body,
            ..
        } = request;
        let encoder = encoder(&mut fields, &body);
        let mut output = Output::new();
        head::write_request(&method, &uri, &fields, output.text());
        // Boxed, and all of the request gone: what waits for the response is moved, and lies in every future around it.
        let mut exchange = Box::new(Exchange {
            wire: self.0,
            upload: Some(Outgoing::new(output, body, Some(encoder))),
            pool: Arc::clone(pool),
            reusable: true,
        });
        async move {
            let (response, version) = poll_fn(|cx| exchange.poll_head(cx)).await?;
            exchange.begin(response, version, method == Method::HEAD)
        }
    }
}

/// How the body of a request is to be framed. One without a body needs no field to say so.
fn encoder(fields: &mut Fields, body: &impl Body) -> Encoder {
    if body.size_hint().exact() == Some(0) && !fields.contains(CONTENT_LENGTH) {
        fields.remove(TRANSFER_ENCODING);
        return Encoder::Length(0);
    }
    Encoder::of(fields, body, true)
}

/// A connection during an exchange.
#[derive(Debug)]
struct Exchange<T, B> {
    wire: Wire<T>,
    /// Until the request has been sent.
    upload: Option<Outgoing<B>>,
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

    /// The head of the response, with the version it came by.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Response<()>, Version)>> {
        // A server may answer and close without having read everything; then its answer counts.
        let failure = match self.poll_upload(cx) {
            Poll::Ready(Err(error)) if self.upload.as_ref().is_some_and(is_broken) => {
                return Poll::Ready(Err(error));
            }
            Poll::Ready(Err(error)) => Some(error),
            _ => None,
        };
        loop {
            if let Some((response, version)) = head::parse_response(self.wire.input())? {
                let status = response.status;
                if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                    return Poll::Ready(Ok((response, version)));
                }
                continue;
            }
            if ready!(self.wire.poll_fill(cx))? == 0 {
                return Poll::Ready(Err(failure.unwrap_or_else(cut)));
            }
        }
    }

    /// The response with the body that is to come.
    fn begin(
        mut self: Box<Self>,
        mut response: Response<()>,
        version: Version,
        to_head: bool,
    ) -> io::Result<Response<ResponseBody<T, B>>> {
        self.wire.release_input();
        let (status, fields) = (response.status, &mut response.fields);
        let framing = Framing::of_response(to_head, status, fields)?;
        if framing == Framing::Chunked {
            // The coding overrides it (RFC 9112 §6.3), and it must not be sent on.
            fields.remove(CONTENT_LENGTH);
        }
        let persistent = match version {
            Version::HTTP_10 => names(fields, "keep-alive"),
            _ => !names(fields, "close"),
        };
        self.reusable = persistent && framing != Framing::UntilClose;
        let mut body = ResponseBody {
            exchange: Some(self),
            decoder: Decoder::new(framing),
        };
        if status != StatusCode::SWITCHING_PROTOCOLS {
            body.finish_if_done();
        }
        Ok(response.map(|()| body))
    }
}

fn is_broken<B: Body<Data = Bytes> + Unpin>(upload: &Outgoing<B>) -> bool {
    upload.state() == State::Broken
}

/// The body of a response, read from its connection as it is asked for. Read to its end it gives the connection to the
/// pool; dropped before, it closes it.
#[derive(Debug)]
pub struct ResponseBody<T, B> {
    /// Gone when the body is over. Boxed: a response is moved through several futures on its way.
    exchange: Option<Box<Exchange<T, B>>>,
    decoder: Decoder,
}

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
        self.exchange.map(|exchange| Upgraded::new(exchange.wire))
    }

    fn finish_if_done(&mut self) {
        if self.decoder.is_done()
            && let Some(exchange) = self.exchange.take()
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
        let this = &mut *self;
        let Some(exchange) = &mut this.exchange else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(Err(_)) = exchange.poll_upload(cx) {
            // The server has stopped to listen, or the client to send; the answer may still be whole.
            exchange.upload = None;
            exchange.reusable = false;
        }
        let frame = ready!(exchange.wire.poll_frame(cx, &mut this.decoder));
        match &frame {
            Some(Err(_)) => this.exchange = None,
            _ => this.finish_if_done(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.exchange.is_none() || self.decoder.is_done()
    }

    fn size_hint(&self) -> SizeHint {
        self.decoder.size_hint()
    }
}
