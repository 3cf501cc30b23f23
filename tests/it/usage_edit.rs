//! The one edit of bytes, through the real program: usage is asked for where a stream did not, and the event this adds
//! is taken out again, wherever the upstream's frames are cut.

use crate::support::client::post;
use crate::support::http1::{Message, chunk};
use crate::support::relay::{Pair, Relay};

const ASKED: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
const CHAT: &str = "/v1/chat/completions";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const REFUSED: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 4\r\n\r\nnope";

const USAGE: &str = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n";

/// A stream as an upstream sends it that was asked for usage.
fn stream() -> Vec<u8> {
    [
        ": hello\n\n",
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}],\"usage\":null}\n\n",
        "event: message\nid: 7\ndata: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"h\u{e4}\"}}]}\r\n\r\n",
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        USAGE,
        "data: [DONE]\n\n",
    ]
    .concat()
    .into_bytes()
}

fn without_usage(stream: &[u8]) -> Vec<u8> {
    String::from_utf8(stream.to_vec())
        .unwrap()
        .replace(USAGE, "")
        .into_bytes()
}

/// A response of these chunks, which the upstream sends in one write each.
fn streamed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut writes = vec![
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_vec(),
    ];
    writes.extend(
        pieces
            .into_iter()
            .filter(|piece| !piece.is_empty())
            .map(chunk),
    );
    writes.push(chunk(""));
    writes
}

/// The request with usage asked for.
fn edited() -> String {
    ASKED.replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1)
}

/// One call: what the upstream gets, and what the client does.
async fn call(
    pair: &mut Pair<'_>,
    path: &str,
    json: &str,
    writes: &[Vec<u8>],
) -> (Message, Message) {
    let seen = pair.ask(post(path, json)).await;
    for write in writes {
        pair.served().await.write(write).await;
    }
    (seen, pair.client.read_response().await)
}

#[tokio::test]
async fn the_request_gains_one_member_and_nothing_else_changes() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let length = ASKED.len();
    let request = format!(
        "POST {CHAT}?a=b HTTP/1.1\r\nX-One: 1\r\nHost: me\r\nAccept-Encoding: gzip, br\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nX-Two: 2\r\n\r\n{ASKED}"
    );
    let (seen, _) = pair.exchange(request, OK).await;
    assert_eq!(seen.start_line(), format!("POST {CHAT}?a=b HTTP/1.1"));
    assert_eq!(seen.text(), edited());
    let host = format!("Host: {}", relay.upstream.address());
    let length = format!("Content-Length: {}", edited().len());
    let lines: Vec<_> = seen
        .header_lines()
        .into_iter()
        .filter(|line| !line.starts_with("traceparent"))
        .collect();
    assert_eq!(
        lines,
        [
            "X-One: 1",
            &host,
            "Accept-Encoding: identity",
            "Content-Type: application/json",
            &length,
            "X-Two: 2",
        ]
    );
}

#[tokio::test]
async fn a_request_in_chunks_stays_in_chunks_and_keeps_its_trailers() {
    let relay = Relay::start().await;
    let (start, end) = ASKED.split_at(30);
    let request = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: me\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n\
         {:x}\r\n{start}\r\n{:x}\r\n{end}\r\n0\r\nx-sum: 42\r\n\r\n",
        start.len(),
        end.len()
    );
    let (seen, _) = relay.exchange(request, OK).await;
    assert_eq!(seen.text(), edited());
    assert_eq!(seen.trailers, b"x-sum: 42\r\n");
    assert_eq!(seen.header("content-length"), None);
}

#[tokio::test]
async fn the_client_sees_the_same_bytes_wherever_the_stream_is_cut() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let all = stream();
    let wanted = without_usage(&all);
    for cut in 0..=all.len() {
        let (start, end) = all.split_at(cut);
        let (seen, got) = call(&mut pair, CHAT, ASKED, &streamed([start, end])).await;
        assert_eq!(seen.text(), edited());
        assert!(
            got.body == wanted,
            "cut at {cut}: {:?}",
            String::from_utf8_lossy(&got.body)
        );
    }
    let (_, got) = call(&mut pair, CHAT, ASKED, &streamed(all.chunks(1))).await;
    assert!(got.body == wanted, "cut at every byte");
    let calls = format!("{}", all.len() + 2);
    relay
        .metric("streamgauge_integrity", "usage_removed", &calls)
        .await;
}

#[tokio::test]
async fn the_rest_of_the_response_is_the_upstreams() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let writes = streamed([&stream()[..]]);
    let (_, got) = call(&mut pair, CHAT, ASKED, &writes).await;
    assert_eq!(got.head, writes[0], "every byte of the head");
}

#[tokio::test]
async fn a_stream_with_a_length_loses_the_length_and_the_event() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let all = stream();
    let length = all.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n"
    );
    for cut in [0, 1, length / 2, length - 20, length] {
        let (start, end) = all.split_at(cut);
        let writes = [head.clone().into_bytes(), start.to_vec(), end.to_vec()];
        let (_, got) = call(&mut pair, CHAT, ASKED, &writes).await;
        assert_eq!(got.header("content-length"), None);
        assert_eq!(got.body, without_usage(&all), "cut at {cut}");
    }
}

#[tokio::test]
async fn a_stream_that_is_shortened_loses_its_digest() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let all = stream();
    let digests = "content-digest: sha-256=:AA==:\r\nDigest: a=b\r\nRepr-Digest: a\r\nContent-MD5: AA==\r\nETag: \"a\"\r\n";
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{digests}content-length: {}\r\n\r\n",
        all.len()
    );
    let writes = [head.into_bytes(), all.clone()];
    let (_, got) = call(&mut pair, CHAT, ASKED, &writes).await;
    assert_eq!(got.body, without_usage(&all));
    for name in [
        "content-digest",
        "digest",
        "repr-digest",
        "content-md5",
        "etag",
    ] {
        assert_eq!(got.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_request_that_vouches_for_its_body_is_left_as_it_is() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let carried = ASKED.replacen('{', r#"{"_trace_ctx":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},"#, 1);
    for field in [
        "Content-Digest: sha-256=:AA==:",
        "Repr-Digest: sha-256=:AA==:",
        "Digest: sha-256=AA==",
        "Content-MD5: AA==",
        "X-Amz-Content-Sha256: 00",
        "Signature-Input: sig=(\"content-length\")",
        "Signature: sig=:AA==:",
        "X-Ms-Content-Sha256: AA==",
        "Authorization: GOOG4-RSA-SHA256 Credential=\u{e9}",
        "Authorization: AWS4-HMAC-SHA256 Credential=a/20261201/eu-west-1/bedrock/aws4_request, SignedHeaders=host, Signature=00",
    ] {
        for body in [ASKED, &carried] {
            let request = format!(
                "POST {CHAT} HTTP/1.1\r\nHost: me\r\n{field}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let (seen, _) = pair.exchange(request, OK).await;
            assert_eq!(seen.text(), body, "{field}");
        }
    }
}

#[tokio::test]
async fn trailers_of_an_edited_stream_pass_but_for_its_digest() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let length = ASKED.len();
    pair.ask(format!(
        "POST {CHAT} HTTP/1.1\r\nhost: me\r\nte: trailers\r\ncontent-length: {length}\r\n\r\n{ASKED}"
    ))
    .await;
    let all = stream();
    let sent = [
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n",
        &chunk(&all)[..],
        b"0\r\nx-sum: 42\r\nContent-Digest: sha-256=:AA==:\r\n\r\n",
    ]
    .concat();
    let got = pair.answer(sent).await;
    assert_eq!(
        (got.body, got.trailers),
        (without_usage(&all), b"x-sum: 42\r\n".to_vec())
    );
}

#[tokio::test]
async fn trailers_of_what_is_no_stream_keep_its_digest() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    pair.ask(post(CHAT, ASKED)).await;
    let digest = "Content-Digest: sha-256=:AA==:\r\n";
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = format!("{head}2\r\n{{}}\r\n0\r\n{digest}\r\n");
    let got = pair.answer(answer.into_bytes()).await;
    assert_eq!(got.text(), "{}");
    assert_eq!(got.trailers, digest.as_bytes());
}

#[tokio::test]
async fn text_completions_are_edited_too() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let asked = r#"{ "prompt" : "a", "stream" : true }"#;
    let text =
        "data: {\"object\":\"text_completion\",\"choices\":[{\"index\":0,\"text\":\"hi\"}]}\n\n";
    let all = format!("{text}{USAGE}data: [DONE]\n\n");
    for path in [
        "/v1/completions",
        "/openai/deployments/d/completions?api-version=1",
        "/openai/deployments/d/chat/completions?api-version=1",
    ] {
        for cut in 0..=all.len() {
            let (start, end) = all.as_bytes().split_at(cut);
            let (seen, got) = call(&mut pair, path, asked, &streamed([start, end])).await;
            assert_eq!(
                seen.text(),
                r#"{"stream_options":{"include_usage":true}, "prompt" : "a", "stream" : true }"#
            );
            assert_eq!(got.text(), all.replace(USAGE, ""), "{path} cut at {cut}");
        }
    }
}

#[tokio::test]
async fn what_the_client_asked_for_itself_passes_untouched() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let all = stream();
    for asked in [
        r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        r#"{"stream":true,"stream_options":{"include_usage":false}}"#,
        r#"{"stream":true,"stream_options":null}"#,
        r#"{"stream":true,"stream_options":{}}"#,
        r#"{"stream":true,"stream_options":{"include_obfuscation":false}}"#,
        r#"{"stream":true,"stream":true}"#,
        r#"{"stream":true"#,
        "\u{feff}{\"stream\":true}",
        r#"{"stream":false}"#,
        r#"{"messages":[]}"#,
        "",
        "no json",
    ] {
        let length = asked.len();
        let request = format!(
            "POST {CHAT} HTTP/1.1\r\nhost: me\r\naccept-encoding: br\r\ncontent-length: {length}\r\n\r\n{asked}"
        );
        let seen = pair.ask(request).await;
        assert_eq!(seen.text(), asked);
        assert_eq!(seen.header("accept-encoding"), Some("br"), "{asked}");
        let got = pair.answer(streamed([&all[..]]).concat()).await;
        assert_eq!(got.body, all, "{asked}");
    }
    for path in [
        "/v1/responses",
        "/v1/fim/completions",
        "/v1/agents/completions",
    ] {
        let (seen, got) = call(&mut pair, path, ASKED, &streamed([&all[..]])).await;
        assert_eq!((seen.text(), &got.body), (ASKED, &all), "{path}");
    }
}

#[tokio::test]
async fn a_request_that_nests_deep_is_edited_all_the_same() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let asked = format!(r#"{{"x":{deep},"stream":true}}"#);
    let all = stream();
    let (seen, got) = call(&mut pair, CHAT, &asked, &streamed([&all[..]])).await;
    let edited = asked.replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1);
    assert_eq!((seen.text(), got.body), (&*edited, without_usage(&all)));
}

#[tokio::test]
async fn an_error_that_calls_itself_a_stream_keeps_its_framing() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    for status in ["400 Bad Request", "429 Too Many Requests", "500 Oops"] {
        let body = "data: {\"error\":{\"message\":\"the temperature is too high\"}}\n\n";
        let length = body.len();
        let sent = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let (seen, got) = pair.exchange(post(CHAT, ASKED), &sent).await;
        assert_eq!(seen.text(), edited());
        assert_eq!(
            [got.head, got.raw_body].concat(),
            sent.as_bytes(),
            "{status}"
        );
    }
}

/// What the client sees of a body in these pieces, with these fields in its head.
async fn seen_of<'a>(
    pair: &mut Pair<'_>,
    fields: &str,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Message {
    let mut writes = streamed(pieces);
    let head = format!("HTTP/1.1 200 OK\r\n{fields}transfer-encoding: chunked\r\n\r\n");
    writes[0] = head.into_bytes();
    call(pair, CHAT, ASKED, &writes).await.1
}

#[tokio::test]
async fn a_stream_by_another_name_is_one_by_its_beginning() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let all = stream();
    let blank = [b"\r\n\n", &all[..]].concat();
    for kind in [
        "",
        "content-type: application/json\r\n",
        "content-type: text/plain\r\n",
    ] {
        for all in [&all, &blank] {
            for cut in 0..10 {
                let (start, end) = all.split_at(cut);
                let got = seen_of(&mut pair, kind, [start, end]).await;
                assert_eq!(got.body, without_usage(all), "{kind}, cut at {cut}");
            }
            let got = seen_of(&mut pair, kind, all.chunks(1)).await;
            assert_eq!(got.body, without_usage(all), "{kind}");
        }
        for text in ["d", "da: ta", "{\"usage\":{}}"] {
            let got = seen_of(&mut pair, kind, text.as_bytes().chunks(1)).await;
            assert_eq!(got.text(), text, "{kind}");
        }
        let tag = format!("{kind}etag: \"a\"\r\n");
        let got = seen_of(&mut pair, &tag, [&all[..]]).await;
        assert_eq!(got.header("etag"), Some("\"a\""));
        assert_eq!(got.body, all);
    }
}

#[tokio::test]
async fn a_response_that_is_no_stream_passes_untouched() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let sent = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{USAGE}",
        USAGE.len()
    );
    let (_, got) = call(&mut pair, CHAT, ASKED, &[sent.clone().into_bytes()]).await;
    assert_eq!([got.head, got.raw_body].concat(), sent.as_bytes());
}

#[tokio::test]
async fn a_refused_edit_is_repeated_once_with_the_original_and_remembered_when_that_succeeds() {
    for refusal in ["400 Bad Request", "422 Unprocessable Entity"] {
        let relay = Relay::start().await;
        let mut pair = relay.pair().await;
        let first = pair.ask(post(CHAT, ASKED)).await;
        assert_eq!(first.text(), edited());
        let refused = format!("HTTP/1.1 {refusal}\r\ncontent-length: 0\r\n\r\n");
        pair.served().await.write(refused).await;
        let second = pair.request().await;
        assert_eq!(second.text(), ASKED);
        let all = without_usage(&stream());
        let got = pair.answer(streamed([&all[..]]).concat()).await;
        assert_eq!((got.status(), got.body), (200, all));

        let third = pair.ask(post(CHAT, ASKED)).await;
        assert_eq!(third.text(), ASKED, "it is not asked again");
        let all = stream();
        let got = pair.answer(streamed([&all[..]]).concat()).await;
        assert_eq!(got.body, all, "and nothing is taken out");
    }
}

#[tokio::test]
async fn the_repeat_has_every_header_line_of_the_client() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let length = ASKED.len();
    let request = format!(
        "POST {CHAT} HTTP/1.1\r\nX-One: 1\r\nHost: me\r\nAccept-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n{ASKED}"
    );
    pair.ask(request).await;
    pair.served().await.write(REFUSED).await;
    let second = pair.request().await;
    let host = format!("Host: {}", relay.upstream.address());
    let length = format!("Content-Length: {length}");
    assert_eq!(
        second.header_lines()[..4],
        ["X-One: 1", &host, "Accept-Encoding: gzip", &length]
    );
}

#[tokio::test]
async fn a_request_that_is_wrong_in_itself_is_no_reason_to_remember() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    pair.ask(post(CHAT, ASKED)).await;
    pair.served().await.write(REFUSED).await;
    assert_eq!(pair.request().await.text(), ASKED);
    let got = pair.answer(REFUSED).await;
    assert_eq!((got.status(), got.text()), (400, "nope"));
    let next = pair.ask(post(CHAT, ASKED)).await;
    assert_eq!(next.text(), edited(), "the upstream is asked as before");
}

#[tokio::test]
async fn other_errors_are_not_repeated() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    for status in [401, 404, 429, 500, 503] {
        let sent = format!("HTTP/1.1 {status} No\r\ncontent-length: 4\r\n\r\nnope");
        let (seen, got) = pair.exchange(post(CHAT, ASKED), sent).await;
        assert_eq!(seen.text(), edited());
        assert_eq!((got.status(), got.text()), (status, "nope"));
    }
}

#[tokio::test]
async fn a_client_that_has_its_answer_is_not_failed_by_the_repeat() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    pair.ask(post(CHAT, ASKED)).await;
    pair.served().await.write(REFUSED).await;
    assert_eq!(pair.request().await.text(), ASKED);
    pair.served.take().unwrap().close().await;
    let got = pair.client.read_response().await;
    assert_eq!((got.status(), got.text()), (400, "nope"));
}

#[tokio::test]
async fn injection_can_be_turned_off() {
    let relay = Relay::with(|program| program.env("STREAMGAUGE_USAGE_INJECT", "false")).await;
    let mut pair = relay.pair().await;
    let all = stream();
    let length = ASKED.len();
    let request = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: me\r\naccept-encoding: gzip\r\ncontent-length: {length}\r\n\r\n{ASKED}"
    );
    let (seen, got) = pair.exchange(request, streamed([&all[..]]).concat()).await;
    assert_eq!((seen.text(), got.body), (ASKED, all));
    assert_eq!(seen.header("accept-encoding"), Some("gzip"));
}

#[tokio::test]
async fn a_stream_that_comes_coded_all_the_same_keeps_the_event_and_is_counted() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, &stream()).unwrap();
    let coded = encoder.finish().unwrap();
    let mut writes = streamed([&coded[..]]);
    writes[0] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let (seen, got) = call(&mut pair, CHAT, ASKED, &writes).await;
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert_eq!(got.body, coded);
    relay
        .metric("streamgauge_integrity", "usage_left", "1")
        .await;
}
