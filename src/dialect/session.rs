//! APIs that keep one connection open and give many responses by it: messages of both sides in, responses out.
//!
//! As pure as any dialect. Where a fact is a time, the caller brings it: every event comes with the instant at which it was
//! seen, as time since the session began.

use std::time::Duration;

use crate::dialect::contract::{Facts, Output};
use crate::dialect::fold::Said;
use crate::exchange::{Operation, Problems, RateLimit, Request};

/// A wire API whose responses come by one long connection.
pub trait SessionDialect: Send + Sync {
    /// What each of its responses is.
    fn operation(&self) -> Operation;

    /// Low-cardinality path template, for `http.route`.
    fn route(&self) -> &'static str;

    /// Whether a request opens such a session. `path` is without query; paths are recognised by their tail.
    fn matches(&self, method: &str, path: &str) -> bool;

    /// A reader for one session, opened with this query.
    fn session(&self, query: Option<&str>) -> Box<dyn Session>;
}

/// Reads one session. Holds what it has to know of the responses in progress, of which there are a bounded number.
pub trait Session: Send {
    /// Reads a message of the client's, seen `at` so long after the session began.
    fn client(&mut self, at: Duration, message: &[u8], problems: &mut Problems);

    /// Reads a message of the upstream's, in the same way; `each` hears what it means to the session's responses.
    /// `problems` are those that are no single response's.
    fn upstream(
        &mut self,
        at: Duration,
        message: &[u8],
        problems: &mut Problems,
        each: &mut dyn FnMut(Step),
    );

    /// What is said is to be shown: at most so many bytes of texts for each answer, and for each prompt. Called before the
    /// first message, if at all.
    fn show_content(&mut self, bytes: usize);

    /// How many bytes of texts are held to be shown.
    fn content_bytes(&self) -> usize;

    /// Lets go what is held to be shown. What is in progress says so at its end, and what comes after it.
    fn lose_content(&mut self);

    /// A message was passed over unread, so that something that was said may not be known.
    fn passed_over(&mut self);

    /// Nothing more is read: ends every response that is in progress or was asked for. What has happened to them is for
    /// the caller to say.
    fn finish(&mut self, each: &mut dyn FnMut(Step));
}

/// What an event means to one response, known by its number within the session.
#[derive(Debug)]
pub enum Step {
    /// It begins.
    Began {
        /// Its number, from 1.
        number: u64,
        /// When it was asked for.
        asked: Duration,
    },
    /// An event of its own came, with this output.
    Came {
        /// Its number.
        number: u64,
        /// What it carried.
        output: Output,
    },
    /// It is over, or nothing more of it will be seen.
    Ended {
        /// Its number.
        number: u64,
        /// What was asked and what came.
        turn: Box<Turn>,
    },
}

/// What was found of one response.
#[derive(Debug, Default)]
pub struct Turn {
    /// What was asked, by the session and for this response.
    pub request: Request,
    /// What it was given to read, where that is to be shown and was seen.
    pub said: Option<Said>,
    /// What came.
    pub facts: Facts,
    /// What was left of the upstream's limits, as it was told while this response was the newest.
    pub rate_limits: Vec<RateLimit>,
}
