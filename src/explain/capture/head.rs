//! Heads as captures have them: lines that end in LF or CR LF, or in more than one CR, of any version of HTTP.
//!
//! More lenient than a connection may be: a browser or an editor has written them anew, and curl gives HTTP/2 the shape
//! of HTTP/1. Governing text: RFC 9112, sections 2 to 5.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};

use super::{CapturePlace, Unreadable};
use crate::http1::head::FIELDS_MAX;

/// Lines of a capture, taken one by one; what is left may also be taken as bytes.
#[derive(Debug, Clone)]
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    pub(super) const fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Everything that was not taken.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Takes bytes of the rest.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at = self.bytes.len().min(self.at + bytes);
    }

    /// Takes empty lines.
    pub(super) fn skip_empty(&mut self) {
        while self.peek().is_some_and(<[u8]>::is_empty) {
            self.take();
        }
    }

    /// The next line, without its end; `None` where there is none.
    pub(super) fn peek(&self) -> Option<&'a [u8]> {
        self.clone().take()
    }

    /// Takes the next line.
    pub(super) fn take(&mut self) -> Option<&'a [u8]> {
        let rest = Some(self.rest()).filter(|rest| !rest.is_empty())?;
        let line = rest.split(|byte| *byte == b'\n').next()?;
        self.skip(line.len() + 1);
        // More than one where a line went through something that writes CR LF for each LF.
        let end = line.iter().rposition(|byte| *byte != b'\r');
        Some(&line[..end.map_or(0, |end| end + 1)])
    }

    /// Where the next line stands.
    pub(super) fn place(&self) -> CapturePlace {
        let before = &self.bytes[..self.at];
        CapturePlace::Line(1 + before.iter().filter(|byte| **byte == b'\n').count())
    }
}

/// `POST /v1/chat/completions HTTP/1.1`: method, target and version; `None` for any other line.
pub(super) fn request_line(line: &[u8]) -> Option<(Method, Uri, Option<Version>)> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !version.starts_with("HTTP/") {
        return None;
    }
    let target = target.parse().ok()?;
    Some((method.parse().ok()?, target, version_of(version)))
}

/// `HTTP/1.1 200 OK`, `HTTP/2 200`: the status; `None` for any other line.
pub(super) fn status_line(line: &[u8]) -> Option<StatusCode> {
    let rest = line.strip_prefix(b"HTTP/")?;
    let mut words = rest.split(|byte| *byte == b' ');
    let version = words.next()?;
    let is_version = version.first().is_some_and(u8::is_ascii_digit);
    let status = words.next().filter(|_| is_version)?;
    StatusCode::from_bytes(status).ok()
}

/// The version of that name; `None` for one that streamgauge does not speak.
pub(super) fn version_of(name: &str) -> Option<Version> {
    match name.to_ascii_lowercase().as_str() {
        "http/1.0" => Some(Version::HTTP_10),
        "http/1.1" => Some(Version::HTTP_11),
        "http/2" | "http/2.0" | "h2" => Some(Version::HTTP_2),
        _ => None,
    }
}

/// The fields of a head.
pub(super) struct ReadFields {
    pub(super) headers: HeaderMap,
    /// Whether the empty line is there that ends them, and not the end of the capture.
    pub(super) is_whole: bool,
}

/// Takes the fields up to the empty line that ends them, or to the end.
pub(super) fn read_fields(lines: &mut Lines<'_>) -> Result<ReadFields, Unreadable> {
    let mut headers = HeaderMap::new();
    loop {
        let before = lines.clone();
        let line = lines.take();
        let Some(line) = line.filter(|line| !line.is_empty()) else {
            return Ok(ReadFields {
                headers,
                is_whole: line.is_some(),
            });
        };
        let field = match field(line) {
            Some(field) => field,
            None if !before.rest().contains(&b'\n') => {
                return Ok(ReadFields {
                    headers,
                    is_whole: false,
                });
            }
            None => {
                let message =
                    "expected a header field, `Name: value`, or an empty line before the body";
                return Err(Unreadable::new(before.place(), message));
            }
        };
        append(&mut headers, field).map_err(|message| Unreadable::new(before.place(), message))?;
    }
}

/// Adds a field, within the bound that connections have too.
pub(super) fn append(
    headers: &mut HeaderMap,
    (name, value): (HeaderName, HeaderValue),
) -> Result<(), String> {
    if headers.len() == FIELDS_MAX {
        return Err(format!("expected at most {FIELDS_MAX} header fields"));
    }
    headers.append(name, value);
    Ok(())
}

fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
    Some((name, value))
}
