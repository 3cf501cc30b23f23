//! The request body on its way to the upstream: passed on, shown, counted.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::SizeHint;

use crate::memory::{Memory, Share};
use crate::message::{Body, Fields, Frame, Polled};
use crate::tap::{Event, Instant, Tap};

/// Passes a request body on and shows its frames.
#[derive(Debug)]
pub struct RequestTee<B> {
    body: B,
    tap: Tap,
    bytes: u64,
    ended: bool,
}

impl<B> RequestTee<B>
where
    B: Body,
{
    /// Wraps a request body. A body that is empty from the start has ended here and now.
    pub fn new(body: B, tap: Tap, received: Instant) -> Self {
        let mut tee = Self {
            body,
            tap,
            bytes: 0,
            ended: false,
        };
        if tee.body.is_end_stream() {
            tee.end(received);
        }
        tee
    }

    /// Reads until the body is over, more than `limit` bytes have come, or no more memory may be held. The observer is shown
    /// in one frame what the caller gets, so that a large body is put together once for both (80 µs less for a megabyte),
    /// and held once.
    ///
    /// # Errors
    /// When the body breaks off.
    pub async fn read_ahead(&mut self, limit: usize, memory: &Memory) -> Result<Ahead, B::Error> {
        let mut gathered = Gathered::default();
        let mut held = true;
        let mut trailers = None;
        let mut over = self.body.is_end_stream();
        while !over && gathered.len() <= limit && held {
            let announced = usize::try_from(self.body.size_hint().lower()).unwrap_or(limit);
            if !gathered.expect(announced.min(limit)) {
                // As where no more memory may be held.
                break;
            }
            let frame = match poll_fn(|cx| self.body.poll_onto(cx, &mut gathered.all)).await {
                None => {
                    over = true;
                    break;
                }
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    self.show_gathered(Instant::now(), gathered);
                    return Err(error);
                }
            };
            match frame {
                Frame::Data(bytes) => gathered.push(bytes),
                Frame::Trailers(fields) => trailers = Some(fields),
            }
            over = self.body.is_end_stream();
            // What came in one read is not held: it goes on at once.
            held = over || gathered.hold(memory);
        }
        let at = Instant::now();
        let bytes = self.show_gathered(at, gathered);
        if over {
            self.end(at);
        }
        Ok(Ahead {
            bytes,
            trailers,
            over,
        })
    }

    /// Shows what has been gathered, if anything has, in one piece.
    fn show_gathered(&mut self, at: Instant, gathered: Gathered) -> Bytes {
        let joined = gathered.first.is_empty();
        let bytes = gathered.whole();
        self.bytes += bytes.len() as u64;
        match (bytes.is_empty(), joined) {
            (true, _) => {}
            (false, true) => self.tap.show_held_request(at, &bytes),
            (false, false) => self.tap.show_request(at, &bytes),
        }
        bytes
    }

    fn show(&mut self, at: Instant, bytes: &Bytes) {
        self.bytes += bytes.len() as u64;
        self.tap.show_request(at, bytes);
    }

    fn end(&mut self, at: Instant) {
        if !self.ended {
            self.ended = true;
            self.tap.show(Event::RequestEnd(at, self.bytes));
        }
    }
}

/// What was read of a body before it is passed on.
#[derive(Debug)]
pub struct Ahead {
    /// Its bytes, in one piece.
    pub bytes: Bytes,
    /// Its trailers.
    pub trailers: Option<Box<Fields>>,
    /// Whether that is all of it.
    pub over: bool,
}

/// Frames put together. A body of one frame, as most are, is not copied.
#[derive(Default)]
struct Gathered {
    first: Bytes,
    all: Vec<u8>,
    /// There where it has had to be waited for more.
    share: Option<Share>,
}

impl Gathered {
    /// Counts what has come as held; false where that is too much.
    fn hold(&mut self, memory: &Memory) -> bool {
        let length = self.len();
        let share = self.share.get_or_insert_with(|| memory.share());
        share.grow(length - share.bytes())
    }

    fn len(&self) -> usize {
        self.first.len() + self.all.len()
    }

    /// At least so many bytes are still to come. Behind a first frame they get their room at once; false where there is none:
    /// a client may announce what it likes.
    fn expect(&mut self, announced: usize) -> bool {
        if announced == 0 || self.first.is_empty() {
            return true;
        }
        let room = self.first.len().saturating_add(announced);
        let is_there = self.all.try_reserve_exact(room).is_ok();
        if is_there {
            self.join();
        }
        is_there
    }

    /// Has the first frame where the others come.
    fn join(&mut self) {
        let first = std::mem::take(&mut self.first);
        self.all.extend_from_slice(&first);
    }

    fn push(&mut self, bytes: Bytes) {
        if self.len() == 0 {
            self.first = bytes;
            return;
        }
        if !self.first.is_empty() {
            self.join();
        }
        self.all.extend_from_slice(&bytes);
    }

    fn whole(self) -> Bytes {
        match self.share {
            _ if self.all.is_empty() => self.first,
            Some(share) => share.of(self.all.into()),
            None => self.all.into(),
        }
    }
}

impl<B> Body for RequestTee<B>
where
    B: Body,
{
    type Error = B::Error;

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<B::Error> {
        let Poll::Ready(frame) = self.body.poll_frame(cx) else {
            return Poll::Pending;
        };
        let at = Instant::now();
        if let Some(Ok(Frame::Data(bytes))) = &frame {
            self.show(at, bytes);
        }
        // The caller may not poll again after the last frame, so the end is looked for here.
        let failed = matches!(&frame, Some(Err(_)));
        if !failed && (frame.is_none() || self.body.is_end_stream()) {
            self.end(at);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
