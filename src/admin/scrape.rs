//! The answer to a scrape, sent piece by piece.
//!
//! Megabytes are not copied into one text, and what is compressed goes out while the rest is still to be compressed.

use std::collections::VecDeque;
use std::io;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::vec;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap};
use axum::response::{IntoResponse, Response};
use http_body::{Frame, SizeHint};

use super::AdminState;

/// Most answers that are on their way at once: megabytes each, for as long as their readers take.
const SENDING_MAX: usize = 8;

/// What scrapes share.
#[derive(Debug, Default)]
pub(super) struct Scrapes {
    /// Scrapers take turns, so that however many there are take no more than one core.
    turn: tokio::sync::Mutex<()>,
    /// What is left of the answers on their way, the oldest first.
    sending: Mutex<VecDeque<Weak<Left>>>,
}

impl Scrapes {
    /// An answer begins to be sent. Where there are too many, the oldest is broken off: a scraper that is not stuck was
    /// through with it long ago.
    fn send(&self, pieces: Vec<Vec<u8>>) -> Arc<Left> {
        let left = Arc::new(Left(Mutex::new(Some(pieces.into_iter()))));
        let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        sending.retain(|left| left.strong_count() > 0);
        if sending.len() >= SENDING_MAX
            && let Some(oldest) = sending.pop_front().and_then(|oldest| oldest.upgrade())
        {
            oldest.break_off();
        }
        sending.push_back(Arc::downgrade(&left));
        left
    }
}

/// What is left of an answer; nothing where it has been broken off.
#[derive(Debug)]
struct Left(Mutex<Option<vec::IntoIter<Vec<u8>>>>);

impl Left {
    fn break_off(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The next piece.
    fn next(&self) -> io::Result<Option<Vec<u8>>> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let broken = || io::Error::other("others asked while this answer was not read");
        Ok(left.as_mut().ok_or_else(broken)?.next())
    }
}

/// Rendered on a thread of its own: thousands of series take milliseconds, and the proxy's listener accepts on this one.
pub(super) async fn show(
    State(state): State<AdminState>,
    headers: HeaderMap,
    scrapes: Arc<Scrapes>,
) -> Response {
    let _turn = scrapes.turn.lock().await;
    let render = move || {
        let accept = headers.get(header::ACCEPT);
        (state.metrics)(accept.and_then(|value| value.to_str().ok()))
    };
    match tokio::task::spawn_blocking(render).await {
        Ok(scrape) => {
            let head = [(header::CONTENT_TYPE, scrape.content_type)];
            (head, body(&scrapes, scrape.pieces)).into_response()
        }
        Err(failed) => match failed.try_into_panic() {
            // Logged and answered like any other.
            Ok(panic) => resume_unwind(panic),
            Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response(),
        },
    }
}

/// Pieces as a body of known length.
fn body(scrapes: &Scrapes, pieces: Vec<Vec<u8>>) -> Body {
    let bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
    let left = scrapes.send(pieces);
    Body::new(Pieces { left, bytes })
}

struct Pieces {
    left: Arc<Left>,
    /// Bytes of all that are left.
    bytes: u64,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(piece) = self.left.next().transpose() else {
            return Poll::Ready(None);
        };
        let piece = piece?;
        self.bytes -= piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn the_length_of_what_is_left_is_told() {
        let mut body = body(
            &Scrapes::default(),
            ["a", "", "bc"]
                .map(|piece| piece.as_bytes().to_vec())
                .into(),
        );
        let mut lengths = vec![body.size_hint().exact()];
        while let Some(frame) = body.frame().await {
            frame.unwrap();
            lengths.push(body.size_hint().exact());
        }
        assert_eq!(lengths, [Some(3), Some(2), Some(2), Some(0)]);
        assert!(body.is_end_stream());
    }
}
