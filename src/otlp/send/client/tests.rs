//! Senders are built where the application builds them: on a thread of its runtime.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use super::*;
use crate::otel::{Protocol, Temporality, Variables};
use crate::otlp::{Sender, Signal};

fn otlp(protocol: Protocol, endpoint: &str) -> Otlp {
    Otlp {
        endpoint: endpoint.to_owned(),
        protocol,
        headers: vec![("authorization".to_owned(), "Bearer%20x".to_owned())],
        timeout: Duration::from_secs(10),
        gzip: false,
        tls: Tls::default(),
        proxy: None,
        temporality: Temporality::Cumulative,
        buckets: None,
        variables: Variables::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_protocols_are_built_inside_a_runtime() {
    for endpoint in [
        "http://127.0.0.1:1/v1/traces",
        "https://127.0.0.1:1/v1/traces",
    ] {
        for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
            let mut otlp = otlp(protocol, endpoint);
            otlp.gzip = true;
            for signal in [Signal::Traces, Signal::Metrics] {
                assert!(Sender::new(&otlp, signal).is_ok(), "{otlp:?}");
            }
        }
    }
}

#[test]
fn grpc_outside_a_runtime_is_an_error_not_a_panic() {
    let built = Sender::new(&otlp(Protocol::Grpc, "http://127.0.0.1:1"), Signal::Traces);
    assert!(matches!(built, Err(BuildError::NoRuntime)));
}

#[test]
fn a_missing_certificate_is_named() {
    let mut otlp = otlp(Protocol::HttpProtobuf, "https://127.0.0.1:1/v1/traces");
    otlp.tls.certificate = Some("/nowhere/ca.pem".into());
    let error = Sender::new(&otlp, Signal::Traces).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot read /nowhere/ca.pem: "),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn http_posts_to_the_path_with_decoded_headers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let sender = Sender::new(&otlp(Protocol::HttpProtobuf, &endpoint), Signal::Traces).unwrap();
    let collector = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
        while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
            let read = connection.read(&mut buffer).unwrap();
            seen.extend_from_slice(&buffer[..read]);
        }
        connection
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        String::from_utf8_lossy(&seen).into_owned()
    });
    // As the queue does: on a thread of its own, where the blocking client may wait.
    let send = move || assert!(sender.send(Vec::new()).is_ok());
    std::thread::spawn(send).join().unwrap();
    let head = collector.join().unwrap();
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("authorization: Bearer x\r\n"), "{head}");
}
