//! What is known of an upstream's usage, by model and kind of completion: whether it is to be asked.
//!
//! Asking must not change what a client gets. So an upstream is not asked that refuses it, that reports usage by itself, or
//! that moves measurements into the event which asking adds. What is known is learnt from what passes, holds for a while,
//! and is then looked at once more: a server is replaced, a setting changes.
//!
//! A table of words that are read and written whole, without a lock and without an allocation. It is bounded, since the
//! names of models are the clients' words: those beyond it share one entry.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::known::{Belief, Known, Lesson, millis};
use super::request::{Completion, Splice, Wish};

/// How many models, of each kind of completion, are known apart.
const MODELS: usize = 512;
/// How far from its own place an entry may stand.
const REACH: usize = 16;
/// When a look is repeated that came to nothing, as a client left or the stream broke off.
const NEXT_CHECK: Duration = Duration::from_secs(60);

/// What is known of one upstream.
#[derive(Debug)]
pub struct Asking {
    /// Its name, for the log.
    upstream: Arc<str>,
    wanted: bool,
    /// How long what was learnt holds; `None` for as long as the process runs.
    recheck: Option<Duration>,
    began: Instant,
    hasher: RandomState,
    /// Of all models, as answers say that are about none.
    every: AtomicU64,
    models: Box<[Entry]>,
    /// Of the models that have no entry of their own.
    others: AtomicU64,
}

#[derive(Debug, Default)]
struct Entry {
    /// Zero where there is none.
    key: AtomicU64,
    known: AtomicU64,
}

/// A model and a kind of completion; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u64);

/// What to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// It passes, and so does its answer.
    Leave,
    /// Usage is asked for.
    Ask(Splice),
    /// It passes, and the answer is looked at.
    Watch(Watched),
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// A stream that nobody asked for usage.
    Unasked,
    /// A stream that the client asked for usage.
    Asked,
    /// A whole answer.
    Whole,
}

impl Asking {
    /// Asks the upstream of this name if `wanted`. What is learnt is looked at again after `recheck`; `None` for never.
    #[must_use]
    pub fn new(upstream: Arc<str>, wanted: bool, recheck: Option<Duration>) -> Self {
        let entries = if wanted { MODELS } else { 0 };
        Self {
            upstream,
            wanted,
            recheck,
            began: Instant::now(),
            hasher: RandomState::new(),
            every: AtomicU64::new(0),
            models: std::iter::repeat_with(Entry::default)
                .take(entries)
                .collect(),
            others: AtomicU64::new(0),
        }
    }

    /// Whether the upstream is to be asked at all.
    #[must_use]
    pub const fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Where what is known of a model stands; `None` where nothing is ever asked.
    #[must_use]
    pub fn key(&self, kind: Completion, model: Option<&str>) -> Option<Key> {
        let hash = self.hasher.hash_one((kind, model.unwrap_or_default()));
        self.wanted.then_some(Key(hash | 1))
    }

    /// What to do with a request that came at this time and says this of usage.
    #[must_use]
    pub fn plan(&self, key: Key, wish: Wish, now: Instant) -> Plan {
        let now = self.time(now);
        let place = self.find(key);
        let word = place.map_or(0, |place| place.load(Ordering::Relaxed));
        let known = Known::of(word);
        let every = Known::of(self.every.load(Ordering::Relaxed));
        // Of several that come at once, one looks.
        let due = |from: u64| {
            let next = Known {
                due: now + millis(NEXT_CHECK),
                ..known
            };
            let claim = |place: &AtomicU64| {
                let (order, failed) = (Ordering::Relaxed, Ordering::Relaxed);
                place
                    .compare_exchange(word, next.word(), order, failed)
                    .is_ok()
            };
            now >= from && place.is_some_and(claim)
        };
        match wish {
            Wish::Silent(_) if every.belief == Belief::Measures && now < every.due => Plan::Leave,
            Wish::Silent(splice) => match known.belief {
                Belief::Yes if known.accepted && due(known.due) => Plan::Watch(Watched::Unasked),
                Belief::Yes => Plan::Ask(splice),
                Belief::Refuses if due(known.due) => Plan::Ask(splice),
                Belief::ByItself | Belief::Measures if due(known.due) => {
                    Plan::Watch(Watched::Unasked)
                }
                _ => Plan::Leave,
            },
            Wish::Otherwise if !known.checked && known.may_be_asked() => {
                Plan::Watch(Watched::Unasked)
            }
            Wish::Usage if !known.accepted => Plan::Watch(Watched::Asked),
            Wish::Whole if !known.seen => Plan::Watch(Watched::Whole),
            _ => Plan::Leave,
        }
    }

    /// Whether asking has succeeded.
    #[must_use]
    pub fn has_accepted(&self, key: Key) -> bool {
        let known = self.find(key).map(|place| place.load(Ordering::Relaxed));
        known.is_some_and(|word| Known::of(word).accepted)
    }

    /// Whether it is known that usage does not come by itself.
    #[must_use]
    pub fn reports_only_asked(&self, key: Key) -> bool {
        let known = self.find(key).map(|place| place.load(Ordering::Relaxed));
        let known = Known::of(known.unwrap_or_default());
        known.checked && known.belief == Belief::Yes
    }

    /// Learns from an answer; `None` stands for one that was about no model.
    pub fn learn(&self, key: Option<Key>, lesson: Lesson) {
        if !self.wanted {
            return;
        }
        let (now, recheck) = (self.time(Instant::now()), self.recheck.map(millis));
        let place = key.map_or(&self.every, |key| self.entry(key));
        let news = |word: u64| {
            let after = Known::of(word).after(lesson, now, recheck).word();
            (after != word).then_some(after)
        };
        let before = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, news);
        let Ok(before) = before.map(Known::of) else {
            return;
        };
        let belief = before.after(lesson, now, recheck).belief;
        if belief != before.belief {
            self.tell(belief);
        }
    }

    fn tell(&self, belief: Belief) {
        let upstream = &*self.upstream;
        match belief {
            Belief::Yes => {}
            Belief::Refuses => tracing::info!(
                upstream,
                "the upstream rejected stream_options and accepted the request without it; usage of this model is not requested until usage.recheck"
            ),
            Belief::ByItself => tracing::info!(
                upstream,
                "the upstream reports usage without being asked; usage of this model is not requested"
            ),
            Belief::Measures => tracing::info!(
                upstream,
                "the upstream moves its own measurements into the usage event; usage is not requested, tokens are read from the measurements"
            ),
        }
    }

    /// Where a key stands, where it has a place: its own or, where there is no room for one, that of all others.
    fn find(&self, key: Key) -> Option<&AtomicU64> {
        for entry in self.reach(key) {
            match entry.key.load(Ordering::Relaxed) {
                0 => return None,
                there if there == key.0 => return Some(&entry.known),
                _ => {}
            }
        }
        Some(&self.others)
    }

    /// The same, with a place made for it.
    fn entry(&self, key: Key) -> &AtomicU64 {
        let (order, failed) = (Ordering::Relaxed, Ordering::Relaxed);
        for entry in self.reach(key) {
            match entry.key.compare_exchange(0, key.0, order, failed) {
                Ok(_) => return &entry.known,
                Err(there) if there == key.0 => return &entry.known,
                Err(_) => {}
            }
        }
        &self.others
    }

    fn reach(&self, key: Key) -> impl Iterator<Item = &Entry> {
        let from = key.0 as usize >> 1;
        let at = move |step| self.models.get((from + step) % self.models.len().max(1));
        (0..REACH).filter_map(at)
    }

    fn time(&self, at: Instant) -> u64 {
        millis(at.saturating_duration_since(self.began))
    }
}

#[cfg(test)]
mod tests {
    use super::super::known::FIRST_CHECK;
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const SPLICE: Splice = Splice { at: 1, text: "x" };
    const SILENT: Wish = Wish::Silent(SPLICE);
    const ASK: Plan = Plan::Ask(SPLICE);
    const LOOK: Plan = Plan::Watch(Watched::Unasked);

    fn asking(recheck: Option<Duration>) -> (Asking, Key) {
        let asking = Asking::new("main".into(), true, recheck);
        let key = asking.key(Completion::Chat, None).expect("it is wanted");
        (asking, key)
    }

    /// What is done with a stream that says nothing of usage, and comes now.
    fn plan(asking: &Asking, key: Key) -> Plan {
        asking.plan(key, SILENT, Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_holds_for_its_model_and_is_tried_again_after_a_while() {
        let (asking, key) = asking(Some(HOUR));
        let other = asking.key(Completion::Text, None).unwrap();
        assert_eq!(plan(&asking, key), ASK);
        asking.learn(Some(key), Lesson::Refused);
        assert_eq!(plan(&asking, key), Plan::Leave);
        assert_eq!(plan(&asking, other), ASK, "another kind, another answer");
        tokio::time::advance(HOUR).await;
        assert_eq!(plan(&asking, key), ASK, "once more");
        assert_eq!(plan(&asking, key), Plan::Leave, "by one of them all");
        asking.learn(Some(key), Lesson::Accepted);
        assert_eq!(plan(&asking, key), ASK);
        assert!(asking.has_accepted(key));
        asking.learn(Some(key), Lesson::Refused);
        assert!(!asking.has_accepted(key));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_now_and_then_is_not_asked_to_see_whether_usage_comes_by_itself() {
        let (asking, key) = asking(Some(HOUR));
        asking.learn(Some(key), Lesson::Accepted);
        assert_eq!(plan(&asking, key), ASK);
        tokio::time::advance(FIRST_CHECK).await;
        assert_eq!(plan(&asking, key), LOOK);
        assert_eq!(plan(&asking, key), ASK, "one looks");
        tokio::time::advance(NEXT_CHECK).await;
        assert_eq!(plan(&asking, key), LOOK, "the first one came to nothing");
        asking.learn(Some(key), Lesson::OnlyAsked);
        assert!(asking.reports_only_asked(key));
        tokio::time::advance(HOUR / 2).await;
        assert_eq!(plan(&asking, key), ASK);
        tokio::time::advance(HOUR / 2).await;
        assert_eq!(plan(&asking, key), LOOK);
        asking.learn(Some(key), Lesson::Unasked);
        assert_eq!(plan(&asking, key), Plan::Leave);
        tokio::time::advance(HOUR).await;
        assert_eq!(plan(&asking, key), LOOK);
        asking.learn(Some(key), Lesson::OnlyAsked);
        assert_eq!(plan(&asking, key), ASK, "it comes by itself no more");
    }

    #[tokio::test(start_paused = true)]
    async fn usage_beside_output_makes_the_next_stream_decide() {
        let (asking, key) = asking(Some(HOUR));
        asking.learn(Some(key), Lesson::Beside);
        assert_eq!(plan(&asking, key), LOOK);
        asking.learn(Some(key), Lesson::OnlyAsked);
        asking.learn(Some(key), Lesson::Beside);
        assert_eq!(
            plan(&asking, key),
            ASK,
            "it is known to come only when asked"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn measurements_hold_as_long_as_they_are_seen() {
        let (asking, key) = asking(Some(HOUR));
        for _ in 0..3 {
            asking.learn(Some(key), Lesson::Measured);
            assert_eq!(plan(&asking, key), Plan::Leave);
            tokio::time::advance(HOUR - Duration::from_secs(1)).await;
        }
        assert_eq!(plan(&asking, key), Plan::Leave);
        tokio::time::advance(HOUR).await;
        assert_eq!(plan(&asking, key), LOOK);
        asking.learn(Some(key), Lesson::OnlyAsked);
        assert_eq!(plan(&asking, key), ASK);
    }

    #[test]
    fn an_answer_about_no_model_speaks_for_all() {
        let (asking, key) = asking(None);
        asking.learn(None, Lesson::Measured);
        assert_eq!(plan(&asking, key), Plan::Leave);
        let (asking, key) = self::asking(None);
        asking.learn(Some(key), Lesson::Measured);
        let other = asking.key(Completion::Chat, Some("other")).unwrap();
        assert_eq!(plan(&asking, other), ASK);
    }

    #[tokio::test(start_paused = true)]
    async fn what_holds_for_ever_is_never_looked_at_again() {
        for lesson in [
            Lesson::Refused,
            Lesson::Unasked,
            Lesson::Measured,
            Lesson::Accepted,
        ] {
            let (asking, key) = asking(None);
            asking.learn(Some(key), lesson);
            let before = plan(&asking, key);
            tokio::time::advance(1_000_000 * HOUR).await;
            assert_eq!(plan(&asking, key), before, "{lesson:?}");
            assert_eq!(before == ASK, lesson == Lesson::Accepted);
        }
    }

    #[test]
    fn an_answer_is_looked_at_while_it_can_teach_something() {
        let (asking, key) = asking(None);
        let plan = |wish| asking.plan(key, wish, Instant::now());
        assert_eq!(plan(Wish::Whole), Plan::Watch(Watched::Whole));
        asking.learn(Some(key), Lesson::Plain);
        assert_eq!(plan(Wish::Whole), Plan::Leave);
        assert_eq!(plan(Wish::Usage), Plan::Watch(Watched::Asked));
        asking.learn(Some(key), Lesson::Accepted);
        assert_eq!(plan(Wish::Usage), Plan::Leave);
        assert_eq!(plan(Wish::Otherwise), LOOK);
        asking.learn(Some(key), Lesson::Unasked);
        assert_eq!(plan(Wish::Otherwise), Plan::Leave);
        assert_eq!(plan(Wish::Unclear), Plan::Leave);
    }

    #[test]
    fn names_beyond_the_bound_share_one_entry() {
        let (asking, _) = asking(None);
        let keys: Vec<_> = (1..100_000).map(|key| Key(key * 2 + 1)).collect();
        keys.iter()
            .for_each(|key| asking.learn(Some(*key), Lesson::Plain));
        assert!(keys.iter().all(|key| asking.find(*key).is_some()));
        let last = Key(u64::MAX);
        asking.learn(Some(last), Lesson::Refused);
        let refused = |key: &&Key| plan(&asking, **key) == Plan::Leave;
        let sharing = keys.iter().filter(refused).count();
        assert!(sharing >= keys.len() - MODELS, "{sharing}");
        assert_eq!(asking.models.len(), MODELS);
    }
}
