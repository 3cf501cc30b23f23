//! What calls cost and how many tokens they took, hour by hour: for whoever shares out a bill.
//!
//! Sums are kept by upstream, by requested model, and by whatever else metrics are told apart by (`telemetry.labels`), exact. All of it is
//! bounded: a dimension has so many values in an hour, an hour so many rows, and the oldest hours go. With a folder the sums are
//! written there every so often and at the end, and read again at the next start.

mod book;
mod file;
mod sums;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::{Deadline, ExchangeId, Sink};
use crate::background::{Background, Plan, Work};
use crate::disk;
use crate::exchange::Exchange;
use crate::log::LogLimit;
use crate::semconv::told;

pub use self::book::{Dimension, Table};
pub use self::sums::Sums;

use self::book::Book;

/// What the sums can be told.
#[derive(Debug, Clone, Default)]
pub struct CostsConfig {
    /// What they are told apart by, beside upstream and model: attributes by their names. Default none.
    pub labels: Vec<&'static str>,
    /// Different values that each of these, and a model, may have in an hour before the rest fold into `_other`.
    pub label_values: usize,
    /// Where they are kept; `None`: in memory alone. Default `None`.
    pub folder: Option<PathBuf>,
}

/// The name of the file in that folder.
const FILE: &str = "costs.json";

/// The sums are on the disk so long after an exchange at the latest.
const PLAN: Plan = Plan {
    name: "costs",
    bound: 1,
    linger: Duration::from_secs(10),
    enough: usize::MAX,
    idle: None,
};

/// The sums.
#[derive(Debug)]
pub struct Costs {
    shared: Arc<Shared>,
    /// `None` where nothing is kept.
    keeper: Option<Background<()>>,
}

#[derive(Debug)]
struct Shared {
    labels: Vec<&'static str>,
    book: Mutex<Book>,
    /// Something has come since they were written last.
    changed: AtomicBool,
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Costs {
    /// Sums, with those that are in the folder. Starts a thread where there is one.
    #[must_use]
    pub fn new(config: &CostsConfig) -> Self {
        let path = config.folder.as_ref().map(|folder| folder.join(FILE));
        let mut book = Book::new(config.label_values, 2 + config.labels.len());
        let path = path.filter(|path| read(path, &config.labels, &mut book));
        let shared = Arc::new(Shared {
            labels: config.labels.clone(),
            book: Mutex::new(book),
            changed: AtomicBool::new(false),
        });
        let keeper = path.map(|path| {
            let shared = Arc::clone(&shared);
            let failures = LogLimit::per_minute();
            Background::start(
                PLAN,
                Keeper {
                    shared,
                    path,
                    failures,
                },
            )
        });
        Self { shared, keeper }
    }

    /// What can be asked for by name.
    #[must_use]
    pub fn dimensions(&self) -> Vec<(&'static str, Dimension)> {
        let labels = self.shared.labels.iter().zip(2..);
        let labels = labels.map(|(name, at)| (*name, Dimension::Part(at)));
        [
            ("hour", Dimension::Hour),
            ("upstream", Dimension::Part(0)),
            ("model", Dimension::Part(1)),
        ]
        .into_iter()
        .chain(labels)
        .collect()
    }

    /// The sums of whole hours from that of an instant on, by these.
    #[must_use]
    pub fn table(&self, by: &[Dimension], since: SystemTime) -> Table {
        self.shared.book().table(by, hour(since))
    }

    fn add(&self, exchange: &Exchange) -> Option<()> {
        let (_, upstream) = exchange.model_call()?;
        let sums = Sums::of(exchange)?;
        let shared = &*self.shared;
        let model = exchange.request.model.as_deref();
        let labels = shared.labels.iter().map(|name| told(exchange, name));
        let parts = [Some(&*upstream.name), model].into_iter().chain(labels);
        let at = hour(exchange.started_at + exchange.times.end);
        shared.book().add(at, parts, &sums);
        if let Some(keeper) = &self.keeper
            && !shared.changed.swap(true, Ordering::Relaxed)
        {
            // One that waits is enough.
            let _ = keeper.submit(());
        }
        Some(())
    }
}

impl Sink for Costs {
    fn name(&self) -> &'static str {
        "costs"
    }

    fn finished(&self, _id: ExchangeId, exchange: &Arc<Exchange>) {
        let _ = self.add(exchange);
    }

    fn flush(&self, deadline: Deadline) {
        let is_late = |keeper: &Background<()>| !keeper.end(deadline.within);
        if self.keeper.as_ref().is_some_and(is_late) && !deadline.has_cut_off("sums of costs") {
            tracing::warn!("the last sums of costs were not written before the shutdown deadline");
        }
    }
}

/// Which hour an instant is in, since 1970.
fn hour(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs() / 3_600
}

/// The file of sums in a folder, and why it cannot be read, where there is one that cannot. Leaves it as it is.
#[cfg(feature = "cli")]
pub(crate) fn unreadable(folder: &Path) -> Option<(PathBuf, String)> {
    let path = folder.join(FILE);
    let outcome = match std::fs::read(&path) {
        Ok(text) => file::read(&text, &[], &mut Book::new(1, 2)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => Err(error.into()),
    };
    outcome.err().map(|error| (path, error.to_string()))
}

/// Reads what is kept. A file that cannot be read is put aside, and stays beside the new one. Says whether there is to be one: not
/// where it would take the place of what nobody has read.
fn read(path: &Path, labels: &[&'static str], book: &mut Book) -> bool {
    let outcome = match std::fs::read(path) {
        Ok(text) => file::read(&text, labels, book),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return true,
        Err(error) => Err(error.into()),
    };
    let Err(error) = outcome else { return true };
    match disk::set_aside(path) {
        Ok(aside) => {
            tracing::warn!(file = %aside.display(), %error, "the sums of costs cannot be read; they begin anew");
            true
        }
        Err(_) => {
            tracing::warn!(file = %path.display(), %error, "the sums of costs cannot be read, nor put aside; they begin anew, and are not kept");
            false
        }
    }
}

/// Writes the sums.
struct Keeper {
    shared: Arc<Shared>,
    path: PathBuf,
    failures: LogLimit,
}

impl Work for Keeper {
    type Job = ();

    fn run(&mut self, (): ()) {
        self.shared.changed.store(false, Ordering::Relaxed);
        let rows = file::rows(&self.shared.book());
        let text = file::write(&self.shared.labels, rows);
        let Err(error) = disk::replace(&self.path, text.as_bytes()) else {
            return;
        };
        if let Some(held_back) = self.failures.pass() {
            let file = self.path.display();
            tracing::warn!(%file, %error, held_back, "the sums of costs could not be written");
        }
    }
}

#[cfg(test)]
mod tests;
