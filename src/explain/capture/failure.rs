//! How curl says that a call failed, and what that means to those who look for the cause. It writes `* ` or, unless it was run with
//! `-s` alone, `curl: (28) ` before its words; the number is its exit code.
//!
//! <https://curl.se/docs/manpage.html#EXIT>

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::EndedBy;

/// A failure of a call that curl had connected for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// Its exit code.
    code: &'static str,
    /// How its words begin, as a regular expression.
    words: &'static str,
    /// Whether the code says it without them. Another failure may have the same code.
    by_code: bool,
    /// What happened.
    what: &'static str,
    /// Where to look for the cause.
    look: &'static str,
    /// Who ended the call; `None` where it had come to its end.
    pub(super) ended_by: Option<EndedBy>,
}

const FAILURES: [Failure; 9] = [
    // Before that of its code, which says less of it.
    Failure {
        code: "56",
        words: r"CONNECT tunnel failed|Received HTTP code \d+ from proxy|Proxy CONNECT aborted",
        by_code: false,
        what: "the forward proxy did not connect curl with the server",
        look: "look at the proxy's answer, and at the user and password for it",
        ended_by: Some(EndedBy::Upstream),
    },
    Failure {
        code: "16",
        words: "Error in the HTTP2 framing layer|nghttp2 recv error",
        by_code: true,
        what: "the HTTP/2 connection failed during the call",
        look: "look in the log of the server, and of a proxy before it; curl --http1.1 shows whether HTTP/2 is the cause",
        ended_by: Some(EndedBy::Upstream),
    },
    Failure {
        code: "18",
        words: "transfer closed with",
        by_code: true,
        what: "only a part of the response came before the connection was closed",
        look: "look in the log of the server, and of a proxy before it",
        ended_by: Some(EndedBy::Upstream),
    },
    Failure {
        code: "22",
        words: r"The requested URL returned error: \d+",
        by_code: true,
        what: "the server answered with an HTTP error, and curl did not keep the answer",
        look: "run curl without --fail to see what it says",
        ended_by: None,
    },
    Failure {
        code: "28",
        words: "Operation timed out after|Operation too slow",
        by_code: false,
        what: "curl waited as long as it may, and gave up",
        look: "set --max-time higher, or look at why the server takes so long",
        ended_by: Some(EndedBy::Client),
    },
    Failure {
        code: "52",
        words: "Empty reply from server",
        by_code: true,
        what: "the server took the request, and closed the connection without an answer",
        look: "look in its log, whether it crashed or restarted, and check that it speaks HTTP without TLS at this port",
        ended_by: Some(EndedBy::Upstream),
    },
    Failure {
        code: "55",
        words: "Send failure: ",
        by_code: true,
        what: "the connection broke while curl sent the request",
        look: "look in the log of the server, and of a proxy before it, whether the request was too large for it",
        ended_by: Some(EndedBy::Upstream),
    },
    Failure {
        code: "56",
        words: "Recv failure: |OpenSSL SSL_read: ",
        by_code: true,
        what: "the connection broke while curl waited for the response or read it",
        look: "look in the log of the server, and of a proxy before it",
        ended_by: Some(EndedBy::Upstream),
    },
    Failure {
        code: "92",
        words: r"HTTP/2 stream \d+ (?:was not closed cleanly|was reset)",
        by_code: true,
        what: "the HTTP/2 stream of the call was ended with an error",
        look: "look in the log of the server, and of a proxy before it; curl --http1.1 shows whether HTTP/2 is the cause",
        ended_by: Some(EndedBy::Upstream),
    },
];

/// Exit codes with which curl ends before it has sent a request, beside those of a connection: wrong arguments, files and TLS.
const UNSENT: [&str; 17] = [
    "2", "3", "4", "5", "26", "27", "35", "53", "54", "58", "59", "60", "66", "77", "83", "90",
    "91",
];

/// Each of them where it stands, such that no JSON has it.
pub(super) fn patterns() -> Vec<String> {
    let pattern = |failure: &Failure| {
        let Failure { words, .. } = failure;
        format!(r#"\* (?:{words})[^"\n]{{0,200}}(?:\n|\z)"#)
    };
    FAILURES.iter().map(pattern).collect()
}

/// How each of them is told, in the order of the table.
static SAID: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let said = |failure: &Failure| {
        let Failure { words, code, .. } = failure;
        let rest = r#"[^"\n]{0,200}(?:\n|\z)"#;
        let coded = match failure.by_code {
            true => format!(r"|curl: \({code}\) {rest}"),
            false => String::new(),
        };
        let pattern = format!(r"(?-u:(?:\* |curl: \({code}\) )(?:{words}){rest}{coded})");
        Regex::new(&pattern).expect("it is a regular expression")
    };
    FAILURES.iter().map(said).collect()
});

/// Whether curl says by its exit code that it has failed, and none of these says that it had come so far as to send a request.
pub(super) fn is_unsent(said: &[u8]) -> bool {
    let mut codes = said.split(|byte| *byte == b'\n').filter_map(|line| {
        let line = line.strip_prefix(b"curl: (")?;
        line.split(|byte| *byte == b')').next()
    });
    codes.all(|code| UNSENT.iter().any(|unsent| unsent.as_bytes() == code))
}

impl Failure {
    /// The one that curl speaks of.
    pub(super) fn of(said: &[u8]) -> Option<&'static Self> {
        let mut each = FAILURES.iter().zip(SAID.iter());
        each.find_map(|(failure, words)| words.is_match(said).then_some(failure))
    }

    /// What it means, for whoever looks for the cause.
    pub(super) fn meaning(&self) -> String {
        let Self {
            code, what, look, ..
        } = self;
        format!("{what} (curl's exit code {code}): {look}")
    }
}
