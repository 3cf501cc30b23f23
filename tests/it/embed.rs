//! The proxy as a part of an axum application, as `examples/embed.rs` has it: real sockets on both sides.

use std::net::SocketAddr;

use streamgauge::app::Gauge;
use streamgauge::config::{Config, Environment};
use streamgauge::proxy::ProxyConfig;
use streamgauge::upstream::UpstreamConfig;
use tokio::net::TcpListener;

use crate::support::client::{self, post};
use crate::support::upstream::Upstream;
use crate::support::{DEADLINE, within};

#[path = "../../examples/embed.rs"]
#[expect(dead_code, reason = "the test has the application and not its `main`")]
mod example;

const CHAT: &str = "/v1/chat/completions";
const ANSWER: &str = r#"{"id":"c","model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#;

fn no_variables() -> Environment {
    Environment::from_iter([("", ""); 0])
}

/// The application in front of an upstream.
struct Embedded {
    address: SocketAddr,
    upstream: Upstream,
    gauge: Gauge,
}

async fn embedded() -> Embedded {
    let upstream = Upstream::start().await;
    let url = upstream.base_url().parse().unwrap();
    let config = Config {
        proxy: ProxyConfig {
            upstreams: vec![UpstreamConfig::new("main", url)],
            ..ProxyConfig::default()
        },
        ..Config::default()
    };
    let gauge = Gauge::new(config, &no_variables()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = example::application(&gauge).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    Embedded {
        address,
        upstream,
        gauge,
    }
}

#[tokio::test]
async fn what_the_application_has_no_route_for_is_passed_on_and_measured() {
    let embedded = embedded().await;
    let hello = client::get(embedded.address, "/hello").await;
    assert_eq!(hello.text(), "hello from the application\n");

    let request = r#"{"model":"m","messages":[{"role":"user","content":"Hello"}]}"#;
    let serve = async {
        let mut served = embedded.upstream.accept().await;
        let seen = served.read_request().await;
        let length = ANSWER.len();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: r-1";
        served
            .write(format!(
                "{head}\r\ncontent-length: {length}\r\n\r\n{ANSWER}"
            ))
            .await;
        seen
    };
    let call = client::send(embedded.address, post(CHAT, request));
    let (seen, got) = tokio::join!(serve, call);
    assert_eq!(seen.start_line(), format!("POST {CHAT} HTTP/1.1"));
    assert_eq!(seen.text(), request);
    assert_eq!((got.status(), got.text()), (200, ANSWER));
    assert_eq!(got.header("x-request-id"), Some("r-1"));

    let measured = async {
        while embedded.gauge.live.all().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    within("the exchange", measured).await;
    let [entry] = embedded.gauge.live.all().try_into().unwrap();
    let row = entry.row();
    assert_eq!(row.model.as_deref(), Some("m"));
    assert_eq!((row.input_tokens, row.output_tokens), (Some(3), Some(1)));
    let metrics = client::get(embedded.address, "/metrics").await;
    let sample = r#"llm_requests_total{model="m""#;
    assert!(metrics.text().contains(sample), "{}", metrics.text());
}

#[tokio::test]
async fn a_connection_changes_its_protocol_through_the_application() {
    let embedded = embedded().await;
    let mut client = client::connect(embedded.address).await;
    client
        .write("GET /v1/realtime HTTP/1.1\r\nhost: me\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n")
        .await;
    let mut served = embedded.upstream.accept().await;
    let seen = served.read_request().await;
    assert_eq!(seen.header("upgrade"), Some("websocket"));
    served
        .write("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\nfrom the upstream")
        .await;
    let head = client.read_head().await;
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{head:?}");
    assert_eq!(client.read_exact(17).await, b"from the upstream");
    client.write("from the client").await;
    assert_eq!(served.read_exact(15).await, b"from the client");
}

#[tokio::test]
async fn what_is_queued_leaves_when_the_application_ends() {
    let embedded = embedded().await;
    client::get(embedded.address, "/hello").await;
    let drained = embedded.gauge.drained(DEADLINE);
    assert_eq!(drained.await, Ok(()));
}
