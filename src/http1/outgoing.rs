//! A body on its way into a connection: what either side sends.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use super::coding::Encoder;
use super::output::Output;
use crate::message::{Body, Fields, Frame};

/// Reads a body, frames it, and writes it.
#[derive(Debug)]
pub(super) struct Outgoing<B> {
    body: B,
    /// `None` for a message that has no body, whatever `body` says.
    encoder: Option<Encoder>,
    /// Boxed: they are rare, and as large as the rest.
    trailers: Option<Box<Fields>>,
    state: OutgoingState,
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutgoingState {
    /// Frames are still to come.
    Body,
    /// There are none left, though some may still have to be written.
    Over,
    /// The body broke off, or does not keep the length it was to have.
    Broken,
}

impl<B: Body> Outgoing<B> {
    /// What goes out before the body is in `output`.
    pub(super) const fn new(output: Output, body: B, encoder: Option<Encoder>) -> Self {
        Self {
            output,
            body,
            encoder,
            trailers: None,
            state: OutgoingState::Body,
        }
    }

    pub(super) const fn state(&self) -> OutgoingState {
        self.state
    }

    /// The body, whatever is left of it.
    pub(super) fn into_body(self) -> B {
        self.body
    }

    /// Takes what frames there are, as many as are worth a write. Says whether the body has to be waited for.
    pub(super) fn gather(&mut self, cx: &mut Context<'_>) -> bool {
        while self.state == OutgoingState::Body && !self.output.is_full() {
            if self.body.is_end_stream() {
                self.end();
                break;
            }
            match self.body.poll_frame(cx) {
                Poll::Pending => return true,
                Poll::Ready(None) => self.end(),
                Poll::Ready(Some(Err(_))) => self.state = OutgoingState::Broken,
                Poll::Ready(Some(Ok(Frame::Data(data)))) => self.data(data),
                Poll::Ready(Some(Ok(Frame::Trailers(trailers)))) => self.trailers = Some(trailers),
            }
        }
        false
    }

    /// Writes what has been gathered, all of it.
    pub(super) fn poll_write<T: AsyncWrite + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.output.poll_write(io, cx)
    }

    /// How much has been written, while there is more to be written; `None` while the body is waited for.
    pub(super) fn taken(&self) -> Option<u64> {
        self.output.taken()
    }

    fn data(&mut self, data: Bytes) {
        if let Some(encoder) = &mut self.encoder
            && encoder.data(data, &mut self.output).is_err()
        {
            self.state = OutgoingState::Broken;
        }
    }

    fn end(&mut self) {
        let ended = match self.encoder {
            Some(encoder) => encoder.end(self.trailers.as_deref(), &mut self.output),
            None => Ok(()),
        };
        self.state = match ended {
            Ok(()) => OutgoingState::Over,
            Err(_) => OutgoingState::Broken,
        };
    }
}
