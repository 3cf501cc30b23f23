//! The body of a message, in frames.
//!
//! The crates of `http` have a body too, whose trailers are a map: names in lower case, those of the same name together. Such a
//! body is one of ours, and ours can be handed on as such a one, which costs the trailers their spelling and their order.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::SizeHint;

use super::Fields;

/// A part of a body.
#[derive(Debug, Clone)]
pub enum Frame {
    /// Bytes of it.
    Data(Bytes),
    /// The fields that stand behind it. Boxed: they are rare, and larger.
    Trailers(Box<Fields>),
}

impl Frame {
    /// The bytes, where it is some.
    #[must_use]
    pub const fn data(&self) -> Option<&Bytes> {
        match self {
            Self::Data(data) => Some(data),
            Self::Trailers(_) => None,
        }
    }
}

/// What a body gives when it is asked for more: `None` at its end.
pub type Polled<E> = Poll<Option<Result<Frame, E>>>;

/// A body that is read frame by frame.
pub trait Body {
    /// Why it breaks off.
    type Error;

    /// The next frame; trailers are the last.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<Self::Error>;

    /// The same for whoever puts frames together. Data that can be read straight into the room behind what is gathered is,
    /// and the frame that stands for it is empty.
    fn poll_onto(&mut self, cx: &mut Context<'_>, gathered: &mut Vec<u8>) -> Polled<Self::Error> {
        let _ = gathered;
        self.poll_frame(cx)
    }

    /// Whether no frame is left. One that says no may still have none.
    fn is_end_stream(&self) -> bool;

    /// How many bytes are left.
    fn size_hint(&self) -> SizeHint;

    /// How many bytes have come that nobody has read, as they stand in the connection; 0 where that is not known.
    fn unread(&mut self) -> u64 {
        0
    }
}

impl<B> Body for B
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    type Error = B::Error;

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<B::Error> {
        let frame = ready!(Pin::new(self).poll_frame(cx)).transpose()?;
        let of = |frame: http_body::Frame<Bytes>| match frame.into_data() {
            Ok(data) => Frame::Data(data),
            Err(frame) => {
                let trailers = frame.trailers_ref().map(Fields::from);
                Frame::Trailers(Box::new(trailers.unwrap_or_default()))
            }
        };
        Poll::Ready(frame.map(|frame| Ok(of(frame))))
    }

    fn is_end_stream(&self) -> bool {
        http_body::Body::is_end_stream(self)
    }

    fn size_hint(&self) -> SizeHint {
        http_body::Body::size_hint(self)
    }
}

/// A body as the crates of `http` know it.
#[derive(Debug)]
pub struct HttpBody<B>(pub B);

impl<B: Body + Unpin> http_body::Body for HttpBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, B::Error>>> {
        let frame = ready!(self.0.poll_frame(cx)).transpose()?;
        let made = |frame| match frame {
            Frame::Data(data) => http_body::Frame::data(data),
            Frame::Trailers(trailers) => http_body::Frame::trailers(trailers.to_map()),
        };
        Poll::Ready(frame.map(|frame| Ok(made(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
