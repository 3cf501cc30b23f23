//! Counts the tokens that no upstream reported, on a thread of its own.
//!
//! Counting takes a hundred times longer than folding, so neither the byte path nor other observers may wait for it:
//! an exchange that is to be estimated goes to the sinks from here. The tables it needs take some 40 MB each; they are made
//! when they are first needed, and freed after a minute without use.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use crate::dialect::{Dialect, Prompt};
use crate::exchange::Exchange;
use crate::sink::{ExchangeId, Sink};
use crate::tokenizer::Tokenizer;

/// Most exchanges that wait to be counted. Each holds at most a prompt and an answer of
/// [`TEXT_MAX`](crate::dialect::TEXT_MAX).
const WAITING_MAX: usize = 16;

/// How long the tables are kept for the next exchange.
const KEPT: Duration = Duration::from_secs(60);

/// A finished exchange, on its way to the sinks.
pub(super) struct Finished {
    pub(super) id: ExchangeId,
    pub(super) exchange: Box<Exchange>,
    pub(super) sinks: Arc<[Arc<dyn Sink>]>,
}

impl Finished {
    /// Gives it to every sink.
    pub(super) fn deliver(self) {
        let exchange = Arc::<Exchange>::from(self.exchange);
        for sink in self.sinks.iter() {
            sink.finished(self.id, &exchange);
        }
    }
}

/// What the tokens of an exchange are counted in.
pub(super) struct Countable {
    /// Knows how to find the prompt in a body.
    pub(super) dialect: &'static dyn Dialect,
    /// The decoded request; `None` where it was not seen whole, or is too large.
    pub(super) body: Option<Bytes>,
    /// The text of each choice; `None` where not all that was generated is text, or too much of it.
    pub(super) generated: Option<Vec<String>>,
}

/// Where the exchanges are handed over whose tokens nobody reported. Clones share the thread, which ends with the last of them.
#[derive(Clone)]
pub struct Estimates {
    jobs: SyncSender<Job>,
    pending: Arc<AtomicU64>,
}

struct Job {
    finished: Finished,
    countable: Countable,
    _pending: Pending,
}

/// Counts a job for as long as it lives.
struct Pending(Arc<AtomicU64>);

impl Pending {
    fn new(count: &Arc<AtomicU64>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Estimates {
    /// Starts the thread. `pending` is kept at the number of exchanges that have not reached the sinks.
    #[must_use]
    pub fn start(pending: Arc<AtomicU64>) -> Self {
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        thread::Builder::new()
            .name("estimates".to_owned())
            .spawn(move || work(&waiting))
            .expect("a process that cannot start a thread at its start cannot do its work");
        Self { jobs, pending }
    }

    /// Takes an exchange; its sinks hear of it once its tokens have been counted. Where too many wait it goes to them as
    /// it is. Does not block.
    pub(super) fn submit(&self, finished: Finished, countable: Countable) {
        let job = Job {
            finished,
            countable,
            _pending: Pending::new(&self.pending),
        };
        match self.jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                job.finished.deliver()
            }
        }
    }
}

fn work(jobs: &Receiver<Job>) {
    let mut tokenizer = Tokenizer::default();
    loop {
        match jobs.recv_timeout(KEPT) {
            Ok(mut job) => {
                let exchange = &mut job.finished.exchange;
                // A text that the library cannot take costs its own estimate only.
                let count = || estimate(exchange, &job.countable, &mut tokenizer);
                if catch_unwind(AssertUnwindSafe(count)).is_err() {
                    tracing::warn!("tokens could not be counted: the tokenizer failed");
                    tokenizer = Tokenizer::default();
                }
                job.finished.deliver();
            }
            Err(RecvTimeoutError::Timeout) => tokenizer = Tokenizer::default(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Sets the counts that can be told.
fn estimate(exchange: &mut Exchange, countable: &Countable, tokenizer: &mut Tokenizer) {
    let models = [&exchange.response.model, &exchange.request.model];
    let model = models.into_iter().flatten().next();
    let model = model.map_or("", String::as_str);
    let mut count = |texts: &[String]| -> Option<u64> {
        let counts = texts.iter().map(|text| tokenizer.count(model, text));
        counts.sum()
    };
    let body = countable.body.as_ref();
    let prompt = body.and_then(|body| countable.dialect.prompt(body));
    let input = prompt.and_then(|Prompt { texts, tokens }| Some(count(&texts)? + tokens));
    let generated = countable.generated.as_ref();
    let output = generated.and_then(|texts| count(texts));
    let usage = &mut exchange.usage;
    usage.input_tokens = input;
    usage.output_tokens = output;
    usage.estimated = input.or(output).is_some();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect;
    use crate::exchange::Usage;
    use std::sync::Mutex;
    use std::sync::mpsc::{Sender, channel};
    use std::time::SystemTime;

    /// A sink that says what it heard, and hears no more on the counting thread until it is let.
    struct Gate {
        heard: Sender<(u64, Usage)>,
        open: Mutex<Receiver<()>>,
    }

    impl Sink for Gate {
        fn finished(&self, id: ExchangeId, exchange: &Arc<Exchange>) {
            let _ = self.heard.send((id.0, exchange.usage.clone()));
            if thread::current().name() == Some("estimates") {
                let _ = self.open.lock().unwrap().recv();
            }
        }
    }

    fn countable() -> Countable {
        Countable {
            dialect: dialect::for_request("POST", "/v1/completions").unwrap(),
            body: Some(Bytes::from_static(br#"{"prompt":[1,2,3]}"#)),
            generated: Some(vec!["water".to_owned()]),
        }
    }

    #[test]
    fn where_too_many_wait_an_exchange_goes_on_without_an_estimate() {
        let (heard, hear) = channel();
        let (open, gate) = channel();
        let sink: Arc<dyn Sink> = Arc::new(Gate {
            heard,
            open: Mutex::new(gate),
        });
        let sinks: Arc<[Arc<dyn Sink>]> = Arc::new([sink]);
        let pending = Arc::<AtomicU64>::default();
        let estimates = Estimates::start(Arc::clone(&pending));
        let submit = |id| {
            let finished = Finished {
                id: ExchangeId(id),
                exchange: Box::new(Exchange::begin(SystemTime::UNIX_EPOCH)),
                sinks: Arc::clone(&sinks),
            };
            estimates.submit(finished, countable());
        };
        submit(0);
        let (id, usage) = hear.recv().unwrap();
        assert_eq!((id, usage.estimated), (0, true));
        assert_eq!(
            (usage.input_tokens, usage.output_tokens),
            (Some(3), Some(1))
        );
        // The thread stands at the gate now, and nothing makes room.
        let last = WAITING_MAX as u64 + 1;
        (1..=last).for_each(submit);
        assert_eq!(hear.recv().unwrap(), (last, Usage::default()));
        assert_eq!(pending.load(Ordering::Relaxed), last);
        drop(open);
        drop(estimates);
        for id in 1..last {
            let (heard, usage) = hear.recv().unwrap();
            assert_eq!((heard, usage.estimated), (id, true));
        }
    }
}
