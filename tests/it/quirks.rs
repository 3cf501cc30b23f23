//! Every quirk of `docs/quirks.md`, replayed over real sockets: the client's bytes are the upstream's, and the facts are
//! right, or absent and counted.

mod fixture;
mod index;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use streamgauge::exchange::{Exchange, Quirk};

use crate::support::client::{post, send};
use crate::support::coding::CODINGS;
use crate::support::gauge::{DONE, FINISH, Gauge, STREAM_HEAD, chat, event, json, stream};
use crate::support::http1::chunk;
use crate::support::otlp::Attributes as _;
use crate::support::replay::{Answer, Replay};
use fixture::{Fixture, facts_of};

/// The path of a chat.
const CHAT: &str = "/v1/chat/completions";
/// Bytes of a piece where a fixture has no cuts of its own: a width that falls into lines, characters and line ends.
const PIECE: usize = 7;
/// Bytes of a piece of a coded body.
const CODED_PIECE: usize = 61;

/// Replays a body and checks that it reaches the client as it was sent.
async fn replay(
    proxy: &Replay,
    fixture: &Fixture,
    coding: Option<&str>,
    pieces: Vec<&[u8]>,
) -> Exchange {
    let head = fixture.head(coding);
    let sent = pieces.concat();
    let answer = Answer { head, pieces };
    let (received, exchange) = proxy.call(&fixture.request(), &answer).await;
    assert_eq!(received, sent, "{}: the client's bytes", fixture.name);
    exchange
}

#[tokio::test]
async fn every_fixture_passes_byte_for_byte_and_comes_to_its_facts() {
    let proxy = Replay::start().await;
    for fixture in fixture::all() {
        let exchange = replay(&proxy, &fixture, None, fixture.pieces(PIECE)).await;
        assert_eq!(
            facts_of(&fixture, &exchange),
            fixture.facts(),
            "{}",
            fixture.name
        );
    }
}

#[tokio::test]
async fn every_fixture_comes_to_the_same_facts_in_every_coding() {
    let proxy = Replay::start().await;
    for fixture in fixture::all() {
        for (coding, encode) in CODINGS {
            let coded = encode(&fixture.body);
            let pieces = coded.chunks(CODED_PIECE).collect();
            let exchange = replay(&proxy, &fixture, Some(coding), pieces).await;
            let name = &fixture.name;
            assert_eq!(
                facts_of(&fixture, &exchange),
                fixture.facts(),
                "{name} {coding}"
            );
        }
    }
}

/// The ids of the quirks of an exchange.
fn ids(exchange: &Exchange) -> Vec<&'static str> {
    exchange.quirks.iter().map(Quirk::id).collect()
}

/// The head of a whole answer.
const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
/// A whole answer.
const BODY: &[u8] = br#"{"object":"chat.completion","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}]}"#;

fn answer<'a>(head: &str, body: &'a [u8]) -> Answer<'a> {
    Answer {
        head: head.to_owned(),
        pieces: vec![body],
    }
}

#[tokio::test]
async fn a_coding_that_cannot_be_undone_is_counted() {
    let proxy = Replay::start().await;
    for (coding, body) in [("aes128gcm", BODY), ("gzip", &b"no gzip at all"[..])] {
        let head = format!("{JSON}content-encoding: {coding}\r\n");
        let request = post(CHAT, "{}");
        let (received, exchange) = proxy.call(&request, &answer(&head, body)).await;
        assert_eq!(received, body);
        assert_eq!(ids(&exchange), ["A-13"], "{coding}");
        assert_eq!(exchange.response.content_chars, None);
    }
}

#[tokio::test]
async fn a_compressed_request_is_read_and_counted() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(br#"{"model":"m"}"#).unwrap();
    let coded = encoder.finish().unwrap();
    let length = coded.len();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: a\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n"
    );
    let request = [head.as_bytes(), &coded].concat();
    let proxy = Replay::start().await;
    let (_, exchange) = proxy.call(&request, &answer(JSON, BODY)).await;
    assert_eq!(ids(&exchange), ["L-05"]);
    assert_eq!(exchange.request.model.as_deref(), Some("m"));
}

#[tokio::test]
async fn a_refusal_to_report_usage_is_counted() {
    let gauge = Gauge::start().await;
    let request = post(CHAT, r#"{"model":"m","stream":true,"messages":[]}"#);
    let refusal = json(400, r#"{"error":{"message":"stream_options is unknown"}}"#);
    let serve = async {
        for answer in [refusal, stream([FINISH, DONE])] {
            let mut served = gauge.upstream.accept().await;
            served.read_request().await;
            served.write(answer).await;
        }
    };
    tokio::join!(serve, send(gauge.server.proxy, &request));
    gauge.settled(1).await;
    let labels = [("quirk", "C-11"), ("upstream", "default")];
    let counted = gauge.server.metric("streamgauge_quirks_total", &labels);
    assert_eq!(counted.await, Some(1.0));
}

#[tokio::test]
async fn quirks_are_on_the_inference_span() {
    let gauge = Gauge::start().await;
    let odd = chunk("data:[DONE]\n\n");
    let events = [&event(FINISH)[..], &odd, &chunk("")].concat();
    gauge
        .call(chat(), [STREAM_HEAD.as_bytes(), &events].concat())
        .await;
    let (inference, server) = gauge.spans().await;
    assert_eq!(inference.texts("streamgauge.quirks"), Some(vec!["A-03"]));
    assert!(server.attribute("streamgauge.quirks").is_none());
}
