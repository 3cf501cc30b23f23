//! An exchange of the history: whole, or as much as was kept of it over a restart.

use std::sync::Arc;

use super::{Row, Turn};
use crate::exchange::Exchange;

/// An exchange and its position in the order of ending.
#[derive(Debug, Clone)]
pub struct Entry {
    /// That position, from 1.
    pub id: u64,
    kept: Kept,
}

#[derive(Debug, Clone)]
enum Kept {
    Whole(Arc<Exchange>),
    Stored(Arc<Stored<'static>>),
}

/// What is kept of an exchange over a restart, beside its details.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Stored<'e> {
    /// It in brief.
    pub row: Row<'e>,
    /// Its place in its conversation.
    pub turn: Option<Turn<'e>>,
}

impl Entry {
    /// An exchange that has just ended.
    #[must_use]
    pub const fn new(id: u64, exchange: Arc<Exchange>) -> Self {
        let kept = Kept::Whole(exchange);
        Self { id, kept }
    }

    /// One of before a restart.
    #[must_use]
    pub fn stored(stored: Stored<'static>) -> Self {
        let id = stored.row.id;
        let kept = Kept::Stored(Arc::new(stored));
        Self { id, kept }
    }

    /// All its facts; `None` where it was restored.
    #[must_use]
    pub fn exchange(&self) -> Option<&Exchange> {
        match &self.kept {
            Kept::Whole(exchange) => Some(exchange),
            Kept::Stored(_) => None,
        }
    }

    /// It in brief.
    #[must_use]
    pub fn row(&self) -> Row<'_> {
        match &self.kept {
            Kept::Whole(exchange) => Row::of(self.id, exchange),
            Kept::Stored(stored) => stored.row.clone(),
        }
    }

    /// Its place in its conversation; `None` where it has none.
    #[must_use]
    pub fn turn(&self) -> Option<Turn<'_>> {
        match &self.kept {
            Kept::Whole(exchange) => Turn::of(exchange),
            Kept::Stored(stored) => stored.turn.clone(),
        }
    }

    /// The conversation that it is part of.
    #[must_use]
    pub fn conversation(&self) -> Option<u128> {
        match &self.kept {
            Kept::Whole(exchange) => exchange.conversation.as_ref().map(|place| place.id),
            Kept::Stored(stored) => stored.row.conversation.map(|id| id.0),
        }
    }

    /// When it ended, in ms since 1970.
    #[must_use]
    pub fn ended_at_ms(&self) -> u64 {
        match &self.kept {
            Kept::Whole(exchange) => super::clock_ms(exchange.started_at + exchange.times.end),
            Kept::Stored(stored) => stored.row.ended_at_ms(),
        }
    }

    /// The memory that it takes, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        match &self.kept {
            Kept::Whole(exchange) => exchange.weight(),
            Kept::Stored(_) => size_of::<Stored<'_>>() + STORED_TEXTS,
        }
    }
}

/// About as many bytes of texts a restored exchange has.
const STORED_TEXTS: usize = 512;
