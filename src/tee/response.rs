//! The response body on its way to the client: shown as it was read, edited where it must be, proven, ended once.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::proof::Proof;
use super::{Close, Closing, Fault, Instant, Tap};

/// The one edit of a response's bytes, between what is observed and what the client gets.
pub trait Edit: Send + 'static {
    /// Takes the upstream's next bytes and appends what is decided about them, in their order. Bytes it has not decided
    /// about stay with it.
    fn push(&mut self, bytes: Bytes, out: &mut VecDeque<Piece>);

    /// The body is over: decides about what is left.
    fn finish(&mut self, out: &mut VecDeque<Piece>);
}

/// Decided bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Go to the client.
    Pass(Bytes),
    /// Are taken out.
    Remove(Bytes),
}

/// Errors of an upstream's body, as far as the tee cares.
pub trait Describe {
    /// The failure to report.
    fn fault(&self) -> Fault;
}

/// Passes a response body on, shows its frames, and ends the exchange.
///
/// Dropped before its end it closes the exchange as [`Close::Dropped`]: the client went away.
#[derive(Debug)]
pub struct ResponseTee<B: Body, E: Edit> {
    body: B,
    tap: Tap,
    status: StatusCode,
    proof: Proof,
    edit: Option<Edited<E>>,
    /// The upstream's failure, kept until what came before it has been handed over.
    failure: Option<(Instant, B::Error)>,
    held: Duration,
    closed: bool,
}

/// What stands between read and hand-over where there is an edit.
#[derive(Debug)]
struct Edited<E> {
    edit: E,
    decided: VecDeque<Piece>,
    trailers: Option<Box<HeaderMap>>,
    read_at: Instant,
    /// Whether the upstream's body is over.
    over: bool,
}

impl<E: Edit> Edited<E> {
    fn take(&mut self, at: Instant, frame: Option<Frame<Bytes>>, over: bool) {
        self.read_at = at;
        self.over = over;
        match frame.map(Frame::into_data) {
            Some(Ok(bytes)) => self.edit.push(bytes, &mut self.decided),
            Some(Err(frame)) => self.trailers = frame.into_trailers().ok().map(Box::new),
            None => {}
        }
        if over || self.trailers.is_some() {
            self.edit.finish(&mut self.decided);
        }
    }
}

type Polled<B> = Poll<Option<Result<Frame<Bytes>, <B as Body>::Error>>>;

impl<B, E> ResponseTee<B, E>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Describe + Unpin,
    E: Edit + Unpin,
{
    /// Wraps the body of a response with this status. An empty body is complete at once.
    pub fn new(body: B, tap: Tap, status: StatusCode, edit: Option<E>) -> Self {
        let now = Instant::now();
        let mut tee = Self {
            body,
            tap,
            status,
            proof: Proof::default(),
            edit: edit.map(|edit| Edited {
                edit,
                decided: VecDeque::new(),
                trailers: None,
                read_at: now,
                over: false,
            }),
            failure: None,
            held: Duration::ZERO,
            closed: false,
        };
        if tee.body.is_end_stream() {
            tee.edit = None;
            tee.close(now, Close::Complete);
        }
        tee
    }

    /// Reads one frame from the upstream and shows it. Pending also means that the upstream failed: the failure is kept
    /// for [`Self::poll_failure`].
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<(Instant, Option<Frame<Bytes>>)> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            return Poll::Pending;
        };
        let at = Instant::now();
        match frame.transpose() {
            Ok(frame) => {
                if let Some(bytes) = frame.as_ref().and_then(Frame::data_ref) {
                    self.proof.read(bytes);
                    self.tap.show_response(at, bytes);
                }
                Poll::Ready((at, frame))
            }
            Err(error) => {
                if let Some(edited) = &mut self.edit {
                    edited.edit.finish(&mut edited.decided);
                }
                self.failure = Some((at, error));
                Poll::Pending
            }
        }
    }

    /// The way without an edit: a frame read is a frame handed over.
    fn poll_plain(&mut self, cx: &mut Context<'_>) -> Polled<B> {
        let Poll::Ready((at, frame)) = self.poll_read(cx) else {
            return Poll::Pending;
        };
        if let Some(bytes) = frame.as_ref().and_then(Frame::data_ref) {
            self.proof.taken(bytes);
        }
        // The caller may not poll again after the last frame, so the end is looked for here.
        if frame.is_none() || self.body.is_end_stream() {
            self.close(at, Close::Complete);
        }
        Poll::Ready(frame.map(Ok))
    }

    /// The way through the edit.
    fn poll_edited(&mut self, cx: &mut Context<'_>) -> Polled<B> {
        loop {
            if let Some(frame) = self.next_decided() {
                return Poll::Ready(Some(Ok(frame)));
            }
            if self.edit.as_ref().is_none_or(|edited| edited.over) {
                self.close(Instant::now(), Close::Complete);
                return Poll::Ready(None);
            }
            let Poll::Ready((at, frame)) = self.poll_read(cx) else {
                return Poll::Pending;
            };
            let over = frame.is_none() || self.body.is_end_stream();
            if let Some(edited) = &mut self.edit {
                edited.take(at, frame, over);
            }
        }
    }

    /// The next frame for the client among what the edit has decided.
    fn next_decided(&mut self) -> Option<Frame<Bytes>> {
        let edited = self.edit.as_mut()?;
        while let Some(piece) = edited.decided.pop_front() {
            match piece {
                Piece::Remove(bytes) => self.proof.removed(&bytes),
                Piece::Pass(bytes) => {
                    self.proof.taken(&bytes);
                    self.held += edited.read_at.elapsed();
                    return Some(Frame::data(bytes));
                }
            }
        }
        let trailers = edited.trailers.take()?;
        Some(Frame::trailers(*trailers))
    }

    /// After a failure: what the edit still held goes out, then the failure.
    fn poll_failure(&mut self) -> Polled<B> {
        if let Some(frame) = self.next_decided() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let Some((at, error)) = self.failure.take() else {
            return Poll::Ready(None);
        };
        self.close(at, Close::Failed(error.fault()));
        Poll::Ready(Some(Err(error)))
    }
}

impl<B: Body, E: Edit> ResponseTee<B, E> {
    /// Ends the exchange, once.
    fn close(&mut self, at: Instant, close: Close) {
        if self.closed {
            return;
        }
        self.closed = true;
        let proof = std::mem::take(&mut self.proof);
        let response_bytes = proof.read_bytes();
        let mut left = VecDeque::new();
        if let Some(edited) = &mut self.edit {
            left = std::mem::take(&mut edited.decided);
            edited.edit.finish(&mut left);
        }
        let left = left
            .iter()
            .map(|(Piece::Pass(bytes) | Piece::Remove(bytes))| &bytes[..]);
        self.tap.close(Closing {
            at,
            close,
            status: Some(self.status),
            response_bytes,
            held: self.held,
            verdict: Some(proof.verdict(left)),
        });
    }
}

impl<B: Body, E: Edit> Drop for ResponseTee<B, E> {
    fn drop(&mut self) {
        self.close(Instant::now(), Close::Dropped);
    }
}

impl<B, E> Body for ResponseTee<B, E>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Describe + Unpin,
    E: Edit + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<B> {
        if self.failure.is_none() {
            let polled = match self.edit {
                Some(_) => self.poll_edited(cx),
                None => self.poll_plain(cx),
            };
            if polled.is_ready() || self.failure.is_none() {
                return polled;
            }
        }
        self.poll_failure()
    }

    fn is_end_stream(&self) -> bool {
        self.closed
    }

    fn size_hint(&self) -> SizeHint {
        match self.edit {
            // How much an edit takes out is not known before the end.
            Some(_) => SizeHint::default(),
            None => self.body.size_hint(),
        }
    }
}
