//! A body on its way into a connection: what either side sends.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body;

use super::coding::{Encoder, Piece};

/// Takes what is to be written.
pub(super) trait Outlet: Extend<Piece> {
    /// Whether so much waits to be written that no more should be asked for.
    fn is_full(&self) -> bool;
}

/// Reads a body and frames it.
#[derive(Debug)]
pub(super) struct Outgoing<B> {
    body: B,
    /// `None` for a message that has no body, whatever `body` says.
    encoder: Option<Encoder>,
    /// Boxed: they are rare, and as large as the rest.
    trailers: Option<Box<HeaderMap>>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Frames are still to come.
    Body,
    /// All of it has been given to the outlet.
    Over,
    /// The body broke off, or does not keep the length it was to have.
    Broken,
}

impl<B: Body<Data = Bytes> + Unpin> Outgoing<B> {
    pub(super) const fn new(body: B, encoder: Option<Encoder>) -> Self {
        Self {
            body,
            encoder,
            trailers: None,
            state: State::Body,
        }
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    /// Takes what frames there are, as many as are worth a write. Says whether the body has to be waited for.
    pub(super) fn gather(&mut self, cx: &mut Context<'_>, outlet: &mut impl Outlet) -> bool {
        while self.state == State::Body && !outlet.is_full() {
            if self.body.is_end_stream() {
                self.end(outlet);
                break;
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return true,
                Poll::Ready(None) => self.end(outlet),
                Poll::Ready(Some(Err(_))) => self.state = State::Broken,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.data(data, outlet),
                    Err(frame) => self.trailers = frame.into_trailers().ok().map(Box::new),
                },
            }
        }
        false
    }

    fn data(&mut self, data: Bytes, outlet: &mut impl Outlet) {
        if let Some(encoder) = &mut self.encoder
            && encoder.data(data, outlet).is_err()
        {
            self.state = State::Broken;
        }
    }

    fn end(&mut self, outlet: &mut impl Outlet) {
        let ended = match self.encoder {
            Some(encoder) => encoder.end(self.trailers.as_deref(), outlet),
            None => Ok(()),
        };
        self.state = match ended {
            Ok(()) => State::Over,
            Err(_) => State::Broken,
        };
    }
}
