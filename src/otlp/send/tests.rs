//! Sending against receivers that refuse, answer late, or take a part.

use std::cell::{Cell, RefCell};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::*;
use crate::otel::{Temporality, Tls, Variables};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn pace(timeout: Duration) -> Pace {
    Pace {
        timeout,
        hold: Cell::new(None),
    }
}

/// The pauses that are made where each attempt but the last is refused so, in seconds, and what comes of it.
fn pauses(pace: &Pace, again: Option<Duration>, refusals: usize) -> (Vec<u64>, bool) {
    let (tried, waited) = (Cell::new(0), RefCell::new(Vec::new()));
    let attempt = || {
        tried.set(tried.get() + 1);
        if tried.get() > refusals {
            return Ok(());
        }
        let fault = Fault::Status(503);
        Err(Refusal { fault, again })
    };
    // Some of a pause has gone by when it is asked for.
    let wait = |pause: Duration| waited.borrow_mut().push((pause + SECOND / 2).as_secs());
    let outcome = pace.repeat(attempt, wait);
    (waited.into_inner(), outcome.is_ok())
}

#[test]
fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
    let pace = pace(MINUTE);
    let soon = Some(Duration::ZERO);
    assert_eq!(pauses(&pace, soon, 1), (vec![0], true));
    let (waited, taken) = pauses(&pace, soon, usize::MAX);
    assert_eq!((waited.len(), taken), (RETRIES as usize, false));
    assert_eq!(pauses(&pace, None, 1), (vec![], false));
}

#[test]
fn nothing_is_tried_that_would_end_after_the_time_given() {
    let pace = pace(FIRST_PAUSE);
    assert_eq!(pauses(&pace, Some(Duration::ZERO), 1), (vec![], false));
}

#[test]
fn a_pause_that_is_asked_for_is_made_whatever_time_is_given() {
    let pace = pace(FIRST_PAUSE);
    assert_eq!(pauses(&pace, Some(MINUTE), 1), (vec![60], true));
    let (ages, most) = (Some(MINUTE * 1000), ASKED_MAX.as_secs());
    assert_eq!(pauses(&pace, ages, 1), (vec![most], true));
}

#[test]
fn a_pause_that_is_asked_for_holds_back_what_comes_next() {
    let pace = pace(MINUTE);
    let asked = Some(MINUTE);
    assert_eq!(pauses(&pace, asked, usize::MAX), (vec![60; 3], false));
    assert_eq!(pauses(&pace, asked, 0), (vec![60], true));
    assert_eq!(pauses(&pace, asked, 0), (vec![], true));
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

fn send(endpoint: &str) -> Result<u64, SendError> {
    send_within(endpoint, Duration::from_secs(10))
}

fn send_within(endpoint: &str, timeout: Duration) -> Result<u64, SendError> {
    let otlp = otlp(endpoint, timeout);
    let sender = Sender::new(&otlp, Signal::Traces).unwrap();
    sender.send(b"spans".to_vec())
}

fn sender(endpoint: &str) -> Sender {
    Sender::new(&otlp(endpoint, SECOND * 10), Signal::Traces).unwrap()
}

fn otlp(endpoint: &str, timeout: Duration) -> Otlp {
    Otlp {
        endpoint: endpoint.to_owned(),
        protocol: Protocol::HttpProtobuf,
        headers: vec![("x-tenant".to_owned(), "a%20b".to_owned())],
        timeout,
        gzip: false,
        tls: Tls::default(),
        proxy: None,
        temporality: Temporality::Cumulative,
        buckets: None,
        variables: Variables::default(),
    }
}

#[test]
fn what_a_receiver_says_is_shown_without_credentials_and_not_at_any_length() {
    let mut otlp = otlp("http://localhost:1", SECOND);
    otlp.headers = vec![(
        "authorization".to_owned(),
        "Basic%20bWU6c2VjcmV0".to_owned(),
    )];
    let sender = Sender::new(&otlp, Signal::Traces).unwrap();
    let shown = sender.shown("no bWU6c2VjcmV0, no sk-0123456789, a b");
    assert_eq!(shown, "no REDACTED, no REDACTED, a b");
    assert_eq!(sender.shown(&"x".repeat(10_000)).len(), REASON_CHARS);
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
    let expected = format!("the OTLP receiver at {endpoint} answered with status 400");
    assert_eq!(error.to_string(), expected);
    assert_eq!(served.join().unwrap().len(), 1);
}

#[test]
fn a_redirect_is_a_failure_and_is_not_followed() {
    for answer in [
        &["307 Temporary Redirect\r\nlocation: /elsewhere"],
        &["301 Moved Permanently\r\nlocation: http://localhost:1/"],
    ] {
        let (endpoint, served) = receiver(answer);
        let error = send(&endpoint).unwrap_err();
        assert!(matches!(error.fault, Fault::Status(301 | 307)));
        let hint = error.hint.unwrap();
        assert!(hint.starts_with("redirects are not followed"), "{hint}");
        assert_eq!(served.join().unwrap().len(), 1);
    }
}

#[test]
fn a_request_is_kept_through_a_longer_pause_than_an_export_may_take() {
    let (endpoint, served) = receiver(&["503 Busy\r\nretry-after: 1", "200 OK"]);
    assert!(send_within(&endpoint, SECOND / 2).is_ok());
    assert_eq!(served.join().unwrap().len(), 2);
}

#[test]
fn a_receiver_that_is_not_there_is_told_with_the_cause_and_the_url_without_what_may_be_a_key() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", free.local_addr().unwrap());
    drop(free);
    let error = send(&format!("{url}?key=secret")).unwrap_err().to_string();
    let begin = format!("the OTLP receiver at {url} gave no answer: ");
    assert!(error.starts_with(&begin), "{error}");
    assert!(error.contains("Connection refused"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn a_hint_is_given_once_and_another_one_again() {
    let (endpoint, served) = receiver(&["404 No", "404 No", "401 No", "404 No"]);
    let sender = sender(&endpoint);
    let mut hints = (0..4).map(|_| sender.send(b"spans".to_vec()).unwrap_err().hint);
    let begins = |hint: Option<Option<String>>, begin: &str| {
        hint.flatten().is_some_and(|hint| hint.starts_with(begin))
    };
    assert!(begins(hints.next(), "it takes no traces there"));
    assert_eq!(hints.next(), Some(None));
    assert!(begins(hints.next(), "it does not accept the credentials"));
    assert!(begins(hints.next(), "it takes no traces there"));
    served.join().unwrap();
}

#[test]
fn a_receiver_that_has_taken_an_export_gets_no_hint() {
    let (endpoint, served) = receiver(&["200 OK", "404 No"]);
    let sender = sender(&endpoint);
    assert!(sender.send(b"spans".to_vec()).is_ok());
    assert_eq!(sender.send(b"spans".to_vec()).unwrap_err().hint, None);
    served.join().unwrap();
}

#[test]
fn a_request_that_is_tried_once_is_not_repeated() {
    let (endpoint, served) = receiver(&["503 Busy"]);
    let error = sender(&endpoint).try_once(b"spans".to_vec()).unwrap_err();
    assert!(matches!(error.fault, Fault::Status(503)));
    assert_eq!(served.join().unwrap().len(), 1);
}

#[test]
fn a_page_for_browsers_takes_no_export() {
    let (endpoint, served) = receiver(&["200 OK\r\ncontent-type: text/html; charset=utf-8"]);
    let error = sender(&endpoint).send(b"spans".to_vec()).unwrap_err();
    assert!(matches!(error.fault, Fault::Page));
    assert!(
        error
            .hint
            .is_some_and(|hint| hint.contains("another server"))
    );
    served.join().unwrap();
}

#[test]
fn a_200_with_a_grpc_status_in_it_is_a_failure() {
    let (endpoint, served) = receiver(&["200 OK\r\ngrpc-status: 12", "200 OK\r\ngrpc-status: 0"]);
    let sender = sender(&endpoint);
    let error = sender.send(b"spans".to_vec()).unwrap_err();
    assert!(matches!(
        error.fault,
        Fault::Code(tonic::Code::Unimplemented)
    ));
    assert!(
        error
            .hint
            .unwrap()
            .contains("set OTEL_EXPORTER_OTLP_PROTOCOL=grpc")
    );
    assert!(sender.send(b"spans".to_vec()).is_ok());
    assert_eq!(served.join().unwrap().len(), 2);
}
