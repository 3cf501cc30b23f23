//! Connections that change their protocol, through the real program: every byte passes in both directions, and an end
//! on one side is an end on the other.

use std::sync::atomic::Ordering;

use crate::support::client;
use crate::support::flood::{FLOOD, HELD, PIECE, flood};
use crate::support::http1::{Closed, Connection};
use crate::support::relay::{Pair, Relay};
use crate::support::websocket::frame;

const ASK: &str = "GET /v1/realtime?model=m HTTP/1.1\r\nHost: me\r\nConnection: keep-alive, Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n\r\n";

/// A tunnel: the client's end and the upstream's.
async fn tunnel(relay: &Relay) -> (Connection, Connection) {
    let mut pair = relay.pair().await;
    pair.ask(ASK).await;
    pair.answer(SWITCH).await;
    let Pair { client, served, .. } = pair;
    (client, served.unwrap())
}

/// What the admin port shows of the exchanges that are over.
async fn recent(relay: &Relay, count: usize) -> Vec<serde_json::Value> {
    loop {
        let page = client::get(relay.server.admin, "/api/exchanges").await;
        let page: serde_json::Value = serde_json::from_slice(&page.body).unwrap();
        let recent = page["exchanges"].as_array().unwrap();
        if recent.len() >= count {
            return recent.clone();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_handshake_passes_both_ways() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let asked = pair.ask(ASK).await;
    assert_eq!(asked.start_line(), "GET /v1/realtime?model=m HTTP/1.1");
    assert_eq!(
        asked.header_lines()[1..],
        [
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==",
            "Sec-WebSocket-Version: 13",
        ]
    );
    let switched = pair.answer(SWITCH).await;
    assert_eq!(String::from_utf8(switched.head).unwrap(), SWITCH);
}

#[tokio::test]
async fn every_byte_passes_both_ways_at_once() {
    let relay = Relay::start().await;
    let (mut client, mut served) = tunnel(&relay).await;
    let all: Vec<u8> = (0..=255).collect();
    for round in 1..=50 {
        let sent = all.repeat(round);
        client.write(&sent).await;
        assert_eq!(served.read_exact(sent.len()).await, sent);
        served.write(&sent).await;
        assert_eq!(client.read_exact(sent.len()).await, sent);
    }
}

#[tokio::test]
async fn bytes_sent_together_with_the_handshake_are_kept() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    pair.ask(format!("{ASK}early from the client")).await;
    pair.answer(format!("{SWITCH}early from the upstream"))
        .await;
    assert_eq!(pair.client.read_exact(23).await, b"early from the upstream");
    assert_eq!(
        pair.served().await.read_exact(21).await,
        b"early from the client"
    );
}

#[tokio::test]
async fn an_end_of_the_client_reaches_the_upstream_which_may_still_speak() {
    let relay = Relay::start().await;
    let (mut client, mut served) = tunnel(&relay).await;
    client.write("bye").await;
    client.finish().await;
    assert_eq!(served.read_to_end().await, (b"bye".to_vec(), Closed::Eof));
    served.write("last words").await;
    served.close().await;
    assert_eq!(
        client.read_to_end().await,
        (b"last words".to_vec(), Closed::Eof)
    );
}

#[tokio::test]
async fn an_end_of_the_upstream_reaches_the_client() {
    let relay = Relay::start().await;
    let (mut client, mut served) = tunnel(&relay).await;
    served.write("bye").await;
    served.close().await;
    assert_eq!(client.read_to_end().await, (b"bye".to_vec(), Closed::Eof));
}

#[tokio::test]
async fn a_side_that_aborts_ends_the_other() {
    let relay = Relay::start().await;
    let (client, mut served) = tunnel(&relay).await;
    client.reset();
    served.closed().await;

    let (mut client, served) = tunnel(&relay).await;
    served.reset();
    client.closed().await;
}

#[tokio::test]
async fn an_exchange_lasts_as_long_as_its_tunnel_and_is_done_then() {
    let relay = Relay::start().await;
    let (client, mut served) = tunnel(&relay).await;
    let in_flight = client::get(relay.server.admin, "/api/in-flight").await;
    let in_flight: serde_json::Value = serde_json::from_slice(&in_flight.body).unwrap();
    assert_eq!(in_flight["count"], 1);
    client.close().await;
    served.closed().await;
    drop(served);
    let row = &recent(&relay, 1).await[0];
    assert_eq!((&row["status"], &row["end"]), (&101.into(), &"done".into()));
}

#[tokio::test]
async fn an_upstream_that_refuses_answers_as_ever() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let refused = "HTTP/1.1 426 Upgrade Required\r\nupgrade: websocket\r\nconnection: Upgrade\r\ncontent-length: 4\r\n\r\nnope";
    let (_, answer) = pair.exchange(ASK, refused).await;
    assert_eq!((answer.status(), answer.text()), (426, "nope"));
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    let (asked, answer) = pair
        .exchange(
            "GET /v1/models HTTP/1.1\r\nHost: me\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        )
        .await;
    assert_eq!(asked.start_line(), "GET /v1/models HTTP/1.1");
    assert_eq!(answer.text(), "ok", "the connection is HTTP's still");
}

#[tokio::test]
async fn a_change_nobody_asked_for_is_a_502() {
    let relay = Relay::start().await;
    let (_, answer) = relay
        .exchange("GET /v1/models HTTP/1.1\r\nHost: me\r\n\r\n", SWITCH)
        .await;
    assert_eq!(answer.status(), 502);
    assert_eq!(
        answer.header("x-streamgauge-error"),
        Some("connection_broken")
    );
}

#[tokio::test]
async fn shutting_down_waits_for_tunnels() {
    let mut relay = Relay::start().await;
    let (mut client, mut served) = tunnel(&relay).await;
    relay.server.process.terminate().await;
    relay
        .server
        .process
        .message(
            "shutting down: waiting for streams in flight to finish; a second signal stops at once",
        )
        .await;
    client.write("still here").await;
    assert_eq!(served.read_exact(10).await, b"still here");
    client.close().await;
    served.closed().await;
    drop(served);
    assert!(relay.server.process.exit().await.success());
}

#[tokio::test]
async fn a_side_that_does_not_read_holds_up_the_other() {
    let relay = Relay::start().await;
    for from_client in [true, false] {
        let (client, served) = tunnel(&relay).await;
        let (writer, mut reader) = if from_client {
            (client, served)
        } else {
            (served, client)
        };
        let (written, writing) = flood(writer, vec![b'x'; PIECE]).await;
        let held = written.load(Ordering::Relaxed);
        assert!(held < HELD, "{held} bytes were taken, {from_client}");
        let got = reader.read_exact(FLOOD).await;
        assert!(got.iter().all(|byte| *byte == b'x'), "{from_client}");
        writing.await.unwrap();
    }
}

#[tokio::test]
async fn close_frames_pass_with_their_codes() {
    let relay = Relay::start().await;
    let (mut client, mut served) = tunnel(&relay).await;
    let going_away = frame(8, b"\x03\xe9going away", Some([1, 2, 3, 4]));
    client.write(&going_away).await;
    assert_eq!(served.read_exact(going_away.len()).await, going_away);
    let internal = frame(8, b"\x03\xf3", None);
    served.write(&internal).await;
    served.close().await;
    assert_eq!(client.read_to_end().await, (internal, Closed::Eof));
}

#[tokio::test]
async fn what_passes_through_a_tunnel_is_counted() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    pair.ask(ASK.replace("/v1/realtime", "/v1/other")).await;
    pair.answer(SWITCH).await;
    let (mut client, mut served) = (pair.client, pair.served.unwrap());
    client.write("12345").await;
    served.read_exact(5).await;
    served.write("1234567").await;
    client.read_exact(7).await;
    served.close().await;
    client.close().await;
    relay
        .metric("streamgauge_request_bytes_total", "", "5")
        .await;
    relay
        .metric("streamgauge_response_bytes_total", "", "7")
        .await;
}
