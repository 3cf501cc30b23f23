//! The state machine: takes exchanges that are over, says where each belongs, and remembers it.

use super::asked::Asked;
use super::cache;
use super::health::{self, Health, Thresholds};
use super::joins::Joins;
use super::key::{Key, Of};
use super::memory::Memory;
use super::place::{Links, Place};
use super::rules;
use super::store::{Added, PendingCall, Prompt, Store, Thread, Turn};
use super::waits;
use crate::exchange::{Again, Conversation, Digest, Exchange, Identity, Reuse, ToolWait};

/// Most keys under which a turn is found.
const KEYS_MAX: usize = 24;

/// So many there are of an exchange without calls, or fewer.
const KEYS_USUAL: usize = 8;

/// Finds out which exchanges belong together.
#[derive(Debug)]
pub struct Correlator<S = Memory> {
    store: S,
    thresholds: Thresholds,
    /// How the exchanges of a conversation come into one trace; `None`: each stays in its own.
    joins: Option<Joins>,
    /// Makes the ids of conversations this process's own.
    seed: u64,
    /// How many conversations have begun.
    begun: u64,
}

impl<S: Store> Correlator<S> {
    /// One that remembers in a store. The seed is to be another in each process.
    pub const fn new(store: S, thresholds: Thresholds, seed: u64) -> Self {
        Self {
            store,
            thresholds,
            joins: None,
            seed,
            begun: 0,
        }
    }

    /// The same, by which the exchanges of a conversation come into one trace.
    #[must_use]
    pub fn joining(self, joins: Option<Joins>) -> Self {
        Self { joins, ..self }
    }

    /// What it remembers.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// The same, to be told what it is to remember.
    pub(super) const fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    /// Asks the store for what `place` would, as far as it knows.
    pub(super) fn rehearse(&self, exchange: &Exchange) {
        if let Some((asked, name)) = ask(exchange) {
            Links::of(&self.store, &asked, name);
        }
    }

    /// Takes an exchange that is over, in the order of the ends, and says in it where it belongs. An exchange without a history has
    /// no place.
    pub fn place(&mut self, exchange: &mut Exchange) {
        let placed = self.locate(exchange);
        let identity = placed.as_ref().and_then(|(_, identity)| *identity);
        if let (Some(joins), Some(trace), Some(identity)) =
            (self.joins, &mut exchange.trace, identity)
            && identity.trace_id != trace.trace_id
        {
            trace.join(&identity, joins.propagates);
        }
        exchange.conversation = placed.map(|(place, _)| Box::new(place));
    }

    /// Where it belongs, and which trace it is in.
    fn locate(&mut self, exchange: &Exchange) -> Option<(Conversation, Option<Identity>)> {
        let (mut asked, name) = ask(exchange)?;
        let links = Links::of(&self.store, &asked, name);
        if let Some(joins) = self.joins {
            asked.identity = joins.identity(&self.store, &asked, &links, name);
        }
        let known = links.conversation();
        let mut thread = known.map_or_else(Thread::default, |id| self.store.thread(id));
        let place = Place::of(&links, &asked, &mut thread.branches);
        let place = place.unwrap_or_else(|| {
            let id = self.new_id(&asked, name);
            // One with a name may go on, though nothing of it was over when this exchange began.
            thread = self.store.thread(id);
            Place::first(id, &asked, links.parent)
        });
        let mut calls = waits::calls(&asked);
        let waits = self.waits(&asked, &links, &mut calls);
        let prompt = Prompt::of(&asked);
        let reuse = self.reuse(&asked, &links, &prompt);
        let health = self.health(&asked, &links, &mut thread, prompt.bytes);
        for count in [
            exchange.reported_input_tokens(),
            exchange.reported_output_tokens(),
        ] {
            let sum = |count| thread.tokens.unwrap_or_default().saturating_add(count);
            thread.tokens = count.map(sum).or(thread.tokens);
        }
        let tokens = thread.tokens;
        thread.at = asked.ended;
        self.remember(
            &asked,
            &links,
            &place,
            Added {
                keys: keys(&asked, &links, &calls, name, place.conversation),
                early: early(&asked, &links),
                calls,
                prompt: asked.failed().is_none().then_some(prompt),
            },
        );
        self.store.set_thread(place.conversation, thread);
        let place = Conversation {
            id: place.conversation,
            turn: place.turn,
            branch: place.branch,
            depth: place.depth,
            linked_by: place.linked_by,
            previous: links.found.and_then(|found| found.turn.identity),
            parent: place.parent,
            again: links.again(),
            waits,
            repeated_calls: health.repeated_calls,
            without_progress: health.without_progress,
            grown_bytes: health.grown_bytes,
            tokens,
            reuse,
        };
        Some((place, asked.identity))
    }

    /// The id of a conversation that begins. With a name it follows from that; any other is this process's own.
    fn new_id(&mut self, asked: &Asked<'_>, name: Option<Key>) -> u128 {
        self.begun += 1;
        let half = |which| {
            let hash = asked.scope().and(which);
            let own = name
                .is_none()
                .then(|| hash.and(self.seed).and(self.begun).and(asked.began));
            u128::from(own.unwrap_or(hash).get())
        };
        (half(11) << 64 | half(12)).max(1)
    }

    fn waits(
        &mut self,
        asked: &Asked<'_>,
        links: &Links,
        calls: &mut Vec<PendingCall>,
    ) -> Vec<ToolWait> {
        let brought = links
            .found
            .map(|found| waits::brought(&mut self.store, asked, &found));
        let mut waits = brought.unwrap_or_default();
        if let Some(by) = &links.overtaken_by {
            waits.extend(waits::brought_early(&self.store, calls, asked.identity, by));
        }
        waits
    }

    /// Of what was not served, no cache has anything.
    fn reuse(&mut self, asked: &Asked<'_>, links: &Links, prompt: &Prompt) -> Option<Reuse> {
        let (id, turn) = links.sent_before().filter(|_| asked.failed().is_none())?;
        let earlier = self.store.take_prompt(id)?;
        Some(cache::reuse(&earlier, turn.ended, prompt, asked))
    }

    /// What a client sends again as it was is no news of the agent.
    fn health(&self, asked: &Asked<'_>, links: &Links, thread: &mut Thread, bytes: u64) -> Health {
        if links.again.is_some() {
            return Health::default();
        }
        let users = asked.users.len() - 1;
        let asked_again = links
            .found
            .is_some_and(|found| match found.may_be_new_only() {
                true => users == 0,
                false => found.turn.users as usize >= users,
            });
        health::look(thread, asked, asked_again, bytes, &self.thresholds)
    }

    fn remember(&mut self, asked: &Asked<'_>, links: &Links, place: &Place, added: Added) {
        let history = asked.history;
        let failed = asked.failed();
        if let Some(found) = links.found.filter(|_| failed.is_none()) {
            self.store.follow(found.id);
        }
        let turn = Turn {
            conversation: place.conversation,
            turn: place.turn,
            branch: place.branch,
            depth: place.depth,
            follows: links.found.map(|found| found.id),
            identity: asked.identity,
            began: asked.began,
            answered: asked.answered(),
            ended: asked.ended,
            users: asked.users.len() as u32 - 1,
            users_hash: asked.users[asked.users.len() - 1],
            items: history.items.len() as u32,
            items_hash: asked.items[history.items.len()],
            failed,
            tries: match links.again() {
                Some(Again::Retry { tries, .. }) => tries,
                _ => 0,
            },
            lost_answer: history.answer.is_none() && asked.exchange.began_to_answer(),
            went_on: links.overtaken_by.is_some(),
        };
        self.store.add(turn, added);
    }
}

/// The exchange as the rules look at it, and under which its conversation is found if it has a name; `None` for an exchange
/// without a history.
fn ask(exchange: &Exchange) -> Option<(Asked<'_>, Option<Key>)> {
    let history = exchange.history.as_deref()?;
    let name = exchange.conversation_id();
    let asked = Asked::new(exchange, history, name);
    let name = name.map(|_| asked.key(Of::Name, 0));
    Some((asked, name))
}

/// What an exchange will be found by, the more important first.
fn keys(
    asked: &Asked<'_>,
    links: &Links,
    calls: &[PendingCall],
    name: Option<Key>,
    conversation: u128,
) -> Vec<Key> {
    let history = asked.history;
    let mut keys = Vec::with_capacity(KEYS_USUAL);
    keys.extend(name);
    keys.extend(history.body.map(|body| asked.key(Of::Body, body.0)));
    let id = asked.exchange.response.id.as_deref();
    keys.extend(id.map(|id| rules::response_key(asked, id)));
    if let Some(last) = unknown_answer(asked, links) {
        keys.extend(asked.early_key(&history.answers[last], Some(last)));
    }
    // What was cut off is the end, and so what tells one request from another.
    let whole = !history.truncated;
    keys.extend(whole.then(|| asked.prefix_key(None)));
    if let Some(answer) = &history.answer {
        let own = asked.own_keys(answer).filter(|_| whole);
        keys.extend(own.flat_map(|key| [key, key.within(conversation)]));
        let without_last = asked.own_keys_without_last(answer);
        keys.extend(without_last.filter(|_| whole));
        let items = answer.item_ids.iter().rev().take(4);
        keys.extend(items.map(|item| asked.key(Of::Item, item.0)));
        let ids = calls.iter().filter_map(|call| call.id);
        keys.extend(ids.take(4).map(|id| asked.key(Of::CallId, id.0)));
        // What the user said is passed on to a search as a rule, and another user may begin with the same words.
        let said = |string: &&Digest| !history.items.iter().any(|item| item.text == Some(**string));
        let strings = answer
            .calls
            .iter()
            .flat_map(|call| &call.strings)
            .filter(said);
        keys.extend(strings.map(|string| asked.key(Of::Argument, string.0)));
    }
    keys.truncate(KEYS_MAX);
    keys
}

/// The last of the model's turns in a request, where the exchange of it is not known.
fn unknown_answer(asked: &Asked<'_>, links: &Links) -> Option<usize> {
    let last = asked.history.answers.len().checked_sub(1)?;
    let is_known = match &links.found {
        Some(found) => found.answer.is_none_or(|answer| answer == last),
        None => links.is_contested,
    };
    (!is_known && !asked.history.truncated).then_some(last)
}

/// The results that a request brought for an answer that is not known.
fn early(asked: &Asked<'_>, links: &Links) -> Vec<Digest> {
    let Some(last) = unknown_answer(asked, links) else {
        return Vec::new();
    };
    let after = asked.history.answers[last].at;
    let results = asked
        .history
        .results
        .iter()
        .filter(|result| result.at >= after);
    results.filter_map(|result| result.id).take(16).collect()
}

impl Correlator {
    /// One that remembers in this process.
    #[must_use]
    pub fn in_memory(bounds: super::Bounds, thresholds: Thresholds, seed: u64) -> Self {
        Self::new(Memory::new(bounds), thresholds, seed)
    }
}
