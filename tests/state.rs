//! What the state of conversations really takes, by the allocator's own count. Alone in its process, so that nothing else is
//! counted.

use std::alloc::System;
use std::time::{Duration, SystemTime};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use streamgauge::conversation::{Bounds, Correlator, Thresholds};
use streamgauge::exchange::{
    Answer, Call, Digest, End, Exchange, History, Item, Segment, Speaker, ToolCall, ToolResult,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CONVERSATIONS: u64 = 500;
const TURNS: u64 = 10;

/// An agent's exchange that brings the results of two calls and makes two more.
fn exchange(conversation: u64, turn: u64) -> Exchange {
    let number = conversation * TURNS + turn;
    let began = Duration::from_millis(number);
    let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH + began);
    exchange.end = End::Done;
    exchange.response.id = Some(format!("chatcmpl-{number}"));
    let item = |of: u64, speaker| Item {
        segment: Segment {
            raw: Digest(of),
            bytes: 100,
        },
        speaker,
        text: (speaker == Speaker::User).then_some(Digest(of)),
    };
    let call = |turn: u64, at: u64| Call {
        number: at as usize,
        id: Some(Digest(conversation << 32 | turn << 8 | at)),
        name: Some(Digest(at)),
        arguments: Some(Digest(turn)),
        strings: vec![Digest(conversation << 40 | turn << 8 | at)],
        arguments_end: None,
    };
    let answer = |turn: u64, at: usize| Answer {
        at,
        calls: vec![call(turn, 1), call(turn, 2)],
        ..Answer::default()
    };
    let mut history = History {
        body: Some(Digest(number)),
        parameters: vec![("model", Digest(1)), ("reasoning", Digest(2))],
        items: vec![item(1, Speaker::System), item(conversation, Speaker::User)],
        ..History::default()
    };
    for before in 0..turn {
        history.answers.push(answer(before, history.items.len()));
        history.items.push(item(before, Speaker::Assistant));
        for call in &answer(before, 0).calls {
            let at = history.items.len();
            history.results.push(ToolResult { at, id: call.id });
            history.items.push(item(before, Speaker::Tool));
        }
    }
    history.answer = Some(answer(turn, history.items.len()));
    exchange.history = Some(Box::new(history));
    exchange.response.tool_calls = (0..3)
        .map(|at| ToolCall {
            id: Some(format!("call_{number}_{at}_of_a_usual_length")),
            name: "search_the_archive".to_owned(),
            ..ToolCall::default()
        })
        .collect();
    exchange
}

#[test]
fn a_turn_takes_less_than_two_kibibytes_and_no_more_than_is_counted() {
    let bounds = Bounds {
        turns: usize::MAX,
        bytes: usize::MAX,
        ttl: Duration::from_secs(3600),
    };
    let region = Region::new(ALLOCATOR);
    let mut correlator = Correlator::in_memory(bounds, Thresholds::default(), 1);
    let mut linked = 0;
    for conversation in 0..CONVERSATIONS {
        for turn in 0..TURNS {
            let mut exchange = exchange(conversation, turn);
            correlator.place(&mut exchange);
            let place = exchange.conversation;
            linked += u64::from(place.is_some_and(|place| place.linked_by.is_some()));
        }
    }
    assert_eq!(linked, CONVERSATIONS * (TURNS - 1));
    let change = region.change();
    let taken = change.bytes_allocated - change.bytes_deallocated;
    let turns = correlator.store().turns();
    assert_eq!(turns as u64, CONVERSATIONS * TURNS);
    let (each, counted) = (taken / turns, correlator.store().bytes() / turns);
    assert!(each <= 2048, "{each} bytes for each turn");
    assert!(
        each <= counted,
        "{each} bytes for each turn, and {counted} counted"
    );
}
