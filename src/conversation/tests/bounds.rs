//! What the state takes, and what it lets go.

use super::super::Store;
use super::*;

/// Agents that call two tools in each of so many turns, one behind another.
fn agents(correlator: &mut Correlator, agents: u64, turns: u64) {
    for agent in 0..agents {
        let mut messages = vec![system("You are an agent."), user(&format!("Task {agent}"))];
        for turn in 0..turns {
            let ids = [
                format!("call_{agent}_{turn}_a"),
                format!("call_{agent}_{turn}_b"),
            ];
            let answer = calls(
                "Let me see.",
                ids.each_ref()
                    .map(|id| call(id, "search_the_archive", &format!("{id} of 1900"))),
            );
            let number = agent * turns + turn;
            let script = Script::new(number, number * 2000, &messages, answer.clone());
            let mut exchange = script.exchange();
            exchange.response.id = Some(format!("chatcmpl-{number}"));
            correlator.take(&exchange);
            messages.push(answer);
            messages.extend(ids.map(|id| result(&id, "found nothing")));
        }
    }
}

fn bounded(turns: usize, bytes: usize, ttl: Duration) -> Correlator {
    let bounds = Bounds { turns, bytes, ttl };
    Correlator::in_memory(bounds, Thresholds::default(), 7)
}

const HOUR: Duration = Duration::from_secs(3600);
const PER_TURN: usize = 2048;

#[test]
fn a_turn_takes_less_than_two_kibibytes() {
    for (conversations, turns) in [(200, 10), (500, 1)] {
        let mut correlator = bounded(usize::MAX, usize::MAX, HOUR * 1000);
        agents(&mut correlator, conversations, turns);
        let memory = correlator.store();
        let kept = (conversations * turns) as usize;
        assert_eq!(memory.turns(), kept);
        assert!(
            memory.bytes() / kept <= PER_TURN,
            "{} bytes",
            memory.bytes() / kept
        );
    }
}

#[test]
fn a_long_history_that_is_seen_for_the_first_time_takes_no_more() {
    let mut correlator = bounded(usize::MAX, usize::MAX, HOUR);
    for conversation in 0..100 {
        let mut messages = vec![system("You are an agent.")];
        for turn in 0..300 {
            messages.push(user(&format!("{conversation}: question {turn}")));
            messages.push(model("Yes."));
        }
        let script = Script::new(conversation, conversation, &messages, model("No."));
        correlator.take(&script.exchange());
    }
    let memory = correlator.store();
    assert!(
        memory.bytes() / 100 <= PER_TURN,
        "{} bytes",
        memory.bytes() / 100
    );
}

#[test]
fn what_is_too_much_goes_in_the_order_in_which_it_came() {
    let mut correlator = bounded(50, usize::MAX, HOUR);
    agents(&mut correlator, 100, 1);
    let memory = correlator.store();
    assert_eq!(memory.turns(), 50);
    assert_eq!(memory.evictions().crowded_out, 50);
    assert_eq!(memory.evictions().unanswered_calls, 100);
    let bound = 100_000;
    let mut correlator = bounded(usize::MAX, bound, HOUR);
    agents(&mut correlator, 1000, 1);
    let memory = correlator.store();
    assert!(
        memory.bytes() <= bound && memory.turns() > 40,
        "{}",
        memory.turns()
    );
    // The newest are there.
    assert_eq!(
        memory.evictions().crowded_out as usize + memory.turns(),
        1000
    );
}

#[test]
fn what_is_too_old_goes_by_the_clock_of_the_exchanges() {
    let mut correlator = bounded(usize::MAX, usize::MAX, MS(10_000));
    agents(&mut correlator, 100, 1);
    let memory = correlator.store();
    assert_eq!(memory.turns(), 6, "one each two seconds");
    assert_eq!(memory.evictions().expired, 94);
}

#[test]
fn nothing_is_left_of_what_went() {
    let mut correlator = bounded(1, usize::MAX, HOUR);
    agents(&mut correlator, 100, 3);
    let one = correlator.store().bytes();
    agents(&mut correlator, 300, 1);
    assert!(correlator.store().bytes() <= one.max(PER_TURN), "{one}");
    let thread = correlator.store().thread(1);
    assert_eq!(thread, super::super::Thread::default());
}

#[test]
fn a_state_that_keeps_nothing_still_tells_the_first_place() {
    let mut correlator = bounded(0, 0, Duration::ZERO);
    agents(&mut correlator, 10, 3);
    assert_eq!(correlator.store().turns(), 0);
    assert_eq!(correlator.store().bytes(), 0);
}
