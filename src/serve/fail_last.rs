//! Lets a body fail only once everything before its failure has left for the client.
//!
//! HTTP/2 shows a broken body by a reset of its stream (RFC 9113 §8.1). The HTTP library sends that at once and drops what
//! it holds for the socket, up to some hundred kilobytes for a slow client. So a connection counts its flushes, and a
//! body that fails waits for a flush that began after it failed. Connections of HTTP/1.1 are our own and need none of it.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How often a connection has given all it held to its socket.
#[derive(Debug, Default)]
pub(super) struct Flushes {
    count: AtomicU64,
    /// The connection's task. It flushes whenever it is woken.
    connection: OnceLock<Waker>,
    awaited: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Flushes {
    fn count(&self) -> u64 {
        self.count.load(SeqCst)
    }

    fn flushed(&self) {
        self.count.fetch_add(1, SeqCst);
        if self.awaited.swap(false, SeqCst) {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.drain(..).for_each(Waker::wake);
        }
    }

    /// Has the connection flush, and wakes this task when it has.
    fn ask(&self, cx: &Context<'_>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(cx.waker().clone());
        self.awaited.store(true, SeqCst);
        drop(waiting);
        if let Some(connection) = self.connection.get() {
            connection.wake_by_ref();
        }
    }
}

/// A connection's stream that counts its flushes.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    flushes: Arc<Flushes>,
    /// It has been written to.
    written: bool,
}

impl<S> Watched<S> {
    /// Watches a stream.
    pub(super) const fn new(stream: S, flushes: Arc<Flushes>) -> Self {
        Self {
            stream,
            flushes,
            written: false,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.written = true;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    /// The HTTP library asks before the first write how to send frames of data, and then at each write how to write. Told that
    /// several pieces are written at once, it gives each frame from 256 bytes on a write of its own; else it puts together those
    /// of up to 1 KiB that there are, of all streams.
    fn is_write_vectored(&self) -> bool {
        self.written && self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushes.connection.get_or_init(|| cx.waker().clone());
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if let Poll::Ready(Ok(())) = flushed {
            self.flushes.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A body whose failure waits for the flush of what came before it.
#[derive(Debug)]
pub(super) struct FailLast<B: Body> {
    body: B,
    flushes: Arc<Flushes>,
    failure: Option<Failure<B::Error>>,
}

#[derive(Debug)]
struct Failure<E> {
    error: E,
    /// Flushes there have to be.
    due: u64,
    /// Flushes there had been when the last one was asked for.
    asked: Option<u64>,
}

impl<B: Body> FailLast<B> {
    /// Wraps the body of a response that is yet to be handed to the connection.
    pub(super) const fn new(body: B, flushes: Arc<Flushes>) -> Self {
        Self {
            body,
            flushes,
            failure: None,
        }
    }

    fn poll_failure(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(failure) = &mut self.failure else {
            return Poll::Ready(None);
        };
        let count = self.flushes.count();
        if count >= failure.due {
            return Poll::Ready(self.failure.take().map(|failure| Err(failure.error)));
        }
        // Asking again before anything has changed would spin while the client is slow.
        if failure.asked != Some(count) {
            failure.asked = Some(count);
            self.flushes.ask(cx);
        }
        Poll::Pending
    }
}

impl<B> Body for FailLast<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.failure.is_none() {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Err(error))) => {
                    // The connection flushes in another task, so the next flush may have begun before the last frame came.
                    let due = self.flushes.count() + 2;
                    self.failure = Some(Failure {
                        error,
                        due,
                        asked: None,
                    });
                }
                other => return other,
            }
        }
        self.poll_failure(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.failure.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use http_body_util::channel::Channel;
    use http_body_util::{BodyExt as _, Empty, Full};
    use hyper::server::conn::http2;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::io::DuplexStream;
    use tokio::sync::Barrier;
    use tokio::task::JoinSet;

    use super::*;

    /// More than a pipe takes at once, less than the HTTP library holds.
    const BODY: usize = 20_000;

    type Failing = Channel<Bytes, io::Error>;

    /// The client's end of a connection over a narrow pipe, to a server whose every body breaks off after [`BODY`] bytes.
    fn connection() -> DuplexStream {
        let (client, server) = tokio::io::duplex(64);
        tokio::spawn(async move {
            let flushes = Arc::<Flushes>::default();
            let stream = Watched::new(server, Arc::clone(&flushes));
            let service = service_fn(move |_| {
                let flushes = Arc::clone(&flushes);
                async move {
                    let (mut sender, body) = Failing::new(2);
                    sender.send_data(vec![b'x'; BODY].into()).await.unwrap();
                    sender.abort(io::Error::other("it broke"));
                    Ok::<_, io::Error>(Response::new(FailLast::new(body, flushes)))
                }
            });
            let _ = http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        client
    }

    #[tokio::test]
    async fn a_slow_client_of_http2_reads_everything_before_the_failure() {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(connection()))
                .await
                .unwrap();
        tokio::spawn(connection);
        let request = Request::get("http://a/")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let mut body = sender.send_request(request).await.unwrap().into_body();
        let mut seen = 0;
        let failure = loop {
            match body.frame().await {
                Some(Ok(frame)) => seen += frame.into_data().map_or(0, |data| data.len()),
                other => break other,
            }
        };
        assert_eq!(seen, BODY);
        assert!(matches!(failure, Some(Err(_))), "{failure:?}");
    }

    /// Frames of data that are shorter than the library puts together, and longer than it would if it were told that
    /// several pieces are written at once.
    const SHORT: &str = match std::str::from_utf8(&[b'x'; 300]) {
        Ok(short) => short,
        Err(_) => "",
    };

    /// A stream that counts what is written to it at once.
    struct Counted(DuplexStream, Arc<AtomicU64>);

    impl AsyncRead for Counted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for Counted {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            parts: &[io::IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.1.fetch_add(1, SeqCst);
            Pin::new(&mut self.0).poll_write_vectored(cx, parts)
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    #[tokio::test]
    async fn short_frames_of_several_streams_are_one_write() {
        const STREAMS: usize = 8;
        let (client, server) = tokio::io::duplex(1 << 16);
        let writes = Arc::<AtomicU64>::default();
        // As many as had been written when the last request was there.
        let before = Arc::<AtomicU64>::default();
        let (counted, seen) = (Arc::clone(&writes), Arc::clone(&before));
        tokio::spawn(async move {
            let stream = Watched::new(Counted(server, Arc::clone(&counted)), Arc::default());
            let all = Arc::new(Barrier::new(STREAMS));
            let service = service_fn(move |_| {
                let (all, counted, seen) =
                    (Arc::clone(&all), Arc::clone(&counted), Arc::clone(&seen));
                async move {
                    if all.wait().await.is_leader() {
                        seen.store(counted.load(SeqCst), SeqCst);
                    }
                    Ok::<_, io::Error>(Response::new(Full::new(Bytes::from_static(
                        SHORT.as_bytes(),
                    ))))
                }
            });
            let _ = http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client))
                .await
                .unwrap();
        tokio::spawn(connection);
        let mut answers = JoinSet::new();
        for _ in 0..STREAMS {
            let mut sender = sender.clone();
            answers.spawn(async move {
                let request = Request::get("http://a/")
                    .body(Empty::<Bytes>::new())
                    .unwrap();
                let answer = sender.send_request(request).await.unwrap();
                answer.into_body().collect().await.unwrap().to_bytes()
            });
        }
        for answer in answers.join_all().await {
            assert_eq!(answer, SHORT);
        }
        assert_eq!(writes.load(SeqCst) - before.load(SeqCst), 1);
    }
}
