//! A stream goes out as it comes in: each write of the upstream reaches the client while the stream stays open, and a
//! side that does not read holds the other one up. Every wait here is for bytes that the other side has already sent.

use std::sync::atomic::Ordering;

use crate::support::client::post;
use crate::support::flood::{FLOOD, HELD, PIECE, flood};
use crate::support::http1::{Connection, chunk};
use crate::support::relay::{Pair, Relay};

const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

const STREAMED: &str = r#"{"model":"m","stream":true}"#;
const WITH_USAGE: &str = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;

/// Through the usage filter, past it, and where nothing is understood.
const WAYS: [(&str, &str); 3] = [
    ("/v1/chat/completions", STREAMED),
    ("/v1/chat/completions", WITH_USAGE),
    ("/v1/anything", "{}"),
];

/// An open stream: its head is through, and nothing of its body.
async fn open<'a>(relay: &'a Relay, (path, json): (&str, &str)) -> Pair<'a> {
    let mut pair = relay.pair().await;
    pair.ask(post(path, json)).await;
    pair.served().await.write(HEAD).await;
    assert_eq!(
        pair.client.read_head().await,
        HEAD.as_bytes(),
        "the head goes out before there is a body"
    );
    pair
}

/// Reads so many bytes of content, and what else the last chunk has, in whatever chunks they come.
async fn content(client: &mut Connection, length: usize) -> Vec<u8> {
    let mut content = Vec::new();
    while content.len() < length {
        let chunk = client.read_chunk().await;
        assert!(!chunk.is_last, "the stream ended after {content:?}");
        content.extend_from_slice(&chunk.data);
    }
    content
}

#[tokio::test]
async fn each_write_goes_out_in_its_own_chunk_while_the_stream_stays_open() {
    let relay = Relay::start().await;
    let events = [
        ": keep-alive\n\n",
        ":\n\n",
        "\n",
        "retry: 1000\n\n",
        "event: ping\ndata: {}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"}}]}\r\n\r\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"c\"}}]}\r\r",
        "data: {\"choices\":[{\"index\":0,\"delta\":{}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"half an event",
        " and its end\"}}]}\n\n",
        "data: [DONE]\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"after the end\"}}]}\n\n",
        ": bye\n\n",
    ];
    for way in WAYS {
        let mut pair = open(&relay, way).await;
        for event in events {
            pair.served().await.write(chunk(event)).await;
            let got = pair.client.read_chunk().await;
            assert_eq!(String::from_utf8(got.data).unwrap(), event, "{way:?}");
        }
        pair.served().await.write(chunk("")).await;
        assert!(pair.client.read_chunk().await.is_last);
    }
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_is_streamed_too() {
    let relay = Relay::start().await;
    for way in WAYS {
        let mut pair = relay.pair().await;
        pair.ask(post(way.0, way.1)).await;
        let mut served = pair.served.take().unwrap();
        served
            .write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
            .await;
        pair.client.read_head().await;
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            served.write(event).await;
            assert_eq!(pair.client.read_chunk().await.data, event.as_bytes());
        }
        served.close().await;
        assert!(pair.client.read_chunk().await.is_last, "{way:?}");
    }
}

#[tokio::test]
async fn what_is_no_event_stream_is_streamed_too() {
    let relay = Relay::start().await;
    for kind in ["application/x-ndjson", "application/json", "audio/mpeg"] {
        let mut pair = relay.pair().await;
        pair.ask(post("/v1/chat/completions", STREAMED)).await;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        pair.served().await.write(&head).await;
        assert_eq!(pair.client.read_head().await, head.as_bytes());
        for part in ["{\"a\":", "1}", "\n", "\u{1f600}"] {
            pair.served().await.write(chunk(part)).await;
            assert_eq!(pair.client.read_chunk().await.data, part.as_bytes());
        }
    }
}

#[tokio::test]
async fn odd_chunks_bring_their_bytes() {
    let relay = Relay::start().await;
    for way in WAYS {
        let mut pair = open(&relay, way).await;
        for (written, brings) in [
            (
                &["9;name=value;other=\"x;y\"\r\ndata: 1\n\n\r\n"][..],
                "data: 1\n\n",
            ),
            (&["0000009\r\ndata: 2\n\n\r\n"], "data: 2\n\n"),
            (
                &["0000A", "\r", "\ndata: 33\n\n", "\r", "\n"],
                "data: 33\n\n",
            ),
            (&["1\r\nd\r\n1\r\na\r\n7\r\nta: 4\n\n\r\n"], "data: 4\n\n"),
        ] {
            for part in written {
                pair.served().await.write(part).await;
            }
            let got = content(&mut pair.client, brings.len()).await;
            assert_eq!(String::from_utf8(got).unwrap(), brings, "{way:?}");
        }
    }
}

#[tokio::test]
async fn a_line_of_any_length_passes_before_it_has_ended() {
    let relay = Relay::start().await;
    let piece = "x".repeat(100_000);
    for way in WAYS {
        let mut pair = open(&relay, way).await;
        pair.served().await.write(chunk("data: {\"x\":\"")).await;
        pair.served().await.write(chunk(&piece)).await;
        let got = content(&mut pair.client, 12 + piece.len()).await;
        assert!(got.ends_with(piece.as_bytes()), "{way:?}");
        for _ in 0..30 {
            pair.served().await.write(chunk(&piece)).await;
            let got = content(&mut pair.client, piece.len()).await;
            assert!(got == piece.as_bytes(), "{way:?}");
        }
        pair.served().await.write(chunk("\"}\n\n")).await;
        assert_eq!(content(&mut pair.client, 4).await, b"\"}\n\n");
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_the_one_asked_for_is_not_held_back() {
    let relay = Relay::start().await;
    let mut pair = open(&relay, WAYS[0]).await;
    let start = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
    pair.served().await.write(chunk(start)).await;
    assert_eq!(pair.client.read_chunk().await.data, start.as_bytes());
    for piece in ["one ", "token ", "after ", "the other"] {
        pair.served().await.write(chunk(piece)).await;
        assert_eq!(pair.client.read_chunk().await.data, piece.as_bytes());
    }
}

#[tokio::test]
async fn many_streams_go_on_side_by_side() {
    let relay = Relay::start().await;
    let mut pairs = Vec::new();
    for _ in 0..50 {
        pairs.push(open(&relay, WAYS[0]).await);
    }
    for round in 0..10 {
        for (n, pair) in pairs.iter_mut().enumerate() {
            let event = format!("data: {{\"choices\":[{{\"delta\":\"{n} {round}\"}}]}}\n\n");
            pair.served().await.write(chunk(&event)).await;
            assert_eq!(pair.client.read_chunk().await.data, event.as_bytes());
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_the_upstream() {
    let relay = Relay::start().await;
    for way in WAYS {
        let mut pair = open(&relay, way).await;
        let event = format!("data: {}\n\n", "x".repeat(PIECE));
        let (written, writing) = flood(pair.served.take().unwrap(), chunk(&event)).await;
        let held = written.load(Ordering::Relaxed);
        assert!(
            held < HELD,
            "{held} bytes were taken from the upstream, {way:?}"
        );
        let events = held / event.len() + 100;
        let got = content(&mut pair.client, events * event.len()).await;
        for (n, got) in got.chunks_exact(event.len()).take(events).enumerate() {
            assert!(got == event.as_bytes(), "event {n}, {way:?}");
        }
        assert!(written.load(Ordering::Relaxed) > held, "the flood goes on");
        writing.abort();
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_read_holds_up_the_client() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let head = format!("POST /v1/files HTTP/1.1\r\nhost: me\r\ncontent-length: {FLOOD}\r\n\r\n");
    pair.client.write(head).await;
    pair.served().await.read_head().await;
    let Pair { client, served, .. } = pair;
    let (written, writing) = flood(client, vec![b'x'; PIECE]).await;
    let held = written.load(Ordering::Relaxed);
    assert!(held < HELD, "{held} bytes were taken from the client");
    let got = served.unwrap().read_exact(FLOOD).await;
    assert!(got.iter().all(|byte| *byte == b'x'));
    writing.await.unwrap();
}
