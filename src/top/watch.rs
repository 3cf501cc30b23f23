//! The thread that asks the API again and again. Short requests rather than a stream that stays open: each has its limit of
//! time, what is lost is asked for again, and nothing piles up behind a terminal that is slow.

use std::mem;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::client::{Client, Problem, SUMMARY, query};
use super::news::{Ask, Mistake, News, Subject};

/// From one look to the next.
const PERIOD: Duration = Duration::from_millis(500);
/// One look in so many takes in more than what is in flight.
const WHOLE: u64 = 2;

/// One look in so many takes in what is watched beside: the API goes through all that is kept for it.
const BESIDE: u64 = 6;
/// Most conversations that the API gives at once.
const CONVERSATIONS: usize = 500;

/// Whoever takes news. `false` says that nobody does any more.
pub(super) trait Hears: FnMut(News) -> bool {}

impl<F: FnMut(News) -> bool> Hears for F {}

/// A watch on an admin port.
pub(super) struct Watch<'a> {
    client: &'a Client,
    limit: String,
    /// The same, of conversations.
    conversations: String,
    /// The filter that is asked for.
    filter: String,
    /// The one that was accepted last.
    accepted: String,
    /// How many looks there were with this filter.
    looks: u64,
    /// What else is watched, and how many looks there were since it was asked for.
    beside: Option<Subject>,
    looks_beside: u64,
}

impl<'a> Watch<'a> {
    /// A watch that shows at most so many exchanges.
    pub(super) fn new(client: &'a Client, limit: usize, filter: String) -> Self {
        Self {
            client,
            limit: limit.to_string(),
            conversations: limit.min(CONVERSATIONS).to_string(),
            filter,
            accepted: String::new(),
            looks: 0,
            beside: None,
            looks_beside: 0,
        }
    }

    /// One that begins with something beside the exchanges.
    pub(super) fn beside(self, beside: Option<Subject>) -> Self {
        Self { beside, ..self }
    }

    /// Watches until nobody hears or asks any more.
    pub(super) fn run(mut self, asks: &Receiver<Ask>, mut hears: impl Hears) {
        loop {
            let begun = Instant::now();
            if !self.look(&mut hears) {
                return;
            }
            loop {
                match asks.recv_timeout(PERIOD.saturating_sub(begun.elapsed())) {
                    Ok(Ask::Filter(filter)) => {
                        (self.filter, self.looks) = (filter, 0);
                        break;
                    }
                    Ok(Ask::One(id)) if hears(self.one(id)) => {}
                    Ok(Ask::Watch(subject)) => {
                        (self.beside, self.looks_beside) = (subject, 0);
                        if !self.look_beside(&mut hears) {
                            return;
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => break,
                    Ok(Ask::One(_)) | Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        }
    }

    /// Asks once for what is due.
    fn look(&mut self, hears: &mut impl Hears) -> bool {
        let is_whole = self.looks.is_multiple_of(WHOLE);
        let seen = match self.client.facts("in-flight", &[]) {
            Ok(seen) => seen,
            // There will be no answer to the rest either.
            Err(problem) => return hears(News::Lost(problem)),
        };
        self.looks += 1;
        hears(News::InFlight(seen))
            && (!is_whole || hears(self.summary()) && hears(self.exchanges()))
            // Last: it may take the longest.
            && self.look_beside(hears)
    }

    fn summary(&self) -> News {
        let summary = self.client.facts("summary", &SUMMARY);
        summary.map_or_else(News::Lost, |it| News::Summary(Box::new(it)))
    }

    /// Asks for what is watched beside, if that is due.
    fn look_beside(&mut self, hears: &mut impl Hears) -> bool {
        let is_due = self.looks_beside.is_multiple_of(BESIDE);
        self.looks_beside += 1;
        match &self.beside {
            Some(subject) if is_due => hears(self.about(subject)),
            _ => true,
        }
    }

    fn about(&self, subject: &Subject) -> News {
        match subject {
            Subject::Conversations => {
                let limit = [("limit", &*self.conversations)];
                News::Conversations(self.client.facts("conversations", &limit))
            }
            Subject::Conversation(id) => {
                News::Conversation(id.clone(), Box::new(self.client.conversation(id)))
            }
        }
    }

    fn exchanges(&mut self) -> News {
        let query = query(&self.limit, &self.filter);
        match self.client.facts("exchanges", &query) {
            Ok(exchanges) => {
                self.accepted.clone_from(&self.filter);
                News::Exchanges(self.filter.clone(), exchanges)
            }
            Err(Problem::Query { message, position }) => {
                let accepted = mem::take(&mut self.accepted);
                let refused = mem::replace(&mut self.filter, accepted);
                self.looks = 0;
                News::Mistake(refused, Mistake { message, position })
            }
            Err(problem) => News::Lost(problem),
        }
    }

    fn one(&self, id: u64) -> News {
        let facts = self.client.facts(&format!("exchanges/{id}"), &[]);
        News::One(id, Box::new(facts))
    }
}
