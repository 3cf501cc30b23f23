//! An answer on its way to the client.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};

use super::incoming::Shared;
use crate::http1::coding::{Encoder, has_body};
use crate::http1::head;
use crate::http1::outgoing::{Outgoing, State};
use crate::http1::output::Output;
use crate::message::Response;

/// What of a request decides about how it is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) to_head: bool,
    pub(super) http11: bool,
    /// Whether the connection could go on after the answer.
    pub(super) persistent: bool,
}

/// Writes a response: its head with the first frames of its body, then what comes, as it comes.
pub(super) struct Sending<B> {
    body: Outgoing<B>,
    persistent: bool,
}

impl<B: Body<Data = Bytes> + Unpin> Sending<B> {
    /// Boxed, as it has several futures to leave before it is waited for.
    pub(super) fn new(response: Response<B>, asked: Asked) -> Box<Self> {
        let (status, mut fields) = (response.status, response.fields);
        let encoder = has_body(asked.to_head, status)
            .then(|| Encoder::of(&mut fields, &response.body, asked.http11));
        if encoder.is_none() {
            fields.remove(TRANSFER_ENCODING);
        }
        let persistent = asked.persistent && encoder != Some(Encoder::UntilClose);
        if status != StatusCode::SWITCHING_PROTOCOLS {
            match (persistent, asked.http11) {
                (false, _) => fields.append(CONNECTION, "close"),
                (true, false) => fields.append(CONNECTION, "keep-alive"),
                (true, true) => {}
            }
        }
        let mut output = Output::new();
        head::write_response(status, response.reason.as_ref(), &fields, output.text());
        Box::new(Self {
            body: Outgoing::new(output, response.body, encoder),
            persistent,
        })
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
        loop {
            // The connection is not locked here: the body may have to read from it.
            let waits = self.body.gather(cx);
            let flushed = shared.poll_write(cx, &mut self.body)?.is_ready();
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
