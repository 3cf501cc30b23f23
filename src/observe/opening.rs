//! Exchanges that have been opened: their observer is made when it is first shown something.
//!
//! That is on the observers' thread. On the byte path, where an exchange is opened, only what the upstream is to be told is made.

use std::sync::Arc;

use super::observer::ExchangeObserver;
use super::{Shared, observer};
use crate::dialect::{Dialect, SessionDialect};
use crate::exchange::Trace;
use crate::sink::ExchangeId;
use crate::tap::{Closing, Event, Observer, RequestHead};

/// What opening an exchange leaves to its observer.
pub(super) struct Opening {
    pub(super) id: ExchangeId,
    pub(super) head: Arc<RequestHead>,
    pub(super) dialect: Option<&'static dyn Dialect>,
    pub(super) session: Option<&'static dyn SessionDialect>,
    pub(super) trace: Option<Trace>,
    pub(super) shared: Arc<Shared>,
}

impl Opening {
    fn observer(self) -> Box<ExchangeObserver> {
        let Shared {
            config,
            pipeline,
            ours,
            next_id,
        } = &*self.shared;
        let (ours, pipeline) = (Arc::clone(ours), Arc::clone(pipeline));
        let observer = observer(
            self.id,
            &self.head,
            self.dialect,
            self.trace,
            config,
            ours,
            pipeline,
        );
        match self.session {
            Some(session) => {
                observer.with_session(session, &self.head, config, Arc::clone(next_id))
            }
            None => observer,
        }
    }
}

/// The observer of an exchange, made when it is first shown something.
pub(super) struct Observation {
    wants_tunnel: bool,
    /// Until then.
    opening: Option<Opening>,
    /// From then on.
    observer: Option<Box<ExchangeObserver>>,
}

impl Observation {
    pub(super) const fn of(opening: Opening) -> Self {
        Self {
            wants_tunnel: opening.session.is_some(),
            opening: Some(opening),
            observer: None,
        }
    }

    fn observer(&mut self) -> &mut ExchangeObserver {
        let opening = &mut self.opening;
        self.observer.get_or_insert_with(|| {
            let opening = opening.take();
            opening
                .expect("it is taken only here, and only once")
                .observer()
        })
    }
}

impl Observer for Observation {
    fn wants_tunnel(&self) -> bool {
        self.wants_tunnel
    }

    fn observe(&mut self, event: Event) {
        self.observer().observe(event);
    }

    fn look(&mut self) {
        self.observer().look();
    }

    fn close(mut self: Box<Self>, closing: Closing) {
        self.observer();
        if let Some(observer) = self.observer {
            observer.close(closing);
        }
    }
}
