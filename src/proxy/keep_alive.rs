//! A comment line for clients that give up on a stream which is silent for long, as while a model thinks.
//!
//! It stands between two events and says nothing to who reads them (HTML, "Server-sent events", §9.2.6): a line that begins with
//! a colon is ignored, and an empty line behind no data dispatches nothing. A stream that has given an event an `id` gets none: the
//! OpenAI SDK for Python takes an empty line for the end of an event from then on, and fails on its missing data
//! (findings/openai-python-fails-on-a-comment-after-an-id.sh).

use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{StatusCode, Version};

use super::{headers, usage};
use crate::idle::IdleTimeout;
use crate::message::Fields;

/// The line.
pub(super) const COMMENT: &[u8] = b": keep-alive\n\n";

/// When the line is due in a stream.
#[derive(Debug)]
pub(super) struct KeepAlive {
    silence: IdleTimeout,
    tail: Tail,
    ids: Ids,
}

impl KeepAlive {
    /// For a stream that may be silent for so long.
    pub(super) fn after(silence: Duration) -> Self {
        Self {
            silence: IdleTimeout::of(Some(silence)),
            tail: Tail::default(),
            ids: Ids::default(),
        }
    }

    /// These bytes of the stream go to the client.
    pub(super) fn passed(&mut self, bytes: &[u8]) {
        self.silence.reset();
        self.tail.push(bytes);
        self.ids.push(bytes);
    }

    /// To be asked whenever nothing has come. Resolves when the line is to go out: nothing has come for long, and the client is
    /// not within an event.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.tail.is_between_events() || self.ids.seen {
            return Poll::Pending;
        }
        let due = self.silence.poll_elapsed(cx).map(|_| ());
        if due.is_ready() {
            self.silence.reset();
        }
        due
    }
}

/// Whether a line may be added to an answer: to a stream of events that is read as it is, and whose length nobody was told. One
/// to a client of HTTP/1.0 ends with its connection, and is left alone.
pub(super) fn fits(status: StatusCode, client: Version, fields: &Fields) -> bool {
    status == StatusCode::OK
        && client >= Version::HTTP_11
        && usage::is_of(fields, usage::EVENTS)
        && !fields.contains(CONTENT_LENGTH)
        && !fields.contains(CONTENT_ENCODING)
        && !headers::has_digest(fields)
}

/// The last bytes of a stream: as many as tell whether an event has ended.
#[derive(Debug, Default)]
struct Tail {
    last: [u8; 3],
    length: usize,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        let new = &bytes[bytes.len().saturating_sub(self.last.len())..];
        let kept = self.length.min(self.last.len() - new.len());
        self.last.copy_within(self.length - kept..self.length, 0);
        self.last[kept..kept + new.len()].copy_from_slice(new);
        self.length = kept + new.len();
    }

    /// Whether the stream has just begun, or its last line is empty.
    fn is_between_events(&self) -> bool {
        let Some((last, before)) = self.last[..self.length].split_last() else {
            return true;
        };
        let before = match (last, before) {
            (b'\n', [before @ .., b'\r']) | (b'\n' | b'\r', before) => before,
            _ => return false,
        };
        before
            .last()
            .is_none_or(|byte| matches!(byte, b'\n' | b'\r'))
    }
}

/// Whether an event of a stream has had a field `id`.
#[derive(Debug, Default)]
struct Ids {
    seen: bool,
    at: Name,
}

/// How much of the name has been read of a line.
#[derive(Debug, Default)]
enum Name {
    #[default]
    Begin,
    I,
    Id,
    Another,
}

impl Ids {
    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.at = match (&self.at, byte) {
                (Name::Id, b':' | b'\r' | b'\n') => {
                    self.seen = true;
                    return;
                }
                (_, b'\r' | b'\n') => Name::Begin,
                (Name::Begin, b'i') => Name::I,
                (Name::I, b'd') => Name::Id,
                _ => Name::Another,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http::HeaderName;
    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;

    fn between_events(parts: &[&str]) -> bool {
        let mut tail = Tail::default();
        parts.iter().for_each(|part| tail.push(part.as_bytes()));
        tail.is_between_events()
    }

    #[test]
    fn an_event_ends_with_an_empty_line_however_lines_end() {
        for whole in [
            "",
            "data: a\n\n",
            "data: a\r\n\r\n",
            "data: a\r\r",
            ": c\n\n",
            "\n",
            "a\n\r\n",
            "a\r\n\n",
        ] {
            assert!(between_events(&[whole]), "{whole:?}");
        }
        for open in [
            "d",
            "data: a",
            "data: a\n",
            "data: a\r\n",
            "data: a\r",
            "data: a\n\nd",
            "data: a\n\ndata: b\n",
        ] {
            assert!(!between_events(&[open]), "{open:?}");
        }
    }

    proptest! {
        #[test]
        fn where_a_stream_is_cut_makes_no_difference(text in "[a:\r\n]{0,12}", cuts in proptest::collection::vec(0..12_usize, 0..4)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(text.len())).collect();
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([text.len()]);
            let begins = [0].into_iter().chain(cuts.iter().copied());
            let parts: Vec<&str> = begins.zip(ends).map(|(from, to)| &text[from..to]).collect();
            prop_assert_eq!(between_events(&parts), between_events(&[&text]));
        }
    }

    #[test]
    fn an_id_is_a_field_of_that_name_wherever_the_stream_is_cut() {
        let has_id = |text: &str, cut: usize| {
            let mut ids = Ids::default();
            let (before, behind) = text.split_at(cut);
            for part in [before, behind] {
                ids.push(part.as_bytes());
            }
            ids.seen
        };
        for (text, expected) in [
            ("id: 7\ndata: a\n\n", true),
            ("data: a\nid:7\n\n", true),
            ("data: a\r\rid\r\r", true),
            ("data: id: 7\n\n", false),
            ("idle: 7\ndata: id\n\n", false),
            (": id: 7\n\n", false),
        ] {
            for cut in 0..text.len() {
                assert_eq!(has_id(text, cut), expected, "{text:?} at {cut}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_with_an_id_gets_no_line() {
        let limit = Duration::from_secs(15);
        let mut keep_alive = KeepAlive::after(limit);
        keep_alive.passed(b"id: 1\ndata: a\n\n");
        let due = poll_fn(|cx| keep_alive.poll_due(cx));
        assert!(tokio::time::timeout(limit * 4, due).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_is_due_after_each_silence_and_never_within_an_event() {
        let limit = Duration::from_secs(15);
        let mut keep_alive = KeepAlive::after(limit);
        for _ in 0..3 {
            let since = Instant::now();
            poll_fn(|cx| keep_alive.poll_due(cx)).await;
            assert_eq!(since.elapsed().as_secs(), 15);
        }
        keep_alive.passed(b"data: half");
        let due = poll_fn(|cx| keep_alive.poll_due(cx));
        assert!(tokio::time::timeout(limit * 4, due).await.is_err());
        keep_alive.passed(b"\n\n");
        poll_fn(|cx| keep_alive.poll_due(cx)).await;
    }

    #[test]
    fn nothing_is_added_where_it_would_be_no_line_between_events() {
        let field = |name: &'static str, value: &'static str| {
            (
                HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )
        };
        let stream = field("content-type", "text/event-stream; charset=utf-8");
        let fits = |status, version, more: Option<(HeaderName, http::HeaderValue)>| {
            let fields = Fields::from_iter([stream.clone()].into_iter().chain(more));
            super::fits(status, version, &fields)
        };
        assert!(fits(StatusCode::OK, Version::HTTP_11, None));
        assert!(fits(StatusCode::OK, Version::HTTP_2, None));
        assert!(!fits(StatusCode::OK, Version::HTTP_10, None));
        assert!(!fits(StatusCode::BAD_GATEWAY, Version::HTTP_11, None));
        for more in [
            field("content-length", "10"),
            field("content-encoding", "gzip"),
            field("content-digest", "sha-256=:AA==:"),
        ] {
            assert!(!fits(StatusCode::OK, Version::HTTP_11, Some(more)));
        }
        let json = Fields::from_iter([field("content-type", "application/json")]);
        assert!(!super::fits(StatusCode::OK, Version::HTTP_11, &json));
    }
}
