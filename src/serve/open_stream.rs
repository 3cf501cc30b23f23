//! A request of an HTTP/2 connection, which is in use for as long.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};

use crate::http1::Occupancy;

/// From its request to the end of its response.
#[derive(Debug)]
pub(super) struct OpenStream(Arc<Occupancy>);

impl OpenStream {
    pub(super) fn begin(connection: &Arc<Occupancy>) -> Self {
        // Of one that has been dismissed the client has been told, or will be, which requests are still answered.
        connection.enter();
        Self(Arc::clone(connection))
    }

    /// It lasts until this body is dropped.
    pub(super) const fn with<B>(self, body: B) -> OpenBody<B> {
        OpenBody {
            body,
            _stream: self,
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// The body of a response, and its stream.
#[derive(Debug)]
pub(super) struct OpenBody<B> {
    body: B,
    _stream: OpenStream,
}

impl<B: Body + Unpin> Body for OpenBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
