//! The threads on which connections are served: one for each core, each with a runtime of its own.
//!
//! A connection stays on the thread it was given to, and so does the connection to the upstream that it uses: no task
//! moves, and no thread wakes another. With one runtime for all cores a paced chunk cost an eighth more.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// As many as the process may use cores, by affinity and quota.
static COUNT: LazyLock<usize> =
    LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from));

thread_local! {
    static INDEX: Cell<usize> = const { Cell::new(0) };
}

/// Something for each worker, so that nothing is shared between threads.
#[derive(Debug)]
pub(crate) struct PerWorker<T>(Box<[T]>);

impl<T> PerWorker<T> {
    /// Makes one for each.
    pub(crate) fn new(make: impl FnMut() -> T) -> Self {
        Self(std::iter::repeat_with(make).take(*COUNT).collect())
    }

    /// The one of the worker this runs on. Every other thread shares the first worker's.
    pub(crate) fn own(&self) -> &T {
        &self.0[INDEX.get()]
    }
}

/// The running threads. They end when this is dropped, and what runs on them with them.
#[derive(Debug)]
pub(crate) struct Workers(Box<[Worker]>);

#[derive(Debug)]
struct Worker {
    handle: Handle,
    /// How many connections it has.
    connections: Arc<AtomicUsize>,
    /// Dropped, it ends the thread.
    _running: oneshot::Sender<()>,
}

impl Workers {
    /// Starts them.
    ///
    /// # Errors
    /// When the system has no thread or file descriptor left.
    pub(crate) fn start() -> io::Result<Self> {
        (0..*COUNT)
            .map(Worker::start)
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// The worker that has the fewest connections, to be given one more.
    pub(crate) fn least_loaded(&self) -> (&Handle, Load) {
        let worker = self
            .0
            .iter()
            .min_by_key(|worker| worker.connections.load(Ordering::Relaxed))
            .expect("a process may use at least one core");
        worker.connections.fetch_add(1, Ordering::Relaxed);
        (&worker.handle, Load(Arc::clone(&worker.connections)))
    }
}

/// One connection's share of its worker's load, until dropped.
#[derive(Debug)]
pub(crate) struct Load(Arc<AtomicUsize>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Worker {
    fn start(index: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, over) = oneshot::channel::<()>();
        thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                INDEX.set(index);
                // Resolves with an error, when the sender is dropped.
                let _ = runtime.block_on(over);
                // A name that is still being resolved must not hold up the end.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            handle,
            connections: Arc::default(),
            _running: running,
        })
    }
}
