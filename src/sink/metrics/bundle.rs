//! Where exchanges with the same facets record, found once for all of them rather than for each of their samples.
//!
//! A request records under some sixteen sets of labels. Writing them and looking each up took 9,000 instructions more;
//! all follow from the facets, and their order hardly ever changes.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::labels::LabelSet;
use crate::semconv::{Facets, Label, Labels, Metric};

/// Most facets that are remembered. A model or an error that a client invents makes new ones.
const REMEMBERED: usize = 1_000;

/// Bundles by facets.
#[derive(Debug, Default)]
pub(super) struct Bundles {
    known: HashMap<Facets<'static>, usize, RandomState>,
    all: Vec<Bundle>,
}

/// Where exchanges of some facets have recorded, in the order of the first.
#[derive(Debug, Default)]
pub(super) struct Bundle(Vec<Strand>);

/// One set of labels. There are no more than the vocabularies have: labels and what may be added to them are known
/// beforehand.
#[derive(Debug)]
pub(super) struct Strand {
    labels: &'static Labels,
    by: Option<Label>,
    set: LabelSet,
    slots: Slots,
}

/// Where the samples of one set of labels go, in the order in which they first came.
#[derive(Debug, Default)]
pub(super) struct Slots(Vec<Slot>);

/// Where the samples of a metric go; `at` is `None` where the metric is not recorded.
#[derive(Debug, Clone, Copy)]
struct Slot {
    metric: &'static Metric,
    at: Option<At>,
}

/// A series, by the place of its family and its own in there.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) family: usize,
    pub(super) place: usize,
}

impl Bundles {
    /// The bundle of these facets.
    pub(super) fn of(&mut self, facets: &Facets<'_>) -> &mut Bundle {
        let at = self.find(facets).unwrap_or_else(|| {
            if self.all.len() >= REMEMBERED {
                self.known.clear();
                self.all.clear();
            }
            self.known
                .insert(facets.clone().into_owned(), self.all.len());
            self.all.push(Bundle::default());
            self.all.len() - 1
        });
        &mut self.all[at]
    }

    fn find(&self, facets: &Facets<'_>) -> Option<usize> {
        self.known.get(facets).copied()
    }
}

impl Bundle {
    /// The strand of a set of labels, which `set` makes where it is not known. `next` is where it most likely is, and then
    /// where the one after it is.
    #[inline]
    pub(super) fn strand(
        &mut self,
        next: &mut usize,
        labels: &'static Labels,
        by: Option<Label>,
        set: impl FnOnce() -> LabelSet,
    ) -> (&LabelSet, &mut Slots) {
        let Self(strands) = self;
        let is_it = |strand: &Strand| std::ptr::eq(strand.labels, labels) && same(strand.by, by);
        let at = match strands.get(*next) {
            Some(strand) if is_it(strand) => *next,
            _ => strands.iter().position(is_it).unwrap_or_else(|| {
                strands.push(Strand {
                    labels,
                    by,
                    set: set(),
                    slots: Slots::default(),
                });
                strands.len() - 1
            }),
        };
        *next = at + 1;
        let strand = &mut strands[at];
        (&strand.set, &mut strand.slots)
    }
}

impl Slots {
    /// Where samples of a metric go, which `find` says where it is not known; `None` where they are not recorded. `next`
    /// is where it most likely stands, and then where the one after it does.
    #[inline]
    pub(super) fn at(
        &mut self,
        next: &mut usize,
        metric: &'static Metric,
        find: impl FnOnce() -> Option<At>,
    ) -> Option<At> {
        let Self(slots) = self;
        let is_it = |slot: &Slot| std::ptr::eq(slot.metric, metric);
        let at = match slots.get(*next) {
            Some(slot) if is_it(slot) => *next,
            _ => slots.iter().position(is_it).unwrap_or_else(|| {
                slots.push(Slot { metric, at: find() });
                slots.len() - 1
            }),
        };
        *next = at + 1;
        slots[at].at
    }
}

/// Whether two labels are the same text. Two texts that read alike make a strand each, and end in the same series.
fn same(one: Option<Label>, other: Option<Label>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some((key, value)), Some((other_key, other_value))) => {
            std::ptr::eq(value, other_value) && std::ptr::eq(key, other_key)
        }
        _ => false,
    }
}
