//! A scripted upstream that speaks HTTP/1.1 and HTTP/2 in the clear: the test sends the frames of each response. Its
//! status is 200, or what the request asks for by `x-status`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, request};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use super::within;

/// A listener that answers every request with an open stream.
#[derive(Debug)]
pub(crate) struct Origin {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    calls: Mutex<mpsc::UnboundedReceiver<Call>>,
    task: JoinHandle<()>,
}

/// A request, and the response that is open.
#[derive(Debug)]
pub(crate) struct Call {
    /// The request's head.
    pub(crate) head: request::Parts,
    /// Its body.
    pub(crate) body: Bytes,
    frames: mpsc::UnboundedSender<Frame<Bytes>>,
}

impl Call {
    /// Sends a frame of data.
    pub(crate) fn send(&self, data: &str) {
        let data = Bytes::copy_from_slice(data.as_bytes());
        self.frames.send(Frame::data(data)).unwrap();
    }

    /// Ends the response with a trailer, `x-sum`, which the head has announced.
    pub(crate) fn end(self, sum: &str) {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", sum.parse().unwrap());
        self.frames.send(Frame::trailers(trailers)).unwrap();
    }
}

impl Origin {
    /// Listens on a free port of the loopback interface.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, calls) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let sender = sender.clone();
                let service = service_fn(move |request| respond(request, sender.clone()));
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    // A client that goes away is no failure.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self {
            address,
            calls: Mutex::new(calls),
            task,
        }
    }

    /// The next request.
    pub(crate) async fn call(&self) -> Call {
        let mut calls = self.calls.lock().await;
        within("a request", calls.recv()).await.unwrap()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn respond(
    request: Request<Incoming>,
    calls: mpsc::UnboundedSender<Call>,
) -> Result<Response<Frames>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let (frames, receiver) = mpsc::unbounded_channel();
    let status = head.headers.get("x-status");
    let status = status.map_or("200", |status| status.to_str().unwrap());
    let response = Response::builder()
        .status(status)
        .header("content-type", "text/event-stream")
        .header("trailer", "x-sum")
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2");
    calls.send(Call { head, body, frames }).unwrap();
    Ok(response.body(Frames(receiver)).unwrap())
}

/// A body of the frames that the test sends.
struct Frames(mpsc::UnboundedReceiver<Frame<Bytes>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}
