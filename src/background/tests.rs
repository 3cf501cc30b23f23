use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use super::*;

/// Only a worker that is broken takes so long.
const LONG: Duration = Duration::from_secs(10);

const PLAN: Plan = Plan {
    name: "test",
    bound: 1000,
    linger: Duration::ZERO,
    enough: usize::MAX,
    idle: None,
};

/// What a worker was seen to do.
#[derive(Debug, PartialEq, Eq)]
enum Done {
    Job(u32),
    Round,
    Rest,
}

/// Says what it does; begins a job only with leave, where it needs one, and panics at job 13.
struct Say(Sender<Done>, Option<Receiver<()>>);

impl Work for Say {
    type Job = u32;

    fn run(&mut self, job: u32) {
        if let Some(leave) = &self.1 {
            let _ = leave.recv();
        }
        assert_ne!(job, 13, "the worker was told to panic here");
        let _ = self.0.send(Done::Job(job));
    }

    fn end_round(&mut self) {
        let _ = self.0.send(Done::Round);
    }

    fn rest(&mut self) {
        let _ = self.0.send(Done::Rest);
    }
}

fn start(plan: Plan) -> (Background<u32>, Receiver<Done>) {
    let (say, seen) = channel();
    (Background::start(plan, Say(say, None)), seen)
}

/// A worker that begins a job only when it is told to.
fn held(plan: Plan) -> (Background<u32>, Receiver<Done>, Sender<()>) {
    let (say, seen) = channel();
    let (leave, wait) = channel();
    (Background::start(plan, Say(say, Some(wait))), seen, leave)
}

fn jobs(seen: &Receiver<Done>) -> Vec<u32> {
    let jobs = seen.iter().filter_map(|done| match done {
        Done::Job(job) => Some(job),
        Done::Round | Done::Rest => None,
    });
    jobs.collect()
}

#[test]
fn jobs_are_done_in_their_order_and_all_of_them_before_the_end() {
    let (worker, seen) = start(PLAN);
    for job in 100..200 {
        assert_eq!(worker.submit(job), Ok(()));
    }
    drop(worker);
    // The channel closes when the thread has dropped the work.
    assert_eq!(jobs(&seen), (100..200).collect::<Vec<_>>());
}

#[test]
fn a_parked_worker_is_told_of_work() {
    let (worker, seen) = start(PLAN);
    for job in 0..3 {
        assert_eq!(worker.submit(job), Ok(()));
        assert_eq!(seen.recv_timeout(LONG), Ok(Done::Job(job)));
        assert_eq!(seen.recv_timeout(LONG), Ok(Done::Round));
    }
}

#[test]
fn what_does_not_fit_is_given_back_and_counted() {
    let (worker, seen, leave) = held(Plan { bound: 3, ..PLAN });
    assert_eq!(worker.submit(0), Ok(()));
    while worker.waiting() > 0 {
        // It is at work with the first from here on.
        thread::yield_now();
    }
    assert_eq!(worker.submit_weighing(1, 2), Ok(()));
    assert_eq!(worker.submit_weighing(2, 2), Err(2));
    assert_eq!(worker.submit(3), Ok(()));
    assert_eq!((worker.waiting(), worker.unfinished()), (3, 3));
    assert_eq!(worker.dropped(), 2);
    drop(leave);
    assert!(worker.end(LONG));
    assert_eq!(worker.submit(4), Err(4));
    assert_eq!((worker.waiting(), worker.unfinished()), (0, 0));
    assert_eq!(worker.dropped(), 3);
    drop(worker);
    assert_eq!(jobs(&seen), [0, 1, 3]);
}

#[test]
fn a_panic_costs_its_own_job_only() {
    let (worker, seen) = start(PLAN);
    for job in [12, 13, 14] {
        assert_eq!(worker.submit(job), Ok(()));
    }
    assert!(worker.end(LONG));
    assert_eq!((worker.unfinished(), worker.dropped()), (0, 1));
    drop(worker);
    assert_eq!(jobs(&seen), [12, 14]);
}

#[test]
fn a_round_lingers_until_there_is_enough_and_the_end_ends_the_lingering() {
    let plan = Plan {
        linger: LONG * 60,
        enough: 3,
        ..PLAN
    };
    let (worker, seen) = start(plan);
    assert_eq!(worker.submit(1), Ok(()));
    assert_eq!(worker.submit(2), Ok(()));
    assert_eq!(seen.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(worker.submit(3), Ok(()));
    for job in 1..=3 {
        assert_eq!(seen.recv_timeout(LONG), Ok(Done::Job(job)));
    }
    assert_eq!(seen.recv_timeout(LONG), Ok(Done::Round));
    assert_eq!(worker.submit(4), Ok(()));
    assert!(worker.end(LONG));
    drop(worker);
    assert_eq!(jobs(&seen), [4]);
}

#[test]
fn what_lingers_is_done_in_time() {
    let linger = Duration::from_millis(1);
    let (worker, seen) = start(Plan { linger, ..PLAN });
    assert_eq!(worker.submit(1), Ok(()));
    assert_eq!(seen.recv_timeout(LONG), Ok(Done::Job(1)));
}

#[test]
fn a_worker_that_hangs_is_not_waited_for_longer_than_said() {
    let (worker, _seen, leave) = held(PLAN);
    assert_eq!(worker.submit(1), Ok(()));
    assert!(!worker.end(Duration::from_millis(1)));
    assert_eq!(worker.unfinished(), 1);
    drop(leave);
}

#[test]
fn without_work_it_rests_once() {
    let idle = Some(Duration::from_millis(1));
    let (worker, seen) = start(Plan { idle, ..PLAN });
    assert_eq!(seen.recv_timeout(LONG), Ok(Done::Rest));
    assert_eq!(worker.submit(1), Ok(()));
    assert_eq!(seen.recv_timeout(LONG), Ok(Done::Job(1)));
}

/// A worker that waits to be told of work.
fn parked() -> (Background<u32>, Receiver<Done>) {
    let (worker, seen) = start(PLAN);
    while worker.0.0.lock().thread != Thread::Parked {
        thread::yield_now();
    }
    (worker, seen)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers")
}

#[test]
fn a_parked_worker_is_told_of_work_only_after_the_turn_of_the_task_that_has_it() {
    let (worker, seen) = parked();
    runtime().block_on(async move {
        assert_eq!(worker.submit(1), Ok(()));
        // The owner has the queue, the thread, and the wake-up that has not happened.
        let holders = || Arc::strong_count(&worker.0.0);
        assert_eq!(holders(), 3);
        tokio::task::yield_now().await;
        assert_eq!(holders(), 2);
        assert_eq!(seen.recv_timeout(LONG), Ok(Done::Job(1)));
    });
}

#[test]
fn a_parked_worker_is_told_of_work_by_a_runtime_that_ends_first() {
    let (worker, seen) = parked();
    let runtime = runtime();
    runtime.block_on(async { assert_eq!(worker.submit(1), Ok(())) });
    drop(runtime);
    assert_eq!(seen.recv_timeout(LONG), Ok(Done::Job(1)));
}

/// Looks ahead, and is surprised by a job that it has not seen; at job 13 it panics.
struct Foresee(Sender<u32>, Vec<u32>);

impl Work for Foresee {
    type Job = u32;

    fn look_ahead(&mut self, jobs: &mut dyn Iterator<Item = &u32>) {
        self.1 = jobs.copied().collect();
        assert_ne!(self.1[0], 13, "the worker was told to panic here");
    }

    fn run(&mut self, job: u32) {
        assert_eq!(self.1.remove(0), job, "a job was not foreseen");
        let _ = self.0.send(job);
    }
}

#[test]
fn jobs_are_looked_at_before_they_are_done_and_each_of_them_once() {
    let (say, seen) = channel();
    let worker = Background::start(PLAN, Foresee(say, Vec::new()));
    // More than are looked at together, and one of which looking ahead fails.
    let all: Vec<u32> = (13..900).collect();
    for job in &all {
        assert!(worker.submit(*job).is_ok());
    }
    assert!(worker.end(LONG));
    assert_eq!(seen.iter().collect::<Vec<_>>(), all);
    assert_eq!(worker.dropped(), 0);
}

#[test]
fn an_end_without_time_tells_what_is_done_from_what_is_not() {
    let (worker, seen) = start(PLAN);
    worker.submit(1).unwrap();
    assert_eq!(seen.recv(), Ok(Done::Job(1)));
    assert_eq!(seen.recv(), Ok(Done::Round));
    // The round is over once the worker looks for more, which is soon.
    while !worker.end(Duration::ZERO) {
        thread::yield_now();
    }

    let (worker, _seen, leave) = held(PLAN);
    worker.submit(1).unwrap();
    assert!(!worker.end(Duration::ZERO), "it waits, or is at work");
    drop(leave);
    assert!(worker.end(LONG));
}
