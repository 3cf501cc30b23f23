//! Which trace the exchanges of a conversation come into.

use super::super::Joins;
use super::cases::after;
use super::shared::{Replicas, talk};
use super::*;
use crate::exchange::ToldUpstream;

const JOINS: Joins = Joins {
    one_span: false,
    propagates: true,
};

/// The exchanges as they are after a correlator saw them in the order of their ends; they come in the order in which they are
/// given.
fn joined_by(joins: Joins, mut exchanges: Vec<Exchange>) -> Vec<Exchange> {
    let mut correlator = correlator().joining(Some(joins));
    let mut order: Vec<_> = exchanges.iter_mut().collect();
    order.sort_by_key(|exchange| exchange.started_at + exchange.times.end);
    for exchange in order {
        correlator.place(exchange);
    }
    exchanges
}

fn joined(scripts: &[Script]) -> Vec<Trace> {
    let exchanges = scripts.iter().map(Script::exchange).collect();
    traces(joined_by(JOINS, exchanges))
}

fn traces(exchanges: Vec<Exchange>) -> Vec<Trace> {
    let traces = exchanges
        .into_iter()
        .map(|exchange| exchange.trace.unwrap());
    traces.collect()
}

/// In which trace each is, and below which span.
fn places(traces: &[Trace]) -> Vec<(u128, Option<u64>)> {
    let places = traces.iter();
    places
        .map(|trace| (trace.trace_id, trace.parent_span_id))
        .collect()
}

fn opening() -> Vec<Says> {
    vec![user("How deep is it?")]
}

/// An exchange whose client has a span around it.
fn below(span_id: u64, sampled: bool, mut exchange: Exchange) -> Exchange {
    let trace = exchange.trace.as_mut().unwrap();
    trace.trace_id = 1000 + u128::from(span_id);
    trace.parent_span_id = Some(span_id);
    (trace.sampled, trace.parent_sampled) = (sampled, Some(sampled));
    exchange
}

#[test]
fn all_turns_are_in_the_trace_of_the_first_below_its_topmost_span() {
    let all = joined(&talk());
    let top = Some(server_span(1));
    assert_eq!(places(&all), [(1, None), (1, top), (1, top)]);
    for (number, trace) in (1..).zip(&all) {
        assert_eq!(trace.client_span_id, number, "spans keep their ids");
        assert_eq!(trace.server_span_id, server_span(number));
        let own = ToldUpstream {
            trace_id: number.into(),
            flags: 3,
        };
        let told = (number > 1).then(|| Box::new(own));
        assert_eq!(trace.told_upstream, told);
        assert!(!trace.has_remote_parent());
        assert_eq!(trace.parent_sampled, None, "nobody but us has decided");
    }
}

#[test]
fn a_call_without_a_server_span_has_the_inference_span_at_its_top() {
    let joins = Joins {
        one_span: true,
        propagates: false,
    };
    let called = |script: &Script| Exchange {
        operation: Some(crate::exchange::Operation::ChatCompletions),
        upstream: Some(crate::exchange::Upstream {
            name: "main".into(),
            provider: None,
        }),
        ..script.exchange()
    };
    let all = traces(joined_by(joins, talk().iter().map(called).collect()));
    assert_eq!(places(&all), [(1, None), (1, Some(1)), (1, Some(1))]);
    assert!(all.iter().all(|trace| trace.told_upstream.is_none()));
    // What was never sent has no inference span.
    let mut exchanges: Vec<_> = talk().iter().map(called).collect();
    exchanges[0].upstream = None;
    let all = traces(joined_by(joins, exchanges));
    assert_eq!(all[1].parent_span_id, Some(server_span(1)));
}

#[test]
fn linked_exchanges_keep_their_traces() {
    let mut correlator = correlator();
    for script in talk() {
        let before = script.exchange();
        let mut after = before.clone();
        correlator.place(&mut after);
        assert_eq!(after.trace, before.trace);
    }
}

#[test]
fn the_wait_for_a_tool_is_between_two_spans_of_the_trace() {
    let exchanges = talk().iter().map(Script::exchange).collect();
    let exchanges = joined_by(JOINS, exchanges);
    let place = exchanges[1].conversation.as_ref().unwrap();
    let wait = &place.waits[0];
    let [called, brought] = [wait.called_by, wait.brought_by].map(Option::unwrap);
    assert_eq!((called.trace_id, called.parent_span_id), (1, None));
    assert_eq!(
        Some(brought),
        exchanges[1].trace.as_ref().map(Trace::identity)
    );
    assert_eq!(place.previous, Some(called));
}

#[test]
fn a_branch_a_retry_and_a_repeat_are_in_the_same_trace() {
    let second = after(opening(), [model("Three metres."), user("And tomorrow?")]);
    let edited = after(opening(), [model("Three metres."), user("And yesterday?")]);
    let all = joined(&[
        Script::new(1, 0, &opening(), model("Three metres.")),
        Script::failed(2, 2000, &second),
        Script::new(3, 2100, &second, model("Nobody knows.")),
        Script::new(4, 4000, &second, model("Nobody knows.")),
        Script::new(5, 6000, &edited, model("Two.")),
    ]);
    let top = Some(server_span(1));
    assert_eq!(places(&all[1..]), [(1, top); 4]);
}

#[test]
fn nobody_knows_whose_first_words_are_tried_again() {
    let all = joined(&[
        Script::failed(1, 0, &opening()),
        Script::new(2, 2000, &opening(), model("Three metres.")),
    ]);
    assert_eq!(places(&all), [(1, None), (2, None)]);
}

#[test]
fn an_agent_is_below_the_inference_that_called_for_it() {
    let task = "Measure the river.";
    let asks = calls("", [call("call_a", "agent", task)]);
    let opened = vec![system("You measure."), user(task)];
    let reads = calls("", [call("call_b", "gauge", "{}")]);
    let read = after(opened.clone(), [reads.clone(), result("call_b", "3 m")]);
    let done = after(opening(), [asks.clone(), result("call_a", "3 m")]);
    let all = joined(&[
        Script::new(1, 0, &opening(), asks),
        Script::new(2, 2000, &opened, reads),
        Script::new(3, 4000, &read, model("3 m")),
        Script::new(4, 6000, &done, model("Three metres.")),
    ]);
    let top = Some(server_span(1));
    assert_eq!(
        places(&all),
        [(1, None), (1, Some(1)), (1, Some(1)), (1, top)]
    );
}

#[test]
fn what_a_client_says_of_a_trace_stays_and_holds_for_what_comes_after() {
    let [first, second, third] = talk().map(|script| script.exchange());
    let all = traces(joined_by(
        JOINS,
        vec![first, below(7, true, second.clone()), third],
    ));
    assert_eq!(places(&all), [(1, None), (1007, Some(7)), (1007, Some(7))]);
    assert_eq!(all[1].told_upstream, None);
    for trace in &all[1..] {
        assert!(trace.has_remote_parent());
        assert_eq!(
            trace.parent_sampled,
            Some(true),
            "the client keeps its span"
        );
    }
    // A decision alone, as some formats have it.
    let [first, mut second, _] = talk().map(|script| script.exchange());
    let trace = second.trace.as_mut().unwrap();
    (trace.sampled, trace.parent_sampled) = (false, Some(false));
    let all = traces(joined_by(JOINS, vec![first, second.clone()]));
    assert_eq!(Some(&all[1]), second.trace.as_ref());
}

#[test]
fn whether_the_first_is_kept_holds_for_all() {
    for kept in [false, true] {
        let mut exchanges = talk().map(|script| script.exchange());
        exchanges[0].trace.as_mut().unwrap().sampled = kept;
        exchanges[1].trace.as_mut().unwrap().sampled = !kept;
        let all = traces(joined_by(JOINS, exchanges.into()));
        assert!(all.iter().all(|trace| trace.sampled == kept));
        let told = all[1].told_upstream.as_ref().unwrap();
        assert_eq!(told.flags & 1 == 1, !kept, "as the upstream was told");
    }
    let [first, second, _] = talk().map(|script| script.exchange());
    let all = traces(joined_by(JOINS, vec![below(7, false, first), second]));
    assert_eq!(
        (all[1].sampled, all[1].parent_sampled),
        (false, Some(false))
    );
}

#[test]
fn what_follows_an_exchange_without_a_trace_is_in_its_own() {
    let [mut first, second, third] = talk().map(|script| script.exchange());
    first.trace = None;
    let all = joined_by(JOINS, vec![first, second, third]);
    assert_eq!(all[0].trace, None);
    let of = |at: usize| all[at].trace.as_ref().map(|trace| trace.trace_id);
    assert_eq!((of(1), of(2)), (Some(2), Some(2)));
}

#[test]
fn an_exchange_that_was_overtaken_joins_the_one_that_overtook_it() {
    let [mut first, second, third] = talk();
    first.took = 4000;
    let all = joined(&[first, second, third]);
    let top = Some(server_span(2));
    assert_eq!(places(&all), [(2, top), (2, None), (2, top)]);
}

#[test]
fn calls_side_by_side_under_one_name_are_in_one_trace() {
    let named = |number, began| {
        let mut script = Script::new(number, began, &opening(), model("Three metres."));
        script.took = 5000;
        let mut exchange = script.exchange();
        exchange.request.conversation_id = Some("s-1".to_owned());
        exchange.times.last_token = None;
        exchange
    };
    let all = joined_by(JOINS, vec![named(1, 0), named(2, 100), named(3, 9000)]);
    let linked = |at: usize| all[at].conversation.as_ref().unwrap().linked_by.is_some();
    assert!(!linked(1) && linked(2));
    let top = Some(server_span(1));
    assert_eq!(places(&traces(all)), [(1, None), (1, top), (1, top)]);
}

#[test]
fn in_a_conversation_with_a_name_what_is_tried_again_joins_a_first_call_that_failed() {
    let named = |script: Script| {
        let mut exchange = script.exchange();
        exchange.request.conversation_id = Some("s-1".to_owned());
        exchange
    };
    for failed in [Script::failed, Script::left] {
        let first = named(failed(1, 0, &opening()));
        let again = named(Script::new(2, 2000, &opening(), model("Three metres.")));
        let all = joined_by(JOINS, vec![first, again]);
        let top = Some(server_span(1));
        assert_eq!(places(&traces(all)), [(1, None), (1, top)]);
    }
}

#[test]
fn what_is_forgotten_is_joined_no_more() {
    let bounds = Bounds {
        turns: 1,
        ..Bounds::default()
    };
    let correlator = Correlator::in_memory(bounds, Thresholds::default(), 7);
    let mut correlator = correlator.joining(Some(JOINS));
    let other = Script::new(9, 1500, &[user("Who is there?")], model("Nobody."));
    let [first, second, _] = talk();
    let all = [first, other, second].map(|script| {
        let mut exchange = script.exchange();
        correlator.place(&mut exchange);
        exchange
    });
    assert_eq!(
        places(&traces(all.into())),
        [(1, None), (9, None), (2, None)]
    );
}

#[test]
fn it_does_not_matter_through_which_replica_a_call_goes() {
    let mut replicas = Replicas::new(2).joining(JOINS);
    let all = talk().into_iter().zip([0, 1, 0]).map(|(script, at)| {
        let mut exchange = script.exchange();
        replicas.place(at, &mut exchange);
        exchange
    });
    let top = Some(server_span(1));
    assert_eq!(
        places(&traces(all.collect())),
        [(1, None), (1, top), (1, top)]
    );
}
