//! The response body as the client gets it.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::SizeHint;

use super::headers;
use super::request_body::Outgoing;
use super::reread::Reread;
use super::usage::Editor;
use crate::message::{Body, Frame, Polled};
use crate::tee::ResponseTee;
use crate::upstream::{BodyError, ResponseBody};

/// The body of an answer.
pub enum ClientBody {
    /// The upstream's. Boxed: an answer is moved several times before its body is.
    Upstream(Box<ResponseTee<Reread<ResponseBody<Box<Outgoing>>>, Editor>>),
    /// Our own, until it has been handed over.
    Own(Option<Bytes>),
}

impl From<Bytes> for ClientBody {
    fn from(own: Bytes) -> Self {
        Self::Own(Some(own).filter(|own| !own.is_empty()))
    }
}

impl Body for ClientBody {
    type Error = BodyError;

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<BodyError> {
        match self {
            Self::Upstream(body) => {
                let frame = ready!(body.poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map(headers::crossing)))
            }
            Self::Own(own) => Poll::Ready(own.take().map(|own| Ok(Frame::Data(own)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Upstream(body) => body.is_end_stream(),
            Self::Own(own) => own.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Upstream(body) => body.size_hint(),
            Self::Own(own) => SizeHint::with_exact(own.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}
