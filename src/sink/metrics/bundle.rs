//! The series of all exchanges with the same facets, found once for each exchange rather than for each of its sets of labels.
//!
//! A request records under some sixteen sets of labels. Writing them and looking each up in the table took 9,000
//! instructions more; all follow from the facets, and their order hardly ever changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use foldhash::fast::RandomState;

use super::series::Series;
use crate::semconv::{Facets, Label, Labels};

/// Most facets that are remembered. A model or an error that a client invents makes new ones.
const REMEMBERED: usize = 1_000;

/// Bundles by facets.
#[derive(Default)]
pub(super) struct Bundles(RwLock<HashMap<Facets<'static>, Arc<Bundle>, RandomState>>);

/// The series that exchanges of some facets have recorded in, in the order of the first.
#[derive(Default)]
pub(super) struct Bundle(Mutex<Vec<Found>>);

/// A set of labels, and its series for the facets of the bundle. There are no more than the vocabularies have: labels and
/// what may be added to them are known beforehand.
struct Found {
    labels: &'static Labels,
    by: Option<Label>,
    series: Arc<Series>,
}

/// A bundle while an exchange records.
pub(super) struct Opened<'b> {
    all: MutexGuard<'b, Vec<Found>>,
    /// Where the next series most likely is.
    next: usize,
}

impl Bundles {
    /// The bundle of these facets.
    pub(super) fn of(&self, facets: &Facets<'_>) -> Arc<Bundle> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(bundle) = known.get(facets) {
            return Arc::clone(bundle);
        }
        drop(known);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        Arc::clone(known.entry(facets.clone().into_owned()).or_default())
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

impl Bundle {
    /// Locks it for one exchange, rather than for each of its sets of labels.
    pub(super) fn open(&self) -> Opened<'_> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Opened { all, next: 0 }
    }
}

impl Opened<'_> {
    /// The series of a set of labels, `find` told to look where it is not known. Whatever comes after the one before is
    /// looked at first.
    pub(super) fn series(
        &mut self,
        labels: &'static Labels,
        by: Option<Label>,
        find: impl FnOnce() -> Arc<Series>,
    ) -> &Series {
        let all = &mut *self.all;
        let is_it = |found: &Found| std::ptr::eq(found.labels, labels) && found.by == by;
        let at = match all.get(self.next) {
            Some(found) if is_it(found) => self.next,
            _ => all.iter().position(is_it).unwrap_or_else(|| {
                let series = find();
                all.push(Found { labels, by, series });
                all.len() - 1
            }),
        };
        self.next = at + 1;
        &all[at].series
    }
}
