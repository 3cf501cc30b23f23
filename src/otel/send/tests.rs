//! Sending against receivers that refuse, answer late, or take a part.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use opentelemetry_sdk::metrics::Temporality;

use super::*;
use crate::otel::Tls;

const MINUTE: Duration = Duration::from_secs(60);

/// How often is tried, and what comes of it, where each attempt but the last is refused so.
fn attempts(within: Duration, again: Option<Duration>, refusals: u32) -> (u32, bool) {
    let tried = Cell::new(0);
    let outcome = repeat(within, || {
        tried.set(tried.get() + 1);
        if tried.get() > refusals {
            return Ok(());
        }
        let error = SendError::Status(503);
        Err(Refusal { error, again })
    });
    (tried.get(), outcome.is_ok())
}

#[test]
fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
    let soon = Some(Duration::ZERO);
    assert_eq!(attempts(MINUTE, soon, 1), (2, true));
    assert_eq!(attempts(MINUTE, soon, u32::MAX), (RETRIES + 1, false));
    assert_eq!(attempts(MINUTE, None, 1), (1, false));
}

#[test]
fn nothing_is_tried_that_would_end_after_the_time_given() {
    assert_eq!(attempts(FIRST_PAUSE, Some(Duration::ZERO), 1), (1, false));
    assert_eq!(attempts(MINUTE, Some(MINUTE), 1), (1, false));
}

/// Answers each connection's request so, and says what came.
fn receiver(answers: &'static [&'static str]) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let serve = move |answer: &&str| {
        let (mut connection, _) = listener.accept().unwrap();
        let (mut seen, mut buffer) = (String::new(), [0; 4096]);
        while !seen.ends_with("spans") {
            let read = connection.read(&mut buffer).unwrap();
            seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        let head = "connection: close\r\ncontent-length: 0\r\n\r\n";
        write!(connection, "HTTP/1.1 {answer}\r\n{head}").unwrap();
        seen
    };
    let served = std::thread::spawn(move || answers.iter().map(serve).collect());
    (endpoint, served)
}

fn send(endpoint: &str) -> Result<(), SendError> {
    let otlp = Otlp {
        endpoint: endpoint.to_owned(),
        protocol: Protocol::HttpProtobuf,
        headers: vec![("x-tenant".to_owned(), "a%20b".to_owned())],
        timeout: Duration::from_secs(10),
        gzip: false,
        tls: Tls::default(),
        temporality: Temporality::Cumulative,
    };
    Sender::new(&otlp, Signal::Traces)
        .unwrap()
        .send(b"spans".to_vec())
}

#[test]
fn a_refused_request_comes_again_whole() {
    let (endpoint, served) = receiver(&["503 Busy", "200 OK"]);
    assert!(send(&endpoint).is_ok());
    let seen = served.join().unwrap();
    assert_eq!(seen.len(), 2);
    for request in seen {
        for part in [
            "POST /v1/traces HTTP/1.1\r\n",
            "content-type: application/x-protobuf\r\n",
            "x-tenant: a b\r\n",
            "\r\n\r\nspans",
        ] {
            assert!(request.contains(part), "{part:?} is not in {request}");
        }
    }
}

#[test]
fn a_request_that_is_refused_for_good_comes_once() {
    let (endpoint, served) = receiver(&["400 Bad Request"]);
    let error = send(&endpoint).unwrap_err();
    assert_eq!(error.to_string(), "the receiver answered with status 400");
    assert_eq!(served.join().unwrap().len(), 1);
}

#[test]
fn a_receiver_that_is_not_there_is_told_with_the_cause_and_without_the_url() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/?key=secret", free.local_addr().unwrap());
    drop(free);
    let error = send(&endpoint).unwrap_err().to_string();
    assert!(error.contains("Connection refused"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}
