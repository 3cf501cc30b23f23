//! The counts of one report, and what its input comes to: whether cached tokens are in it is told by the numbers or, where they
//! do not tell, by the name that it was reported by.

use super::slots::{add, update};

/// Counts of one report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::dialect) struct Told {
    pub(in crate::dialect) input: Option<u64>,
    pub(in crate::dialect) output: Option<u64>,
    pub(in crate::dialect) cache_read: Option<u64>,
    pub(in crate::dialect) cache_write: Option<u64>,
    /// What the API's own name for the input says of cached tokens.
    pub(in crate::dialect) cached: Cached,
}

/// Where cached tokens are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::dialect) enum Cached {
    /// They are part of the input, as OpenAI counts.
    #[default]
    Within,
    /// The input is what the cache did neither serve nor take up, as Anthropic counts.
    Beside,
}

impl Told {
    /// Takes over what a later report says; a zero does not overwrite a number.
    pub(super) fn update(&mut self, later: Self) {
        update(&mut self.output, later.output);
        update(&mut self.cache_read, later.cache_read);
        update(&mut self.cache_write, later.cache_write);
        if update(&mut self.input, later.input) {
            self.cached = later.cached;
        }
    }

    /// Tokens that the cache served or took up.
    pub(super) fn in_cache(&self) -> u64 {
        let counts = [self.cache_read, self.cache_write].into_iter().flatten();
        counts.fold(0, u64::saturating_add)
    }

    /// All of the input, cached tokens in it. Whether they are in it already is told by the numbers, where they can tell: a part
    /// is never more than the whole; a total is the sum of what it has in it; input that was reported before anything of the
    /// cache was is all of it. Else the name it was reported by decides.
    pub(super) fn whole_input(&self, total: Option<u64>, before_cache: Option<u64>) -> Option<u64> {
        let input = self.input?;
        let in_cache = self.in_cache();
        let both = input.saturating_add(in_cache);
        let is_total = |sum: u64| {
            let sum = self.output.and_then(|output| sum.checked_add(output));
            sum.is_some() && sum == total
        };
        let within = if in_cache > input {
            false
        } else if is_total(input) || is_total(both) {
            is_total(input)
        } else {
            self.cached == Cached::Within || before_cache == Some(input)
        };
        Some(if within { input } else { both })
    }

    /// Adds the counts of another step, whose input is whole.
    pub(in crate::dialect) fn add_step(&mut self, step: Self) {
        let whole = step.whole_input(None, None);
        let slots = [
            (&mut self.input, whole),
            (&mut self.output, step.output),
            (&mut self.cache_read, step.cache_read),
            (&mut self.cache_write, step.cache_write),
        ];
        slots.into_iter().for_each(|(slot, more)| add(slot, more));
    }

    /// Whether it has no less of anything than another.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.input >= other.input && self.output >= other.output
    }
}
