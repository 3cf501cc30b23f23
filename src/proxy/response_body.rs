//! The response body as the client gets it.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, Version};
use http_body::SizeHint;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::config::Route;
use super::headers;
use super::keep_alive::{self, KeepAlive};
use super::request_body::Outgoing;
use super::reread::Reread;
use super::usage::Editor;
use crate::message::{Body, Fields, Frame, Polled};
use crate::tee::{DrainLimits, ResponseTee};
use crate::upstream::{BodyError, ResponseBody};

/// An upstream's body on its way.
pub(super) type Passed = ResponseTee<Reread<ResponseBody<Box<Outgoing>>>, Editor>;

/// The body of an answer.
pub enum ClientBody {
    /// The upstream's. Boxed: an answer is moved several times before its body is.
    Upstream(Box<Passed>),
    /// The same where more is done with it than to pass it on.
    Attended(Box<Attended>),
    /// Our own, until it has been handed over.
    Own(Option<Bytes>),
}

/// How far an answer is read on, and with how many others at once.
#[derive(Debug)]
struct Drain {
    limits: DrainLimits,
    places: Arc<Semaphore>,
}

/// What is done with an answer beside passing it on.
#[derive(Debug, Default)]
pub(super) struct Care {
    drain: Option<Drain>,
    keep_alive: Option<Duration>,
}

impl Care {
    /// What a route wants of an answer that goes to a client of this version with these fields.
    pub(super) fn of_route(
        route: &Route,
        drains: &Arc<Semaphore>,
        status: StatusCode,
        client: Version,
        fields: &Fields,
    ) -> Self {
        let fits = |_: &Duration| keep_alive::fits(status, client, fields);
        Self {
            drain: route.drains().map(|limits| Drain {
                limits,
                places: Arc::clone(drains),
            }),
            keep_alive: route.keep_alive.filter(fits),
        }
    }

    pub(super) fn of(self, body: Passed) -> ClientBody {
        if self.drain.is_none() && self.keep_alive.is_none() {
            return ClientBody::Upstream(Box::new(body));
        }
        ClientBody::Attended(Box::new(Attended {
            body: Some(body),
            drain: self.drain,
            keep_alive: self.keep_alive.map(KeepAlive::after),
        }))
    }
}

/// An upstream's body with which more is done than to pass it on.
pub struct Attended {
    /// There until it is dropped.
    body: Option<Passed>,
    /// How it is read on when the client leaves; `None` where the upstream is cancelled then.
    drain: Option<Drain>,
    keep_alive: Option<KeepAlive>,
}

impl Attended {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<BodyError> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = body.poll_frame(cx);
        let Some(keep_alive) = &mut self.keep_alive else {
            return polled;
        };
        match &polled {
            Poll::Ready(Some(Ok(Frame::Data(bytes)))) => keep_alive.passed(bytes),
            Poll::Ready(_) => {}
            Poll::Pending => {
                ready!(keep_alive.poll_due(cx));
                body.add();
                let comment = Bytes::from_static(keep_alive::COMMENT);
                return Poll::Ready(Some(Ok(Frame::Data(comment))));
            }
        }
        polled
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        let (Some(drain), Some(mut body)) = (self.drain.take(), self.body.take()) else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let Ok(place) = drain.places.try_acquire_owned() else {
            return body.leave_undrained();
        };
        if body.leave() {
            runtime.spawn(async move {
                body.read_on(drain.limits).await;
                // The place is free when the upstream is let go of.
                drop((body, place));
            });
        }
    }
}

impl From<Bytes> for ClientBody {
    fn from(own: Bytes) -> Self {
        Self::Own(Some(own).filter(|own| !own.is_empty()))
    }
}

impl Body for ClientBody {
    type Error = BodyError;

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<BodyError> {
        match self {
            Self::Upstream(body) => {
                let frame = ready!(body.poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map(headers::crossing)))
            }
            Self::Attended(body) => {
                let frame = ready!(body.poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map(headers::crossing)))
            }
            Self::Own(own) => Poll::Ready(own.take().map(|own| Ok(Frame::Data(own)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Upstream(body) => body.is_end_stream(),
            Self::Attended(body) => body.body.as_ref().is_none_or(Body::is_end_stream),
            Self::Own(own) => own.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Upstream(body) => body.size_hint(),
            Self::Attended(body) => body
                .body
                .as_ref()
                .map_or_else(SizeHint::default, Body::size_hint),
            Self::Own(own) => SizeHint::with_exact(own.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}
