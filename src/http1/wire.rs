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

/// Most bytes of one read.
const READ_BYTES: usize = 64 << 10;
/// Frames up to this share blocks of the same size: 0.4 allocations for a chunk, each by itself 2.1.
const BLOCK_BYTES: usize = 2 << 10;

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers::new());
}

/// What serves all connections of a thread: one that waits has neither.
struct Buffers {
    /// Of one read.
    read: Box<[u8]>,
    /// What is left of the block for small frames.
    block: BytesMut,
}

impl Buffers {
    fn new() -> Self {
        Self {
            read: vec![0; READ_BYTES].into(),
            block: BytesMut::new(),
        }
    }
}

/// Both directions of a connection.
#[derive(Debug)]
pub(super) struct Wire<T> {
    io: T,
    /// What was read and not yet used: the start of a head, or what came in one read with the message before it. Mostly empty.
    input: BytesMut,
}

impl<T> Wire<T> {
    pub(super) fn new(io: T) -> Self {
        Self {
            io,
            input: BytesMut::new(),
        }
    }

    /// The stream, to be written to.
    pub(super) const fn io(&mut self) -> &mut T {
        &mut self.io
    }

    pub(super) const fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Lets the memory of a head go that has been taken off the input.
    pub(super) fn release_input(&mut self) {
        release(&mut self.input);
    }

    pub(super) fn into_parts(self) -> (T, Bytes) {
        (self.io, self.input.freeze())
    }
}

impl<T: AsyncRead + Unpin> Wire<T> {
    /// Reads once into the thread's buffer and shows what came, with the input and the block; nothing at the end of the stream.
    fn poll_read<R>(
        &mut self,
        cx: &mut Context<'_>,
        show: impl FnOnce(&mut BytesMut, &mut [u8], &mut BytesMut) -> R,
    ) -> Poll<io::Result<R>> {
        BUFFERS.with_borrow_mut(|Buffers { read, block }| {
            let mut read = ReadBuf::new(read);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut read))?;
            Poll::Ready(Ok(show(&mut self.input, read.filled_mut(), block)))
        })
    }

    /// Reads once and adds to the input. Zero is the end of the stream.
    ///
    /// By itself: whoever waits for a head or looks whether a connection is still open would have all of it in itself.
    #[inline(never)]
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.poll_read(cx, |input, bytes, _| {
            input.extend_from_slice(bytes);
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
            let data = if self.input.is_empty() {
                ready!(self.poll_read(cx, |input, bytes, block| {
                    decode(bytes, decoder, input, block)
                }))
                .and_then(|decoded| decoded)
            } else {
                decode_input(&mut self.input, decoder)
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
        gathered: &mut Vec<u8>,
    ) -> Polled<io::Error> {
        let (from, room) = (gathered.len(), gathered.capacity() - gathered.len());
        let left = decoder.size_hint().exact().unwrap_or(0);
        let most = usize::try_from(left).map_or(room, |left| left.min(room));
        if most == 0 || !self.input.is_empty() {
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

/// What has just been read. The copy is of the size of the frame; a slice would hold the whole buffer.
fn decode(
    bytes: &mut [u8],
    decoder: &mut Decoder,
    input: &mut BytesMut,
    block: &mut BytesMut,
) -> io::Result<Bytes> {
    if bytes.is_empty() {
        decoder.close()?;
        return Ok(Bytes::new());
    }
    let decoded = decoder.decode(bytes)?;
    input.extend_from_slice(&bytes[decoded.used..]);
    Ok(copied(&bytes[..decoded.payload], block))
}

fn copied(frame: &[u8], block: &mut BytesMut) -> Bytes {
    if frame.len() > BLOCK_BYTES {
        return Bytes::copy_from_slice(frame);
    }
    if block.capacity() < frame.len() {
        *block = BytesMut::with_capacity(BLOCK_BYTES);
    }
    block.extend_from_slice(frame);
    block.split().freeze()
}

/// What had been read before.
fn decode_input(input: &mut BytesMut, decoder: &mut Decoder) -> io::Result<Bytes> {
    let decoded = decoder.decode(input)?;
    let data = input.split_to(decoded.payload).freeze();
    input.advance(decoded.used - decoded.payload);
    release(input);
    Ok(data)
}

/// Lets the memory of an input go that has been used up.
fn release(input: &mut BytesMut) {
    if input.is_empty() {
        *input = BytesMut::new();
    }
}

impl<T: AsyncWrite + Unpin> Wire<T> {
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
