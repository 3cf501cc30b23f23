//! Sessions: every response that begins ends, once, and what is kept of it is bounded.
//!
//! Each line of an input is a message, `> ` the client's; any other is the server's.

use std::collections::BTreeSet;
use std::time::Duration;

use streamgauge::dialect::{Session, Step, for_session};
use streamgauge::exchange::Problems;

use crate::mutate::Random;
use crate::run::shape;

/// Longest text that a dialect may keep.
const TEXT_KEPT: usize = 4096;
/// Most elements of a list that a dialect may keep.
const LIST_KEPT: usize = 1024;
/// Most responses that a dialect may follow at a time.
const OPEN_KEPT: usize = 16;

/// Reads an input as a session of this path.
pub(crate) fn check(path: &'static str) -> impl Fn(&[u8], &mut Random) -> u64 {
    move |input, _| {
        let dialect = for_session("GET", path).unwrap();
        let mut session = dialect.session(Some("model=m"));
        let mut seen = Seen::default();
        let mut messages = 0;
        for line in input.split(|byte| *byte == b'\n') {
            messages += 1;
            seen.read(&mut *session, line, Duration::from_millis(messages));
        }
        session.finish(&mut |step| seen.step(step));
        assert!(seen.open.is_empty(), "responses that never end");
        assert!(seen.problems.malformed <= messages);
        shape(seen.kinds)
    }
}

/// What came of a session.
#[derive(Default)]
struct Seen {
    problems: Problems,
    open: BTreeSet<u64>,
    last: u64,
    /// What was found of each response, without what it says.
    kinds: Vec<(usize, usize, bool, bool)>,
}

impl Seen {
    fn read(&mut self, session: &mut dyn Session, line: &[u8], at: Duration) {
        if let Some(message) = line.strip_prefix(b"> ") {
            session.client(at, message, &mut self.problems);
            return;
        }
        let message = line.strip_prefix(b"< ").unwrap_or(line);
        let mut problems = std::mem::take(&mut self.problems);
        session.upstream(at, message, &mut problems, &mut |step| {
            if let Step::Began { asked, .. } = &step {
                assert!(*asked <= at, "asked for in the future");
            }
            self.step(step);
        });
        self.problems = problems;
        assert!(self.open.len() <= OPEN_KEPT);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Began { number, .. } => {
                assert_eq!(number, self.last + 1, "numbers go up one by one");
                self.last = number;
                self.open.insert(number);
            }
            Step::Came { number, .. } => assert!(self.open.contains(&number)),
            Step::Ended { number, turn } => {
                assert!(self.open.remove(&number), "{number} ends twice");
                let (request, response) = (&turn.request, &turn.facts.response);
                let texts = [&request.model, &response.model, &response.id];
                let mut texts = texts.into_iter().flatten();
                assert!(texts.all(|text| text.len() <= TEXT_KEPT));
                let (choices, calls) = (response.choices.len(), response.tool_calls.len());
                assert!(choices <= LIST_KEPT && calls <= LIST_KEPT);
                let failed = response.error.is_some();
                self.kinds.push((choices, calls, response.done, failed));
            }
        }
    }
}
