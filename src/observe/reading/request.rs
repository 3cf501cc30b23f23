//! A request's body: kept until it is whole, or read as it comes where it is a form; bounded either way.

use bytes::Bytes;

use crate::dialect::Dialect;
use crate::exchange::{Problems, Request};
use crate::observe::decode::Decoder;
use crate::observe::multipart::{self, Multipart};

/// A request body: kept until it is whole, or read as it comes where it is a form.
pub(in crate::observe) struct RequestReading {
    dialect: Option<&'static dyn Dialect>,
    limit: usize,
    kept: Kept,
    /// Frames went by unseen, so what is lacking is no fault of the body's.
    missed: bool,
    problems: Problems,
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
    Joined(Vec<u8>),
}

impl Body {
    fn len(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.len(),
            Self::Joined(bytes) => bytes.len(),
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Frame(frame) => frame,
            Self::Joined(bytes) => bytes.into(),
        }
    }

    fn push(&mut self, frame: Bytes) {
        match self {
            Self::Frame(first) if first.is_empty() => *first = frame,
            Self::Frame(first) => *self = Self::Joined([&**first, &frame].concat()),
            Self::Joined(bytes) => bytes.extend_from_slice(&frame),
        }
    }
}

impl RequestReading {
    pub(in crate::observe) fn new(
        dialect: Option<&'static dyn Dialect>,
        coding: &str,
        content_type: &[u8],
        limit: usize,
    ) -> Self {
        let mut reading = Self {
            dialect,
            limit,
            kept: Kept::Nothing,
            missed: false,
            problems: Problems::default(),
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

    pub(in crate::observe) fn push(&mut self, frame: Bytes) {
        match &mut self.kept {
            Kept::Nothing => {}
            Kept::Whole { body, .. } if body.len() + frame.len() > self.limit => {
                self.problems.oversized += 1;
                self.kept = Kept::Nothing;
            }
            Kept::Whole { body, .. } => body.push(frame),
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
                dialect.form(&read.form, request, &mut self.problems);
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
        let body = match plain {
            true => Some(body),
            false => decoded(&body, coding, self.limit).map(Bytes::from),
        };
        match &body {
            Some(body) => dialect.request(body, request, &mut self.problems),
            None => self.problems.undecodable += 1,
        }
        body
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
