//! One side of a connection that has changed its protocol: passed on, shown, counted.
//!
//! What one side sends is what is read of it, so the reading half is watched. What the bytes are is for the observer to know;
//! it is shown a copy, and only where it asked for one.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tap::{Event, Instant, Side, Tap};

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

    fn show(&mut self, bytes: &[u8]) {
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
                read => self.show(read),
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;
    use crate::memory::Memory;
    use crate::tap::{Closing, Observer, Taps};

    /// What an observer was shown, a line an event.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<String>>>);

    struct Recorder {
        seen: Seen,
        wants: bool,
    }

    impl Observer for Recorder {
        fn observe(&mut self, event: Event) {
            let line = match event {
                Event::TunnelFrame(side, _, bytes) => {
                    format!("{side:?}: {}", String::from_utf8_lossy(&bytes))
                }
                Event::TunnelEnd(side, _, bytes) => format!("{side:?} ends after {bytes}"),
                other => format!("{other:?}"),
            };
            self.seen.0.lock().unwrap().push(line);
        }

        fn wants_tunnel(&self) -> bool {
            self.wants
        }

        fn close(self: Box<Self>, _: Closing) {}
    }

    impl Seen {
        /// Waits for what is handed over, and nothing else.
        async fn until(&self, expected: &[&str]) {
            while *self.0.lock().unwrap() != expected {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        }
    }

    fn tunnel(wants: bool) -> (DuplexStream, TunnelTee<DuplexStream>, Tap, Seen) {
        let seen = Seen::default();
        let observer = Recorder {
            seen: seen.clone(),
            wants,
        };
        let tap = Taps::new(1 << 20, Memory::default()).open(Box::new(observer));
        let (peer, io) = duplex(64);
        (
            peer,
            TunnelTee::new(io, Side::Client, tap.clone()),
            tap,
            seen,
        )
    }

    #[tokio::test]
    async fn what_a_side_sends_is_handed_over_when_it_falls_silent() {
        let (mut peer, mut tee, tap, seen) = tunnel(true);
        peer.write_all(b"hello").await.unwrap();
        let mut read = [0; 5];
        tee.read_exact(&mut read).await.unwrap();
        let silent = tokio::time::timeout(std::time::Duration::ZERO, tee.read_u8()).await;
        assert!(silent.is_err());
        seen.until(&["Client: hello"]).await;
        tee.write_all(b"what it is sent is not its own")
            .await
            .unwrap();
        drop(peer);
        assert_eq!(tee.read(&mut read).await.unwrap(), 0);
        drop(tee);
        tap.hand_over();
        seen.until(&["Client: hello", "Client ends after 5"]).await;
    }

    #[tokio::test]
    async fn where_nobody_wants_to_see_it_is_only_counted() {
        let (mut peer, mut tee, tap, seen) = tunnel(false);
        peer.write_all(b"hello").await.unwrap();
        tee.read_exact(&mut [0; 5]).await.unwrap();
        drop(tee);
        tap.hand_over();
        seen.until(&["Client ends after 5"]).await;
    }

    #[tokio::test]
    async fn a_side_that_cannot_be_written_to_is_over() {
        let (peer, mut tee, tap, seen) = tunnel(true);
        drop(peer);
        assert!(tee.write_all(b"into the void").await.is_err());
        tap.hand_over();
        seen.until(&["Client ends after 0"]).await;
    }
}
