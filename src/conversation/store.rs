//! What is kept of exchanges that are over, and the few operations by which the rules get at it.
//!
//! Hashes, identities, instants, and the names and ids of calls that wait for a result: no content. Each operation is one
//! look-up or one write under a small key, so that a store which several processes share can do them too.

use crate::exchange::{Digest, End, Identity, ToolKind};

use super::key::Key;

/// Names a turn within a store, and, where several share what they know, within all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TurnId(pub u64);

/// What a key leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The newest turn with this key.
    pub turn: TurnId,
    /// Whether a turn of another conversation has it too: then nobody can say which is meant.
    pub is_contested: bool,
}

/// What is kept of an exchange.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Turn {
    /// The conversation it is part of.
    pub conversation: u128,
    /// Its place there, as in [`Conversation`](crate::exchange::Conversation).
    pub turn: u32,
    /// Likewise.
    pub branch: u32,
    /// Likewise.
    pub depth: u32,
    /// The turn it follows.
    pub follows: Option<TurnId>,
    /// Its trace.
    pub identity: Option<Identity>,
    /// When it arrived, in nanoseconds since the epoch, as all instants here.
    pub began: u64,
    /// When all that a client may send back had been said.
    pub answered: u64,
    /// When it was over.
    pub ended: u64,
    /// How many texts of the user its request has.
    pub users: u32,
    /// A hash of them.
    pub users_hash: u64,
    /// How many items its request has.
    pub items: u32,
    /// A hash of them, raw.
    pub items_hash: u64,
    /// How it ended, and with which status, if it failed or was left before its end.
    pub failed: Option<(End, Option<u16>)>,
    /// How often the same request had been tried before it, without success.
    pub tries: u32,
    /// Whether it has an answer that was not seen whole.
    pub lost_answer: bool,
    /// Whether an exchange that succeeded went on from it.
    pub went_on: bool,
}

/// A call whose result no request has brought yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingCall {
    /// Its id.
    pub id: Option<Digest>,
    /// Its name and arguments.
    pub call: u64,
    /// When the last of its arguments came.
    pub began: u64,
    /// The tool's name, as far as it is kept.
    pub name: Box<str>,
    /// The id as the answer had it, likewise.
    pub wire_id: Option<Box<str>>,
    /// What kind of tool.
    pub kind: ToolKind,
    /// Which of its turn's calls it is.
    pub number: u8,
}

/// A prompt, to be compared with the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The members that are no items, by name.
    pub parameters: Box<[(&'static str, Digest)]>,
    /// The definitions of the tools, and how many bytes they are.
    pub tools: Option<(Digest, u32)>,
    /// How many items at the front are system prompts.
    pub system: u32,
    /// Of how many items in a row each mark is.
    pub stride: u32,
    /// Hashes of the items up to and with each mark, and their bytes.
    pub marks: Box<[(u32, u32)]>,
    /// How many items there are.
    pub items: u32,
    /// Bytes of the tools and the items.
    pub bytes: u64,
}

/// What is kept of a conversation beside its turns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Thread {
    /// How many branches it has beside the first.
    pub branches: u32,
    /// What was said and called in it: hashes, and how often; those that were seen last.
    pub said: Vec<(u32, u32)>,
    /// Exchanges in a row that said nothing new.
    pub without_progress: u32,
    /// How long the history was when that was said last.
    pub grown_bytes: u64,
    /// Tokens reported so far.
    pub tokens: Option<u64>,
    /// When the exchange was over by which this is known.
    pub at: u64,
}

/// What is added with a turn.
#[derive(Debug, Clone, Default)]
pub struct Added {
    /// What it is found by.
    pub keys: Vec<Key>,
    /// Its calls that wait for a result.
    pub calls: Vec<PendingCall>,
    /// Ids of the results that it brought of calls of an answer that is not known yet.
    pub early: Vec<Digest>,
    /// Its prompt, to be held against the next.
    pub prompt: Option<Prompt>,
}

/// Where it is kept.
pub trait Store {
    /// What a key leads to.
    fn find(&self, key: Key) -> Option<Slot>;

    /// A turn.
    fn turn(&self, id: TurnId) -> Option<Turn>;

    /// Adds a turn, under keys of which those that a turn of another conversation has are contested from now on. Lets go
    /// what is too old at `turn.ended`, or too much.
    fn add(&mut self, turn: Turn, added: Added) -> TurnId;

    /// Notes that an exchange went on from a turn.
    fn follow(&mut self, id: TurnId);

    /// The calls of a turn that wait for a result.
    fn pending(&self, id: TurnId) -> Vec<PendingCall>;

    /// Takes one of them, if it is still there: only one caller gets it.
    fn claim(&mut self, id: TurnId, call: &PendingCall) -> bool;

    /// Ids of the results that a turn brought early.
    fn early(&self, id: TurnId) -> Vec<Digest>;

    /// Takes a turn's prompt.
    fn take_prompt(&mut self, id: TurnId) -> Option<Prompt>;

    /// A conversation, which is empty as long as nothing is known of it.
    fn thread(&self, id: u128) -> Thread;

    /// Keeps a conversation, if it has turns.
    fn set_thread(&mut self, id: u128, thread: Thread);
}
