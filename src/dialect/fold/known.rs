//! What arguments of calls say that were read before: a client repeats the calls of a conversation byte for byte in each
//! request, and to read what they say takes sixty times a hash of how they are written.
//!
//! Each thread keeps its own, in a table of one size; no text is in it. The hash that it goes by is of 64 bits and begins
//! with a number that nobody outside knows, so that no client can make two texts that are taken for each other.

use std::cell::RefCell;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use super::canonical;
use crate::dialect::part::Words;
use crate::exchange::Digest;
use crate::parse::hash::seeded;

/// Most that is remembered: 16 KiB, and the calls of some fifty conversations.
const SLOTS: usize = 1024;

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::new(Known::new(SLOTS));
}

/// The hash of a call's arguments, by what they say.
pub(super) fn arguments(written: Words<'_>) -> Digest {
    KNOWN.with_borrow_mut(|known| known.arguments(written))
}

struct Known {
    seed: u64,
    /// A hash of how arguments are written, and what they say. The latest of those that share a place has it.
    slots: Box<[(u64, Digest)]>,
}

impl Known {
    fn new(slots: usize) -> Self {
        let mut known = Self {
            seed: RandomState::new().build_hasher().finish(),
            slots: vec![(0, canonical::arguments("")); slots].into(),
        };
        // What stands in each place says nothing, and so it is with what has no letter.
        let nothing = known.key(Words::NONE);
        known.slots.iter_mut().for_each(|slot| slot.0 = nothing);
        known
    }

    fn key(&self, written: Words<'_>) -> u64 {
        // Escapes are such in one form only.
        match written {
            Words::Json(text) => seeded(self.seed, text.raw()),
            Words::Plain(text) => seeded(self.seed ^ u64::MAX, text.as_bytes()),
        }
    }

    fn arguments(&mut self, written: Words<'_>) -> Digest {
        let key = self.key(written);
        let place = key as usize % self.slots.len();
        let (known, says) = &mut self.slots[place];
        if *known != key {
            (*known, *says) = (key, canonical::arguments(&written.decode()));
        }
        *says
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parse::json;

    proptest! {
        #[test]
        fn arguments_say_the_same_whether_they_were_read_before_or_not(
            texts in prop::collection::vec("[{}\":,a1\\\\nu0 ]{0,12}", 1..40),
            slots in 1_usize..5,
        ) {
            let mut known = Known::new(slots);
            for text in texts.iter().chain(&texts) {
                let json = serde_json::json!(text).to_string();
                let value = json::parse(json.as_bytes()).unwrap();
                let expected = canonical::arguments(text);
                prop_assert_eq!(known.arguments(Words::Plain(text)), expected);
                prop_assert_eq!(known.arguments(Words::of_json(value)), expected);
            }
        }
    }

    #[test]
    fn a_text_with_a_backslash_is_another_than_one_with_an_escape() {
        let mut known = Known::new(1);
        let escaped = json::parse(br#""[1,\n2]""#).unwrap();
        let plain = r"[1,\n2]";
        for _ in 0..2 {
            assert_eq!(
                known.arguments(Words::of_json(escaped)),
                canonical::arguments("[1,2]")
            );
            assert_eq!(
                known.arguments(Words::Plain(plain)),
                canonical::arguments(plain)
            );
        }
    }
}
