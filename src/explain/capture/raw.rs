//! Raw HTTP: the head and body of a request, then those of its response; or of a response alone, as `curl -i` prints it; or
//! several such, one behind the other.
//! Interim responses stand before the final one, or between the head and the body of the request.
//!
//! Where a body ends is told by its length or its chunks where they hold, else by where the next message begins: people
//! edit captures, and tools undo codings and leave the fields as they were. Each such departure is a warning.

use http::header::{CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::de::IgnoredAny;

use super::head::{self, Lines, ReadFields};
use super::{
    Capture, CapturedRequest, CapturedResponse, Extent, Unreadable, content_length, is_undone,
};
use crate::http1;

/// What is said where no empty line ends the head of a request.
pub(super) const CUT_REQUEST: &str = "the capture ends within the head of the request";

/// What is said where a body of which no end is known has a line like the first of a response.
const SEVERAL: &str = "the capture seems to have several responses, of which only the first is told apart: what stands behind it is read as its \
                       body. Explain each from a file of its own";

/// Reads every call of a capture: several outputs of `curl -i` may stand in one file.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Capture>, Unreadable> {
    let mut lines = Lines::of(bytes);
    let mut calls = vec![read_call(&mut lines)?];
    while begins_message(lines.rest()) {
        calls.push(read_call(&mut lines)?);
    }
    Ok(calls)
}

/// Takes one call.
fn read_call(lines: &mut Lines<'_>) -> Result<Capture, Unreadable> {
    lines.skip_empty();
    let mut capture = Capture::default();
    if let Some((method, target, version)) = lines.peek().and_then(head::request_line) {
        lines.take();
        let ReadFields { headers, is_whole } = head::read_fields(lines)?;
        if !is_whole {
            capture.warnings.push(CUT_REQUEST.into());
        }
        // The client waited with its body for leave to go on.
        skip_interim(lines)?;
        let body = take_request_body(lines, &headers, &mut capture.warnings);
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
        let warnings = &mut capture.warnings;
        capture.response = read_response(lines, method, begins_message, warnings)?;
    }
    Ok(capture)
}

/// Whether another request or response begins here, which may be within the last line of a body.
fn begins_message(bytes: &[u8]) -> bool {
    let mut lines = Lines::of(bytes);
    lines.skip_empty();
    let line = lines.peek().unwrap_or_default();
    head::status_line(line).is_some() || head::request_line(line).is_some()
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

/// Takes the head and body of a response; `None` where only interim ones came. `is_behind` says of what stands behind a body whose end
/// is known whether it is no part of it. Else the body goes on to the end.
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
        // A proxy's leave to connect, or a redirect that was followed; not a call that failed without a body.
        let is_failure = status.is_client_error() || status.is_server_error();
        let is_over = is_failure && content_length(&headers) == Some(0);
        if !is_over && lines.peek().and_then(head::status_line).is_some() {
            continue;
        }
        let (body, extent) = if method == Some(&Method::HEAD) {
            (Vec::new(), Extent::Whole)
        } else {
            take_response_body(lines, &headers, is_behind, warnings)
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

/// Takes the body of a response, and how much of it is there.
fn take_response_body(
    lines: &mut Lines<'_>,
    headers: &HeaderMap,
    is_behind: fn(&[u8]) -> bool,
    warnings: &mut Vec<String>,
) -> (Vec<u8>, Extent) {
    let rest = lines.rest();
    let is_chunked = is_chunked(headers);
    if is_chunked && let Ok(unchunked) = http1::unchunk(rest.to_vec()) {
        lines.skip(unchunked.used);
        if unchunked.is_whole {
            return (unchunked.data, Extent::Whole);
        }
        warnings.push("the capture ends before the last chunk of the response".into());
        return (unchunked.data, Extent::Cut);
    }
    // curl undoes the codings and prints the fields all the same.
    let length = content_length(headers).filter(|_| !is_chunked);
    let fits = length.and_then(|length| rest.split_at_checked(usize::try_from(length).ok()?));
    if let Some((body, behind)) = fits
        && (behind.trim_ascii().is_empty() || is_behind(behind))
    {
        lines.skip(body.len());
        return (body.to_vec(), Extent::Whole);
    }
    let end = end_by_shape(rest, headers)
        .filter(|end| is_behind(&rest[*end..]))
        .unwrap_or(rest.len());
    lines.skip(end);
    let body = &rest[..end];
    if end == rest.len() && response_start(body).is_some() {
        warnings.push(SEVERAL.into());
    }
    let there = body.len() as u64;
    let is_cut = match length.filter(|length| *length != there && !is_undone(headers, body)) {
        None => false,
        Some(length) if there < length => {
            warnings.push(format!(
                "the response's Content-Length is {length}, but the capture contains {there} bytes of its body"
            ));
            true
        }
        Some(length) => {
            warnings.push(format!(
                "the response's Content-Length is {length}, but {there} bytes follow: all are read as its body"
            ));
            false
        }
    };
    let extent = if is_cut { Extent::Cut } else { Extent::Whole };
    (body.to_vec(), extent)
}

/// Where a body ends by what it is, if something may stand behind it that is another message: an event stream has no line like its
/// first, and a JSON value has an end.
fn end_by_shape(body: &[u8], headers: &HeaderMap) -> Option<usize> {
    let media = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if media.is_some_and(|media| media.starts_with(b"text/event-stream")) {
        return response_start(body);
    }
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    Some(values.byte_offset())
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
