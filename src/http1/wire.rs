//! A connection's stream, with what was read of it and not yet used.

use std::cell::RefCell;
use std::future::Future as _;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::coding::Decoder;
use crate::message::{Frame, Polled};

/// Most bytes of one read. One buffer serves all connections of a thread: a connection that waits has none.
const READ_BYTES: usize = 64 << 10;
/// Frames up to this share blocks of the same size: 0.4 allocations for a chunk, each by itself 2.1.
const BLOCK_BYTES: usize = 2 << 10;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
}

/// Both directions of a connection.
#[derive(Debug)]
pub(super) struct Wire<T> {
    io: T,
    read: Read,
}

/// What was read of a connection and not yet used. It is the same for every kind of stream.
#[derive(Debug, Default)]
struct Read {
    /// The start of a head, or what came in one read with the message before it. Mostly empty.
    input: BytesMut,
    /// What is left of the block for small frames.
    block: BytesMut,
}

impl<T> Wire<T> {
    pub(super) fn new(io: T) -> Self {
        Self {
            io,
            read: Read::default(),
        }
    }

    /// The stream, to be written to.
    pub(super) const fn io(&mut self) -> &mut T {
        &mut self.io
    }

    pub(super) const fn input(&mut self) -> &mut BytesMut {
        &mut self.read.input
    }

    /// Lets the memory of a head go that has been taken off the input.
    pub(super) fn release_input(&mut self) {
        self.read.release_input();
    }

    pub(super) fn into_parts(self) -> (T, Bytes) {
        (self.io, self.read.input.freeze())
    }
}

impl<T: AsyncRead + Unpin> Wire<T> {
    /// Reads once into the thread's buffer and shows what came; nothing at the end of the stream.
    fn poll_read<R>(
        &mut self,
        cx: &mut Context<'_>,
        show: impl FnOnce(&mut Read, &mut [u8]) -> R,
    ) -> Poll<io::Result<R>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut read = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut read))?;
            Poll::Ready(Ok(show(&mut self.read, read.filled_mut())))
        })
    }

    /// Reads once and adds to the input. Zero is the end of the stream.
    ///
    /// By itself: whoever waits for a head or looks whether a connection is still open would have all of it in itself.
    #[inline(never)]
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.poll_read(cx, |read, bytes| {
            read.input.extend_from_slice(bytes);
            bytes.len()
        })
    }

    /// The next frame of a body: what one read brought of it. After its end and its trailers, `None`.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        decoder: &mut Decoder,
    ) -> Polled<io::Error> {
        loop {
            if let Some(trailers) = decoder.take_trailers() {
                return Poll::Ready(Some(Ok(Frame::Trailers(trailers))));
            }
            if decoder.is_over() {
                return Poll::Ready(None);
            }
            let data = if self.read.input.is_empty() {
                ready!(self.poll_read(cx, |read, bytes| read.decode(bytes, decoder)))
                    .and_then(|decoded| decoded)
            } else {
                self.read.decode_input(decoder)
            };
            match data {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Poll::Ready(Some(Ok(Frame::Data(data)))),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    /// As [`Self::poll_frame`]. A body whose length is known is read to where it is to stay, as far as there is room.
    pub(super) fn poll_onto(
        &mut self,
        cx: &mut Context<'_>,
        decoder: &mut Decoder,
        gathered: &mut BytesMut,
    ) -> Polled<io::Error> {
        let (from, room) = (gathered.len(), gathered.capacity() - gathered.len());
        let left = decoder.size_hint().exact().unwrap_or(0);
        let most = usize::try_from(left).map_or(room, |left| left.min(room));
        if most == 0 || !self.read.input.is_empty() {
            return self.poll_frame(cx, decoder);
        }
        let mut room = (&mut *gathered).limit(most.min(READ_BYTES));
        ready!(pin!(self.io.read_buf(&mut room)).poll(cx))?;
        match &mut gathered[from..] {
            [] => decoder.close()?,
            came => {
                decoder.decode(came)?;
            }
        }
        Poll::Ready(Some(Ok(Frame::Data(Bytes::new()))))
    }
}

impl Read {
    /// Of what has just been read. The copy is of the size of the frame; a slice would hold the whole buffer.
    fn decode(&mut self, bytes: &mut [u8], decoder: &mut Decoder) -> io::Result<Bytes> {
        if bytes.is_empty() {
            decoder.close()?;
            return Ok(Bytes::new());
        }
        let decoded = decoder.decode(bytes)?;
        self.input.extend_from_slice(&bytes[decoded.used..]);
        Ok(self.copied(&bytes[..decoded.payload]))
    }

    fn copied(&mut self, frame: &[u8]) -> Bytes {
        if frame.len() > BLOCK_BYTES {
            return Bytes::copy_from_slice(frame);
        }
        if self.block.capacity() < frame.len() {
            self.block = BytesMut::with_capacity(BLOCK_BYTES);
        }
        self.block.extend_from_slice(frame);
        self.block.split().freeze()
    }

    /// Of what had been read before.
    fn decode_input(&mut self, decoder: &mut Decoder) -> io::Result<Bytes> {
        let decoded = decoder.decode(&mut self.input)?;
        let data = self.input.split_to(decoded.payload).freeze();
        self.input.advance(decoded.used - decoded.payload);
        self.release_input();
        Ok(data)
    }

    fn release_input(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
    }
}

impl<T: AsyncWrite + Unpin> Wire<T> {
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
