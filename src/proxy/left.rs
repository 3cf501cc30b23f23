//! Calls whose client leaves before the head of the answer, on a route that has answers read on: the call goes on by itself.
//!
//! A request that has not come whole goes nowhere: it breaks off where the client did.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::StatusCode;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::error::ProxyError;
use super::request_body::Outgoing;
use super::route::Destination;
use super::{Pending, closing};
use crate::tap::{Close, Event, Fate, Instant, Tap};
use crate::tee::{DrainLimits, Parting};
use crate::upstream::{self, Inbound, Upload};

/// What comes of a call.
type Answered =
    Result<Inbound<Box<Outgoing>>, Box<upstream::Unanswered<Box<Outgoing>, ProxyError>>>;

type Call = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// A call that goes on when nobody waits for it any more.
pub(super) struct Awaited<'a> {
    /// Until it is answered.
    call: Option<Call>,
    exchange: &'a Pending,
    limits: DrainLimits,
    places: Arc<Semaphore>,
}

impl<'a> Awaited<'a> {
    /// Sends a request as [`Upstream::call`](upstream::Upstream::call) does.
    pub(super) fn call(
        to: &Arc<Destination>,
        request: upstream::Outbound<Box<Outgoing>>,
        upload: Option<Upload<ProxyError>>,
        fresh: bool,
        exchange: &'a Pending,
        limits: DrainLimits,
    ) -> Self {
        let (to, places) = (Arc::clone(to), Arc::clone(&to.drains));
        let call = async move { to.upstream.call(request, upload, fresh).await };
        Self {
            call: Some(Box::pin(call)),
            exchange,
            limits,
            places,
        }
    }
}

impl Future for Awaited<'_> {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answered> {
        let Some(call) = &mut self.call else {
            return Poll::Pending;
        };
        let answered = ready!(call.as_mut().poll(cx));
        self.call = None;
        Poll::Ready(answered)
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        let (Some(call), Ok(runtime)) = (self.call.take(), Handle::try_current()) else {
            return;
        };
        let tap = self.exchange.tap().clone();
        if tap.is_cutting_off() {
            return;
        }
        self.exchange.hand_over();
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let left = closing(Close::Dropped, None);
            let parting = Parting::at_once(tap, left, Fate::NotDrained, 0);
            // The call before what ends its exchange.
            drop(call);
            return drop(parting);
        };
        let limits = self.limits;
        runtime.spawn(async move {
            read_on(call, tap, limits).await;
            drop(place);
        });
    }
}

/// Waits for the answer of a call whose client has left, and reads it on.
async fn read_on(call: Call, tap: Tap, limits: DrainLimits) {
    // What is declared later is dropped before: the answer, and with it the connection to the upstream.
    let mut parting = Parting::reading_on(tap.clone(), closing(Close::Dropped, None));
    let answered = match parting.deadline(limits) {
        Some(deadline) => tokio::time::timeout_at(deadline, call).await,
        None => Ok(call.await),
    };
    let mut response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(unanswered)) => {
            if unanswered.error != ProxyError::ClientLeft {
                tap.show(Event::Unanswered(Instant::now(), unanswered.error.kind()));
            }
            return parting.without_body(Fate::Broken);
        }
        Err(_) => return parting.without_body(Fate::LimitReached),
    };
    let status = response.status;
    tap.show(Event::ResponseHead {
        at: Instant::now(),
        status,
        fields: std::mem::take(&mut response.fields),
    });
    if status == StatusCode::SWITCHING_PROTOCOLS {
        // Its answer is whole, and what would follow is a session that nobody is at.
        return parting.without_body(Fate::Drained);
    }
    parting.read_on(&mut response.body, limits).await;
}
