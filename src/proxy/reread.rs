//! A body that was looked into before it is passed on.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::SizeHint;

use crate::message::{Body, Frame, Polled};

/// What was read of a body ahead of those it is meant for. They get it as it was: the same frames, framed the same.
#[derive(Debug)]
pub(super) struct Ahead<E> {
    frames: VecDeque<Result<Frame, E>>,
    bytes: usize,
    /// Whether that is all of it.
    over: bool,
    /// What was said of its length before any of it was read.
    hint: SizeHint,
}

impl<E> Ahead<E> {
    /// Nothing yet of this body.
    pub(super) fn of<B: Body>(body: &B) -> Self {
        Self {
            frames: VecDeque::new(),
            bytes: 0,
            over: body.is_end_stream(),
            hint: body.size_hint(),
        }
    }

    /// Reads until the body is over or more than `limit` bytes have come.
    ///
    /// # Cancel safety
    /// What was read is kept.
    pub(super) async fn read<B>(&mut self, body: &mut B, limit: usize)
    where
        B: Body<Error = E>,
    {
        while !self.over && self.bytes <= limit {
            match poll_fn(|cx| body.poll_frame(cx)).await {
                None => self.over = true,
                Some(frame) => {
                    let data = frame.as_ref().ok().and_then(Frame::data);
                    self.bytes += data.map_or(0, Bytes::len);
                    self.over = frame.is_err() || body.is_end_stream();
                    self.frames.push_back(frame);
                }
            }
        }
    }

    /// The whole body, where it is that and came in good order.
    pub(super) fn whole(&self) -> Option<Vec<u8>> {
        let good = self.over && self.frames.iter().all(Result::is_ok);
        let frames = self.frames.iter().flatten().filter_map(Frame::data);
        good.then(|| frames.flatten().copied().collect())
    }
}

/// A body, and first what was read of it ahead.
#[derive(Debug)]
pub struct Reread<B: Body> {
    ahead: Option<Box<Ahead<B::Error>>>,
    body: B,
}

impl<B: Body> Reread<B> {
    pub(super) const fn new(ahead: Option<Box<Ahead<B::Error>>>, body: B) -> Self {
        Self { ahead, body }
    }
}

impl<B: Body> Body for Reread<B> {
    type Error = B::Error;

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<B::Error> {
        let Some(ahead) = &mut self.ahead else {
            return self.body.poll_frame(cx);
        };
        let next = ahead.frames.pop_front();
        match next {
            None if ahead.over => Poll::Ready(None),
            None => {
                self.ahead = None;
                self.body.poll_frame(cx)
            }
            some => Poll::Ready(some),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.ahead {
            Some(ahead) => ahead.frames.is_empty() && (ahead.over || self.body.is_end_stream()),
            None => self.body.is_end_stream(),
        }
    }

    /// Asked before the first frame; what it said at the beginning holds then.
    fn size_hint(&self) -> SizeHint {
        match &self.ahead {
            Some(ahead) => ahead.hint,
            None => self.body.size_hint(),
        }
    }

    fn unread(&mut self) -> u64 {
        self.body.unread()
    }
}
