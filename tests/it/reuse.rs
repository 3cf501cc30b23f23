//! Connections of HTTP/1.1 that are used again: what is lost when the upstream closes one, and how long they are kept.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tokio::net::TcpListener;

use crate::support::client::{connect, post};
use crate::support::http1::{Closed, Connection};
use crate::support::process::Program;
use crate::support::relay::Relay;
use crate::support::scene::Scene;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn config(keep_alive: &str) -> String {
    format!(
        "[[upstream]]\nname = 'up'\nurl = 'http://in.its.place/v1'\nkeep_alive = {{ {keep_alive} }}"
    )
}

fn ask(method: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{method} /v1/x HTTP/1.1\r\nhost: me\r\ncontent-length: {length}\r\n\r\n{body}").into()
}

/// Asks once, so that the upstream's connection is in the pool: both ends.
async fn warm(relay: &Relay) -> (Connection, Connection) {
    warm_with(relay, OK).await
}

async fn warm_with(relay: &Relay, answer: &str) -> (Connection, Connection) {
    let mut client = connect(relay.server.proxy).await;
    client
        .write("GET /v1/warm HTTP/1.1\r\nhost: me\r\n\r\n")
        .await;
    let mut served = relay.upstream.accept().await;
    served.read_request().await;
    served.write(answer).await;
    assert_eq!(client.read_response().await.status(), 200);
    (client, served)
}

#[tokio::test]
async fn an_idempotent_request_whose_reused_connection_closes_goes_out_once_more() {
    for (method, body) in [("GET", ""), ("PUT", "a body"), ("DELETE", "")] {
        let relay = Relay::start().await;
        let (mut client, mut served) = warm(&relay).await;
        client.write(ask(method, body)).await;
        assert_eq!(served.read_request().await.text(), body);
        served.close().await;
        let mut again = relay.upstream.accept().await;
        let request = again.read_request().await;
        assert_eq!(request.start_line(), format!("{method} /v1/x HTTP/1.1"));
        assert_eq!(request.text(), body);
        again.write(OK).await;
        assert_eq!(client.read_response().await.text(), "ok");
        let why = "why=\"connection_closed\"";
        relay.metric("streamgauge_resends_total", why, "1").await;
    }
}

#[tokio::test]
async fn a_request_that_may_not_be_processed_twice_goes_out_once() {
    let relay = Relay::start().await;
    let (mut client, mut served) = warm(&relay).await;
    client.write(post("/v1/chat/completions", "{}")).await;
    served.read_request().await;
    served.close().await;
    let answer = client.read_response().await;
    assert_eq!(answer.status(), 502);
    assert_eq!(
        answer.header("x-streamgauge-error"),
        Some("connection_broken")
    );
}

#[tokio::test]
async fn nothing_is_sent_again_once_an_answer_has_begun() {
    let relay = Relay::start().await;
    let (mut client, mut served) = warm(&relay).await;
    client.write(ask("GET", "")).await;
    served.read_request().await;
    served.write("H").await;
    served.close().await;
    assert_eq!(client.read_response().await.status(), 502);
}

#[tokio::test]
async fn a_new_connection_that_closes_is_the_upstreams_answer() {
    let relay = Relay::start().await;
    let mut client = connect(relay.server.proxy).await;
    client.write(ask("GET", "")).await;
    let mut served = relay.upstream.accept().await;
    served.read_request().await;
    served.close().await;
    assert_eq!(client.read_response().await.status(), 502);
}

#[tokio::test]
async fn a_request_that_is_lost_twice_is_not_sent_a_third_time() {
    let relay = Relay::start().await;
    let (mut client, mut served) = warm(&relay).await;
    client.write(ask("GET", "")).await;
    served.read_request().await;
    served.close().await;
    let mut again = relay.upstream.accept().await;
    again.read_request().await;
    again.close().await;
    assert_eq!(client.read_response().await.status(), 502);
}

#[tokio::test]
async fn a_connection_that_its_upstream_soon_closes_is_not_kept() {
    let relay = Relay::start().await;
    let answer = OK.replacen("\r\n", "\r\nKeep-Alive: max=9, timeout=1\r\n", 1);
    let (_client, mut served) = warm_with(&relay, &answer).await;
    assert_eq!(served.closed().await, Closed::Eof);
}

#[tokio::test]
async fn an_unused_connection_is_closed_after_its_time() {
    let scene = Scene::configured(&config("http1 = '50ms'")).await;
    let (mut client, mut served) = scene.call(&ask("GET", "")).await;
    served.write(OK).await;
    client.read_response().await;
    assert_eq!(served.closed().await, Closed::Eof);
}

#[tokio::test]
async fn no_connection_is_kept_where_none_is_to_be() {
    let scene = Scene::configured(&config("connections = 0")).await;
    let (mut client, mut served) = scene.call(&ask("GET", "")).await;
    served.write(OK).await;
    assert_eq!(client.read_response().await.text(), "ok");
    assert_eq!(served.closed().await, Closed::Eof);
}

/// An upstream that closes each connection so long after its answer, and does not say so; how many it has had.
async fn hasty(delay: Duration) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, SeqCst);
            tokio::spawn(async move {
                let mut served = Connection::new(stream);
                served.read_request().await;
                served.write(OK).await;
                // What comes in the meantime is lost with the connection.
                tokio::time::sleep(delay).await;
                served.close().await;
            });
        }
    });
    (address, connections)
}

#[tokio::test]
async fn connections_that_their_upstream_closes_after_each_answer_are_used_once() {
    const CALLS: usize = 60;
    for delay in [0, 3, 25] {
        let (address, connections) = hasty(Duration::from_millis(delay)).await;
        let server = Program::serve(&format!("http://{address}/v1"))
            .listen()
            .await;
        let mut client = connect(server.proxy).await;
        let mut lost = 0;
        for _ in 0..CALLS {
            client.write(post("/v1/chat/completions", "{}")).await;
            lost += usize::from(client.read_response().await.status() != 200);
        }
        // The first one may be what shows it: it must not be sent again.
        assert!(lost <= 1, "{lost} of {CALLS} after {delay} ms");
        assert!(connections.load(SeqCst) >= CALLS - 1);
    }
}
