//! What a simulated upstream has seen, for tests and summaries: requests as received, and how their answers ended.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, Version};
use tokio::sync::watch;

/// One request as received.
#[derive(Debug, Clone)]
pub struct SeenRequest {
    /// Method.
    pub method: Method,
    /// Target, as the request line or the pseudo-headers gave it.
    pub uri: Uri,
    /// HTTP version.
    pub version: Version,
    /// Headers, in order.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// How many requests came and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests whose head and body were read.
    pub requests: u64,
    /// Answers given to the end, or broken off on purpose.
    pub answered: u64,
    /// Requests and answers dropped because the client closed the connection or reset the stream.
    pub left: u64,
}

/// What a simulated upstream has seen.
#[derive(Debug)]
pub struct SimulatorRecord {
    counts: watch::Sender<Counts>,
    newest: Mutex<VecDeque<SeenRequest>>,
    keep: usize,
}

impl SimulatorRecord {
    pub(super) fn new(keep: usize) -> Self {
        Self {
            counts: watch::Sender::default(),
            newest: Mutex::default(),
            keep,
        }
    }

    /// The counts now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Waits until the counts satisfy a condition, and returns them. Cancel safe.
    pub async fn until(&self, mut condition: impl FnMut(&Counts) -> bool) -> Counts {
        let mut counts = self.counts.subscribe();
        loop {
            let now = *counts.borrow_and_update();
            if condition(&now) || counts.changed().await.is_err() {
                return now;
            }
        }
    }

    /// The newest requests, oldest first, as many as the configuration keeps.
    #[must_use]
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.newest().iter().cloned().collect()
    }

    pub(super) fn saw(&self, seen: SeenRequest) {
        if self.keep > 0 {
            let mut newest = self.newest();
            if newest.len() == self.keep {
                newest.pop_front();
            }
            newest.push_back(seen);
        }
        self.counts.send_modify(|counts| counts.requests += 1);
    }

    fn newest(&self) -> std::sync::MutexGuard<'_, VecDeque<SeenRequest>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches over one request; dropped before [`Watch::answered`], it counts a client that left.
#[derive(Debug)]
pub(super) struct Watch {
    record: Option<Arc<SimulatorRecord>>,
}

impl Watch {
    pub(super) fn new(record: &Arc<SimulatorRecord>) -> Self {
        Self {
            record: Some(Arc::clone(record)),
        }
    }

    /// The answer was given, to the end or as far as it was meant to go.
    pub(super) fn answered(&mut self) {
        if let Some(record) = self.record.take() {
            record.counts.send_modify(|counts| counts.answered += 1);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            record.counts.send_modify(|counts| counts.left += 1);
        }
    }
}
