//! The series of all exchanges with the same facets, found once for each exchange rather than for each of its sets of labels.
//!
//! A request records under some sixteen sets of labels. Writing them and looking each up in the table took 9,000
//! instructions more; all follow from the facets, and their order hardly ever changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

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

/// Where in a bundle the next series most likely is.
#[derive(Default)]
pub(super) struct Place(usize);

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
    /// The series of a set of labels, `find` told to look where it is not known. Whatever comes after the one before is
    /// looked at first.
    pub(super) fn series(
        &self,
        place: &mut Place,
        labels: &'static Labels,
        by: Option<Label>,
        find: impl FnOnce() -> Arc<Series>,
    ) -> Arc<Series> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |found: &Found| std::ptr::eq(found.labels, labels) && found.by == by;
        let at = match all.get(place.0) {
            Some(found) if is_it(found) => place.0,
            _ => all.iter().position(is_it).unwrap_or_else(|| {
                let series = find();
                all.push(Found { labels, by, series });
                all.len() - 1
            }),
        };
        place.0 = at + 1;
        Arc::clone(&all[at].series)
    }
}
