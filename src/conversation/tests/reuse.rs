//! What becomes of a prompt that was sent before.

use std::sync::Arc;

use super::*;
use crate::exchange::{CacheVerdict, Changed, Reuse, Upstream};

/// How two requests in a row differ, and what was reported of the second.
struct Pair {
    first: History,
    second: History,
    /// Between them, in milliseconds.
    idle: u64,
    input: u64,
    cached: Option<u64>,
    written: Option<u64>,
    provider: &'static str,
    model: &'static str,
}

impl Pair {
    /// A question, and the next, of a prompt with some thousand tokens.
    fn new() -> Self {
        let opening = [system(&"Be brief. ".repeat(500)), user("How is Rome?")];
        let next = [opening.to_vec(), vec![model("Sunny."), user("And Oslo?")]].concat();
        let of = |messages: &[Says]| History {
            parameters: vec![("model", digest("m")), ("reasoning", digest("low"))],
            tools: Some(Segment {
                raw: digest("tools"),
                bytes: 1000,
            }),
            ..request(messages)
        };
        Self {
            first: of(&opening),
            second: of(&next),
            idle: 1000,
            input: 2000,
            cached: Some(1920),
            written: None,
            provider: "openai",
            model: "gpt-5.6-sol",
        }
    }

    fn reuse(self) -> Option<Reuse> {
        let mut correlator = correlator();
        let reuse = [(self.first, 0), (self.second, 1000 + self.idle)].map(|(history, began)| {
            let script = Script::new(began, began, &[], model("Sunny."));
            let mut exchange = script.exchange();
            let answer = exchange.history.take().unwrap().answer;
            exchange.history = Some(Box::new(History { answer, ..history }));
            exchange.usage.input_tokens = Some(self.input);
            exchange.usage.output_tokens = Some(10);
            exchange.usage.cache_read_input_tokens = self.cached;
            exchange.usage.cache_write_input_tokens = self.written;
            exchange.response.model = Some(self.model.to_owned());
            exchange.upstream = Some(Upstream {
                name: Arc::from("main"),
                provider: Some(Arc::from(self.provider)),
            });
            correlator.take(&exchange).unwrap().reuse
        });
        assert_eq!(reuse[0], None, "there is nothing before the first");
        reuse[1].clone()
    }
}

fn verdict(pair: Pair) -> (Option<Changed>, Option<CacheVerdict>) {
    let reuse = pair.reuse().unwrap();
    (reuse.changed, reuse.verdict)
}

#[test]
fn a_prompt_that_only_grew_is_there_as_a_whole() {
    let pair = Pair::new();
    let bytes = |history: &History| {
        let items = history
            .items
            .iter()
            .map(|item| u64::from(item.segment.bytes));
        items.sum::<u64>() + 1000
    };
    let (first, second) = (bytes(&pair.first), bytes(&pair.second));
    let reuse = pair.reuse().unwrap();
    assert_eq!((reuse.matched_bytes, reuse.earlier_bytes), (first, first));
    assert_eq!(reuse.prompt_bytes, second);
    assert_eq!(reuse.changed, None);
    assert_eq!(reuse.verdict, Some(CacheVerdict::Reused));
    assert_eq!(reuse.lost_tokens, None);
    let possible = reuse.possible_tokens.unwrap();
    assert!((1900..2000).contains(&possible), "{possible}");
}

#[test]
fn the_first_part_that_changed_is_named() {
    type Change = fn(&mut History);
    let changes: [(Change, Changed); 6] = [
        (
            |it| it.parameters[1].1 = digest("high"),
            Changed::Parameters("reasoning"),
        ),
        (
            |it| it.parameters.truncate(1),
            Changed::Parameters("reasoning"),
        ),
        (|it| it.tools = None, Changed::Tools),
        (
            |it| it.items[0].segment.raw = digest("the time"),
            Changed::System,
        ),
        (
            |it| it.items[1].segment.raw = digest("a name"),
            Changed::Message(1),
        ),
        (
            |it| {
                it.tools = None;
                it.items[0].segment.raw = digest("the time");
            },
            Changed::Tools,
        ),
    ];
    for (change, changed) in changes {
        let mut pair = Pair::new();
        change(&mut pair.second);
        pair.cached = Some(0);
        let reuse = pair.reuse().unwrap();
        assert_eq!(reuse.changed, Some(changed));
        assert_eq!(reuse.verdict, Some(CacheVerdict::PrefixChanged));
        assert!(reuse.lost_tokens > Some(1800), "{reuse:?}");
    }
}

/// The verdict on a prompt that stayed as it was and was not served, with this change.
fn unserved(change: impl FnOnce(&mut Pair)) -> Option<CacheVerdict> {
    let mut pair = Pair::new();
    pair.cached = Some(0);
    change(&mut pair);
    let (changed, verdict) = verdict(pair);
    assert_eq!(changed, None);
    verdict
}

#[test]
fn a_prompt_that_stayed_as_it_was_is_judged_by_what_the_provider_says() {
    const MINUTE: u64 = 60_000;
    assert_eq!(unserved(|_| ()), Some(CacheVerdict::UpstreamMissed));
    let short = |pair: &mut Pair| pair.input = 900;
    assert_eq!(unserved(short), Some(CacheVerdict::TooShort));
    let late = |pair: &mut Pair| pair.idle = 31 * MINUTE;
    assert_eq!(unserved(late), Some(CacheVerdict::Expired));
    let early = |pair: &mut Pair| pair.idle = 29 * MINUTE;
    assert_eq!(unserved(early), Some(CacheVerdict::UpstreamMissed));
    assert_eq!(unserved(|pair| pair.cached = None), None);
    let most = |pair: &mut Pair| pair.cached = Some(1792);
    assert_eq!(unserved(most), Some(CacheVerdict::Reused));
    let elsewhere = |pair: &mut Pair| (pair.provider, pair.idle) = ("vllm", 700 * MINUTE);
    assert_eq!(unserved(elsewhere), Some(CacheVerdict::UpstreamMissed));
    let unwritten = |pair: &mut Pair| pair.written = Some(0);
    assert_eq!(unserved(unwritten), Some(CacheVerdict::NotCached));
}

#[test]
fn older_models_cache_by_coarser_blocks_and_for_less() {
    const MINUTE: u64 = 60_000;
    let older = |change: fn(&mut Pair)| {
        unserved(|pair| {
            (pair.model, pair.input) = ("gpt-5.5", 3500);
            change(pair);
        })
    };
    assert_eq!(older(|_| ()), Some(CacheVerdict::UpstreamMissed));
    let one_block = |pair: &mut Pair| pair.cached = Some(2048);
    assert_eq!(older(one_block), Some(CacheVerdict::Reused));
    let less_than_one = |pair: &mut Pair| pair.input = 2000;
    assert_eq!(older(less_than_one), Some(CacheVerdict::TooShort));
    let late = |pair: &mut Pair| pair.idle = 11 * MINUTE;
    assert_eq!(older(late), Some(CacheVerdict::Expired));
    let kept_longer = |pair: &mut Pair| {
        pair.idle = 11 * MINUTE;
        pair.second.cache_lifetime = Some(MS(30 * MINUTE));
    };
    assert_eq!(older(kept_longer), Some(CacheVerdict::UpstreamMissed));
    // They do not write for money, and report no writing.
    let unwritten = |pair: &mut Pair| pair.written = Some(0);
    assert_eq!(older(unwritten), Some(CacheVerdict::UpstreamMissed));
}

#[test]
fn where_only_what_is_marked_is_cached_nothing_else_is_missed() {
    let anthropic = |cached: u64, written: u64| {
        unserved(|pair| {
            pair.provider = "anthropic";
            (pair.cached, pair.written) = (Some(cached), Some(written));
        })
    };
    assert_eq!(anthropic(0, 0), Some(CacheVerdict::NotCached));
    assert_eq!(anthropic(0, 1900), Some(CacheVerdict::UpstreamMissed));
    // Only the system prompt was marked.
    assert_eq!(anthropic(900, 0), Some(CacheVerdict::Reused));
    assert_eq!(anthropic(900, 1000), Some(CacheVerdict::UpstreamMissed));
}

#[test]
fn of_a_prompt_shorter_than_a_block_nothing_is_said() {
    let short = |pair: &mut Pair| (pair.provider, pair.input) = ("vllm", 100);
    assert_eq!(unserved(short), None);
}

#[test]
fn what_a_cache_served_although_bytes_changed_is_no_break() {
    let mut pair = Pair::new();
    pair.second.items[1].segment.raw = digest("without its marker");
    assert_eq!(verdict(pair).1, Some(CacheVerdict::Reused));
}

#[test]
fn a_prompt_that_was_cut_short_at_its_end_has_not_changed() {
    let mut pair = Pair::new();
    let items = pair.second.items.clone();
    pair.first.items = [items.clone(), items[3..].to_vec()].concat();
    pair.first.items[1] = items[1];
    let answers = std::mem::take(&mut pair.first.answers);
    assert!(answers.is_empty());
    // It goes on from the turn, whose prompt was longer.
    let reuse = pair.reuse();
    assert!(reuse.is_none_or(|reuse| reuse.changed.is_none()));
}

#[test]
fn of_a_long_history_the_change_is_found_to_within_a_mark() {
    let mut messages = vec![system("Be brief.")];
    for turn in 0..100 {
        messages.extend([user(&format!("Question {turn}")), model("Yes.")]);
    }
    messages.push(user("The last question"));
    let next = [messages.clone(), vec![model("Sunny."), user("And Oslo?")]].concat();
    let mut pair = Pair {
        first: request(&messages),
        second: request(&next),
        ..Pair::new()
    };
    pair.second.items[150].segment.raw = digest("a name");
    pair.cached = Some(0);
    let Some(Changed::Message(at)) = pair.reuse().unwrap().changed else {
        panic!("an item has changed")
    };
    assert!((147..=150).contains(&at), "{at}");
}
