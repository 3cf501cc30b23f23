//! An answer on its way to the client.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};

use super::incoming::Shared;
use crate::http1::coding::{Encoder, Piece, has_body};
use crate::http1::head;
use crate::http1::outgoing::{Outgoing, State};
use crate::message::Response;

/// Writes a response: its head with the first frames of its body, then what comes, as it comes.
pub(super) struct Sending<B> {
    head: Option<Bytes>,
    body: Outgoing<B>,
    persistent: bool,
}

impl<B: Body<Data = Bytes> + Unpin> Sending<B> {
    /// `persistent` says whether the connection could go on after this response.
    pub(super) fn new(
        response: Response<B>,
        method: &Method,
        version: Version,
        persistent: bool,
    ) -> Self {
        let (status, mut fields) = (response.status, response.fields);
        let http11 = version == Version::HTTP_11;
        let encoder =
            has_body(method, status).then(|| Encoder::of(&mut fields, &response.body, http11));
        if encoder.is_none() {
            fields.remove(TRANSFER_ENCODING);
        }
        let persistent = persistent && encoder != Some(Encoder::UntilClose);
        if status != StatusCode::SWITCHING_PROTOCOLS {
            match (persistent, http11) {
                (false, _) => fields.append(CONNECTION, "close"),
                (true, false) => fields.append(CONNECTION, "keep-alive"),
                (true, true) => {}
            }
        }
        let head = head::write_response(status, response.reason.as_ref(), &fields);
        Self {
            head: Some(head),
            body: Outgoing::new(response.body, encoder),
            persistent,
        }
    }

    /// Whether the connection can go on after this response, as HTTP.
    pub(super) const fn persistent(&self) -> bool {
        self.persistent
    }

    /// Resolves when everything has been written. An error is the end of the connection: the client has left, or the body
    /// broke off and everything before that has been written.
    pub(super) fn poll<T>(
        &mut self,
        shared: &Shared<T>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let mut outlet = shared;
        outlet.extend(self.head.take().map(Piece::Bytes));
        loop {
            // The connection is not locked here: the body may have to read from it.
            let waits = self.body.gather(cx, &mut outlet);
            let flushed = shared.poll_flush(cx)?.is_ready();
            match self.body.state() {
                State::Over if flushed => return Poll::Ready(Ok(())),
                State::Broken if flushed => break,
                State::Body if flushed && !waits => {}
                _ => {
                    ready!(shared.poll_departed(cx));
                    break;
                }
            }
        }
        Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
    }
}
