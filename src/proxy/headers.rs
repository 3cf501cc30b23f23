//! Which header fields cross the proxy, as pure functions (RFC 9110 §7.6.1).
//!
//! Fields keep their order and their duplicates: a map is rebuilt rather than thinned out, since removing from a
//! [`HeaderMap`] moves its last field into the gap.

use http::header::{CONNECTION, COOKIE, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

use crate::tee::TraceContext;

static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
static PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The fields of a request that go to the upstream.
///
/// `host` stands where the client's `Host` stood. `Expect` is answered by us. `TE: trailers` is the one hop-by-hop wish
/// that we can pass on, since trailers pass; the other is a change of protocol, see [`asks_for_upgrade`]. HTTP/2 lets a client split `Cookie`; towards HTTP/1.1 it is one field again
/// (RFC 9113 §8.2.3).
#[must_use]
pub fn to_upstream(headers: &HeaderMap, version: Version, host: &HeaderValue) -> HeaderMap {
    let named = Named::by(headers);
    let upgrade = asks_for_upgrade(headers);
    let mut out = HeaderMap::with_capacity(headers.len() + 4);
    let mut cookies: Vec<u8> = Vec::new();
    for (name, value) in headers {
        if name == HOST {
            out.insert(HOST, host.clone());
        } else if name == COOKIE && version == Version::HTTP_2 {
            if !cookies.is_empty() {
                cookies.extend_from_slice(b"; ");
            }
            cookies.extend_from_slice(value.as_bytes());
        } else if upgrade && name == UPGRADE {
            out.append(UPGRADE, value.clone());
        } else if upgrade && name == CONNECTION {
            out.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        } else if !is_hop_by_hop(name) && name != EXPECT && !named.contains(name) {
            out.append(name, value.clone());
        }
    }
    if !out.contains_key(HOST) {
        out.insert(HOST, host.clone());
    }
    if let Ok(mut cookies) = HeaderValue::from_bytes(&cookies)
        && !cookies.is_empty()
    {
        cookies.set_sensitive(true);
        out.insert(COOKIE, cookies);
    }
    if wants_trailers(headers) {
        out.insert(TE, HeaderValue::from_static("trailers"));
        out.append(CONNECTION, HeaderValue::from_static("te"));
    }
    out
}

/// The same fields with this trace context in place of the client's.
#[must_use]
pub fn with_trace_context(mut headers: HeaderMap, context: TraceContext) -> HeaderMap {
    headers.insert(TRACEPARENT.clone(), context.traceparent);
    if context.keep_tracestate || !headers.contains_key(&TRACESTATE) {
        return headers;
    }
    let mut out = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter().filter(|(name, _)| **name != TRACESTATE) {
        out.append(name, value.clone());
    }
    out
}

/// The fields of a response that go to the client; not for a `101`, whose fields all belong to the change it answers.
#[must_use]
pub fn to_client(headers: HeaderMap) -> HeaderMap {
    let named = Named::by(&headers);
    let upgrade = asks_for_upgrade(&headers);
    if !headers
        .keys()
        .any(|name| is_hop_by_hop(name) || named.contains(name))
    {
        return headers;
    }
    let mut out = HeaderMap::with_capacity(headers.len());
    for (name, value) in &headers {
        if upgrade && name == UPGRADE {
            out.append(UPGRADE, value.clone());
        } else if upgrade && name == CONNECTION {
            out.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        } else if !is_hop_by_hop(name) && !named.contains(name) {
            out.append(name, value.clone());
        }
    }
    out
}

/// Whether a message asks for another protocol on this connection, or offers one (RFC 9110 §7.8).
///
/// A change to HTTP/2 in the clear is not passed on: RFC 9113 §3.1 has done away with it, and the calls that followed
/// it would go by unseen.
#[must_use]
pub fn asks_for_upgrade(headers: &HeaderMap) -> bool {
    let mut protocols = headers.get_all(UPGRADE).iter().peekable();
    protocols.peek().is_some()
        && Named::by(headers).contains(&UPGRADE)
        && protocols.all(|value| {
            let mut names = value.as_bytes().split(|byte| *byte == b',');
            names.all(|name| !name.trim_ascii().eq_ignore_ascii_case(b"h2c"))
        })
}

/// Whether the client says that it reads trailers.
fn wants_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(TE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            coding
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .eq_ignore_ascii_case("trailers")
        })
}

/// Fields that end at each hop, whether or not `Connection` names them. `Trailer` is not among them (RFC 9110 §6.6.2).
fn is_hop_by_hop(name: &HeaderName) -> bool {
    name == CONNECTION
        || name == TRANSFER_ENCODING
        || name == TE
        || name == UPGRADE
        || name == KEEP_ALIVE
        || name == PROXY_CONNECTION
}

/// The fields that `Connection` names.
struct Named<'a>(Vec<&'a str>);

impl<'a> Named<'a> {
    fn by(headers: &'a HeaderMap) -> Self {
        Self(
            headers
                .get_all(CONNECTION)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(','))
                .map(str::trim)
                .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("close"))
                .collect(),
        )
    }

    fn contains(&self, name: &HeaderName) -> bool {
        self.0
            .iter()
            .any(|named| name.as_str().eq_ignore_ascii_case(named))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    fn list(headers: &HeaderMap) -> Vec<(&str, &str)> {
        headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().expect("the tests use ASCII")))
            .collect()
    }

    fn sent(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        to_upstream(
            &map(fields),
            Version::HTTP_11,
            &HeaderValue::from_static("up:1"),
        )
    }

    #[test]
    fn order_and_duplicates_survive() {
        let sent = sent(&[
            ("b", "1"),
            ("host", "me"),
            ("connection", "x-hop"),
            ("a", "2"),
            ("x-hop", "3"),
            ("a", "4"),
            ("c", "5"),
        ]);
        assert_eq!(
            list(&sent),
            [
                ("b", "1"),
                ("host", "up:1"),
                ("a", "2"),
                ("a", "4"),
                ("c", "5")
            ]
        );
    }

    #[test]
    fn hop_by_hop_fields_and_those_connection_names_stop_here() {
        let sent = sent(&[
            ("host", "me"),
            ("connection", "keep-alive, X-One"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("te", "gzip"),
            ("expect", "100-continue"),
            ("x-one", "1"),
            ("x-two", "2"),
        ]);
        assert_eq!(list(&sent), [("host", "up:1"), ("x-two", "2")]);
    }

    #[test]
    fn a_change_of_protocol_is_passed_on_where_connection_names_it() {
        let websocket = [
            ("upgrade", "websocket"),
            ("host", "me"),
            ("connection", "keep-alive, Upgrade"),
            ("x", "y"),
        ];
        assert_eq!(
            list(&sent(&websocket)),
            [
                ("upgrade", "websocket"),
                ("host", "up:1"),
                ("connection", "Upgrade"),
                ("x", "y")
            ]
        );
        let unnamed = [("host", "me"), ("upgrade", "websocket")];
        assert_eq!(list(&sent(&unnamed)), [("host", "up:1")]);
    }

    #[test]
    fn http_2_in_the_clear_is_not_changed_to() {
        let h2c = [
            ("host", "me"),
            ("connection", "Upgrade, HTTP2-Settings"),
            ("upgrade", "websocket, h2c"),
            ("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
        ];
        assert_eq!(list(&sent(&h2c)), [("host", "up:1")]);
    }

    #[test]
    fn a_client_that_reads_trailers_is_told_of_upstream() {
        let sent = sent(&[("host", "me"), ("te", "gzip, Trailers;q=0.5")]);
        assert_eq!(
            list(&sent),
            [("host", "up:1"), ("te", "trailers"), ("connection", "te")]
        );
    }

    #[test]
    fn cookies_split_by_http_2_are_joined() {
        let headers = map(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]);
        let sent = to_upstream(&headers, Version::HTTP_2, &HeaderValue::from_static("up"));
        assert_eq!(
            list(&sent),
            [("x", "y"), ("host", "up"), ("cookie", "a=1; b=2")]
        );
    }

    #[test]
    fn our_trace_context_stands_where_the_clients_stood() {
        let client = [
            ("a", "1"),
            ("tracestate", "one=1"),
            ("traceparent", "theirs"),
            ("baggage", "user=7"),
            ("tracestate", "two=2"),
            ("b", "2"),
        ];
        let context = |keep_tracestate| TraceContext {
            traceparent: HeaderValue::from_static("ours"),
            keep_tracestate,
        };
        let kept = with_trace_context(map(&client), context(true));
        assert_eq!(
            list(&kept),
            [
                ("a", "1"),
                ("tracestate", "one=1"),
                ("tracestate", "two=2"),
                ("traceparent", "ours"),
                ("baggage", "user=7"),
                ("b", "2")
            ]
        );
        let new_root = with_trace_context(map(&client), context(false));
        assert_eq!(
            list(&new_root),
            [
                ("a", "1"),
                ("traceparent", "ours"),
                ("baggage", "user=7"),
                ("b", "2")
            ]
        );
    }

    #[test]
    fn a_response_loses_only_its_hop_by_hop_fields() {
        let got = to_client(map(&[
            ("date", "now"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("trailer", "x-sum"),
            ("set-cookie", "a"),
            ("set-cookie", "b"),
            ("transfer-encoding", "chunked"),
        ]));
        assert_eq!(
            list(&got),
            [
                ("date", "now"),
                ("trailer", "x-sum"),
                ("set-cookie", "a"),
                ("set-cookie", "b")
            ]
        );
    }
}
