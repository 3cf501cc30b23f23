//! Raw HTTP: the head and body of a request, then those of its response; or of a response alone, as `curl -i` prints it.
//!
//! Where a body ends is told by its length or its chunks where they hold, else by where the next message begins: people
//! edit captures, and tools undo codings and leave the fields as they were. Each such departure is a warning.

use http::header::{CONTENT_ENCODING, TRANSFER_ENCODING};
use http::{HeaderMap, Method};

use super::capture::{Capture, Request, Response, Unreadable, content_length};
use super::head::{self, Lines};
use crate::http1;

/// Reads a capture.
pub(super) fn read(bytes: &[u8]) -> Result<Capture, Unreadable> {
    let mut lines = Lines::of(bytes);
    lines.skip_empty();
    let mut capture = Capture::default();
    if let Some((method, target, version)) = lines.peek().and_then(head::request_line) {
        lines.take();
        let headers = head::read_fields(&mut lines)?;
        let body = take_request_body(&mut lines, &headers, &mut capture.warnings);
        capture.request = Some(Request {
            method,
            target,
            version,
            headers,
            body: Some(body),
        });
    }
    lines.skip_empty();
    if capture.request.is_none() || !lines.rest().trim_ascii().is_empty() {
        let method = capture.request.as_ref().map(|request| &request.method);
        let response = read_response(&mut lines, method, &mut capture.warnings)?;
        capture.response = Some(response);
    }
    Ok(capture)
}

/// Takes the head and body of a response that goes on to the end.
pub(super) fn read_response(
    lines: &mut Lines<'_>,
    method: Option<&Method>,
    warnings: &mut Vec<String>,
) -> Result<Response, Unreadable> {
    loop {
        let before = lines.clone();
        let status = lines.take().and_then(head::status_line).ok_or_else(|| {
            let message = "expected a request line such as `POST /v1/chat/completions HTTP/1.1`, or a status line such \
                           as `HTTP/1.1 200 OK`";
            Unreadable::new(before.place(), message)
        })?;
        let headers = head::read_fields(lines)?;
        // An interim response, a proxy's leave to connect, or a redirect that was followed.
        if lines.peek().and_then(head::status_line).is_some() {
            continue;
        }
        let rest = lines.rest();
        let has_body = method != Some(&Method::HEAD);
        let (body, is_whole) = if has_body {
            response_body(rest, &headers, warnings)
        } else {
            (Vec::new(), true)
        };
        let wire_bytes = if is_undone(&headers, &body) {
            content_length(&headers)
        } else {
            Some(body.len() as u64)
        };
        return Ok(Response {
            status,
            headers,
            body,
            is_whole,
            wire_bytes,
        });
    }
}

/// The body that is all of `rest`, and whether it is there to its end.
fn response_body(rest: &[u8], headers: &HeaderMap, warnings: &mut Vec<String>) -> (Vec<u8>, bool) {
    if is_chunked(headers) {
        match http1::unchunk(rest.to_vec()) {
            Ok(unchunked) => {
                if !unchunked.is_whole {
                    warnings.push("the capture ends before the last chunk of the response".into());
                }
                return (unchunked.data, unchunked.is_whole);
            }
            // curl undoes the coding and prints the field all the same.
            Err(_) => return (rest.to_vec(), true),
        }
    }
    let Some(length) = content_length(headers) else {
        return (rest.to_vec(), true);
    };
    let there = rest.len() as u64;
    if is_undone(headers, rest) || there == length {
        return (rest.to_vec(), true);
    }
    if there < length {
        warnings.push(format!(
            "the response's Content-Length is {length}, and {there} bytes of its body are there"
        ));
        return (rest.to_vec(), false);
    }
    let (body, more) = rest.split_at(length as usize);
    if more.trim_ascii().is_empty() {
        return (body.to_vec(), true);
    }
    warnings.push(format!(
        "the response's Content-Length is {length}, and {there} bytes follow: all were read as its body"
    ));
    (rest.to_vec(), true)
}

/// Takes the body of a request, up to the response or the end.
fn take_request_body(
    lines: &mut Lines<'_>,
    headers: &HeaderMap,
    warnings: &mut Vec<String>,
) -> Vec<u8> {
    let rest = lines.rest();
    if is_chunked(headers)
        && let Ok(unchunked) = http1::unchunk(rest.to_vec())
        && unchunked.is_whole
    {
        lines.skip(unchunked.used);
        return unchunked.data;
    }
    let length = content_length(headers).and_then(|length| usize::try_from(length).ok());
    if let Some(length) = length.filter(|length| *length <= rest.len())
        && is_response_or_end(&rest[length..])
    {
        lines.skip(length);
        return rest[..length].to_vec();
    }
    let end = response_start(rest).unwrap_or(rest.len());
    lines.skip(end);
    let body = rest[..end].trim_ascii_end().to_vec();
    if let Some(length) = length.filter(|length| *length != body.len()) {
        let there = body.len();
        warnings.push(format!(
            "the request's Content-Length is {length}, and its body has {there} bytes: read as it is"
        ));
    }
    body
}

fn is_response_or_end(bytes: &[u8]) -> bool {
    let mut lines = Lines::of(bytes);
    lines.skip_empty();
    lines
        .peek()
        .is_none_or(|line| head::status_line(line).is_some())
}

/// Where the first line stands that begins a response.
fn response_start(bytes: &[u8]) -> Option<usize> {
    let mut lines = Lines::of(bytes);
    loop {
        let at = bytes.len() - lines.rest().len();
        if head::status_line(lines.take()?).is_some() {
            return Some(at);
        }
    }
}

fn is_chunked(headers: &HeaderMap) -> bool {
    headers
        .get(TRANSFER_ENCODING)
        .is_some_and(|coding| coding.as_bytes().to_ascii_lowercase().ends_with(b"chunked"))
}

/// Whether whoever made the capture has undone the content coding that the head names.
pub(super) fn is_undone(headers: &HeaderMap, body: &[u8]) -> bool {
    // No coding in use writes UTF-8, but for very short bodies.
    headers.contains_key(CONTENT_ENCODING) && std::str::from_utf8(body).is_ok()
}
