//! The worker that stores: what came together is written together, those that name others last. What fails is tried again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::outcome::Put;
use super::place::Place;
use super::{Location, Shared};
use crate::background::Work;
use crate::exchange::StoredObject;
use crate::log::LogLimit;

/// Most bytes that are written together, and so at work beside what waits.
pub(super) const BATCH_BYTES: usize = 1 << 20;

/// The pause before another attempt, which is twice as long each time.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// For how long one is tried.
const TRIED: Duration = Duration::from_secs(60);

pub(super) struct Writer {
    place: Place,
    location: String,
    shared: Arc<Shared>,
    batch: Vec<StoredObject>,
    bytes: usize,
    failures: LogLimit,
    losses: LogLimit,
}

impl Work for Writer {
    type Job = Vec<StoredObject>;

    fn run(&mut self, objects: Vec<StoredObject>) {
        self.bytes += objects.iter().map(|it| it.bytes.len()).sum::<usize>();
        self.batch.extend(objects);
        if self.bytes >= BATCH_BYTES {
            self.write();
        }
    }

    fn end_round(&mut self) {
        self.write();
    }
}

impl Writer {
    pub(super) fn new(place: Place, location: &Location, shared: Arc<Shared>) -> Self {
        Self {
            place,
            location: location.to_string(),
            shared,
            batch: Vec::new(),
            bytes: 0,
            failures: LogLimit::per_minute(),
            losses: LogLimit::per_minute(),
        }
    }

    /// Writes what has come, or gives it up.
    fn write(&mut self) {
        self.bytes = 0;
        let mut waiting = std::mem::take(&mut self.batch);
        waiting.sort_by_key(|object| object.is_manifest);
        let (began, mut pause) = (Instant::now(), PAUSE);
        while !waiting.is_empty() {
            waiting = self.attempt(waiting);
            if waiting.is_empty() {
                return;
            }
            if began.elapsed() >= TRIED || !self.waits(pause) {
                break;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        let given_up = waiting.len() as u64;
        let before = self
            .shared
            .books
            .failed
            .fetch_add(given_up, Ordering::Relaxed);
        let released = waiting.iter().map(|object| object.hash);
        self.shared.known().release(released);
        if self.shared.hurried.load(Ordering::Relaxed) {
            return;
        }
        if let Some(held_back) = self.losses.pass() {
            tracing::warn!(
                store = self.location,
                given_up,
                since_start = before + given_up,
                held_back,
                "prompts were given up, and are lost: the store did not take them"
            );
        }
    }

    /// Writes what it can; gives back what is left, what failed at the end of its kind. What names others is not written before these
    /// are.
    fn attempt(&mut self, mut objects: Vec<StoredObject>) -> Vec<StoredObject> {
        let manifests = objects.partition_point(|object| !object.is_manifest);
        let manifests = objects.split_off(manifests);
        let mut left = self.put(objects);
        left.extend(match left.is_empty() {
            true => self.put(manifests),
            false => manifests,
        });
        left
    }

    fn put(&mut self, objects: Vec<StoredObject>) -> Vec<StoredObject> {
        if objects.is_empty() {
            return objects;
        }
        let until = *self.shared.closing();
        let outcomes = self.place.put_all(&objects, until);
        let books = &self.shared.books;
        let (mut untried, mut failed, mut error) = (Vec::new(), Vec::new(), None);
        let mut known = self.shared.known();
        if outcomes.contains(&Ok(Some(Put::Anew))) {
            known.forget();
        }
        for (object, outcome) in objects.into_iter().zip(outcomes) {
            match outcome {
                Ok(Some(put)) => {
                    known.stored(object.hash);
                    let count = match put {
                        Put::Written | Put::Anew => &books.stored,
                        Put::There => &books.known,
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Ok(None) => untried.push(object),
                Err(why) => {
                    error = error.or(Some(why));
                    failed.push(object);
                }
            }
        }
        drop(known);
        books
            .errors
            .fetch_add(failed.len() as u64, Ordering::Relaxed);
        if let Some(error) = error
            && let Some(held_back) = self.failures.pass()
        {
            tracing::warn!(
                store = self.location,
                error,
                held_back,
                "prompts could not be stored; what waits is tried again for a minute"
            );
        }
        untried.extend(failed);
        untried
    }

    /// Waits for the next attempt, less long where the process ends; `false`: there is to be none.
    fn waits(&self, pause: Duration) -> bool {
        let closing = self.shared.closing();
        let is_over = |until: Instant| Instant::now() >= until;
        if closing.is_some_and(is_over) {
            return false;
        }
        let left = closing.map(|until| until.saturating_duration_since(Instant::now()));
        let pause = left.map_or(pause, |left| left.min(pause));
        let was_closing = closing.is_some();
        let waited = self
            .shared
            .closes
            .wait_timeout_while(closing, pause, |closing| closing.is_some() == was_closing);
        let closing = match waited {
            Ok((closing, _)) => closing,
            Err(poisoned) => poisoned.into_inner().0,
        };
        !closing.is_some_and(is_over)
    }
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;
    use crate::exchange::{Content, ContentMessage, ContentPart, Speaker};
    use crate::log::written;
    use crate::store::{StoreConfig, store_objects};

    #[test]
    fn what_is_given_up_is_said_with_its_number() {
        let content = Content {
            input: vec![ContentMessage {
                speaker: Speaker::User,
                name: None,
                parts: vec![ContentPart::Text("hi".to_owned())],
                finish_reason: None,
            }],
            ..Content::default()
        };
        let file = std::env::temp_dir().join(format!("streamgauge-lost-{}", std::process::id()));
        std::fs::write(&file, b"").unwrap();
        let location = Location::Folder(file.clone());
        let place = Place::open(&location, &StoreConfig::default()).unwrap();
        let shared = Arc::new(Shared::new(None));
        // The process ends: there is one attempt.
        *shared.closing() = Some(Instant::now());
        let mut writer = Writer::new(place, &location, shared);
        let lines = written(false, || {
            writer.run(store_objects(&content, None).objects);
            writer.end_round();
        });
        std::fs::remove_file(&file).unwrap();
        let expected = "prompts were given up, and are lost: the store did not take them";
        let line = lines.lines().find(|line| line.starts_with(expected));
        let line = line.unwrap_or_else(|| panic!("{lines}"));
        assert!(line.contains("given_up=2 since_start=2"), "{line}");
    }
}
