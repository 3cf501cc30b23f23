//! A connection's stream, with what was read of it and not yet used, and what is still to be written.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::coding::{Decoder, Piece};
use super::outgoing::Outlet;

/// Most bytes of one read. One buffer serves all connections of a thread: a connection that waits has none.
const READ_BYTES: usize = 64 << 10;
/// Bytes to be written that are worth a write.
const WRITE_BYTES: usize = 64 << 10;
/// Up to so many bytes are put together for a write, as the system takes one piece in less time than several.
const TOGETHER_BYTES: usize = 4 << 10;
/// Pieces of one write.
const WRITE_PIECES: usize = 32;

/// Frames up to this share blocks of the same size: 0.4 allocations for a chunk, each by itself 2.1.
const BLOCK_BYTES: usize = 2 << 10;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
}

/// Both directions of a connection.
#[derive(Debug)]
pub(super) struct Wire<T> {
    io: T,
    /// Read ahead: the start of a head, or what came in one read with the message before it. Mostly empty.
    input: BytesMut,
    /// What is left of the block for small frames.
    block: BytesMut,
    output: VecDeque<Piece>,
    output_bytes: usize,
}

impl<T> Wire<T> {
    pub(super) fn new(io: T) -> Self {
        Self {
            io,
            input: BytesMut::new(),
            block: BytesMut::new(),
            output: VecDeque::new(),
            output_bytes: 0,
        }
    }

    pub(super) const fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Lets the memory of a head go that has been taken off the input.
    pub(super) fn release_input(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.output.is_empty()
    }

    pub(super) fn into_parts(self) -> (T, Bytes) {
        (self.io, self.input.freeze())
    }
}

impl<T> Extend<Piece> for Wire<T> {
    fn extend<I: IntoIterator<Item = Piece>>(&mut self, pieces: I) {
        for piece in pieces {
            self.output_bytes += piece.as_ref().len();
            self.output.push_back(piece);
        }
    }
}

impl<T> Outlet for Wire<T> {
    fn is_full(&self) -> bool {
        self.output_bytes >= WRITE_BYTES || self.output.len() >= WRITE_PIECES - 3
    }
}

impl<T: AsyncRead + Unpin> Wire<T> {
    /// Reads once into the thread's buffer and shows what came; nothing at the end of the stream.
    fn poll_read<R>(
        &mut self,
        cx: &mut Context<'_>,
        show: impl FnOnce(&mut Self, &mut [u8]) -> R,
    ) -> Poll<io::Result<R>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut read = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut read))?;
            Poll::Ready(Ok(show(self, read.filled_mut())))
        })
    }

    /// Reads once and adds to the input. Zero is the end of the stream.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.poll_read(cx, |wire, bytes| {
            wire.input.extend_from_slice(bytes);
            bytes.len()
        })
    }

    /// The next frame of a body: what one read brought of it. After its end and its trailers, `None`.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        decoder: &mut Decoder,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            if let Some(trailers) = decoder.take_trailers() {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
            if decoder.is_over() {
                return Poll::Ready(None);
            }
            let data = if self.input.is_empty() {
                ready!(self.poll_read(cx, |wire, bytes| wire.decode_read(bytes, decoder)))
                    .and_then(|decoded| decoded)
            } else {
                self.decode_input(decoder)
            };
            match data {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    /// Of what has just been read. The copy is of the size of the frame; a slice would hold the whole buffer.
    fn decode_read(&mut self, bytes: &mut [u8], decoder: &mut Decoder) -> io::Result<Bytes> {
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
}

impl<T: AsyncWrite + Unpin> Wire<T> {
    /// Writes all there is to be written.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let written = if self.output_bytes <= TOGETHER_BYTES {
                ready!(self.poll_write_together(cx))?
            } else {
                ready!(self.poll_write_pieces(cx))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written(written);
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_write_together(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut end = 0;
            for piece in self.output.iter().map(AsRef::as_ref) {
                buffer[end..end + piece.len()].copy_from_slice(piece);
                end += piece.len();
            }
            Pin::new(&mut self.io).poll_write(cx, &buffer[..end])
        })
    }

    fn poll_write_pieces(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); WRITE_PIECES];
        let pieces = self.output.iter().zip(&mut slices).map(|(piece, slice)| {
            *slice = IoSlice::new(piece.as_ref());
        });
        let count = pieces.count();
        Pin::new(&mut self.io).poll_write_vectored(cx, &slices[..count])
    }

    fn written(&mut self, mut bytes: usize) {
        self.output_bytes -= bytes;
        while let Some(mut piece) = self.output.pop_front() {
            let length = piece.as_ref().len();
            if bytes < length {
                piece.advance(bytes);
                self.output.push_front(piece);
                return;
            }
            bytes -= length;
        }
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
