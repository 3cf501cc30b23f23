#!/usr/bin/env bash
# hyper, HTTP/2: does a body that its sender breaks off read as a broken body?
#
# Guess: yes. RST_STREAM "allows for immediate termination of a stream" (RFC 9113 §6.4), and a body is whole only once its last
# frame has END_STREAM, so the reader gets an error, whatever the reset's code is; all the more where `content-length` announces
# more bytes than came.
#
# Found: not with the code NO_ERROR. The body then ends like a whole one (`None`), as a request read by hyper's server and as a
# response read by hyper's client, even short of its `content-length`. Any other code tried is an error. RFC 9113 §8.1 has a server
# send NO_ERROR after a complete response, to say that it does not need the rest of the request; hyper heeds the code without the
# "after". What is left to tell the two apart is `is_end_stream()`, asked once more after the `None`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"

cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"

[dependencies]
bytes = "=1.12.2"
h2 = "=0.4.20"
http = "=1.5.0"
http-body-util = "=0.1.5"
hyper = { version = "=1.12.0", features = ["client", "http2", "server"] }
hyper-util = { version = "=0.1.21", features = ["tokio"] }
tokio = { version = "=1.54.1", features = ["macros", "net", "rt", "sync"] }
TOML

cat > "$work/src/main.rs" <<'RUST'
use std::{convert::Infallible, sync::{Arc, Mutex}};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::{TcpListener, TcpStream}, sync::{mpsc, oneshot}};

const PART: &[u8] = b"hello";
const ANNOUNCED: &str = "1000";

/// How a body ends after its first part.
#[derive(Clone, Copy, Debug)]
enum End {
    Whole,
    Reset(Reason),
}

impl End {
    /// A whole body announces no other length than it has.
    fn announced(self) -> String {
        match self {
            End::Whole => PART.len().to_string(),
            End::Reset(_) => ANNOUNCED.to_owned(),
        }
    }

    fn send(self, body: &mut SendStream<Bytes>) {
        match self {
            End::Whole => body.send_data(Bytes::new(), true).unwrap(),
            End::Reset(reason) => body.send_reset(reason),
        }
    }
}

/// Reads a body and says how it ended. Says on `begun` that the first frame is there, so that the end comes after it.
async fn read(mut body: Incoming, begun: oneshot::Sender<()>) -> String {
    let mut begun = Some(begun);
    let mut bytes = 0;
    loop {
        match body.frame().await {
            Some(Ok(frame)) => bytes += frame.into_data().unwrap().len(),
            Some(Err(_)) => return format!("{bytes} bytes, then an error"),
            None => return format!("{bytes} bytes, then no more, is_end_stream() is {}", body.is_end_stream()),
        }
        if let Some(begun) = begun.take() {
            begun.send(()).unwrap();
        }
    }
}

/// hyper reads a request; the h2 crate sends its first part and an end.
async fn request(end: End) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (begun, has_begun) = oneshot::channel();
    let begun = Arc::new(Mutex::new(Some(begun)));
    let (tell, mut told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let (tell, begun) = (tell.clone(), begun.lock().unwrap().take().unwrap());
            async move {
                tell.send(read(request.into_body(), begun).await).unwrap();
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        });
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        connection.serve_connection(TokioIo::new(socket), service).await
    });
    let socket = TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    let head = Request::post(format!("http://{address}/")).header("content-length", end.announced());
    let mut client = client.ready().await.unwrap();
    let (_response, mut body) = client.send_request(head.body(()).unwrap(), false).unwrap();
    body.send_data(Bytes::from_static(PART), false).unwrap();
    has_begun.await.unwrap();
    end.send(&mut body);
    told.recv().await.unwrap()
}

/// hyper reads a response; the h2 crate sends its first part and an end.
async fn response(end: End) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (begun, has_begun) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(socket).await.unwrap();
        let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
        let head = Response::builder().header("content-length", end.announced());
        let mut body = respond.send_response(head.body(()).unwrap(), false).unwrap();
        body.send_data(Bytes::from_static(PART), false).unwrap();
        tokio::spawn(async move {
            has_begun.await.unwrap();
            end.send(&mut body);
        });
        while connection.accept().await.is_some() {}
    });
    let socket = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), socket);
    let (mut client, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let head = Request::get(format!("http://{address}/"));
    let response = client.send_request(head.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    read(response.into_body(), begun).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for end in [End::Whole, End::Reset(Reason::NO_ERROR), End::Reset(Reason::CANCEL)] {
        let announced = end.announced();
        println!("{end:?}, request of {announced} bytes: {}", request(end).await);
        println!("{end:?}, response of {announced} bytes: {}", response(end).await);
    }
}
RUST

export CARGO_TARGET_DIR="$work/target"
cargo build --quiet --manifest-path "$work/Cargo.toml"
cargo tree --manifest-path "$work/Cargo.toml" --depth 1 --prefix none | grep -E '^(hyper|h2) '
seen=$("$work/target/debug/finding")
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
Whole, request of 5 bytes: 5 bytes, then no more, is_end_stream() is true
Whole, response of 5 bytes: 5 bytes, then no more, is_end_stream() is true
Reset(NO_ERROR), request of 1000 bytes: 5 bytes, then no more, is_end_stream() is false
Reset(NO_ERROR), response of 1000 bytes: 5 bytes, then no more, is_end_stream() is false
Reset(CANCEL), request of 1000 bytes: 5 bytes, then an error
Reset(CANCEL), response of 1000 bytes: 5 bytes, then an error
SEEN
