//! Where messages begin and end on a connection of HTTP/1.1: what is refused because two readers could differ on it, what
//! passes although it is rare, and how a connection goes on or ends.

use crate::support::client;
use crate::support::http1::{Closed, Framing, chunk};
use crate::support::process::Program;
use crate::support::relay::Relay;
use crate::support::scene::{Scene, chat};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A request of these fields, without a body.
fn get(fields: &str) -> String {
    format!("GET /v1/x HTTP/1.1\r\nhost: me\r\n{fields}\r\n")
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_told_so() {
    let fields = |count| {
        (0..count)
            .map(|n| format!("x-{n}: y\r\n"))
            .collect::<String>()
    };
    let cases = [
        (
            get("content-length: 1\r\ncontent-length: 2\r\n"),
            400,
            "bad_request",
        ),
        (
            get("content-length: 5\r\ntransfer-encoding: chunked\r\n"),
            400,
            "bad_request",
        ),
        (
            get("transfer-encoding: gzip, chunked\r\n"),
            400,
            "bad_request",
        ),
        (get("content-length: -1\r\n"), 400, "bad_request"),
        (get("no colon\r\n"), 400, "bad_request"),
        (get("folded: a\r\n b\r\n"), 400, "bad_request"),
        ("\x16\x03\x01\x02\r\n\r\n".to_owned(), 400, "bad_request"),
        (get(&fields(300)), 431, "head_too_large"),
    ];
    let relay = Relay::start().await;
    for (request, status, kind) in cases {
        let mut client = client::connect(relay.server.proxy).await;
        client.write(&request).await;
        let answer = client.read_response().await;
        assert_eq!(answer.status(), status, "{request:?}");
        assert_eq!(answer.header("x-streamgauge-error"), Some(kind));
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(client.closed().await, Closed::Eof);
    }
}

#[tokio::test]
async fn empty_lines_before_a_request_are_nothing() {
    let relay = Relay::start().await;
    let (seen, _) = relay.exchange(format!("\r\n\r\n{}", get("")), OK).await;
    assert_eq!(seen.start_line(), "GET /v1/x HTTP/1.1");
}

#[tokio::test]
async fn a_head_of_200_fields_passes() {
    let relay = Relay::start().await;
    let fields: String = (0..198).map(|n| format!("X-{n}: y\r\n")).collect();
    let (seen, _) = relay.exchange(get(&fields), OK).await;
    assert_eq!(seen.header("x-197"), Some("y"));
}

#[tokio::test]
async fn trailers_pass_that_nobody_announced() {
    let relay = Relay::start().await;
    let request =
        "POST /v1/x HTTP/1.1\r\nhost: me\r\ntransfer-encoding: chunked\r\n\r\n0\r\nX-Up: 1\r\n\r\n";
    let response =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Down: 2\r\n\r\n";
    let (seen, got) = relay.exchange(request, response).await;
    assert!(seen.trailers.eq_ignore_ascii_case(b"x-up: 1\r\n"));
    assert!(got.trailers.eq_ignore_ascii_case(b"x-down: 2\r\n"));
}

#[tokio::test]
async fn a_length_beside_chunks_is_not_passed_on() {
    let relay = Relay::start().await;
    let response = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let (_, got) = relay.exchange(get(""), response).await;
    assert_eq!(got.header("content-length"), None);
    assert_eq!(got.text(), "ok");
}

#[tokio::test]
async fn an_upstream_whose_lengths_differ_is_a_502() {
    let relay = Relay::start().await;
    let response = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nok";
    let (_, got) = relay.exchange(get(""), response).await;
    assert_eq!(got.status(), 502);
    assert_eq!(got.header("x-streamgauge-error"), Some("connection_broken"));
}

#[tokio::test]
async fn a_client_of_http_1_0_may_keep_its_connection() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    for _ in 0..2 {
        let request = "GET /v1/x HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";
        let (_, got) = pair.exchange(request, OK).await;
        assert_eq!(got.header("connection"), Some("keep-alive"));
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_upload_is_over_reaches_the_client() {
    const UPLOAD: usize = 4 << 20;
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let head = format!("POST /v1/files HTTP/1.1\r\nhost: me\r\ncontent-length: {UPLOAD}\r\n\r\n");
    pair.client.write(head).await;
    pair.served().await.read_head().await;
    let answer =
        "HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nno!";
    let mut served = pair.served.take().unwrap();
    served.write(answer).await;
    served.close().await;
    let got = pair.client.read_response().await;
    assert_eq!((got.status(), got.text()), (413, "no!"));
    // The client may go on sending for a while without being reset.
    pair.client.write(vec![b'x'; 1 << 20]).await;
    assert_eq!(pair.client.closed().await, Closed::Eof);
}

#[tokio::test]
async fn a_client_that_leaves_behind_a_pipelined_request_is_noticed() {
    let scene = Scene::start().await;
    let (mut client, mut served) = scene.call(&chat(r#"{"model":"m","stream":true}"#)).await;
    client
        .write("GET /v1/models HTTP/1.1\r\nhost: me\r\n\r\n")
        .await;
    client.close().await;
    served.closed().await;
}

#[tokio::test]
async fn an_upload_and_its_answer_pass_side_by_side() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    pair.client
        .write("POST /v1/x HTTP/1.1\r\nhost: me\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    pair.served().await.read_head().await;
    pair.served()
        .await
        .write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    let head = pair.client.read_head().await;
    for n in 0..10 {
        let said = format!("say {n}");
        pair.client.write(chunk(&said)).await;
        assert_eq!(pair.served().await.read_chunk().await.data, said.as_bytes());
        pair.served().await.write(chunk(&said)).await;
        assert_eq!(pair.client.read_chunk().await.data, said.as_bytes());
    }
    pair.client.write(chunk("")).await;
    assert!(pair.served().await.read_chunk().await.is_last);
    pair.served().await.write(chunk("")).await;
    let rest = pair.client.read_body(head, Framing::Chunked).await;
    assert!(rest.body.is_empty());
}

#[tokio::test]
async fn a_request_that_never_gets_whole_does_not_hold_up_the_end() {
    let mut server = Program::serve("http://127.0.0.1:9/v1").listen().await;
    let mut client = client::connect(server.proxy).await;
    client.write("GET /v1/x HTTP/1.1\r\nhost").await;
    server.process.terminate().await;
    // The limit for streams in flight is minutes.
    assert_eq!(server.process.exit().await.code(), Some(0));
}
