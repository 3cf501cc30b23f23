//! Message heads, parsed and written (RFC 9112 §2 to §5).

use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::HOST;
use http::{Method, StatusCode, Version};
use httparse::{Header, ParserConfig, Status};
use hyper::ext::ReasonPhrase;

use crate::message::{FieldPlace, Fields, Request, Response, Target, TargetError};

/// Longest head, in bytes, not counting the first line of a request.
pub const HEAD_BYTES_MAX: usize = 128 << 10;
/// Longest request target, in bytes.
pub const TARGET_BYTES_MAX: usize = 128 << 10;
/// Most bytes of a request's first line besides its target.
const METHOD_BYTES_MAX: usize = 64;
/// Most fields of a head.
pub const FIELDS_MAX: usize = 256;
/// Limit for a head, from its first byte on. A connection may be idle for longer.
pub(super) const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// The same once the server is to stop.
pub(super) const HEAD_TIME_MAX_STOPPING: Duration = Duration::from_secs(1);

/// First byte of a TLS record that opens a connection (RFC 8446 §5.1). No method begins with it.
const TLS_HANDSHAKE: u8 = 0x16;
const IS_TLS: &str =
    "it is a TLS handshake; use http:// in the client's URL, or set tls.certificate and tls.key";

/// Why a head cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// It breaks the grammar.
    #[error("its head is not valid HTTP/1.1: {0}")]
    Malformed(&'static str),
    /// It has more than [`FIELDS_MAX`] fields or [`HEAD_BYTES_MAX`] bytes.
    #[error(
        "its head is too large: at most {FIELDS_MAX} header fields and {} KiB are accepted",
        HEAD_BYTES_MAX >> 10
    )]
    TooLarge,
    /// Its target is longer than [`TARGET_BYTES_MAX`].
    #[error("the request target is too long: at most {} KiB are accepted", TARGET_BYTES_MAX >> 10)]
    TargetTooLong,
    /// Its target names nothing.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// It did not come in time.
    #[error(
        "its head did not arrive within {HEAD_TIME_MAX:?} ({HEAD_TIME_MAX_STOPPING:?} during shutdown)"
    )]
    Timeout,
}

impl From<HeadError> for io::Error {
    fn from(error: HeadError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

impl From<httparse::Error> for HeadError {
    fn from(error: httparse::Error) -> Self {
        use httparse::Error;
        match error {
            Error::TooManyHeaders => Self::TooLarge,
            Error::HeaderName => {
                Self::Malformed("a header name contains a character that is not allowed")
            }
            Error::HeaderValue => {
                Self::Malformed("a header value contains a character that is not allowed")
            }
            Error::NewLine => Self::Malformed("a line does not end with CR LF"),
            Error::Status => Self::Malformed("the status line is not valid"),
            Error::Token => Self::Malformed("the first line is not valid"),
            Error::Version => Self::Malformed("the version is not HTTP/1.0 or HTTP/1.1"),
        }
    }
}

/// Where something lies that was parsed from `input`.
fn place(input: &[u8], part: &[u8]) -> Range<usize> {
    let from = part.as_ptr() as usize - input.as_ptr() as usize;
    from..from + part.len()
}

/// Where the fields of a head lie that was parsed from `input`. By itself, for both kinds of head.
#[inline(never)]
fn places(input: &[u8], headers: &[Header<'_>]) -> Vec<FieldPlace> {
    let place_of = |header: &Header<'_>| {
        let name = place(input, header.name.as_bytes());
        FieldPlace::new(name, place(input, header.value))
    };
    headers.iter().map(place_of).collect()
}

const fn version(minor: Option<u8>) -> Version {
    match minor {
        Some(0) => Version::HTTP_10,
        _ => Version::HTTP_11,
    }
}

/// Where the parts of a request's head lie.
struct RequestParts {
    method: Range<usize>,
    target: Range<usize>,
    version: Version,
    fields: Vec<FieldPlace>,
    /// Where the head ends.
    end: usize,
}

/// Takes a request's head off the input; `None` while it is not whole.
///
/// # Errors
/// [`HeadError`]; the connection cannot go on.
pub(super) fn parse_request(input: &mut BytesMut) -> Result<Option<Request<()>>, HeadError> {
    let mut headers = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut parsed = httparse::Request::new(&mut []);
    let parser = ParserConfig::default();
    let parts = match parser.parse_request_with_uninit_headers(&mut parsed, input, &mut headers) {
        Ok(Status::Partial) => None,
        Ok(Status::Complete(end)) => Some(RequestParts {
            method: place(input, parsed.method.unwrap_or_default().as_bytes()),
            target: place(input, parsed.path.unwrap_or_default().as_bytes()),
            version: version(parsed.version),
            fields: places(input, parsed.headers),
            end,
        }),
        Err(error) => match TextlessLine::read(input) {
            Some(line) => line.rest_of_head(input)?,
            None if input.first() == Some(&TLS_HANDSHAKE) => {
                return Err(HeadError::Malformed(IS_TLS));
            }
            None => return Err(error.into()),
        },
    };
    let line_end = parts.as_ref().map_or_else(
        || memchr::memchr(b'\n', input).unwrap_or(input.len()),
        |parts| parts.target.end,
    );
    if line_end > TARGET_BYTES_MAX + METHOD_BYTES_MAX {
        return Err(HeadError::TargetTooLong);
    }
    let Some(parts) = parts else {
        return partial(&input[line_end..]);
    };
    let head = take_head(input, parts.end);
    let method = Method::from_bytes(&head[parts.method])
        .map_err(|_| HeadError::Malformed("the method is not valid"))?;
    Ok(Some(Request {
        target: Target::of(&method, head.slice(parts.target))?,
        method,
        version: parts.version,
        fields: Fields::of_head(head, parts.fields),
        body: (),
    }))
}

/// A request's first line whose target is no UTF-8, which the parser does not take. Clients send such, in Latin-1.
struct TextlessLine {
    method: Range<usize>,
    target: Range<usize>,
    /// The version, and where the next line begins; `None` while the line is not whole.
    rest: Option<(Version, usize)>,
}

impl TextlessLine {
    fn read(input: &[u8]) -> Option<Self> {
        let end = memchr::memchr(b'\n', input);
        let line = &input[..end.unwrap_or(input.len())];
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let rest = match (end, version.trim_ascii_end()) {
            (None, _) => None,
            (Some(end), b"HTTP/1.1") => Some((Version::HTTP_11, end + 1)),
            (Some(end), b"HTTP/1.0") => Some((Version::HTTP_10, end + 1)),
            _ => return None,
        };
        let visible = |byte: &u8| byte.is_ascii_graphic() || !byte.is_ascii();
        // A line that is wrong in another way is refused, however much of it is there.
        let is_textless = Method::from_bytes(method).is_ok()
            && target.iter().all(visible)
            && std::str::from_utf8(target).is_err();
        is_textless.then(|| Self {
            method: place(input, method),
            target: place(input, target),
            rest,
        })
    }

    fn rest_of_head(self, input: &[u8]) -> Result<Option<RequestParts>, HeadError> {
        let Some((version, start)) = self.rest else {
            return Ok(None);
        };
        let mut headers = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let Status::Complete((length, headers)) =
            httparse::parse_headers(&input[start..], &mut headers)?
        else {
            return Ok(None);
        };
        Ok(Some(RequestParts {
            method: self.method,
            target: self.target,
            version,
            fields: places(input, headers),
            end: start + length,
        }))
    }
}

/// Whether a request says for which host it is, as it must (RFC 9112 §3.2).
///
/// # Errors
/// Where it does not, says so twice, or names no host.
pub(super) fn check_host(request: &Request<()>) -> Result<(), HeadError> {
    let mut hosts = request.fields.all(HOST);
    let wrong = match (hosts.next(), hosts.next()) {
        (None, _) if request.version == Version::HTTP_11 => "there is no Host field",
        (Some(_), Some(_)) => "there is more than one Host field",
        (Some(host), None) if !is_host(host) => "Host is not a host name with or without a port",
        _ => return Ok(()),
    };
    Err(HeadError::Malformed(wrong))
}

/// Whether this is a host, with or without a port, or nothing, as is sent where a URL has no host (RFC 9110 §7.2).
fn is_host(text: &[u8]) -> bool {
    let bracket = text
        .starts_with(b"[")
        .then(|| memchr::memchr(b']', text).map(|end| end + 1));
    let (host, port) = match bracket {
        Some(None) => return false,
        Some(Some(end)) => text.split_at(end),
        None => text.split_at(memchr::memchr(b':', text).unwrap_or(text.len())),
    };
    let in_literal = |byte: &u8| byte.is_ascii_hexdigit() || b"[]:.".contains(byte);
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(byte);
    let named = match bracket {
        Some(_) => host.iter().all(in_literal),
        None => host.iter().all(in_name),
    };
    let numbered = port
        .strip_prefix(b":")
        .map_or(port.is_empty(), |port| port.iter().all(u8::is_ascii_digit));
    named && numbered
}

/// Takes a response's head off the input, with the version it came by; `None` while it is not whole.
///
/// # Errors
/// [`HeadError`]; the connection cannot go on.
pub(super) fn parse_response(
    input: &mut BytesMut,
) -> Result<Option<(Response<()>, Version)>, HeadError> {
    let mut headers = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let status = ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        input,
        &mut headers,
    )?;
    let Status::Complete(length) = status else {
        return partial(input);
    };
    let status = StatusCode::from_u16(parsed.code.unwrap_or_default())
        .map_err(|_| HeadError::Malformed("the status code is not valid"))?;
    let version = version(parsed.version);
    let reason = match parsed.reason.unwrap_or_default() {
        // The parser gives none either where there are bytes above 0x7F in it.
        "" => written_reason(input),
        reason => reason.as_bytes(),
    };
    let own = status.canonical_reason().map(str::as_bytes) != Some(reason);
    let reason = own.then(|| ReasonPhrase::try_from(reason).ok());
    let places = places(input, parsed.headers);
    let head = take_head(input, length);
    let response = Response {
        status,
        reason: reason.flatten(),
        fields: Fields::of_head(head, places),
        body: (),
    };
    Ok(Some((response, version)))
}

/// The reason phrase of a head that has been read: what stands behind the status in its first line that is not empty.
fn written_reason(head: &[u8]) -> &[u8] {
    let mut lines = head.split(|byte| *byte == b'\n');
    let line = lines.find(|line| !line.trim_ascii().is_empty());
    let line = line.unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.get("HTTP/1.1 200 ".len()..).unwrap_or_default()
}

fn partial<T>(input: &[u8]) -> Result<Option<T>, HeadError> {
    if input.len() > HEAD_BYTES_MAX {
        return Err(HeadError::TooLarge);
    }
    Ok(None)
}

/// The fields of a trailer section, which ends in its empty line.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse_trailers(section: Vec<u8>) -> Result<Fields, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let section = Bytes::from(section);
    match httparse::parse_headers(&section, &mut headers) {
        Ok(Status::Complete((_, headers))) => {
            let places = places(&section, headers);
            Ok(Fields::of_head(section, places))
        }
        Err(httparse::Error::TooManyHeaders) => Err(TRAILERS_TOO_MANY),
        _ => Err("a trailer field contains a character that is not allowed"),
    }
}

/// What is said of trailers beyond the bounds of heads, [`HEAD_BYTES_MAX`] and [`FIELDS_MAX`].
pub(super) const TRAILERS_TOO_LONG: &str =
    "the trailers are too long: at most 128 KiB are accepted";
const TRAILERS_TOO_MANY: &str = "there are too many trailer fields: at most 256 are accepted";

/// Writes a request's head.
pub(super) fn write_request(method: &Method, target: &Target, fields: &Fields, out: &mut Vec<u8>) {
    let line = [
        method.as_str().as_bytes(),
        b" ",
        target.as_bytes(),
        b" HTTP/1.1\r\n",
    ];
    write(&line, fields, out);
}

/// Writes a response's head.
pub(super) fn write_response(
    status: StatusCode,
    reason: Option<&ReasonPhrase>,
    fields: &Fields,
    out: &mut Vec<u8>,
) {
    let canonical = || status.canonical_reason().unwrap_or_default().as_bytes();
    let reason = reason.map_or_else(canonical, ReasonPhrase::as_bytes);
    let status = status.as_str().as_bytes();
    write(&[b"HTTP/1.1 ", status, b" ", reason, b"\r\n"], fields, out);
}

fn write(line: &[&[u8]], fields: &Fields, out: &mut Vec<u8>) {
    let length: usize = line.iter().map(|part| part.len()).sum();
    out.reserve(length + fields.written_len() + 2);
    line.iter().for_each(|part| out.extend_from_slice(part));
    fields.write(out);
    out.extend_from_slice(b"\r\n");
}

/// Most of a body that a head may keep in memory with it.
const KEPT_WITH_HEAD: usize = 4 << 10;

/// Takes a head off what was read. Where much of a body was read with it, it is a copy: the observer of an exchange holds the head
/// longer than the body.
fn take_head(input: &mut BytesMut, length: usize) -> Bytes {
    if input.len() - length <= KEPT_WITH_HEAD {
        return input.split_to(length).freeze();
    }
    let head = Bytes::copy_from_slice(&input[..length]);
    input.advance(length);
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Result<Option<Request<()>>, HeadError> {
        parse_request(&mut BytesMut::from(text))
    }

    #[test]
    fn a_head_does_not_keep_the_body_in_memory_that_was_read_with_it() {
        for (body, copied) in [(KEPT_WITH_HEAD, false), (KEPT_WITH_HEAD + 1, true)] {
            let mut input = BytesMut::from(&[b"head", &*vec![b'x'; body]].concat()[..]);
            let read = input.as_ptr();
            let head = take_head(&mut input, 4);
            assert_eq!((&*head, input.len()), (&b"head"[..], body));
            assert_eq!(head.as_ptr() != read, copied, "{body}");
        }
    }

    #[test]
    fn a_head_is_written_as_it_was_read() {
        let text = "GET /a?b=c HTTP/1.1\r\nX-One:1\r\nhOST: me\r\nx-e:\r\nx-f: \r\n\r\n";
        let request = request(text).unwrap().unwrap();
        let mut written = Vec::new();
        write_request(
            &request.method,
            &request.target,
            &request.fields,
            &mut written,
        );
        assert_eq!(written, text.as_bytes());
    }

    #[test]
    fn each_of_the_same_names_keeps_its_spelling() {
        let text = "HTTP/1.1 200 Fine\r\nSet-Cookie: a\r\nset-cookie: b\r\nSET-COOKIE: c\r\n\r\n";
        let read = parse_response(&mut BytesMut::from(text)).unwrap();
        let (response, _) = read.unwrap();
        let reason = response.reason.as_ref();
        let mut written = Vec::new();
        write_response(response.status, reason, &response.fields, &mut written);
        assert_eq!(written, text.as_bytes());
    }

    #[test]
    fn a_head_is_not_taken_before_it_is_whole() {
        let text = "GET / HTTP/1.1\r\na: b\r\n\r\n";
        for cut in 0..text.len() {
            assert!(matches!(request(&text[..cut]), Ok(None)), "{cut}");
        }
        let mut input = BytesMut::from(&format!("{text}rest")[..]);
        assert!(parse_request(&mut input).unwrap().is_some());
        assert_eq!(input, "rest");
    }

    #[test]
    fn a_tls_handshake_is_named() {
        let error = request("\x16\x03\x01\x02\r\n\r\n").unwrap_err();
        assert_eq!(error, HeadError::Malformed(IS_TLS));
    }

    #[test]
    fn a_reason_phrase_passes_byte_for_byte() {
        for reason in [
            &b"Fine"[..],
            b"",
            b"OK",
            b"r\xc3\xa9ussi",
            b"caf\xe9 \t!",
            b"\xff",
        ] {
            for before in ["", "\r\n"] {
                let line = [b"HTTP/1.1 200 ", reason, b"\r\n"].concat();
                let head = [before.as_bytes(), &line, b"a: b\r\n\r\n"].concat();
                let read = parse_response(&mut BytesMut::from(&head[..]));
                let (response, _) = read.unwrap().unwrap();
                let mut written = Vec::new();
                write_response(
                    response.status,
                    response.reason.as_ref(),
                    &response.fields,
                    &mut written,
                );
                assert!(written.starts_with(&line), "{written:?}");
            }
        }
    }

    #[test]
    fn too_many_fields_are_said_to_be_too_large() {
        let field = |number| format!("x-{number}: y\r\n");
        let head = |count| {
            let fields: String = (0..count).map(field).collect();
            format!("GET / HTTP/1.1\r\n{fields}\r\n")
        };
        assert!(request(&head(FIELDS_MAX)).unwrap().is_some());
        assert_eq!(
            request(&head(FIELDS_MAX + 1)).unwrap_err(),
            HeadError::TooLarge
        );
        let long = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(HEAD_BYTES_MAX));
        assert_eq!(request(&long).unwrap_err(), HeadError::TooLarge);
    }

    #[test]
    fn a_target_that_is_no_text_is_read_as_any_other() {
        let head = b"GET /caf\xe9?\xff HTTP/1.0\r\nhost: me\r\n\r\n";
        for cut in 0..head.len() {
            let read = parse_request(&mut BytesMut::from(&head[..cut]));
            assert!(matches!(read, Ok(None)), "{cut}");
        }
        let mut input = BytesMut::from(&[&head[..], b"rest"].concat()[..]);
        let request = parse_request(&mut input).unwrap().unwrap();
        assert_eq!(request.target.as_bytes(), &b"/caf\xe9?\xff"[..]);
        assert_eq!(request.version, Version::HTTP_10);
        assert_eq!(request.fields.text("Host"), Some("me"));
        assert_eq!(input, "rest");
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for host in [
            "",
            "me",
            "me:80",
            "127.0.0.1:",
            "[::1]",
            "[::1]:8080",
            "a_b-c.d",
            "%41",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "me/you", "me@you", "me:x", "a b", "[::1", "::1", "[::1]80", "me?",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn a_request_says_once_for_which_host_it_is() {
        let check = |text| check_host(&request(text).unwrap().unwrap());
        assert!(check("GET / HTTP/1.1\r\n\r\n").is_err());
        assert!(check("GET / HTTP/1.0\r\n\r\n").is_ok());
        assert!(check("GET / HTTP/1.0\r\nhost: a\r\nHost: a\r\n\r\n").is_err());
        assert!(check("GET / HTTP/1.1\r\nhost: a\r\n\r\n").is_ok());
    }

    #[test]
    fn what_is_no_head_is_malformed() {
        for text in [
            "\0\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET /\u{7f} HTTP/1.1\r\n\r\n",
            "GET me:80 HTTP/1.1\r\n\r\n",
            "GET /a#b HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\na b: c\r\n\r\n",
            "GET / HTTP/1.1\r\na: \x01\r\n\r\n",
            "GET / HTTP/1.1\r\n a: folded\r\n\r\n",
        ] {
            assert!(request(text).is_err(), "{text:?}");
        }
    }
}
