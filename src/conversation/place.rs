//! Where an exchange stands, by what it follows and what it repeats.

use super::asked::Asked;
use super::rules::{self, Found, Outcome, Same};
use super::store::{Store, Turn, TurnId};
use crate::exchange::{Again, Parent, Rule};

use super::key::Key;

/// What an exchange has to do with those before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Links {
    /// The one it follows.
    pub(super) found: Option<Found>,
    /// Whether it may follow one of several.
    pub(super) is_contested: bool,
    /// The one whose request it repeats.
    pub(super) again: Option<Same>,
    /// The one that followed it and was over first.
    pub(super) overtaken_by: Option<(TurnId, Turn)>,
    /// Where it begins a conversation: the one whose call began it.
    pub(super) parent: Option<Turn>,
}

/// The place of an exchange, as in [`Conversation`](crate::exchange::Conversation).
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) conversation: u128,
    pub(super) turn: u32,
    pub(super) branch: u32,
    pub(super) depth: u32,
    pub(super) parent: Option<Parent>,
    pub(super) linked_by: Option<Rule>,
}

impl Links {
    pub(super) fn of(store: &impl Store, asked: &Asked<'_>, name: Option<Key>) -> Self {
        let Outcome {
            found,
            is_contested,
        } = rules::predecessor(store, asked, name);
        let mut links = Self {
            found,
            is_contested,
            again: rules::same_body(store, asked, found.as_ref()),
            overtaken_by: rules::overtaken_by(store, asked, found.as_ref()),
            parent: None,
        };
        if links.conversation().is_none() {
            links.parent = rules::parent(store, asked);
        }
        links
    }

    /// The conversation that it goes on with.
    pub(super) fn conversation(&self) -> Option<u128> {
        let same = self.again.filter(|same| same.is_in_place);
        let turn = same.map(|same| same.turn);
        let turn = turn.or(self.overtaken_by.map(|(_, turn)| turn));
        let turn = turn.or(self.found.map(|found| found.turn))?;
        Some(turn.conversation)
    }

    /// The one that it comes after in its conversation, or else before.
    pub(super) fn beside(&self) -> Option<Turn> {
        let found = self.found.map(|found| found.turn);
        found.or(self.overtaken_by.map(|(_, turn)| turn))
    }

    /// What it repeats.
    pub(super) fn again(&self) -> Option<Again> {
        let turn = self.again.as_ref()?.turn;
        Some(match turn.failed {
            Some((end, status)) => Again::Retry {
                end,
                status,
                tries: turn.tries + 1,
            },
            None => Again::Repeat,
        })
    }

    /// The turn whose prompt the request begins with, as far as nothing changed: of a repeat, that of the first time.
    pub(super) fn sent_before(&self) -> Option<(TurnId, Turn)> {
        let repeated = self.again.filter(|same| same.turn.failed.is_none());
        let repeated = repeated.map(|same| (same.id, same.turn));
        let found = self.found.filter(|found| !found.may_be_new_only());
        repeated.or(found.map(|found| (found.id, found.turn)))
    }
}

impl Place {
    /// In the conversation that it goes on with; `branches` is how many there are beside its first. `None` where it begins
    /// one.
    pub(super) fn of(links: &Links, asked: &Asked<'_>, branches: &mut u32) -> Option<Self> {
        let by = links.found.map(|found| found.by);
        if let Some(same) = links.again.filter(|same| same.is_in_place) {
            return Some(Self::in_place_of(&same.turn, by));
        }
        if let Some((_, turn)) = &links.overtaken_by {
            return Some(Self {
                turn: turn.turn.saturating_sub(1),
                ..Self::in_place_of(turn, by)
            });
        }
        links
            .found
            .map(|found| Self::after(&found, asked, branches))
    }

    /// At the beginning of a conversation, perhaps called into being by another.
    pub(super) fn first(conversation: u128, asked: &Asked<'_>, parent: Option<Turn>) -> Self {
        Self {
            conversation,
            turn: seen(asked.history.answers.len()),
            branch: 0,
            depth: parent.map_or(0, |turn| turn.depth + 1),
            parent: parent.map(|turn| Parent {
                id: turn.conversation,
                exchange: turn.identity,
            }),
            linked_by: None,
        }
    }

    fn in_place_of(turn: &Turn, linked_by: Option<Rule>) -> Self {
        Self {
            conversation: turn.conversation,
            turn: turn.turn,
            branch: turn.branch,
            depth: turn.depth,
            parent: None,
            linked_by,
        }
    }

    fn after(found: &Found, asked: &Asked<'_>, branches: &mut u32) -> Self {
        let turn = &found.turn;
        let unknown = found
            .answer
            .map_or(0, |at| asked.history.answers.len() - 1 - at);
        let leaves = turn.went_on && found.by != Rule::Named;
        if leaves {
            *branches += 1;
        }
        Self {
            turn: turn.turn + seen(unknown),
            branch: if leaves { *branches } else { turn.branch },
            ..Self::in_place_of(turn, Some(found.by))
        }
    }
}

/// The next turn, after so many that only a history shows.
fn seen(turns: usize) -> u32 {
    u32::try_from(turns).unwrap_or(u32::MAX - 1) + 1
}
