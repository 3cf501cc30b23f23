//! Who goes away takes the other side along at once: a client its upstream call, an upstream its client's body; and the
//! books say which of the two it was.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use http_body_util::channel::{Channel, Sender};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::support::http1::{Connection, chunk};
use crate::support::otlp::Attributes as _;
use crate::support::process::{Program, Server};
use crate::support::scene::{EDITED, END, STREAM, Scene, TOKEN, UNEDITED, chat};
use crate::support::{client, file, within};

/// How a client goes.
#[derive(Debug, Clone, Copy)]
enum Leaving {
    Closing,
    Resetting,
    HalfClosing,
}

const LEAVING: [Leaving; 3] = [Leaving::Closing, Leaving::Resetting, Leaving::HalfClosing];

impl Leaving {
    /// Leaves; what is returned has to live for as long as the client is to be half there.
    async fn leave(self, mut client: Connection) -> Option<Connection> {
        match self {
            Self::Closing => client.close().await,
            Self::Resetting => client.reset(),
            Self::HalfClosing => {
                client.finish().await;
                return Some(client);
            }
        }
        None
    }
}

/// The books after a client has left its only call, which has this many spans.
async fn assert_left(scene: &Scene, spans: usize) {
    let row = scene.server.finished(1).await.remove(0);
    assert_eq!(
        (row["end"].as_str(), &row["error"]),
        (Some("client_left"), &Value::Null)
    );
    let left = [("streamgauge_end", "client_left")];
    assert_eq!(
        scene
            .server
            .metric("streamgauge_exchanges_total", &left)
            .await,
        Some(1.0)
    );
    for span in scene.collector.spans(spans).await {
        assert_eq!(
            span.text("streamgauge.end"),
            Some("client_left"),
            "{}",
            span.name()
        );
        assert_eq!(span.status(), StatusCode::Unset, "{}", span.name());
        assert_eq!(span.text("error.type"), None, "{}", span.name());
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_ends_the_upstream_call() {
    for leaving in LEAVING {
        for body in [EDITED, UNEDITED] {
            let scene = Scene::start().await;
            let (mut client, mut served) = scene.call(&chat(body)).await;
            served.write(STREAM).await;
            served.write(chunk(TOKEN)).await;
            client.read_head().await;
            assert_eq!(client.read_chunk().await.data, TOKEN.as_bytes());
            let _half = leaving.leave(client).await;
            served.closed().await;
            assert_left(&scene, 2).await;
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_head_ends_the_upstream_call() {
    for leaving in LEAVING {
        let scene = Scene::start().await;
        let (client, mut served) = scene.call(&chat(EDITED)).await;
        let _half = leaving.leave(client).await;
        served.closed().await;
        assert_left(&scene, 2).await;
    }
}

#[tokio::test]
async fn a_client_that_half_closes_is_closed_in_turn() {
    let scene = Scene::start().await;
    let (mut client, mut served) = scene.call(&chat(EDITED)).await;
    client.finish().await;
    served.closed().await;
    client.closed().await;
}

#[tokio::test]
async fn a_client_that_leaves_its_upload_ends_the_upstream_call() {
    const UPLOAD: &str =
        "POST /v1/files HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nfirst part";
    for leaving in LEAVING {
        let scene = Scene::start().await;
        let mut client = scene.client().await;
        client.write(UPLOAD).await;
        let mut served = scene.upstream.accept().await;
        served.read_head().await;
        assert_eq!(served.read_exact(10).await, b"first part");
        let _half = leaving.leave(client).await;
        served.closed().await;
        assert_left(&scene, 1).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_request_that_is_read_whole_has_left() {
    for leaving in LEAVING {
        let scene = Scene::start().await;
        let mut client = scene.client().await;
        let request = chat(EDITED);
        client.write(&request[..request.len() - 5]).await;
        scene.server.in_flight(1).await;
        let _half = leaving.leave(client).await;
        // Nothing was asked of a model yet.
        assert_left(&scene, 1).await;
    }
}

#[tokio::test]
async fn a_client_that_closes_after_the_last_event_has_not_left() {
    for body in [EDITED, UNEDITED] {
        let scene = Scene::start().await;
        let (mut client, mut served) = scene.call(&chat(body)).await;
        let events = [TOKEN, END].concat();
        served
            .write([STREAM.as_bytes(), &chunk(&events)].concat())
            .await;
        client.read_through(b"[DONE]\n\n").await;
        client.close().await;
        served.closed().await;
        let row = scene.server.finished(1).await.remove(0);
        assert_eq!(
            (row["end"].as_str(), &row["error"]),
            (Some("done"), &Value::Null)
        );
        let (server, inference) = scene.spans().await;
        assert_eq!(server.status(), StatusCode::Unset);
        assert_eq!(inference.status(), StatusCode::Unset);
    }
}

/// How an upstream breaks a body.
#[derive(Debug, Clone, Copy)]
enum Break {
    WithoutLastChunk,
    ResettingChunks,
    ShortOfItsLength,
}

impl Break {
    /// A response that breaks after these bytes of its body.
    async fn play(self, mut served: Connection, body: &str) {
        let response = match self {
            Self::WithoutLastChunk | Self::ResettingChunks => {
                [STREAM.as_bytes(), &chunk(body)].concat()
            }
            Self::ShortOfItsLength => {
                let length = body.len() + 1;
                format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n{body}").into()
            }
        };
        served.write(response).await;
        match self {
            Self::ResettingChunks => served.reset(),
            _ => served.close().await,
        }
    }
}

/// What came of a body, and that it broke off.
async fn read_broken(client: &mut Connection) -> Vec<u8> {
    let head = client.read_head().await;
    let (mut rest, _) = client.read_to_end().await;
    let head = String::from_utf8(head).unwrap();
    if head.to_lowercase().contains("content-length") {
        return rest;
    }
    let mut body = Vec::new();
    while !rest.is_empty() {
        let line = rest.windows(2).position(|end| end == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        assert_ne!(size, 0, "a broken body has no last chunk");
        body.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest.drain(..line + 2 + size + 2);
    }
    body
}

#[tokio::test]
async fn an_upstream_that_breaks_off_breaks_the_clients_body_after_its_last_byte() {
    // The end of it could be the usage event that the edit looks for, so the edit holds it back.
    let body = format!("{TOKEN}data: {{\"choices\":[],\"usage\":{{\"prompt");
    for breaking in [
        Break::WithoutLastChunk,
        Break::ResettingChunks,
        Break::ShortOfItsLength,
    ] {
        for request in [EDITED, UNEDITED] {
            let scene = Scene::start().await;
            let (mut client, served) = scene.call(&chat(request)).await;
            breaking.play(served, &body).await;
            let seen = read_broken(&mut client).await;
            assert_eq!(
                String::from_utf8(seen).unwrap(),
                body,
                "{breaking:?} {request}"
            );
            let row = scene.server.finished(1).await.remove(0);
            assert_eq!(
                (&row["end"], &row["error"]),
                (&"cut".into(), &"stream_truncated".into())
            );
            let (server, inference) = scene.spans().await;
            for span in [server, inference] {
                assert_eq!(span.status(), StatusCode::Error, "{}", span.name());
                assert_eq!(
                    span.text("error.type"),
                    Some("stream_truncated"),
                    "{}",
                    span.name()
                );
            }
        }
    }
}

#[tokio::test]
async fn an_http2_client_gets_every_byte_before_the_reset() {
    let scene = Scene::start().await;
    for _ in 0..20 {
        let (_connection, call, served) = asked_over_http2(&scene).await;
        Break::WithoutLastChunk.play(served, TOKEN).await;
        let response = within("the head", call).await.unwrap().unwrap();
        let answer = within("the body", crate::client::read(response)).await;
        assert_eq!((answer.text(), answer.broken), (TOKEN, true));
    }
}

/// An HTTP/2 connection to the proxy.
async fn http2(server: &Server) -> SendRequest<Channel<Bytes>> {
    let stream = TcpStream::connect(server.proxy).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    sender
}

/// The answer to a request over HTTP/2, once its head has come.
type Answering = JoinHandle<hyper::Result<Response<Incoming>>>;

/// A whole request on a connection of HTTP/2, as the upstream has read it.
async fn asked_over_http2(scene: &Scene) -> (SendRequest<Channel<Bytes>>, Answering, Connection) {
    let mut connection = http2(&scene.server).await;
    let (mut body, post) = request(&scene.server, "/v1/chat/completions");
    body.send_data(EDITED.into()).await.unwrap();
    drop(body);
    let call = tokio::spawn(connection.send_request(post));
    let mut served = scene.upstream.accept().await;
    served.read_request().await;
    (connection, call, served)
}

/// The answer once its head and an event have come.
async fn begun(call: Answering, served: &mut Connection) -> Response<Incoming> {
    served
        .write([STREAM.as_bytes(), &chunk(TOKEN)].concat())
        .await;
    let mut response = within("the head", call).await.unwrap().unwrap();
    let frame = within("an event", response.frame()).await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), TOKEN);
    response
}

/// A request whose body is played by hand.
fn request(server: &Server, path: &str) -> (Sender<Bytes>, Request<Channel<Bytes>>) {
    let (sender, body) = Channel::new(8);
    let request = Request::post(format!("http://{}{path}", server.proxy));
    (
        sender,
        request
            .header("content-type", "application/json")
            .body(body)
            .unwrap(),
    )
}

#[tokio::test]
async fn an_http2_client_that_resets_its_stream_ends_the_upstream_call() {
    let scene = Scene::start().await;
    let (connection, call, mut served) = asked_over_http2(&scene).await;
    let response = begun(call, &mut served).await;
    drop(response);
    served.closed().await;
    assert_left(&scene, 2).await;
    drop(connection);
}

#[tokio::test]
async fn an_http2_client_that_resets_its_stream_before_the_head_ends_the_upstream_call() {
    let scene = Scene::start().await;
    let (connection, call, mut served) = asked_over_http2(&scene).await;
    call.abort();
    served.closed().await;
    assert_left(&scene, 2).await;
    drop(connection);
}

#[tokio::test]
async fn an_http2_client_that_resets_its_upload_ends_the_upstream_call() {
    let scene = Scene::start().await;
    let mut connection = http2(&scene.server).await;
    let (mut body, post) = request(&scene.server, "/v1/files");
    body.send_data("first part".into()).await.unwrap();
    let call = tokio::spawn(connection.send_request(post));
    let mut served = scene.upstream.accept().await;
    served.read_head().await;
    assert_eq!(served.read_chunk().await.data, b"first part");
    call.abort();
    served.closed().await;
    assert_eq!(scene.server.finished(1).await[0]["end"], "client_left");
    drop((connection, body));
}

#[tokio::test]
async fn an_upstream_that_breaks_off_resets_the_stream_of_an_http2_client() {
    let scene = Scene::start().await;
    let (connection, call, mut served) = asked_over_http2(&scene).await;
    let response = begun(call, &mut served).await;
    served.close().await;
    let answer = within("the reset", crate::client::read(response)).await;
    assert_eq!((answer.text(), answer.broken), ("", true));
    assert_eq!(scene.server.finished(1).await[0]["end"], "cut");
    drop(connection);
}

/// An upstream that speaks HTTP/2 and answers every call with a stream that the test plays.
async fn http2_upstream() -> (String, mpsc::UnboundedReceiver<Sender<Bytes>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (streams, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let streams = streams.clone();
            let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                let streams = streams.clone();
                async move {
                    request.into_body().collect().await.unwrap();
                    let (sender, body) = Channel::<Bytes>::new(1);
                    streams.send(sender).unwrap();
                    let response = Response::builder().header("content-type", "text/event-stream");
                    Ok::<_, Infallible>(response.body(body).unwrap())
                }
            });
            tokio::spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (url, receiver)
}

#[tokio::test]
async fn an_http2_upstream_is_told_by_a_reset_that_the_client_left() {
    let (url, mut streams) = http2_upstream().await;
    let config = file::File::new(
        "config.toml",
        "[[upstream]]\nname = \"h2\"\nurl = \"http://a/v1\"\nhttp = \"2\"\n",
    );
    let server = Program::serve(&url)
        .args(["-c", config.name()])
        .listen()
        .await;
    let mut client = client::connect(server.proxy).await;
    client.write(chat(EDITED)).await;
    let mut stream = within("the call", streams.recv()).await.unwrap();
    stream.send_data(TOKEN.into()).await.unwrap();
    client.read_head().await;
    assert_eq!(client.read_chunk().await.data, TOKEN.as_bytes());
    client.close().await;
    // The server drops a body whose stream was reset, and nothing can be sent into it any more.
    within("the reset", async {
        while stream.send_data(TOKEN.into()).await.is_ok() {}
    })
    .await;
    assert_eq!(server.finished(1).await[0]["end"], "client_left");

    // The connection itself has survived the reset.
    let mut client = client::connect(server.proxy).await;
    client.write(chat(EDITED)).await;
    let mut stream = within("the call", streams.recv()).await.unwrap();
    stream.send_data(END.into()).await.unwrap();
    drop(stream);
    assert_eq!(client.read_response().await.text(), END);
}
