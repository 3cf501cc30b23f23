//! Where streamgauge has to answer itself: a status that says whose fault it is, the shape of an OpenAI error, the marker,
//! and the same story in the books.

use http::Request;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::gauge::SERVER;
use crate::support::http1::{Message, chunk};
use crate::support::otlp::Attributes as _;
use crate::support::process::Program;
use crate::support::scene::{EDITED, END, STREAM, Scene, TOKEN, chat};
use crate::support::{client, within};

/// An answer of ours, and what the books say of it.
struct Own {
    status: u16,
    /// Marker, code and `error.type`.
    kind: &'static str,
    /// `type` of the error object.
    class: &'static str,
    end: &'static str,
    /// What its message says, among other words.
    says: &'static str,
}

impl Own {
    /// Checks an answer.
    fn assert_answer(&self, answer: &Message) {
        assert_eq!(answer.status(), self.status, "{}", answer.text());
        assert_eq!(answer.header("x-streamgauge-error"), Some(self.kind));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let mut body: Value = serde_json::from_str(answer.text()).unwrap();
        let message = body["error"]["message"].take();
        let says = message
            .as_str()
            .is_some_and(|text| text.contains(self.says));
        assert!(says, "{:?} in {message}", self.says);
        let expected = json!({"error": {
            "message": null, "type": self.class, "param": null, "code": self.kind
        }});
        assert_eq!(body, expected);
    }

    /// Checks an answer and the books of the only exchange.
    async fn assert(&self, scene: &Scene, answer: &Message) {
        self.assert_answer(answer);
        let row = scene.server.finished(1).await.remove(0);
        self.assert_row(&row);
        let server = scene.collector.span_of_kind(SERVER).await;
        let code = Some(i64::from(self.status));
        assert_eq!(server.int("http.response.status_code"), code);
        assert_eq!(server.text("error.type"), Some(self.kind));
        assert_eq!(server.text("streamgauge.end"), Some(self.end));
        // To the HTTP conventions a 4xx is no error of the server's.
        let status = match self.status {
            500.. => StatusCode::Error,
            _ => StatusCode::Unset,
        };
        assert_eq!(server.status(), status);
        self.assert_counted(scene).await;
        if self.end == "rejected" {
            let process = &scene.server.process;
            let line = process.message("a request was rejected").await;
            assert_eq!(
                (&line["level"], &line["reason"]),
                (&"WARN".into(), &self.kind.into())
            );
        }
    }

    /// Checks the metrics of the only exchange.
    async fn assert_counted(&self, scene: &Scene) {
        let status = self.status.to_string();
        let labels = [
            ("error_type", self.kind),
            ("http_response_status_code", &status),
        ];
        let served = "http_server_request_duration_seconds_count";
        let counted = scene.server.metric(served, &labels).await;
        assert_eq!(counted, Some(1.0));
        let labels = [("streamgauge_end", self.end)];
        let counted = scene
            .server
            .metric("streamgauge_exchanges_total", &labels)
            .await;
        assert_eq!(counted, Some(1.0));
    }

    fn assert_row(&self, row: &Value) {
        assert_eq!(row["end"], self.end, "{row}");
        assert_eq!(row["error"], self.kind, "{row}");
        assert_eq!(row["status"], self.status, "{row}");
    }
}

/// Limits of time for the only upstream, whose URL comes from the command line.
fn limits(limits: &str) -> String {
    format!("[[upstream]]\nname = \"default\"\nurl = \"http://a/v1\"\ntimeouts = {{ {limits} }}\n")
}

/// Sends a chat call to the proxy and reads the answer.
async fn answer(scene: &Scene) -> Message {
    client::send(scene.server.proxy, chat(EDITED)).await
}

#[tokio::test]
async fn an_upstream_where_nobody_listens_is_a_502() {
    // A port that is ours and has no listener.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/v1", socket.local_addr().unwrap());
    let scene = Scene::towards(&url, "").await;
    let own = Own {
        status: 502,
        kind: "connection_refused",
        class: "upstream_error",
        end: "refused",
        says: "check that it is running and that its URL (upstream.url) is right",
    };
    own.assert(&scene, &answer(&scene).await).await;
}

#[tokio::test]
async fn an_upstream_whose_name_is_unknown_is_a_502() {
    // Longer than a label may be, so no resolver has to be asked.
    let url = format!("http://{}/v1", "a".repeat(64));
    let scene = Scene::towards(&url, "").await;
    let own = Own {
        status: 502,
        kind: "connection_failed",
        class: "upstream_error",
        end: "refused",
        says: "cannot connect to upstream default at aaaa",
    };
    own.assert(&scene, &answer(&scene).await).await;
}

#[tokio::test]
async fn an_upstream_that_speaks_no_tls_where_it_should_is_a_502() {
    let upstream = crate::support::upstream::Upstream::start().await;
    let url = format!("https://{}/v1", upstream.address());
    let scene = Scene::towards(&url, "").await;
    let plain = async {
        let mut served = upstream.accept().await;
        served.write("HTTP/1.1 400 Bad Request\r\n\r\n").await;
        served.close().await;
    };
    let (answer, ()) = tokio::join!(answer(&scene), plain);
    let own = Own {
        status: 502,
        kind: "connection_failed",
        class: "upstream_error",
        end: "refused",
        says: "begin its URL (upstream.url) with http://, or correct the port",
    };
    own.assert(&scene, &answer).await;
}

#[tokio::test]
async fn an_upstream_that_cannot_be_connected_to_in_time_is_a_504() {
    // A listener that accepts nothing, with room for one connection in its queue, which is taken.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(0).unwrap();
    let address = full.local_addr().unwrap();
    let _first = client::connect(address).await;
    let scene = Scene::towards(
        &format!("http://{address}/v1"),
        &limits("connect = \"100ms\""),
    )
    .await;
    let own = Own {
        status: 504,
        kind: "connect_timeout",
        class: "upstream_error",
        end: "timeout",
        says: "upstream.timeouts.connect is 100ms",
    };
    own.assert(&scene, &answer(&scene).await).await;
}

#[tokio::test]
async fn an_upstream_that_sends_no_head_in_time_is_a_504_and_is_left() {
    let scene = Scene::configured(&limits("first_byte = \"100ms\"")).await;
    let (mut client, mut served) = scene.call(&chat(EDITED)).await;
    let answer = client.read_response().await;
    served.closed().await;
    let own = Own {
        status: 504,
        kind: "timeout",
        class: "upstream_error",
        end: "timeout",
        says: "within 100ms; if it needs longer, raise upstream.timeouts.first_byte",
    };
    own.assert(&scene, &answer).await;
}

#[tokio::test]
async fn the_limit_for_the_first_byte_starts_when_the_request_was_read() {
    let scene = Scene::configured(&limits("first_byte = \"300ms\"")).await;
    let mut client = scene.client().await;
    client
        .write("POST /v1/files HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\nhalf")
        .await;
    let mut served = scene.upstream.accept().await;
    served.read_head().await;
    assert_eq!(served.read_exact(4).await, b"half");
    // A call that is whole, begun later, runs into the same limit first.
    let (mut whole, _served) = scene.call(&chat(EDITED)).await;
    assert_eq!(whole.read_response().await.status(), 504);
    client.write("half").await;
    assert_eq!(served.read_exact(4).await, b"half");
    let answer = client.read_response().await;
    assert_eq!(
        (answer.status(), answer.header("x-streamgauge-error")),
        (504, Some("timeout"))
    );
    served.closed().await;
}

#[tokio::test]
async fn a_stream_that_falls_silent_for_too_long_is_broken_off() {
    let scene = Scene::configured(&limits("idle = \"100ms\"")).await;
    let (mut client, mut served) = scene.call(&chat(EDITED)).await;
    served
        .write([STREAM.as_bytes(), &chunk(TOKEN)].concat())
        .await;
    client.read_head().await;
    assert_eq!(client.read_chunk().await.data, TOKEN.as_bytes());
    client.closed().await;
    served.closed().await;
    let row = scene.server.finished(1).await.remove(0);
    assert_eq!(
        (&row["end"], &row["error"]),
        (&"timeout".into(), &"timeout".into())
    );
    for span in scene.collector.spans(2).await {
        assert_eq!(span.text("error.type"), Some("timeout"), "{}", span.name());
        assert_eq!(span.status(), StatusCode::Error, "{}", span.name());
    }
}

#[tokio::test]
async fn an_upstream_that_speaks_no_http_is_a_502() {
    for garbage in ["SSH-2.0-OpenSSH_9.9\r\n\r\n", "HTTP/1.1 20x OK\r\n\r\n", ""] {
        let scene = Scene::start().await;
        let (mut client, mut served) = scene.call(&chat(EDITED)).await;
        served.write(garbage).await;
        served.close().await;
        let own = Own {
            status: 502,
            kind: "connection_broken",
            class: "upstream_error",
            end: "cut",
            says: "the connection to upstream default at 127.0.0.1:",
        };
        own.assert(&scene, &client.read_response().await).await;
    }
}

#[tokio::test]
async fn a_request_body_that_is_no_http_is_a_400_and_goes_no_further() {
    for path in ["/v1/chat/completions", "/v1/files"] {
        let scene = Scene::start().await;
        let mut client = scene.client().await;
        let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
        client
            .write([head.as_bytes(), b"4\r\n{\"a\"\r\n", b"no size\r\n"].concat())
            .await;
        let own = Own {
            status: 400,
            kind: "request_body",
            class: "invalid_request_error",
            end: "rejected",
            says: "the size of a chunk is not a hexadecimal number",
        };
        own.assert(&scene, &client.read_response().await).await;
    }
}

#[tokio::test]
async fn a_request_that_no_route_takes_is_a_404() {
    let config = "[[upstream]]\nname = \"a\"\nurl = \"http://a/v1\"\n[[route]]\npath = \"/v1/embeddings\"\nupstream = \"a\"\n";
    let scene = Scene::configured(config).await;
    let own = Own {
        status: 404,
        kind: "no_route",
        class: "invalid_request_error",
        end: "rejected",
        says: "decide by path; change the request, or add a [[route]]",
    };
    own.assert(&scene, &answer(&scene).await).await;
}

#[tokio::test]
async fn a_404_of_ours_says_what_of_the_request_no_route_takes() {
    let config = "limits.inspect_bytes = 64\n[[upstream]]\nname = \"a\"\nurl = \"http://a/v1\"\n\
        [[route]]\npath = \"/v1/\"\nmodel = \"llama-*\"\nupstream = \"a\"\n";
    let scene = Scene::configured(config).await;
    let secret = "hush".repeat(20);
    let large = format!(r#"{{"model":"llama-3","user":"{secret}"}}"#);
    let long = "m".repeat(30);
    let sized = |head: &str, body: &str| {
        let length = body.len();
        format!("{head} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    let chat = |body: &str| sized("POST /v1/chat/completions", body);
    // More may come of it.
    let chunked = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n",
        large.len()
    );
    let coded = "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nhu";
    let size = large.len();
    for (request, why) in [
        (
            chat(&large),
            format!(
                "its model was not read, since its body has {size} bytes and limits.inspect_bytes is 64; "
            ),
        ),
        (
            chunked,
            format!(
                "its model was not read, since its body has at least {size} bytes and limits.inspect_bytes is 64; "
            ),
        ),
        (
            coded.to_owned(),
            "since its body has a content-encoding; ".to_owned(),
        ),
        (
            chat("hush, no json"),
            "it names no model, since its body is no JSON object; ".to_owned(),
        ),
        (
            chat(""),
            "it names no model, since its body is empty; ".to_owned(),
        ),
        (
            chat(r#"{"user":"hush"}"#),
            "its body names no model (\"model\"); ".to_owned(),
        ),
        (
            chat(&format!(r#"{{"model":"{long}\n"}}"#)),
            format!("its model is {long}\\n and its path is /v1/chat/completions; "),
        ),
        (
            sized("GET /v1/models?key=hush", ""),
            "it names no model, since the method is GET, and its path is /v1/models; ".to_owned(),
        ),
        (
            chat(&large).replace("/v1/", "/v2/"),
            "its path is /v2/chat/completions; ".to_owned(),
        ),
    ] {
        let answer = client::send(scene.server.proxy, request).await;
        assert_eq!(answer.status(), 404);
        let body: Value = serde_json::from_str(answer.text()).unwrap();
        let message = body["error"]["message"].as_str().unwrap();
        let begins = "no route matches this request: ";
        assert!(
            message.starts_with(begins) && message.contains(&why),
            "{why} in {message}"
        );
        assert!(!message.contains("hush"), "{message}");
    }
    let process = &scene.server.process;
    process.message("a request was rejected").await;
    let log = process.stderr().text().to_owned();
    let told = format!("its body has {size} bytes and limits.inspect_bytes is 64");
    assert!(log.contains(&told) && !log.contains("hush"), "{log}");
}

#[tokio::test]
async fn our_own_limit_of_connections_is_a_503_until_there_is_room_again() {
    let scene = Scene::with("", |program: Program| program.open_files(64)).await;
    let served = async |head: &str| {
        let mut served = scene.upstream.accept().await;
        served.read_request().await;
        served
            .write([head.as_bytes(), &chunk(END), &chunk("")].concat())
            .await;
        served.close().await;
    };
    // Also opens the connection to the collector, which has to be there while no other can be opened.
    let closing = STREAM.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    let mut client = scene.client().await;
    client.write(chat(EDITED)).await;
    served(&closing).await;
    assert_eq!(client.read_response().await.text(), END);
    scene.collector.spans(2).await;

    // Each has begun a request, so none is let go for another.
    let request = chat(EDITED);
    let mut crowd = Vec::new();
    for _ in 0..64 {
        let mut one = client::connect(scene.server.proxy).await;
        // The last one may have been refused already.
        let _ = one.try_write(&request[..10]).await;
        crowd.push(one);
    }
    let refused = scene.server.process.message("a connection was refused");
    assert_eq!(refused.await["reason"], "descriptors");
    let mut calls = Vec::new();
    let answer = loop {
        let mut one = crowd.remove(0);
        if one.try_write(&request[10..]).await.is_err() {
            // It was let go before what it had sent was seen.
            continue;
        }
        tokio::select! {
            served = scene.upstream.accept() => calls.push((one, served)),
            answer = one.read_response() => break answer,
        }
    };
    let own = Own {
        status: 503,
        kind: "limit_reached",
        class: "server_error",
        end: "rejected",
        says: "raise the limit of open files",
    };
    own.assert_answer(&answer);
    assert_eq!(answer.header("retry-after"), Some("1"));
    let spans = scene.collector.spans(3).await;
    assert_eq!(spans[2].text("error.type"), Some("limit_reached"));

    own.assert_row(&scene.server.finished(2).await[1]);
    drop((crowd, calls));
    scene.server.in_flight(0).await;
    let mut client = scene.client().await;
    client.write(chat(EDITED)).await;
    served(STREAM).await;
    let answer = within("an answer", client.read_response()).await;
    assert_eq!((answer.status(), answer.text()), (200, END));
}

#[tokio::test]
async fn clients_that_come_where_descriptors_have_run_out_are_answered() {
    let scene = Scene::with("", |program: Program| program.open_files(64)).await;
    let mut calls = Vec::new();
    let first = loop {
        let mut one = scene.client().await;
        one.write(chat(EDITED)).await;
        tokio::select! {
            served = scene.upstream.accept() => calls.push((one, served)),
            answer = one.read_response() => break answer,
        }
    };
    let own = Own {
        status: 503,
        kind: "limit_reached",
        class: "server_error",
        end: "rejected",
        says: "too few file descriptors left for another call",
    };
    own.assert_answer(&first);
    assert_eq!(first.header("connection"), Some("close"));
    assert_eq!(first.header("retry-after"), Some("1"));
    for _ in 0..4 {
        own.assert_answer(&answer(&scene).await);
    }
    let stream = TcpStream::connect(scene.server.proxy).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::post(format!("http://{}/v1/chat/completions", scene.server.proxy));
    let request = request.body(EDITED.to_owned()).unwrap();
    let response = within("an answer", sender.send_request(request))
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), own.status);
    assert_eq!(response.headers()["x-streamgauge-error"], own.kind);
    drop((sender, response));
    within("the end of the connection", connection)
        .await
        .unwrap()
        .unwrap();

    own.assert_row(&scene.server.finished(6).await[5]);
    let line = scene
        .server
        .process
        .message("a connection was refused")
        .await;
    assert_eq!(line["reason"], "descriptors");
    let says = line["error"].as_str().unwrap();
    assert!(says.contains("raise the limit of open files"), "{says}");
    let refused = scene.server.metric(
        "streamgauge_connections_refused_total",
        &[("reason", "descriptors")],
    );
    assert_eq!(refused.await, Some(6.0));

    drop(calls);
    scene.server.in_flight(0).await;
    drop(scene.call(&chat(EDITED)).await);
}
