//! Who is waited for is waited for only so long: a client within its request, an upstream that takes none of it; and who
//! leaves behind bytes that nobody reads is noticed.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::support::admin::until;
use crate::support::client::post;
use crate::support::file::File;
use crate::support::flood::{PIECE, flood};
use crate::support::http1::{Connection, chunk};
use crate::support::process::{Program, Server};
use crate::support::scene::{EDITED, END, STREAM, Scene, TOKEN, chat};
use crate::support::{client, within};

/// A request of which the head and a beginning of the body have come.
const UPLOAD: &str = "POST /v1/files HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000\r\n\r\n";

/// An upstream of HTTP/2 that reads no more of a request than the test does, and never answers.
struct Holding {
    bodies: mpsc::UnboundedReceiver<Incoming>,
    server: Server,
    _config: File,
}

impl Holding {
    async fn start(timeouts: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (sender, bodies) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                    sender.send(request.into_body()).unwrap();
                    std::future::pending::<Result<Response<Empty<Bytes>>, std::io::Error>>()
                });
                let mut http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                http.initial_stream_window_size(1024);
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        let config = format!("[[upstream]]\nname = 'h2'\nurl = '{url}'\nhttp = '2'\n{timeouts}\n");
        let config = File::new("holding.toml", config);
        let server = Program::configured(config.name()).listen().await;
        Self {
            bodies,
            server,
            _config: config,
        }
    }

    /// An upload of which the upstream has taken a frame and will take no more, though more has come.
    async fn stalled(&mut self) -> (Connection, Incoming) {
        let mut client = client::connect(self.server.proxy).await;
        client.write(UPLOAD).await;
        client.write([b'x'; 10_000]).await;
        let mut body = within("the request", self.bodies.recv()).await.unwrap();
        let frame = within("a frame", body.frame()).await.unwrap();
        assert!(frame.unwrap().is_data());
        client.write([b'x'; 10_000]).await;
        (client, body)
    }
}

/// Reads a request's body until its stream is reset.
async fn reset(mut body: Incoming) {
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    within("the stream to be reset", reading).await;
}

/// An upload to an upstream that has read its head and reads no more: all that fits on the way has come.
async fn stalled(scene: &Scene) -> (tokio::task::JoinHandle<Connection>, Connection) {
    let mut client = scene.client().await;
    client.reset_when_dropped();
    client.write(UPLOAD).await;
    let mut served = scene.upstream.accept().await;
    served.read_head().await;
    let (_, writing) = flood(client, vec![b'x'; PIECE]).await;
    (writing, served)
}

#[tokio::test]
async fn an_upload_that_the_upstream_does_not_take_ends_after_its_limit() {
    let config = "[[upstream]]\nname = 'a'\ntimeouts.send = '300ms'\n";
    let scene = Scene::configured(config).await;
    let (writing, mut served) = stalled(&scene).await;
    let client = within("the end of the upload", writing).await.unwrap();
    served.read_to_end().await;
    let row = scene.server.finished(1).await.remove(0);
    assert_eq!(
        (&row["end"], &row["error"]),
        (&"timeout".into(), &"send_timeout".into())
    );
    drop(client);
}

#[tokio::test]
async fn an_upload_that_an_http2_upstream_does_not_take_ends_after_its_limit() {
    let mut holding = Holding::start("timeouts.send = '300ms'").await;
    let (mut client, body) = holding.stalled().await;
    let answer = client.read_response().await;
    assert_eq!(
        (answer.status(), answer.header("x-streamgauge-error")),
        (504, Some("send_timeout"))
    );
    assert!(
        answer.text().contains("upstream.timeouts.send"),
        "{}",
        answer.text()
    );
    reset(body).await;
    assert_eq!(holding.server.finished(1).await[0]["end"], "timeout");
}

#[tokio::test]
async fn a_client_that_leaves_an_upload_that_is_held_up_has_left() {
    let mut scene = Scene::start().await;
    let (writing, mut served) = stalled(&scene).await;
    writing.abort();
    served.read_to_end().await;
    assert_eq!(scene.server.finished(1).await[0]["end"], "client_left");
    scene.server.process.terminate().await;
    assert_eq!(scene.server.process.exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_client_that_leaves_an_upload_that_http2_holds_up_has_left() {
    for resets in [false, true] {
        let mut holding = Holding::start("").await;
        let (client, body) = holding.stalled().await;
        match resets {
            true => client.reset(),
            false => client.close().await,
        }
        reset(body).await;
        assert_eq!(holding.server.finished(1).await[0]["end"], "client_left");
        holding.server.process.terminate().await;
        assert_eq!(holding.server.process.exit().await.code(), Some(0));
    }
}

#[tokio::test]
async fn a_client_that_leaves_behind_many_requests_has_left() {
    for resets in [false, true] {
        let scene = Scene::start().await;
        let (mut client, mut served) = scene.call(&chat(EDITED)).await;
        served
            .write([STREAM.as_bytes(), &chunk(TOKEN)].concat())
            .await;
        client.read_head().await;
        client.read_chunk().await;
        // More than is read ahead.
        client.write(vec![b'x'; 130 << 10]).await;
        match resets {
            true => client.reset(),
            false => client.close().await,
        }
        served.closed().await;
        assert_eq!(scene.server.finished(1).await[0]["end"], "client_left");
    }
}

#[tokio::test]
async fn a_client_that_stops_within_a_body_is_a_408() {
    let whole = chat(EDITED);
    let passed_on = post("/v1/files", EDITED);
    for request in [whole, passed_on] {
        let scene = Scene::configured("[limits]\nclient_body = '100ms'\n").await;
        let mut client = scene.client().await;
        client.write(&request[..request.len() - 5]).await;
        let answer = client.read_response().await;
        assert_eq!(
            (answer.status(), answer.header("x-streamgauge-error")),
            (408, Some("body_timeout"))
        );
        assert!(
            answer.text().contains("limits.client_body"),
            "{}",
            answer.text()
        );
        client.closed().await;
        assert_eq!(scene.server.finished(1).await[0]["end"], "rejected");
    }
}

#[tokio::test]
async fn an_http2_client_that_stops_within_a_body_is_a_408() {
    let scene = Scene::configured("[limits]\nclient_body = '100ms'\n").await;
    let stream = tokio::net::TcpStream::connect(scene.server.proxy).await;
    let io = TokioIo::new(stream.unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let (mut body, receiver) = http_body_util::channel::Channel::<Bytes>::new(1);
    body.send_data("{".into()).await.unwrap();
    let url = format!("http://{}/v1/chat/completions", scene.server.proxy);
    let request = Request::post(url).body(receiver).unwrap();
    let response = within("an answer", sender.send_request(request)).await;
    assert_eq!(response.unwrap().status(), 408);
    drop(body);
}

/// How HTTP/2 begins, and the client's settings.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// Headers of a first stream that do not end: `:method: GET`.
const HALF_HEADERS: &[u8] = b"\0\0\x01\x01\0\0\0\0\x01\x82";

#[tokio::test]
async fn a_connection_that_waits_for_no_request_ends() {
    let scene = Scene::configured("[limits]\nclient_idle = '100ms'\n").await;
    let mut fresh = scene.client().await;
    let (mut used, mut served) = scene.call(&chat(EDITED)).await;
    // A call is no idle time, however long.
    fresh.closed().await;
    served
        .write([STREAM.as_bytes(), &chunk(END), &chunk("")].concat())
        .await;
    assert_eq!(used.read_response().await.text(), END);
    used.closed().await;
    for beginning in [HTTP2.to_vec(), [HTTP2, HALF_HEADERS].concat()] {
        let mut http2 = scene.client().await;
        http2.write(beginning).await;
        http2.read_to_end().await;
    }
}

#[tokio::test]
async fn an_http2_connection_with_a_call_is_in_use() {
    let scene = Scene::configured("[limits]\nclient_idle = '100ms'\n").await;
    let stream = tokio::net::TcpStream::connect(scene.server.proxy).await;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream.unwrap()))
            .await
            .unwrap();
    let mut connection = tokio::spawn(connection);
    let url = format!("http://{}/v1/models", scene.server.proxy);
    let request = Request::get(url).body(Empty::<Bytes>::new()).unwrap();
    let call = tokio::spawn(sender.send_request(request));
    let mut served = scene.upstream.accept().await;
    served.read_request().await;
    // Another one becomes too old in the meantime.
    scene.client().await.closed().await;
    served
        .write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        .await;
    let response = within("an answer", call).await.unwrap().unwrap();
    let answer = crate::client::read(response).await;
    assert_eq!((answer.text(), answer.broken), ("ok", false));
    assert!(!connection.is_finished());
    let ended = within("the end of the connection", &mut connection).await;
    ended.unwrap().unwrap();
    drop(sender);
}

#[tokio::test]
async fn descriptors_are_left_for_calls_however_many_clients_wait() {
    let scene = Scene::with("", |program: Program| program.open_files(256)).await;
    let mut crowd = Vec::new();
    for _ in 0..300 {
        crowd.push(scene.client().await);
    }
    let health = client::get(scene.server.admin, "/healthz").await;
    assert_eq!(health.status(), 200);
    let (mut caller, mut served) = scene.call(&chat(EDITED)).await;
    served
        .write([STREAM.as_bytes(), &chunk(END), &chunk("")].concat())
        .await;
    assert_eq!(caller.read_response().await.text(), END);
    // Those that came first have made room, the last ones are still there.
    crowd[0].closed().await;
    let last = crowd.last_mut().unwrap();
    last.write("CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(last.read_response().await.status(), 405);
    let refused = scene
        .server
        .metric("streamgauge_connections_refused_total", &[]);
    assert_eq!(refused.await, Some(0.0));
}

/// Whether the kernel's keep-alive timer runs on the connection between these ports; `None` where there is none.
fn has_keepalive(local: u16, remote: Option<u16>) -> Option<bool> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port =
            |field: &str| u16::from_str_radix(field.rsplit(':').next().unwrap(), 16).unwrap();
        let established = fields[3] == "01";
        let is_it = port(fields[1]) == local && remote.is_none_or(|to| port(fields[2]) == to);
        (is_it && established).then(|| fields[5].starts_with("02:"))
    })
}

#[tokio::test]
async fn both_sides_are_asked_whether_they_are_still_there() {
    let scene = Scene::start().await;
    let (client, served) = scene.call(&chat(EDITED)).await;
    let mut admin = client::connect(scene.server.admin).await;
    admin
        .write("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    admin.read_response().await;
    let proxy_to_upstream = served.peer().port();
    for (local, remote) in [
        (scene.server.proxy.port(), Some(client.local().port())),
        (scene.server.admin.port(), Some(admin.local().port())),
        (proxy_to_upstream, None),
    ] {
        // A segment that is not acknowledged yet has another timer.
        let asked = async || (has_keepalive(local, remote) == Some(true)).then_some(());
        until("a keep-alive timer", asked).await;
    }
}

#[tokio::test]
async fn a_standard_error_that_nobody_reads_holds_nothing_up() {
    let mut scene = Scene::with("[log]\nlevel = 'debug'\n", Program::unread).await;
    let lost = async || {
        // Each is told of at this level.
        for _ in 0..100 {
            let mut garbage = client::connect(scene.server.admin).await;
            garbage.write("\0\0\r\n\r\n").await;
            garbage.read_to_end().await;
        }
        let lines = [("kind", "log")];
        let lost = scene
            .server
            .metric("streamgauge_telemetry_dropped_total", &lines);
        (lost.await > Some(0.0)).then_some(())
    };
    until("a line to be dropped and counted", lost).await;
    let (mut caller, mut served) = scene.call(&chat(EDITED)).await;
    served
        .write([STREAM.as_bytes(), &chunk(END), &chunk("")].concat())
        .await;
    assert_eq!(caller.read_response().await.text(), END);
    scene.server.process.terminate().await;
    let status = scene.server.process.wait().await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn interim_responses_without_end_do_not_hold_up_the_limit_for_the_first_byte() {
    let config = "[[upstream]]\nname = 'a'\ntimeouts.first_byte = '300ms'\n";
    let scene = Scene::configured(config).await;
    let (mut client, mut served) = scene.call(&chat(EDITED)).await;
    let trickle = async {
        while served
            .try_write("HTTP/1.1 102 Processing\r\n\r\n")
            .await
            .is_ok()
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let answer = async { client.read_response().await };
    let (answer, ()) = tokio::join!(answer, trickle);
    assert_eq!(answer.status(), 504);
}

#[tokio::test]
async fn too_many_interim_responses_are_a_502() {
    let scene = Scene::start().await;
    let (mut client, mut served) = scene.call(&chat(EDITED)).await;
    let interim = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(100);
    let flood = async { while served.try_write(&interim).await.is_ok() {} };
    let answer = async { client.read_response().await };
    let (answer, ()) = tokio::join!(answer, flood);
    assert_eq!(answer.status(), 502);
    assert!(answer.text().contains("interim"), "{}", answer.text());
}

#[tokio::test]
async fn interim_responses_by_http2_do_not_hold_up_the_limit_for_the_first_byte() {
    let upstream = crate::support::upstream::Upstream::start().await;
    let config = format!(
        "[[upstream]]\nname = 'h2'\nurl = '{}'\nhttp = '2'\ntimeouts.first_byte = '300ms'\n",
        upstream.base_url()
    );
    let config = File::new("interim.toml", config);
    let server = Program::configured(config.name()).listen().await;
    let mut client = client::connect(server.proxy).await;
    client
        .write("GET /v1/models HTTP/1.1\r\nhost: me\r\n\r\n")
        .await;
    let mut served = upstream.accept().await;
    served.read_exact(HTTP2.len() - 9).await;
    // Settings, their acknowledgement, and `:status: 102` without indexing (RFC 7541 §6.2.2).
    served
        .write(b"\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0")
        .await;
    let interim = b"\0\0\x05\x01\x04\0\0\0\x01\x08\x03102";
    let answer = async { client.read_response().await };
    let trickle = async {
        loop {
            served.write(interim).await;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let answer = tokio::select! {
        answer = answer => answer,
        () = trickle => unreachable!("it does not end"),
    };
    assert_eq!(answer.status(), 504);
}
