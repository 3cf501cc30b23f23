//! The thread that asks the API again and again. Short requests rather than a stream that stays open: each has its limit of
//! time, what is lost is asked for again, and nothing piles up behind a terminal that is slow.

use std::mem;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::client::{Client, Problem, SUMMARY, query};
use super::news::{Ask, Mistake, News};

/// From one look to the next.
const PERIOD: Duration = Duration::from_millis(500);
/// One look in so many takes in more than what is in flight.
const WHOLE: u64 = 2;

/// Whoever takes news. `false` says that nobody does any more.
pub(super) trait Hears: FnMut(News) -> bool {}

impl<F: FnMut(News) -> bool> Hears for F {}

/// A watch on an admin port.
pub(super) struct Watch<'a> {
    client: &'a Client,
    limit: String,
    /// The filter that is asked for.
    filter: String,
    /// The one that was accepted last.
    accepted: String,
    /// How many looks there were with this filter.
    looks: u64,
}

impl<'a> Watch<'a> {
    /// A watch that shows at most so many exchanges.
    pub(super) fn new(client: &'a Client, limit: usize, filter: String) -> Self {
        Self {
            client,
            limit: limit.to_string(),
            filter,
            accepted: String::new(),
            looks: 0,
        }
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
        if !hears(News::InFlight(seen)) {
            return false;
        }
        if !is_whole {
            return true;
        }
        let summary = self.client.facts("summary", &SUMMARY);
        let summary = summary.map(|it| News::Summary(Box::new(it)));
        hears(summary.unwrap_or_else(News::Lost)) && hears(self.exchanges())
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
