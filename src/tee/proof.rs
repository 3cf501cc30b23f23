//! The proof at run time: what the client's connection took is what was read from the upstream, byte by byte.
//!
//! What was read is kept, not copied, until it is handed over, and then compared. Bytes that were taken out on purpose are
//! compared where they stood, so that nothing else can be missing. What is handed over in the very memory that it was
//! read into, as most is, cannot differ and need not be looked at: two hashes took 320 instructions of a chunk.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes};

use crate::tap::Verdict;

/// Compares both sides of one response body.
#[derive(Debug, Default)]
pub struct Proof {
    /// Read and not yet handed over. Empty only when `later` is.
    next: Bytes,
    /// What was read after it, where an edit holds more than a frame.
    later: VecDeque<Bytes>,
    read_bytes: u64,
    taken_bytes: u64,
    removed: bool,
    added: bool,
    different: bool,
}

impl Proof {
    /// Bytes were read from the upstream.
    pub fn read(&mut self, bytes: &Bytes) {
        self.read_bytes += bytes.len() as u64;
        if self.different || bytes.is_empty() {
            // Nothing is kept that will not be compared.
        } else if self.next.is_empty() {
            self.next = bytes.clone();
        } else {
            self.later.push_back(bytes.clone());
        }
    }

    /// Bytes were handed to the client's connection.
    pub fn taken(&mut self, mut bytes: &[u8]) {
        self.taken_bytes += bytes.len() as u64;
        while !bytes.is_empty() && !self.different {
            let (now, after) = bytes.split_at(bytes.len().min(self.next.len()));
            if now.is_empty() || !is_same(now, &self.next[..now.len()]) {
                self.different = true;
                (self.next, self.later) = Default::default();
                return;
            }
            self.next.advance(now.len());
            if self.next.is_empty() {
                self.next = self.later.pop_front().unwrap_or_default();
            }
            bytes = after;
        }
    }

    /// Bytes were taken out, here.
    pub fn removed(&mut self, bytes: &[u8]) {
        self.removed = true;
        self.taken(bytes);
    }

    /// Bytes of ours went to the client, here. They stand for nothing that was read.
    pub const fn added(&mut self) {
        self.added = true;
    }

    /// Bytes read from the upstream.
    #[must_use]
    pub const fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// Compares, at the end. `left` are bytes read and not yet handed over, in their order, when the stream ended early.
    #[must_use]
    pub fn verdict<'a>(&mut self, left: impl Iterator<Item = &'a [u8]>) -> Verdict {
        let handed_over = self.taken_bytes;
        for bytes in left {
            self.taken(bytes);
        }
        let same = !self.different && self.read_bytes == self.taken_bytes;
        match (same, handed_over == self.read_bytes, self.removed) {
            (false, ..) => Verdict::Different,
            (true, false, _) => Verdict::Prefix,
            (true, true, _) if self.added => Verdict::Added,
            (true, true, true) => Verdict::Removed,
            (true, true, false) => Verdict::Equal,
        }
    }
}

fn is_same(one: &[u8], other: &[u8]) -> bool {
    std::ptr::eq(one, other) || one == other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(read: &[&[u8]], taken: &[&[u8]], left: &[&[u8]]) -> Verdict {
        let mut proof = Proof::default();
        let read = read.iter().map(|bytes| Bytes::copy_from_slice(bytes));
        read.for_each(|bytes| proof.read(&bytes));
        taken.iter().for_each(|bytes| proof.taken(bytes));
        proof.verdict(left.iter().copied())
    }

    #[test]
    fn the_same_bytes_in_other_frames_are_equal() {
        assert_eq!(
            verdict(&[b"abc", b"d"], &[b"a", b"bcd"], &[]),
            Verdict::Equal
        );
    }

    #[test]
    fn bytes_still_held_when_the_client_leaves_make_a_prefix() {
        assert_eq!(
            verdict(&[b"abc", b"d"], &[b"abc"], &[b"d"]),
            Verdict::Prefix
        );
    }

    #[test]
    fn a_changed_byte_is_different() {
        assert_eq!(verdict(&[b"abcd"], &[b"abxd"], &[]), Verdict::Different);
    }

    #[test]
    fn a_lost_byte_is_different() {
        assert_eq!(verdict(&[b"abcd"], &[b"abc"], &[]), Verdict::Different);
    }

    #[test]
    fn a_byte_too_many_is_different() {
        assert_eq!(verdict(&[b"ab"], &[b"ab", b"c"], &[]), Verdict::Different);
    }

    #[test]
    fn bytes_in_another_order_are_different() {
        assert_eq!(
            verdict(&[b"ab", b"cd"], &[b"cd", b"ab"], &[]),
            Verdict::Different
        );
    }

    #[test]
    fn nothing_is_kept_once_it_has_been_compared_or_a_difference_was_found() {
        let frame = Bytes::from(vec![b'x'; 100]);
        for taken in [&frame[..], b"other"] {
            let mut proof = Proof::default();
            for _ in 0..3 {
                proof.read(&frame);
                proof.taken(taken);
                assert!(frame.is_unique());
            }
        }
    }

    #[test]
    fn lines_that_are_added_are_told_and_hide_no_difference() {
        let proven = |taken: [&[u8]; 2]| {
            let mut proof = Proof::default();
            proof.read(&Bytes::from_static(b"before after"));
            proof.taken(taken[0]);
            proof.added();
            proof.taken(taken[1]);
            proof.verdict(std::iter::empty())
        };
        assert_eq!(proven([b"before ", b"after"]), Verdict::Added);
        assert_eq!(proven([b"before ", b"afteR"]), Verdict::Different);
        assert_eq!(proven([b"before ", b": ours\n\nafter"]), Verdict::Different);
        assert_eq!(proven([b"before ", b"aft"]), Verdict::Different);
    }

    #[test]
    fn an_event_taken_out_is_removed_and_not_different() {
        let mut proof = Proof::default();
        proof.read(&Bytes::from_static(b"before usage after"));
        proof.taken(b"before ");
        proof.removed(b"usage ");
        proof.taken(b"after");
        assert_eq!(proof.verdict(std::iter::empty()), Verdict::Removed);
    }
}
