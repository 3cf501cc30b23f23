//! Bodies on their way to a dialect: decoded, bounded, and a response's told apart by what it begins with.

mod request;

use std::time::Duration;

use http::StatusCode;

use crate::dialect::{
    AnswerContent, AnswerFolds, Dialect, Facts, Framing, Output, Reader, Texts, framing_quirks,
};
use crate::exchange::{Operation, Quirk, Request};
use crate::memory::{Memory, Share};
use crate::parse::coding::Decoder;
use crate::parse::lines::{Line, Lines};
use crate::parse::outline::Outline;
use crate::parse::sse::{Parser, Sniff, sniff};

pub(super) use request::RequestReading;

/// Most bytes that may tell nothing of a body's form.
const UNDECIDED_MAX: usize = 1024;

/// A body that is kept until it is whole takes no share of the process's memory up to so much. Few answers are longer.
const UNCOUNTED_BYTES: usize = 64 << 10;

/// A response body, read as it comes.
pub(super) struct ResponseReading {
    dialect: Option<&'static dyn Dialect>,
    limit: usize,
    memory: Memory,
    /// What is held of a body that is long and kept until it is whole.
    share: Option<Share>,
    status: StatusCode,
    /// Whether the content type says that events come; `None` where there is none.
    says_events: Option<bool>,
    /// White space came before anything else, and was not kept.
    blank_before: bool,
    /// Where it is coded. Boxed: few are, and streams are open for long.
    coded: Option<Box<Coded>>,
    /// What is generated is to be gathered, and what for.
    gathers: Gathers,
    form: BodyForm,
    facts: Facts,
}

/// What undoes the coding of a response.
struct Coded {
    decoder: Decoder,
    /// What it made of the last bytes; kept for its allocation.
    decoded: Vec<u8>,
}

impl Coded {
    /// `None` where there is nothing to be undone.
    fn by(decoder: Decoder) -> Option<Box<Self>> {
        let decoded = Vec::new();
        (!decoder.is_identity()).then(|| Box::new(Self { decoder, decoded }))
    }
}

/// What the texts that a model generates are gathered for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Gathers {
    /// For their tokens to be counted, in case that no usage is reported.
    pub(super) for_tokens: bool,
    /// The same though usage is reported.
    pub(super) despite_usage: bool,
    /// For what the next request repeats of them.
    pub(super) for_history: bool,
}

impl Gathers {
    fn texts(self) -> Option<Texts> {
        match self {
            Self {
                for_history: true, ..
            } => Some(Texts::for_history()),
            Self {
                for_tokens: true, ..
            } => Some(Texts::default()),
            _ => None,
        }
    }
}

/// What a piece of a response carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// An event, or a line, and the output in it.
    Event(Output),
    /// Bytes that a model generated. How many frames they came in says nothing.
    Bytes,
}

/// What a body turned out to be.
enum BodyForm {
    /// Nothing is to be read, or nothing more.
    Ignored,
    /// Too little has come to tell.
    Undecided(Vec<u8>),
    /// A stream of events.
    Stream(Box<(Parser, Box<dyn Reader>)>),
    /// A JSON value on each line.
    Lines(Lines, Box<dyn Reader>),
    /// Bytes that a model generated.
    Raw,
    /// Anything else, kept until it is whole.
    Whole(Vec<u8>, Box<dyn Reader>),
    /// The same, but of a large answer only what is read of it.
    Outline(Outline, Vec<u8>, Box<dyn Reader>),
}

impl ResponseReading {
    pub(super) fn new(dialect: Option<&'static dyn Dialect>, limit: usize, memory: Memory) -> Self {
        Self {
            dialect,
            limit,
            memory,
            share: None,
            status: StatusCode::OK,
            says_events: None,
            blank_before: false,
            coded: None,
            gathers: Gathers::default(),
            form: BodyForm::Ignored,
            facts: Facts::default(),
        }
    }

    /// A response head came. A second one replaces the first, whose body nobody sees.
    pub(super) fn begin(&mut self, status: StatusCode, coding: &str, says_events: Option<bool>) {
        if self.dialect.is_none() {
            return;
        }
        self.status = status;
        self.says_events = says_events;
        self.blank_before = false;
        self.form = BodyForm::Undecided(Vec::new());
        match Decoder::for_coding(coding, self.limit) {
            Ok(decoder) => self.coded = Coded::by(decoder),
            Err(_) => self.undecodable(),
        }
    }

    /// The request proved to be of another dialect, or of none. What was read of its response as that of the first is
    /// forgotten.
    pub(super) fn change(&mut self, dialect: Option<&'static dyn Dialect>) {
        self.dialect = dialect;
        if dialect.is_none() {
            self.form = BodyForm::Ignored;
            self.facts = Facts::default();
        }
    }

    /// Gathers what is generated. Called when the head of a response came.
    pub(super) fn gather(&mut self, gathers: Gathers) {
        let generates = self
            .dialect
            .is_some_and(|it| it.operation().generates_text());
        if generates && self.status.is_success() {
            self.gathers = gathers;
        }
    }

    /// Gathers what is said, too, if there is something to gather it.
    pub(super) fn gather_content(&mut self, content: Option<Box<AnswerContent>>) {
        if self.status.is_success() {
            self.facts.folds.content = content;
        }
    }

    /// Whether a stream has said all that it has to say, so far.
    pub(super) fn said_all(&self) -> bool {
        self.facts.response.said_all()
    }

    /// Whether usage has been reported that stands in for counting; what was gathered only for want of it is let go.
    pub(super) fn has_usage(&mut self) -> bool {
        let reported = !self.gathers.despite_usage && has_usage(&self.facts);
        if reported && !self.gathers.for_history {
            self.facts.folds.texts = None;
        }
        reported
    }

    fn undecodable(&mut self) {
        self.facts.problems.undecodable += 1;
        self.facts.quirks.insert(Quirk::Undecodable);
        self.form = BodyForm::Ignored;
    }

    /// Takes the next bytes, which came `at` so long after the exchange began; `on_heard` learns what they carried.
    pub(super) fn push(&mut self, at: Duration, bytes: &[u8], on_heard: impl FnMut(Heard)) {
        self.facts.at = at;
        if matches!(self.form, BodyForm::Ignored) {
            return;
        }
        let Some(coded) = &mut self.coded else {
            return self.read(bytes, on_heard);
        };
        let mut decoded = std::mem::take(&mut coded.decoded);
        decoded.clear();
        let result = coded.decoder.push(bytes, &mut decoded);
        self.read(&decoded, on_heard);
        if let Some(coded) = &mut self.coded {
            coded.decoded = decoded;
        }
        if result.is_err() {
            self.undecodable();
        }
    }

    fn read(&mut self, bytes: &[u8], mut on_heard: impl FnMut(Heard)) {
        match &mut self.form {
            BodyForm::Ignored => {}
            BodyForm::Undecided(beginning) => {
                // White space says nothing, however much of it comes to keep a connection warm.
                let said = if beginning.is_empty() {
                    bytes.trim_ascii_start()
                } else {
                    bytes
                };
                self.blank_before |= said.len() < bytes.len();
                let mut kept = std::mem::take(beginning);
                if kept.is_empty() {
                    self.decide(said, false, on_heard);
                } else {
                    kept.extend_from_slice(said);
                    self.decide(&kept, false, on_heard);
                }
            }
            BodyForm::Stream(stream) => {
                let (parser, reader) = &mut **stream;
                let facts = &mut self.facts;
                parser.push(bytes, |event| {
                    let output = if event.oversized {
                        facts.problems.oversized += 1;
                        facts.quirks.insert(Quirk::LongEvent);
                        Output::default()
                    } else {
                        reader.event(event.name, event.data, facts)
                    };
                    on_heard(Heard::Event(output));
                });
            }
            BodyForm::Lines(lines, reader) => {
                let facts = &mut self.facts;
                lines.push(bytes, |line| {
                    read_line(line, &mut **reader, facts, &mut on_heard)
                });
            }
            BodyForm::Raw => on_heard(Heard::Bytes),
            BodyForm::Whole(body, _) if body.len() + bytes.len() > self.limit => {
                self.facts.problems.oversized += 1;
                self.form = BodyForm::Ignored;
            }
            BodyForm::Whole(body, _) => body.extend_from_slice(bytes),
            BodyForm::Outline(outline, kept, _) => {
                outline.push(bytes, kept);
                if kept.len() > self.limit {
                    self.facts.problems.oversized += 1;
                    self.form = BodyForm::Ignored;
                }
            }
        }
        self.hold();
    }

    /// Has what is kept held, or nothing kept any more.
    fn hold(&mut self) {
        let room = match &self.form {
            BodyForm::Whole(body, _) | BodyForm::Outline(_, body, _) => body.capacity(),
            _ => 0,
        };
        let said = self.facts.folds.content.as_ref();
        let said = said.map_or(0, |content| content.bytes());
        if room + said <= UNCOUNTED_BYTES {
            self.share = None;
            return;
        }
        let share = self.share.get_or_insert_with(|| self.memory.share());
        if share.grow((room + said).saturating_sub(share.bytes())) {
            return;
        }
        match &mut self.facts.folds.content {
            // What is only to be shown goes first.
            Some(content) if said > 0 => {
                content.lose();
                self.hold();
            }
            _ => {
                self.share = None;
                self.missed(1);
            }
        }
    }

    /// Neither the content type nor the request's `stream` is to be trusted, so the body's own beginning decides.
    /// `over` if no more of it is to come.
    fn decide(&mut self, beginning: &[u8], over: bool, on_heard: impl FnMut(Heard)) {
        let Some(dialect) = self.dialect else {
            return;
        };
        let framing = if self.status.is_success() {
            dialect.framing()
        } else {
            Framing::Events
        };
        let sniffed = match framing {
            Framing::Raw => sniff_raw(beginning),
            Framing::Events | Framing::Lines => sniff(beginning),
        };
        self.form = match (sniffed, framing) {
            (Sniff::Undecided, _) if !over && beginning.len() <= UNDECIDED_MAX => {
                self.form = BodyForm::Undecided(beginning.to_vec());
                return;
            }
            (Sniff::Stream, _) => {
                self.facts.response.streamed = true;
                BodyForm::Stream(Box::new((Parser::new(self.limit), dialect.reader())))
            }
            (_, Framing::Events) => whole(dialect.reader(), self.status),
            (_, Framing::Lines) => BodyForm::Lines(Lines::new(self.limit), dialect.reader()),
            (_, Framing::Raw) => {
                self.facts.response.raw = true;
                BodyForm::Raw
            }
        };
        // Most whole answers report their usage; those that do not are read once more.
        let is_whole = !matches!(self.form, BodyForm::Stream(_) | BodyForm::Lines(..));
        if self.gathers.for_history || !is_whole {
            self.facts.folds.texts = self.gathers.texts();
        }
        self.note_form(sniffed == Sniff::Stream, beginning);
        self.read(beginning, on_heard);
    }

    /// Notes where head and body contradict each other.
    fn note_form(&mut self, stream: bool, beginning: &[u8]) {
        let quirks = &mut self.facts.quirks;
        let whole = matches!(self.form, BodyForm::Whole(..) | BodyForm::Outline(..));
        let is_json = matches!(beginning.first(), Some(b'{' | b'['));
        let blank = is_json && self.blank_before;
        quirks.insert_if(blank && whole, Quirk::BlankBeforeBody);
        if self.status.is_success() {
            let said = self.says_events == Some(true);
            quirks.insert_if(said != stream, Quirk::ContentType);
        } else {
            let object = beginning.first() == Some(&b'{');
            let odd = stream || !object || self.says_events == Some(true);
            quirks.insert_if(odd, Quirk::ErrorForm);
        }
    }

    /// Frames went by unseen. A stream is picked up at its next event; of anything else no whole can come any more.
    pub(super) fn missed(&mut self, frames: u64) {
        self.facts.problems.missed_frames += frames;
        match &mut self.form {
            BodyForm::Stream(stream) if self.coded.is_none() => stream.0.resync(),
            BodyForm::Lines(lines, _) if self.coded.is_none() => lines.resync(),
            BodyForm::Raw => {}
            _ => self.form = BodyForm::Ignored,
        }
    }

    /// The body is over; `complete` if it was seen to its end, the last of which came `at`.
    pub(super) fn finish(&mut self, complete: bool, at: Duration, mut on_heard: impl FnMut(Heard)) {
        self.facts.at = at;
        if let BodyForm::Undecided(beginning) = &mut self.form
            && complete
            && !beginning.is_empty()
        {
            let beginning = std::mem::take(beginning);
            self.decide(&beginning, true, &mut on_heard);
        }
        let due = self.status == StatusCode::OK && self.dialect.is_some_and(is_never_empty);
        let facts = &mut self.facts;
        match std::mem::replace(&mut self.form, BodyForm::Ignored) {
            BodyForm::Stream(mut stream) => {
                let (parser, reader) = &mut *stream;
                parser.finish(|event| {
                    // Half an event of a broken stream says nothing; a whole one lacks only its blank line.
                    if !event.oversized
                        && (complete || crate::parse::json::parse(event.data).is_ok())
                    {
                        on_heard(Heard::Event(reader.event(event.name, event.data, facts)));
                    }
                });
                let odd = parser.oddities();
                facts.quirks |= framing_quirks(odd);
                let unended = odd.unended && complete;
                facts.quirks.insert_if(unended, Quirk::NoLastBlankLine);
            }
            // Half a line of a broken stream says nothing.
            BodyForm::Lines(mut lines, mut reader) if complete => {
                lines.end(|line| read_line(line, &mut *reader, facts, &mut on_heard));
            }
            BodyForm::Whole(body, mut reader) | BodyForm::Outline(_, body, mut reader)
                if complete =>
            {
                let nothing = matches!(body.trim_ascii(), b"" | b"null");
                facts.quirks.insert_if(nothing && due, Quirk::EmptyBody);
                let status = self.status.as_u16();
                reader.body(status, &body, facts);
                let wanted = self.gathers.despite_usage || !has_usage(facts);
                if self.gathers.for_tokens && facts.folds.texts.is_none() && wanted {
                    facts.folds.texts = self.dialect.and_then(|it| texts_of(it, status, &body));
                }
            }
            BodyForm::Undecided(_) if complete => {
                facts.quirks.insert_if(due, Quirk::EmptyBody);
                // A stream without an event has not come to its end, unless it was fetched from behind that.
                let generates = self
                    .dialect
                    .is_some_and(|it| it.operation().generates_text());
                facts.response.streamed |= due && generates && self.says_events == Some(true);
            }
            BodyForm::Lines(..)
            | BodyForm::Raw
            | BodyForm::Whole(..)
            | BodyForm::Outline(..)
            | BodyForm::Undecided(_)
            | BodyForm::Ignored => {}
        }
    }

    /// What was found, mended by what was asked.
    pub(super) fn settle(&mut self, request: &Request) -> Facts {
        let mut facts = std::mem::take(&mut self.facts);
        self.share = None;
        if let Some(dialect) = self.dialect {
            let choices = facts.response.choices.len();
            dialect.settle(request, &mut facts.response);
            // Choices that were none have been folded into those that are.
            let folded = facts.response.choices.len() < choices;
            facts.quirks.insert_if(folded, Quirk::ChoiceIndex);
        }
        facts
    }
}

/// Whether usage has been reported.
fn has_usage(facts: &Facts) -> bool {
    let counts = [facts.usage.input_tokens, facts.usage.output_tokens];
    // Zeros may stand for want of a count.
    counts.into_iter().flatten().any(|count| count > 0)
}

/// The texts that a model generated for a whole answer.
fn texts_of(dialect: &dyn Dialect, status: u16, body: &[u8]) -> Option<Texts> {
    let mut facts = Facts {
        folds: AnswerFolds::gathering(Texts::default()),
        ..Facts::default()
    };
    dialect.reader().body(status, body, &mut facts);
    facts.folds.texts
}

/// How a body is kept that is read when it is whole. An error is small, and its lists may say what is wrong.
fn whole(reader: Box<dyn Reader>, status: StatusCode) -> BodyForm {
    if status.is_success() && !reader.reads_lists() {
        BodyForm::Outline(Outline::default(), Vec::new(), reader)
    } else {
        BodyForm::Whole(Vec::new(), reader)
    }
}

/// Whether an answer is never empty: all but the transcript of silence.
fn is_never_empty(dialect: &dyn Dialect) -> bool {
    !matches!(
        dialect.operation(),
        Operation::Transcription | Operation::Translation
    )
}

/// Reads a line, and says so where it is one of a stream: a single line may be a whole answer.
fn read_line(
    line: Line<'_>,
    reader: &mut dyn Reader,
    facts: &mut Facts,
    on_heard: &mut impl FnMut(Heard),
) {
    let output = match line {
        Line::Whole(line) => reader.event(b"", line, facts),
        Line::Oversized => {
            facts.problems.oversized += 1;
            Output::default()
        }
    };
    if facts.response.streamed {
        on_heard(Heard::Event(output));
    }
}

/// Longest beginning that is looked at to tell a stream of events from sound, in bytes.
const SNIFFED_AMONG_SOUND: usize = 64;

/// As [`sniff`], where the body may as well be sound. One byte of sound in 256 is a colon, which a comment begins with, so
/// the first line has to be text.
fn sniff_raw(beginning: &[u8]) -> Sniff {
    let sniffed = sniff(beginning);
    if sniffed != Sniff::Stream {
        return sniffed;
    }
    let seen = &beginning[..beginning.len().min(SNIFFED_AMONG_SOUND)];
    let line_end = memchr::memchr2(b'\n', b'\r', seen);
    let line = &seen[..line_end.unwrap_or(seen.len())];
    if !begins_text(line) {
        Sniff::Other
    } else if line_end.is_none() && seen.len() < SNIFFED_AMONG_SOUND {
        Sniff::Undecided
    } else {
        Sniff::Stream
    }
}

/// Whether bytes are the beginning of a text; its last character may be cut.
fn begins_text(bytes: &[u8]) -> bool {
    let text = match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()])
        }
        text => text,
    };
    text.is_ok_and(|text| !text.contains(char::is_control))
}

#[cfg(test)]
mod tests;
