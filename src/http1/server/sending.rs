//! An answer on its way to the client.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Response, StatusCode, Version};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};

use super::incoming::Shared;
use crate::http1::coding::{Encoder, Piece, content_length, has_body};
use crate::http1::head::Writer;
use crate::http1::outgoing::{Outgoing, State};

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
        let (parts, body) = response.into_parts();
        let mut head = Writer::response(parts.status, &parts.extensions);
        head.fields(&parts.headers);
        let encoder = has_body(method, parts.status)
            .then(|| encoder(&mut head, &parts.headers, &body, version));
        let persistent = persistent && encoder != Some(Encoder::UntilClose);
        if parts.status != StatusCode::SWITCHING_PROTOCOLS {
            match (persistent, version == Version::HTTP_11) {
                (false, _) => head.field(&CONNECTION, b"close"),
                (true, false) => head.field(&CONNECTION, b"keep-alive"),
                (true, true) => {}
            }
        }
        Self {
            head: Some(head.finish()),
            body: Outgoing::new(body, encoder),
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

/// How the body is to be framed; adds the field that says so, where there is none.
fn encoder<B: Body>(
    head: &mut Writer<'_>,
    headers: &HeaderMap,
    body: &B,
    version: Version,
) -> Encoder {
    if let Ok(Some(length)) = content_length(headers) {
        return Encoder::Length(length);
    }
    if let Some(length) = body.size_hint().exact() {
        head.field(&CONTENT_LENGTH, length.to_string().as_bytes());
        return Encoder::Length(length);
    }
    if version == Version::HTTP_11 {
        head.field(&TRANSFER_ENCODING, b"chunked");
        return Encoder::Chunked;
    }
    Encoder::UntilClose
}
