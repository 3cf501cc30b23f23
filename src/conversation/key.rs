//! Keys of the state, and the hashes that they are made of: the same in every process, so that several can share a state.

use crate::exchange::{Answer, Digest};

/// By which something is found again. Hashes of hashes, of which 64 bits are enough for some millions at a time; what is found
/// is held against the guard all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub u64);

impl Key {
    /// The same within one conversation, where it is nobody else's.
    pub(super) const fn within(self, conversation: u128) -> Self {
        let hash = Mix::from(self.0).and((conversation >> 64) as u64);
        Self(hash.and(conversation as u64).get())
    }
}

/// What a key is of. The same hash under two of them makes two keys.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub(super) enum Of {
    /// An answer's calls with their ids, after what was said before it.
    Calls = 1,
    /// Its calls without ids, likewise.
    CallNames,
    /// Its text, likewise.
    Text,
    /// A response's id.
    Response,
    /// The id of one of its items.
    Item,
    /// The id of a call.
    CallId,
    /// A string in a call's arguments.
    Argument,
    /// All items of a request.
    Prefix,
    /// A body.
    Body,
    /// The name of a conversation.
    Name,
    /// An answer that a request brought before its exchange was over.
    Early,
}

/// A hash under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mix(u64);

impl Mix {
    /// A hash of nothing but where it begins.
    pub(super) const fn from(start: u64) -> Self {
        Self(start)
    }

    /// With one number more. The order counts.
    pub(super) const fn and(self, number: u64) -> Self {
        // The finaliser of splitmix64, over a step that no two orders share.
        let mut hash = self.0.rotate_left(23) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((hash ^ (hash >> 31)).wrapping_add(0x2545_f491_4f6c_dd1d))
    }

    /// With a digest more; none is another than any.
    pub(super) const fn and_digest(self, digest: Option<Digest>) -> Self {
        match digest {
            Some(Digest(digest)) => self.and(1).and(digest),
            None => self.and(0),
        }
    }

    /// With a text more.
    pub(super) fn and_text(self, text: &str) -> Self {
        let words = text.as_bytes().chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        });
        words.fold(self.and(text.len() as u64), Self::and)
    }

    pub(super) const fn get(self) -> u64 {
        self.0
    }
}

/// What tells calls of one tool with the same arguments from all others.
pub(super) fn call(call: &crate::exchange::Call) -> u64 {
    let hash = Mix::from(2).and_digest(call.name);
    hash.and_digest(call.arguments).get()
}

/// An answer's calls, in whatever order; `None` where there are none, and with ids where one of them has none.
pub(super) fn calls(answer: &Answer, with_ids: bool) -> Option<u64> {
    if answer.calls.is_empty() || (with_ids && answer.calls.iter().any(|call| call.id.is_none())) {
        return None;
    }
    // A sum is the same in whatever order, and each number in it is a hash.
    let sum = answer.calls.iter().fold(0_u64, |sum, one| {
        let hash = Mix::from(call(one));
        let hash = if with_ids {
            hash.and_digest(one.id)
        } else {
            hash
        };
        sum.wrapping_add(hash.and(3).get())
    });
    Some(Mix::from(4).and(sum).and(answer.calls.len() as u64).get())
}

/// An answer's text; `None` where it has calls, whose text clients leave out.
pub(super) fn text(answer: &Answer) -> Option<Digest> {
    answer.text.filter(|_| answer.calls.is_empty())
}

/// What an answer says, whatever ids its calls have.
pub(super) fn said(answer: &Answer) -> u64 {
    match calls(answer, false) {
        Some(calls) => calls,
        None => Mix::from(5).and_digest(answer.text).get(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Call;

    fn answer(ids: [Option<u64>; 2]) -> Answer {
        let call = |id: Option<u64>, name| Call {
            id: id.map(Digest),
            name: Some(Digest(name)),
            arguments: Some(Digest(7)),
            ..Call::default()
        };
        Answer {
            calls: vec![call(ids[0], 1), call(ids[1], 2)],
            text: Some(Digest(9)),
            ..Answer::default()
        }
    }

    #[test]
    fn the_order_of_calls_does_not_count_and_their_ids_do_where_they_are_asked_for() {
        let one = answer([Some(3), Some(4)]);
        let mut turned = one.clone();
        turned.calls.reverse();
        for with_ids in [true, false] {
            assert_eq!(calls(&one, with_ids), calls(&turned, with_ids));
        }
        let swapped = answer([Some(4), Some(3)]);
        assert_ne!(calls(&one, true), calls(&swapped, true));
        assert_eq!(calls(&one, false), calls(&swapped, false));
        assert_eq!(calls(&answer([Some(3), None]), true), None);
    }

    #[test]
    fn text_beside_calls_says_nothing() {
        let one = answer([Some(3), Some(4)]);
        let silent = Answer {
            text: None,
            ..one.clone()
        };
        assert_eq!(said(&one), said(&silent));
        assert_eq!(text(&one), None);
        let words = Answer {
            calls: Vec::new(),
            ..one
        };
        assert_ne!(said(&words), said(&Answer::default()));
        assert_eq!(text(&words), Some(Digest(9)));
    }

    #[test]
    fn a_hash_knows_the_order_and_the_length() {
        let mix = Mix::from(0);
        assert_ne!(mix.and(1).and(2), mix.and(2).and(1));
        assert_ne!(mix.and(0), mix);
        assert_ne!(mix.and_text("a"), mix.and_text("a\0"));
        assert_ne!(mix.and_digest(None), mix.and_digest(Some(Digest(0))));
    }
}
