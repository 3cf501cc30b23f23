//! Which objects are known to be in the store, or on their way: those that were said last, within a bound.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::exchange::ContentHash;

/// Most hashes of a generation. Both together take about 4 MiB.
const GENERATION: usize = 1 << 15;

/// Hashes, and when each was said to be stored. In two generations: what is asked for moves to the young one, and when that is full
/// it takes the place of the old one, whose hashes are forgotten.
pub(super) struct Known {
    young: HashMap<ContentHash, Instant, RandomState>,
    old: HashMap<ContentHash, Instant, RandomState>,
    most: usize,
    /// From when on one must be stored again all the same; `None`: never.
    renewed_after: Option<Duration>,
}

impl Known {
    pub(super) fn new(renewed_after: Option<Duration>) -> Self {
        Self {
            young: HashMap::default(),
            old: HashMap::default(),
            most: GENERATION,
            renewed_after,
        }
    }

    /// Whether an object is to be stored. If so, it counts as stored from now on.
    pub(super) fn claim(&mut self, hash: ContentHash, now: Instant) -> bool {
        let before = self.young.get(&hash).or_else(|| self.old.get(&hash));
        let before = before.copied().filter(|at| {
            let age = now.saturating_duration_since(*at);
            self.renewed_after.is_none_or(|after| age < after)
        });
        if self.young.len() >= self.most && !self.young.contains_key(&hash) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, before.unwrap_or(now));
        before.is_none()
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
        assert!(known.claim(hash(1), start));
        assert!(!known.claim(hash(1), start + Duration::from_secs(9)));
        assert!(known.claim(hash(1), start + Duration::from_secs(10)));
        assert!(!known.claim(hash(1), start + Duration::from_secs(11)));
        known.release([hash(1)].into_iter());
        assert!(known.claim(hash(1), start + Duration::from_secs(12)));
    }

    #[test]
    fn what_was_not_said_for_long_is_forgotten_first() {
        let now = Instant::now();
        let mut known = Known {
            most: 2,
            ..Known::new(None)
        };
        for number in 0..100 {
            assert!(!known.claim(hash(0), now) || number == 0);
            assert!(known.claim(hash(number + 1), now));
            assert!(known.young.len() <= 2 && known.old.len() <= 2);
        }
        assert!(known.claim(hash(1), now));
    }
}
