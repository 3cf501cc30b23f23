//! A request's body: kept until it is whole, or read as it comes where it is a form; bounded either way.

use bytes::Bytes;

use crate::dialect::{Asked, Dialect, PromptFolds, PromptHistory, history};
use crate::exchange::{History, Problems, Request};
use crate::memory::{Memory, Share};
use crate::parse::coding::Decoder;
use crate::parse::multipart::{self, Multipart};

/// A request body: kept until it is whole, or read as it comes where it is a form.
pub(in crate::observe) struct RequestReading {
    dialect: Option<&'static dyn Dialect>,
    limit: usize,
    memory: Memory,
    kept: Kept,
    /// Frames went by unseen, so what is lacking is no fault of the body's.
    missed: bool,
    problems: Problems,
    /// What it is of, by its body.
    asked: Asked,
    /// What it repeats of a conversation is of use.
    wants_history: bool,
    history: Option<Box<History>>,
}

/// What is kept of a request body.
enum Kept {
    /// Nothing is to be read, or nothing more.
    Nothing,
    /// All of it, still coded.
    Whole { body: Body, coding: String },
    /// Fields of a form, and what undoes its content coding.
    Form(Box<(Decoder, Multipart)>),
}

/// A body so far. One frame stays as it came; of several no buffer of the connection is kept.
enum Body {
    Frame(Bytes),
    Joined(Vec<u8>, Share),
}

impl Body {
    fn len(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.len(),
            Self::Joined(bytes, _) => bytes.len(),
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Frame(frame) => frame,
            Self::Joined(bytes, share) => share.of(bytes.into()),
        }
    }

    /// Adds a frame; false where no more may be held. `share` is what the frames are held in where they are joined.
    fn push(&mut self, frame: Bytes, share: impl FnOnce() -> Share) -> bool {
        match self {
            Self::Frame(first) if first.is_empty() => {
                *first = frame;
                true
            }
            Self::Frame(first) => {
                let (mut joined, mut share) = (Vec::new(), share());
                let fits =
                    join(&mut joined, first, &mut share) && join(&mut joined, &frame, &mut share);
                *self = Self::Joined(joined, share);
                fits
            }
            Self::Joined(joined, share) => join(joined, &frame, share),
        }
    }
}

/// Adds bytes where their room may be held. It grows by doubling, as it would by itself.
fn join(joined: &mut Vec<u8>, bytes: &[u8], share: &mut Share) -> bool {
    let length = joined.len() + bytes.len();
    if length > joined.capacity() {
        let room = length.max(joined.capacity() * 2);
        if !share.grow(room - joined.capacity()) {
            return false;
        }
        joined.reserve_exact(room - joined.len());
    }
    joined.extend_from_slice(bytes);
    true
}

impl RequestReading {
    pub(in crate::observe) fn new(
        dialect: Option<&'static dyn Dialect>,
        coding: &str,
        content_type: &[u8],
        limit: usize,
        memory: Memory,
    ) -> Self {
        let mut reading = Self {
            dialect,
            limit,
            memory,
            kept: Kept::Nothing,
            missed: false,
            problems: Problems::default(),
            asked: Asked::This,
            wants_history: false,
            history: None,
        };
        let Some(dialect) = dialect else {
            return reading;
        };
        let wanted = dialect.form_fields();
        let boundary = (!wanted.is_empty()).then(|| multipart::boundary(content_type));
        reading.kept = match boundary.flatten() {
            Some(boundary) => match Decoder::for_coding(coding, limit) {
                Ok(decoder) => Kept::Form(Box::new((decoder, Multipart::new(&boundary, wanted)))),
                Err(_) => {
                    reading.problems.undecodable += 1;
                    Kept::Nothing
                }
            },
            None => Kept::Whole {
                body: Body::Frame(Bytes::new()),
                coding: coding.to_owned(),
            },
        };
        reading
    }

    /// Gathers what the request repeats of a conversation, too.
    pub(in crate::observe) const fn gather_history(&mut self) {
        self.wants_history = true;
    }

    pub(in crate::observe) fn push(&mut self, frame: Bytes) {
        match &mut self.kept {
            Kept::Nothing => {}
            Kept::Whole { body, .. } if body.len() + frame.len() > self.limit => {
                self.problems.oversized += 1;
                self.kept = Kept::Nothing;
            }
            Kept::Whole { body, .. } => {
                if !body.push(frame, || self.memory.share()) {
                    self.problems.missed_frames += 1;
                    self.missed();
                }
            }
            Kept::Form(form) => {
                let (decoder, multipart) = &mut **form;
                if !push_form(decoder, multipart, &frame) {
                    self.problems.undecodable += 1;
                    self.kept = Kept::Nothing;
                }
            }
        }
    }

    /// Frames went by unseen. A form is picked up at its next part; of anything else no whole can come any more.
    pub(in crate::observe) fn missed(&mut self) {
        self.missed = true;
        match &mut self.kept {
            Kept::Form(form) if form.0.is_identity() => form.1.resync(),
            _ => self.kept = Kept::Nothing,
        }
    }

    /// The body is over: reads it, and gives it away unless it was a form. Called again it does nothing.
    pub(in crate::observe) fn finish(&mut self, request: &mut Request) -> Option<Bytes> {
        let dialect = self.dialect?;
        match std::mem::replace(&mut self.kept, Kept::Nothing) {
            Kept::Nothing => None,
            Kept::Whole { body, coding } => {
                self.read_whole(dialect, body.into_bytes(), &coding, request)
            }
            Kept::Form(form) => {
                let read = form.1.finish();
                self.problems.oversized += read.oversized;
                self.problems.malformed += u64::from(!read.whole && !self.missed);
                let mut folds = PromptFolds::default();
                dialect.form(&read.form, request, &mut self.problems, &mut folds);
                request.prompt_chars = folds.length.chars();
                None
            }
        }
    }

    fn read_whole(
        &mut self,
        dialect: &dyn Dialect,
        body: Bytes,
        coding: &str,
        request: &mut Request,
    ) -> Option<Bytes> {
        let plain = matches!(coding, "" | "identity");
        // HTTP/2 ends a request without a body by an empty frame.
        if body.is_empty() {
            return None;
        }
        let sent = body.clone();
        let body = match plain {
            true => Some(body),
            false => decoded(&body, coding, self.limit).map(Bytes::from),
        };
        match &body {
            Some(body) => self.read_decoded(dialect, body, request),
            None => self.problems.undecodable += 1,
        }
        request.body = Some(history::raw(&sent));
        if let Some(history) = &mut self.history {
            history.body = request.body;
        }
        body
    }

    fn read_decoded(&mut self, dialect: &dyn Dialect, body: &[u8], request: &mut Request) {
        if dialect.is_told_by_body() {
            self.asked = dialect.asked(body);
        }
        let asked = match self.asked {
            Asked::This => dialect,
            Asked::Other(other) => other,
            Asked::Nothing => return,
        };
        let mut problems = Problems::default();
        let gathers = self.wants_history && asked.operation().has_messages();
        let mut folds = PromptFolds {
            history: gathers.then(PromptHistory::default),
            ..PromptFolds::default()
        };
        asked.request(body, request, &mut problems, &mut folds);
        request.prompt_chars = folds.length.chars();
        let history = folds.history.and_then(PromptHistory::finish);
        self.history = history.map(Box::new);
        if request.model.is_none() && request.prompt_chars.is_none() {
            self.reconsider(dialect, body, request);
        }
        if !matches!(self.asked, Asked::Nothing) {
            self.problems.add(&problems);
        }
    }

    /// The request names no model and has no prompt, so it may be of something else than its path says.
    fn reconsider(&mut self, dialect: &dyn Dialect, body: &[u8], request: &mut Request) {
        if matches!(self.asked, Asked::This) && matches!(dialect.asked(body), Asked::Nothing) {
            self.asked = Asked::Nothing;
            *request = Request::default();
        }
    }

    /// What it repeats of a conversation, where that is to be gathered and its body was read whole.
    pub(in crate::observe) const fn take_history(&mut self) -> Option<Box<History>> {
        self.history.take()
    }

    /// What the request is of, by as much of its body as was read.
    pub(in crate::observe) const fn asked(&self) -> Asked {
        self.asked
    }

    pub(in crate::observe) const fn problems(&self) -> &Problems {
        &self.problems
    }
}

/// Reads on in a form; whether its content coding could be undone.
fn push_form(decoder: &mut Decoder, multipart: &mut Multipart, frame: &[u8]) -> bool {
    if decoder.is_identity() {
        multipart.push(frame);
        return true;
    }
    let mut decoded = Vec::new();
    let result = decoder.push(frame, &mut decoded);
    multipart.push(&decoded);
    result.is_ok()
}

fn decoded(body: &[u8], coding: &str, limit: usize) -> Option<Vec<u8>> {
    let mut decoder = Decoder::for_coding(coding, limit).ok()?;
    let mut decoded = Vec::new();
    decoder.push(body, &mut decoded).ok()?;
    Some(decoded)
}
