//! The exchanges that ended lately, as many as fit into two bounds.

use std::collections::VecDeque;

use crate::exchange::Integrity;
use crate::view::Entry;

/// Hours of which counts are kept: a day, and the one that has begun.
const HOURS: usize = 25;
const HOUR_MS: u64 = 3_600_000;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryConfig {
    /// Most exchanges. Default 10,000.
    pub exchanges: usize,
    /// Most memory for them, in bytes. Default 64 MiB.
    pub bytes: usize,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self {
            exchanges: 10_000,
            bytes: 64 << 20,
        }
    }
}

/// How many exchanges ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
}

#[derive(Debug)]
pub(super) struct Ring {
    bounds: HistoryConfig,
    /// In order of their ids, each with its weight.
    entries: VecDeque<(Entry, usize)>,
    bytes: usize,
    last_id: u64,
    /// When the newest of those that were let go ended; `None` where all are there.
    complete_since_ms: Option<u64>,
    /// By hours since 1970, in order.
    hours: VecDeque<(u64, Counts)>,
    /// By [`Integrity::ALL`].
    integrity: [u64; Integrity::ALL.len()],
}

impl Ring {
    pub(super) const fn new(bounds: HistoryConfig) -> Self {
        Self {
            bounds,
            entries: VecDeque::new(),
            bytes: 0,
            last_id: 0,
            complete_since_ms: None,
            hours: VecDeque::new(),
            integrity: [0; Integrity::ALL.len()],
        }
    }

    pub(super) const fn last_id(&self) -> u64 {
        self.last_id
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// From when on every exchange that ended is there, in ms since 1970; `None`: from the start on.
    pub(super) const fn complete_since_ms(&self) -> Option<u64> {
        self.complete_since_ms
    }

    pub(super) const fn integrity(&self) -> [u64; Integrity::ALL.len()] {
        self.integrity
    }

    /// Adds the next one. What no longer fits is to be [taken](Self::evicted).
    pub(super) fn push(&mut self, entry: Entry, weight: usize) {
        self.last_id = entry.id;
        let hour = entry.ended_at_ms() / HOUR_MS;
        if let Some(exchange) = entry.exchange() {
            self.count(hour, exchange.failure.is_some());
            if let Some(integrity) = exchange.integrity {
                let at = Integrity::ALL.iter().position(|it| *it == integrity);
                self.integrity[at.unwrap_or_default()] += 1;
            }
        } else {
            self.count(hour, entry.row().error.is_some());
        }
        self.bytes += weight;
        self.entries.push_back((entry, weight));
    }

    /// Counts one that ended earlier and is not there.
    pub(super) fn count_only(&mut self, ended_at_ms: u64, failed: bool) {
        self.count(ended_at_ms / HOUR_MS, failed);
        self.complete_since_ms = self.complete_since_ms.max(Some(ended_at_ms));
    }

    /// Ids go on after this one.
    pub(super) fn continue_after(&mut self, id: u64) {
        self.last_id = self.last_id.max(id);
    }

    /// The oldest, where there are too many; to be dropped without the lock.
    pub(super) fn evicted(&mut self) -> Option<Entry> {
        let fits = self.entries.len() <= self.bounds.exchanges && self.bytes <= self.bounds.bytes;
        if fits {
            return None;
        }
        let (entry, weight) = self.entries.pop_front()?;
        self.bytes -= weight;
        self.complete_since_ms = self.complete_since_ms.max(Some(entry.ended_at_ms()));
        Some(entry)
    }

    fn count(&mut self, hour: u64, failed: bool) {
        // Exchanges end in order, but for the clock's own steps.
        let hour = self.hours.back().map_or(hour, |(last, _)| hour.max(*last));
        if self.hours.back().is_none_or(|(last, _)| *last < hour) {
            self.hours.push_back((hour, Counts::default()));
            if self.hours.len() > HOURS {
                self.hours.pop_front();
            }
        }
        if let Some((_, counts)) = self.hours.back_mut() {
            counts.requests += 1;
            counts.errors += u64::from(failed);
        }
    }

    /// What ended in the hours from an instant on, whole ones.
    pub(super) fn counts_since(&self, at_ms: u64) -> Counts {
        let hours = self
            .hours
            .iter()
            .filter(|(hour, _)| *hour >= at_ms / HOUR_MS);
        hours.fold(Counts::default(), |sum, (_, counts)| Counts {
            requests: sum.requests + counts.requests,
            errors: sum.errors + counts.errors,
        })
    }

    /// At most so many from an id on, that one not included.
    pub(super) fn after(&self, id: u64, most: usize) -> Vec<Entry> {
        let from = self.entries.partition_point(|(entry, _)| entry.id <= id);
        let entries = self.entries.range(from..).take(most);
        entries.map(|(entry, _)| entry.clone()).collect()
    }

    /// At most so many before an id, the newest first.
    pub(super) fn before(&self, id: u64, most: usize) -> Vec<Entry> {
        let to = self.entries.partition_point(|(entry, _)| entry.id < id);
        let entries = self.entries.range(..to).rev().take(most);
        entries.map(|(entry, _)| entry.clone()).collect()
    }

    pub(super) fn get(&self, id: u64) -> Option<Entry> {
        let at = self
            .entries
            .binary_search_by_key(&id, |(entry, _)| entry.id);
        Some(self.entries[at.ok()?].0.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::exchange::Exchange;

    fn entry(id: u64, ended_ms: u64) -> Entry {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.times.end = Duration::from_millis(ended_ms);
        Entry::new(id, Arc::new(exchange))
    }

    fn ring(exchanges: usize, bytes: usize) -> Ring {
        let mut ring = Ring::new(HistoryConfig { exchanges, bytes });
        for id in 1..=5 {
            ring.push(entry(id, id * 1_000), 10);
            while ring.evicted().is_some() {}
        }
        ring
    }

    fn ids(entries: Vec<Entry>) -> Vec<u64> {
        entries.iter().map(|entry| entry.id).collect()
    }

    #[test]
    fn the_newest_are_kept_within_both_bounds() {
        for (exchanges, bytes, kept) in [
            (3, 1_000, 3),
            (100, 30, 3),
            (100, 39, 3),
            (100, 9, 0),
            (0, 100, 0),
        ] {
            let ring = ring(exchanges, bytes);
            let expected: Vec<u64> = (6 - kept..=5).collect();
            assert_eq!(ids(ring.after(0, 100)), expected, "{exchanges} {bytes}");
            assert_eq!((ring.bytes(), ring.last_id()), (kept as usize * 10, 5));
        }
        assert_eq!(ring(3, 1_000).complete_since_ms(), Some(2_000));
        assert_eq!(ring(5, 1_000).complete_since_ms(), None);
    }

    #[test]
    fn pages_go_both_ways_from_an_id() {
        let ring = ring(4, 1_000);
        assert_eq!(ids(ring.before(u64::MAX, 2)), [5, 4]);
        assert_eq!(ids(ring.before(4, 2)), [3, 2]);
        assert_eq!(ids(ring.before(2, 2)), [0; 0]);
        assert_eq!(ids(ring.after(3, 1)), [4]);
        assert_eq!(ids(ring.after(9, 1)), [0; 0]);
        assert!(ring.get(2).is_some() && ring.get(1).is_none() && ring.get(6).is_none());
    }

    #[test]
    fn counts_go_by_the_hour_and_outlive_the_entries() {
        let mut ring = Ring::new(HistoryConfig {
            exchanges: 1,
            bytes: 1_000,
        });
        for hour in 0..30 {
            ring.push(entry(hour + 1, hour * HOUR_MS), 1);
            while ring.evicted().is_some() {}
        }
        assert_eq!(ring.counts_since(28 * HOUR_MS).requests, 2);
        assert_eq!(ring.counts_since(0).requests, HOURS as u64);
    }
}
