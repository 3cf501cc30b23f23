//! Notices that something else stands behind a model's name than before, by the model and the fingerprint that answers name.
//!
//! A provider often has several deployments in turn behind one name, and their answers alternate. So not each alternation is a change,
//! but what has not answered lately: what has been seen is known until neither an hour nor a thousand answers have shown it again. A
//! value that comes back before, as with a new deployment that is taken back at once, is no change a second time; a canary
//! that takes one call of a hundred stays known. Where more than so many alternate nothing is a change any more.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use foldhash::fast::RandomState;

use super::{Finished, Stage};
use crate::exchange::{Drift, Exchange, Novelty, Served};

/// Most names of models of an upstream that are looked at: clients can invent any.
const NAMES_MAX: usize = 1_024;

/// Most that is known of what answers to one name.
const KNOWN_MAX: usize = 16;

/// What has not come for so long, and for so many answers, is not known any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);
const FORGOTTEN_ANSWERS: u64 = 1_000;

/// Of those that take turns it is told no more often which answered last.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Sets [`Exchange::drift`].
#[derive(Debug, Default)]
pub(super) struct DriftStage {
    models: HashMap<Arc<str>, HashMap<Box<str>, Model, RandomState>, RandomState>,
}

/// What answers to a name.
#[derive(Debug, Default)]
struct Model {
    /// The last that answered is the first.
    known: Vec<Known>,
    answers: u64,
    /// What was told of last, and by an answer of when.
    told: Option<(Served, SystemTime)>,
    /// Whether that is not what answered last.
    is_untold: bool,
}

#[derive(Debug)]
struct Known {
    served: Served,
    /// When it answered last: the head of that answer.
    at: SystemTime,
    /// Which answer that was.
    number: u64,
}

impl Served {
    /// Whether an answer may be of this. One that ends early may not come to name its fingerprint.
    fn is(&self, model: &str, fingerprint: Option<&str>) -> bool {
        let same = fingerprint.is_none() || fingerprint == self.fingerprint.as_deref();
        same && self.model == model
    }
}

impl Model {
    /// Takes an answer; says so where it is of something else than what was told of last.
    fn take(&mut self, model: &str, fingerprint: Option<&str>, at: SystemTime) -> Option<Drift> {
        self.answers += 1;
        let number = self.answers;
        let mut new = None;
        match self.known.first_mut() {
            Some(current) if current.served.is(model, fingerprint) => {
                (current.at, current.number) = (current.at.max(at), number);
                if !self.is_untold {
                    return None;
                }
            }
            // Its answer began before that of what has taken its place.
            Some(current) if at < current.at => return None,
            _ => {
                let fingerprint = fingerprint.map(str::to_owned);
                let model = model.to_owned();
                new = self.place(Served { model, fingerprint }, at);
            }
        }
        self.tell(new, at)
    }

    /// Tells what answers now: what is new at once, and what takes turns from time to time.
    fn tell(&mut self, new: Option<Novelty>, at: SystemTime) -> Option<Drift> {
        let now = &self.known.first()?.served;
        let told = self.told.as_ref();
        self.is_untold = told.is_none_or(|(told, _)| told != now);
        let is_late = told.is_none_or(|(_, told_at)| {
            at.duration_since(*told_at)
                .is_ok_and(|age| age >= TOLD_AGAIN_AFTER)
        });
        if !self.is_untold || !(new.is_some() || is_late) {
            return None;
        }
        self.is_untold = false;
        let now = now.clone();
        let before = self.told.replace((now.clone(), at));
        let before = before.map(|(before, _)| before);
        Some(Drift { now, before, new })
    }

    /// Puts what answers now in the first place; says what of it is new.
    fn place(&mut self, now: Served, at: SystemTime) -> Option<Novelty> {
        let number = self.answers;
        self.known.retain(|known| {
            let is_old = at
                .duration_since(known.at)
                .is_ok_and(|age| age > FORGOTTEN_AFTER);
            !(is_old && number - known.number > FORGOTTEN_ANSWERS)
        });
        let fingerprint = now.fingerprint.as_deref();
        let mut known = self.known.iter();
        if let Some(place) = known.position(|known| known.served.is(&now.model, fingerprint)) {
            let known = self.known.remove(place);
            self.known.insert(
                0,
                Known {
                    at,
                    number,
                    ..known
                },
            );
            return None;
        }
        // That a fingerprint comes to be named is nothing new of what was there without.
        let is_unnamed =
            |known: &Known| known.served.model == now.model && known.served.fingerprint.is_none();
        let unnamed = self.known.iter().position(is_unnamed);
        let is_new = unnamed.is_none() && self.told.is_some() && self.known.len() < KNOWN_MAX;
        let is_same_model = self
            .told
            .as_ref()
            .is_some_and(|(told, _)| told.model == now.model);
        if let Some(place) = unnamed {
            self.known.remove(place);
        }
        self.known.truncate(KNOWN_MAX - 1);
        let served = now;
        self.known.insert(0, Known { served, at, number });
        is_new.then_some(match is_same_model {
            true => Novelty::Fingerprint,
            false => Novelty::Model,
        })
    }
}

impl DriftStage {
    fn drift(&mut self, exchange: &Exchange) -> Option<Drift> {
        let (_, upstream) = exchange.model_call()?;
        let response = &exchange.response;
        let model = response
            .model
            .as_deref()
            .filter(|_| exchange.failure.is_none())?;
        let asked = exchange.request.model.as_deref().unwrap_or_default();
        let head = exchange.times.response_head.unwrap_or(exchange.times.end);
        let (fingerprint, at) = (
            response.system_fingerprint.as_deref(),
            exchange.started_at + head,
        );
        let names = match self.models.get_mut(&upstream.name) {
            Some(names) => names,
            None => self.models.entry(Arc::clone(&upstream.name)).or_default(),
        };
        if let Some(known) = names.get_mut(asked) {
            return known.take(model, fingerprint, at);
        }
        if names.len() == NAMES_MAX {
            names.clear();
        }
        let known = names.entry(asked.into()).or_default();
        known.take(model, fingerprint, at)
    }
}

impl Stage for DriftStage {
    fn name(&self) -> &'static str {
        "drift"
    }

    fn run(&mut self, finished: &mut Finished) {
        finished.exchange.drift = self.drift(&finished.exchange).map(Box::new);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exchange::{Failure, Operation, Upstream};

    /// The names of what answers: model and fingerprint.
    type Named = (&'static str, Option<&'static str>);

    const ONE: Named = ("m-1", Some("fp_1"));
    const TWO: Named = ("m-1", Some("fp_2"));
    const OTHER: Named = ("m-2", Some("fp_3"));

    /// An answer of a call for `m`, so many seconds after the first.
    fn answer((model, fingerprint): Named, second: u64) -> Exchange {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH + Duration::from_secs(second));
        exchange.operation = Some(Operation::ChatCompletions);
        exchange.upstream = Some(Upstream {
            name: "one".into(),
            provider: None,
        });
        exchange.request.model = Some("m".to_owned());
        exchange.response.model = Some(model.to_owned());
        exchange.response.system_fingerprint = fingerprint.map(str::to_owned);
        exchange
    }

    fn served((model, fingerprint): Named) -> Served {
        Served {
            model: model.to_owned(),
            fingerprint: fingerprint.map(str::to_owned),
        }
    }

    fn drift(now: Named, before: Option<Named>, new: Option<Novelty>) -> Option<Drift> {
        Some(Drift {
            now: served(now),
            before: before.map(served),
            new,
        })
    }

    #[test]
    fn what_had_not_answered_before_is_new_and_the_first_is_not() {
        let mut stage = DriftStage::default();
        assert_eq!(stage.drift(&answer(ONE, 0)), drift(ONE, None, None));
        assert_eq!(stage.drift(&answer(ONE, 1)), None);
        let changed = drift(TWO, Some(ONE), Some(Novelty::Fingerprint));
        assert_eq!(stage.drift(&answer(TWO, 2)), changed);
        assert_eq!(stage.drift(&answer(TWO, 3)), None);
        let changed = drift(OTHER, Some(TWO), Some(Novelty::Model));
        assert_eq!(stage.drift(&answer(OTHER, 4)), changed);
    }

    #[test]
    fn what_answered_last_is_told_in_the_end() {
        let mut stage = DriftStage::default();
        for (named, second) in [(ONE, 0), (TWO, 1), (ONE, 2)] {
            let _ = stage.drift(&answer(named, second));
        }
        assert_eq!(stage.drift(&answer(ONE, 10)), None);
        assert_eq!(stage.drift(&answer(ONE, 11)), drift(ONE, Some(TWO), None));
        assert_eq!(stage.drift(&answer(ONE, 30)), None);
    }

    #[test]
    fn replicas_that_take_turns_change_once() {
        let mut stage = DriftStage::default();
        let answers = (0..5_000).map(|second| answer([ONE, TWO][second as usize % 2], second));
        let drifts: Vec<Drift> = answers.filter_map(|it| stage.drift(&it)).collect();
        assert!((400..=500).contains(&drifts.len()), "{}", drifts.len());
        assert_eq!(drifts.iter().filter(|drift| drift.new.is_some()).count(), 1);
    }

    #[test]
    fn what_comes_back_after_an_hour_and_a_thousand_answers_is_new() {
        let cases = [
            (3_600, 1_001, true),
            (7_200, 900, false),
            (100, 5_000, false),
        ];
        for (seconds, answers, is_new) in cases {
            let mut stage = DriftStage::default();
            let _ = stage.drift(&answer(ONE, 0));
            for number in 0..answers {
                let _ = stage.drift(&answer(TWO, 1 + seconds * number / answers));
            }
            let back = stage.drift(&answer(ONE, seconds + 20)).unwrap();
            assert_eq!(back.new.is_some(), is_new, "{seconds} s, {answers} answers");
        }
    }

    #[test]
    fn an_answer_that_names_no_fingerprint_is_no_change_and_neither_is_one_that_comes_to_name_it() {
        let mut stage = DriftStage::default();
        let bare = ("m-1", None);
        assert_eq!(stage.drift(&answer(bare, 0)), drift(bare, None, None));
        assert_eq!(stage.drift(&answer(ONE, 10)), drift(ONE, Some(bare), None));
        assert_eq!(stage.drift(&answer(bare, 20)), None);
        let changed = drift(TWO, Some(ONE), Some(Novelty::Fingerprint));
        assert_eq!(stage.drift(&answer(TWO, 21)), changed);
    }

    #[test]
    fn an_answer_that_began_earlier_takes_nothing_back() {
        let mut stage = DriftStage::default();
        let _ = stage.drift(&answer(ONE, 0));
        let _ = stage.drift(&answer(TWO, 9));
        assert_eq!(stage.drift(&answer(OTHER, 5)), None);
        assert_eq!(stage.drift(&answer(ONE, 6)), None);
    }

    #[test]
    fn what_failed_or_asks_another_upstream_or_model_says_nothing() {
        let mut stage = DriftStage::default();
        let _ = stage.drift(&answer(ONE, 0));
        let mut failed = answer(TWO, 1);
        failed.failure = Some(Failure {
            kind: "500".to_owned(),
            message: String::new(),
        });
        assert_eq!(stage.drift(&failed), None);
        let mut elsewhere = answer(TWO, 2);
        elsewhere.upstream.as_mut().unwrap().name = "two".into();
        assert_eq!(stage.drift(&elsewhere), drift(TWO, None, None));
        let mut other = answer(TWO, 3);
        other.request.model = Some("n".to_owned());
        assert_eq!(stage.drift(&other), drift(TWO, None, None));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// However many take turns, and in whichever order.
        #[test]
        fn memory_and_changes_are_bounded(turns in prop::collection::vec(0..40_u32, 0..2_000)) {
            let mut model = Model::default();
            let mut changes = 0;
            for (second, turn) in turns.iter().enumerate() {
                let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second as u64);
                let drift = model.take(&format!("m-{turn}"), None, at);
                changes += usize::from(drift.is_some_and(|drift| drift.new.is_some()));
                prop_assert!(model.known.len() <= KNOWN_MAX);
            }
            prop_assert!(changes < KNOWN_MAX);
        }

        #[test]
        fn names_that_clients_invent_are_forgotten(names in 0..3_000_usize) {
            let mut stage = DriftStage::default();
            for name in 0..names {
                let mut exchange = answer(ONE, 0);
                exchange.request.model = Some(format!("m-{name}"));
                let _ = stage.drift(&exchange);
            }
            let remembered: usize = stage.models.values().map(HashMap::len).sum();
            prop_assert!(remembered <= NAMES_MAX);
        }
    }
}
