//! The proof at run time: one hash over the bytes read from the upstream, one over those the client's connection took.
//!
//! CRC-32 finds every burst of up to 32 wrong bits and all but one in four billion of anything else, at several bytes a
//! cycle. Bytes that were taken out on purpose go into the second hash where they stood, so the two still have to agree.

use crc32fast::Hasher;

/// Hashes both sides of one response body.
#[derive(Debug, Default)]
pub struct Proof {
    read: Hasher,
    taken: Hasher,
    read_bytes: u64,
    taken_bytes: u64,
    removed: bool,
}

/// What the two hashes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The same bytes.
    Equal,
    /// The same bytes as far as the client took them.
    Prefix,
    /// The same bytes but for what the edit took out.
    Removed,
    /// Other bytes.
    Different,
}

impl Proof {
    /// Bytes were read from the upstream.
    pub fn read(&mut self, bytes: &[u8]) {
        self.read.update(bytes);
        self.read_bytes += bytes.len() as u64;
    }

    /// Bytes were handed to the client's connection.
    pub fn taken(&mut self, bytes: &[u8]) {
        self.taken.update(bytes);
        self.taken_bytes += bytes.len() as u64;
    }

    /// Bytes were taken out, here.
    pub fn removed(&mut self, bytes: &[u8]) {
        self.removed = true;
        self.taken(bytes);
    }

    /// Bytes read from the upstream.
    #[must_use]
    pub const fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// Compares. `left` are bytes read and not yet handed over, in their order, when the stream ended early.
    #[must_use]
    pub fn verdict<'a>(mut self, left: impl Iterator<Item = &'a [u8]>) -> Verdict {
        let handed_over = self.taken_bytes;
        for bytes in left {
            self.taken(bytes);
        }
        let same =
            self.read_bytes == self.taken_bytes && self.read.finalize() == self.taken.finalize();
        match (same, handed_over == self.read_bytes, self.removed) {
            (false, ..) => Verdict::Different,
            (true, false, _) => Verdict::Prefix,
            (true, true, true) => Verdict::Removed,
            (true, true, false) => Verdict::Equal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(read: &[&[u8]], taken: &[&[u8]], left: &[&[u8]]) -> Verdict {
        let mut proof = Proof::default();
        read.iter().for_each(|bytes| proof.read(bytes));
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
    fn an_event_taken_out_is_removed_and_not_different() {
        let mut proof = Proof::default();
        proof.read(b"before usage after");
        proof.taken(b"before ");
        proof.removed(b"usage ");
        proof.taken(b"after");
        assert_eq!(proof.verdict(std::iter::empty()), Verdict::Removed);
    }
}
