//! The state in this process's memory, together with what other processes have told a store that all of them share.
//!
//! Nothing here waits for that store. What the rules will look up is found out beforehand, by a rehearsal, and fetched for many
//! exchanges at once ([`Correlator::prepare`]); what is to be told is handed out ([`Shared::take_news`]) for somebody to
//! write. What others told is held until the next preparation only, and so costs no memory and is never stale. Without that
//! store, or where it is slow, all goes on as if this process were alone.
//!
//! # What is shared
//!
//! | name | value | changes |
//! |---|---|---|
//! | `k:TENANT:KEY` | which turn has this key, of which conversation, and whether another conversation has it too | with each turn that has it, in one step |
//! | `r:TENANT:TURN` | the turn: instants, hashes, its calls and the results that it brought early, its prompt's hashes | never |
//! | `f:TENANT:TURN` | bits: whether an exchange went on from it, whether its prompt was held against another, which calls have their result | bits are only ever set |
//! | `t:TENANT:CONVERSATION` | what was counted in a conversation | as a whole, the last writer's |
//!
//! Two processes whose exchanges end at the same time see nothing of each other: the later one does not follow the earlier, a
//! result that both bring is counted by both, a branch may get the number of another, and of what they count in a
//! conversation the last one's stands.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use super::correlator::Correlator;
use super::key::Key;
use super::memory::Memory;
use super::record::{self, Owned, Record};
use super::store::{Added, PendingCall, Prompt, Slot, Store, Thread, Turn, TurnId};
use crate::exchange::{Digest, Exchange};

/// Something new that the shared store is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A value under a name.
    Value {
        /// The name.
        name: String,
        /// The value.
        value: Vec<u8>,
    },
    /// Whose these names are: of each, the value becomes `0` and the owner; `1` and the owner, where the value has been
    /// `1`, or its first [`CONVERSATION_BYTES`] after that are others.
    Owner {
        /// The names.
        names: Vec<String>,
        /// The conversation, and the turn.
        owner: Vec<u8>,
    },
    /// A bit that is set from now on, counted from the highest bit of the first byte.
    Bit {
        /// The name.
        name: String,
        /// Which bit.
        bit: u32,
    },
}

/// So many bytes of an owner say which conversation it is.
pub const CONVERSATION_BYTES: usize = size_of::<u128>();

/// Most names that are asked for at once.
pub const NAMES_MAX: usize = 1024;

/// Most keys that are looked up for an exchange in a rehearsal, those of the newest turns first.
const KEYS_MAX: usize = 128;

/// How often the rules are rehearsed at most: what they find leads to more that they look up. Mostly two times do. Where several
/// conversations have the same last words each earlier turn of them may take one more; what is not found then begins another.
const REHEARSALS: usize = 8;

/// Of the bits of a turn: an exchange went on from it. Those of its calls come after the first byte.
const WENT_ON: u32 = 0;
/// Its prompt was held against another.
const PROMPT_TAKEN: u32 = 1;

const fn claimed(call: &PendingCall) -> u32 {
    8 + call.number as u32
}

/// What is known, here and elsewhere.
#[derive(Debug)]
pub struct Shared {
    memory: Memory,
    /// Whose exchange is looked at: all of its names bear it.
    tenant: Option<Digest>,
    told: Told,
    /// Keys that were looked up and not asked for yet.
    missing: RefCell<Vec<Key>>,
    news: Vec<News>,
}

/// What others have told, as far as it was asked for.
#[derive(Debug, Default)]
struct Told {
    owned: HashMap<Key, Option<Owned>, RandomState>,
    records: HashMap<TurnId, Record, RandomState>,
    bits: HashMap<TurnId, Vec<u8>, RandomState>,
    threads: HashMap<u128, Thread, RandomState>,
}

impl Told {
    fn has_bit(&self, id: TurnId, bit: u32) -> bool {
        let byte = self.bits.get(&id).and_then(|all| all.get(bit as usize / 8));
        byte.is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0)
    }

    fn set_bit(&mut self, id: TurnId, bit: u32) {
        let (bytes, at) = (self.bits.entry(id).or_default(), bit as usize / 8);
        if bytes.len() <= at {
            bytes.resize(at + 1, 0);
        }
        bytes[at] |= 0x80 >> (bit % 8);
    }
}

impl Shared {
    /// On top of a memory whose turns have ids that no other process's have.
    #[must_use]
    pub fn new(memory: Memory) -> Self {
        Self {
            memory,
            tenant: None,
            told: Told::default(),
            missing: RefCell::default(),
            news: Vec::new(),
        }
    }

    /// What is known here.
    #[must_use]
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// What is to be told, in the order in which it is to be written.
    fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    fn name(&self, of: char, tenant: Option<Digest>, id: impl std::fmt::LowerHex) -> String {
        let tenant = tenant.map_or(0, |tenant| tenant.0);
        format!("{of}:{tenant:016x}:{id:x}")
    }

    fn set_bit(&mut self, id: TurnId, bit: u32) {
        self.told.set_bit(id, bit);
        let name = self.name('f', self.tenant, id.0);
        self.news.push(News::Bit { name, bit });
    }

    /// What others say of a key; of which turn, only if that is known.
    fn told(&self, key: Key) -> Option<Owned> {
        if let Some(owned) = self.told.owned.get(&key) {
            return *owned;
        }
        let mut missing = self.missing.borrow_mut();
        if missing.len() < KEYS_MAX && !missing.contains(&key) {
            missing.push(key);
        }
        None
    }
}

impl Store for Shared {
    fn find(&self, key: Key) -> Option<Slot> {
        let here = self.memory.find(key);
        let Some(there) = self.told(key) else {
            return here;
        };
        let turn_here = here.and_then(|slot| self.turn(slot.turn));
        let turn_there = self.turn(there.slot.turn);
        let is_contested = there.slot.is_contested
            || here.is_some_and(|slot| slot.is_contested)
            || turn_here.is_some_and(|turn| turn.conversation != there.conversation);
        let ended = |turn: Option<Turn>| turn.map(|turn| turn.ended);
        let turn = match here {
            Some(here) if ended(turn_here) >= ended(turn_there) => here.turn,
            // It may have been forgotten sooner than its keys.
            None if turn_there.is_none() && !is_contested => return None,
            _ => there.slot.turn,
        };
        Some(Slot { turn, is_contested })
    }

    fn turn(&self, id: TurnId) -> Option<Turn> {
        let record = || self.told.records.get(&id).map(|record| record.turn);
        let turn = self.memory.turn(id).or_else(record)?;
        Some(Turn {
            went_on: turn.went_on || self.told.has_bit(id, WENT_ON),
            ..turn
        })
    }

    fn add(&mut self, turn: Turn, added: Added) -> TurnId {
        let keys = added.keys.iter();
        let names = keys.map(|key| self.name('k', self.tenant, key.0)).collect();
        let record = Record {
            turn,
            calls: added.calls.clone(),
            early: added.early.clone(),
            prompt: added.prompt.clone(),
        };
        let id = self.memory.add(turn, added);
        self.news.push(News::Value {
            name: self.name('r', self.tenant, id.0),
            value: record.write(),
        });
        self.news.push(News::Owner {
            names,
            owner: record::write_owner(id, turn.conversation),
        });
        id
    }

    fn follow(&mut self, id: TurnId) {
        if self.turn(id).is_some_and(|turn| !turn.went_on) {
            self.memory.follow(id);
            self.set_bit(id, WENT_ON);
        }
    }

    fn pending(&self, id: TurnId) -> Vec<PendingCall> {
        let mut calls = match self.told.records.get(&id) {
            Some(record) => record.calls.clone(),
            None => self.memory.pending(id),
        };
        calls.retain(|call| !self.told.has_bit(id, claimed(call)));
        calls
    }

    fn claim(&mut self, id: TurnId, call: &PendingCall) -> bool {
        let is_pending = self.pending(id).contains(call);
        if is_pending {
            self.memory.claim(id, call);
            self.set_bit(id, claimed(call));
        }
        is_pending
    }

    fn early(&self, id: TurnId) -> Vec<Digest> {
        match self.told.records.get(&id) {
            Some(record) => record.early.clone(),
            None => self.memory.early(id),
        }
    }

    fn take_prompt(&mut self, id: TurnId) -> Option<Prompt> {
        if self.told.has_bit(id, PROMPT_TAKEN) {
            return None;
        }
        let prompt = match self.told.records.get_mut(&id) {
            Some(record) => record.prompt.take(),
            None => self.memory.take_prompt(id),
        }?;
        self.set_bit(id, PROMPT_TAKEN);
        Some(prompt)
    }

    fn thread(&self, id: u128) -> Thread {
        let here = self.memory.thread(id);
        match self.told.threads.get(&id) {
            Some(there) if there.at > here.at => there.clone(),
            _ => here,
        }
    }

    fn set_thread(&mut self, id: u128, thread: Thread) {
        self.news.push(News::Value {
            name: self.name('t', self.tenant, id),
            value: record::write_thread(&thread),
        });
        self.memory.set_thread(id, thread);
    }
}

/// A key or a turn that is asked for, and whose it is.
type Asked<T> = (Option<Digest>, T);

impl Correlator<Shared> {
    /// Takes an exchange that is over, as [`place`](Self::place); says what the shared store is to be told of it.
    pub fn place_and_tell(&mut self, exchange: &mut Exchange) -> Vec<News> {
        self.look_at(exchange);
        self.place(exchange);
        self.store_mut().take_news()
    }

    /// Asks the shared store for what is needed of it for exchanges that are to be taken next, and forgets what it said
    /// before. `get` has a value or none for each name; `None` where they cannot be had.
    pub fn prepare(
        &mut self,
        exchanges: &[&Exchange],
        mut get: impl FnMut(&[String]) -> Option<Vec<Option<Vec<u8>>>>,
    ) {
        self.store_mut().told = Told::default();
        for _ in 0..REHEARSALS {
            let keys = self.missing(exchanges);
            let store = self.store_mut();
            let asked = !keys.is_empty() && store.ask_for_keys(&keys, &mut get).is_some();
            if !asked || store.ask_for_turns(&keys, &mut get).is_none() {
                return;
            }
        }
    }

    /// Keys that the rules look up and that were not asked for.
    fn missing(&mut self, exchanges: &[&Exchange]) -> Vec<Asked<Key>> {
        let mut keys = Vec::new();
        let mut seen = HashSet::<Key, RandomState>::default();
        for exchange in exchanges {
            self.look_at(exchange);
            self.rehearse(exchange);
            let tenant = self.store().tenant;
            let missing = self.store().missing.take().into_iter();
            keys.extend(
                missing
                    .filter(|key| seen.insert(*key))
                    .map(|key| (tenant, key)),
            );
        }
        keys
    }

    fn look_at(&mut self, exchange: &Exchange) {
        let history = exchange.history.as_deref();
        let store = self.store_mut();
        store.tenant = history.and_then(|history| history.tenant);
        store.missing.take();
    }
}

impl Shared {
    fn ask_for_keys(
        &mut self,
        keys: &[Asked<Key>],
        get: &mut impl FnMut(&[String]) -> Option<Vec<Option<Vec<u8>>>>,
    ) -> Option<()> {
        for keys in keys.chunks(NAMES_MAX) {
            let names = keys
                .iter()
                .map(|(tenant, key)| self.name('k', *tenant, key.0));
            let values = get(&names.collect::<Vec<_>>())?;
            for ((_, key), value) in keys.iter().zip(values) {
                let owned = value.and_then(|value| record::read_owned(&value));
                self.told.owned.insert(*key, owned);
            }
        }
        Some(())
    }

    /// Asks for all that is not known of the turns to which these keys lead.
    fn ask_for_turns(
        &mut self,
        keys: &[Asked<Key>],
        get: &mut impl FnMut(&[String]) -> Option<Vec<Option<Vec<u8>>>>,
    ) -> Option<()> {
        let mut turns = Vec::<(Option<Digest>, Owned)>::new();
        let mut seen = HashSet::<TurnId, RandomState>::default();
        for (tenant, key) in keys {
            let owned = self.told.owned.get(key).copied().flatten();
            let owned = owned.filter(|owned| !self.told.bits.contains_key(&owned.slot.turn));
            if let Some(owned) = owned.filter(|owned| seen.insert(owned.slot.turn)) {
                turns.push((*tenant, owned));
            }
        }
        for turns in turns.chunks(NAMES_MAX / 3) {
            let names = turns.iter().flat_map(|(tenant, owned)| {
                let turn = owned.slot.turn.0;
                [
                    self.name('f', *tenant, turn),
                    self.name('t', *tenant, owned.conversation),
                    self.name('r', *tenant, turn),
                ]
            });
            let mut values = get(&names.collect::<Vec<_>>())?.into_iter();
            for (_, owned) in turns {
                let [bits, thread, turn] = [(); 3].map(|()| values.next().flatten());
                self.learn(owned, bits, thread, turn);
            }
        }
        Some(())
    }

    fn learn(
        &mut self,
        owned: &Owned,
        bits: Option<Vec<u8>>,
        thread: Option<Vec<u8>>,
        turn: Option<Vec<u8>>,
    ) {
        let id = owned.slot.turn;
        self.told.bits.insert(id, bits.unwrap_or_default());
        if let Some(thread) = thread.and_then(|thread| record::read_thread(&thread)) {
            self.told.threads.insert(owned.conversation, thread);
        }
        // Of what is known here, the memory knows more.
        let record = turn.filter(|_| self.memory.turn(id).is_none());
        if let Some(record) = record.and_then(|record| Record::read(&record)) {
            self.told.records.insert(id, record);
        }
    }
}
