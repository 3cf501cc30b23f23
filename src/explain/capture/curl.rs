//! What `curl -v` prints: `>` before the lines of the request's head, `<` before those of the response's, `*` before what
//! curl itself says, and the response's body as it is.
//!
//! Where both go to one file, what curl says stands anywhere in the body: it is written at once, and the body, unless curl was run with
//! `-N`, in blocks that begin and end within a line. So does the progress meter, which `curl -i` writes too.

use std::borrow::Cow;
use std::sync::LazyLock;

use http::Method;
use regex::bytes::{Match, NoExpand, Regex};

use super::failure::{self, Failure};
use super::head::{self, Lines};
use super::raw;
use super::{
    Capture, CapturePlace, CapturedRequest, CapturedResponse, Extent, Unreadable, content_length,
};

/// What is said where only curl's standard error was kept.
const ELSEWHERE: &str = "a body came, and went elsewhere: capture it with what curl says, by 2>&1, to see tokens and how the response ended";

/// What curl writes amid a body's line, each such that no JSON has it: notes of how much data came, what it says of TLS and of the
/// connection's end or of the next one's beginning, and why it failed.
static AMID: LazyLock<Regex> = LazyLock::new(|| {
    let data = r"[{}] \[\d+ bytes data\]\r*\n";
    let tls = r#"\* TLSv1\.\d \((?:IN|OUT)\), [^"\n]{1,80} \(\d+\):\r*\n"#;
    let end = r"\* (?:Connection #\d+ to host \S+ left intact|(?:[Cc]losing|shutting down) connection(?: #?-?\d+)?)(?:\r*\n|\z)";
    let next = r#"\* (?:Found bundle for host|Re-using existing|Hostname \S+ was found|Host \S+:\d+ was resolved|  Trying \S+:\d+)[^"\n]{1,200}\n(?:[*] [^\n]*\n)*"#;
    let failed = r#"curl: \(\d+\) [^"\n]{1,200}(?:\n|\z)"#;
    let told = failure::patterns();
    let told = told.iter().map(String::as_str);
    let any = [data, tls, end, next, failed].into_iter().chain(told);
    regex(&any.collect::<Vec<_>>())
});

/// One state of the progress meter, which has a fixed width.
static METER: LazyLock<Regex> =
    LazyLock::new(|| regex(&[r"\r[ 0-9.kMGTP]{46}(?:[-0-9dh: ]{8} ){3}[ 0-9.kMGTP]{5}"]));

/// What stands above the meter of each transfer.
static ABOVE_METER: LazyLock<Regex> =
    LazyLock::new(|| regex(&[r" *% Total +% Received +% Xferd [^\n]*\n +Dload +Upload [^\n]*\n"]));

/// What curl says of a call for which it got no connection, such that no JSON has it. Of several addresses of a host that can be tried only
/// the last is told so.
static FAILED: LazyLock<Regex> = LazyLock::new(|| {
    regex(&[
        r#"(?:\* |curl: \(7\) )Failed to connect to \S+ port \d+[^"\n]{0,200}(?:\n|\z)"#,
        r#"(?:\* |curl: \(6\) )Could not resolve host: [^"\n]{1,200}(?:\n|\z)"#,
    ])
});

/// What is said of such a call at the one after it, and at the one before it.
const FAILED_BEFORE: &str =
    "curl did not connect for a call before this one: that call is not shown";
const FAILED_AFTER: &str = "curl did not connect for a call after this one: that call is not shown";

/// Any of these, in bytes.
fn regex(any: &[&str]) -> Regex {
    let any = format!("(?-u:{})", any.join("|"));
    Regex::new(&any).expect("it is a regular expression")
}

/// Whether a text is such output: a line of it begins a request or a response behind curl's mark.
pub(super) fn is_verbose(bytes: &[u8]) -> bool {
    let mut lines = Lines::of(bytes);
    while let Some(line) = lines.take() {
        // Heads of other forms begin at once.
        if head::status_line(line).is_some() || head::request_line(line).is_some() {
            return false;
        }
        if is_marked(b'>', line, head::request_line) || is_marked(b'<', line, head::status_line) {
            return true;
        }
    }
    false
}

/// What is the matter where all is curl's own and nothing of a call; `None` where there may be one. Its words may name hosts, and are not
/// repeated.
pub(super) fn without_call(bytes: &[u8]) -> Option<String> {
    let bytes = without_meter(bytes, |_| false);
    let said = || bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let is_note = |line: &[u8]| line.starts_with(b"* ");
    let is_said = |line: &[u8]| is_note(line) || line.starts_with(b"curl: (");
    let is_own = |line: &[u8]| line.is_empty() || is_said(line) || is_curls_own(line);
    if !said().any(is_said) || !said().all(is_own) {
        return None;
    }
    let has = |word: &&str| memchr::memmem::find(&bytes, word.as_bytes()).is_some();
    let what = if UNFOUND.iter().any(&has) {
        "curl did not find the host:".to_owned()
    } else if UNCONNECTED.iter().any(has) {
        "curl did not connect:".to_owned()
    } else if let Some(failure) = Failure::of(&bytes) {
        format!("{};", failure.meaning())
    } else if said().any(is_note) || failure::is_unsent(&bytes) {
        // Among its notes the request would stand.
        "curl sent no request:".to_owned()
    } else {
        "curl failed, and says no more than that:".to_owned()
    };
    Some(format!("{what} there is no call in the capture"))
}

/// What curl says where it did not find a host.
const UNFOUND: [&str; 2] = ["Could not resolve host", "Resolving timed out"];

/// What it says where it found one, and got no connection.
const UNCONNECTED: [&str; 5] = [
    "Failed to connect",
    "Connection refused",
    "Connection timed out",
    "Connection timeout",
    "SSL connection timeout",
];

/// What `curl -i` has printed, without what it says itself where that stands in it, too: with the progress meter.
pub(super) fn without_progress(bytes: &[u8]) -> Cow<'_, [u8]> {
    match without_meter(bytes, |_| true) {
        Cow::Borrowed(bytes) => bytes.into(),
        Cow::Owned(bytes) => AMID.replace_all(&bytes, NoExpand(b"")).into_owned().into(),
    }
}

/// Whether this follows a line end that is curl's, of a transfer that is over.
fn is_said_at_end(rest: &[u8]) -> bool {
    rest.is_empty() || rest.starts_with(b"* ") || rest.starts_with(b"curl: ")
}

/// Whether what stands behind a body of the length that its head says is curl's: it begins in the body's line, which may have no end.
fn is_said_behind(rest: &[u8]) -> bool {
    is_said_at_end(rest.trim_ascii_start())
}

/// Takes the progress meter out, where there is one. The last one of a transfer has a line end that is curl's, too, where what is
/// behind that says so.
fn without_meter(bytes: &[u8], is_end: fn(&[u8]) -> bool) -> Cow<'_, [u8]> {
    let meters: Vec<Match<'_>> = METER.find_iter(bytes).collect();
    if meters.is_empty() {
        return ABOVE_METER.replace_all(bytes, NoExpand(b""));
    }
    let mut kept = Vec::with_capacity(bytes.len());
    let mut begin = 0;
    for (at, meter) in meters.iter().enumerate() {
        kept.extend_from_slice(&bytes[begin..meter.start()]);
        begin = meter.end();
        let next = meters.get(at + 1).map_or(bytes.len(), Match::start);
        let end = line_end(&bytes[begin..]);
        let is_last = at + 1 == meters.len() || ABOVE_METER.is_match(&bytes[begin..next]);
        if is_last && is_end(&bytes[begin + end..]) {
            begin += end;
        }
    }
    kept.extend_from_slice(&bytes[begin..]);
    ABOVE_METER
        .replace_all(&kept, NoExpand(b""))
        .into_owned()
        .into()
}

/// The length of the line end that bytes begin with; 0 where they begin with none.
fn line_end(bytes: &[u8]) -> usize {
    let end = bytes.iter().position(|byte| *byte != b'\r');
    end.filter(|end| bytes[*end] == b'\n')
        .map_or(0, |end| end + 1)
}

/// Reads the requests and responses of such output, but for those that only ask a proxy for leave to connect.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Capture>, Unreadable> {
    let calls: Result<Vec<Capture>, Unreadable> = Call::all(bytes).iter().map(Call::read).collect();
    let mut calls = calls?;
    if !calls.iter().all(is_connect) {
        calls.retain(|call| !is_connect(call));
    }
    Ok(calls)
}

fn is_connect(call: &Capture) -> bool {
    let request = call.request.as_ref();
    request.is_some_and(|request| request.method == Method::CONNECT)
}

fn unreadable(mark: u8) -> Unreadable {
    let mark = char::from(mark);
    let message = format!("expected a complete head in the lines that begin with `{mark}`");
    Unreadable::new(CapturePlace::Whole, message)
}

/// What curl says of a response's body behind its head.
#[derive(Default)]
struct Said {
    /// How many bytes of it came.
    came: bool,
    /// That the response is over as it should be.
    is_over: bool,
}

impl Said {
    fn of(said: &[u8]) -> Self {
        let (mut of_body, mut before) = (Self::default(), &b""[..]);
        for line in said.split_inclusive(|byte| *byte == b'\n') {
            let word = line.trim_ascii_end();
            // A record of TLS has a note of its own, behind a line that says what it is.
            let is_note = line.starts_with(b"{ [") && word.ends_with(b" data]");
            if line.starts_with(b"<") {
                of_body = Self::default();
            } else if is_note && !before.starts_with(b"* TLSv") {
                of_body.came = true;
            } else if line.starts_with(b"* Connection #") && word.ends_with(b" left intact") {
                of_body.is_over = true;
            }
            before = line;
        }
        of_body
    }

    /// Whether there was a body that was not written here.
    fn is_elsewhere(&self, response: &CapturedResponse) -> bool {
        let is_long = content_length(&response.headers).map(|length| length > 0);
        let came = match is_long {
            Some(is_long) => is_long && (self.came || self.is_over),
            None => self.came,
        };
        came && response.body.is_empty()
    }
}

/// The messages of one call, without curl's marks.
#[derive(Default)]
struct Call {
    request: Vec<u8>,
    /// Head and body.
    response: Vec<u8>,
    /// Whether the response's head, or that of one before it, has begun and not ended.
    is_in_head: bool,
    /// What curl says of the body, wherever that has gone.
    said: Said,
    /// Calls for which it got no connection, beside this one.
    failed: Vec<&'static str>,
    /// How this one failed.
    failure: Option<&'static Failure>,
}

impl Call {
    /// Each begins with the line of a request: another one, a redirect that was followed, or one that is made again.
    fn all(bytes: &[u8]) -> Vec<Self> {
        let bytes = without_meter(bytes, is_said_at_end);
        let mut begins = vec![0];
        let mut at = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if is_marked(b'>', line, head::request_line) {
                begins.push(at);
            }
            at += line.len();
        }
        begins.push(bytes.len());
        let said = begins.windows(2).map(|ends| &bytes[ends[0]..ends[1]]);
        let mut calls: Vec<Self> = said.map(Self::of).collect();
        // What is said before the line of the first request is of calls that came to none.
        let failed = calls[0].is_empty() && !calls[0].failed.is_empty();
        calls.retain(|call| !call.is_empty());
        if let Some(first) = calls.first_mut().filter(|_| failed) {
            first.failed.insert(0, FAILED_BEFORE);
        }
        calls
    }

    /// The one that all of this is about. What stands amid lines is taken out of each call by itself: between two of them, it may have the
    /// only line end.
    fn of(said: &[u8]) -> Self {
        let mut call = Self {
            said: Said::of(said),
            failed: FAILED
                .is_match(said)
                .then_some(FAILED_AFTER)
                .into_iter()
                .collect(),
            failure: Failure::of(said),
            ..Self::default()
        };
        let said = AMID.replace_all(said, NoExpand(b""));
        for line in said.split_inclusive(|byte| *byte == b'\n') {
            call.push(line);
        }
        call
    }

    const fn is_empty(&self) -> bool {
        self.request.is_empty() && self.response.is_empty()
    }

    fn push(&mut self, line: &[u8]) {
        match line {
            [b'>', rest @ ..] if self.response.is_empty() => {
                self.request.extend_from_slice(unmarked(rest));
            }
            // A body may begin with `<` too.
            [b'<', rest @ ..] if self.is_in_head || is_marked(b'<', line, head::status_line) => {
                self.response.extend_from_slice(unmarked(rest));
                self.is_in_head = !rest.trim_ascii().is_empty();
            }
            [b'*' | b'{' | b'}', b' ', ..] if is_curls_own(line) => {}
            line if !self.response.is_empty() => self.response.extend_from_slice(line),
            _ => {}
        }
    }

    fn read(&self) -> Result<Capture, Unreadable> {
        let mut capture = Capture::default();
        let mut lines = Lines::of(&self.request);
        if let Some((method, target, version)) = lines.take().and_then(head::request_line) {
            let fields = head::read_fields(&mut lines).map_err(|_| unreadable(b'>'))?;
            if !fields.is_whole {
                capture.warnings.push(raw::CUT_REQUEST.into());
            }
            capture.request = Some(CapturedRequest {
                method,
                target,
                version,
                headers: fields.headers,
                body: None,
            });
            capture.warnings.push(
                "curl -v does not print the request body: model and parameters are unknown".into(),
            );
        }
        if !self.response.is_empty() {
            let method = capture.request.as_ref().map(|request| &request.method);
            let mut lines = Lines::of(&self.response);
            let mut warnings = Vec::new();
            let response = raw::read_response(&mut lines, method, is_said_behind, &mut warnings);
            let mut response = response.map_err(|_| unreadable(b'<'))?;
            if let Some(response) = &mut response
                && method != Some(&Method::HEAD)
                && self.said.is_elsewhere(response)
            {
                response.extent = Extent::Unsaved;
                response.wire_bytes = content_length(&response.headers);
                warnings = vec![ELSEWHERE.into()];
            }
            capture.response = response;
            self.tell_failure(&mut capture, &mut warnings);
            capture.warnings.append(&mut warnings);
        } else if let Some(failure) = self.failure {
            capture.ended_by = failure.ended_by;
            capture.warnings.push(failure.meaning());
        }
        capture
            .warnings
            .extend(self.failed.iter().map(|it| (*it).to_owned()));
        Ok(capture)
    }

    /// Has a call end as curl says that it did: it undoes chunks, so that a body does not show where it breaks off.
    fn tell_failure(&self, capture: &mut Capture, warnings: &mut Vec<String>) {
        let (Some(failure), Some(response)) = (self.failure, &mut capture.response) else {
            return;
        };
        let there = response.body.len() as u64;
        let length = content_length(&response.headers);
        if failure.ended_by.is_some() && length != Some(there) {
            response.extent = Extent::Cut;
            capture.ended_by = failure.ended_by;
        } else if failure.ended_by.is_none() && there == 0 && length != Some(0) {
            response.extent = Extent::Unsaved;
            response.wire_bytes = length;
        } else {
            return;
        }
        *warnings = vec![failure.meaning()];
    }
}

/// Whether a line begins a message behind curl's mark.
fn is_marked<T>(mark: u8, line: &[u8], begins: impl Fn(&[u8]) -> Option<T>) -> bool {
    let line = line.strip_prefix(&[mark, b' ']);
    line.is_some_and(|line| Lines::of(line).take().and_then(begins).is_some())
}

fn unmarked(line: &[u8]) -> &[u8] {
    line.strip_prefix(b" ").unwrap_or(line)
}

/// What curl says, and where it notes how much data came: `{ [5 bytes data]`.
fn is_curls_own(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    line.starts_with(b"* ") || line.ends_with(b" data]")
}
