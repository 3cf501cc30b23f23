//! The answer to a scrape, sent piece by piece with rests between.
//!
//! Megabytes in one write would take a core for milliseconds, from the system and from a scraper on the same machine,
//! and chunks that are passed on would wait for it.

use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::vec;

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// Between two pieces.
const REST: Duration = Duration::from_millis(1);

/// A text in pieces, as a body of known length.
pub(super) fn body(pieces: Vec<String>) -> Body {
    let left = pieces.iter().map(|piece| piece.len() as u64).sum();
    Body::new(Pieces {
        pieces: pieces.into_iter(),
        left,
        rest: Box::pin(sleep(Duration::ZERO)),
    })
}

struct Pieces {
    pieces: vec::IntoIter<String>,
    /// Bytes of all that are left.
    left: u64,
    rest: Pin<Box<Sleep>>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        ready!(self.rest.as_mut().poll(context));
        let Some(piece) = self.pieces.next() else {
            return Poll::Ready(None);
        };
        self.left -= piece.len() as u64;
        self.rest.as_mut().reset(Instant::now() + REST);
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rest_comes_between_two_pieces_and_none_before_the_first() {
        let mut body = body(["a", "b", "c"].map(str::to_owned).into());
        let began = Instant::now();
        let mut sent = Vec::new();
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            sent.push((data, began.elapsed().as_nanos() / REST.as_nanos()));
        }
        let expected = [("a", 0), ("b", 1), ("c", 2)];
        assert_eq!(sent, expected.map(|(piece, rests)| (piece.into(), rests)));
    }
}
