//! The thread on which observers fold what taps show them.
//!
//! A thread of its own, so that a long fold takes no turn from the byte path, and so that handing over wakes nobody most
//! of the time: before each round the thread rests for a moment, and what comes meanwhile joins it. A task for each batch
//! woke another thread of the runtime for nearly every request (1.1 futex calls and context switches each). It rests
//! before the round and not after it, because a round takes a core for 100 µs and more, and the moment an answer is
//! written is the one at which its client wants that core: at 125 requests a second it took 20 µs of the median and a
//! fifth of the slowest percent.
//!
//! Where it must be woken, that waits until the task that hands over is done with its turn. An exchange ends before its
//! last bytes are written, and a thread that is woken may at once be given the core: it took 50 µs from each answer that
//! came after a pause, half of them to find the locks of the one that woke it, and to go back to sleep.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;

/// Before each round; telemetry is that much later, and there are at most so many rounds a second.
const REST: Duration = Duration::from_millis(2);
/// Most jobs that wait. Each holds one exchange's batch.
const WAITING_MAX: usize = 1 << 16;

/// Something to be done off the byte path. It must not panic.
pub(super) trait Job: Send + 'static {
    /// Does it.
    fn run(self);
}

/// Runs jobs in their order. Clones share the thread, which ends with the last of them, once everything is done.
pub(super) struct Worker<J: Job>(Arc<Owner<J>>);

impl<J: Job> Clone for Worker<J> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Tells the thread that nobody is left to give it work.
struct Owner<J: Job>(Arc<Queue<J>>);

struct Queue<J> {
    state: Mutex<State<J>>,
    work: Condvar,
}

struct State<J> {
    waiting: Vec<J>,
    /// Whether the thread waits to be told of work.
    parked: bool,
    over: bool,
}

impl<J: Job> Worker<J> {
    /// Starts the thread.
    pub(super) fn start(name: &str) -> Self {
        Self::resting(name, || thread::sleep(REST))
    }

    /// Starts a thread that rests so.
    fn resting(name: &str, rest: impl Fn() + Send + 'static) -> Self {
        let queue = Arc::new(Queue {
            state: Mutex::new(State {
                waiting: Vec::new(),
                parked: false,
                over: false,
            }),
            work: Condvar::new(),
        });
        let work = Arc::clone(&queue);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work.rounds(rest))
            .expect("a process that cannot start a thread at its start cannot do its work");
        Self(Arc::new(Owner(queue)))
    }

    /// Takes a job, or gives it back when too many wait. Does not block.
    pub(super) fn submit(&self, job: J) -> Result<(), J> {
        let queue = &self.0.0;
        let mut state = queue.lock();
        if state.waiting.len() >= WAITING_MAX {
            return Err(job);
        }
        state.waiting.push(job);
        let parked = std::mem::take(&mut state.parked);
        drop(state);
        if parked {
            Wake(Arc::clone(queue)).after_this_turn();
        }
        Ok(())
    }
}

/// Tells the thread of work when dropped, and so also by a runtime that ends before its turn.
struct Wake<J: Job>(Arc<Queue<J>>);

impl<J: Job> Wake<J> {
    /// Dropped once the task that runs on this thread has had its turn; at once where there is none.
    fn after_this_turn(self) {
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { drop(self) });
        }
    }
}

impl<J: Job> Drop for Wake<J> {
    fn drop(&mut self) {
        self.0.work.notify_one();
    }
}

impl<J: Job> Drop for Owner<J> {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.work.notify_one();
    }
}

impl<J: Job> Queue<J> {
    fn rounds(&self, rest: impl Fn()) {
        while self.wait_for_work() {
            rest();
            let jobs = std::mem::take(&mut self.lock().waiting);
            jobs.into_iter().for_each(Job::run);
        }
    }

    /// Returns once something waits; `false` when there will be nothing more.
    fn wait_for_work(&self) -> bool {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.over {
                return false;
            }
            state.parked = true;
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.parked = false;
        true
    }

    /// A poisoned lock still holds a whole state: nothing in a critical section can panic half-way through a change.
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Only a worker that is broken takes so long.
    const LONG: Duration = Duration::from_secs(10);

    struct Say(u32, mpsc::Sender<u32>);

    impl Job for Say {
        fn run(self) {
            let _ = self.1.send(self.0);
        }
    }

    #[test]
    fn jobs_run_in_their_order_and_all_of_them_before_the_end() {
        let (sender, heard) = mpsc::channel();
        let worker = Worker::start("worker-test");
        for number in 0..100 {
            assert!(worker.submit(Say(number, sender.clone())).is_ok());
        }
        drop((worker, sender));
        // The channel closes when the thread has dropped the last sender.
        assert!(heard.iter().eq(0..100));
    }

    #[test]
    fn a_parked_worker_is_told_of_work() {
        let (sender, heard) = mpsc::channel();
        let worker = Worker::start("worker-test");
        for number in 0..3 {
            assert!(worker.submit(Say(number, sender.clone())).is_ok());
            assert_eq!(heard.recv_timeout(LONG), Ok(number));
        }
    }

    #[test]
    fn it_rests_before_a_round_and_what_comes_meanwhile_joins_it() {
        let (sender, heard) = mpsc::channel();
        let (begin, begun) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let worker = Worker::resting("worker-test", move || {
            begin.send(()).expect("the test listens");
            ended.recv_timeout(LONG).expect("the test ends the rest");
        });
        assert!(worker.submit(Say(1, sender.clone())).is_ok());
        assert_eq!(begun.recv_timeout(LONG), Ok(()));
        assert_eq!(heard.try_recv(), Err(mpsc::TryRecvError::Empty));
        assert!(worker.submit(Say(2, sender)).is_ok());
        end.send(()).expect("it rests");
        for number in 1..=2 {
            assert_eq!(heard.recv_timeout(LONG), Ok(number));
        }
    }

    /// A worker that waits to be told of work.
    fn parked() -> Worker<Say> {
        let worker = Worker::start("worker-test");
        while !worker.0.0.lock().parked {
            thread::yield_now();
        }
        worker
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime without drivers")
    }

    #[test]
    fn a_parked_worker_is_told_of_work_only_after_the_turn_of_the_task_that_has_it() {
        let (sender, heard) = mpsc::channel();
        let worker = parked();
        runtime().block_on(async move {
            assert!(worker.submit(Say(1, sender)).is_ok());
            // The owner has the queue, the thread, and the wake-up that has not happened.
            let holders = || Arc::strong_count(&worker.0.0);
            assert_eq!(holders(), 3);
            tokio::task::yield_now().await;
            assert_eq!(holders(), 2);
            assert_eq!(heard.recv_timeout(LONG), Ok(1));
        });
    }

    #[test]
    fn a_parked_worker_is_told_of_work_by_a_runtime_that_ends_first() {
        let (sender, heard) = mpsc::channel();
        let worker = parked();
        let runtime = runtime();
        runtime.block_on(async { assert!(worker.submit(Say(1, sender)).is_ok()) });
        drop(runtime);
        assert_eq!(heard.recv_timeout(LONG), Ok(1));
    }
}
