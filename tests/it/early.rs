//! Answers that come before their request is over: they are passed on at once, and the request goes on behind them, to its
//! end or until the upstream closes; the client's next request is answered.

use bytes::Bytes;
use h2::server;
use http_body_util::BodyExt as _;
use http_body_util::channel::{Channel, Sender};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::http1::{Closed, Connection, Framing, chunk};
use crate::support::multiplexed::Multiplexed;
use crate::support::process::Program;
use crate::support::relay::Relay;
use crate::support::scene::Scene;
use crate::support::within;

const BEGINNING: &str =
    "POST /v1/files HTTP/1.1\r\nhost: me\r\ntransfer-encoding: chunked\r\n\r\n6\r\nfirst \r\n";
const REST: &str = "4\r\nrest\r\n0\r\nX-Sum: 1\r\n\r\n";
const NEXT: &str = "GET /v1/next HTTP/1.1\r\nhost: me\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// More than the buffers of a connection hold.
const MANY: usize = 400;
const LONG: usize = 64 << 10;

/// A proxy whose upstream has been sent the beginning of a request: the client's end and the upstream's.
async fn begun(relay: &Relay) -> (Connection, Connection) {
    let mut client = crate::support::client::connect(relay.server.proxy).await;
    client.write(BEGINNING).await;
    let mut served = relay.upstream.accept().await;
    served.read_head().await;
    assert_eq!(served.read_chunk().await.data, b"first ");
    (client, served)
}

/// Reads the rest of a request; its data and its trailers.
async fn rest(served: &mut Connection) -> (Vec<u8>, Vec<u8>) {
    let rest = served.read_body(Vec::new(), Framing::Chunked).await;
    (rest.body, rest.trailers)
}

#[tokio::test]
async fn the_rest_of_a_request_goes_on_and_the_next_one_is_answered() {
    for answer in [
        OK,
        "HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ] {
        let relay = Relay::start().await;
        let (mut client, mut served) = begun(&relay).await;
        served.write(answer).await;
        let early = client.read_response().await;
        assert_eq!(early.header("connection"), None, "{answer}");
        // The next request may be right behind the rest.
        client.write([REST, NEXT].concat()).await;
        let (data, trailers) = rest(&mut served).await;
        assert_eq!(
            (&data[..], &trailers[..]),
            (&b"rest"[..], &b"X-Sum: 1\r\n"[..])
        );
        // What it may not have read would be the next request's beginning.
        let mut fresh = relay.upstream.accept().await;
        served.closed().await;
        assert_eq!(
            fresh.read_request().await.start_line(),
            "GET /v1/next HTTP/1.1"
        );
        fresh.write(OK).await;
        assert_eq!(client.read_response().await.text(), "ok");
    }
}

#[tokio::test]
async fn a_client_may_send_everything_before_it_reads_the_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let server = Program::serve(&url).listen().await;
    let mut client = crate::support::client::connect(server.proxy).await;
    let piece = chunk(vec![b'x'; LONG]);
    client.write(BEGINNING).await;
    let (mut reads, mut writes) = listener.accept().await.unwrap().0.into_split();
    let read = tokio::spawn(async move {
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n0\r\n\r\n") {
            assert_ne!(reads.read_buf(&mut read).await.unwrap(), 0);
        }
        read.len()
    });
    let answer = piece.clone();
    let written = tokio::spawn(async move {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        writes.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..MANY {
            writes.write_all(&answer).await.unwrap();
        }
        writes.write_all(b"0\r\n\r\n").await.unwrap();
        writes
    });
    for _ in 0..MANY {
        client.write(&piece).await;
    }
    client.write(chunk("")).await;
    assert_eq!(client.read_response().await.body.len(), MANY * LONG);
    assert!(within("the upload", read).await.unwrap() > MANY * LONG);
    written.await.unwrap();
}

#[tokio::test]
async fn an_upstream_that_answers_early_and_closes_ends_the_upload() {
    let relay = Relay::start().await;
    let (mut client, mut served) = begun(&relay).await;
    served.write(OK).await;
    assert_eq!(client.read_response().await.text(), "ok");
    served.close().await;
    // Nobody reads on, so the client is told by the end of the connection.
    let (more, _) = client.read_to_end().await;
    assert!(more.is_empty());
}

#[tokio::test]
async fn a_client_is_told_that_an_upstream_which_answers_early_closes() {
    let relay = Relay::start().await;
    let (mut client, mut served) = begun(&relay).await;
    served
        .write("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\ncontent-length: 2\r\n\r\nno")
        .await;
    let early = client.read_response().await;
    assert_eq!(
        (early.status(), early.header("connection")),
        (413, Some("close"))
    );
    client.finish().await;
    served.read_to_end().await;
    assert_eq!(client.closed().await, Closed::Eof);
}

#[tokio::test]
async fn the_rest_goes_on_for_a_client_that_wants_no_other_answer() {
    let relay = Relay::start().await;
    let mut client = crate::support::client::connect(relay.server.proxy).await;
    let beginning = BEGINNING.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    client.write(beginning).await;
    let mut served = relay.upstream.accept().await;
    served.read_head().await;
    served.read_chunk().await;
    served.write(OK).await;
    assert_eq!(client.read_response().await.text(), "ok");
    client.write(REST).await;
    assert_eq!(rest(&mut served).await.0, b"rest");
    assert_eq!(client.closed().await, Closed::Eof);
}

#[tokio::test]
async fn an_upload_that_its_client_breaks_off_behind_the_answer_breaks_off() {
    let relay = Relay::start().await;
    let (mut client, mut served) = begun(&relay).await;
    served.write(OK).await;
    client.read_response().await;
    client.close().await;
    assert_eq!(served.read_to_end().await.0, b"");
}

const HTTP2: &str = "[[upstream]]\nname = 'up'\nurl = 'http://in.its.place/v1'\nhttp = '2'\n";

#[tokio::test]
async fn the_rest_goes_on_to_an_upstream_of_http2() {
    let upstream = Multiplexed::start(server::Builder::new()).await;
    let scene = Scene::towards(&upstream.base_url(), HTTP2).await;
    let mut client = scene.client().await;
    client.write(BEGINNING).await;
    let mut first = upstream.stream().await;
    let begun = within("a frame", first.request.body_mut().data()).await;
    assert_eq!(begun.unwrap().unwrap(), "first ");
    first.answer("early");
    assert_eq!(client.read_response().await.text(), "early");
    client.write([REST, NEXT].concat()).await;
    assert_eq!(first.body().await, b"rest");
    let trailers = within("trailers", first.request.body_mut().trailers()).await;
    assert_eq!(trailers.unwrap().unwrap()["x-sum"], "1");
    upstream.stream().await.answer("next");
    assert_eq!(client.read_response().await.text(), "next");
}

#[tokio::test]
async fn an_upstream_of_http2_that_wants_no_more_ends_the_upload() {
    let upstream = Multiplexed::start(server::Builder::new()).await;
    let scene = Scene::towards(&upstream.base_url(), HTTP2).await;
    let mut client = scene.client().await;
    client.write(BEGINNING).await;
    let mut first = upstream.stream().await;
    first.answer("early");
    assert_eq!(client.read_response().await.text(), "early");
    // Its stream is reset without an error (RFC 9113 §8.1).
    drop(first);
    client.read_to_end().await;
}

/// Begins an upload of a client of HTTP/2.
async fn uploading(relay: &Relay) -> (Sender<Bytes>, hyper::Response<Incoming>, Connection) {
    let stream = TcpStream::connect(relay.server.proxy).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let (mut upload, body) = Channel::<Bytes>::new(1);
    let url = format!("http://{}/v1/files", relay.server.proxy);
    let request = http::Request::post(url).body(body).unwrap();
    let answered = tokio::spawn(sender.send_request(request));
    upload.send_data("first ".into()).await.unwrap();
    let mut served = relay.upstream.accept().await;
    served.read_head().await;
    served.read_chunk().await;
    served.write(OK).await;
    let answer = within("an answer", answered).await.unwrap().unwrap();
    (upload, answer, served)
}

#[tokio::test]
async fn the_rest_of_an_upload_of_http2_goes_on() {
    let relay = Relay::start().await;
    let (mut upload, answer, mut served) = uploading(&relay).await;
    let answer = within("the answer", answer.into_body().collect()).await;
    assert_eq!(answer.unwrap().to_bytes(), "ok");
    upload.send_data("rest".into()).await.unwrap();
    drop(upload);
    assert_eq!(rest(&mut served).await.0, b"rest");
}
