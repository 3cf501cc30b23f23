//! HTTP semantic conventions, stable (core v1.44.0): the SERVER span, and the durations of both sides.
//!
//! An HTTP error is one of the transport's: a status of 5xx (towards the upstream 4xx too), or a response that never came
//! or broke. An error event inside a 200 stream and a client that left are none, so `error.type` stays absent. What we turn
//! away ourselves has our word for it, though a 4xx fails no SERVER span.

mod headers;

use std::borrow::Cow;
use std::net::IpAddr;

use super::facets::{OTHER_METHOD, ROUTE, UPSTREAM, known_method, push_upstream};
use super::gen_ai::{ERROR_TYPE, SERVER_ADDRESS, SERVER_PORT};
use super::metric::{Kind, Metric, Record, buckets};
use super::{Attribute, Attributes, Facets, Labels, Vocabulary};
use crate::exchange::{End, Endpoint, Exchange};

const METHOD: &str = "http.request.method";
const SCHEME: &str = "url.scheme";
const STATUS: &str = "http.response.status_code";
const PROTOCOL_VERSION: &str = "network.protocol.version";

/// Least status that is an error of a request that was served.
const SERVER_FAULT: u16 = 500;
/// Least status that is an error of a request that was sent.
const CLIENT_FAULT: u16 = 400;

static SERVER_DURATION: Metric = Metric {
    name: "http.server.request.duration",
    unit: "s",
    description: "Duration of a client's request, from its head to the end of the response.",
    kind: Kind::Histogram(buckets::HTTP),
    exemplars: true,
};
static CLIENT_DURATION: Metric = Metric {
    name: "http.client.request.duration",
    unit: "s",
    description: "Duration of a request to an upstream, from its issue to the end of the response.",
    kind: Kind::Histogram(buckets::HTTP),
    exemplars: true,
};

/// The vocabulary of HTTP; always spoken.
pub struct Http;

impl Vocabulary for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn metrics(&self) -> &'static [&'static Metric] {
        static METRICS: [&Metric; 2] = [&SERVER_DURATION, &CLIENT_DURATION];
        &METRICS
    }

    fn server(&self, exchange: &Exchange, span: &mut Attributes<'_>) {
        put_request(exchange, span, Kept::All);
        span.put_some(ERROR_TYPE, server_error(exchange));
    }

    fn inference(&self, _exchange: &Exchange, _span: &mut Attributes<'_>) {}

    fn samples(&self, exchange: &Exchange, record: &mut dyn Record) {
        if exchange.of_session {
            // Its session's own exchange says it.
            return;
        }
        record.record(
            &SERVER,
            None,
            &[Some(SERVER_DURATION.sample(exchange.times.end))],
        );
        for (at, attempt) in exchange.attempts.iter().enumerate() {
            let end = attempt.end.unwrap_or_else(|| exchange.call_end());
            let duration = end.saturating_sub(attempt.issued);
            let samples = [Some(CLIENT_DURATION.sample(duration))];
            if attempt.error.is_none() && exchange.answering_attempt() == Some(at) {
                record.record(&CLIENT, None, &samples);
                continue;
            }
            let mut client = Vec::with_capacity(6);
            let method = known_method(&exchange.http.method);
            push_client(method, &attempt.endpoint, attempt.status, &mut client);
            client.push((UPSTREAM, (&*attempt.upstream.name).into()));
            client.extend(attempt_error(exchange, at).map(|kind| (ERROR_TYPE, kind.into())));
            record.record_under(&client, &samples);
        }
    }
}

static SERVER: Labels = Labels(|facets, labels| {
    labels.push((METHOD, facets.method.into()));
    labels.push((SCHEME, facets.scheme.into()));
    labels.extend(facets.route.map(|route| (ROUTE, route.into())));
    labels.extend(facets.status.map(|status| (STATUS, status.into())));
    let version = Some(facets.version).filter(|version| !version.is_empty());
    labels.extend(version.map(|version| (PROTOCOL_VERSION, version.into())));
    push_upstream(facets, labels);
    push_error(facets, SERVER_FAULT, labels);
});
/// Of the attempt whose response the client got.
static CLIENT: Labels = Labels(|facets, labels| {
    if let Some(endpoint) = &facets.endpoint {
        push_client(facets.method, endpoint, facets.answer, labels);
    }
    push_upstream(facets, labels);
    push_error(facets, CLIENT_FAULT, labels);
});

fn push_client<'f>(
    method: &'static str,
    endpoint: &'f Endpoint,
    status: Option<u16>,
    labels: &mut Vec<Attribute<'f>>,
) {
    labels.push((METHOD, method.into()));
    labels.push((SERVER_ADDRESS, (&*endpoint.address).into()));
    labels.push((SERVER_PORT, endpoint.port.into()));
    labels.extend(status.map(|status| (STATUS, status.into())));
}

fn push_error<'f>(facets: &'f Facets<'_>, first_bad: u16, labels: &mut Vec<Attribute<'f>>) {
    let failure = facets.failure.as_deref();
    let kind = error(facets.end, facets.status, failure, first_bad);
    labels.extend(kind.map(|kind| (ERROR_TYPE, kind.into())));
}

/// Attributes of the client's request for an inference span that stands for the SERVER span too. What says of the proxy where
/// and how it was reached is left out: there the same keys are for the upstream.
pub fn request(exchange: &Exchange, span: &mut Attributes<'_>) {
    put_request(exchange, span, Kept::OfRequest);
}

/// Which attributes of a request are put.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    All,
    /// Not those of the connection it came by.
    OfRequest,
}

fn put_request(exchange: &Exchange, span: &mut Attributes<'_>, kept: Kept) {
    let http = &exchange.http;
    let all = kept == Kept::All;
    let method = known_method(&http.method);
    span.put(METHOD, method);
    if method == OTHER_METHOD && !http.method.is_empty() {
        span.put("http.request.method_original", &*http.method);
    }
    if all {
        span.put(SCHEME, http.scheme);
    }
    if !http.path.is_empty() {
        span.put("url.path", &*http.path);
    }
    span.put_some("url.query", http.query.as_deref());
    span.put_some(ROUTE, http.route);
    span.put_some(STATUS, http.status);
    if all && !http.version.is_empty() {
        span.put(PROTOCOL_VERSION, http.version);
    }
    if let Some(host) = http.host.as_deref().filter(|_| all) {
        let (address, port) = split_host(host);
        span.put(SERVER_ADDRESS, address);
        span.put_some(SERVER_PORT, port);
    }
    if let Some(peer) = http.peer {
        let address = IpText::of(peer.ip());
        span.put("client.address", address.as_str());
        if all {
            span.put("network.peer.address", address.as_str());
            span.put("network.peer.port", peer.port());
        }
    }
    span.put_some("user_agent.original", http.user_agent.as_deref());
    span.put_some("http.request.body.size", http.request_bytes);
    headers::attributes(&http.response_headers, span);
}

/// Attributes of the CLIENT span of one attempt, by its place in [`Exchange::attempts`].
pub fn attempt(exchange: &Exchange, at: usize, span: &mut Attributes<'_>) {
    let Some(attempt) = exchange.attempts.get(at) else {
        return;
    };
    span.put(METHOD, known_method(&exchange.http.method));
    span.put("url.full", &attempt.url);
    span.put(SERVER_ADDRESS, &*attempt.endpoint.address);
    span.put(SERVER_PORT, attempt.endpoint.port);
    span.put_some(STATUS, attempt.status);
    span.put_some(ERROR_TYPE, attempt_error(exchange, at));
    span.put_some("http.request.resend_count", (at > 0).then_some(at as u64));
}

/// Name of the CLIENT span of an attempt: the method alone, since a path may have any number of values.
#[must_use]
pub fn attempt_span_name(exchange: &Exchange) -> &'static str {
    span_method(exchange)
}

/// `error.type` of an attempt, which also decides that the status of its span is an error. Of an answer that was let go
/// only the status is known.
#[must_use]
pub fn attempt_error(exchange: &Exchange, at: usize) -> Option<Cow<'_, str>> {
    let attempt = exchange.attempts.get(at)?;
    if let Some(word) = attempt.error {
        return Some(Cow::Borrowed(word));
    }
    if attempt.status.is_none() || exchange.answering_attempt() == Some(at) {
        return exchange_error(exchange, CLIENT_FAULT);
    }
    let bad = attempt.status.filter(|status| *status >= CLIENT_FAULT);
    bad.map(|status| Cow::Owned(status.to_string()))
}

/// `error.type` of the SERVER span.
#[must_use]
pub fn server_error(exchange: &Exchange) -> Option<Cow<'_, str>> {
    exchange_error(exchange, SERVER_FAULT)
}

/// Whether the status of the SERVER span is an error: not for a request that was turned away for a fault of its own.
#[must_use]
pub fn server_failed(exchange: &Exchange) -> bool {
    let status = exchange.http.status.unwrap_or_default();
    let is_fault = exchange.end != End::Rejected || status >= SERVER_FAULT;
    is_fault && server_error(exchange).is_some()
}

/// Name of the SERVER span, in parts: method and route, or the method alone.
#[must_use]
pub fn server_span_name(exchange: &Exchange) -> [&'static str; 3] {
    let method = span_method(exchange);
    match exchange.http.route {
        Some(route) => [method, " ", route],
        None => [method, "", ""],
    }
}

/// The method as a span's name has it.
fn span_method(exchange: &Exchange) -> &'static str {
    match known_method(&exchange.http.method) {
        OTHER_METHOD => "HTTP",
        method => method,
    }
}

fn exchange_error(exchange: &Exchange, first_bad: u16) -> Option<Cow<'_, str>> {
    let failure = exchange.failure.as_ref();
    let failure = failure.map(|failure| &*failure.kind);
    error(exchange.end, exchange.http.status, failure, first_bad)
}

/// What failed, where it is the transport's: in the observer's word, else the status as the conventions have it.
fn error(
    end: End,
    status: Option<u16>,
    failure: Option<&str>,
    first_bad: u16,
) -> Option<Cow<'_, str>> {
    let is_transports = matches!(end, End::Cut | End::Timeout | End::Refused | End::Rejected);
    let bad_status = status.filter(|status| *status >= first_bad);
    match failure {
        Some(kind) => (is_transports || bad_status.is_some()).then_some(Cow::Borrowed(kind)),
        None => bad_status.map(|status| Cow::Owned(status.to_string())),
    }
}

/// An address as it is written.
enum IpText {
    /// By way of the formatter it took 1,500 instructions, more than any other attribute. Beyond the length is nothing.
    V4([u8; 15], usize),
    V6(String),
}

impl IpText {
    fn of(address: IpAddr) -> Self {
        let IpAddr::V4(address) = address else {
            return Self::V6(address.to_string());
        };
        let (mut text, mut length) = ([0; 15], 0);
        let mut push = |byte: u8| {
            text[length] = byte;
            length += 1;
        };
        for (at, octet) in address.octets().into_iter().enumerate() {
            if at > 0 {
                push(b'.');
            }
            for (unit, least) in [(100, 100), (10, 10), (1, 0)] {
                if octet >= least {
                    push(b'0' + octet / unit % 10);
                }
            }
        }
        Self::V4(text, length)
    }

    fn as_str(&self) -> &str {
        match self {
            Self::V4(text, length) => std::str::from_utf8(&text[..*length]).unwrap_or_default(),
            Self::V6(text) => text,
        }
    }
}

/// Splits `host:port`; brackets around an IPv6 address are taken off.
fn split_host(host: &str) -> (&str, Option<u16>) {
    let colon = memchr::memrchr(b':', host.as_bytes());
    let (address, port) = match colon.map(|colon| (&host[..colon], &host[colon + 1..])) {
        Some((address, port)) if !port.contains(']') => (address, port.parse().ok()),
        _ => (host, None),
    };
    (address.trim_start_matches('[').trim_end_matches(']'), port)
}

#[cfg(test)]
mod tests;
