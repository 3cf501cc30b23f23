//! What `curl -v` prints: `>` before the lines of the request's head, `<` before those of the response's, `*` before what
//! curl itself says, and the response's body as it is.
//!
//! Where both go to one file, what curl says stands anywhere in the body: it is written at once, and the body, unless curl was run with
//! `-N`, in blocks that begin and end within a line. So does the progress meter.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::bytes::{NoExpand, Regex};

use super::head::{self, Lines};
use super::raw;
use super::{Capture, CapturePlace, CapturedRequest, Unreadable};

/// What curl writes amid a body's line, each such that no JSON has it: the progress meter, which has a fixed width, notes of how much data
/// came, and what it says of TLS and of the connection's end.
static AMID: LazyLock<Regex> = LazyLock::new(|| {
    let meter = r"\r[ 0-9.kMGTP]{46}(?:[-0-9dh: ]{8} ){3}[ 0-9.kMGTP]{5}";
    let data = r"[{}] \[\d+ bytes data\]\r?\n";
    let tls = r#"\* TLSv1\.\d \((?:IN|OUT)\), [^"\n]{1,80} \(\d+\):\r?\n"#;
    let end = r"\* (?:Connection #\d+ to host \S+ left intact|(?:[Cc]losing|shutting down) connection(?: #?-?\d+)?)(?:\r?\n|\z)";
    let any = format!("(?-u:{meter}|{data}|{tls}|{end})");
    Regex::new(&any).expect("it is a regular expression")
});

/// Whether a text is such output: a line of it begins a request or a response behind curl's mark.
pub(super) fn is_verbose(bytes: &[u8]) -> bool {
    let mut lines = Lines::of(bytes);
    while let Some(line) = lines.take() {
        // Heads of other forms begin at once.
        if head::status_line(line).is_some() || head::request_line(line).is_some() {
            return false;
        }
        let request = line.strip_prefix(b"> ").and_then(head::request_line);
        let response = line.strip_prefix(b"< ").and_then(head::status_line);
        if request.is_some() || response.is_some() {
            return true;
        }
    }
    false
}

/// Reads the last request and response of such output.
pub(super) fn read(bytes: &[u8]) -> Result<Capture, Unreadable> {
    let parts = Parts::of(bytes);
    let mut capture = Capture::default();
    let mut lines = Lines::of(&parts.request);
    if let Some((method, target, version)) = lines.take().and_then(head::request_line) {
        capture.request = Some(CapturedRequest {
            method,
            target,
            version,
            headers: head::read_fields(&mut lines).map_err(|_| unreadable(b'>'))?,
            body: None,
        });
        capture.warnings.push(
            "curl -v does not print the request body: model and parameters are unknown".into(),
        );
    }
    if !parts.response.is_empty() {
        let method = capture.request.as_ref().map(|request| &request.method);
        let mut lines = Lines::of(&parts.response);
        let response = raw::read_response(&mut lines, method, &mut capture.warnings);
        capture.response = response.map_err(|_| unreadable(b'<'))?;
    }
    Ok(capture)
}

fn unreadable(mark: u8) -> Unreadable {
    let mark = char::from(mark);
    let message = format!("expected a complete head in the lines that begin with `{mark}`");
    Unreadable::new(CapturePlace::Whole, message)
}

/// The messages, without curl's marks.
#[derive(Default)]
struct Parts {
    request: Vec<u8>,
    /// Head and body.
    response: Vec<u8>,
}

impl Parts {
    fn of(bytes: &[u8]) -> Self {
        let mut parts = Self::default();
        let bytes: Cow<'_, [u8]> = AMID.replace_all(bytes, NoExpand(b""));
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            match line {
                [b'>', rest @ ..] => {
                    // A redirect was followed, or leave to connect asked for.
                    if !parts.response.is_empty() {
                        parts = Self::default();
                    }
                    parts.request.extend_from_slice(unmarked(rest));
                }
                [b'<', rest @ ..] if is_field(rest) => {
                    parts.response.extend_from_slice(unmarked(rest));
                }
                [b'*' | b'{' | b'}', b' ', ..] if is_curls_own(line) => {}
                // Before the response stands the progress meter.
                line if !parts.response.is_empty() => parts.response.extend_from_slice(line),
                _ => {}
            }
        }
        parts
    }
}

fn unmarked(line: &[u8]) -> &[u8] {
    line.strip_prefix(b" ").unwrap_or(line)
}

/// A body may begin with `<` too.
fn is_field(rest: &[u8]) -> bool {
    matches!(rest, [b' ' | b'\r' | b'\n', ..])
}

/// What curl says, and where it notes how much data came: `{ [5 bytes data]`.
fn is_curls_own(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    line.starts_with(b"* ") || line.ends_with(b" data]")
}
