//! The state in this process's memory: bounded in turns and in bytes, and in time by the clock of the exchanges. What is too
//! much goes in the order in which it came.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::mem::size_of;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::key::Key;
use super::store::{Added, PendingCall, Prompt, Slot, Store, Thread, Turn, TurnId};
use crate::exchange::Digest;

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most turns.
    pub turns: usize,
    /// Most bytes, by [`Memory::bytes`].
    pub bytes: usize,
    /// How long after its end a turn is kept.
    pub ttl: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            turns: 100_000,
            bytes: 64 << 20,
            ttl: Duration::from_secs(3600),
        }
    }
}

/// What was let go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evictions {
    /// Turns that were too old.
    pub expired: u64,
    /// Turns that were too many, or took too many bytes.
    pub crowded_out: u64,
    /// Calls of either whose result never came.
    pub unanswered_calls: u64,
}

/// The state.
#[derive(Debug)]
pub struct Memory {
    bounds: Bounds,
    /// The turns whose ids follow one another from `first` on.
    turns: VecDeque<Kept>,
    first: u64,
    index: HashMap<Key, Slot, RandomState>,
    threads: HashMap<u128, Alive, RandomState>,
    bytes: usize,
    evictions: Evictions,
}

/// A turn with all that is its own.
#[derive(Debug)]
struct Kept {
    turn: Turn,
    keys: Vec<Key>,
    calls: Vec<PendingCall>,
    early: Box<[Digest]>,
    prompt: Option<Box<Prompt>>,
}

/// A conversation of which turns are kept.
#[derive(Debug, Default)]
struct Alive {
    thread: Thread,
    turns: u32,
}

/// An entry of a hash table just after it has grown: seven sixteenths of its places are taken, and each has a byte more.
const fn entry<K, V>() -> usize {
    (size_of::<(K, V)>() + 1) * 16 / 7
}

/// What an allocator takes beside what it gives, about.
const ALLOCATION: usize = 16;

impl Kept {
    fn bytes(&self) -> usize {
        let calls = self.calls.iter().map(call_bytes).sum::<usize>();
        let keys = self.keys.capacity() * size_of::<Key>() + self.keys.len() * entry::<Key, Slot>();
        let lists = 3 * ALLOCATION + size_of_val(&*self.early);
        // The queue has up to twice the room it needs.
        2 * size_of::<Self>() + lists + keys + calls + self.prompt_bytes()
    }

    fn prompt_bytes(&self) -> usize {
        self.prompt.as_ref().map_or(0, |prompt| {
            let lists = size_of_val(&*prompt.parameters) + size_of_val(&*prompt.marks);
            size_of::<Prompt>() + lists + 3 * ALLOCATION
        })
    }
}

fn call_bytes(call: &PendingCall) -> usize {
    let texts = call.name.len() + call.wire_id.as_ref().map_or(0, |id| id.len());
    size_of::<PendingCall>() + texts + 2 * ALLOCATION
}

fn thread_bytes(thread: &Thread) -> usize {
    entry::<u128, Alive>() + ALLOCATION + thread.said.capacity() * size_of::<(u32, u32)>()
}

impl Memory {
    /// An empty one.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self::with_ids_from(bounds, 0)
    }

    /// An empty one, whose turns have ids from this one on.
    #[must_use]
    pub fn with_ids_from(bounds: Bounds, first: u64) -> Self {
        Self {
            bounds,
            turns: VecDeque::new(),
            first,
            index: HashMap::default(),
            threads: HashMap::default(),
            bytes: 0,
            evictions: Evictions::default(),
        }
    }

    /// How many turns are kept.
    #[must_use]
    pub fn turns(&self) -> usize {
        self.turns.len()
    }

    /// How many bytes they take, at most about.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What was let go so far.
    #[must_use]
    pub const fn evictions(&self) -> Evictions {
        self.evictions
    }

    fn kept(&self, id: TurnId) -> Option<&Kept> {
        let at = id.0.checked_sub(self.first)?;
        self.turns.get(usize::try_from(at).ok()?)
    }

    fn kept_mut(&mut self, id: TurnId) -> Option<&mut Kept> {
        let at = id.0.checked_sub(self.first)?;
        self.turns.get_mut(usize::try_from(at).ok()?)
    }

    fn put(&mut self, key: Key, turn: TurnId, conversation: u128) {
        let (turns, first) = (&self.turns, self.first);
        let is_of_another = |slot: &Slot| {
            let at = slot.turn.0.checked_sub(first);
            let kept = at.and_then(|at| turns.get(usize::try_from(at).ok()?));
            kept.is_some_and(|kept| kept.turn.conversation != conversation)
        };
        match self.index.entry(key) {
            Entry::Occupied(mut before) => {
                let slot = before.get_mut();
                slot.is_contested |= is_of_another(slot);
                slot.turn = turn;
            }
            Entry::Vacant(none) => {
                let is_contested = false;
                none.insert(Slot { turn, is_contested });
            }
        }
    }

    /// Lets go the oldest turn; `false` where there is none.
    fn evict(&mut self) -> bool {
        let Some(kept) = self.turns.pop_front() else {
            return false;
        };
        let id = TurnId(self.first);
        self.first += 1;
        self.bytes -= kept.bytes();
        self.evictions.unanswered_calls += kept.calls.len() as u64;
        for key in &kept.keys {
            if self.index.get(key).is_some_and(|slot| slot.turn == id) {
                self.index.remove(key);
            }
        }
        let conversation = kept.turn.conversation;
        if let Some(alive) = self.threads.get_mut(&conversation) {
            alive.turns -= 1;
            if alive.turns == 0 {
                self.bytes -= thread_bytes(&alive.thread);
                self.threads.remove(&conversation);
            }
        }
        true
    }

    fn keep_bounds(&mut self, now: u64) {
        let ttl = u64::try_from(self.bounds.ttl.as_nanos()).unwrap_or(u64::MAX);
        let is_old = |kept: &Kept| kept.turn.ended.saturating_add(ttl) < now;
        while self.turns.front().is_some_and(is_old) {
            self.evictions.expired += 1;
            self.evict();
        }
        while self.turns.len() > self.bounds.turns || self.bytes > self.bounds.bytes {
            if !self.evict() {
                break;
            }
            self.evictions.crowded_out += 1;
        }
    }
}

impl Store for Memory {
    fn find(&self, key: Key) -> Option<Slot> {
        self.index.get(&key).copied()
    }

    fn turn(&self, id: TurnId) -> Option<Turn> {
        self.kept(id).map(|kept| kept.turn)
    }

    fn add(&mut self, turn: Turn, added: Added) -> TurnId {
        let id = TurnId(self.first + self.turns.len() as u64);
        for key in &added.keys {
            self.put(*key, id, turn.conversation);
        }
        let mut calls = added.calls;
        calls.shrink_to_fit();
        let kept = Kept {
            turn,
            keys: added.keys,
            calls,
            early: added.early.into(),
            prompt: added.prompt.map(Box::new),
        };
        self.bytes += kept.bytes();
        self.turns.push_back(kept);
        let alive = self.threads.entry(turn.conversation).or_insert_with(|| {
            let alive = Alive::default();
            self.bytes += thread_bytes(&alive.thread);
            alive
        });
        alive.turns += 1;
        self.keep_bounds(turn.ended);
        id
    }

    fn follow(&mut self, id: TurnId) {
        if let Some(kept) = self.kept_mut(id) {
            kept.turn.went_on = true;
        }
    }

    fn pending(&self, id: TurnId) -> Vec<PendingCall> {
        self.kept(id)
            .map_or_else(Vec::new, |kept| kept.calls.clone())
    }

    fn claim(&mut self, id: TurnId, call: &PendingCall) -> bool {
        let Some(kept) = self.kept_mut(id) else {
            return false;
        };
        let Some(at) = kept.calls.iter().position(|one| one == call) else {
            return false;
        };
        let taken = kept.calls.remove(at);
        self.bytes -= call_bytes(&taken);
        true
    }

    fn early(&self, id: TurnId) -> Vec<Digest> {
        self.kept(id)
            .map_or_else(Vec::new, |kept| kept.early.to_vec())
    }

    fn take_prompt(&mut self, id: TurnId) -> Option<Prompt> {
        let kept = self.kept_mut(id)?;
        let bytes = kept.prompt_bytes();
        let prompt = kept.prompt.take()?;
        self.bytes -= bytes;
        Some(*prompt)
    }

    fn thread(&self, id: u128) -> Thread {
        self.threads
            .get(&id)
            .map_or_else(Thread::default, |alive| alive.thread.clone())
    }

    fn set_thread(&mut self, id: u128, thread: Thread) {
        if let Some(alive) = self.threads.get_mut(&id) {
            self.bytes += thread_bytes(&thread);
            self.bytes -= thread_bytes(&alive.thread);
            alive.thread = thread;
        }
    }
}
