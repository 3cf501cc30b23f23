use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::SystemTime;

use super::*;
use crate::exchange::{Content, ContentPart, Usage};

const LONG: Duration = Duration::from_secs(10);

const TEXTS: Wants = Wants {
    worker: false,
    texts: true,
    checks: 0,
    history: false,
    redacts_all: false,
    keeps_history: false,
};

/// A sink that says what it was given, and panics at one exchange.
struct Given {
    say: Sender<(u64, Usage)>,
    panic_at: Option<u64>,
}

impl Sink for Given {
    fn name(&self) -> &'static str {
        "given"
    }

    fn finished(&self, id: ExchangeId, exchange: &Arc<Exchange>) {
        assert_ne!(Some(id.0), self.panic_at, "the sink was told to panic here");
        let _ = self.say.send((id.0, exchange.usage.clone()));
    }
}

fn sink(panic_at: Option<u64>) -> (Arc<dyn Sink>, Receiver<(u64, Usage)>) {
    let (say, given) = channel();
    (Arc::new(Given { say, panic_at }), given)
}

/// A stage that takes an exchange with texts only with leave, and panics at one exchange.
struct Held {
    leave: Receiver<()>,
    panic_at: Option<u64>,
}

impl Stage for Held {
    fn name(&self) -> &'static str {
        "held"
    }

    fn run(&mut self, finished: &mut Finished) {
        if finished.uncounted.take().is_some() {
            let _ = self.leave.recv();
        }
        let id = finished.id.0;
        assert_ne!(Some(id), self.panic_at, "the stage was told to panic here");
        finished.exchange.usage.input_tokens = Some(id);
    }
}

/// A pipeline with such a stage and one sink.
fn held() -> (Pipeline, Receiver<(u64, Usage)>, Sender<()>) {
    let (sink, given) = sink(None);
    let (leave, wait) = channel();
    let held = Held {
        leave: wait,
        panic_at: None,
    };
    let pipeline = Pipeline::of(vec![Box::new(held)], Books::default(), TEXTS, vec![sink]);
    (pipeline, given, leave)
}

fn finished(id: u64, uncounted: Option<Uncounted>) -> Finished {
    Finished {
        id: ExchangeId(id),
        exchange: Box::new(Exchange::begin(SystemTime::UNIX_EPOCH)),
        uncounted: uncounted.map(Box::new),
        held: None,
    }
}

fn slow(id: u64) -> Finished {
    finished(id, Some(Uncounted::default()))
}

fn quick(id: u64) -> Finished {
    finished(id, None)
}

fn ids(given: &Receiver<(u64, Usage)>) -> Vec<u64> {
    given.try_iter().map(|(id, _)| id).collect()
}

fn count(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// All that came was delivered or counted as dropped.
fn assert_balanced(pipeline: &Pipeline) {
    let books = pipeline.books();
    assert_eq!(
        count(&books.seen),
        count(&books.delivered) + count(&books.dropped)
    );
}

#[test]
fn an_estimate_takes_the_place_of_a_report_only_where_that_is_wanted() {
    let counted = (Some(3), Some(1));
    for (wanted, reported) in [
        (EstimateTokens::Own, (None, None)),
        (EstimateTokens::Standard, counted),
    ] {
        let usage = counted_as(wanted);
        let estimate = usage.estimate;
        assert_eq!((estimate.input_tokens, estimate.output_tokens), counted);
        assert_eq!((usage.input_tokens, usage.output_tokens), reported);
    }
}

#[test]
fn a_report_stands_and_is_checked_beside_it() {
    for wanted in [
        EstimateTokens::Own,
        EstimateTokens::Standard,
        EstimateTokens::Off,
    ] {
        let reported = Usage {
            input_tokens: Some(4),
            output_tokens: Some(2),
            ..Usage::default()
        };
        let usage = counted_beside(reported.clone(), wanted);
        let checked = (usage.checked.input_tokens, usage.checked.output_tokens);
        assert_eq!(checked, (Some(3), Some(1)));
        assert!(!usage.estimate.is_there());
        assert_eq!(
            (usage.input_tokens, usage.output_tokens),
            (Some(4), Some(2))
        );
    }
}

/// What becomes of the usage of an exchange of which nobody reported any.
fn counted_as(estimate_tokens: EstimateTokens) -> Usage {
    counted_beside(Usage::default(), estimate_tokens)
}

/// The same where this was reported.
fn counted_beside(reported: Usage, estimate_tokens: EstimateTokens) -> Usage {
    let (sink, given) = sink(None);
    let pipeline = Pipeline::new(
        &PipelineConfig {
            estimate_tokens,
            check_estimates: 1,
            ..PipelineConfig::default()
        },
        vec![sink],
    );
    let prompt = PromptTexts {
        texts: Vec::new(),
        tokens: 3,
    };
    let mut exchange = finished(
        1,
        Some(Uncounted {
            prompt: Some(prompt),
            generated: Some(vec!["water".to_owned()]),
        }),
    );
    exchange.exchange.usage = reported;
    pipeline.finish(exchange);
    given.recv_timeout(LONG).unwrap().1
}

#[test]
fn none_overtakes_one_for_which_a_stage_takes_long() {
    let (pipeline, given, leave) = held();
    pipeline.finish(quick(1));
    assert_eq!(ids(&given), [1], "it was delivered at once");
    pipeline.finish(slow(2));
    pipeline.finish(quick(3));
    pipeline.finish(slow(4));
    pipeline.finish(quick(5));
    assert_eq!(ids(&given), [0; 0]);
    assert_eq!(pipeline.waiting(), 4);
    drop(leave);
    assert!(pipeline.drained(LONG));
    assert_eq!(ids(&given), [2, 3, 4, 5]);
    assert_balanced(&pipeline);
}

#[test]
fn where_too_many_hold_their_texts_the_next_goes_on_without() {
    let (pipeline, given, leave) = held();
    let all = TEXTS_MAX as u64 + 5;
    (0..all).for_each(|id| pipeline.finish(slow(id)));
    // One more than the bound may have been taken off the queue.
    for _ in 0..=TEXTS_MAX {
        leave.send(()).unwrap();
    }
    assert!(pipeline.drained(LONG), "the others need no leave");
    assert_eq!(ids(&given), (0..all).collect::<Vec<_>>());
    assert_balanced(&pipeline);
}

#[test]
fn what_does_not_fit_is_counted_and_nothing_else_is_lost() {
    let (pipeline, given, leave) = held();
    let bound = PLAN.bound as u64;
    pipeline.finish(slow(0));
    while pipeline.lane.waiting() > 0 {
        // It is held by the first from here on.
        thread::yield_now();
    }
    (1..=bound + 7).for_each(|id| pipeline.finish(quick(id)));
    assert_eq!(count(&pipeline.books().dropped), 7);
    let mut late = quick(bound + 8);
    late.exchange.times.end = Duration::from_micros(5_700);
    pipeline.finish(late);
    pipeline.finish(quick(bound + 9));
    assert_eq!(count(&pipeline.books().dropped), 9);
    // After the one that ended last, whichever was dropped last.
    assert_eq!(count(&pipeline.books().dropped_until_ms), 6);
    drop(leave);
    assert!(pipeline.drained(LONG));
    assert_eq!(ids(&given), (0..=bound).collect::<Vec<_>>());
    assert_balanced(&pipeline);
}

#[test]
fn what_waits_takes_memory_by_its_weight_and_gives_it_back() {
    let (mut pipeline, given, leave) = held();
    let memory = Memory::new(1 << 20);
    pipeline.memory = memory.clone();
    let large = |id, bytes| {
        let mut large = slow(id);
        large.exchange.request.model = Some("m".repeat(bytes));
        large
    };
    pipeline.finish(large(1, 600_000));
    pipeline.finish(large(2, 600_000));
    assert_eq!(count(&pipeline.books().dropped), 1, "it would be too much");
    let mut told = large(3, 0);
    told.uncounted = Some(Box::new(Uncounted {
        prompt: None,
        generated: Some(vec!["x".repeat(600_000)]),
    }));
    pipeline.finish(told);
    assert_eq!(count(&pipeline.books().dropped), 2, "texts weigh too");
    pipeline.finish(large(4, 300_000));
    assert!(
        !memory.take(300_000),
        "all of it is held for those that wait"
    );
    drop(leave);
    assert!(pipeline.drained(LONG));
    assert_eq!(ids(&given), [1, 4]);
    assert!(memory.take(1 << 20), "none is held any more");
    assert_balanced(&pipeline);
}

#[test]
fn a_stage_that_panics_costs_only_what_it_adds() {
    let (sink, given) = sink(None);
    let held = Held {
        leave: channel().1,
        panic_at: Some(2),
    };
    let pipeline = Pipeline::of(vec![Box::new(held)], Books::default(), TEXTS, vec![sink]);
    for id in 1..=3 {
        pipeline.finish(quick(id));
        pipeline.finish(slow(id + 10));
    }
    assert!(pipeline.drained(LONG));
    let added: Vec<_> = given
        .try_iter()
        .map(|(id, usage)| (id, usage.input_tokens.is_some()))
        .collect();
    let expected = [1, 11, 2, 12, 3, 13].map(|id| (id, id != 2));
    assert_eq!(added, expected);
    assert_eq!(count(&pipeline.books().failed_stages), 1);
    assert_balanced(&pipeline);
}

#[test]
fn a_sink_that_panics_keeps_nothing_from_the_others() {
    let (bad, given_bad) = sink(Some(2));
    let (good, given) = sink(None);
    let pipeline = Pipeline::of(
        Vec::new(),
        Books::default(),
        Wants::default(),
        vec![bad, good],
    );
    (1..=3).for_each(|id| pipeline.finish(quick(id)));
    assert_eq!(ids(&given_bad), [1, 3]);
    assert_eq!(ids(&given), [1, 2, 3]);
    assert_eq!(count(&pipeline.books().failed_sinks), 1);
    assert_balanced(&pipeline);
}

#[test]
fn what_comes_after_the_drain_is_counted_as_dropped_or_delivered() {
    let (sink, given) = sink(None);
    let pipeline = Pipeline::new(&PipelineConfig::default(), vec![sink]);
    assert!(pipeline.drained(LONG));
    pipeline.finish(quick(1));
    pipeline.finish(slow(2));
    assert_eq!(ids(&given), [1]);
    assert_eq!(count(&pipeline.books().dropped), 1);
    assert_balanced(&pipeline);
}

#[test]
fn a_stage_that_hangs_does_not_hold_up_the_end() {
    let (pipeline, given, leave) = held();
    pipeline.finish(slow(1));
    assert!(!pipeline.drained(Duration::from_millis(1)));
    assert_eq!(pipeline.waiting(), 1, "what is still to come is known");
    drop(leave);
    drop(pipeline);
    assert_eq!(given.recv_timeout(LONG).unwrap().0, 1);
}

/// An exchange that shows what was said.
fn with_content(id: u64) -> Finished {
    let mut finished = quick(id);
    let said = ContentPart::Text(format!("anna@example.com {id}"));
    finished.exchange.content = Some(Box::new(Content {
        system: vec![said],
        ..Content::default()
    }));
    finished
}

/// A sink that keeps the content that it was given.
struct Shown(Sender<(u64, Option<Content>)>);

impl Sink for Shown {
    fn name(&self) -> &'static str {
        "shown"
    }

    fn finished(&self, id: ExchangeId, exchange: &Arc<Exchange>) {
        let _ = self.0.send((id.0, exchange.content.as_deref().cloned()));
    }
}

#[test]
fn content_is_looked_through_before_any_sink_and_in_the_order_of_the_ends() {
    let (say, shown) = channel();
    let pipeline = Pipeline::new(&PipelineConfig::default(), vec![Arc::new(Shown(say))]);
    for id in [1, 3, 5] {
        pipeline.finish(with_content(id));
        pipeline.finish(quick(id + 1));
    }
    assert!(pipeline.drained(LONG));
    let shown: Vec<_> = shown.try_iter().collect();
    let ids: Vec<u64> = shown.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
    for (id, content) in shown.into_iter().step_by(2) {
        let clean = ContentPart::Text(format!("[EMAIL] {id}"));
        assert_eq!(content.unwrap().system, [clean]);
    }
    assert_balanced(&pipeline);
}
