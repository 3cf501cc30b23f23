//! What is still to be written to a connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWrite;

/// Bytes to be written that are worth a write.
const WRITE_BYTES: usize = 64 << 10;
/// Up to so many bytes are put together for a write, as the system takes one piece in less time than several.
const TOGETHER_BYTES: usize = 4 << 10;
/// Pieces of one write: as many as stay where they lie, the texts between them, and the last text.
const WRITE_PIECES: usize = 2 * LONG_MAX + 1;
const LONG_MAX: usize = 15;
/// A text's memory up to this size is kept for the next write: that of a chunk, so that a stream costs no allocation for
/// each. Larger memory is let go, so that a connection that waits has none.
const KEPT_BYTES: usize = 512;

/// Bytes in the order they are to be written in.
#[derive(Debug)]
pub(super) struct Output {
    /// What is short, put together.
    text: Vec<u8>,
    /// So much of the text has been written.
    written: usize,
    /// So much has been written in all.
    taken: u64,
    /// What is long and stays where it lies, each with the length of the text before it. A few at most.
    long: Vec<(usize, Bytes)>,
}

impl Output {
    /// With room for a head and as much of its body as goes out with it.
    pub(super) fn new() -> Self {
        Self {
            text: Vec::with_capacity(TOGETHER_BYTES),
            written: 0,
            taken: 0,
            long: Vec::new(),
        }
    }

    /// Whether so much waits to be written that no more should be asked for.
    pub(super) fn is_full(&self) -> bool {
        let long: usize = self.long.iter().map(|(_, long)| long.len()).sum();
        self.text.len() + long >= WRITE_BYTES || self.long.len() >= LONG_MAX
    }

    /// How much has been written in all, where something waits to be written.
    pub(super) fn taken(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.taken)
    }

    fn is_empty(&self) -> bool {
        self.written == self.text.len() && self.long.is_empty()
    }

    /// Where what is short is written to.
    pub(super) const fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// Adds a part of a body with what frames it.
    pub(super) fn push(&mut self, before: &[u8], part: Bytes, after: &[u8]) {
        let length = before.len() + part.len() + after.len();
        if self.text.len() + length <= TOGETHER_BYTES {
            self.text.reserve(length);
            self.text.extend_from_slice(before);
            self.text.extend_from_slice(&part);
        } else {
            self.text.extend_from_slice(before);
            self.long.push((self.text.len(), part));
        }
        self.text.extend_from_slice(after);
    }

    /// Writes all there is.
    pub(super) fn poll_write<T>(&mut self, io: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        T: AsyncWrite + Unpin,
    {
        while !self.is_empty() {
            let io = Pin::new(&mut *io);
            let written = if self.long.is_empty() {
                ready!(io.poll_write(cx, &self.text[self.written..]))?
            } else {
                ready!(self.poll_write_pieces(io, cx))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.take_off(written);
        }
        Pin::new(io).poll_flush(cx)
    }

    fn poll_write_pieces<T: AsyncWrite>(
        &self,
        io: Pin<&mut T>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); WRITE_PIECES];
        let (mut from, mut last) = (self.written, 0);
        for (at, long) in self.long.iter().take(LONG_MAX) {
            slices[last] = IoSlice::new(&self.text[from..*at]);
            slices[last + 1] = IoSlice::new(long);
            (from, last) = (*at, last + 2);
        }
        let next = self.long.get(LONG_MAX);
        let end = next.map_or(self.text.len(), |(at, _)| *at);
        slices[last] = IoSlice::new(&self.text[from..end]);
        io.poll_write_vectored(cx, &slices[..=last])
    }

    /// Takes off what has been written.
    fn take_off(&mut self, mut written: usize) {
        self.taken += written as u64;
        while let Some((at, long)) = self.long.first_mut() {
            let before = *at - self.written;
            if written < before {
                break;
            }
            written -= before;
            self.written = *at;
            if written < long.len() {
                long.advance(written);
                return;
            }
            written -= long.len();
            self.long.remove(0);
        }
        self.written += written;
        if self.is_empty() {
            self.written = 0;
            self.text.clear();
            if self.text.capacity() > KEPT_BYTES {
                self.text = Vec::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Takes so many bytes with each write.
    struct Slow(usize, Vec<u8>);

    impl AsyncWrite for Slow {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let before = self.1.len();
            let most = self.0;
            let bytes = slices.iter().flat_map(|slice| slice.iter()).take(most);
            self.1.extend(bytes);
            Poll::Ready(Ok(self.1.len() - before))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn bytes_are_written_in_their_order_however_many_a_write_takes() {
        let lengths = [10, 5_000, 1, 4_000, 9_000, 3, 70_000];
        for most in [1, 7, 4_096, 5_003, 1 << 20] {
            let (mut output, mut expected) = (Output::new(), Vec::new());
            for (at, length) in lengths.into_iter().chain([6_000; 20]).enumerate() {
                let part = vec![b'a' + at as u8; length];
                output.push(b"<", part.clone().into(), b">");
                expected.extend([&b"<"[..], &part, b">"].concat());
            }
            let mut slow = Slow(most, Vec::new());
            let mut cx = Context::from_waker(Waker::noop());
            assert!(output.poll_write(&mut slow, &mut cx).is_ready());
            assert!(output.is_empty() && slow.1 == expected, "{most}");
        }
    }

    #[test]
    fn no_more_is_asked_for_where_much_waits() {
        let mut output = Output::new();
        assert!(!output.is_full());
        output.push(b"", vec![0; WRITE_BYTES].into(), b"");
        assert!(output.is_full());
    }

    #[test]
    fn memory_beyond_a_chunk_is_let_go() {
        let mut output = Output::new();
        let mut cx = Context::from_waker(Waker::noop());
        for (length, kept) in [(3_000, false), (300, true), (300, true), (3_000, false)] {
            output.push(b"", vec![0; length].into(), b"");
            assert!(output.poll_write(&mut Vec::new(), &mut cx).is_ready());
            assert_eq!(output.text.capacity() > 0, kept);
        }
    }
}
