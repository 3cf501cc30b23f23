//! Where messages begin and end on a connection of HTTP/1.1: what is refused because two readers could differ on it, what
//! passes although it is rare, and how a connection goes on or ends.

use crate::support::client;
use crate::support::http1::{Closed, Framing, Message, chunk};
use crate::support::process::Program;
use crate::support::relay::Relay;
use crate::support::scene::{Scene, chat};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Longest target, in bytes.
const TARGET_MAX: usize = 128 << 10;

/// A request of these fields, without a body.
fn get(fields: &str) -> String {
    request("GET", "/v1/x", &format!("host: me\r\n{fields}"))
}

fn request(method: &str, target: &str, fields: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\n{fields}\r\n")
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
        (request("GET", "/v1/x", ""), 400, "bad_request"),
        (get("Host: me\r\n"), 400, "bad_request"),
        (
            request("GET", "/v1/x", "host: me/you\r\n"),
            400,
            "bad_request",
        ),
        (request("GET", "me:80", "host: me\r\n"), 400, "bad_request"),
        (
            request("GET", "/v1/x#y", "host: me\r\n"),
            400,
            "bad_request",
        ),
        (
            request(
                "GET",
                &format!("/v1/{}", "x".repeat(TARGET_MAX + 100)),
                "host: me\r\n",
            ),
            414,
            "target_too_long",
        ),
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
    let request = "POST /v1/x HTTP/1.1\r\nhost: me\r\ntransfer-encoding: chunked\r\n\r\n0\r\nX-Up: 1\r\nb:2\r\nx-UP: 3\r\n\r\n";
    let response = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Down: 2\r\nA:  1\r\nx-DOWN: 3\r\n\r\n";
    let (seen, got) = relay.exchange(request, response).await;
    assert_eq!(seen.trailers, b"X-Up: 1\r\nb:2\r\nx-UP: 3\r\n");
    assert_eq!(got.trailers, b"X-Down: 2\r\nA:  1\r\nx-DOWN: 3\r\n");
}

#[tokio::test]
async fn trailers_are_bounded_as_heads_are() {
    let relay = Relay::start().await;
    let begin = "POST /v1/x HTTP/1.1\r\nhost: me\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n";
    let trailers = |bytes| format!("0\r\nX-Long: {}\r\n\r\n", "y".repeat(bytes));
    let (fits, long) = (trailers(120 << 10), trailers(128 << 10));
    let (request, response) = ([begin, &fits].concat(), [answer, &fits].concat());
    let (seen, got) = relay.exchange(request, response).await;
    assert_eq!(seen.trailers, got.trailers);
    assert!(fits.as_bytes().starts_with(b"0\r\n") && seen.trailers.len() > 120 << 10);

    let mut pair = relay.pair().await;
    pair.client.write([begin, &long].concat()).await;
    let refused = pair.client.read_response().await;
    assert_eq!(refused.status(), 400);
    assert_eq!(refused.header("x-streamgauge-error"), Some("request_body"));
    assert!(refused.text().contains("128 KiB"), "{}", refused.text());
    // What came before them may have been sent already.
    pair.served().await.read_to_end().await;

    let mut pair = relay.pair().await;
    pair.ask(get("")).await;
    pair.served().await.write([answer, &long].concat()).await;
    pair.client.read_head().await;
    assert_eq!(
        pair.client.read_to_end().await.0,
        b"2\r\nab\r\n",
        "it breaks off"
    );
}

#[tokio::test]
async fn a_reason_phrase_passes_byte_for_byte() {
    let relay = Relay::start().await;
    for reason in [&b"Tr\xc3\xa8s bien"[..], b"caf\xe9", b"", b"OK"] {
        let line = [b"HTTP/1.1 200 ", reason, b"\r\n"].concat();
        let response = [&line, &b"content-length: 0\r\n\r\n"[..]].concat();
        let mut pair = relay.pair().await;
        pair.ask(get("")).await;
        pair.served().await.write(response).await;
        let head = pair.client.read_head().await;
        assert!(head.starts_with(&line), "{head:?}");
    }
}

#[tokio::test]
async fn a_target_passes_as_it_was_sent() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let long = format!("/v1/x?{}", "y".repeat(TARGET_MAX - 6));
    for target in [
        &b"/v1/x?a={\"b\":[1|2]}<>\\`^"[..],
        b"/v1/caf\xc3\xa9?q=caf\xe9",
        b"/v1//x/../%65?",
        long.as_bytes(),
    ] {
        let line = [b"GET ", target, b" HTTP/1.1\r\nhost: me\r\n\r\n"].concat();
        let (seen, got) = pair.exchange(line, OK).await;
        let expected = [b"GET ", target, b" HTTP/1.1"].concat();
        assert!(seen.head.starts_with(&expected), "{seen:?}");
        assert_eq!(got.status(), 200);
    }
}

/// The values of every field that says how long a body is.
fn lengths(message: &Message) -> Vec<&str> {
    let lines = message.header_lines().into_iter();
    let fields = lines.filter_map(|line| line.split_once(": "));
    let lengths = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths.map(|(_, value)| value).collect()
}

#[tokio::test]
async fn a_length_that_is_repeated_goes_on_as_one() {
    let relay = Relay::start().await;
    let request =
        "POST /v1/x HTTP/1.1\r\nhost: me\r\ncontent-length: 2, 2\r\nContent-Length: 2\r\n\r\nup";
    let response = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\ndown";
    let (seen, got) = relay.exchange(request, response).await;
    assert_eq!(lengths(&seen), ["2"]);
    assert_eq!(seen.text(), "up");
    assert_eq!(lengths(&got), ["4"]);
    assert_eq!(got.text(), "down");
}

#[tokio::test]
async fn trailers_that_belong_in_a_head_are_dropped() {
    let relay = Relay::start().await;
    let request = "POST /v1/x HTTP/1.1\r\nhost: me\r\ntransfer-encoding: chunked\r\n\r\n0\r\nauthorization: Bearer x\r\nhost: you\r\nx-up: 1\r\n\r\n";
    let response = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nContent-Length: 9\r\nx-down: 2\r\nset-cookie: a\r\n\r\n";
    let (seen, got) = relay.exchange(request, response).await;
    assert_eq!(seen.trailers, b"x-up: 1\r\n");
    assert_eq!(got.trailers, b"x-down: 2\r\n");
}

#[tokio::test]
async fn http_2_begins_a_connection_and_nothing_else() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    pair.exchange(get(""), OK).await;
    pair.client.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(pair.client.read_response().await.status(), 400);
    assert_eq!(pair.client.closed().await, Closed::Eof);
}

#[tokio::test]
async fn an_answer_without_content_has_no_length() {
    let relay = Relay::start().await;
    let response = "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n";
    let (_, got) = relay.exchange(get(""), response).await;
    assert_eq!(got.header("content-length"), None);
}

#[tokio::test]
async fn chunks_of_an_upstream_of_http_1_0_end_its_connection() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    pair.ask(get("")).await;
    let mut served = pair.served.take().unwrap();
    served
        .write("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
        .await;
    assert_eq!(pair.client.read_response().await.text(), "ok");
    served.closed().await;
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

#[tokio::test]
async fn chunks_before_a_malformed_one_reach_the_client() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    pair.ask(get("")).await;
    let good: Vec<u8> = (0..20)
        .flat_map(|n| chunk(format!("event {n:02}")))
        .collect();
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    // In one write, as one read brings them.
    pair.served()
        .await
        .write([head.as_bytes(), &good, b"ZZ\r\n"].concat())
        .await;
    pair.client.read_head().await;
    let mut body = Vec::new();
    while body.len() < 20 * "event 00".len() {
        body.extend(pair.client.read_chunk().await.data);
    }
    assert!(body.ends_with(b"event 19"));
    pair.client.closed().await;
}
