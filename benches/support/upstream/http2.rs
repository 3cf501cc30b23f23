//! The same answers by HTTP/2: each block of chunks is a DATA frame.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{self, Receiver};
use tokio_rustls::server::TlsStream;

use super::super::chat::{self, Answer};
use super::super::paced::Paced;
use super::super::pacer::Command;
use super::super::wire::bad;
use super::{Server, asks_usage, work};

/// Streams at once on a connection, as nginx and Envoy in front of a provider allow.
const STREAMS: u32 = 128;
/// Chunks of a paced stream that may wait for the connection's thread.
const WAITING: usize = 16;

/// Serves one connection to its end.
pub(super) async fn serve(stream: TlsStream<TcpStream>, server: Arc<Server>) -> io::Result<()> {
    let block = server.prepared.events.len();
    let answering = service_fn(move |request| answer(request, Arc::clone(&server)));
    Builder::new(TokioExecutor::new())
        .max_concurrent_streams(STREAMS)
        // A stream's next block waits until the last one was written, as it does by HTTP/1.1.
        .max_send_buf_size(block)
        .serve_connection(TokioIo::new(stream), answering)
        .await
        .map_err(io::Error::other)
}

async fn answer(request: Request<Incoming>, server: Arc<Server>) -> io::Result<Response<Content>> {
    let (head, body) = request.into_parts();
    let asked = head.headers.get(chat::WORK_HEADER);
    let answer = work(asked.and_then(|value| value.to_str().ok()))?;
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    server.counts.http2.fetch_add(1, Relaxed);
    let usage = asks_usage(&body);
    let content = match answer {
        Answer::Unary => Content::Whole(Some(Bytes::from_static(chat::COMPLETION.as_bytes()))),
        Answer::Unpaced(chunks) => Content::Unpaced {
            begin: Some(Bytes::from_static(chat::ROLE.as_bytes())),
            block: server.prepared.events.clone(),
            left: usize::try_from(chunks)
                .unwrap_or(usize::MAX)
                .saturating_mul(chat::CHUNK.len()),
            end: Some(chat::end_events(usage).concat().into()),
        },
        Answer::Paced => {
            let (body, chunks) = mpsc::channel(WAITING);
            // The channel is empty.
            drop(body.try_send(Bytes::from_static(chat::ROLE.as_bytes())));
            let stream = Paced::Http2(body);
            server
                .pacer
                .send(Command::Add { stream, usage })
                .map_err(|_| bad("the pacer has ended"))?;
            Content::Paced(chunks)
        }
        Answer::Timed(_) => {
            return Err(bad(
                "streams with a time of their own are not sent by HTTP/2",
            ));
        }
    };
    let media_type = match answer {
        Answer::Unary => "application/json",
        _ => "text/event-stream; charset=utf-8",
    };
    Response::builder()
        .header("content-type", media_type)
        .header("x-request-id", "req_0123456789abcdef")
        .body(content)
        .map_err(io::Error::other)
}

/// The body of an answer.
enum Content {
    /// One JSON object.
    Whole(Option<Bytes>),
    /// Blocks as fast as they are taken; so many bytes are left of them.
    Unpaced {
        begin: Option<Bytes>,
        block: Bytes,
        left: usize,
        end: Option<Bytes>,
    },
    /// What the pacer sends.
    Paced(Receiver<Bytes>),
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let data = match self.get_mut() {
            Self::Whole(whole) => whole.take(),
            Self::Unpaced {
                begin,
                block,
                left,
                end,
            } => begin.take().or_else(|| {
                if *left == 0 {
                    return end.take();
                }
                let now = block.slice(..block.len().min(*left));
                *left -= now.len();
                Some(now)
            }),
            Self::Paced(chunks) => std::task::ready!(chunks.poll_recv(context)),
        };
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_none(),
            Self::Unpaced { end, .. } => end.is_none(),
            Self::Paced(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(Some(whole)) => SizeHint::with_exact(whole.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
