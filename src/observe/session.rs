//! Sessions: the messages of both sides of a tunnel on their way to a dialect, and the responses that come of them.
//!
//! The tunnel is an exchange of its own; each response by it becomes another, with times of its own, as soon as it is over.
//! Held are what a message of each side may come to, and the responses in progress, of which the dialect bounds the number;
//! and, where what is said is to be shown, that of the session, within the bound on memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{SEC_WEBSOCKET_EXTENSIONS, UPGRADE};

use super::ObserveConfig;
use super::books::{Entries, close_books};
use super::clock::OutputClock;
use super::content::{ContentReading, Prompt};
use super::reading::Heard;
use super::secrets::Secrets;
use crate::dialect::{Output, Session, SessionDialect, Step, Turn};
use crate::exchange::{Exchange, Flow, Http, Operation, Problems, Times};
use crate::memory::Share;
use crate::message::Fields;
use crate::parse::websocket::{End, Extensions, Message, Reader};
use crate::sink::ExchangeId;
use crate::tap::{Close, Fault, FaultClass, Side};

/// Reads a session, if the connection changes to one.
pub(super) struct SessionReading {
    operation: Operation,
    session: Box<dyn Session>,
    limit: usize,
    ids: Arc<AtomicU64>,
    /// There once the connection has changed to WebSocket, and as long as it can be read.
    readers: Option<Readers>,
    responses: Responses,
    /// Which side was the first to end the session.
    left: Option<Side>,
    /// What was not read of the session, apart from its responses.
    problems: Problems,
    /// Where what is said is to be shown.
    content: Option<HeldContent>,
}

/// What puts the content of responses together, and the share of memory for what is held of the session.
struct HeldContent {
    reading: Box<ContentReading>,
    share: Share,
}

/// A response as an exchange that is over.
pub(super) struct Reported {
    pub(super) id: ExchangeId,
    pub(super) exchange: Exchange,
    /// What holds the memory for its content.
    pub(super) held: Option<Share>,
}

struct Readers {
    client: Reader,
    upstream: Reader,
}

impl SessionReading {
    pub(super) fn new(
        dialect: &dyn SessionDialect,
        query: Option<&str>,
        config: &ObserveConfig,
        ids: Arc<AtomicU64>,
    ) -> Self {
        Self {
            operation: dialect.operation(),
            session: dialect.session(query),
            limit: config.inspect_bytes,
            ids,
            readers: None,
            responses: Responses {
                stall_threshold: config.stall_threshold,
                open: Vec::new(),
                over: Vec::new(),
            },
            left: None,
            problems: Problems::default(),
            content: None,
        }
    }

    /// The connection changes its protocol by an answer with these fields. What is said may be shown, by what puts it
    /// together.
    pub(super) fn switch(&mut self, fields: &Fields, content: Option<Box<ContentReading>>) {
        let protocol = fields.text(UPGRADE).unwrap_or_default();
        if !protocol.trim().eq_ignore_ascii_case("websocket") {
            return;
        }
        let extensions: Vec<&str> = fields.texts(SEC_WEBSOCKET_EXTENSIONS).collect();
        let agreed = Extensions::agreed(&extensions.join(","));
        let reader = |sender| Reader::new(sender, agreed, self.limit);
        self.readers = Some(Readers {
            client: reader(End::Client),
            upstream: reader(End::Server),
        });
        if let Some(reading) = content.filter(|content| content.is_on()) {
            self.session.show_content(self.limit);
            let share = reading.share();
            self.content = Some(HeldContent { reading, share });
        }
    }

    /// Takes what one side sent.
    pub(super) fn push(&mut self, side: Side, at: Duration, bytes: &[u8]) {
        let Some(mut readers) = self.readers.take() else {
            return;
        };
        let reader = match side {
            Side::Client => &mut readers.client,
            Side::Upstream => &mut readers.upstream,
        };
        let mut lost = false;
        reader.push(bytes, |message| match message {
            Message::Text(text) => self.read(side, at, text),
            Message::Binary => {}
            Message::Oversized => {
                self.problems.oversized += 1;
                self.session.passed_over();
            }
            Message::Close(_) => self.end(side),
            Message::Lost => lost = true,
        });
        if lost {
            self.give_up(at, |problems| problems.undecodable += 1);
        } else {
            self.readers = Some(readers);
        }
        self.hold();
    }

    /// Has what is held to be shown counted, or nothing of it held any more.
    fn hold(&mut self) {
        let Some(content) = &mut self.content else {
            return;
        };
        if !content.share.resize(self.session.content_bytes()) {
            self.session.lose_content();
            let less = content.share.resize(self.session.content_bytes());
            debug_assert!(less, "what was let go is given back");
        }
    }

    fn read(&mut self, side: Side, at: Duration, message: &[u8]) {
        let (problems, responses) = (&mut self.problems, &mut self.responses);
        match side {
            Side::Client => self.session.client(at, message, problems),
            Side::Upstream => {
                let each = &mut |step| responses.step(at, step, &Close::Complete);
                self.session.upstream(at, message, problems, each);
            }
        }
    }

    /// One side is over. Which was the first says who ended what is in progress.
    pub(super) fn end(&mut self, side: Side) {
        self.left.get_or_insert(side);
    }

    /// Frames went by unseen, so that no message can be found any more. Says whether that was of any consequence, and so
    /// has been counted.
    pub(super) fn missed(&mut self, frames: u64, at: Duration) -> bool {
        let read = self.readers.take().is_some();
        if read {
            self.give_up(at, |problems| problems.missed_frames += frames);
        }
        read
    }

    /// Nothing more is read, for a reason that is counted at the responses in progress, or else at the session.
    fn give_up(&mut self, at: Duration, count: impl Fn(&mut Problems)) {
        if self.responses.open.is_empty() {
            count(&mut self.problems);
        }
        self.end_responses(at, &Close::Complete, count);
    }

    /// The session is over, and with it what was in progress. Gives what was not read of the session itself.
    pub(super) fn finish(&mut self, at: Duration, close: &Close) -> Problems {
        let close = match (close, self.left) {
            (Close::Complete, Some(Side::Upstream)) => Close::Failed(Fault {
                class: FaultClass::Cut,
                kind: "stream_truncated",
                message: "the session ended before the response did".to_owned(),
            }),
            (Close::Complete, _) => Close::Dropped,
            (close, _) => close.clone(),
        };
        self.end_responses(at, &close, |_| {});
        std::mem::take(&mut self.problems)
    }

    fn end_responses(&mut self, at: Duration, close: &Close, count: impl Fn(&mut Problems)) {
        let responses = &mut self.responses;
        self.session.finish(&mut |mut step| {
            if let Step::Ended { turn, .. } = &mut step {
                count(&mut turn.facts.problems);
            }
            responses.step(at, step, close);
        });
    }

    /// The responses that are over and were not reported yet, as exchanges. `session` is the session's own.
    pub(super) fn take_over(&mut self, session: &Exchange, secrets: &Secrets) -> Vec<Reported> {
        let over = std::mem::take(&mut self.responses.over).into_iter();
        let content = self.content.as_ref().map(|content| &*content.reading);
        over.map(|over| {
            let (exchange, held) = over.exchange(self.operation, session, secrets, content);
            Reported {
                id: ExchangeId(self.ids.fetch_add(1, Ordering::Relaxed)),
                exchange,
                held,
            }
        })
        .collect()
    }
}

/// The responses of a session.
struct Responses {
    stall_threshold: Duration,
    open: Vec<Open>,
    over: Vec<Over>,
}

/// A response in progress. Its times count from the instant at which it was asked for.
struct Open {
    number: u64,
    asked: Duration,
    times: Times,
    flow: Flow,
    clock: OutputClock,
}

/// A response that is over.
struct Over {
    open: Open,
    turn: Box<Turn>,
    close: Close,
}

impl Responses {
    /// Something happened to a response; where it ends, it closes so.
    fn step(&mut self, at: Duration, step: Step, close: &Close) {
        match step {
            Step::Began { number, asked } => self.open.push(Open {
                number,
                asked,
                times: Times::default(),
                flow: Flow::default(),
                clock: OutputClock::new(self.stall_threshold),
            }),
            Step::Came { number, output } => {
                let mut open = self.open.iter_mut();
                if let Some(open) = open.find(|open| open.number == number) {
                    open.came(at, output);
                }
            }
            Step::Ended { number, turn } => {
                let place = self.open.iter().position(|open| open.number == number);
                if let Some(place) = place {
                    let mut open = self.open.remove(place);
                    open.times.end = at.saturating_sub(open.asked);
                    let close = close.clone();
                    self.over.push(Over { open, turn, close });
                }
            }
        }
    }
}

impl Open {
    fn came(&mut self, at: Duration, output: Output) {
        let at = at.saturating_sub(self.asked);
        let heard = Heard::Event(output);
        self.clock.note(at, heard, &mut self.times, &mut self.flow);
    }
}

impl Over {
    /// The exchange that this response is, and what holds the memory for its content.
    fn exchange(
        self,
        operation: Operation,
        session: &Exchange,
        secrets: &Secrets,
        content: Option<&ContentReading>,
    ) -> (Exchange, Option<Share>) {
        let mut open = self.open;
        // What is asked over an open connection is at the upstream as soon as it is asked.
        let asked = Some(Duration::ZERO);
        open.times.request_end = asked;
        open.times.forwarded = asked;
        open.times.sent = asked;
        let trace = session.trace.as_ref();
        let mut exchange = Exchange {
            operation: Some(operation),
            of_session: true,
            mistaken: false,
            http: Http {
                status: None,
                request_bytes: None,
                response_bytes: 0,
                tunnel: None,
                ..session.http.clone()
            },
            annotations: session.annotations.clone(),
            key_fingerprint: session.key_fingerprint,
            named_conversation: session.named_conversation.clone(),
            template: session.template.clone(),
            trace: trace.map(|trace| trace.of_response(open.number)),
            upstream: session.upstream.clone(),
            endpoint: session.endpoint.clone(),
            request: self.turn.request,
            rate_limits: self.turn.rate_limits,
            times: open.times,
            flow: open.flow,
            ..Exchange::begin(session.started_at + open.asked)
        };
        let mut facts = self.turn.facts;
        let texts = facts.folds.texts.take();
        let answer = facts.folds.content.take();
        let prompt = Prompt::Said(self.turn.said);
        let entries = Entries {
            left_early: None,
            facts,
            clock: open.clock,
            secrets,
            close: &self.close,
            verdict: None,
            usage_left: false,
            texts: texts.as_ref(),
            credential: None,
            content: content.map(|content| (content, prompt, answer)),
        };
        let held = close_books(&mut exchange, entries);
        (exchange, held)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::header::AUTHORIZATION;
    use http::{Method, Version};

    use super::*;
    use crate::dialect::for_session;
    use crate::exchange::{ContentPolicy, End as Ending, Missing};
    use crate::memory::Memory;
    use crate::message::Target;
    use crate::observe::ContentRules;
    use crate::tap::{Instant, RequestHead};

    const AT: Duration = Duration::from_secs(1);

    fn session() -> SessionReading {
        session_showing(None)
    }

    fn session_showing(content: Option<Box<ContentReading>>) -> SessionReading {
        let dialect = for_session("GET", "/v1/realtime").unwrap();
        let mut session =
            SessionReading::new(dialect, None, &ObserveConfig::default(), Arc::default());
        session.switch(&Fields::from_iter([(UPGRADE, "WebSocket")]), content);
        session
    }

    /// A message of the server's.
    fn server(session: &mut SessionReading, event: &str) {
        let length = (event.len() as u16).to_be_bytes();
        let frame = [&[0x81, 126], &length[..], event.as_bytes()].concat();
        session.push(Side::Upstream, AT, &frame);
    }

    fn over(session: &mut SessionReading) -> Vec<Exchange> {
        let key = (AUTHORIZATION, "Bearer key-of-a-client");
        let head = RequestHead {
            received: Instant::now(),
            received_at: SystemTime::UNIX_EPOCH,
            method: Method::GET,
            target: Target::of_path("/v1/realtime".into()),
            version: Version::HTTP_11,
            fields: Fields::from_iter([key]),
            scheme: "http",
            peer: None,
        };
        let secrets = Secrets::of(&head, Arc::default(), |_| false);
        let own = Exchange::begin(SystemTime::UNIX_EPOCH);
        let over = session.take_over(&own, &secrets).into_iter();
        over.map(|over| over.exchange).collect()
    }

    const CREATED: &str = r#"{"type":"response.created","response":{"id":"r"}}"#;
    const DONE: &str = r#"{"type":"response.done","response":{"id":"r","status":"completed"}}"#;

    #[test]
    fn after_a_gap_what_was_in_progress_is_partial_and_nothing_more_is_read() {
        let mut session = session();
        server(&mut session, CREATED);
        assert!(over(&mut session).is_empty());
        assert!(session.missed(3, AT));
        let partial = over(&mut session).remove(0);
        assert_eq!(partial.end, Ending::Done);
        assert_eq!(partial.problems.missed_frames, 3);
        server(&mut session, CREATED);
        server(&mut session, DONE);
        assert!(!session.missed(1, AT), "what is not read cannot be missed");
        let problems = session.finish(AT, &Close::Complete);
        assert!(over(&mut session).is_empty());
        assert_eq!(problems, Problems::default(), "counted at the response");
    }

    #[test]
    fn a_credential_that_an_error_quotes_is_hidden() {
        let mut session = session();
        server(&mut session, CREATED);
        let error = r#"{"error":{"code":"c","message":"no key-of-a-client"}}"#;
        let failed = format!(
            r#"{{"type":"response.done","response":{{"id":"r","status_details":{error}}}}}"#
        );
        server(&mut session, &failed);
        let failure = over(&mut session).remove(0).failure.unwrap();
        assert_eq!((&*failure.kind, &*failure.message), ("c", "no REDACTED"));
    }

    /// A reading of content that may hold so many bytes.
    fn content(bytes: usize) -> (Option<Box<ContentReading>>, Memory) {
        let attributes = ContentPolicy {
            attributes: true,
            ..ContentPolicy::default()
        };
        let rules = ContentRules {
            default: attributes,
            ..ContentRules::default()
        };
        let memory = Memory::new(bytes);
        let reading = ContentReading::new(&Arc::new(rules), &memory, 1 << 20);
        (Some(Box::new(reading)), memory)
    }

    const SAID: &str = r#"{"type":"conversation.item.created","item":{"id":"i","role":"user","content":[{"type":"input_text","text":"0123456789"}]}}"#;

    #[test]
    fn what_is_said_takes_memory_and_is_let_go_where_there_is_none() {
        for (bytes, missing) in [(1000, &[][..]), (15, &[Missing::Memory][..])] {
            let (reading, memory) = content(bytes);
            let mut session = session_showing(reading);
            server(&mut session, SAID);
            assert!(!memory.take(bytes - 9), "ten bytes are held");
            server(&mut session, CREATED);
            server(
                &mut session,
                r#"{"type":"response.output_text.delta","response_id":"r","delta":"0123456789"}"#,
            );
            server(&mut session, DONE);
            let content = over(&mut session).remove(0).content.unwrap();
            assert_eq!(content.missing, missing);
            let kept = usize::from(missing.is_empty());
            assert_eq!((content.input.len(), content.output.len()), (kept, kept));
            drop(session);
            assert!(memory.take(bytes), "all of it is given back");
        }
    }

    #[test]
    fn a_session_without_content_holds_none() {
        let mut session = session();
        for event in [SAID, CREATED, DONE] {
            server(&mut session, event);
        }
        assert_eq!(session.session.content_bytes(), 0);
        assert!(over(&mut session)[0].content.is_none());
    }

    #[test]
    fn a_gap_between_responses_is_the_sessions() {
        let mut session = session();
        server(&mut session, CREATED);
        server(&mut session, DONE);
        assert_eq!(over(&mut session)[0].end, Ending::Done);
        session.missed(3, AT);
        assert_eq!(session.finish(AT, &Close::Complete).missed_frames, 3);
    }

    #[test]
    fn the_last_word_that_came_first_says_who_left() {
        for (first, end) in [
            (Side::Client, Ending::ClientLeft),
            (Side::Upstream, Ending::Cut),
        ] {
            let mut session = session();
            server(&mut session, CREATED);
            session.push(first, AT, &[0x88, 0]);
            session.end(Side::Client);
            session.end(Side::Upstream);
            session.finish(AT, &Close::Complete);
            assert_eq!(over(&mut session)[0].end, end, "{first:?}");
        }
    }
}
