//! The body of a request on its way into a stream.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;

use super::super::BoxError;
use super::pool::{Slot, Upload};
use crate::message::{Body, Frame};

/// Bodies up to this size are expected to pass at once: a quarter of what an upstream takes at least before it reads.
const SMALL_BODY_BYTES: u64 = 16 << 10;

/// How much a request sends after its head.
pub(in super::super) fn upload_of<B: Body>(body: &B) -> Upload {
    match body.size_hint().exact() {
        _ if body.is_end_stream() => Upload::None,
        Some(..=SMALL_BODY_BYTES) => Upload::Small,
        _ => Upload::Large,
    }
}

/// Reads a body, and sends of it what the upstream takes.
#[derive(Debug)]
pub(super) struct Sending<B> {
    body: B,
    /// All of it is little.
    is_small: bool,
    /// Read, and not yet taken.
    piece: Bytes,
    /// So much has been taken.
    taken: u64,
    /// Until the body has been sent.
    stream: Option<SendStream<Bytes>>,
}

/// Why a body is not sent to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It broke off.
    Broken,
    /// The upstream takes no more of it; it says in its response why.
    Unwanted,
}

impl<B> Sending<B>
where
    B: Body<Error = BoxError>,
{
    /// Into this stream; `None` where the head was all.
    pub(super) fn new(body: B, stream: Option<SendStream<Bytes>>) -> Self {
        Self {
            is_small: upload_of(&body) == Upload::Small,
            body,
            piece: Bytes::new(),
            taken: 0,
            stream,
        }
    }

    pub(super) fn into_body(self) -> B {
        self.body
    }

    /// Whether there is no more to be sent.
    pub(super) const fn is_over(&self) -> bool {
        self.stream.is_none()
    }

    /// How much the upstream has taken, while it has to take more; `None` while the body is waited for.
    pub(super) fn taken(&self) -> Option<u64> {
        (!self.piece.is_empty()).then_some(self.taken)
    }

    /// Resolves when the upstream says that it takes no more, which is otherwise noticed only when there is more.
    pub(super) fn poll_unwanted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.stream {
            Some(stream) => stream.poll_reset(cx).map(drop),
            None => Poll::Ready(()),
        }
    }

    /// Sends what there is to be sent, and says on the slot whether that has to wait for the upstream. A small body that its
    /// client has yet to send is in no small one's way: most clients send it a moment after the head.
    pub(super) fn poll(&mut self, slot: &mut Slot, cx: &mut Context<'_>) -> Result<(), Stopped> {
        match self.poll_send(slot, cx) {
            Poll::Pending => {
                match self.taken() {
                    Some(_) => slot.begin_upload(),
                    None => slot.await_body(),
                }
                Ok(())
            }
            Poll::Ready(sent) => {
                self.stream = None;
                slot.end_upload();
                sent
            }
        }
    }

    fn poll_send(&mut self, slot: &mut Slot, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Ok(()));
        };
        let unwanted = |_| Stopped::Unwanted;
        loop {
            if !self.piece.is_empty() {
                stream.reserve_capacity(self.piece.len());
                let room = match stream.capacity() {
                    // Kept by the connection until its next turn, in which the head goes out.
                    0 if self.is_small && slot.may_send_ahead(self.piece.len()) => self.piece.len(),
                    0 => match ready!(stream.poll_capacity(cx)) {
                        Some(Ok(room)) => room,
                        Some(Err(_)) | None => return Poll::Ready(Err(Stopped::Unwanted)),
                    },
                    room => room,
                };
                let part = self.piece.split_to(room.min(self.piece.len()));
                self.taken += part.len() as u64;
                let is_last = self.piece.is_empty() && self.body.is_end_stream();
                stream.send_data(part, is_last).map_err(unwanted)?;
                if is_last {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            let frame = match self.body.is_end_stream() {
                true => None,
                false => ready!(self.body.poll_frame(cx)),
            };
            match frame {
                Some(Ok(Frame::Data(data))) => self.piece = data,
                Some(Ok(Frame::Trailers(trailers))) => {
                    let sent = stream.send_trailers(trailers.to_map());
                    return Poll::Ready(sent.map_err(unwanted));
                }
                Some(Err(_)) => return Poll::Ready(Err(Stopped::Broken)),
                None => {
                    let sent = stream.send_data(Bytes::new(), true);
                    return Poll::Ready(sent.map_err(unwanted));
                }
            }
        }
    }
}
