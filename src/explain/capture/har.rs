//! HAR, HTTP Archive 1.2: what browsers and proxies save.
//!
//! Bodies in it are decoded; binary ones stand in base64. Its times are those of whoever saved it, and of a whole
//! response: when which event came it does not say.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::head;
use super::{
    Capture, CapturePlace, CapturedRequest, CapturedResponse, CapturedTiming, Extent, Unreadable,
    content_length,
};
use crate::parse::json::{self, Kind, Value};
use crate::prices::Day;

/// What no phase of a call lasts, so that sums of phases stay within every clock.
const PHASE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Reads every entry.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Capture>, Unreadable> {
    let archive = json::parse(bytes).map_err(|error| {
        let line = 1 + bytes[..error.offset]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        let message = format!("not valid JSON: expected {}", error.expected);
        Unreadable::new(CapturePlace::Line(line), message)
    })?;
    let entries = archive.get("log").and_then(|log| log.get("entries"));
    let Some(entries) = entries.filter(|entries| entries.kind() == Kind::Array) else {
        let message = "JSON without `log.entries`: expected HAR, or a response with its head, such as the output of curl -i";
        return Err(Unreadable::new(CapturePlace::Whole, message));
    };
    let entries: Vec<_> = entries.elements().collect();
    if entries.is_empty() {
        let message = "`log.entries` is empty: expected at least one entry";
        return Err(Unreadable::new(CapturePlace::Whole, message));
    }
    let count = entries.len();
    let read = |(at, entry)| Entry { at, entry }.read(count);
    entries.into_iter().enumerate().map(read).collect()
}

/// One entry, and where it stands.
#[derive(Clone, Copy)]
struct Entry<'a> {
    at: usize,
    entry: Value<'a>,
}

impl<'a> Entry<'a> {
    fn read(self, count: usize) -> Result<Capture, Unreadable> {
        let [request, response] = self.entry.select(["request", "response"]);
        let request = request.ok_or_else(|| self.wrong("expected `request`"))?;
        let mut warnings = Vec::new();
        let request = self.request(request, &mut warnings)?;
        let response = match response {
            Some(response) => self.response(response, &request.method, &mut warnings)?,
            None => None,
        };
        Ok(Capture {
            ended_by: None,
            title: format!("entry {} of {count}", self.at + 1),
            request: Some(request),
            started: text(self.entry.get("startedDateTime")).and_then(|at| instant(&at)),
            timing: response.as_ref().and_then(|_| self.timing()),
            response,
            warnings,
        })
    }

    fn wrong(self, message: &str) -> Unreadable {
        Unreadable::new(CapturePlace::Entry(self.at), message)
    }

    fn request(
        self,
        request: Value<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<CapturedRequest, Unreadable> {
        let [method, url, post, size] = request.select(["method", "url", "postData", "bodySize"]);
        let method = text(method).and_then(|method| method.parse().ok());
        let target = text(url).and_then(|url| url.parse().ok());
        let body = match post.map(|post| post.select(["text", "encoding"])) {
            Some([content, encoding]) => self.body(content, encoding)?,
            None if size.and_then(Value::as_i64).unwrap_or_default() > 0 => {
                warnings.push(
                    "the capture contains no request body: model and parameters are unknown".into(),
                );
                None
            }
            None => Some(Vec::new()),
        };
        let mut headers = self.headers(request)?;
        headers.remove(CONTENT_ENCODING);
        Ok(CapturedRequest {
            method: method.ok_or_else(|| self.wrong("expected a method in `request.method`"))?,
            target: target.ok_or_else(|| self.wrong("expected a URL in `request.url`"))?,
            version: self.version(request),
            headers,
            body,
        })
    }

    /// `None` where none came: browsers write the status 0 then.
    fn response(
        self,
        response: Value<'_>,
        method: &Method,
        warnings: &mut Vec<String>,
    ) -> Result<Option<CapturedResponse>, Unreadable> {
        let [status, content, size] = response.select(["status", "content", "bodySize"]);
        let status = status.and_then(Value::as_u64).unwrap_or_default();
        if status == 0 {
            return Ok(None);
        }
        let status = u16::try_from(status).ok();
        let status = status
            .and_then(|status| StatusCode::from_u16(status).ok())
            .ok_or_else(|| self.wrong("expected an HTTP status in `response.status`"))?;
        let members = ["text", "encoding", "size"];
        let [content, encoding, decoded] =
            content.map_or([None; 3], |content| content.select(members));
        let body = self.body(content, encoding)?;
        let mut headers = self.headers(response)?;
        let is_coded = headers.remove(CONTENT_ENCODING).is_some();
        // Browsers save no body of a stream, and write -1 or 0 for sizes that they do not know.
        let written = size.and_then(Value::as_u64).filter(|size| *size > 0);
        let sizes = [
            written,
            decoded.and_then(Value::as_u64),
            content_length(&headers),
        ];
        let is_saved = match &body {
            Some(body) if !body.is_empty() => true,
            _ if !has_body(method, status) => true,
            Some(_) => sizes.into_iter().flatten().all(|size| size == 0),
            None => content_length(&headers) == Some(0),
        };
        if !is_saved {
            warnings.push(
                "the capture contains no response body: usage, finish reasons and how the response ended are unknown"
                    .into(),
            );
        }
        let body = body.unwrap_or_default();
        let plain = (is_saved && !is_coded).then_some(body.len() as u64);
        Ok(Some(CapturedResponse {
            status,
            wire_bytes: plain.or(written).or_else(|| content_length(&headers)),
            headers,
            body,
            extent: if is_saved {
                Extent::Whole
            } else {
                Extent::Unsaved
            },
        }))
    }

    fn body(
        self,
        content: Option<Value<'a>>,
        encoding: Option<Value<'a>>,
    ) -> Result<Option<Vec<u8>>, Unreadable> {
        let Some(content) = text(content) else {
            return Ok(None);
        };
        match text(encoding).as_deref() {
            None | Some("") => Ok(Some(content.into_bytes())),
            Some("base64") => {
                let body = STANDARD.decode(content.trim());
                body.map(Some).map_err(|_| {
                    self.wrong("expected valid base64 in a body whose `encoding` is `base64`")
                })
            }
            Some(_) => Err(self.wrong("expected `base64` or no `encoding` for a body")),
        }
    }

    fn headers(self, message: Value<'_>) -> Result<HeaderMap, Unreadable> {
        let mut headers = HeaderMap::new();
        let fields = message.get("headers");
        for field in fields.into_iter().flat_map(Value::elements) {
            let [name, value] = field.select(["name", "value"]).map(text);
            // HTTP/2 has what was the start line in fields of these names.
            let name = name.filter(|name| !name.starts_with(':'));
            let name = name.and_then(|name| HeaderName::try_from(name).ok());
            let value = value.and_then(|value| HeaderValue::try_from(value).ok());
            if let (Some(name), Some(value)) = (name, value) {
                head::append(&mut headers, (name, value))
                    .map_err(|message| self.wrong(&message))?;
            }
        }
        Ok(headers)
    }

    fn version(self, message: Value<'_>) -> Option<http::Version> {
        head::version_of(&text(message.get("httpVersion"))?)
    }

    /// Phases that took no part are -1.
    fn timing(self) -> Option<CapturedTiming> {
        let milliseconds = |member: Option<Value<'_>>| {
            let number = member.and_then(Value::as_f64)?;
            let phase = Duration::try_from_secs_f64(number / 1e3).ok();
            phase.filter(|phase| *phase < PHASE_MAX)
        };
        let timings = self.entry.get("timings")?;
        let [wait, receive] = timings.select(["wait", "receive"]).map(milliseconds);
        let before = timings.select(["blocked", "dns", "connect", "send"]);
        let sent = before.into_iter().filter_map(milliseconds).sum();
        let head = sent + wait?;
        let end = head + receive?;
        // Those who know no times write zeros.
        (end > Duration::ZERO).then_some(CapturedTiming { sent, head, end })
    }
}

/// An instant as a HAR has it (RFC 3339): `2026-11-29T12:30:00.250+02:00`.
fn instant(text: &str) -> Option<SystemTime> {
    let (day, time) = text.split_once('T')?;
    let (time, zone) = time.split_at(time.find(['Z', '+', '-'])?);
    let mut parts = time.splitn(3, ':');
    let mut next = || parts.next()?.parse::<f64>().ok();
    let seconds = (next()? * 60.0 + next()?) * 60.0 + next()?;
    let of_day = Duration::try_from_secs_f64(seconds).ok();
    let of_day = of_day.filter(|time| *time < 2 * DAY)?;
    let at = Day::parse(day)?.start() + of_day;
    let (sign, zone) = zone.split_at(1);
    if sign == "Z" {
        return Some(at);
    }
    let (hours, minutes) = zone.split_once(':')?;
    let [hours, minutes] = [hours, minutes].map(|part| part.parse::<u8>().ok());
    let offset = Duration::from_secs(60 * (60 * u64::from(hours?) + u64::from(minutes?)));
    match sign {
        "+" => at.checked_sub(offset),
        _ => at.checked_add(offset),
    }
}

/// Whether a response may have a body (RFC 9110 §6.4.1).
fn has_body(method: &Method, status: StatusCode) -> bool {
    let has_none = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
    method != Method::HEAD && !has_none && !status.is_informational()
}

fn text(member: Option<Value<'_>>) -> Option<String> {
    Some(member?.as_text()?.decode().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_in_whatever_zone_it_is_told() {
        let at = |millis| Some(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        for (text, expected) in [
            ("1970-01-02T00:00:01.250Z", at(86_401_250)),
            ("1970-01-02T02:00:00+02:00", at(86_400_000)),
            ("1970-01-01T19:30:00.0-04:30", at(86_400_000)),
            ("1970-01-02", None),
            ("1970-01-02T00:00:00", None),
            ("1970-01-02T00:00Z", None),
            ("1970-01-02T00:00:-1Z", None),
            ("1970-01-02T99:00:00Z", None),
            ("1970-13-02T00:00:00Z", None),
            ("1970-01-02T00:00:00+2", None),
            ("", None),
        ] {
            assert_eq!(instant(text), expected, "{text}");
        }
    }
}
