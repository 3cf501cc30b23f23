use std::time::SystemTime;

use super::*;
use crate::exchange::{Cost, Drift, Failure, Novelty, RepeatedCall, Served, ToolKind, ToolWait};
use crate::sink::ExchangeId;

/// A call that nothing speaks for, in a trace of its own.
fn call(trace_id: u128) -> Exchange {
    let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
    exchange.end = End::Done;
    exchange.times.end = Duration::from_millis(100);
    exchange.trace = Some(Trace {
        trace_id,
        client_span_id: trace_id as u64,
        sampled: true,
        random: true,
        ..Trace::of_span(1)
    });
    exchange
}

/// The id of a trace whose number is the last of all, and of one whose is the first.
const LAST: u128 = 1 << 100 | 0xff_ffff_ffff_ffff;
const FIRST: u128 = 1 << 100;

fn stage(share: f64) -> SampleStage {
    with(SampleConfig {
        share,
        ..SampleConfig::default()
    })
}

fn with(config: SampleConfig) -> SampleStage {
    SampleStage::new(&config).unwrap()
}

fn decided(stage: &mut SampleStage, exchange: Exchange) -> Exchange {
    let mut finished = Finished {
        id: ExchangeId(1),
        exchange: Box::new(exchange),
        uncounted: None,
        held: None,
    };
    stage.run(&mut finished);
    *finished.exchange
}

/// Why it is kept, whether its spans are exported, and its `tracestate`.
fn outcome(exchange: &Exchange) -> (Sampling, bool, Option<&str>) {
    let trace = exchange.trace.as_ref().unwrap();
    let sampling = exchange.sampling.unwrap();
    (sampling, trace.sampled, trace.tracestate.as_deref())
}

/// Ids of traces as they are drawn, the same in each run.
fn ids(count: u64) -> impl Iterator<Item = u128> {
    // The end of SplitMix64.
    let mixed = |number: u64| {
        let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ number >> 31
    };
    (1..=count).map(move |number| 1 << 127 | u128::from(mixed(number)))
}

#[test]
fn a_whole_share_needs_no_stage() {
    assert!(SampleStage::new(&SampleConfig::default()).is_none());
}

#[test]
fn the_share_is_kept_by_all_instances_alike_and_restores_the_count() {
    let (mut one, mut other) = (stage(0.05), stage(0.05));
    let mut kept = 0_u64;
    for id in ids(40_000) {
        let exchange = decided(&mut one, call(id));
        let again = decided(&mut other, call(id));
        assert_eq!(outcome(&exchange), outcome(&again));
        if let (Sampling::Share, true, state) = outcome(&exchange) {
            let named = threshold(state.unwrap());
            assert_eq!(named, Threshold::of_share(0.05));
            kept += 1;
        } else {
            assert_eq!(outcome(&exchange), (Sampling::Dropped, false, None));
        }
    }
    // Four standard deviations of 44.
    let restored = kept as f64 / 0.05;
    assert!(
        (40_000.0 - restored).abs() < 4.0 * 44.0 / 0.05,
        "{restored}"
    );
}

#[test]
fn what_is_of_interest_is_kept_whatever_the_share_and_stands_for_itself() {
    let mut failed = call(FIRST);
    failed.failure = Some(Failure {
        kind: "429".to_owned(),
        message: String::new(),
    });
    let mut different = call(FIRST + 1);
    different.integrity = Some(Integrity::Different);
    let mut left = call(FIRST + 2);
    left.end = End::ClientLeft;
    let mut slow = call(FIRST + 3);
    slow.times.end = Duration::from_secs(30);
    let mut expensive = call(FIRST + 4);
    expensive.price = Some(Price::Known(Cost {
        input: Decimal::ZERO,
        output: Decimal::ZERO,
        total: Decimal::new(25, 2),
        entry: "a/b".into(),
        since: None,
        estimated: true,
        partial: false,
    }));
    let mut changed = call(FIRST + 7);
    let served = Served {
        model: "m".to_owned(),
        fingerprint: None,
    };
    changed.drift = Some(Box::new(Drift {
        now: served.clone(),
        before: Some(served),
        new: Some(Novelty::Model),
    }));
    let mut stalled = call(FIRST + 5);
    stalled.flow.stall_count = 1;
    let mut repeated = call(FIRST + 6);
    repeated.conversation = Some(place(
        vec![RepeatedCall {
            number: 0,
            times: 3,
        }],
        Vec::new(),
    ));
    for (exchange, why) in [
        (failed, Sampling::Error),
        (different, Sampling::Error),
        (left, Sampling::ClientLeft),
        (slow, Sampling::Slow),
        (expensive, Sampling::Expensive),
        (changed, Sampling::ModelChange),
        (stalled, Sampling::Stall),
        (repeated, Sampling::Repeated),
    ] {
        let exchange = decided(&mut stage(0.0), exchange);
        assert_eq!(outcome(&exchange), (why, true, Some("ot=th:0")));
    }
    let exchange = decided(&mut stage(0.0), call(LAST));
    assert_eq!(outcome(&exchange), (Sampling::Dropped, false, None));
}

#[test]
fn bounds_that_are_off_keep_nothing() {
    let mut stage = with(SampleConfig {
        share: 0.0,
        slow: None,
        slow_quantile: None,
        expensive_usd: None,
        ..SampleConfig::default()
    });
    let mut slow = call(FIRST);
    slow.times.end = Duration::from_secs(3_600);
    assert_eq!(outcome(&decided(&mut stage, slow)).0, Sampling::Dropped);
}

/// A call in the trace of a client that keeps its own span, or not, or does not say.
fn below(trace_id: u128, keeps: Option<bool>, state: &str) -> Exchange {
    let mut exchange = call(trace_id);
    let trace = exchange.trace.as_mut().unwrap();
    trace.parent_span_id = Some(7);
    trace.parent_sampled = keeps;
    trace.tracestate = Some(state.to_owned());
    exchange
}

#[test]
fn a_clients_decision_is_respected_and_its_state_passes_as_it_came() {
    let mut stage = stage(0.5);
    let exchange = decided(&mut stage, below(FIRST, Some(true), "a=1,ot=th:c"));
    assert_eq!(
        outcome(&exchange),
        (Sampling::Parent, true, Some("a=1,ot=th:c"))
    );
    // What leaves it open decides nothing.
    let exchange = decided(&mut stage, below(FIRST, None, "a=1"));
    assert_eq!(outcome(&exchange).0, Sampling::Dropped);
    let mut unsampled = below(LAST, Some(false), "a=1");
    unsampled.trace.as_mut().unwrap().sampled = false;
    let exchange = decided(&mut stage, unsampled);
    assert_eq!(exchange.sampling, None);
    assert!(!exchange.trace.unwrap().sampled);
}

#[test]
fn a_clients_decision_that_does_not_count_leaves_its_probability() {
    let mut stage = with(SampleConfig {
        share: 0.5,
        parent: OfParent::Ignore,
        ..SampleConfig::default()
    });
    let mut decided = |exchange| outcome(&decided(&mut stage, exchange)).2.map(str::to_owned);
    // It kept a quarter, which is less than the half.
    let quarter = decided(below(LAST, Some(true), "ot=th:c"));
    assert_eq!(quarter.as_deref(), Some("ot=th:c"));
    let half = decided(below(LAST, Some(true), "ot=th:4"));
    assert_eq!(half.as_deref(), Some("ot=th:8"));
    // Who drops a span says nothing of those that are kept.
    let half = decided(below(LAST, Some(false), "ot=th:c"));
    assert_eq!(half.as_deref(), Some("ot=th:8"));
    let mut failed = below(FIRST, Some(true), "ot=th:c");
    failed.end = End::ClientLeft;
    assert_eq!(decided(failed).as_deref(), Some("ot=th:c"));
}

#[test]
fn nobody_can_say_how_many_there_were_where_a_share_was_gone_before() {
    let mut stage = with(SampleConfig {
        share: 0.5,
        after_share: true,
        ..SampleConfig::default()
    });
    let exchange = decided(&mut stage, call(LAST));
    assert_eq!(outcome(&exchange), (Sampling::Share, true, None));
}

#[test]
fn a_trace_that_was_kept_for_a_reason_is_kept_from_then_on() {
    let mut stage = stage(0.0);
    let mut left = call(FIRST);
    left.end = End::ClientLeft;
    let _ = decided(&mut stage, left);
    let exchange = decided(&mut stage, call(FIRST));
    assert_eq!(outcome(&exchange), (Sampling::Trace, true, None));
}

#[test]
fn no_more_traces_are_remembered_than_there_is_room_for() {
    let mut reasons = Reasons::default();
    (0..3 * REMEMBERED as u128).for_each(|id| reasons.note(id));
    assert_eq!(
        (reasons.traces.len(), reasons.order.len()),
        (REMEMBERED, REMEMBERED)
    );
    assert!(reasons.has(3 * REMEMBERED as u128 - 1) && !reasons.has(0));
}

fn place(repeated_calls: Vec<RepeatedCall>, waits: Vec<ToolWait>) -> Box<Conversation> {
    Box::new(Conversation {
        id: 1,
        turn: 1,
        branch: 0,
        depth: 0,
        linked_by: None,
        previous: None,
        parent: None,
        again: None,
        waits,
        repeated_calls,
        without_progress: None,
        grown_bytes: None,
        tokens: None,
        reuse: None,
    })
}

/// Whether the caller of a tool and the one that brought its result count as exported, and with which threshold.
fn ends_of_wait(
    stage: &mut SampleStage,
    called: &Exchange,
    mut brought: Exchange,
) -> [Option<Threshold>; 2] {
    let identity = |exchange: &Exchange| exchange.trace.as_ref().map(Trace::identity);
    let wait = ToolWait {
        name: "a".to_owned(),
        call_id: None,
        kind: ToolKind::Function,
        began: SystemTime::UNIX_EPOCH,
        lasted: Duration::ZERO,
        called_by: identity(called),
        brought_by: identity(&brought),
    };
    brought.conversation = Some(place(Vec::new(), vec![wait]));
    let place = decided(stage, brought).conversation.unwrap();
    let wait = &place.waits[0];
    [wait.called_by, wait.brought_by].map(|end| end.filter(Identity::is_sampled)?.threshold)
}

#[test]
fn a_wait_goes_by_the_decision_about_the_trace_that_it_stands_in() {
    let mut stage = stage(0.5);
    let half = Threshold::of_share(0.5);
    let all = Some(Threshold::ALL);
    let mut kept = call(FIRST);
    kept.end = End::ClientLeft;
    let _ = decided(&mut stage, kept.clone());
    assert_eq!(
        ends_of_wait(&mut stage, &kept, call(FIRST + 9)),
        [all, None]
    );
    assert_eq!(
        ends_of_wait(&mut stage, &call(LAST), call(FIRST + 9)),
        [half, None]
    );
    assert_eq!(
        ends_of_wait(&mut stage, &call(FIRST + 9), call(LAST)),
        [None, half]
    );
}

#[test]
fn a_call_in_the_trace_of_an_earlier_one_goes_by_its_number_and_not_by_a_parent() {
    let mut stage = stage(0.5);
    let joined = |trace_id| {
        let mut exchange = call(trace_id);
        let trace = exchange.trace.as_mut().unwrap();
        (trace.parent_span_id, trace.parent_is_ours) = (Some(9), true);
        exchange
    };
    let why = |exchange: Exchange| exchange.sampling.unwrap();
    assert_eq!(why(decided(&mut stage, joined(LAST))), Sampling::Share);
    assert_eq!(why(decided(&mut stage, joined(FIRST))), Sampling::Dropped);
    let half = Threshold::of_share(0.5);
    assert_eq!(
        ends_of_wait(&mut stage, &joined(LAST), call(FIRST + 9)),
        [half, None]
    );
}
