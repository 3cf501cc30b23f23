//! Which objects are known to be in the store, or on their way: those that were said last, within a bound.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::exchange::ContentHash;

/// Most hashes of a generation. Both together take about 4 MiB.
const GENERATION: usize = 1 << 15;

/// What is known of an object as it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// Nothing: it is to be stored.
    Fresh,
    /// It is on its way: whether it will be stored is not known.
    Waits,
    /// It is stored.
    Stored,
}

/// Hashes, and when each was said to be stored. In two generations: what is asked for moves to the young one, and when that is full
/// it takes the place of the old one, whose hashes are forgotten.
pub(super) struct Known {
    young: HashMap<ContentHash, Instant, RandomState>,
    old: HashMap<ContentHash, Instant, RandomState>,
    most: usize,
    /// Those of them that are on their way: no more than the queue and a batch have room for.
    waiting: HashSet<ContentHash, RandomState>,
    /// From when on one must be stored again all the same; `None`: never.
    renewed_after: Option<Duration>,
}

impl Known {
    pub(super) fn new(renewed_after: Option<Duration>) -> Self {
        Self {
            young: HashMap::default(),
            old: HashMap::default(),
            most: GENERATION,
            waiting: HashSet::default(),
            renewed_after,
        }
    }

    /// Whether an object is to be stored. If so, it is on its way from now on.
    pub(super) fn claim(&mut self, hash: ContentHash, now: Instant) -> Claim {
        let before = self.young.get(&hash).or_else(|| self.old.get(&hash));
        let before = before.copied().filter(|at| {
            let age = now.saturating_duration_since(*at);
            self.renewed_after.is_none_or(|after| age < after)
        });
        if self.young.len() >= self.most && !self.young.contains_key(&hash) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, before.unwrap_or(now));
        if before.is_none() {
            self.waiting.insert(hash);
            return Claim::Fresh;
        }
        match self.waiting.contains(&hash) {
            true => Claim::Waits,
            false => Claim::Stored,
        }
    }

    /// This one is in the store now.
    pub(super) fn stored(&mut self, hash: ContentHash) {
        self.waiting.remove(&hash);
    }

    /// None is known to be stored any more.
    pub(super) fn forget(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    /// These were not stored after all.
    pub(super) fn release(&mut self, hashes: impl Iterator<Item = ContentHash>) {
        for hash in hashes {
            self.young.remove(&hash);
            self.old.remove(&hash);
            self.waiting.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u8) -> ContentHash {
        ContentHash([number; 32])
    }

    #[test]
    fn an_object_is_stored_once_until_it_is_released_or_old() {
        let mut known = Known::new(Some(Duration::from_secs(10)));
        let start = Instant::now();
        let claim = |known: &mut Known, at| known.claim(hash(1), start + Duration::from_secs(at));
        assert_eq!(claim(&mut known, 0), Claim::Fresh);
        known.stored(hash(1));
        assert_eq!(claim(&mut known, 9), Claim::Stored);
        assert_eq!(claim(&mut known, 10), Claim::Fresh);
        assert_eq!(claim(&mut known, 11), Claim::Waits);
        known.release([hash(1)].into_iter());
        assert_eq!(claim(&mut known, 12), Claim::Fresh);
    }

    #[test]
    fn what_was_not_said_for_long_is_forgotten_first() {
        let now = Instant::now();
        let mut known = Known {
            most: 2,
            ..Known::new(None)
        };
        for number in 0..100 {
            let first = known.claim(hash(0), now);
            assert_eq!(first == Claim::Fresh, number == 0);
            assert_eq!(known.claim(hash(number + 1), now), Claim::Fresh);
            assert!(known.young.len() <= 2 && known.old.len() <= 2);
        }
        assert_eq!(known.claim(hash(1), now), Claim::Fresh);
    }
}
