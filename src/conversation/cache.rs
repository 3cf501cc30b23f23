//! What became of the part of a prompt that was sent before, and why a provider's cache did not serve it.
//!
//! A cache compares from the front: members that choose the model or go into the prompt, tools, items. Bytes are compared, by
//! their hashes; what the cache served is the provider's own word.

use std::time::Duration;

use super::asked::{Asked, nanos};
use super::store::Prompt;
use crate::exchange::{CacheVerdict, Changed, Digest, Exchange, Reuse, Speaker};

/// Most marks in a prompt. Of a prompt with more items each mark is of several.
const MARKS_MAX: usize = 64;

impl Prompt {
    pub(super) fn of(asked: &Asked<'_>) -> Self {
        let history = asked.history;
        let stride = history.items.len().div_ceil(MARKS_MAX).max(1);
        let mut bytes = 0_u64;
        let mut marks = Vec::with_capacity(history.items.len().div_ceil(stride));
        for (at, item) in history.items.iter().enumerate() {
            bytes += u64::from(item.segment.bytes);
            let is_last = at + 1 == history.items.len();
            if (at + 1).is_multiple_of(stride) || is_last {
                let up_to = u32::try_from(bytes).unwrap_or(u32::MAX);
                marks.push((asked.items[at + 1] as u32, up_to));
            }
        }
        let tools = history.tools.map(|tools| (tools.raw, tools.bytes));
        let is_system = |item: &&crate::exchange::Item| item.speaker == Speaker::System;
        Self {
            parameters: history.parameters.clone().into(),
            tools,
            system: history.items.iter().take_while(is_system).count() as u32,
            stride: stride as u32,
            marks: marks.into(),
            items: history.items.len() as u32,
            bytes: bytes + tools.map_or(0, |(_, bytes)| u64::from(bytes)),
        }
    }

    /// How many items stand up to and with a mark.
    fn items_up_to(&self, mark: usize) -> usize {
        ((mark + 1) * self.stride as usize).min(self.items as usize)
    }

    /// How many of its bytes another prompt begins with, and what comes after them there that is not the same.
    fn matched(&self, asked: &Asked<'_>) -> (u64, Option<Changed>) {
        let history = asked.history;
        if let Some(name) = different(&self.parameters, &history.parameters) {
            return (0, Some(Changed::Parameters(name)));
        }
        if self.tools != history.tools.map(|tools| (tools.raw, tools.bytes)) {
            return (0, Some(Changed::Tools));
        }
        let is_there = |mark: usize| {
            asked
                .items
                .get(self.items_up_to(mark))
                .map(|hash| *hash as u32)
        };
        let marks = self.marks.iter().enumerate();
        let same = marks
            .take_while(|(at, (hash, _))| is_there(*at) == Some(*hash))
            .count();
        let up_to = same.checked_sub(1).map_or(0, |last| self.marks[last].1);
        let matched = u64::from(up_to) + self.tools.map_or(0, |(_, bytes)| u64::from(bytes));
        let items = same.checked_sub(1).map_or(0, |last| self.items_up_to(last));
        // A prompt that only ends earlier has nothing that is not the same.
        let goes_on = items < self.items as usize && items < history.items.len();
        let first = items as u32;
        let changed = match first < self.system {
            true => Changed::System,
            false => Changed::Message(first),
        };
        (matched, goes_on.then_some(changed))
    }
}

/// The name of the first member that only one of them has, or that is not the same in both.
fn different(
    before: &[(&'static str, Digest)],
    now: &[(&'static str, Digest)],
) -> Option<&'static str> {
    let only_in = |one: &[(&'static str, Digest)], other: &[(&'static str, Digest)]| {
        let mut members = one.iter().filter(|member| !other.contains(member));
        members.next().map(|(name, _)| *name)
    };
    only_in(now, before).or_else(|| only_in(before, now))
}

/// What came of an earlier prompt, whose exchange was over at `ended`.
pub(super) fn reuse(earlier: &Prompt, ended: u64, now: &Prompt, asked: &Asked<'_>) -> Reuse {
    let (matched, changed) = earlier.matched(asked);
    let exchange = asked.exchange;
    let input = exchange.reported_input_tokens();
    let cached = exchange.usage.cache_read_input_tokens;
    let share = |bytes: u64| {
        let share = bytes.min(now.bytes) as f64 / now.bytes.max(1) as f64;
        input.map(|input| (input as f64 * share) as u64)
    };
    let could_have = share(earlier.bytes);
    let documented = Documented::of(asked);
    let reused = cached.zip(could_have).map(|(cached, could_have)| {
        let nearly_all = cached.saturating_mul(10) >= could_have.saturating_mul(7);
        // What was marked was there, if there was nothing more to write.
        let all_marked =
            documented.only_marked && exchange.usage.cache_write_input_tokens == Some(0);
        nearly_all || all_marked || could_have - cached.min(could_have) < documented.block
    });
    let idle = asked.began.saturating_sub(ended);
    let verdict = match (reused, changed) {
        // Markers that a client moves about in a prompt are no part of it.
        (Some(true), _) if cached > Some(0) => Some(CacheVerdict::Reused),
        (_, Some(_)) => Some(CacheVerdict::PrefixChanged),
        (None, None) => None,
        (Some(_), None) if could_have < Some(documented.least) => Some(CacheVerdict::TooShort),
        (Some(_), None) if documented.says_none(exchange) => Some(CacheVerdict::NotCached),
        // Too little for anything to be said.
        (Some(true), None) => None,
        (Some(false), None) => Some(documented.missed(idle)),
    };
    let is_lost = matches!(
        verdict,
        Some(CacheVerdict::PrefixChanged | CacheVerdict::UpstreamMissed | CacheVerdict::Expired)
    );
    let lost = could_have.zip(cached);
    Reuse {
        prompt_bytes: now.bytes,
        earlier_bytes: earlier.bytes,
        matched_bytes: matched,
        changed,
        possible_tokens: share(matched),
        lost_tokens: lost
            .filter(|_| is_lost)
            .map(|(could, did)| could.saturating_sub(did)),
        verdict,
    }
}

/// What a provider documents of its cache, in September 2026.
struct Documented {
    /// The least tokens that it caches.
    least: u64,
    /// The tokens by which it caches at the coarsest, and what the share of a prompt may be off, which is one of bytes.
    block: u64,
    /// How long it promises to keep them since their last use; `None` where it promises nothing that a time can be made of.
    lifetime: Option<Duration>,
    /// Whether it says how many tokens it wrote to its cache.
    says_writes: bool,
    /// Whether it caches only what a request marks.
    only_marked: bool,
}

impl Documented {
    const NOTHING: Self = Self {
        least: 0,
        block: 256,
        lifetime: None,
        says_writes: false,
        only_marked: false,
    };

    /// OpenAI, and Azure after it: the guide "Prompt caching", the table "Summary of model differences". GPT-5.6 and later: from
    /// 1,024 tokens on, for 30 minutes. Before: by blocks of up to 2,048 tokens, from one block on, for 5 to 10 minutes where
    /// the request asks for nothing else, since whether the default is more depends on the organization.
    ///
    /// Anthropic: "Prompt caching": what is marked, from 512 to 4,096 tokens on by the model, for 5 minutes unless marked
    /// otherwise. DeepSeek: 64 tokens (the announcement of the cache in 2024), "a few hours to a few days".
    fn of(asked: &Asked<'_>) -> Self {
        const MINUTES: fn(u64) -> Duration = |minutes| Duration::from_secs(60 * minutes);
        let exchange = asked.exchange;
        let upstream = exchange.upstream.as_ref();
        let provider = upstream.and_then(|upstream| upstream.provider.as_deref());
        let model = exchange.response.model.as_ref();
        let model = model.or(exchange.request.model.as_ref());
        let asked_for = asked.history.cache_lifetime;
        match provider.unwrap_or_default() {
            "openai" | "azure.ai.openai"
                if model.is_some_and(|model| is_gpt_since(model, (5, 6))) =>
            {
                Self {
                    least: 1024,
                    lifetime: asked_for.or(Some(MINUTES(30))),
                    says_writes: true,
                    ..Self::NOTHING
                }
            }
            "openai" | "azure.ai.openai" => Self {
                least: 2048,
                block: 2048,
                lifetime: asked_for.or(Some(MINUTES(10))),
                ..Self::NOTHING
            },
            "anthropic" => Self {
                least: 512,
                lifetime: asked_for.or(Some(MINUTES(5))),
                says_writes: true,
                only_marked: true,
                ..Self::NOTHING
            },
            "deepseek" => Self {
                least: 64,
                ..Self::NOTHING
            },
            _ => Self::NOTHING,
        }
    }

    /// Whether the provider says itself that the prompt has nothing to do with its cache.
    fn says_none(&self, exchange: &Exchange) -> bool {
        let usage = &exchange.usage;
        let nothing =
            usage.cache_read_input_tokens == Some(0) && usage.cache_write_input_tokens == Some(0);
        self.says_writes && nothing
    }

    /// Why it had no more of a prompt that had not changed for so many nanoseconds.
    fn missed(&self, idle: u64) -> CacheVerdict {
        match self.lifetime {
            Some(lifetime) if idle > nanos(lifetime) => CacheVerdict::Expired,
            _ => CacheVerdict::UpstreamMissed,
        }
    }
}

/// Whether a model is a GPT of this version or a later one.
fn is_gpt_since(model: &str, version: (u32, u32)) -> bool {
    let Some(model) = model.strip_prefix("gpt-") else {
        return false;
    };
    let is_of_number = |letter: char| letter.is_ascii_digit() || letter == '.';
    let end = model.find(|letter| !is_of_number(letter));
    let mut numbers = model[..end.unwrap_or(model.len())]
        .split('.')
        .map(str::parse);
    let (major, minor) = (numbers.next(), numbers.next());
    matches!(major, Some(Ok(major)) if (major, minor.and_then(Result::ok).unwrap_or(0)) >= version)
}
