//! Which exchanges are open, so that whoever looks can have them shown.
//!
//! Entering and leaving happens on the byte path: a push into a list that mostly one thread uses, without an allocation once
//! the list has grown to what is in flight.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

/// Lists that threads are spread over; more than there are workers on most machines.
const SHARDS: usize = 16;

/// Empty places up to this number stay when a list has shrunk.
const KEPT_PLACES: usize = 64;

static NEXT_THREAD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The list of this thread.
    static SHARD: usize = NEXT_THREAD.fetch_add(1, Ordering::Relaxed) % SHARDS;
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    shard: usize,
    index: usize,
}

/// Everything that has entered and not left.
#[derive(Debug)]
pub(super) struct Registry<T> {
    shards: [Mutex<Shard<T>>; SHARDS],
}

#[derive(Debug)]
struct Shard<T> {
    places: Vec<Option<Weak<T>>>,
    free: Vec<usize>,
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| {
                Mutex::new(Shard {
                    places: Vec::new(),
                    free: Vec::new(),
                })
            }),
        }
    }
}

impl<T> Registry<T> {
    /// A poisoned lock still holds a whole list: nothing in a critical section can panic half-way through a change.
    fn lock(&self, shard: usize) -> MutexGuard<'_, Shard<T>> {
        self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters what this leads to. Its place is good until [`leave`](Self::leave).
    pub(super) fn enter(&self, entry: Weak<T>) -> Place {
        let shard = SHARD.with(|shard| *shard);
        let mut list = self.lock(shard);
        let index = match list.free.pop() {
            Some(index) => {
                list.places[index] = Some(entry);
                index
            }
            None => {
                list.places.push(Some(entry));
                list.places.len() - 1
            }
        };
        Place { shard, index }
    }

    /// Takes the entry at a place out.
    pub(super) fn leave(&self, place: Place) {
        let mut list = self.lock(place.shard);
        list.places[place.index] = None;
        list.free.push(place.index);
        if list.free.len() == list.places.len() && list.places.len() > KEPT_PLACES {
            list.places = Vec::new();
            list.free = Vec::new();
        }
    }

    /// Everything that is there now.
    pub(super) fn entries(&self) -> Vec<std::sync::Arc<T>> {
        let mut entries = Vec::new();
        for shard in 0..SHARDS {
            let list = self.lock(shard);
            entries.extend(list.places.iter().flatten().filter_map(Weak::upgrade));
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_has_entered_is_there_until_it_leaves() {
        let registry = Registry::default();
        let values: Vec<Arc<u32>> = (0..200).map(Arc::new).collect();
        let enter = |value: &Arc<u32>| registry.enter(Arc::downgrade(value));
        let places: Vec<Place> = values.iter().map(enter).collect();
        let there = || -> Vec<u32> {
            let mut there: Vec<u32> = registry.entries().iter().map(|entry| **entry).collect();
            there.sort_unstable();
            there
        };
        assert_eq!(there(), (0..200).collect::<Vec<_>>());
        for place in &places[1..] {
            registry.leave(*place);
        }
        assert_eq!(there(), [0]);
        let again = registry.enter(Arc::downgrade(&values[7]));
        assert_eq!(there(), [0, 7]);
        registry.leave(again);
        registry.leave(places[0]);
        assert_eq!(there(), [0; 0]);
    }

    #[test]
    fn what_is_gone_is_not_there() {
        let registry = Registry::default();
        let value = Arc::new(1);
        registry.enter(Arc::downgrade(&value));
        drop(value);
        assert_eq!(registry.entries().len(), 0);
    }
}
