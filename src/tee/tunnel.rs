//! One side of a connection that has changed its protocol: passed on, shown, counted.
//!
//! What one side sends is what is read of it, so the reading half is watched. What the bytes are is for the observer to know;
//! it is shown a copy, and only where it asked for one.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Event, Instant, Side, Tap};

/// Passes on what one side sends and is sent.
#[derive(Debug)]
pub struct TunnelTee<S> {
    io: S,
    side: Side,
    tap: Tap,
    bytes: u64,
    /// Something was shown for which the observer may not have been sent yet.
    shown: bool,
    ended: bool,
}

impl<S> TunnelTee<S> {
    /// Wraps the connection to one side.
    pub fn new(io: S, side: Side, tap: Tap) -> Self {
        Self {
            io,
            side,
            tap,
            bytes: 0,
            shown: false,
            ended: false,
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.shown = true;
        self.tap.show_tunnel(self.side, Instant::now(), bytes);
    }

    /// This side is over: it said so, or it is gone.
    fn end(&mut self) {
        if !self.ended {
            self.ended = true;
            let ended = Event::TunnelEnd(self.side, Instant::now(), self.bytes);
            self.tap.show(ended);
        }
    }

    fn written<T>(&mut self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(polled, Poll::Ready(Err(_))) {
            self.end();
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TunnelTee<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        match &polled {
            // Nothing may come for hours, so the observer gets what there is.
            Poll::Pending if std::mem::take(&mut self.shown) => self.tap.hand_over(),
            Poll::Pending => {}
            Poll::Ready(Ok(())) => match &buffer.filled()[before..] {
                [] if room > 0 => self.end(),
                read => self.read(read),
            },
            Poll::Ready(Err(_)) => self.end(),
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TunnelTee<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.written(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.written(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.written(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_shutdown(cx);
        self.written(polled)
    }
}

impl<S> Drop for TunnelTee<S> {
    fn drop(&mut self) {
        self.end();
    }
}
