//! Message heads, parsed and written (RFC 9112 §2 to §5).

use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use httparse::{Header, ParserConfig, Status};
use hyper::ext::ReasonPhrase;

use crate::message::{Fields, Place, Request, Response};

/// Longest head, in bytes.
pub const HEAD_BYTES_MAX: usize = 128 << 10;
/// Most fields of a head.
pub const FIELDS_MAX: usize = 256;

/// Why a head cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// It breaks the grammar.
    #[error("malformed head: {0}")]
    Malformed(&'static str),
    /// It has more than [`FIELDS_MAX`] fields or [`HEAD_BYTES_MAX`] bytes.
    #[error("a head of more than {FIELDS_MAX} fields or {HEAD_BYTES_MAX} bytes")]
    TooLarge,
    /// It did not come in time.
    #[error("the head did not come in time")]
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
            Error::HeaderName => Self::Malformed("a field name has a byte that it may not have"),
            Error::HeaderValue => Self::Malformed("a field value has a byte that it may not have"),
            Error::NewLine => Self::Malformed("a line does not end in CR LF"),
            Error::Status => Self::Malformed("the status line is none"),
            Error::Token => Self::Malformed("the start line is none of HTTP/1"),
            Error::Version => Self::Malformed("the version is not HTTP/1"),
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
fn places(input: &[u8], headers: &[Header<'_>]) -> Vec<Place> {
    let place_of = |header: &Header<'_>| {
        let name = place(input, header.name.as_bytes());
        Place::new(name, place(input, header.value))
    };
    headers.iter().map(place_of).collect()
}

const fn version(minor: Option<u8>) -> Version {
    match minor {
        Some(0) => Version::HTTP_10,
        _ => Version::HTTP_11,
    }
}

/// Takes a request's head off the input; `None` while it is not whole.
///
/// # Errors
/// [`HeadError`]; the connection cannot go on.
pub(super) fn parse_request(input: &mut BytesMut) -> Result<Option<Request<()>>, HeadError> {
    let mut headers = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut parsed = httparse::Request::new(&mut []);
    let status = ParserConfig::default().parse_request_with_uninit_headers(
        &mut parsed,
        input,
        &mut headers,
    )?;
    let Status::Complete(length) = status else {
        return partial(input);
    };
    let method = Method::from_bytes(parsed.method.unwrap_or_default().as_bytes())
        .map_err(|_| HeadError::Malformed("the method is none"))?;
    let version = version(parsed.version);
    let target = place(input, parsed.path.unwrap_or_default().as_bytes());
    let places = places(input, parsed.headers);
    let head = input.split_to(length).freeze();
    let uri = Uri::from_maybe_shared(head.slice(target))
        .map_err(|_| HeadError::Malformed("the request target is none"))?;
    Ok(Some(Request {
        method,
        uri,
        version,
        fields: Fields::of_head(head, places),
        body: (),
    }))
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
        .map_err(|_| HeadError::Malformed("the status code is none"))?;
    let version = version(parsed.version);
    let reason = parsed.reason.unwrap_or_default();
    let own = status.canonical_reason() != Some(reason);
    let reason = own.then(|| ReasonPhrase::try_from(reason.as_bytes()).ok());
    let places = places(input, parsed.headers);
    let head = input.split_to(length).freeze();
    let response = Response {
        status,
        reason: reason.flatten(),
        fields: Fields::of_head(head, places),
        body: (),
    };
    Ok(Some((response, version)))
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
/// [`HeadError`]; the connection cannot go on.
pub(super) fn parse_trailers(section: Vec<u8>) -> Result<HeaderMap, HeadError> {
    let mut headers = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let section = Bytes::from(section);
    match httparse::parse_headers(&section, &mut headers)? {
        Status::Complete((_, headers)) => headers.iter().map(trailer).collect(),
        Status::Partial => Err(HeadError::Malformed("the trailer section does not end")),
    }
}

fn trailer(header: &Header<'_>) -> Result<(HeaderName, HeaderValue), HeadError> {
    let name = HeaderName::from_bytes(header.name.as_bytes())
        .map_err(|_| HeadError::Malformed("a field name has a byte that it may not have"))?;
    let value = HeaderValue::from_bytes(header.value)
        .map_err(|_| HeadError::Malformed("a field value has a byte that it may not have"))?;
    Ok((name, value))
}

/// Writes a request's head. The target is in origin form, for `CONNECT` and `OPTIONS *` as it is.
pub(super) fn write_request(method: &Method, uri: &Uri, fields: &Fields, out: &mut Vec<u8>) {
    let method = method.as_str().as_bytes();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let line = [method, b" ", target.as_bytes(), b" HTTP/1.1\r\n"];
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

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Result<Option<Request<()>>, HeadError> {
        parse_request(&mut BytesMut::from(text))
    }

    #[test]
    fn a_head_is_written_as_it_was_read() {
        let text = "GET /a?b=c HTTP/1.1\r\nX-One:1\r\nhOST: me\r\nx-e:\r\nx-f: \r\n\r\n";
        let request = request(text).unwrap().unwrap();
        let mut written = Vec::new();
        write_request(&request.method, &request.uri, &request.fields, &mut written);
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
    fn what_is_no_head_is_malformed() {
        for text in [
            "\0\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET /\u{7f} HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\na b: c\r\n\r\n",
            "GET / HTTP/1.1\r\na: \x01\r\n\r\n",
            "GET / HTTP/1.1\r\n a: folded\r\n\r\n",
        ] {
            assert!(
                matches!(request(text), Err(HeadError::Malformed(_))),
                "{text:?}"
            );
        }
    }
}
