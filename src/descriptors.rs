//! File descriptors: how many the process may have, and whether few of them are left.

use std::fs::{self, File};
use std::sync::LazyLock;

/// Most descriptors that the process may have open, by the soft limit as it was at first sight. `None`: the system does
/// not say.
static LIMIT: LazyLock<Option<usize>> =
    LazyLock::new(|| of_limits(&fs::read_to_string("/proc/self/limits").ok()?));

/// How many are kept free of connections that wait, where a quarter of all is less or more.
const FREE: [usize; 2] = [16, 1024];
/// How many are kept free of clients, where a sixteenth of all is less or more.
const RESERVE: [usize; 2] = [8, 256];

/// How many are left, as a new descriptor shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Enough.
    Enough,
    /// Less than a quarter: whoever waits for nothing in particular should go.
    Few,
    /// Less than a sixteenth: they are for calls that have begun, and to answer those for which there is no room.
    Reserve,
    /// Less than half of that: they are for calls that have begun alone.
    Last,
}

/// Descriptors of nothing, to be given up for what must go on where no other is left.
#[derive(Debug, Default)]
pub(crate) struct Spare(Vec<File>);

impl Spare {
    /// Holds so many again, as far as there are any.
    pub(crate) fn fill(&mut self, count: usize) {
        while self.0.len() < count {
            let Ok(nothing) = File::open("/dev/null") else {
                return;
            };
            self.0.push(nothing);
        }
    }

    /// Makes one free; false where there is none.
    pub(crate) fn give_up(&mut self) -> bool {
        self.0.pop().is_some()
    }
}

/// Says how many are left after one of this number was opened: the system gives out the lowest that is free, so that all
/// below it are in use.
pub(crate) fn left_after(descriptor: i32) -> Left {
    let descriptor = usize::try_from(descriptor).unwrap_or_default();
    LIMIT.map_or(Left::Enough, |limit| left_of(limit, descriptor))
}

/// A sixteenth of all descriptors, within these bounds.
pub(crate) fn sixteenth(least: usize, most: usize) -> usize {
    LIMIT.map_or(most, |limit| (limit / 16).clamp(least, most))
}

fn left_of(limit: usize, descriptor: usize) -> Left {
    let free = limit.saturating_sub(descriptor + 1);
    let reserve = (limit / 16).clamp(RESERVE[0], RESERVE[1]);
    if free < reserve / 2 {
        Left::Last
    } else if free < reserve {
        Left::Reserve
    } else if free < (limit / 4).clamp(FREE[0], FREE[1]) {
        Left::Few
    } else {
        Left::Enough
    }
}

/// The soft limit in `/proc/self/limits`.
fn of_limits(limits: &str) -> Option<usize> {
    let mut lines = limits.lines();
    let files = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    files.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
            Max processes             unlimited            unlimited            processes \n\
            Max open files            256                  524288               files     \n";
        assert_eq!(of_limits(limits), Some(256));
        assert_eq!(
            of_limits("Max open files  unlimited  unlimited  files"),
            None
        );
        assert_eq!(of_limits(""), None);
    }

    #[test]
    fn the_highest_descriptors_are_kept() {
        let of_256 = |descriptor| left_of(256, descriptor);
        assert_eq!(of_256(191), Left::Enough);
        assert_eq!(of_256(192), Left::Few);
        assert_eq!(of_256(239), Left::Few);
        assert_eq!(of_256(240), Left::Reserve);
        assert_eq!(of_256(247), Left::Reserve);
        assert_eq!(of_256(248), Left::Last);
        assert_eq!(of_256(255), Left::Last);
        let of_a_million = |descriptor| left_of(1_000_000, descriptor);
        assert_eq!(of_a_million(900_000), Left::Enough);
        assert_eq!(of_a_million(999_000), Left::Few);
        assert_eq!(of_a_million(999_800), Left::Reserve);
        assert_eq!(of_a_million(999_990), Left::Last);
    }
}
