//! Raw HTTP: the head and body of a request, then those of its response; or of a response alone, as `curl -i` prints it.
//! Interim responses stand before the final one, or between the head and the body of the request.
//!
//! Where a body ends is told by its length or its chunks where they hold, else by where the next message begins: people
//! edit captures, and tools undo codings and leave the fields as they were. Each such departure is a warning.

use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, Method, StatusCode};

use super::head::{self, Lines, ReadFields};
use super::{
    Capture, CapturedRequest, CapturedResponse, Extent, Unreadable, content_length, is_undone,
};
use crate::http1;

/// What is said where no empty line ends the head of a request.
pub(super) const CUT_REQUEST: &str = "the capture ends within the head of the request";

/// Reads a capture.
pub(super) fn read(bytes: &[u8]) -> Result<Capture, Unreadable> {
    let mut lines = Lines::of(bytes);
    lines.skip_empty();
    let mut capture = Capture::default();
    if let Some((method, target, version)) = lines.peek().and_then(head::request_line) {
        lines.take();
        let ReadFields { headers, is_whole } = head::read_fields(&mut lines)?;
        if !is_whole {
            capture.warnings.push(CUT_REQUEST.into());
        }
        // The client waited with its body for leave to go on.
        skip_interim(&mut lines)?;
        let body = take_request_body(&mut lines, &headers, &mut capture.warnings);
        capture.request = Some(CapturedRequest {
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
        capture.response = read_response(&mut lines, method, |_| false, &mut capture.warnings)?;
    }
    Ok(capture)
}

/// Takes interim responses (RFC 9110 §15.2), which have no body.
fn skip_interim(lines: &mut Lines<'_>) -> Result<(), Unreadable> {
    loop {
        let mut next = lines.clone();
        next.skip_empty();
        if !next
            .take()
            .and_then(head::status_line)
            .is_some_and(is_interim)
        {
            return Ok(());
        }
        head::read_fields(&mut next)?;
        *lines = next;
    }
}

/// A change of protocol is the last response there is.
fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

/// Takes the head and body of a response that goes on to the end; `None` where only interim ones came. `is_behind` says of what stands
/// behind a body of the known length whether it is no part of it.
pub(super) fn read_response(
    lines: &mut Lines<'_>,
    method: Option<&Method>,
    is_behind: fn(&[u8]) -> bool,
    warnings: &mut Vec<String>,
) -> Result<Option<CapturedResponse>, Unreadable> {
    loop {
        skip_interim(lines)?;
        if lines.rest().trim_ascii().is_empty() {
            return Ok(None);
        }
        lines.skip_empty();
        let before = lines.clone();
        let status = lines.take().and_then(head::status_line).ok_or_else(|| {
            let message = "expected a request line such as `POST /v1/chat/completions HTTP/1.1`, or a status line such \
                           as `HTTP/1.1 200 OK`";
            Unreadable::new(before.place(), message)
        })?;
        let ReadFields { headers, is_whole } = head::read_fields(lines)?;
        if !is_whole {
            warnings.push("the capture ends within the head of the response".into());
            return Ok(Some(CapturedResponse {
                status,
                headers,
                body: Vec::new(),
                extent: Extent::Cut,
                wire_bytes: Some(0),
            }));
        }
        // A proxy's leave to connect, or a redirect that was followed.
        if lines.peek().and_then(head::status_line).is_some() {
            continue;
        }
        let rest = lines.rest();
        let has_body = method != Some(&Method::HEAD);
        let (body, extent) = if has_body {
            response_body(rest, &headers, is_behind, warnings)
        } else {
            (Vec::new(), Extent::Whole)
        };
        let wire_bytes = if is_undone(&headers, &body) {
            content_length(&headers)
        } else {
            Some(body.len() as u64)
        };
        return Ok(Some(CapturedResponse {
            status,
            headers,
            body,
            extent,
            wire_bytes,
        }));
    }
}

/// The body that is all of `rest`, and how much of it is there.
fn response_body(
    rest: &[u8],
    headers: &HeaderMap,
    is_behind: fn(&[u8]) -> bool,
    warnings: &mut Vec<String>,
) -> (Vec<u8>, Extent) {
    if is_chunked(headers) {
        match http1::unchunk(rest.to_vec()) {
            Ok(unchunked) => {
                if unchunked.is_whole {
                    return (unchunked.data, Extent::Whole);
                }
                warnings.push("the capture ends before the last chunk of the response".into());
                return (unchunked.data, Extent::Cut);
            }
            // curl undoes the coding and prints the field all the same.
            Err(_) => return (rest.to_vec(), Extent::Whole),
        }
    }
    let Some(length) = content_length(headers) else {
        return (rest.to_vec(), Extent::Whole);
    };
    let there = rest.len() as u64;
    if is_undone(headers, rest) || there == length {
        return (rest.to_vec(), Extent::Whole);
    }
    if there < length {
        warnings.push(format!(
            "the response's Content-Length is {length}, but the capture contains {there} bytes of its body"
        ));
        return (rest.to_vec(), Extent::Cut);
    }
    let (body, more) = rest.split_at(length as usize);
    if more.trim_ascii().is_empty() || is_behind(more) {
        return (body.to_vec(), Extent::Whole);
    }
    warnings.push(format!(
        "the response's Content-Length is {length}, but {there} bytes follow: all are read as its body"
    ));
    (rest.to_vec(), Extent::Whole)
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
            "the request's Content-Length is {length}, but its body has {there} bytes: it is read as captured"
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
