//! The request body on its way to the upstream: passed on, shown, counted.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
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

    fn end(&mut self, at: Instant) {
        if !self.ended {
            self.ended = true;
            self.tap.show(Event::RequestEnd(at, self.bytes));
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
            this.bytes += bytes.len() as u64;
            this.tap.show_request(at, bytes);
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
