//! Which header fields cross the proxy, as pure functions (RFC 9110 §7.6.1). Those that do keep their order.

use http::header::{
    self, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, ETAG, EXPECT, HOST, HeaderName, TE,
    UPGRADE,
};
use http::{HeaderValue, Version};
use memchr::memmem;

use crate::message::{Field, Fields, Frame, Names};
use crate::tap::TraceHeaders;
use crate::upstream::{Key, UpstreamConfig};

/// The field for a key that Azure reads.
const API_KEY: &str = "api-key";

/// Room for what a request gains on its way: another host, a trace context, another key.
const MORE_FIELDS: usize = 4;
/// The same in bytes.
const MORE_BYTES: usize = 256;

/// The fields of a request that go to the upstream.
///
/// `host` stands where the client's `Host` stood. `Expect` is answered by us. `TE: trailers` is the one hop-by-hop wish
/// that we can pass on, since trailers pass; the other is a change of protocol. HTTP/2 lets a client split `Cookie`; towards
/// HTTP/1.1 it is one field again (RFC 9113 §8.2.3).
#[must_use]
pub fn to_upstream(client: &Fields, version: Version, host: &HeaderValue) -> Fields {
    let mut fields = end_to_end(client, MORE_FIELDS, MORE_BYTES);
    fields.remove(EXPECT);
    fields.set(HOST, host);
    if version == Version::HTTP_2 {
        join_cookies(&mut fields);
    }
    if wants_trailers(client) {
        fields.set(TE, "trailers");
        fields.append(CONNECTION, "te");
    }
    fields
}

fn join_cookies(fields: &mut Fields) {
    let cookies: Vec<&[u8]> = fields.all(COOKIE).collect();
    if cookies.len() > 1 {
        let joined = cookies.join(&b"; "[..]);
        fields.set(COOKIE, joined);
    }
}

/// Puts in what is configured for an upstream: its key, and its headers.
pub fn set_own(fields: &mut Fields, upstream: &UpstreamConfig) {
    set_key(fields, &upstream.key);
    for (name, value) in &upstream.headers {
        fields.set(name, value);
    }
}

/// Puts our key in the place of the client's, where the upstream is to see ours.
fn set_key(fields: &mut Fields, key: &Key) {
    if let Key::Own(credential) = key {
        for other in [AUTHORIZATION.as_str(), API_KEY] {
            if credential.header != other {
                fields.remove(other);
            }
        }
        fields.set(&credential.header, &credential.value);
    }
}

/// Puts this trace context in place of the client's.
pub fn set_trace_headers(fields: &mut Fields, context: &TraceHeaders) {
    if let Some(w3c) = &context.w3c {
        fields.set("traceparent", w3c.traceparent);
        if !w3c.keep_tracestate {
            fields.remove("tracestate");
        }
    }
    for (name, value) in &context.others {
        match value {
            Some(value) => fields.set(name, value),
            None => fields.remove(name),
        }
    }
}

/// The fields of a response that go to the client; not for a `101`, whose fields all belong to the change it answers.
#[must_use]
pub fn to_client(upstream: &Fields) -> Fields {
    // At most it gains a field that says how it is framed.
    end_to_end(upstream, 1, 0)
}

/// Fields with a digest of the body, which holds no longer once the body is another (RFC 9530, RFC 3230, RFC 1864).
const DIGESTS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];
/// Fields of a signature, perhaps over a digest (RFC 9421).
const SIGNATURES: [&str; 2] = ["signature", "signature-input"];
/// How the names of fields end that have the hash of the body for the signatures of clouds: `X-Amz-`, `X-Ms-`, `X-Acs-`, `X-`.
const BODY_HASH: &str = "-content-sha256";

/// Whether there is a digest of the body.
pub fn has_digest(fields: &Fields) -> bool {
    DIGESTS.iter().any(|name| fields.contains(*name))
}

/// Whether an answer says anything that is true of its very bytes alone.
pub fn vouches(fields: &Fields) -> bool {
    has_digest(fields) || fields.contains(CONTENT_LENGTH) || fields.contains(ETAG)
}

/// Whether a request vouches for its body, which then is to stay as it is.
pub fn is_sealed(fields: &Fields) -> bool {
    has_digest(fields)
        || SIGNATURES.iter().any(|name| fields.contains(*name))
        || fields.iter().any(|field| field.ends(BODY_HASH))
        || fields.all(AUTHORIZATION).any(signs)
}

/// Whether credentials are a signature of the whole request: AWS's (`AWS4-HMAC-SHA256`, `AWS4-ECDSA-P256-SHA256`), which most of
/// its services want without a field for the body's hash, those made after it (`TC3-HMAC-SHA256`), and `Signature`.
fn signs(credentials: &[u8]) -> bool {
    let mut words = credentials.split(|byte| matches!(byte, b' ' | b'\t'));
    let scheme = words.next().unwrap_or_default().to_ascii_uppercase();
    let is_hash = scheme.ends_with(b"-SHA256") || memmem::find(&scheme, b"HMAC").is_some();
    is_hash || scheme == b"SIGNATURE"
}

/// Takes out what is said of a body that is shortened on its way: its length, its digest, and what names these very bytes.
pub fn unseal(fields: &mut Fields) {
    fields.remove(CONTENT_LENGTH);
    fields.remove(ETAG);
    for name in DIGESTS {
        fields.remove(name);
    }
}

/// Whether a server says that it closes the connection.
#[must_use]
pub fn says_close(fields: &Fields) -> bool {
    let is_close = |option: &str| option.trim().eq_ignore_ascii_case("close");
    let mut values = fields.texts(CONNECTION);
    values.any(|value| value.split(',').any(is_close))
}

/// The fields that do not end here, with room for more. A change of protocol that is passed on is said anew, for this
/// connection.
fn end_to_end(fields: &Fields, more_fields: usize, more_bytes: usize) -> Fields {
    let named = Named::by(fields);
    let upgrade = named.ask_for_upgrade(fields);
    let mut passing = fields.with_room(more_fields, more_bytes);
    passing.retain(|field| {
        (upgrade && (field.is(UPGRADE) || field.is(CONNECTION)))
            || !(is_hop_by_hop(field) || named.contains(field))
    });
    if upgrade {
        passing.set(CONNECTION, "Upgrade");
    }
    passing
}

/// Trailer fields that say something of how a message is framed, where it goes, who asks and what its content is. Read in a
/// trailer they come too late, or get past those who have looked at the head (RFC 9110 §6.5.1).
const NOT_IN_TRAILERS: [HeaderName; 30] = [
    header::ACCEPT_ENCODING,
    header::AGE,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::DATE,
    header::EXPECT,
    header::EXPIRES,
    header::HOST,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::LOCATION,
    header::MAX_FORWARDS,
    header::PRAGMA,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::RANGE,
    header::RETRY_AFTER,
    header::SET_COOKIE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::VARY,
    header::WWW_AUTHENTICATE,
];

/// A frame of a body as it crosses the proxy: data as it is, of trailers those that may be trailers.
#[must_use]
pub fn crossing(mut frame: Frame) -> Frame {
    if let Frame::Trailers(trailers) = &mut frame {
        let belongs_in_head = |field: Field<'_>| NOT_IN_TRAILERS.iter().any(|name| field.is(name));
        trailers.retain(|field| !belongs_in_head(field) && !is_hop_by_hop(field));
    }
    frame
}

/// Whether the client says that it reads trailers.
fn wants_trailers(fields: &Fields) -> bool {
    let is_trailers = |coding: &str| {
        let name = coding.split(';').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case("trailers")
    };
    let mut values = fields.texts(TE);
    values.any(|value| value.split(',').any(is_trailers))
}

/// Fields that end at each hop, whether or not `Connection` names them. `Trailer` is not among them (RFC 9110 §6.6.2), and
/// `Transfer-Encoding` is left to who frames the body: where it is framed alike on both sides, the field stays in its place.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "te",
    "upgrade",
    "keep-alive",
    "proxy-connection",
];

fn is_hop_by_hop(field: Field<'_>) -> bool {
    const NAMES: Names = Names::of(HOP_BY_HOP);
    field.may_be_of(NAMES) && HOP_BY_HOP.iter().any(|name| field.is(name))
}

/// The fields that `Connection` names.
struct Named<'a>(Vec<&'a str>);

impl<'a> Named<'a> {
    fn by(fields: &'a Fields) -> Self {
        let mut named = Vec::new();
        for value in fields.texts(CONNECTION) {
            let names = value.split(',').map(str::trim);
            let is_field = |name: &&str| !name.is_empty() && !name.eq_ignore_ascii_case("close");
            named.extend(names.filter(is_field));
        }
        Self(named)
    }

    fn contains(&self, field: Field<'_>) -> bool {
        self.0.iter().any(|name| field.is(name))
    }

    /// Whether they ask for another protocol on this connection, or offer one (RFC 9110 §7.8).
    ///
    /// A change to HTTP/2 in the clear is not passed on: RFC 9113 §3.1 has done away with it, and the calls that followed
    /// it would go by unseen.
    fn ask_for_upgrade(&self, fields: &Fields) -> bool {
        let is_named = |name: &&str| name.eq_ignore_ascii_case(UPGRADE.as_str());
        self.0.iter().any(is_named)
            && fields.contains(UPGRADE)
            && fields.all(UPGRADE).all(|value| {
                let mut names = value.split(|byte| *byte == b',');
                names.all(|name| !name.trim_ascii().eq_ignore_ascii_case(b"h2c"))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tap::W3cHeaders;

    fn fields(fields: &[(&str, &str)]) -> Fields {
        fields.iter().copied().collect()
    }

    fn list(fields: &Fields) -> Vec<(&str, &str)> {
        let text = |value| std::str::from_utf8(value).expect("the tests use ASCII");
        fields
            .iter()
            .map(|field| (field.name(), text(field.value)))
            .collect()
    }

    fn sent(fields: &[(&str, &str)]) -> Fields {
        to_upstream(
            &self::fields(fields),
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
        assert_eq!(
            list(&sent),
            [
                ("host", "up:1"),
                ("transfer-encoding", "chunked"),
                ("x-two", "2")
            ]
        );
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
    fn of_trailers_those_pass_that_say_nothing_of_the_message_itself() {
        let fields = fields(&[
            ("X-Sum", "1"),
            ("Content-Length", "5"),
            ("connection", "x-sum"),
            ("authorization", "Bearer x"),
            ("x-Sum", "2"),
            ("transfer-encoding", "chunked"),
            ("host", "other"),
        ]);
        let Frame::Trailers(crossed) = crossing(Frame::Trailers(Box::new(fields))) else {
            unreachable!("they are trailers")
        };
        assert_eq!(list(&crossed), [("X-Sum", "1"), ("x-Sum", "2")]);
        let data = crossing(Frame::Data("host".into()));
        assert_eq!(data.data().expect("it is data"), "host");
    }

    #[test]
    fn cookies_split_by_http_2_are_joined() {
        let headers = fields(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]);
        let sent = to_upstream(&headers, Version::HTTP_2, &HeaderValue::from_static("up"));
        assert_eq!(
            list(&sent),
            [("cookie", "a=1; b=2"), ("x", "y"), ("host", "up")]
        );
    }

    const OURS: [u8; 55] = *b"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

    #[test]
    fn our_trace_headers_stands_where_the_clients_stood() {
        let client = [
            ("a", "1"),
            ("tracestate", "one=1"),
            ("traceparent", "theirs"),
            ("baggage", "user=7"),
            ("tracestate", "two=2"),
            ("b", "2"),
        ];
        let ours = std::str::from_utf8(&OURS).expect("it is ASCII");
        let traced = |keep_tracestate| {
            let mut traced = fields(&client);
            let context = TraceHeaders {
                w3c: Some(W3cHeaders {
                    traceparent: OURS,
                    keep_tracestate,
                }),
                others: Vec::new(),
            };
            set_trace_headers(&mut traced, &context);
            traced
        };
        let kept = traced(true);
        assert_eq!(
            list(&kept),
            [
                ("a", "1"),
                ("tracestate", "one=1"),
                ("traceparent", ours),
                ("baggage", "user=7"),
                ("tracestate", "two=2"),
                ("b", "2")
            ]
        );
        let new_root = traced(false);
        assert_eq!(
            list(&new_root),
            [
                ("a", "1"),
                ("traceparent", ours),
                ("baggage", "user=7"),
                ("b", "2")
            ]
        );
    }

    #[test]
    fn other_formats_stand_where_the_clients_stood_and_those_that_go_are_gone() {
        let mut traced = fields(&[
            ("a", "1"),
            ("X-B3-TraceId", "theirs"),
            ("traceparent", "theirs"),
            ("x-b3-flags", "1"),
        ]);
        let context = TraceHeaders {
            w3c: None,
            others: vec![
                ("x-b3-traceid", Some("ours".to_owned())),
                ("x-b3-flags", None),
                ("b3", Some("ours".to_owned())),
            ],
        };
        set_trace_headers(&mut traced, &context);
        assert_eq!(
            list(&traced),
            [
                ("a", "1"),
                ("X-B3-TraceId", "ours"),
                ("traceparent", "theirs"),
                ("b3", "ours")
            ]
        );
    }

    #[test]
    fn a_response_loses_only_its_hop_by_hop_fields() {
        let got = to_client(&fields(&[
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
                ("set-cookie", "b"),
                ("transfer-encoding", "chunked")
            ]
        );
    }
}
