//! The request body on its way to the upstream: passed on, shown, counted.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::{Event, Instant, Tap};

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
    B: Body<Data = Bytes> + Unpin,
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

    /// Reads until the body is over or more than `limit` bytes have come. The observer is shown in one frame what the
    /// caller gets, so that a large body is put together once for both (80 µs less for a megabyte).
    ///
    /// # Errors
    /// When the body breaks off.
    pub async fn read_ahead(&mut self, limit: usize) -> Result<Ahead, B::Error> {
        let mut gathered = Gathered::default();
        let mut trailers = None;
        let mut over = self.body.is_end_stream();
        while !over && gathered.len() <= limit {
            // Whoever has something already is about to put it together with more.
            let announced = match gathered.len() {
                0 => 0,
                _ => usize::try_from(self.body.size_hint().lower()).unwrap_or(limit),
            };
            let frame = match poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await {
                None => {
                    over = true;
                    break;
                }
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    self.show(Instant::now(), &gathered.whole());
                    return Err(error);
                }
            };
            match frame.into_data() {
                Ok(bytes) => gathered.push(bytes, announced.min(limit)),
                Err(frame) => trailers = frame.into_trailers().ok().map(Box::new),
            }
            over = self.body.is_end_stream();
        }
        let (at, bytes) = (Instant::now(), gathered.whole());
        if !bytes.is_empty() {
            self.show(at, &bytes);
        }
        if over {
            self.end(at);
        }
        Ok(Ahead {
            bytes,
            trailers,
            over,
        })
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
    pub trailers: Option<Box<HeaderMap>>,
    /// Whether that is all of it.
    pub over: bool,
}

/// Frames put together. A body of one frame, as most are, is not copied.
#[derive(Default)]
struct Gathered {
    first: Bytes,
    all: BytesMut,
}

impl Gathered {
    fn len(&self) -> usize {
        self.first.len() + self.all.len()
    }

    /// Adds a frame of a body of which at least so many bytes, these included, are still to come.
    fn push(&mut self, bytes: Bytes, announced: usize) {
        if self.len() == 0 {
            self.first = bytes;
            return;
        }
        if self.all.is_empty() {
            self.all.reserve(self.first.len() + announced);
            self.all.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.all.extend_from_slice(&bytes);
    }

    fn whole(self) -> Bytes {
        if self.all.is_empty() {
            self.first
        } else {
            self.all.freeze()
        }
    }
}

impl<B> Body for RequestTee<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            return Poll::Pending;
        };
        let at = Instant::now();
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            this.show(at, bytes);
        }
        // The caller may not poll again after the last frame, so the end is looked for here.
        let failed = matches!(&frame, Some(Err(_)));
        if !failed && (frame.is_none() || this.body.is_end_stream()) {
            this.end(at);
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
