//! An exchange as the rules look at it: hashes of what its request begins with, up to every place in it.

use std::time::{Duration, SystemTime};

use super::key::{self, Key, Mix, Of};
use super::store::Turn;
use crate::exchange::{
    Answer, Digest, End, Exchange, History, Identity, Item, Rule, Speaker, Trace,
};

/// How far two exchanges' clocks may be apart, in nanoseconds: a wall clock is set and slowed down, while each exchange counts
/// on from where it began.
const CLOCKS_APART: u64 = 1_000_000_000;

/// Whether an instant of one exchange is not after one of another, as far as wall clocks can be trusted.
pub(super) const fn in_order(first: u64, second: u64) -> bool {
    first <= second.saturating_add(CLOCKS_APART)
}

/// One exchange.
pub(super) struct Asked<'e> {
    pub(super) exchange: &'e Exchange,
    pub(super) history: &'e History,
    /// Which trace it is in, as far as is known.
    pub(super) identity: Option<Identity>,
    /// Tenant, and the conversation's name where it has one: nothing is found across either.
    scope: Mix,
    /// When it arrived, in nanoseconds since the epoch.
    pub(super) began: u64,
    pub(super) ended: u64,
    /// Hashes of the first so many texts of the user.
    pub(super) users: Vec<u64>,
    /// Hashes of the first so many items, raw.
    pub(super) items: Vec<u64>,
    /// Of each turn of the model in the request, what was said before it: a hash of the texts of the user and of the model.
    /// Calls and results are not in it, since clients leave them out later on. Where no user has said anything it is one of
    /// the items, so that an id alone never links.
    before: Vec<u64>,
    /// Of the answer of this exchange.
    all: u64,
    /// The same without the last item, where that is a text of the user, and not the only one: agents add a reminder to each
    /// request that is not in the next.
    without_last: Option<u64>,
}

impl<'e> Asked<'e> {
    pub(super) fn new(exchange: &'e Exchange, history: &'e History, name: Option<&str>) -> Self {
        let tenant = Mix::from(0).and_digest(history.tenant);
        let scope = name.map_or(tenant, |name| tenant.and_text(name));
        let room = 1 + history.items.len();
        let (mut users, mut items) = (from_zero(room), from_zero(room));
        let (mut said, mut sent) = (Mix::from(6), Mix::from(7));
        // They stand in the order of their places.
        let mut turns = history.answers.iter().peekable();
        let mut answers = Mix::from(8);
        let mut before = Vec::with_capacity(history.answers.len());
        let last = history.items.len();
        for at in 0..=last {
            let by_users = by_users(&users, &items);
            while let Some(answer) = turns.next_if(|answer| answer.at.min(last) <= at) {
                before.push(answers.and(by_users).get());
                if let Some(text) = key::text(answer) {
                    answers = answers.and(text.0);
                }
            }
            let Some(item) = history.items.get(at) else {
                break;
            };
            sent = sent.and(item.segment.raw.0);
            items.push(sent.get());
            if let Some(text) = item.text.filter(|_| item.speaker == Speaker::User) {
                said = said.and(text.0);
                users.push(said.get());
            }
        }
        let all = answers.and(by_users(&users, &items)).get();
        let is_more = |last: &Item| last.speaker == Speaker::User && last.text.is_some();
        let is_more = history.items.last().is_some_and(is_more) && users.len() > 2;
        let without_last = is_more.then(|| answers.and(users[users.len() - 2]).get());
        let began = exchange.started_at.duration_since(SystemTime::UNIX_EPOCH);
        let began = nanos(began.unwrap_or_default());
        Self {
            exchange,
            history,
            identity: exchange.trace.as_ref().map(Trace::identity),
            scope,
            began,
            ended: began.saturating_add(nanos(exchange.times.end)),
            users,
            items,
            before,
            all,
            without_last,
        }
    }

    /// An instant of the exchange.
    pub(super) fn at(&self, since_start: Duration) -> u64 {
        self.began.saturating_add(nanos(since_start))
    }

    pub(super) fn key(&self, of: Of, what: u64) -> Key {
        Key(self.scope.and(of as u64).and(what).get())
    }

    /// What keeps this tenant's and this name's conversations apart from others.
    pub(super) const fn scope(&self) -> Mix {
        self.scope
    }

    /// The keys under which an answer that stands at that place in the request is found, the surest first.
    pub(super) fn keys_of(&self, turn: usize) -> impl Iterator<Item = (Rule, Key)> {
        let (answer, before) = (&self.history.answers[turn], self.before[turn]);
        // The longest first.
        let prefixes = answer.text_prefixes.iter().rev();
        let prefixes = prefixes.filter(|_| answer.calls.is_empty());
        let prefixes =
            prefixes.map(move |prefix| (Rule::TextPrefix, self.after(Of::Text, prefix.0, before)));
        self.answer_keys(answer, before).chain(prefixes)
    }

    /// The keys under which the answer of this exchange will be found in later requests.
    pub(super) fn own_keys(&self, answer: &Answer) -> impl Iterator<Item = Key> {
        let keys = self.answer_keys(answer, self.all);
        keys.map(|(_, key)| key)
    }

    /// The keys under which the answer of this exchange will be found in requests that leave out its last text of the user. They
    /// are apart from the others, so that what was said to the end is found before what is not.
    pub(super) fn own_keys_without_last(&self, answer: &Answer) -> impl Iterator<Item = Key> {
        let before = self.without_last.map(left_out);
        let keys = before
            .into_iter()
            .flat_map(|before| self.answer_keys(answer, before));
        keys.map(|(_, key)| key)
    }

    /// The keys under which an answer that stands at that place in the request is found, if one more text of the user stood
    /// before it.
    pub(super) fn keys_of_more(&self, turn: usize) -> impl Iterator<Item = (Rule, Key)> {
        self.answer_keys(&self.history.answers[turn], left_out(self.before[turn]))
    }

    /// Whether all that a turn said was there when this one began.
    pub(super) const fn began_after(&self, turn: &Turn) -> bool {
        in_order(turn.answered, self.began)
    }

    /// Under which a request is found by all of its items, or by all that stand before a turn of the model in it.
    pub(super) fn prefix_key(&self, turn: Option<usize>) -> Key {
        let all = self.history.items.len();
        let before = turn.map_or(all, |turn| self.history.answers[turn].at.min(all));
        self.key(Of::Prefix, self.items[before])
    }

    /// An answer that a request brought early, at a place there, and the same answer when it comes: by its calls and their ids.
    pub(super) fn early_key(&self, answer: &Answer, turn: Option<usize>) -> Option<Key> {
        let before = turn.map_or(self.all, |turn| self.before[turn]);
        Some(self.after(Of::Early, key::calls(answer, true)?, before))
    }

    fn answer_keys(&self, answer: &Answer, before: u64) -> impl Iterator<Item = (Rule, Key)> {
        let calls = key::calls(answer, true).map(|calls| (Rule::Calls, Of::Calls, calls));
        let names = key::calls(answer, false).map(|calls| (Rule::CallNames, Of::CallNames, calls));
        let text = key::text(answer).map(|text| (Rule::Text, Of::Text, text.0));
        let all = [calls, names, text].into_iter().flatten();
        all.map(move |(rule, of, what)| (rule, self.after(of, what, before)))
    }

    fn after(&self, of: Of, what: u64, before: u64) -> Key {
        self.key(of, Mix::from(what).and(before).get())
    }

    /// Whether a turn may be before this one: all it said was there when this one began, and its user's texts are the first
    /// of this one's. Where it has none, its items are.
    pub(super) fn may_follow(&self, turn: &Turn) -> bool {
        let same = |all: &[u64], count: u32, hash| all.get(count as usize) == Some(&hash);
        let begins_like_it = match turn.users {
            0 => same(&self.items, turn.items, turn.items_hash),
            users => same(&self.users, users, turn.users_hash),
        };
        begins_like_it && self.began_after(turn)
    }

    /// The first text of the user.
    pub(super) fn first_words(&self) -> Option<Digest> {
        let mut users = self
            .history
            .items
            .iter()
            .filter(|item| item.speaker == Speaker::User);
        users.find_map(|item| item.text)
    }

    /// How it ended, if it did not end well.
    pub(super) fn failed(&self) -> Option<(End, Option<u16>)> {
        let exchange = self.exchange;
        let failed = exchange.failure.is_some() || exchange.end == End::ClientLeft;
        failed.then_some((exchange.end, exchange.http.status))
    }

    /// When all that a client may send back had been said: a tool may run while the stream is still open.
    pub(super) fn answered(&self) -> u64 {
        let calls = self.history.answer.iter().flat_map(|answer| &answer.calls);
        let last_call = calls.filter_map(|call| call.arguments_end).max();
        let times = &self.exchange.times;
        self.at(last_call.or(times.last_token).unwrap_or(times.end))
    }
}

/// What was said before an answer, but for one more text.
const fn left_out(before: u64) -> u64 {
    Mix::from(before).and(14).get()
}

/// The last hash of the texts of the user, or of the items where there is no text.
fn by_users(users: &[u64], items: &[u64]) -> u64 {
    let hashes = if users.len() > 1 { users } else { items };
    hashes.last().copied().unwrap_or_default()
}

/// A list of one zero, with room for so many numbers.
fn from_zero(room: usize) -> Vec<u64> {
    let mut list = Vec::with_capacity(room);
    list.push(0);
    list
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
