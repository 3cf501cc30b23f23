//! Members of a request beside its prompt that are a part of what the model reads, or choose where it is cached: what a cache
//! of prompts depends on besides the prompt. And how long a request asks for its prompt to be kept.
//!
//! Sources: OpenAI's guide "Prompt caching" of September 2026, the table "Which settings affect the cached prefix?" (the format
//! of the output, effort, verbosity, parallel calls, compaction; the choice of a tool is not among them, and is named as the
//! way to keep the prefix), its "Prompt cache keys" (formerly `user`), and its "harmony" format (the system message says how
//! hard to think); Anthropic's "Prompt caching", the table "What invalidates the cache" (thinking, speed; the choice of a tool,
//! which its dialect adds); vLLM's "Automatic Prefix Caching" (`cache_salt`) and the parameters of its chat template. What only
//! steers the sampling is in none of them.

use std::time::Duration;

use crate::dialect::part::Visitor;
use crate::exchange::CACHE_PARAMETERS as NAMES;
use crate::parse::json::{Selection, Text, Value};

/// The members by which a request of OpenAI's asks how long its prompt is kept, the newer first.
const LIFETIMES: [&str; 2] = ["prompt_cache_options", "prompt_cache_retention"];

/// Those that a request has.
pub(in crate::dialect) struct CacheParameters<'a> {
    members: Selection<'static, 'a, { NAMES.len() }>,
    lifetimes: Selection<'static, 'a, { LIFETIMES.len() }>,
}

impl<'a> CacheParameters<'a> {
    pub(in crate::dialect) const fn none() -> Self {
        Self {
            members: Selection::of(NAMES),
            lifetimes: Selection::of(LIFETIMES),
        }
    }

    /// Takes a member of a request, if it is one.
    pub(in crate::dialect) fn note(&mut self, name: Text<'_>, value: Value<'a>) {
        let _ = self.members.note(name, value) || self.lifetimes.note(name, value);
    }

    /// Shows them. One that is `null` is as good as absent.
    pub(in crate::dialect) fn show(&self, visitor: &mut dyn Visitor) {
        for (name, value) in NAMES.into_iter().zip(self.members.found) {
            if let Some(value) = value.filter(|value| !value.is_null()) {
                visitor.parameter(name, value);
            }
        }
        if let Some(lifetime) = self.lifetime() {
            visitor.cache_lifetime(lifetime);
        }
    }

    /// What OpenAI documents for what the request asks for: a `ttl` is the least time since the last use; of what is retained
    /// for `24h` it says that it is typically there for 30 minutes, and `in_memory` for 5 to 10.
    fn lifetime(&self) -> Option<Duration> {
        let [options, retention] = self.lifetimes.found;
        let ttl = options.and_then(|options| options.get("ttl"));
        if let Some(ttl) = ttl.and_then(Value::as_text) {
            return ttl_of(&ttl.decode());
        }
        match &*retention?.as_text()?.decode() {
            "24h" => Some(Duration::from_secs(30 * 60)),
            "in_memory" | "in-memory" => Some(Duration::from_secs(10 * 60)),
            _ => None,
        }
    }
}

/// A time as caches have it: `5m`, `1h`.
pub(in crate::dialect) fn ttl_of(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let seconds = number.parse::<u32>().ok()?;
    Some(Duration::from_secs(u64::from(seconds) * unit))
}
