//! What the vocabulary says of whole exchanges, line by line.

use super::super::sample::{self, Recorded, server_lines};
use super::*;

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
        "http.server.request.duration {http.request.method=POST url.scheme=http http.route=/v1/chat/completions http.response.status_code=200 network.protocol.version=1.1} 2.11",
        "http.client.request.duration {http.request.method=POST server.address=api.openai.com server.port=443 http.response.status_code=200} 2.099",
    ];
    assert_eq!(samples(&sample::streamed()), expected);
}

#[test]
fn a_4xx_is_an_error_of_the_client_side_only() {
    let expected = [
        "http.server.request.duration {http.request.method=POST url.scheme=http http.route=/v1/chat/completions http.response.status_code=429 network.protocol.version=1.1} 0.1",
        "http.client.request.duration {http.request.method=POST server.address=api.openai.com server.port=443 http.response.status_code=429 error.type=rate_limit_exceeded} 0.089",
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
    assert_eq!(server_span_name(&exchange), "HTTP");
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
    exchange.times.response_head = None;
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
    assert_eq!(server_error(&exchange), None);
    assert!(samples(&exchange)[1].contains("error.type=404"));
}
