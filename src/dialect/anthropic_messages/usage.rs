//! Token counts, which come in two places and as running totals: each field's last value wins and nothing is summed
//! over events.
//!
//! Here `input_tokens` are what the cache did neither serve nor take up, while everywhere else in this program they are
//! all of the input. Relays open with zeros and know better at the end: a zero does not overwrite a number.

use super::known::USAGE;
use crate::dialect::Facts;
use crate::dialect::member::{object, typed};
use crate::dialect::openai::{read_identity, usage::take};
use crate::dialect::unknown::check_usage;
use crate::json::Value;

/// What was reported so far that the facts do not hold as it came.
#[derive(Debug, Default)]
pub(super) struct Reported {
    uncached_input: Option<u64>,
}

impl Reported {
    /// Takes over what a `usage` member reports. Absent and `null` report nothing.
    pub(super) fn merge(&mut self, member: Option<Value<'_>>, facts: &mut Facts) {
        let Some(reported) = typed(member, &mut facts.problems, object) else {
            return;
        };
        check_usage(reported, USAGE, "usage", facts);
        let [input, output, read, written, tier] = reported.select([
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "service_tier",
        ]);
        read_identity([None, None, tier, None], facts);
        let (usage, problems) = (&mut facts.usage, &mut facts.problems);
        take(&mut self.uncached_input, input, problems);
        take(&mut usage.output_tokens, output, problems);
        take(&mut usage.cache_read_input_tokens, read, problems);
        take(&mut usage.cache_write_input_tokens, written, problems);
        usage.input_tokens = self.uncached_input.map(|input| {
            let cached = [
                usage.cache_read_input_tokens,
                usage.cache_write_input_tokens,
            ];
            let cached = cached.into_iter().flatten();
            cached.fold(input, u64::saturating_add)
        });
    }
}
