//! Which exchange another one follows: the rules in the order of `Rule`, turns backwards, and a guard over each.
//!
//! No rule guesses. Where two conversations are the same up to the turn in question, as two users' are who say the same and
//! get the same answer, nobody can tell which of them goes on, and a new conversation begins.

use super::asked::{Asked, in_order};
use super::key::{Key, Mix, Of};
use super::store::{Store, Turn, TurnId};
use crate::exchange::Rule;

/// What a request follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) id: TurnId,
    pub(super) turn: Turn,
    pub(super) by: Rule,
    /// Which of the model's turns in the request is its answer; `None` where the request does not bring it.
    pub(super) answer: Option<usize>,
}

impl Found {
    /// Whether the request need not repeat what was said before, and so may be only what is new.
    pub(super) const fn may_be_new_only(&self) -> bool {
        matches!(self.by, Rule::ResponseId | Rule::Named)
    }
}

/// What was found of what a request follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    /// The exchange.
    pub(super) found: Option<Found>,
    /// Whether what it follows is known, and is in several conversations.
    pub(super) is_contested: bool,
}

/// The exchange that a request follows.
pub(super) fn predecessor(store: &impl Store, asked: &Asked<'_>, name: Option<Key>) -> Outcome {
    let mut search = Search {
        store,
        asked,
        is_contested: false,
    };
    let found = search
        .by_response()
        .or_else(|| search.by_item())
        .or_else(|| search.by_answer())
        .map(|found| newer_in_text(store, asked, found))
        .or_else(|| search.by_call_in_text())
        .or_else(|| by_name(store, asked, name));
    let is_contested = search.is_contested;
    Outcome {
        found,
        is_contested,
    }
}

/// A client that hands over to another agent tells the last calls as texts, behind answers that stand there as ever.
fn newer_in_text(store: &impl Store, asked: &Asked<'_>, found: Found) -> Found {
    let mut search = Search {
        store,
        asked,
        is_contested: false,
    };
    let is_newer = |told: &Found| {
        told.turn.conversation == found.turn.conversation && told.turn.ended > found.turn.ended
    };
    search.by_call_in_text().filter(is_newer).unwrap_or(found)
}

/// Goes through the rules until one finds a turn, or turns that nobody can tell apart: what a weaker rule found then would be
/// one of many, too.
struct Search<'s, 'e, S> {
    store: &'s S,
    asked: &'s Asked<'e>,
    is_contested: bool,
}

impl<S: Store> Search<'_, '_, S> {
    /// What a key leads to, as long as everything led to one turn.
    fn lookup(&mut self, key: Key, by: Rule, answer: Option<usize>) -> Option<Found> {
        if self.is_contested {
            return None;
        }
        let slot = self.store.find(key)?;
        self.is_contested = slot.is_contested;
        let turn = self.store.turn(slot.turn).filter(|_| !slot.is_contested)?;
        let id = slot.turn;
        Some(Found {
            id,
            turn,
            by,
            answer,
        })
    }

    /// It is named outright: what the request brings besides may be only what is new, without the earlier texts of the user.
    fn by_response(&mut self) -> Option<Found> {
        let previous = self
            .asked
            .exchange
            .request
            .previous_response_id
            .as_deref()?;
        self.lookup(response_key(self.asked, previous), Rule::ResponseId, None)
    }

    fn by_item(&mut self) -> Option<Found> {
        let asked = self.asked;
        asked.history.item_ids.iter().rev().find_map(|item| {
            let mut answers = asked.history.answers.iter();
            let answer = answers.rposition(|answer| answer.item_ids.contains(item));
            let found = self.lookup(asked.key(Of::Item, item.0), Rule::ItemId, answer);
            found.filter(|found| asked.may_follow(&found.turn))
        })
    }

    /// By the newest answer that is known. Where several conversations have it, an earlier one that only one of them has tells
    /// which is meant.
    fn by_answer(&mut self) -> Option<Found> {
        let asked = self.asked;
        // Of what was too long to be kept the end is missing, and so the newest turn.
        let answers = match asked.history.truncated {
            true => 0,
            false => asked.history.answers.len(),
        };
        let mut contested = None;
        for answer in (0..answers).rev() {
            let Some((key, found)) = self.answer(answer) else {
                continue;
            };
            let Some(found) = found else {
                contested = contested.or(Some((answer, key)));
                continue;
            };
            let Some((answer, (by, key))) = contested else {
                return Some(found);
            };
            let within = key.within(found.turn.conversation);
            let found = self.lookup(within, by, Some(answer));
            let found = found.filter(|found| asked.may_follow(&found.turn));
            self.is_contested = found.is_none();
            return found;
        }
        self.is_contested = contested.is_some();
        None
    }

    /// The turn of an answer, by the surest rule that finds any; `None` in it where several conversations have it.
    fn answer(&mut self, answer: usize) -> Option<((Rule, Key), Option<Found>)> {
        let asked = self.asked;
        let known = asked.keys_of(answer).find_map(|(by, key)| {
            self.is_contested = false;
            let found = self.lookup(key, by, Some(answer));
            let found = found.filter(|found| asked.may_follow(&found.turn));
            (found.is_some() || self.is_contested).then_some(((by, key), found))
        });
        known.or_else(|| self.answer_to_more(answer)).or_else(|| {
            // That many have sent the same request says nothing of its answer.
            let key = asked.prefix_key(Some(answer));
            let found = self.lookup(key, Rule::Prefix, Some(answer));
            self.is_contested = false;
            // An answer that is known would have been found by what it says.
            let found = found.filter(|found| found.turn.lost_answer)?;
            let found = Some(found).filter(|found| asked.may_follow(&found.turn))?;
            Some(((Rule::Prefix, key), Some(found)))
        })
    }

    /// The turn of an answer whose request had one more text of the user at its end, which this one leaves out. What was said
    /// before that is in the key, so that there is nothing more to guard.
    fn answer_to_more(&mut self, answer: usize) -> Option<((Rule, Key), Option<Found>)> {
        let asked = self.asked;
        asked.keys_of_more(answer).find_map(|(by, key)| {
            self.is_contested = false;
            let found = self.lookup(key, by, Some(answer));
            self.is_contested = false;
            let found = found.filter(|found| asked.began_after(&found.turn))?;
            Some(((by, key), Some(found)))
        })
    }

    fn by_call_in_text(&mut self) -> Option<Found> {
        let asked = self.asked;
        asked.history.ids_in_text.iter().rev().find_map(|call| {
            let found = self.lookup(asked.key(Of::CallId, call.0), Rule::CallIdInText, None);
            found.filter(|found| asked.may_follow(&found.turn))
        })
    }
}

/// Under which a response is found by its id.
pub(super) fn response_key(asked: &Asked<'_>, id: &str) -> Key {
    asked.key(Of::Response, Mix::from(0).and_text(id).get())
}

/// In a conversation with a name, what was over last.
pub(super) fn newest(store: &impl Store, name: Option<Key>) -> Option<(TurnId, Turn)> {
    let id = store.find(name?)?.turn;
    Some((id, store.turn(id)?))
}

/// The same, where it was over when this one began. Of what is not over yet nothing is known.
fn by_name(store: &impl Store, asked: &Asked<'_>, name: Option<Key>) -> Option<Found> {
    let (id, turn) = newest(store, name)?;
    in_order(turn.answered, asked.began).then_some(Found {
        id,
        turn,
        by: Rule::Named,
        answer: None,
    })
}

/// An earlier exchange with the same body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Same {
    pub(super) id: TurnId,
    pub(super) turn: Turn,
    /// Whether it is known to be of the same conversation: two users may well say the same first words.
    pub(super) is_in_place: bool,
}

/// Longest time after which a client tries again what failed, in nanoseconds.
const RETRIED_WITHIN: u64 = 300_000_000_000;

/// The newest exchange with the same body, if it was over when this one began, and either both go on from the same turn or the
/// earlier one has just failed.
pub(super) fn same_body(
    store: &impl Store,
    asked: &Asked<'_>,
    found: Option<&Found>,
) -> Option<Same> {
    let id = store.find(asked.key(Of::Body, asked.history.body?.0))?.turn;
    let turn = store.turn(id)?;
    let since = asked.began.checked_sub(turn.ended)?;
    let has_failed = turn.failed.is_some() && since <= RETRIED_WITHIN;
    let is_in_place = found.is_some_and(|found| match found.by {
        Rule::Named => has_failed,
        _ => turn.follows == Some(found.id),
    });
    (is_in_place || has_failed).then_some(Same {
        id,
        turn,
        is_in_place,
    })
}

/// The exchange in whose pending calls the first words of a conversation stand.
pub(super) fn parent(store: &impl Store, asked: &Asked<'_>) -> Option<Turn> {
    let begins = asked.history.answers.is_empty();
    let words = asked.first_words().filter(|_| begins)?;
    let slot = store.find(asked.key(Of::Argument, words.0))?;
    let turn = store.turn(slot.turn).filter(|_| !slot.is_contested)?;
    let is_pending = !store.pending(slot.turn).is_empty();
    (in_order(turn.answered, asked.began) && is_pending).then_some(turn)
}

/// The request that brought the answer of this exchange while the exchange was not over: a client may go on as soon as the
/// calls are there, and its next request may be over before the stream of this one is closed.
pub(super) fn overtaken_by(
    store: &impl Store,
    asked: &Asked<'_>,
    found: Option<&Found>,
) -> Option<(TurnId, Turn)> {
    let answer = asked.history.answer.as_ref()?;
    let slot = store.find(asked.early_key(answer, None)?)?;
    let turn = store.turn(slot.turn).filter(|_| !slot.is_contested)?;
    let follows_the_same = turn.follows == found.map(|found| found.id);
    let began_later = in_order(asked.answered(), turn.began);
    (follows_the_same && began_later).then_some((slot.turn, turn))
}
