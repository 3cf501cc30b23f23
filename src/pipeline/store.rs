//! Gives what was said the names that it has in the store of prompts, where it goes there: spans carry them, and the store gets what
//! they are of. It comes after the redaction, so that nothing else is stored.
//!
//! Of a trace that is not exported nothing is stored: nothing would lead there.

use super::{Finished, Stage};
use crate::store::store_objects;

pub(super) struct StoreStage {
    /// Where people find an object.
    link: Option<String>,
}

impl StoreStage {
    pub(super) fn new(link: Option<&str>) -> Self {
        Self {
            link: link.map(str::to_owned),
        }
    }
}

impl Stage for StoreStage {
    fn name(&self) -> &'static str {
        "store"
    }

    fn run(&mut self, finished: &mut Finished) {
        let exchange = &mut *finished.exchange;
        if exchange.trace.as_ref().is_some_and(|trace| !trace.sampled) {
            return;
        }
        if let Some(content) = &mut exchange.content
            && content.policy.store
        {
            let stored = store_objects(content, self.link.as_deref());
            content.stored = Some(Box::new(stored));
        }
    }
}
