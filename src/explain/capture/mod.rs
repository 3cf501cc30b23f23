//! What a capture holds, whatever its form, and how its form is told.

mod curl;
mod failure;
mod har;
mod head;
mod raw;

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, Method, StatusCode, Uri, Version};

/// One exchange as it was captured. What the capture does not say is `None`.
#[derive(Debug, Default)]
pub(super) struct Capture {
    /// Which of several it is, for a heading; empty where there is only one.
    pub(super) title: String,
    pub(super) request: Option<CapturedRequest>,
    pub(super) response: Option<CapturedResponse>,
    /// When the request was begun.
    pub(super) started: Option<SystemTime>,
    pub(super) timing: Option<CapturedTiming>,
    /// Who ended it before it was over, where the capture says so.
    pub(super) ended_by: Option<EndedBy>,
    /// What a reader should know of how it was read.
    pub(super) warnings: Vec<String>,
}

/// A captured request.
#[derive(Debug)]
pub(super) struct CapturedRequest {
    pub(super) method: Method,
    pub(super) target: Uri,
    pub(super) version: Option<Version>,
    pub(super) headers: HeaderMap,
    /// Chunks undone, content coding perhaps not.
    pub(super) body: Option<Vec<u8>>,
}

impl CapturedRequest {
    /// Length of the body on the wire.
    pub(super) fn wire_bytes(&self) -> Option<u64> {
        let there = self.body.as_ref().map(|body| body.len() as u64);
        there.or_else(|| content_length(&self.headers))
    }
}

/// What `Content-Length` says.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether whoever made the capture has undone the content coding that the head names.
pub(super) fn is_undone(headers: &HeaderMap, body: &[u8]) -> bool {
    // No coding in use writes UTF-8, but for very short bodies.
    headers.contains_key(CONTENT_ENCODING) && std::str::from_utf8(body).is_ok()
}

/// A captured response.
#[derive(Debug)]
pub(super) struct CapturedResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Chunks undone, content coding perhaps not.
    pub(super) body: Vec<u8>,
    /// How much of the body is there.
    pub(super) extent: Extent,
    /// Length of the body on the wire, still coded.
    pub(super) wire_bytes: Option<u64>,
}

/// How much of a response's body a capture has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it.
    Whole,
    /// The beginning of it.
    Cut,
    /// Nothing, though there was something: how the response ended is unknown.
    Unsaved,
}

/// Who ended a call before it was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndedBy {
    /// The client.
    Client,
    /// The upstream, or the way to it.
    Upstream,
}

/// When what happened, from the start of the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct CapturedTiming {
    /// The request was sent.
    pub(super) sent: Duration,
    /// The response head came.
    pub(super) head: Duration,
    /// The response was over.
    pub(super) end: Duration,
}

/// Why a capture cannot be read. Says nothing of what stands in it: that may be a credential.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} {message}")]
pub struct Unreadable {
    place: CapturePlace,
    message: String,
}

/// Where in a capture; written so that a file's name and a colon may stand before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CapturePlace {
    /// A line, counted from 1.
    Line(usize),
    /// An element of a HAR's `log.entries`, counted from 0.
    Entry(usize),
    /// No single place.
    Whole,
}

impl fmt::Display for CapturePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "{line}:"),
            Self::Entry(entry) => write!(f, " log.entries[{entry}]:"),
            Self::Whole => Ok(()),
        }
    }
}

impl Unreadable {
    pub(super) fn new(place: CapturePlace, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { place, message }
    }
}

/// Reads every exchange of a capture.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Capture>, Unreadable> {
    const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    if bytes.trim_ascii().is_empty() {
        let message =
            "the capture is empty: expected raw HTTP, HAR, or the output of curl -i or curl -v";
        return Err(Unreadable::new(CapturePlace::Whole, message));
    }
    if matches!(bytes.trim_ascii_start(), [b'{' | b'[', ..]) {
        return har::read(bytes);
    }
    let bytes = &without_text_mode(bytes);
    if let Some(why) = curl::without_call(bytes) {
        return Err(Unreadable::new(CapturePlace::Whole, why));
    }
    let mut calls = if curl::is_verbose(bytes) {
        curl::read(bytes)?
    } else {
        raw::read(&curl::without_progress(bytes))?
    };
    let count = calls.len();
    if count > 1 {
        for (at, call) in calls.iter_mut().enumerate() {
            call.title = format!("call {} of {count}", at + 1);
        }
    }
    Ok(calls)
}

/// Undoes what a pipe in Windows' text mode does: there is a CR more before each LF. It is known by lines that had one before.
fn without_text_mode(bytes: &[u8]) -> Cow<'_, [u8]> {
    let ends_of_lines = memchr::memchr_iter(b'\n', bytes);
    let mut is_everywhere = ends_of_lines.clone().map(|at| bytes[..at].ends_with(b"\r"));
    let is_known = memchr::memmem::find(bytes, b"\r\r\n").is_some();
    if !is_known || !is_everywhere.all(|has_one| has_one) {
        return bytes.into();
    }
    let mut undone = Vec::with_capacity(bytes.len());
    let mut begin = 0;
    for end in ends_of_lines {
        undone.extend_from_slice(&bytes[begin..end - 1]);
        begin = end;
    }
    undone.extend_from_slice(&bytes[begin..]);
    undone.into()
}
