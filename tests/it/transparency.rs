//! A client and an upstream cannot tell that the proxy is there: what each sends is what the other gets, as raw bytes
//! over HTTP/1.1.

mod bodies;

use crate::support::client;
use crate::support::http1::{Closed, chunk};
use crate::support::relay::Relay;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: me\r\n\r\n")
}

/// A response with a body of known length.
fn response(head: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut response = format!("{head}\r\ncontent-length: {length}\r\n\r\n").into_bytes();
    response.extend_from_slice(body);
    response
}

/// Header lines but for those that say where our own trace goes.
fn lines_without_trace(lines: Vec<&str>) -> Vec<&str> {
    lines
        .into_iter()
        .filter(|line| !line.starts_with("traceparent: "))
        .collect()
}

#[tokio::test]
async fn every_method_passes_with_its_body() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    for method in [
        "GET",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "OPTIONS",
        "TRACE",
        "QUERY",
        "PROPFIND",
        "purge",
        "M-SEARCH",
        "X!#$%&'*+-.^_`|~9",
    ] {
        let request = format!("{method} /v1/x HTTP/1.1\r\nhost: me\r\n\r\n");
        let (seen, _) = pair.exchange(request, OK).await;
        assert_eq!(seen.start_line(), format!("{method} /v1/x HTTP/1.1"));
        assert_eq!((seen.header("content-length"), seen.text()), (None, ""));

        let head = format!("{method} /v1/x HTTP/1.1\r\nhost: me");
        let (seen, _) = pair.exchange(response(&head, b"some body"), OK).await;
        assert_eq!(seen.text(), "some body", "{method}");

        let chunked = format!(
            "{method} /v1/x HTTP/1.1\r\nhost: me\r\ntransfer-encoding: chunked\r\n\r\n9\r\nsome body\r\n0\r\n\r\n"
        );
        let (seen, _) = pair.exchange(chunked, OK).await;
        assert_eq!(seen.text(), "some body", "{method}, chunked");
        assert_eq!(seen.header("content-length"), None, "{method}, chunked");
    }
}

#[tokio::test]
async fn a_head_request_gets_the_length_and_no_body() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    for framing in ["content-length: 1234", "transfer-encoding: chunked"] {
        let seen = pair
            .ask("HEAD /v1/models HTTP/1.1\r\nhost: me\r\n\r\n")
            .await;
        assert_eq!(seen.start_line(), "HEAD /v1/models HTTP/1.1");
        let head = format!("HTTP/1.1 200 OK\r\nx: y\r\n{framing}\r\n\r\n");
        pair.served().await.write(&head).await;
        let got = String::from_utf8(pair.client.read_head().await).unwrap();
        match framing {
            "content-length: 1234" => assert_eq!(got, head),
            _ => assert_eq!(got, "HTTP/1.1 200 OK\r\nx: y\r\n\r\n"),
        }
    }
    let (_, next) = pair.exchange(get("/v1/next"), OK).await;
    assert_eq!(next.text(), "ok", "the next response follows at once");
}

#[tokio::test]
async fn any_request_target_passes_verbatim() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    for target in [
        "/",
        "/health",
        "/v1",
        "/v1/",
        "/v1?x",
        "/v1/chat/completions?",
        "//",
        "//v1//models//",
        "/v1/../v1/./x",
        "/v1/%2e%2E/%2F%00%ff%zz%",
        "/a;b=c/d,e:f@g!$&'()*+",
        "/openai/deployments/d/chat/completions?api-version=2024-02-01&a=%20+b&&=&?/",
        "/v1/q?url=http://x/?y=[1]&z={a|b}^`\\",
        "/{\"a\":1}[0]|^~\\",
        "/\u{fc}ml\u{e4}ut?\u{fc}",
        "/v10/x",
        "/V1/models",
    ] {
        let (seen, _) = pair.exchange(get(target), OK).await;
        assert_eq!(seen.start_line(), format!("GET {target} HTTP/1.1"));
    }
    let long = format!("/{}?{}", "p".repeat(30_000), "q".repeat(30_000));
    let (seen, _) = pair.exchange(get(&long), OK).await;
    assert_eq!(seen.start_line(), format!("GET {long} HTTP/1.1"));
}

#[tokio::test]
async fn options_of_the_whole_server_stays_an_asterisk() {
    let relay = Relay::start().await;
    let (seen, _) = relay
        .exchange("OPTIONS * HTTP/1.1\r\nhost: me\r\n\r\n", OK)
        .await;
    assert_eq!(seen.start_line(), "OPTIONS * HTTP/1.1");
}

#[tokio::test]
async fn an_absolute_target_goes_by_its_path() {
    let relay = Relay::start().await;
    let request = "GET http://elsewhere:81/v1/models?a=b HTTP/1.1\r\nHost: me\r\n\r\n";
    let (seen, _) = relay.exchange(request, OK).await;
    assert_eq!(seen.start_line(), "GET /v1/models?a=b HTTP/1.1");
    let upstream = relay.upstream.address().to_string();
    assert_eq!(seen.header("host"), Some(upstream.as_str()));
}

#[tokio::test]
async fn a_base_url_with_a_path_takes_the_place_of_v1() {
    for (path, asked, expected) in [
        ("/api/v1", "/v1/chat//x?y=%2F", "/api/v1/chat//x?y=%2F"),
        ("/api/v1/", "/v1/models", "/api/v1/models"),
        ("/v3", "/v1?a", "/v3?a"),
        ("", "/v1/models", "/models"),
        ("/v3", "/tokenize?v1/", "/tokenize?v1/"),
        ("/v3", "/v1beta/models", "/v1beta/models"),
    ] {
        let upstream = crate::support::upstream::Upstream::start().await;
        let url = format!("http://{}{path}", upstream.address());
        let server = crate::support::process::Program::serve(&url).listen().await;
        let mut client = client::connect(server.proxy).await;
        client.write(get(asked)).await;
        let seen = upstream.accept().await.read_request().await;
        assert_eq!(
            seen.start_line(),
            format!("GET {expected} HTTP/1.1"),
            "{url}"
        );
    }
}

#[tokio::test]
async fn request_header_fields_keep_order_spelling_and_duplicates() {
    let relay = Relay::start().await;
    let request = "POST /v1/x HTTP/1.1\r\nx-Zulu: 1\r\nHOST: me\r\nUser-Agent: T/1 (a; b)\r\n\
        Authorization: Bearer sk-1\r\naPi-Key: k\r\nX-Empty:\r\nX-Dup: one\r\nx-dUP: two, three\r\n\
        Cookie: a=1; b=2\r\nAccept-Encoding: gzip, br;q=0.5\r\nX-Latin: caf\u{e9}\r\nForwarded: for=x\r\n\
        Via: 1.0 a\r\nX-Forwarded-For: 1.2.3.4\r\nContent-Length: 2\r\nX-Stainless-Retry-Count: 0\r\n\r\n{}";
    let (seen, _) = relay.exchange(request, OK).await;
    let host = format!("HOST: {}", relay.upstream.address());
    assert_eq!(
        lines_without_trace(seen.header_lines()),
        [
            "x-Zulu: 1",
            &host,
            "User-Agent: T/1 (a; b)",
            "Authorization: Bearer sk-1",
            "aPi-Key: k",
            "X-Empty:",
            "X-Dup: one",
            "x-dUP: two, three",
            "Cookie: a=1; b=2",
            "Accept-Encoding: gzip, br;q=0.5",
            "X-Latin: caf\u{e9}",
            "Forwarded: for=x",
            "Via: 1.0 a",
            "X-Forwarded-For: 1.2.3.4",
            "Content-Length: 2",
            "X-Stainless-Retry-Count: 0",
        ]
    );
}

#[tokio::test]
async fn response_header_fields_keep_order_spelling_and_duplicates() {
    let relay = Relay::start().await;
    let sent = "HTTP/1.1 200 OK\r\nX-Request-ID: r1\r\nset-cookie: a=1\r\nSet-Cookie: b=2; Path=/\r\n\
        x-ratelimit-Remaining-Tokens: 9\r\nServer: s\r\nETag: W/\"x\"\r\nLocation: /x\r\nX-Empty: \r\n\
        Content-Type: text/plain\r\nContent-Length: 2\r\nAlt-Svc: h3=\":443\"\r\n\r\nok";
    let (_, got) = relay.exchange(get("/v1/x"), sent).await;
    assert_eq!(
        [got.head, got.raw_body].concat(),
        sent.as_bytes(),
        "every byte of the response"
    );
}

#[tokio::test]
async fn hop_by_hop_fields_of_a_request_stop_at_the_proxy() {
    let relay = Relay::start().await;
    let request = "GET /v1/x HTTP/1.1\r\nHost: me\r\nA: 1\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
        connection: x-other\r\nKeep-Alive: timeout=9\r\nProxy-Connection: keep-alive\r\nX-Other: 2\r\n\
        TE: gzip\r\nUpgrade: h2c\r\nProxy-Authorization: Basic eDp5\r\nB: 2\r\n\r\n";
    let (seen, _) = relay.exchange(request, OK).await;
    let host = format!("Host: {}", relay.upstream.address());
    assert_eq!(
        lines_without_trace(seen.header_lines()),
        [&host, "A: 1", "Proxy-Authorization: Basic eDp5", "B: 2"]
    );
}

#[tokio::test]
async fn hop_by_hop_fields_of_a_response_stop_at_the_proxy() {
    let relay = Relay::start().await;
    let sent = "HTTP/1.1 200 OK\r\nA: 1\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\n\
        Proxy-Authenticate: Basic\r\nTransfer-Encoding: chunked\r\nUpgrade: h2c\r\nB: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let mut pair = relay.pair().await;
    let (_, got) = pair.exchange(get("/v1/x"), sent).await;
    assert_eq!(
        got.header_lines(),
        [
            "A: 1",
            "Proxy-Authenticate: Basic",
            "Transfer-Encoding: chunked",
            "B: 2"
        ]
    );
    assert_eq!(got.text(), "ok");
    pair.served = None;
    let (_, next) = pair.exchange(get("/v1/y"), OK).await;
    assert_eq!(
        next.text(),
        "ok",
        "the client's connection outlives the upstream's"
    );
}

#[tokio::test]
async fn any_status_and_reason_pass() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    for line in [
        "200 OK",
        "200 Fine",
        "201 Created",
        "202 Accepted",
        "206 Partial Content",
        "299 Odd",
        "299 ",
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
        "400 Bad Request",
        "401 Unauthorized",
        "407 Proxy Authentication Required",
        "418 I'm a teapot",
        "422 Unprocessable Entity",
        "429 Too Many Requests",
        "444 None of it",
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Slow Down, Please!",
        "529 Site is overloaded",
        "599 x",
        "999 Request denied",
    ] {
        let sent = response(
            &format!("HTTP/1.1 {line}\r\nlocation: http://127.0.0.1:9/elsewhere"),
            b"the body",
        );
        let (_, got) = pair.exchange(get("/v1/x"), &sent).await;
        assert_eq!([got.head, got.raw_body].concat(), sent, "{line}");
    }
}

#[tokio::test]
async fn a_status_line_without_a_reason_stays_short() {
    let relay = Relay::start().await;
    let sent = "HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n";
    let (_, got) = relay.exchange(get("/v1/x"), sent).await;
    assert_eq!(got.start_line(), "HTTP/1.1 200 ");
}

#[tokio::test]
async fn a_response_without_a_body_has_none() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    for sent in [
        "HTTP/1.1 204 No Content\r\nx: y\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let (_, got) = pair.exchange(get("/v1/x"), sent).await;
        assert_eq!(String::from_utf8(got.head).unwrap(), sent);
    }
}

#[tokio::test]
async fn interim_responses_of_the_upstream_do_no_harm() {
    let relay = Relay::start().await;
    let sent = format!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n{OK}"
    );
    let (_, got) = relay.exchange(get("/v1/x"), sent).await;
    assert_eq!((got.status(), got.text()), (200, "ok"));
}

#[tokio::test]
async fn an_expectation_is_met_by_the_proxy_when_it_reads_the_body() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    pair.client
        .write(
            "POST /v1/x HTTP/1.1\r\nhost: me\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n",
        )
        .await;
    let interim = pair.client.read_head().await;
    assert_eq!(interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    pair.client.write("body").await;
    let seen = pair.served().await.read_request().await;
    assert_eq!((seen.header("expect"), seen.text()), (None, "body"));
    assert_eq!(pair.answer(OK).await.text(), "ok");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let three = [get("/v1/1"), get("/v1/2"), get("/v1/3")].concat();
    pair.client.write(three).await;
    for n in 1..=3 {
        let seen = pair.request().await;
        assert_eq!(seen.start_line(), format!("GET /v1/{n} HTTP/1.1"));
        let answer = pair
            .answer(response("HTTP/1.1 200 OK", n.to_string().as_bytes()))
            .await;
        assert_eq!(answer.text(), n.to_string());
    }
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    for n in 0..100 {
        let (seen, got) = pair.exchange(get(&format!("/v1/{n}")), OK).await;
        assert_eq!(seen.start_line(), format!("GET /v1/{n} HTTP/1.1"));
        assert_eq!(got.text(), "ok");
    }
    // A request that comes before the last connection is back in the pool gets another one.
    let made = pair.connections;
    assert!(made < 50, "{made} connections to the upstream");
}

#[tokio::test]
async fn a_pooled_connection_that_the_upstream_has_closed_is_not_used() {
    let relay = Relay::start().await;
    let mut client = client::connect(relay.server.proxy).await;
    for n in 0..50 {
        client.write(get(&format!("/v1/{n}"))).await;
        let mut served = relay.upstream.accept().await;
        served.read_request().await;
        served.write(OK).await;
        served.close().await;
        assert_eq!(client.read_response().await.status(), 200, "request {n}");
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_is_served() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let seen = pair.ask("GET /v1/x HTTP/1.0\r\nX: y\r\n\r\n").await;
    assert_eq!(seen.start_line(), "GET /v1/x HTTP/1.1");
    let chunked = [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
        chunk("all "),
        chunk("of it"),
        chunk(""),
    ]
    .concat();
    let got = pair.answer(chunked).await;
    assert_eq!(got.header("transfer-encoding"), None);
    assert_eq!(got.text(), "all of it");
}

#[tokio::test]
async fn an_upstream_of_http_1_0_does_not_show() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    pair.ask(get("/v1/x")).await;
    let mut served = pair.served.take().unwrap();
    served
        .write("HTTP/1.0 200 OK\r\nx: y\r\n\r\nall of it")
        .await;
    served.close().await;
    let got = pair.client.read_response().await;
    assert_eq!(got.start_line(), "HTTP/1.1 200 OK");
    assert_eq!(got.text(), "all of it");
}

#[tokio::test]
async fn a_client_that_asks_to_close_is_closed_after_its_response() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let request = "GET /v1/x HTTP/1.1\r\nhost: me\r\nconnection: close\r\n\r\n";
    let (seen, got) = pair.exchange(request, OK).await;
    assert_eq!(seen.header("connection"), None);
    assert_eq!(got.text(), "ok");
    assert_eq!(pair.client.closed().await, Closed::Eof);
}

#[tokio::test]
async fn connect_is_answered_by_the_proxy() {
    let relay = Relay::start().await;
    let request = "CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n";
    let answer = client::send(relay.server.proxy, request).await;
    assert_eq!(answer.status(), 405);
    assert_eq!(
        answer.header("x-streamgauge-error"),
        Some("method_not_allowed")
    );
}
