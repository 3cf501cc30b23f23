//! The request body as an upstream gets it.

use std::ops::Range;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::SizeHint;
use tokio::time::Instant;

use super::client::RequestBody;
use super::error::ProxyError;
use super::usage::Splice;
use crate::memory::Memory;
use crate::message::{Body, Fields, Frame, Polled};
use crate::tap::{Event, Tap};
use crate::tee::RequestTee;
use crate::upstream::{self, BoxError};

/// Most bytes that are held of a body that passes unread, for a request that may have to be sent again.
const HELD_BYTES: usize = 64 << 10;

/// The request body that goes upstream. Its first poll is the instant at which a connection took the request.
///
/// It is made where the request comes in, and boxed: nothing of it is moved on its way to the connection.
#[derive(Debug)]
pub struct Outgoing {
    tap: Tap,
    /// Which time it is that the request is sent, from 0.
    attempt: usize,
    sent: bool,
    /// What was read ahead, in one piece.
    ahead: Bytes,
    /// What is to be put into that.
    splice: Option<Splice>,
    /// What of it is not to be sent; behind what is put in.
    left_out: Range<usize>,
    /// How many of the pieces that come of it have gone out.
    pieces_gone: usize,
    /// Trailers, where they were read ahead.
    trailers: Option<Box<Fields>>,
    trailers_gone: bool,
    /// What is still to be read from the client.
    rest: Option<RequestTee<RequestBody>>,
    rest_gone: bool,
    /// What of the rest has gone out, where that is held.
    held: Option<Box<Held>>,
    /// What of the rest is to go out once more, the last frame first.
    again: Vec<Frame>,
    /// There while something is still to be read from the client.
    upload: Option<upstream::Uploading<ProxyError>>,
    /// Whether the client said how long the body is.
    has_length: bool,
}

/// How many pieces a body that was read ahead goes out in at most.
const PIECES: usize = 4;

/// One of them.
enum Piece {
    Read(Range<usize>),
    Put(&'static str),
}

impl Piece {
    fn len(&self) -> usize {
        match self {
            Self::Read(range) => range.len(),
            Self::Put(text) => text.len(),
        }
    }
}

/// What has gone out of a body that passes unread.
#[derive(Debug, Default)]
struct Held {
    frames: Vec<Frame>,
    bytes: usize,
}

impl Outgoing {
    /// The body of a request that came at this time. Nothing is read yet.
    #[must_use]
    pub fn new(body: RequestBody, tap: Tap, received: Instant) -> Box<Self> {
        let body = RequestTee::new(body, tap.clone(), received);
        Box::new(Self {
            tap,
            attempt: 0,
            sent: false,
            ahead: Bytes::new(),
            splice: None,
            left_out: 0..0,
            pieces_gone: 0,
            trailers: None,
            trailers_gone: false,
            has_length: body.size_hint().exact().is_some(),
            rest: Some(body),
            rest_gone: false,
            held: None,
            again: Vec::new(),
            upload: None,
        })
    }

    /// Reads until the body is over, more than `limit` bytes have come, or no more memory may be held.
    ///
    /// # Errors
    /// When the client's body breaks off.
    pub async fn read_ahead(&mut self, limit: usize, memory: &Memory) -> Result<(), BoxError> {
        if let Some(rest) = &mut self.rest {
            let read = rest.read_ahead(limit, memory).await?;
            self.ahead = read.bytes;
            self.trailers = read.trailers;
            if read.over {
                self.rest = None;
            }
        }
        Ok(())
    }

    /// The whole body, where it was read ahead to its end.
    #[must_use]
    pub fn whole(&self) -> Option<&[u8]> {
        self.rest.is_none().then_some(&self.ahead)
    }

    /// Has these bytes put into a body that was read ahead. Nothing is copied.
    pub const fn put_in(&mut self, splice: Splice) {
        self.splice = Some(splice);
    }

    /// Has these bytes of a body that was read ahead not sent. They are behind what is put in.
    pub const fn leave_out(&mut self, bytes: Range<usize>) {
        self.left_out = bytes;
    }

    /// Whether other bytes go out than were read.
    #[must_use]
    pub fn is_edited(&self) -> bool {
        self.splice.is_some() || !self.left_out.is_empty()
    }

    /// The body once more, without what is put in, for a request that may have to be repeated.
    #[must_use]
    pub fn original(&self) -> Box<Self> {
        Box::new(Self {
            tap: self.tap.clone(),
            attempt: self.attempt,
            sent: false,
            ahead: self.ahead.clone(),
            splice: None,
            left_out: self.left_out.clone(),
            pieces_gone: 0,
            trailers: self.trailers.clone(),
            trailers_gone: false,
            rest: None,
            rest_gone: false,
            held: None,
            again: Vec::new(),
            upload: None,
            has_length: self.has_length,
        })
    }

    /// Which time it is that the request is sent, from 0.
    #[must_use]
    pub const fn attempt(&self) -> usize {
        self.attempt
    }

    /// Says which time it is.
    #[must_use]
    pub fn as_attempt(mut self: Box<Self>, attempt: usize) -> Box<Self> {
        self.attempt = attempt;
        self
    }

    /// The body once more from its beginning, to be sent again. `None` where something has gone out that is not held.
    #[must_use]
    pub fn rewind(mut self: Box<Self>) -> Option<Box<Self>> {
        match self.held.take() {
            Some(held) => {
                self.again = held.frames;
                self.again.reverse();
            }
            None if self.rest_gone => return None,
            None => {}
        }
        self.sent = false;
        self.pieces_gone = 0;
        self.trailers_gone = false;
        self.upload = None;
        Some(self)
    }

    /// Shows that the request was sent, once: at this time, or now.
    pub fn show_sent(&mut self, at: Option<Instant>) {
        if !std::mem::replace(&mut self.sent, true) {
            let (at, attempt) = (at.unwrap_or_else(Instant::now), self.attempt);
            self.tap.show(Event::Sent { at, attempt });
        }
    }

    /// How many bytes it has that need not be waited for.
    #[must_use]
    pub fn bytes_ahead(&self) -> usize {
        let pieces = (self.pieces_gone..PIECES).map(|number| self.piece(number).len());
        let read = pieces.sum::<usize>();
        let again = self.again.iter().filter_map(Frame::data);
        read + again.map(Bytes::len).sum::<usize>()
    }

    /// Exact where the client gave a length. What the client sent in chunks goes on in chunks, read ahead or not.
    #[must_use]
    pub fn length(&self) -> SizeHint {
        if !self.has_length {
            return SizeHint::default();
        }
        let rest = self
            .rest
            .as_ref()
            .map_or(0, |rest| rest.size_hint().lower());
        SizeHint::with_exact(self.bytes_ahead() as u64 + rest)
    }

    /// Tells when the client's part is over, where that is still to come.
    pub fn upload(&mut self) -> Option<upstream::Upload<ProxyError>> {
        self.rest.as_ref().filter(|rest| !rest.is_end_stream())?;
        let (uploading, upload) = upstream::upload();
        self.upload = Some(uploading);
        Some(upload)
    }

    /// A piece of what was read ahead and put in, by its number: before what is put in, that, up to what is left out, and
    /// what comes behind.
    fn piece(&self, number: usize) -> Piece {
        let (at, text) = self
            .splice
            .map_or((0, ""), |splice| (splice.at, splice.text));
        match number {
            0 => Piece::Read(0..at),
            1 => Piece::Put(text),
            2 => Piece::Read(at..self.left_out.start.max(at)),
            _ => Piece::Read(self.left_out.end.max(at)..self.ahead.len()),
        }
    }

    /// The next of them that is not empty.
    fn next_ahead(&mut self) -> Option<Bytes> {
        while self.pieces_gone < PIECES {
            let piece = self.piece(self.pieces_gone);
            self.pieces_gone += 1;
            match piece {
                Piece::Read(range) if !range.is_empty() => return Some(self.ahead.slice(range)),
                Piece::Put(text) if !text.is_empty() => {
                    return Some(Bytes::from_static(text.as_bytes()));
                }
                Piece::Read(_) | Piece::Put(_) => {}
            }
        }
        None
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Polled<BoxError> {
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(None);
        };
        let frame = rest.poll_frame(cx);
        match &frame {
            Poll::Ready(Some(Err(error))) => {
                // What broke off is not sent again.
                (self.rest_gone, self.held) = (true, None);
                if let Some(upload) = self.upload.take() {
                    upload.break_off(ProxyError::of_request_body(&**error));
                }
            }
            Poll::Ready(None) => self.upload = None,
            Poll::Ready(Some(Ok(frame))) => {
                self.rest_gone = true;
                self.held.take_if(|held| !held.holds(frame));
                // The connection may not poll again after the last frame.
                if rest.is_end_stream() {
                    self.upload = None;
                }
            }
            Poll::Pending => {}
        }
        frame
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Polled<BoxError> {
        if let Some(bytes) = self.next_ahead() {
            return Poll::Ready(Some(Ok(Frame::Data(bytes))));
        }
        if let Some(trailers) = &self.trailers
            && !self.trailers_gone
        {
            let trailers = Frame::Trailers(trailers.clone());
            self.trailers_gone = true;
            return Poll::Ready(Some(Ok(trailers)));
        }
        if let Some(frame) = self.again.pop() {
            return Poll::Ready(Some(Ok(frame)));
        }
        self.poll_rest(cx)
    }
}

impl Held {
    /// Holds a frame. Says whether that is not too much.
    fn holds(&mut self, frame: &Frame) -> bool {
        self.bytes += frame.data().map_or(0, Bytes::len);
        self.frames.push(frame.clone());
        self.bytes <= HELD_BYTES
    }
}

impl upstream::Sendable for Box<Outgoing> {
    fn keep(&mut self) {
        if self.rest.as_ref().is_some_and(|rest| !rest.is_end_stream()) {
            self.held = Some(Box::default());
        }
    }

    fn waited(&mut self, time: Duration) {
        let attempt = self.attempt;
        self.tap.show(Event::Waited { time, attempt });
    }
}

impl Body for Box<Outgoing> {
    type Error = BoxError;

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<BoxError> {
        self.show_sent(None);
        let frame = self.poll_next(cx);
        if let Some(upload) = &self.upload {
            upload.asked(frame.is_pending());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.bytes_ahead() == 0
            && self.again.is_empty()
            && (self.trailers.is_none() || self.trailers_gone)
            && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.length()
    }
}
