//! The bound on what the process holds for others: request bodies that are read before they are sent, and bytes that wait
//! to be observed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;

/// What may be held by default, in bytes.
const DEFAULT: usize = 512 << 20;

/// A bound in bytes, and how much of it is taken. Clones share it.
#[derive(Clone)]
pub struct Memory(Arc<Bound>);

struct Bound {
    most: usize,
    held: AtomicUsize,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(DEFAULT)
    }
}

/// Only the bound: what is held is another thing at each look.
impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Memory").field(&self.0.most).finish()
    }
}

impl Memory {
    /// At most so many bytes.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let held = AtomicUsize::new(0);
        Self(Arc::new(Bound { most, held }))
    }

    /// The bound, in bytes.
    #[must_use]
    pub fn most(&self) -> usize {
        self.0.most
    }

    /// A share that is empty as yet.
    #[must_use]
    pub fn share(&self) -> Share {
        Share {
            memory: self.clone(),
            bytes: 0,
        }
    }

    /// Takes so many bytes, unless that would be too many; whoever has taken them gives them [back](Self::give_back).
    #[must_use]
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let held = self.0.held.fetch_add(bytes, Relaxed) + bytes;
        if held > self.0.most {
            self.give_back(bytes);
        }
        held <= self.0.most
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.0.held.fetch_sub(bytes, Relaxed);
    }
}

/// A part of the bound that is taken; given back when dropped.
#[derive(Debug)]
pub struct Share {
    memory: Memory,
    bytes: usize,
}

impl Share {
    /// Takes so many bytes more; false where that would be too many.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let taken = self.memory.take(bytes);
        if taken {
            self.bytes += bytes;
        }
        taken
    }

    /// Takes more or gives back, so that it has so many bytes; false, and nothing is changed, where that would be too many.
    #[must_use]
    pub fn resize(&mut self, bytes: usize) -> bool {
        if bytes > self.bytes {
            return self.grow(bytes - self.bytes);
        }
        self.memory.give_back(self.bytes - bytes);
        self.bytes = bytes;
        true
    }

    /// How much it has taken.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes that it was taken for, which give it back when the last of their clones is dropped.
    #[must_use]
    pub fn of(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Owner {
            bytes,
            _share: self,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.memory.give_back(self.bytes);
        }
    }
}

struct Owner {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_what_is_dropped_is_there_again() {
        let memory = Memory::new(10);
        let (mut one, mut other) = (memory.share(), memory.share());
        assert!(one.grow(4) && other.grow(6) && !one.grow(1));
        drop(other);
        assert!(one.grow(6) && !memory.take(1));
        drop(one);
        assert!(memory.take(10));
    }

    #[test]
    fn a_share_becomes_smaller_and_stays_as_it_is_where_it_may_not_grow() {
        let memory = Memory::new(10);
        let mut share = memory.share();
        assert!(share.resize(8) && !share.resize(11) && share.bytes() == 8);
        assert!(share.resize(3) && memory.take(7) && !memory.take(1));
        drop(share);
        assert!(memory.take(3));
    }

    #[test]
    fn bytes_keep_their_share_until_their_last_clone_is_gone() {
        let memory = Memory::new(3);
        let mut share = memory.share();
        assert!(share.grow(3));
        let bytes = share.of(Bytes::from_static(b"abc"));
        let part = bytes.slice(1..2);
        drop(bytes);
        assert!(!memory.take(1));
        assert_eq!(&part[..], b"b");
        drop(part);
        assert!(memory.take(3));
    }
}
