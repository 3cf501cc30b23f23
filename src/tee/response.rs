//! The response body on its way to the client: shown as it was read, edited where it must be, proven, ended once.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::SizeHint;

use super::left::{DrainLimits, Parting};
use super::proof::Proof;
use crate::message::{Body, Fields, Frame, Polled};
use crate::tap::{Close, Closing, Describe, Fate, Instant, Tap, Verdict};

/// The one edit of a response's bytes, between what is observed and what the client gets.
pub trait Edit: Send + 'static {
    /// Takes the upstream's next bytes and appends what is decided about them, in their order. Bytes it has not decided
    /// about stay with it.
    fn push(&mut self, bytes: Bytes, out: &mut VecDeque<Piece>);

    /// Nothing more comes: decides about what is left. `whole` says that the body has come to its end. May be called again,
    /// with nothing left.
    fn finish(&mut self, whole: bool, out: &mut VecDeque<Piece>);

    /// Takes out of the trailers what is not true of the body that has been handed over.
    fn trailers(&mut self, fields: &mut Fields);

    /// Whether it may take anything out, so that how long the body will be is not known before its end.
    fn shortens(&self) -> bool;

    /// Whether something passed that was to be taken out.
    fn has_left_any(&mut self) -> bool;

    /// Names of what went along with what was taken out.
    fn moved(&mut self) -> Vec<&'static str>;
}

/// Decided bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Go to the client.
    Pass(Bytes),
    /// Are taken out.
    Remove(Bytes),
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
    /// Ends the exchange where the client has left: behind the body, which is dropped before.
    parting: Option<Box<Parting>>,
}

/// What stands between read and hand-over where there is an edit.
#[derive(Debug)]
struct Edited<E> {
    edit: E,
    decided: VecDeque<Piece>,
    trailers: Option<Box<Fields>>,
    read_at: Instant,
    /// Whether the upstream's body is over.
    over: bool,
}

impl<E> Edited<E> {
    /// Whether the body is over, and all of it has been handed over.
    fn is_spent(&self) -> bool {
        self.over && self.decided.is_empty() && self.trailers.is_none()
    }
}

impl<B, E> ResponseTee<B, E>
where
    B: Body<Error: Describe>,
    E: Edit,
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
            parting: None,
        };
        if tee.body.is_end_stream() {
            tee.edit = None;
            tee.close(now, Close::Complete);
        }
        tee
    }

    /// The way without an edit: a frame read is a frame handed over.
    fn poll_plain(&mut self, cx: &mut Context<'_>) -> Polled<B::Error> {
        let frame = ready!(self.body.poll_frame(cx));
        let at = Instant::now();
        let over = match &frame {
            None => Some(Close::Complete),
            Some(Err(error)) => Some(Close::Failed(error.fault())),
            Some(Ok(frame)) => {
                if let Frame::Data(bytes) = frame {
                    self.proof.read(bytes);
                    self.tap.show_response(at, bytes);
                    self.proof.taken(bytes);
                }
                // The caller may not poll again after the last frame, so the end is looked for here.
                self.body.is_end_stream().then_some(Close::Complete)
            }
        };
        if let Some(close) = over {
            self.close(at, close);
        }
        Poll::Ready(frame)
    }

    /// The way through the edit. A failure waits until what came before it has been handed over.
    fn poll_edited(&mut self, cx: &mut Context<'_>) -> Polled<B::Error> {
        loop {
            if let Some(frame) = self.next_decided() {
                // The caller may not poll again after the last frame, so the end is looked for here.
                if self.failure.is_none() && self.edit.as_ref().is_some_and(Edited::is_spent) {
                    self.close(Instant::now(), Close::Complete);
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            if let Some((at, error)) = self.failure.take() {
                self.close(at, Close::Failed(error.fault()));
                return Poll::Ready(Some(Err(error)));
            }
            if self.edit.as_ref().is_none_or(|edited| edited.over) {
                self.close(Instant::now(), Close::Complete);
                return Poll::Ready(None);
            }
            let frame = ready!(self.body.poll_frame(cx));
            self.decide(Instant::now(), frame);
        }
    }

    /// Shows what was read, and has the edit decide about it.
    fn decide(&mut self, at: Instant, frame: Option<Result<Frame, B::Error>>) {
        let Some(edited) = &mut self.edit else { return };
        let mut finish = true;
        match frame {
            None => (edited.read_at, edited.over) = (at, true),
            Some(Err(error)) => self.failure = Some((at, error)),
            Some(Ok(frame)) => {
                (edited.read_at, edited.over) = (at, self.body.is_end_stream());
                match frame {
                    Frame::Data(bytes) => {
                        self.proof.read(&bytes);
                        self.tap.show_response(at, &bytes);
                        edited.edit.push(bytes, &mut edited.decided);
                        finish = edited.over;
                    }
                    Frame::Trailers(mut trailers) => {
                        edited.edit.trailers(&mut trailers);
                        edited.trailers = Some(trailers);
                    }
                }
            }
        }
        if finish {
            let whole = self.failure.is_none();
            edited.edit.finish(whole, &mut edited.decided);
        }
    }

    /// The next frame for the client among what the edit has decided. What is taken out behind it goes with it.
    fn next_decided(&mut self) -> Option<Frame> {
        let edited = self.edit.as_mut()?;
        let mut next = None;
        while let Some(piece) = edited.decided.pop_front() {
            match piece {
                Piece::Remove(bytes) => self.proof.removed(&bytes),
                Piece::Pass(bytes) if next.is_none() => {
                    self.proof.taken(&bytes);
                    self.held += edited.read_at.elapsed();
                    next = Some(Frame::Data(bytes));
                }
                pass @ Piece::Pass(_) => {
                    edited.decided.push_front(pass);
                    break;
                }
            }
        }
        next.or_else(|| edited.trailers.take().map(Frame::Trailers))
    }
}

impl<B: Body, E: Edit> ResponseTee<B, E> {
    /// Ends the exchange, once.
    fn close(&mut self, at: Instant, close: Close) {
        if self.closed {
            return;
        }
        let closing = self.closing(at, close);
        self.tap.close(closing);
    }

    /// What there is to say at the end, which is now.
    fn closing(&mut self, at: Instant, close: Close) -> Closing {
        self.closed = true;
        let (mut has_left_any, mut moved) = (false, Vec::new());
        let left = self.edit.as_mut().map(|edited| {
            edited
                .edit
                .finish(close == Close::Complete, &mut edited.decided);
            has_left_any = edited.edit.has_left_any();
            moved = edited.edit.moved();
            edited.decided.iter()
        });
        let left = left.into_iter().flatten();
        let left = left.map(|(Piece::Pass(bytes) | Piece::Remove(bytes))| &bytes[..]);
        Closing {
            at,
            close,
            status: Some(self.status),
            response_bytes: self.proof.read_bytes(),
            held: self.held,
            verdict: Some(match self.proof.verdict(left) {
                Verdict::Equal if has_left_any => Verdict::Left,
                verdict => verdict,
            }),
            moved,
            aftermath: None,
        }
    }

    /// Bytes of ours go to the client, here.
    pub const fn add(&mut self) {
        self.proof.added();
    }

    /// The client has left, and the answer is to be read on. Says whether there is anything to be read.
    pub fn leave(&mut self) -> bool {
        if self.closed || self.tap.is_cutting_off() {
            return false;
        }
        let closing = self.closing(Instant::now(), Close::Dropped);
        let parting = Parting::reading_on(self.tap.clone(), closing);
        self.parting = Some(Box::new(parting));
        true
    }

    /// Notes that the client has left, where the answer was to be read on and cannot be: the upstream is cancelled.
    pub fn leave_undrained(&mut self) {
        self.let_go(Fate::NotDrained);
    }

    /// Has the exchange end behind the body, where it has not ended.
    fn let_go(&mut self, fate: Fate) {
        if self.closed {
            return;
        }
        let closing = self.closing(Instant::now(), Close::Dropped);
        let unread = self.body.unread();
        let parting = Parting::at_once(self.tap.clone(), closing, fate, unread);
        self.parting = Some(Box::new(parting));
    }

    /// Reads the answer on that a client has left.
    pub async fn read_on(&mut self, limits: DrainLimits) {
        if let Some(parting) = &mut self.parting {
            parting.read_on(&mut self.body, limits).await;
        }
    }
}

impl<B: Body, E: Edit> Drop for ResponseTee<B, E> {
    fn drop(&mut self) {
        self.let_go(Fate::Cancelled);
    }
}

impl<B, E> Body for ResponseTee<B, E>
where
    B: Body<Error: Describe>,
    E: Edit,
{
    type Error = B::Error;

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<B::Error> {
        match self.edit {
            Some(_) => self.poll_edited(cx),
            None => self.poll_plain(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.closed
    }

    fn size_hint(&self) -> SizeHint {
        match &self.edit {
            Some(edited) if edited.edit.shortens() => SizeHint::default(),
            _ => self.body.size_hint(),
        }
    }
}
