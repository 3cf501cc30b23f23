//! A body that is played frame by frame, from another thread than the one that reads it.
//!
//! That of `http_body_util::channel` looks for a frame and then for its sender, and is over where a last frame and the sender's
//! end both come in between.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc;

/// What sends it. Dropped, the body is over.
pub(super) type Sender = mpsc::Sender<io::Result<Frame<Bytes>>>;

/// The body itself.
pub(super) struct Played(mpsc::Receiver<io::Result<Frame<Bytes>>>);

/// Both ends. So many frames may wait.
pub(super) fn played(frames: usize) -> (Sender, Played) {
    let (sender, receiver) = mpsc::channel(frames);
    (sender, Played(receiver))
}

impl Body for Played {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx)
    }
}
