//! A worker for what is done off the byte path: a thread of its own, a queue with a bound, and books of what was lost.
//!
//! Whoever hands work over never waits for it. What does not fit is given back and counted; what was taken is done in its
//! order. Work is done in rounds, each of which takes everything that waits: handing over wakes nobody while a round
//! lingers, which is most of the time. A task for each job woke another thread for nearly every request.
//!
//! Where the thread must be woken, that waits until the task that hands over is done with its turn. An exchange ends before
//! its last bytes are written, and a thread that is woken may at once be given the core: it took 50 µs from each answer that
//! came after a pause, half of them to find the locks of the one that woke it, and to go back to sleep.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

/// Memory for so many jobs stays with the queue between two rounds.
const KEPT_JOBS: usize = 256;

/// Most jobs that are looked at ahead.
const AHEAD_MAX: usize = 256;

/// What a worker does with its jobs.
pub trait Work: Send + 'static {
    /// One piece of work.
    type Job: Send + 'static;

    /// These are done next, in this order: gets ready for all of them at once.
    fn look_ahead(&mut self, _jobs: &mut dyn Iterator<Item = &Self::Job>) {}

    /// Does one. A panic costs this job only, which counts as dropped.
    fn run(&mut self, job: Self::Job);

    /// Nothing waits any more: does what is best done for many jobs together.
    fn end_round(&mut self) {}

    /// Nothing has come for as long as [`Plan::idle`] says: lets go what only work needs.
    fn rest(&mut self) {}
}

/// How a worker goes about its work.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Name of the thread.
    pub name: &'static str,
    /// Most that may wait, in what jobs weigh.
    pub bound: usize,
    /// How long a round waits for more work to join it, from its first job on. Work is that much later, and there are at
    /// most so many rounds in a second.
    pub linger: Duration,
    /// So much that waits ends the lingering, in what jobs weigh.
    pub enough: usize,
    /// After so long without work the worker rests; `None`: it never does.
    pub idle: Option<Duration>,
}

/// The way to a worker. The thread ends with the last clone, once everything that it took is done.
pub struct Background<J: Send + 'static>(Arc<Owner<J>>);

impl<J: Send + 'static> Clone for Background<J> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<J: Send + 'static> fmt::Debug for Background<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = &self.0.0;
        f.debug_struct("Background")
            .field("name", &queue.plan.name)
            .field("waiting", &self.waiting())
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}

/// Lets the thread end when nobody is left to give it work.
struct Owner<J: Send + 'static>(Arc<Queue<J>>);

impl<J: Send + 'static> Drop for Owner<J> {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct Queue<J> {
    plan: Plan,
    /// What waits to be begun, in what it weighs.
    waiting: AtomicUsize,
    /// Jobs that wait or are at work.
    unfinished: AtomicUsize,
    dropped: AtomicU64,
    state: Mutex<QueueState<J>>,
    /// Tells the thread of work, or of the end.
    work: Condvar,
    /// Says that the thread has ended.
    ended: Condvar,
}

struct QueueState<J> {
    waiting: Vec<(J, usize)>,
    /// What they weigh together.
    weight: usize,
    thread: Thread,
    /// Nothing more is taken.
    closed: bool,
    /// What was taken for a round is not done yet.
    in_round: bool,
}

/// What the thread is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thread {
    /// It waits to be told of work.
    Parked,
    /// It waits for more work to join a round.
    Lingering,
    /// It is at work, and will look for more.
    Working,
    Ended,
}

impl<J: Send + 'static> Background<J> {
    /// Starts the thread.
    ///
    /// # Panics
    /// Where the system has no thread left.
    #[must_use]
    pub fn start(plan: Plan, work: impl Work<Job = J>) -> Self {
        let name = plan.name.to_owned();
        let queue = Arc::new(Queue {
            plan,
            waiting: AtomicUsize::new(0),
            unfinished: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            state: Mutex::new(QueueState {
                waiting: Vec::new(),
                weight: 0,
                thread: Thread::Working,
                closed: false,
                in_round: false,
            }),
            work: Condvar::new(),
            ended: Condvar::new(),
        });
        let working = Arc::clone(&queue);
        thread::Builder::new()
            .name(name)
            .spawn(move || working.rounds(work))
            .expect("a process that cannot start a thread at its start cannot do its work");
        Self(Arc::new(Owner(queue)))
    }

    /// Takes a job; gives it back, and counts it as dropped, where it does not fit or nothing more is taken. Never waits.
    ///
    /// # Errors
    /// The job itself.
    pub fn submit(&self, job: J) -> Result<(), J> {
        self.submit_weighing(job, 1)
    }

    /// As [`submit`](Self::submit), for a job that counts as so many towards the bound and in the books.
    ///
    /// # Errors
    /// The job itself.
    pub fn submit_weighing(&self, job: J, weight: usize) -> Result<(), J> {
        let queue = &self.0.0;
        let mut state = queue.lock();
        // The worker only ever makes it less.
        let waiting = queue.waiting.load(Ordering::Relaxed);
        if state.closed || waiting + weight > queue.plan.bound {
            drop(state);
            queue.dropped.fetch_add(weight as u64, Ordering::Relaxed);
            return Err(job);
        }
        queue.waiting.fetch_add(weight, Ordering::Relaxed);
        queue.unfinished.fetch_add(1, Ordering::Relaxed);
        state.waiting.push((job, weight));
        let before = state.weight;
        state.weight += weight;
        let enough = queue.plan.enough;
        let wakes = match state.thread {
            Thread::Parked => {
                // Nobody else need wake it.
                state.thread = Thread::Lingering;
                true
            }
            Thread::Lingering => before < enough && state.weight >= enough,
            Thread::Working | Thread::Ended => false,
        };
        drop(state);
        if wakes {
            Wake(Arc::clone(queue)).after_this_turn();
        }
        Ok(())
    }

    /// What waits to be begun, in what jobs weigh.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.0.waiting.load(Ordering::Relaxed)
    }

    /// Jobs that wait or are at work.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.0.0.unfinished.load(Ordering::Acquire)
    }

    /// What was lost so far, in what jobs weigh: it did not fit, came after the end, or its work panicked.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.0.dropped.load(Ordering::Relaxed)
    }

    /// Takes nothing more, has everything done that was taken, and ends the thread. Says whether all was done in time, though the thread
    /// may not have come to its end.
    pub fn end(&self, within: Duration) -> bool {
        self.0.0.close();
        let state = self.0.0.lock();
        let running = |state: &mut QueueState<J>| state.thread != Thread::Ended;
        let waited = self.0.0.ended.wait_timeout_while(state, within, running);
        waited.is_ok_and(|(state, timeout)| {
            !timeout.timed_out() || state.waiting.is_empty() && !state.in_round
        })
    }
}

/// Tells the thread of work when dropped, and so also by a runtime that ends before its turn.
struct Wake<J>(Arc<Queue<J>>);

impl<J: Send + 'static> Wake<J> {
    /// Dropped once the task that runs on this thread has had its turn; at once where there is none.
    fn after_this_turn(self) {
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { drop(self) });
        }
    }
}

impl<J> Drop for Wake<J> {
    fn drop(&mut self) {
        self.0.work.notify_one();
    }
}

impl<J> Queue<J> {
    /// A poisoned lock still holds a whole state: nothing in a critical section can panic half-way through a change.
    fn lock(&self) -> MutexGuard<'_, QueueState<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.work.notify_one();
    }

    fn rounds(&self, mut work: impl Work<Job = J>) {
        let mut jobs = Vec::new();
        while self.next_round(&mut jobs, || work.rest()) {
            while !jobs.is_empty() {
                let ahead = jobs.len().min(AHEAD_MAX);
                let mut next = jobs[..ahead].iter().map(|(job, _)| job);
                let _ = catch_unwind(AssertUnwindSafe(|| work.look_ahead(&mut next)));
                for (job, weight) in jobs.drain(..ahead) {
                    self.waiting.fetch_sub(weight, Ordering::Relaxed);
                    let done = catch_unwind(AssertUnwindSafe(|| work.run(job)));
                    self.unfinished.fetch_sub(1, Ordering::Release);
                    if done.is_err() {
                        self.dropped.fetch_add(weight as u64, Ordering::Relaxed);
                    }
                }
            }
            jobs.shrink_to(KEPT_JOBS);
            // What it was about is lost with it; the worker goes on.
            let _ = catch_unwind(AssertUnwindSafe(|| work.end_round()));
        }
        // What the work holds is let go before anybody learns of the end.
        drop(work);
        self.lock().thread = Thread::Ended;
        self.ended.notify_all();
    }

    /// Takes everything that waits, once the round need not linger any more; `false` when there will be nothing more.
    fn next_round(&self, jobs: &mut Vec<(J, usize)>, rest: impl FnMut()) -> bool {
        let mut state = self.first_job(rest);
        let due = Instant::now() + self.plan.linger;
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if state.closed || state.weight >= self.plan.enough || left.is_zero() {
                break;
            }
            state.thread = Thread::Lingering;
            state = match self.work.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        state.thread = Thread::Working;
        state.weight = 0;
        std::mem::swap(&mut state.waiting, jobs);
        state.in_round = !jobs.is_empty();
        state.in_round
    }

    /// Returns once something waits, or nothing more will come.
    fn first_job(&self, mut rest: impl FnMut()) -> MutexGuard<'_, QueueState<J>> {
        let mut state = self.lock();
        state.in_round = false;
        let mut rested = false;
        while state.waiting.is_empty() && !state.closed {
            state.thread = Thread::Parked;
            state = match self.plan.idle.filter(|_| !rested) {
                None => self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(idle) => {
                    let (state, waited) = match self.work.wait_timeout(state, idle) {
                        Ok(waited) => waited,
                        Err(poisoned) => poisoned.into_inner(),
                    };
                    if waited.timed_out() && state.waiting.is_empty() {
                        rested = true;
                        drop(state);
                        rest();
                        self.lock()
                    } else {
                        state
                    }
                }
            };
        }
        state
    }
}

#[cfg(test)]
mod tests;
