//! What a shared store holds, as bytes: little endian, lengths before lists. What cannot be read is not there; a change of the
//! form is a new version in the names of `shared`.

use super::store::{PendingCall, Prompt, Slot, Thread, Turn, TurnId};
use crate::exchange::{CACHE_PARAMETERS, Digest, End, Identity, TOOL_CHOICE, ToolKind};

/// Most entries of a list, whoever wrote it.
const LIST_MAX: u16 = 256;

/// A turn with all that is its own and does not change.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) turn: Turn,
    pub(super) calls: Vec<PendingCall>,
    pub(super) early: Vec<Digest>,
    pub(super) prompt: Option<Prompt>,
}

/// What a key leads to in the shared store, and in which conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) slot: Slot,
    pub(super) conversation: u128,
}

const KINDS: [ToolKind; 4] = [
    ToolKind::Function,
    ToolKind::Custom,
    ToolKind::Extension,
    ToolKind::Datastore,
];

impl Record {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Out::default();
        out.turn(&self.turn);
        out.list(&self.calls, |out, call| {
            out.option(call.id, |out, id| out.u64(id.0));
            out.u64(call.call);
            out.u64(call.began);
            out.text(&call.name);
            out.option(call.wire_id.as_deref(), Out::text);
            out.u8(place(&KINDS, call.kind));
            out.u8(call.number);
        });
        out.list(&self.early, |out, id| out.u64(id.0));
        out.option(self.prompt.as_ref(), Out::prompt);
        out.0
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut from = From(bytes);
        Some(Self {
            turn: from.turn()?,
            calls: from.list(|from| {
                Some(PendingCall {
                    id: from.option(|from| from.u64().map(Digest))?,
                    call: from.u64()?,
                    began: from.u64()?,
                    name: from.text()?.into(),
                    wire_id: from.option(|from| Some(from.text()?.into()))?,
                    kind: *KINDS.get(usize::from(from.u8()?))?,
                    number: from.u8()?,
                })
            })?,
            early: from.list(|from| from.u64().map(Digest))?,
            prompt: from.option(From::prompt)?,
        })
    }
}

/// What a key leads to as long as it is nobody else's: the bytes after the first, which says whether it is.
pub(super) fn write_owner(turn: TurnId, conversation: u128) -> Vec<u8> {
    let mut out = Out::default();
    out.u128(conversation);
    out.u64(turn.0);
    out.0
}

pub(super) fn read_owned(bytes: &[u8]) -> Option<Owned> {
    let mut from = From(bytes);
    let is_contested = match from.u8()? {
        b'0' => false,
        b'1' => true,
        _ => return None,
    };
    let conversation = from.u128()?;
    let turn = TurnId(from.u64()?);
    let slot = Slot { turn, is_contested };
    Some(Owned { slot, conversation })
}

pub(super) fn write_thread(thread: &Thread) -> Vec<u8> {
    let mut out = Out::default();
    out.u64(thread.at);
    out.u32(thread.branches);
    out.u32(thread.without_progress);
    out.u64(thread.grown_bytes);
    out.option(thread.tokens, Out::u64);
    out.list(&thread.said, |out, (hash, times)| {
        out.u32(*hash);
        out.u32(*times);
    });
    out.0
}

pub(super) fn read_thread(bytes: &[u8]) -> Option<Thread> {
    let mut from = From(bytes);
    Some(Thread {
        at: from.u64()?,
        branches: from.u32()?,
        without_progress: from.u32()?,
        grown_bytes: from.u64()?,
        tokens: from.option(From::u64)?,
        said: from.list(|from| Some((from.u32()?, from.u32()?)))?,
    })
}

fn place<T: PartialEq>(table: &[T], one: T) -> u8 {
    let at = table.iter().position(|other| *other == one);
    at.map_or(u8::MAX, |at| at as u8)
}

#[derive(Default)]
struct Out(Vec<u8>);

impl Out {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    fn u128(&mut self, value: u128) {
        self.0.extend(value.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.list(text.as_bytes(), |out, byte| out.u8(*byte));
    }

    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.u8(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn list<T>(&mut self, all: &[T], write: impl Fn(&mut Self, &T)) {
        let count = all.len().min(usize::from(LIST_MAX));
        self.0.extend((count as u16).to_le_bytes());
        all[..count].iter().for_each(|one| write(self, one));
    }

    fn turn(&mut self, turn: &Turn) {
        self.u128(turn.conversation);
        self.u32(turn.turn);
        self.u32(turn.branch);
        self.u32(turn.depth);
        self.option(turn.follows, |out, id| out.u64(id.0));
        self.option(turn.identity, |out, identity| {
            out.u128(identity.trace_id);
            out.option(identity.parent_span_id, Self::u64);
            out.u8(identity.parent_is_ours.into());
            out.u64(identity.top_span_id);
            out.u64(identity.client_span_id);
            out.u8(identity.flags);
        });
        self.u64(turn.began);
        self.u64(turn.answered);
        self.u64(turn.ended);
        self.u32(turn.users);
        self.u64(turn.users_hash);
        self.u32(turn.items);
        self.u64(turn.items_hash);
        self.option(turn.failed, |out, (end, status)| {
            out.u8(place(&End::ALL, end));
            out.option(status, |out, status| out.u32(status.into()));
        });
        self.u32(turn.tries);
        self.u8(turn.lost_answer.into());
        self.u8(turn.went_on.into());
    }

    fn prompt(&mut self, prompt: &Prompt) {
        self.list(&prompt.parameters, |out, (name, digest)| {
            out.text(name);
            out.u64(digest.0);
        });
        self.option(prompt.tools, |out, (digest, bytes)| {
            out.u64(digest.0);
            out.u32(bytes);
        });
        self.u32(prompt.system);
        self.u32(prompt.stride);
        self.list(&prompt.marks, |out, (hash, bytes)| {
            out.u32(*hash);
            out.u32(*bytes);
        });
        self.u32(prompt.items);
        self.u64(prompt.bytes);
    }
}

struct From<'a>(&'a [u8]);

impl From<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_le_bytes)
    }

    fn bool(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn u128(&mut self) -> Option<u128> {
        self.take().map(u128::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.list(Self::u8)?).ok()
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        Some(match self.bool()? {
            true => Some(read(self)?),
            false => None,
        })
    }

    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = u16::from_le_bytes(self.take()?);
        let mut all = Vec::new();
        for _ in 0..Some(count).filter(|count| *count <= LIST_MAX)? {
            all.push(read(self)?);
        }
        Some(all)
    }

    fn turn(&mut self) -> Option<Turn> {
        Some(Turn {
            conversation: self.u128()?,
            turn: self.u32()?,
            branch: self.u32()?,
            depth: self.u32()?,
            follows: self.option(|from| from.u64().map(TurnId))?,
            identity: self.option(|from| {
                Some(Identity {
                    trace_id: from.u128()?,
                    parent_span_id: from.option(Self::u64)?,
                    parent_is_ours: from.bool()?,
                    top_span_id: from.u64()?,
                    client_span_id: from.u64()?,
                    flags: from.u8()?,
                    threshold: None,
                })
            })?,
            began: self.u64()?,
            answered: self.u64()?,
            ended: self.u64()?,
            users: self.u32()?,
            users_hash: self.u64()?,
            items: self.u32()?,
            items_hash: self.u64()?,
            failed: self.option(|from| {
                let end = *End::ALL.get(usize::from(from.u8()?))?;
                let status = from.option(|from| u16::try_from(from.u32()?).ok())?;
                Some((end, status))
            })?,
            tries: self.u32()?,
            lost_answer: self.bool()?,
            went_on: self.bool()?,
        })
    }

    fn prompt(&mut self) -> Option<Prompt> {
        Some(Prompt {
            parameters: self
                .list(|from| {
                    let name = from.text()?;
                    let digest = Digest(from.u64()?);
                    let mut known = CACHE_PARAMETERS.into_iter().chain([TOOL_CHOICE]);
                    let known = known.find(|known| *known == name)?;
                    Some((known, digest))
                })?
                .into(),
            tools: self.option(|from| Some((Digest(from.u64()?), from.u32()?)))?,
            system: self.u32()?,
            stride: self.u32()?,
            marks: self.list(|from| Some((from.u32()?, from.u32()?)))?.into(),
            items: self.u32()?,
            bytes: self.u64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> Record {
        let identity = Identity {
            trace_id: 1 << 100,
            parent_span_id: Some(2),
            parent_is_ours: true,
            top_span_id: 3,
            client_span_id: 4,
            flags: 1,
            threshold: None,
        };
        Record {
            turn: Turn {
                conversation: 1 << 90,
                turn: 2,
                branch: 1,
                depth: 3,
                follows: Some(TurnId(9)),
                identity: Some(identity),
                began: 10,
                answered: 11,
                ended: 12,
                users: 1,
                users_hash: 13,
                items: 2,
                items_hash: 14,
                failed: Some((End::HttpError, Some(503))),
                tries: 1,
                lost_answer: true,
                went_on: false,
            },
            calls: vec![PendingCall {
                id: Some(Digest(5)),
                call: 6,
                began: 7,
                name: "read_gauge".into(),
                wire_id: Some("call_ä".into()),
                kind: ToolKind::Custom,
                number: 3,
            }],
            early: vec![Digest(8)],
            prompt: Some(Prompt {
                parameters: [("model", Digest(1)), (TOOL_CHOICE, Digest(2))].into(),
                tools: Some((Digest(3), 40)),
                system: 1,
                stride: 1,
                marks: [(1, 2), (3, 4)].into(),
                items: 2,
                bytes: 44,
            }),
        }
    }

    #[test]
    fn what_was_written_is_read_and_what_was_cut_is_not() {
        let written = record().write();
        assert_eq!(Record::read(&written), Some(record()));
        for end in 0..written.len() {
            assert_eq!(Record::read(&written[..end]), None);
        }
        let thread = Thread {
            branches: 1,
            said: vec![(2, 3)],
            without_progress: 4,
            grown_bytes: 5,
            tokens: Some(6),
            at: 7,
        };
        assert_eq!(read_thread(&write_thread(&thread)), Some(thread));
        let owned = [b"1".to_vec(), write_owner(TurnId(7), 8)].concat();
        let owned = read_owned(&owned).unwrap();
        assert_eq!((owned.slot.turn, owned.conversation), (TurnId(7), 8));
        assert!(owned.slot.is_contested);
    }

    proptest! {
        #[test]
        fn whatever_is_found_is_read_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = (Record::read(&bytes), read_thread(&bytes), read_owned(&bytes));
        }
    }
}
