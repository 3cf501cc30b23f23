//! Bodies and their trailers: coded, framed and streamed as they were sent, however large.

use super::{OK, get, response};
use crate::support::http1::Framing;
use crate::support::relay::Relay;

#[tokio::test]
async fn trailers_pass_to_the_upstream() {
    let relay = Relay::start().await;
    let request = "POST /v1/x HTTP/1.1\r\nhost: me\r\ntrailer: X-Sum\r\ntransfer-encoding: chunked\r\n\r\n\
        2\r\nab\r\n0\r\nX-Sum: 42\r\n\r\n";
    let (seen, _) = relay.exchange(request, OK).await;
    assert_eq!(seen.header("trailer"), Some("X-Sum"));
    assert_eq!(seen.text(), "ab");
    assert_eq!(
        String::from_utf8(seen.trailers)
            .unwrap()
            .to_ascii_lowercase(),
        "x-sum: 42\r\n"
    );
}

#[tokio::test]
async fn trailers_pass_to_a_client_that_reads_them() {
    let relay = Relay::start().await;
    let request = "GET /v1/x HTTP/1.1\r\nhost: me\r\nTE: trailers\r\nConnection: TE\r\n\r\n";
    let sent = "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 42\r\n\r\n";
    let (seen, got) = relay.exchange(request, sent).await;
    assert_eq!(seen.header("te"), Some("trailers"));
    assert_eq!(seen.header("connection"), Some("te"));
    assert_eq!(got.text(), "ab");
    assert_eq!(
        String::from_utf8(got.trailers)
            .unwrap()
            .to_ascii_lowercase(),
        "x-sum: 42\r\n"
    );
}

#[tokio::test]
async fn coded_bodies_pass_byte_for_byte() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    for coding in ["gzip", "br", "zstd", "deflate", "aes128gcm", "gzip, br"] {
        // Bytes that are no proper coding at all: who decodes on the way would stumble.
        let body: Vec<u8> = (0..=255).rev().collect();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: me\r\naccept-encoding: {coding}\r\n\
             content-type: application/json\r\ncontent-encoding: {coding}"
        );
        let sent = response(
            &format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: {coding}"
            ),
            &body,
        );
        let (seen, got) = pair.exchange(response(&head, &body), &sent).await;
        assert_eq!(seen.body, body);
        assert_eq!(seen.header("content-encoding"), Some(coding));
        assert_eq!(seen.header("accept-encoding"), Some(coding));
        assert_eq!([got.head, got.raw_body].concat(), sent, "{coding}");
    }
}

#[tokio::test]
async fn a_body_keeps_the_framing_it_was_sent_with() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    for path in ["/v1/x", "/v1/chat/completions"] {
        let with_length = format!(
            "POST {path} HTTP/1.1\r\nhost: me\r\ncontent-length: 13\r\n\r\n{{\"model\":\"m\"}}"
        );
        let (seen, _) = pair.exchange(with_length, OK).await;
        assert_eq!(seen.header("content-length"), Some("13"), "{path}");
        assert_eq!(seen.text(), "{\"model\":\"m\"}");

        let chunked = format!(
            "POST {path} HTTP/1.1\r\nhost: me\r\ntransfer-encoding: chunked\r\n\r\n\
             8\r\n{{\"model\"\r\n5;ext=1\r\n:\"m\"}}\r\n0\r\n\r\n"
        );
        let (seen, _) = pair.exchange(chunked, OK).await;
        assert_eq!(seen.header("content-length"), None, "{path}");
        assert_eq!(seen.header("transfer-encoding"), Some("chunked"), "{path}");
        assert_eq!(seen.text(), "{\"model\":\"m\"}");

        let empty = format!("POST {path} HTTP/1.1\r\nhost: me\r\ncontent-length: 0\r\n\r\n");
        let (seen, _) = pair.exchange(empty, OK).await;
        assert_eq!(
            (seen.header("content-length"), seen.text()),
            (Some("0"), "")
        );

        let none = format!("POST {path} HTTP/1.1\r\nhost: me\r\n\r\n");
        let (seen, _) = pair.exchange(none, OK).await;
        assert_eq!(seen.header("transfer-encoding"), None);
        assert_eq!(seen.text(), "");
    }
}

#[tokio::test]
async fn a_response_until_the_connection_closes_passes_whole() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    pair.ask(get("/v1/x")).await;
    let mut served = pair.served.take().unwrap();
    served.write("HTTP/1.1 200 OK\r\nx: y\r\n\r\nall ").await;
    served.write("of it").await;
    served.close().await;
    assert_eq!(pair.client.read_response().await.text(), "all of it");
}

/// So large that no buffer on the way holds it.
const LARGE: usize = 20 << 20;

#[tokio::test]
async fn a_large_upload_streams() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let head = format!("POST /v1/files HTTP/1.1\r\nhost: me\r\ncontent-length: {LARGE}\r\n\r\n");
    pair.client.write(format!("{head}first")).await;
    let seen = pair.served().await.read_head().await;
    assert!(
        String::from_utf8(seen)
            .unwrap()
            .contains(&LARGE.to_string())
    );
    assert_eq!(
        pair.served().await.read_exact(5).await,
        b"first",
        "the upstream has the first bytes before the last are sent"
    );
    let rest = vec![b'x'; LARGE - 5];
    let served = pair.served.as_mut().unwrap();
    let (_, got) = tokio::join!(pair.client.write(&rest), served.read_exact(rest.len()));
    assert!(got == rest, "the bytes differ");
    assert_eq!(pair.answer(OK).await.text(), "ok");
}

#[tokio::test]
async fn a_large_download_streams() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    pair.ask(get("/v1/files/1/content")).await;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n");
    pair.served().await.write(format!("{head}first")).await;
    assert_eq!(pair.client.read_head().await, head.as_bytes());
    assert_eq!(pair.client.read_exact(5).await, b"first");
    let rest = vec![b'x'; LARGE - 5];
    let served = pair.served.as_mut().unwrap();
    let (_, got) = tokio::join!(served.write(&rest), pair.client.read_exact(rest.len()));
    assert!(got == rest, "the bytes differ");
}

#[tokio::test]
async fn a_request_too_large_to_inspect_streams_unedited_and_is_counted() {
    let relay =
        Relay::with(|program| program.env("STREAMGAUGE_LIMITS_INSPECT_BYTES", "1000")).await;
    let padding = "x".repeat(2000);
    let body = format!("{{\"stream\":true,\"model\":\"m\",\"x\":\"{padding}\"}}");
    let (start, end) = body.split_at(1500);
    let length = body.len();
    let with_length = (
        format!("content-length: {length}\r\n\r\n{start}"),
        end.to_owned(),
    );
    let chunked = (
        format!("transfer-encoding: chunked\r\n\r\n5dc\r\n{start}\r\n"),
        format!("{:x}\r\n{end}\r\n0\r\n\r\n", end.len()),
    );
    for (count, (first, last)) in [with_length, chunked].into_iter().enumerate() {
        let mut pair = relay.pair().await;
        let head =
            "POST /v1/chat/completions HTTP/1.1\r\nhost: me\r\ncontent-type: application/json\r\n";
        pair.client.write(format!("{head}{first}")).await;
        let served = pair.served().await;
        let seen = served.read_head().await;
        let framing = crate::support::http1::framing(&seen, Framing::Empty);
        pair.client.write(last).await;
        let served = pair.served().await;
        assert_eq!(served.read_body(seen, framing).await.text(), body);
        assert_eq!(pair.answer(OK).await.text(), "ok");
        pair.served.take().unwrap().close().await;
        let wanted = format!("{}", count + 1);
        relay
            .metric("streamgauge_observation_problems", "oversized", &wanted)
            .await;
    }
}
