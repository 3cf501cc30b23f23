//! Message heads, parsed and written (RFC 9112 §2 to §5).

use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    Version,
};
use httparse::{Header, ParserConfig, Status};
use hyper::ext::ReasonPhrase;

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

/// How the field names of a head were spelled, for those who tell `X-Key` from `x-key`. An extension of messages that
/// were read, and used where they are written; names that are not in it are written in lower case.
#[derive(Debug, Clone)]
pub struct Spelling {
    head: Bytes,
    fields: Arc<[Field]>,
}

impl Spelling {
    /// A name as it was spelled, with what stood between it and its value. Looks from `from` on, where a head in its old order has it, and moves it on.
    fn of<'a>(&'a self, name: &HeaderName, from: &mut usize) -> Option<&'a [u8]> {
        let name = name.as_str().as_bytes();
        let count = self.fields.len();
        let spelled = |at: &usize| &self.head[self.fields[*at].name.clone()];
        let at = (*from..count)
            .chain(0..*from)
            .find(|at| spelled(at).eq_ignore_ascii_case(name))?;
        *from = at + 1;
        let field = &self.fields[at];
        Some(&self.head[field.name.start..field.value.start])
    }
}

/// Where a field lies in its head.
#[derive(Debug)]
struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

/// Finds the fields of a head; offsets are from the start of `input`.
fn fields(input: &[u8], headers: &[Header<'_>]) -> Vec<Field> {
    let start = input.as_ptr() as usize;
    let range = |part: &[u8]| {
        let from = part.as_ptr() as usize - start;
        from..from + part.len()
    };
    headers
        .iter()
        .map(|header| Field {
            name: range(header.name.as_bytes()),
            value: range(header.value),
        })
        .collect()
}

fn header_map(head: &Bytes, fields: &[Field]) -> Result<HeaderMap, HeadError> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(&head[field.name.clone()])
            .map_err(|_| HeadError::Malformed("a field name has a byte that it may not have"))?;
        let value = HeaderValue::from_maybe_shared(head.slice(field.value.clone()))
            .map_err(|_| HeadError::Malformed("a field value has a byte that it may not have"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Takes a head of `length` bytes off the input and keeps its spelling in `extensions`.
fn take(
    input: &mut BytesMut,
    length: usize,
    fields: Vec<Field>,
    extensions: &mut Extensions,
) -> Result<HeaderMap, HeadError> {
    let head = input.split_to(length).freeze();
    let headers = header_map(&head, &fields)?;
    let fields = fields.into();
    extensions.insert(Spelling { head, fields });
    Ok(headers)
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
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(parsed.method.unwrap_or_default().as_bytes())
        .map_err(|_| HeadError::Malformed("the method is none"))?;
    *request.version_mut() = version(parsed.version);
    *request.uri_mut() = Uri::try_from(parsed.path.unwrap_or_default())
        .map_err(|_| HeadError::Malformed("the request target is none"))?;
    let fields = fields(input, parsed.headers);
    *request.headers_mut() = take(input, length, fields, request.extensions_mut())?;
    Ok(Some(request))
}

/// Takes a response's head off the input; `None` while it is not whole.
///
/// # Errors
/// [`HeadError`]; the connection cannot go on.
pub(super) fn parse_response(input: &mut BytesMut) -> Result<Option<Response<()>>, HeadError> {
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
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(parsed.code.unwrap_or_default())
        .map_err(|_| HeadError::Malformed("the status code is none"))?;
    *response.version_mut() = version(parsed.version);
    let reason = parsed.reason.unwrap_or_default();
    if response.status().canonical_reason() != Some(reason)
        && let Ok(reason) = ReasonPhrase::try_from(reason.as_bytes())
    {
        response.extensions_mut().insert(reason);
    }
    let fields = fields(input, parsed.headers);
    *response.headers_mut() = take(input, length, fields, response.extensions_mut())?;
    Ok(Some(response))
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
        Status::Complete((_, headers)) => header_map(&section, &fields(&section, headers)),
        Status::Partial => Err(HeadError::Malformed("the trailer section does not end")),
    }
}

/// A head as it is written, field by field.
pub(super) struct Writer<'a> {
    out: BytesMut,
    spelling: Option<&'a Spelling>,
    /// Where in the spelling the next name is looked for.
    from: usize,
}

impl<'a> Writer<'a> {
    /// A request's head up to its fields. The target is in origin form, for `CONNECT` and `OPTIONS *` as it is.
    pub(super) fn request(method: &Method, uri: &Uri, extensions: &'a Extensions) -> Self {
        let mut writer = Self::new(extensions);
        writer.put(method.as_str().as_bytes());
        writer.put(b" ");
        match uri.path_and_query() {
            Some(path) => writer.put(path.as_str().as_bytes()),
            None => writer.put(b"/"),
        }
        writer.put(b" HTTP/1.1\r\n");
        writer
    }

    /// A response's head up to its fields.
    pub(super) fn response(status: StatusCode, extensions: &'a Extensions) -> Self {
        let mut writer = Self::new(extensions);
        writer.put(b"HTTP/1.1 ");
        writer.put(status.as_str().as_bytes());
        writer.put(b" ");
        let own = extensions
            .get::<ReasonPhrase>()
            .map(|reason| reason.as_ref());
        let canonical = || status.canonical_reason().unwrap_or_default().as_bytes();
        writer.put(own.unwrap_or_else(canonical));
        writer.put(b"\r\n");
        writer
    }

    fn new(extensions: &'a Extensions) -> Self {
        Self {
            out: BytesMut::with_capacity(512),
            spelling: extensions.get(),
            from: 0,
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Writes one field.
    pub(super) fn field(&mut self, name: &HeaderName, value: &[u8]) {
        let spelled = self
            .spelling
            .and_then(|spelling| spelling.of(name, &mut self.from));
        match spelled {
            Some(spelled) => self.put(spelled),
            None => {
                self.put(name.as_str().as_bytes());
                self.put(b": ");
            }
        }
        self.put(value);
        self.put(b"\r\n");
    }

    /// Writes all fields of a map, in its order.
    pub(super) fn fields(&mut self, headers: &HeaderMap) {
        for (name, value) in headers {
            self.field(name, value.as_bytes());
        }
    }

    /// The head, with the empty line that ends it.
    pub(super) fn finish(mut self) -> Bytes {
        self.put(b"\r\n");
        self.out.freeze()
    }
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
        let mut writer = Writer::request(request.method(), request.uri(), request.extensions());
        writer.fields(request.headers());
        assert_eq!(writer.finish(), text);
    }

    #[test]
    fn each_of_the_same_names_keeps_its_spelling() {
        let text = "HTTP/1.1 200 Fine\r\nSet-Cookie: a\r\nset-cookie: b\r\nSET-COOKIE: c\r\n\r\n";
        let response = parse_response(&mut BytesMut::from(text)).unwrap().unwrap();
        let mut writer = Writer::response(response.status(), response.extensions());
        writer.fields(response.headers());
        assert_eq!(writer.finish(), text);
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
