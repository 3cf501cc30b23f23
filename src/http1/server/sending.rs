//! An answer on its way to the client.

use std::io;
use std::task::{Context, Poll, ready};

use http::StatusCode;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use tokio::io::{AsyncRead, AsyncWrite};

use super::incoming::{Asked, SharedConnection};
use crate::http1::coding::{Encoder, has_body, names};
use crate::http1::head;
use crate::http1::outgoing::{Outgoing, OutgoingState};
use crate::http1::output::Output;
use crate::http1::peer::Peer;
use crate::message::{Body, Response};

/// Writes a response: its head with the first frames of its body, then what comes, as it comes.
pub(super) struct Sending<B> {
    body: Outgoing<B>,
    persistent: bool,
}

impl<B: Body> Sending<B> {
    /// Boxed, as it has several futures to leave before it is waited for.
    pub(super) fn new(response: Response<B>, asked: Asked) -> Box<Self> {
        let (status, mut fields) = (response.status, response.fields);
        let encoder = has_body(asked.to_head, status)
            .then(|| Encoder::of(&mut fields, &response.body, asked.http11));
        if encoder.is_none() {
            fields.remove(TRANSFER_ENCODING);
        }
        if status == StatusCode::NO_CONTENT {
            // It may have none (RFC 9110 §8.6).
            fields.remove(CONTENT_LENGTH);
        }
        let says_close = names(&fields, "close");
        let persistent = asked.persistent && !says_close && encoder != Some(Encoder::UntilClose);
        if status != StatusCode::SWITCHING_PROTOCOLS {
            match (persistent, asked.http11) {
                (false, _) if says_close => {}
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
        shared: &SharedConnection<T>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>>
    where
        T: AsyncRead + AsyncWrite + Peer + Unpin,
    {
        loop {
            // The connection is not locked here: the body may have to read from it.
            let waits = self.body.gather(cx);
            let flushed = shared.poll_write(cx, &mut self.body)?.is_ready();
            match self.body.state() {
                OutgoingState::Over if flushed => return Poll::Ready(Ok(())),
                OutgoingState::Broken if flushed => break,
                OutgoingState::Body if flushed && !waits => {}
                _ => {
                    ready!(shared.poll_departed(cx));
                    break;
                }
            }
        }
        Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
    }
}
