//! What happens to a finished exchange before the sinks get it, in the order in which exchanges ended.
//!
//! Everything that two sinks must agree on is decided here, once. Mostly that is done at once, on the thread of the observer
//! that closed the books; where a stage takes long for an exchange, this one and all that end after it go by one worker,
//! so that none overtakes another; where a stage asks another server, all of them do. Every exchange that comes is delivered to every sink or counted as lost: the queue is
//! bounded, a stage that panics costs only what it would have added, a sink that panics only its own delivery.

mod correlate;
mod drift;
mod estimate;
#[cfg(feature = "fault-injection")]
mod fault;
mod identical;
mod price;
mod provider;
mod redact;
mod sample;
mod share;
mod store;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::background::{Background, Plan, Work};
use crate::exchange::Exchange;
use crate::log::LogLimit;
use crate::memory::{Memory, Share};
use crate::redact::Redactor;
use crate::sink::{Deadline, ExchangeId, Progress, Sink};
use crate::state::{StateBooks, StateConfig};
use crate::store::StoreConfig;

pub use correlate::{CorrelateConfig, Remembered, Traces};
pub use estimate::{PromptTexts, Uncounted};
pub use price::{CurrentPrices, PriceConfig, PriceFileError, PricedUpstream, counts_of, worked};
pub use redact::{ErrorMessages, RedactConfig};
pub use sample::{OfParent, SampleConfig};

/// What the pipeline can be told.
#[derive(Debug, Clone)]
pub struct PipelineConfig {
    /// What becomes of tokens that no upstream reports. Default [`EstimateTokens::Own`].
    pub estimate_tokens: EstimateTokens,
    /// Of how many calls one is counted though its tokens are reported, to see how far the counting is off; 0, the default, for
    /// none.
    pub check_estimates: usize,
    /// What prices are worked out from. Default the catalogue that comes with the program.
    pub prices: PriceConfig,
    /// Whether requests are told apart by the conversations that they go on with. Default true.
    pub conversations: bool,
    /// How, and how much is remembered for it.
    pub correlate: CorrelateConfig,
    /// Where other processes learn of it.
    pub state: StateConfig,
    /// Which traces are kept, of those that client and sampler keep. Default all.
    pub sampling: SampleConfig,
    /// What is taken out of it before it goes anywhere.
    pub redact: RedactConfig,
    /// Where prompts are stored.
    pub store: StoreConfig,
    /// Whether sinks are given [`Exchange::history`], which the stages alone need. Default false.
    pub keeps_history: bool,
    /// Bounds what the exchanges that wait for a stage take; one beyond it is dropped.
    pub memory: Memory,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self {
            estimate_tokens: EstimateTokens::default(),
            check_estimates: 0,
            prices: PriceConfig::default(),
            conversations: true,
            correlate: CorrelateConfig::default(),
            state: StateConfig::default(),
            sampling: SampleConfig::default(),
            redact: RedactConfig::default(),
            store: StoreConfig::default(),
            keeps_history: false,
            memory: Memory::default(),
        }
    }
}

/// What becomes of tokens that no upstream reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EstimateTokens {
    /// They are counted, under names of our own.
    #[default]
    Own,
    /// They are counted, and stand in for the reported ones too.
    Standard,
    /// They are not counted.
    Off,
}

/// The stages in their order. A new one is one file, and one line here.
fn stages(config: &PipelineConfig, books: &Books, redactor: &Arc<Redactor>) -> Vec<Box<dyn Stage>> {
    let correlate = config.conversations.then(|| match &config.state.redis {
        None => Box::new(correlate::CorrelateStage::new(&config.correlate)) as Box<dyn Stage>,
        Some(redis) => Box::new(share::ShareStage::new(config, redis, &books.state)),
    });
    let estimate = estimate::EstimateStage::new(config.estimate_tokens, config.check_estimates);
    let estimate = estimate.map(|stage| Box::new(stage) as Box<dyn Stage>);
    let provider = Box::new(provider::ProviderStage::default());
    let price = Box::new(price::PriceStage::new(config.prices.clone()));
    let identical = Box::new(identical::IdenticalStage::new());
    let drift = Box::new(drift::DriftStage::default());
    let always: [Box<dyn Stage>; 4] = [identical, provider, price, drift];
    let sample = sample::SampleStage::new(&config.sampling);
    let sample = sample.map(|stage| Box::new(stage) as Box<dyn Stage>);
    // Those before it look at what was said, the one behind it makes what is stored.
    let redact: Box<dyn Stage> = Box::new(redact::RedactStage::new(&config.redact, redactor));
    let store = Box::new(store::StoreStage::new(config.store.link.as_deref()));
    #[cfg(feature = "fault-injection")]
    let sample = sample
        .into_iter()
        .chain([Box::new(fault::FaultStage) as Box<dyn Stage>]);
    correlate
        .into_iter()
        .chain(estimate)
        .chain(always)
        .chain(sample)
        .chain([redact, store])
        .collect()
}

/// How the worker goes about the exchanges for which a stage takes long, and those behind them. A table of the tokenizer's
/// is let go after a minute without work.
const PLAN: Plan = Plan {
    name: "pipeline",
    bound: 4096,
    linger: Duration::ZERO,
    enough: 1,
    idle: Some(Duration::from_secs(60)),
};

/// Most exchanges in the queue that hold their texts, each at most a prompt and an answer of a megabyte. Where more come
/// they go without an estimate.
const TEXTS_MAX: usize = 16;

/// An exchange whose books are closed, and what stages may need beside its facts.
#[derive(Debug)]
pub struct Finished {
    /// Its identity; sinks may know it already.
    pub id: ExchangeId,
    /// Its facts.
    pub exchange: Box<Exchange>,
    /// What its tokens are counted in, where nobody reported them and they are to be counted, or the counting is to be checked.
    pub uncounted: Option<Box<Uncounted>>,
    /// What holds the memory for its content, and for all of it where it waits.
    pub held: Option<Share>,
}

impl Finished {
    /// What it takes, in bytes.
    fn weight(&self) -> usize {
        let uncounted = self.uncounted.as_deref();
        self.exchange.weight() + uncounted.map_or(0, Uncounted::weight)
    }

    /// Counts it as held until it is through; false where that would be too much.
    fn hold(&mut self, memory: &Memory) -> bool {
        let weight = self.weight();
        let held = self.held.get_or_insert_with(|| memory.share());
        held.grow(weight.saturating_sub(held.bytes()))
    }
}

/// A step over finished exchanges.
trait Stage: Send {
    /// What the log calls it.
    fn name(&self) -> &'static str;

    /// These are next, in this order: gets ready for all of them at once.
    fn prepare(&mut self, _next: &[&Finished]) {}

    /// Adds to an exchange, or decides about it, what it is there for.
    fn run(&mut self, finished: &mut Finished);

    /// Writes down what it keeps count of.
    fn keep_books(&self, _books: &Books) {}

    /// Nothing has come for a while: lets go what only work needs.
    fn rest(&mut self) {}

    /// Nothing more will come: hands on what it holds, within this time. Blocks.
    fn end(&mut self, _within: Duration) {}
}

/// The stages, and the sinks behind them.
pub struct Pipeline {
    flow: Arc<Flow>,
    lane: Background<Finished>,
    wants: Wants,
    /// What takes out of an exchange in flight what is not to be told; `None` where it is not looked through.
    redactor: Option<Arc<Redactor>>,
    /// Bounds what waits.
    memory: Memory,
    full: LogLimit,
}

/// What of an exchange is to be gathered for the stages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Wants {
    texts: bool,
    /// Of how many exchanges one is to be counted in any case; 0 for none.
    checks: usize,
    history: bool,
    /// Whether a stage asks another server, and so none goes on the thread of an observer.
    worker: bool,
    /// Whether every exchange is looked through for what is not to be told.
    redacts_all: bool,
    /// Whether sinks are given the history, too.
    keeps_history: bool,
}

/// Counts of what went through a pipeline and what was lost in it.
#[derive(Debug, Default)]
pub struct Books {
    /// Exchanges that came.
    pub seen: AtomicU64,
    /// Exchanges that every sink was given.
    pub delivered: AtomicU64,
    /// Exchanges that no sink was given: too many waited.
    pub dropped: AtomicU64,
    /// Just after the last of them ended, in ms since 1970; 0 where there is none.
    pub dropped_until_ms: AtomicU64,
    /// Stages that failed on an exchange, which went on without what they add.
    pub failed_stages: AtomicU64,
    /// Sinks that failed on an exchange, which went on to the others.
    pub failed_sinks: AtomicU64,
    /// What is remembered of conversations.
    pub remembered: Remembered,
    /// What went wrong where that is shared.
    pub state: Arc<StateBooks>,
}

struct Flow {
    /// Locked for as long as an exchange is in them and in the sinks: that is what keeps the order.
    stages: Mutex<Vec<Box<dyn Stage>>>,
    sinks: Vec<Arc<dyn Sink>>,
    books: Arc<Books>,
    /// Exchanges in the queue that hold their texts.
    texts: AtomicUsize,
    keeps_history: bool,
    stage_failures: LogLimit,
    sink_failures: LogLimit,
}

impl Pipeline {
    /// Most exchanges that wait for a stage.
    pub const BOUND: usize = PLAN.bound;

    /// A pipeline into these sinks. Starts the thread of the exchanges that take long.
    #[must_use]
    pub fn new(config: &PipelineConfig, sinks: Vec<Arc<dyn Sink>>) -> Self {
        let wants = Wants {
            texts: config.estimate_tokens != EstimateTokens::Off,
            checks: config.check_estimates,
            history: config.conversations,
            worker: config.conversations && config.state.redis.is_some(),
            redacts_all: config.redact.always,
            keeps_history: config.keeps_history,
        };
        let books = Books::default();
        let redactor = Arc::new(Redactor::new(config.redact.policy.clone()));
        let stages = stages(config, &books, &redactor);
        Self {
            redactor: Some(redactor).filter(|_| config.redact.always),
            memory: config.memory.clone(),
            ..Self::of(stages, books, wants, sinks)
        }
    }

    fn of(
        stages: Vec<Box<dyn Stage>>,
        books: Books,
        wants: Wants,
        sinks: Vec<Arc<dyn Sink>>,
    ) -> Self {
        let flow = Arc::new(Flow {
            stages: Mutex::new(stages),
            sinks,
            books: Arc::new(books),
            texts: AtomicUsize::new(0),
            keeps_history: wants.keeps_history,
            stage_failures: LogLimit::per_minute(),
            sink_failures: LogLimit::per_minute(),
        });
        Self {
            lane: Background::start(PLAN, Lane(Arc::clone(&flow))),
            flow,
            wants,
            redactor: None,
            memory: Memory::default(),
            full: LogLimit::per_minute(),
        }
    }

    /// Whether [`Finished::uncounted`] are of any use.
    #[must_use]
    pub const fn wants_texts(&self) -> bool {
        self.wants.texts
    }

    /// Whether [`Finished::uncounted`] of this exchange are of use though its tokens are reported.
    #[must_use]
    pub const fn checks(&self, id: ExchangeId) -> bool {
        let one_of = self.wants.checks as u64;
        one_of > 0 && id.0.is_multiple_of(one_of)
    }

    /// Whether [`Exchange::history`] is of any use.
    #[must_use]
    pub const fn wants_history(&self) -> bool {
        self.wants.history
    }

    /// Whether other processes have a part in the conversations.
    #[must_use]
    pub const fn shares_state(&self) -> bool {
        self.wants.worker
    }

    /// What went through and what was lost.
    #[must_use]
    pub fn books(&self) -> Arc<Books> {
        Arc::clone(&self.flow.books)
    }

    /// Shows the sinks how far an exchange in flight has come.
    pub fn in_flight(&self, progress: &Progress<'_>) {
        let Some(redactor) = &self.redactor else {
            return self.flow.each_sink(|sink| sink.in_flight(progress));
        };
        let path = redactor.redact_name(progress.path);
        let model = progress.model.and_then(|model| redactor.redact_name(model));
        let progress = Progress {
            path: path.as_deref().unwrap_or(progress.path),
            model: model.as_deref().or(progress.model),
            ..*progress
        };
        self.flow.each_sink(|sink| sink.in_flight(&progress));
    }

    /// Takes an exchange that is over. Does not wait: where it takes long, it is done by the worker.
    pub fn finish(&self, mut finished: Finished) {
        let flow = &*self.flow;
        flow.books.seen.fetch_add(1, Ordering::Relaxed);
        let redacts = redact::is_due(&finished.exchange, self.wants.redacts_all);
        let is_quick = finished.uncounted.is_none() && !self.wants.worker && !redacts;
        if is_quick && self.lane.unfinished() == 0 {
            flow.run(finished);
            return;
        }
        if !finished.hold(&self.memory) {
            return self.drop_counted(&finished);
        }
        if flow.texts.load(Ordering::Relaxed) >= TEXTS_MAX {
            finished.uncounted = None;
        } else if finished.uncounted.is_some() {
            flow.texts.fetch_add(1, Ordering::Relaxed);
        }
        let Err(lost) = self.lane.submit(finished) else {
            return;
        };
        if lost.uncounted.is_some() {
            flow.texts.fetch_sub(1, Ordering::Relaxed);
        }
        self.drop_counted(&lost);
    }

    /// Takes note of an exchange that no sink is given.
    fn drop_counted(&self, lost: &Finished) {
        let books = &self.flow.books;
        books
            .dropped_until_ms
            .fetch_max(just_after(&lost.exchange), Ordering::Relaxed);
        let dropped = 1 + books.dropped.fetch_add(1, Ordering::Relaxed);
        if let Some(held_back) = self.full.pass() {
            tracing::warn!(
                dropped,
                held_back,
                "telemetry of exchanges was dropped: the pipeline queue is full"
            );
        }
    }

    /// Exchanges that have come and not yet gone to the sinks.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lane.unfinished()
    }

    /// Has everything that has come delivered, and the sinks hand on what they hold, side by side; takes nothing more.
    /// Says whether all of it was done in the time given. Blocks.
    pub fn drained(&self, deadline: impl Into<Deadline>) -> bool {
        let deadline = deadline.into();
        let until = Instant::now() + deadline.within;
        let delivered = self.lane.end(deadline.within);
        if delivered {
            let left = || until.saturating_duration_since(Instant::now());
            let mut stages = self.flow.stages();
            stages.iter_mut().for_each(|stage| stage.end(left()));
        }
        thread::scope(|scope| {
            for sink in &self.flow.sinks {
                let left = deadline.left(until);
                scope.spawn(move || self.flow.guard(sink, || sink.flush(left)));
            }
        });
        self.end_log();
        delivered
    }

    /// Has the sinks say what was lost of what was late when they were drained. Blocks no longer than this.
    pub fn last_words(&self, within: Duration) {
        let until = Instant::now() + within;
        for sink in &self.flow.sinks {
            let left = until.saturating_duration_since(Instant::now());
            self.flow.guard(sink, || sink.last_words(left));
        }
    }

    /// Says in the log how many lines were held back.
    fn end_log(&self) {
        let Flow {
            stage_failures,
            sink_failures,
            ..
        } = &*self.flow;
        self.full
            .end("telemetry of exchanges was dropped: the pipeline queue is full");
        stage_failures.end(
            "a pipeline stage failed; the telemetry of the exchange continues without its result",
        );
        sink_failures.end("a telemetry sink failed on an exchange");
    }
}

/// The first whole millisecond since 1970 after the end of an exchange.
fn just_after(exchange: &Exchange) -> u64 {
    let ended_at = exchange.started_at + exchange.times.end;
    let since = ended_at.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_millis() as u64 + 1
}

/// What the worker does.
struct Lane(Arc<Flow>);

impl Work for Lane {
    type Job = Finished;

    fn look_ahead(&mut self, jobs: &mut dyn Iterator<Item = &Finished>) {
        let jobs: Vec<&Finished> = jobs.collect();
        let mut stages = self.0.stages();
        stages.iter_mut().for_each(|stage| stage.prepare(&jobs));
    }

    fn run(&mut self, finished: Finished) {
        if finished.uncounted.is_some() {
            self.0.texts.fetch_sub(1, Ordering::Relaxed);
        }
        self.0.run(finished);
    }

    fn rest(&mut self) {
        self.0.stages().iter_mut().for_each(|stage| stage.rest());
    }
}

impl Flow {
    /// A poisoned lock still holds every stage; one that panicked is expected to be fit for the next exchange.
    fn stages(&self) -> MutexGuard<'_, Vec<Box<dyn Stage>>> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut finished: Finished) {
        let mut stages = self.stages();
        for stage in stages.iter_mut() {
            let run = catch_unwind(AssertUnwindSafe(|| {
                stage.run(&mut finished);
                stage.keep_books(&self.books);
            }));
            if run.is_err() {
                let failed = 1 + self.books.failed_stages.fetch_add(1, Ordering::Relaxed);
                if let Some(held_back) = self.stage_failures.pass() {
                    tracing::error!(
                        stage = stage.name(),
                        failed,
                        held_back,
                        "a pipeline stage failed; the telemetry of the exchange continues without its result"
                    );
                }
            }
        }
        let Finished {
            id, mut exchange, ..
        } = finished;
        if !self.keeps_history {
            exchange.history = None;
        }
        // Some sinks keep it: all share one.
        let exchange = Arc::from(exchange);
        self.each_sink(|sink| sink.finished(id, &exchange));
        self.books.delivered.fetch_add(1, Ordering::Relaxed);
    }

    fn each_sink(&self, give: impl Fn(&dyn Sink)) {
        for sink in &self.sinks {
            self.guard(sink, || give(&**sink));
        }
    }

    /// A sink that panics keeps nothing from the others.
    fn guard(&self, sink: &Arc<dyn Sink>, call: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(call)).is_ok() {
            return;
        }
        let failed = 1 + self.books.failed_sinks.fetch_add(1, Ordering::Relaxed);
        if let Some(held_back) = self.sink_failures.pass() {
            let sink = sink.name();
            tracing::error!(
                sink,
                failed,
                held_back,
                "a telemetry sink failed on an exchange"
            );
        }
    }
}

#[cfg(test)]
mod tests;
