//! What the vocabulary says of whole exchanges, line by line.

use super::super::sample::{self, Recorded, server_lines};
use super::*;
use crate::exchange::Attempt;

const MS: fn(u64) -> std::time::Duration = std::time::Duration::from_millis;

fn samples(exchange: &Exchange) -> Vec<String> {
    Recorded::lines(&Http, exchange)
}

#[test]
fn a_call_has_route_and_status() {
    let expected = [
        "http.request.method=POST",
        "url.scheme=http",
        "url.path=/v1/chat/completions",
        "http.route=/v1/chat/completions",
        "http.response.status_code=200",
        "network.protocol.version=1.1",
        "server.address=gauge",
        "server.port=8080",
        "http.request.body.size=0",
    ];
    assert_eq!(server_lines(&Http, &sample::unary()), expected);
}

#[test]
fn an_unknown_path_has_no_route() {
    let expected = [
        "http.request.method=GET",
        "url.scheme=http",
        "url.path=/v1/models",
        "http.response.status_code=200",
        "network.protocol.version=1.1",
        "server.address=gauge",
        "server.port=8080",
        "http.request.body.size=0",
    ];
    assert_eq!(server_lines(&Http, &sample::plain()), expected);
}

#[test]
fn both_sides_are_timed() {
    let expected = [
        "http.server.request.duration {http.request.method=POST url.scheme=http http.route=/v1/chat/completions http.response.status_code=200 network.protocol.version=1.1 upstream=main} 2.11",
        "http.client.request.duration {http.request.method=POST server.address=api.openai.com server.port=443 http.response.status_code=200 upstream=main} 2.099",
    ];
    assert_eq!(samples(&sample::streamed()), expected);
}

#[test]
fn a_4xx_is_an_error_of_the_client_side_only() {
    let expected = [
        "http.server.request.duration {http.request.method=POST url.scheme=http http.route=/v1/chat/completions http.response.status_code=429 network.protocol.version=1.1 upstream=main} 0.1",
        "http.client.request.duration {http.request.method=POST server.address=api.openai.com server.port=443 http.response.status_code=429 upstream=main error.type=rate_limit_exceeded} 0.089",
    ];
    assert_eq!(samples(&sample::rate_limited()), expected);
}

#[test]
fn an_unknown_method_is_other_and_kept_on_the_span() {
    let mut exchange = sample::plain();
    exchange.http.method = "BREW".into();
    let span = server_lines(&Http, &exchange);
    assert_eq!(
        span[..2],
        [
            "http.request.method=_OTHER",
            "http.request.method_original=BREW"
        ]
    );
    assert!(samples(&exchange)[0].contains("http.request.method=_OTHER"));
    assert_eq!(server_span_name(&exchange).concat(), "HTTP");
}

#[test]
fn a_broken_upstream_is_an_error_of_both_sides() {
    let mut exchange = sample::streamed();
    exchange.end = End::Cut;
    exchange.failure = Some(crate::exchange::Failure {
        kind: "stream_truncated".into(),
        message: String::new(),
    });
    assert_eq!(server_error(&exchange).as_deref(), Some("stream_truncated"));
    assert!(
        samples(&exchange)
            .iter()
            .all(|line| line.contains("error.type=stream_truncated"))
    );
}

#[test]
fn a_stream_that_stops_in_good_order_is_no_http_error() {
    let mut exchange = sample::streamed();
    exchange.end = End::Unfinished;
    exchange.failure = Some(crate::exchange::Failure {
        kind: "stream_truncated".into(),
        message: String::new(),
    });
    assert_eq!(server_error(&exchange), None);
    assert!(!server_failed(&exchange));
    let told = samples(&exchange);
    assert!(
        told.iter().all(|line| !line.contains("error.type")),
        "{told:?}"
    );
}

#[test]
fn an_error_event_inside_a_200_is_no_http_error() {
    let mut exchange = sample::streamed();
    exchange.end = End::ErrorEvent;
    exchange.failure = Some(crate::exchange::Failure {
        kind: "server_error".into(),
        message: String::new(),
    });
    assert_eq!(server_error(&exchange), None);
    assert!(
        samples(&exchange)
            .iter()
            .all(|line| !line.contains("error.type"))
    );
}

#[test]
fn our_own_502_is_not_the_upstreams_status() {
    let mut exchange = sample::unary();
    exchange.end = End::Refused;
    exchange.attempts[0].head = None;
    exchange.attempts[0].status = None;
    exchange.attempts[0].error = Some("connection_refused");
    exchange.http.status = Some(502);
    exchange.failure = Some(crate::exchange::Failure {
        kind: "connection_refused".into(),
        message: String::new(),
    });
    let client = &samples(&exchange)[1];
    assert!(
        client.contains("error.type=connection_refused") && !client.contains("status_code"),
        "{client}"
    );
}

#[test]
fn each_attempt_is_a_request_of_its_own() {
    let exchange = sample::repeated();
    let expected = [
        "http.client.request.duration {http.request.method=POST server.address=api.openai.com server.port=443 http.response.status_code=400 upstream=main error.type=400} 0.013",
        "http.client.request.duration {http.request.method=POST server.address=api.openai.com server.port=443 http.response.status_code=200 upstream=main} 2.085",
    ];
    assert_eq!(samples(&exchange)[1..], expected);

    let attempt = |at| sample::attribute_lines(|span| attempt(&exchange, at, span));
    let refused = attempt(0);
    assert!(refused.contains(&"error.type=400".to_owned()));
    assert!(!refused.iter().any(|line| line.contains("resend_count")));
    let answered = attempt(1);
    assert!(answered.contains(&"http.request.resend_count=1".to_owned()));
    assert!(!answered.iter().any(|line| line.contains("error.type")));
}

#[test]
fn each_attempt_has_its_own_endpoint() {
    let mut exchange = sample::repeated();
    exchange.attempts[1].endpoint = Endpoint {
        address: "10.0.0.2".into(),
        port: 8000,
    };
    exchange.follow_attempt();
    let lines = samples(&exchange);
    assert!(
        lines[1].contains("server.address=api.openai.com server.port=443"),
        "{lines:?}"
    );
    assert!(
        lines[2].contains("server.address=10.0.0.2 server.port=8000"),
        "{lines:?}"
    );
}

#[test]
fn an_attempt_that_our_own_limit_ended_is_a_failed_request_too() {
    let mut exchange = sample::unary();
    exchange.end = End::Rejected;
    exchange.http.status = Some(503);
    exchange.attempts[0].status = None;
    exchange.attempts[0].error = Some("limit_reached");
    let client = &samples(&exchange)[1];
    assert!(
        client.starts_with("http.client.request.duration")
            && client.contains("error.type=limit_reached"),
        "{client}"
    );
}

#[test]
fn a_repeat_that_found_no_upstream_leaves_the_first_answer() {
    let mut exchange = sample::repeated();
    let unanswered = Attempt {
        head: None,
        status: None,
        error: Some("connection_refused"),
        end: Some(MS(30)),
        ..exchange.attempts[1].clone()
    };
    exchange.attempts[0].end = None;
    exchange.attempts[1] = unanswered;
    exchange.end_attempts();
    exchange.http.status = Some(400);
    let kinds = [attempt_error(&exchange, 0), attempt_error(&exchange, 1)];
    assert_eq!(
        kinds.map(|kind| kind.map(Cow::into_owned)),
        [
            Some("400".to_owned()),
            Some("connection_refused".to_owned())
        ]
    );
    let ends: Vec<_> = exchange
        .attempts
        .iter()
        .map(|attempt| attempt.end)
        .collect();
    assert_eq!(ends, [Some(MS(2110)), Some(MS(30))]);
}

#[test]
fn a_request_that_we_turned_away_has_our_word_for_it_and_fails_its_span_by_its_status() {
    let mut exchange = sample::plain();
    exchange.attempts.clear();
    exchange.end = End::Rejected;
    for (kind, status, failed) in [("no_route", 404, false), ("limit_reached", 503, true)] {
        exchange.http.status = Some(status);
        exchange.failure = Some(crate::exchange::Failure {
            kind: kind.into(),
            message: String::new(),
        });
        let line = format!("error.type={kind}");
        assert!(server_lines(&Http, &exchange).contains(&line), "{kind}");
        assert!(samples(&exchange)[0].contains(&line), "{kind}");
        assert_eq!(server_failed(&exchange), failed, "{kind}");
    }
}

#[test]
fn of_what_is_no_request_nothing_is_made_up() {
    let mut exchange = Exchange::begin(std::time::SystemTime::UNIX_EPOCH);
    exchange.end = End::Rejected;
    exchange.http.scheme = "http";
    exchange.http.status = Some(400);
    let expected = [
        "http.request.method=_OTHER",
        "url.scheme=http",
        "http.response.status_code=400",
    ];
    assert_eq!(server_lines(&Http, &exchange), expected);
    assert_eq!(server_span_name(&exchange).concat(), "HTTP");
}

#[test]
fn host_and_port_are_told_apart() {
    assert_eq!(split_host("gauge"), ("gauge", None));
    assert_eq!(split_host("gauge:80"), ("gauge", Some(80)));
    assert_eq!(split_host("[::1]:80"), ("::1", Some(80)));
    assert_eq!(split_host("[::1]"), ("::1", None));
}

#[test]
fn a_5xx_that_nobody_named_has_its_status_for_a_type() {
    let mut exchange = sample::plain();
    exchange.http.status = Some(503);
    assert_eq!(server_error(&exchange).as_deref(), Some("503"));
    exchange.http.status = Some(404);
    exchange.attempts[0].status = Some(404);
    assert_eq!(server_error(&exchange), None);
    assert!(samples(&exchange)[1].contains("error.type=404"));
}

#[test]
fn addresses_are_written_as_the_standard_library_writes_them() {
    for address in [
        "0.0.0.0",
        "127.0.0.1",
        "10.20.105.9",
        "192.168.100.255",
        "::1",
        "2001:db8::7",
    ] {
        assert_eq!(IpText::of(address.parse().unwrap()).as_str(), address);
    }
}
