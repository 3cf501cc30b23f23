//! What came in place of a request: an exchange of which nothing is known but who sent it, when, and how it was answered.

use std::sync::Arc;

use super::books::{Ending, settle};
use crate::exchange::{Exchange, Http, Trace};
use crate::pipeline::{Finished, Pipeline};
use crate::sink::ExchangeId;
use crate::tap::{Closing, Event, Instant, Observer, RefusedRequest};

/// The observer of such an exchange.
pub(super) struct RefusedObserver {
    id: ExchangeId,
    received: Instant,
    exchange: Box<Exchange>,
    pipeline: Arc<Pipeline>,
}

impl RefusedObserver {
    pub(super) fn new(
        id: ExchangeId,
        refused: &RefusedRequest,
        trace: Option<Trace>,
        pipeline: Arc<Pipeline>,
    ) -> Self {
        let exchange = Exchange {
            http: Http {
                scheme: refused.scheme,
                peer: refused.peer,
                ..Http::default()
            },
            trace,
            ..Exchange::begin(refused.received_at)
        };
        Self {
            id,
            received: refused.received,
            exchange: Box::new(exchange),
            pipeline,
        }
    }
}

impl Observer for RefusedObserver {
    /// Nothing happens between its beginning and its end.
    fn observe(&mut self, _: Event) {}

    fn close(self: Box<Self>, closing: Closing) {
        let mut exchange = self.exchange;
        exchange.times.end = closing.at.saturating_duration_since(self.received);
        exchange.http.status = closing.status.map(|status| status.as_u16());
        let ending = Ending {
            close: &closing.close,
            verdict: None,
            usage_left: false,
            left_early: None,
        };
        settle(&mut exchange, &ending);
        self.pipeline.finish(Finished {
            id: self.id,
            exchange,
            uncounted: None,
            held: None,
        });
    }
}
