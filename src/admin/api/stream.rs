//! What ends and what is in flight, as it happens: `/api/stream`, server-sent events.
//!
//! A stream keeps nothing but how far it has come: it takes from the history what has ended since. So nobody who observes an exchange
//! has to tell a stream of it, and a client that reads slowly takes no memory; what the history has let go by then is told of as `missed`.

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use http_body::Frame;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::asked::{Asked, number};
use super::{Wrong, in_flight};
use crate::admin::AdminState;
use crate::admin::query::Query;
use crate::view::Entry;

/// Most streams at once.
const STREAMS_MAX: usize = 32;
/// Between two looks at what has ended.
const LOOK: Duration = Duration::from_millis(100);
/// Between two looks at what is in flight.
const FLIGHT: Duration = Duration::from_millis(500);
/// A look at what is in flight serves all streams for so long.
const FRESH: Duration = Duration::from_millis(400);
/// Between two comments, which keep connections open.
const COMMENT: Duration = Duration::from_secs(15);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Has nginx pass events on as they come.
const NOT_BUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// What streams share.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    places: Arc<Semaphore>,
    /// Says when all end.
    stopping: watch::Receiver<bool>,
    /// What was in flight lately.
    flying: Arc<tokio::sync::Mutex<Option<(Instant, Bytes)>>>,
}

impl Streams {
    pub(super) fn new(stopping: watch::Receiver<bool>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(STREAMS_MAX)),
            stopping,
            flying: Arc::default(),
        }
    }

    /// Begins one: behind `Last-Event-ID`, as far as that is kept, else with what ends from now on.
    pub(super) async fn open(
        self,
        State(state): State<AdminState>,
        uri: Uri,
        headers: HeaderMap,
    ) -> Result<Response, Wrong> {
        let query = Asked::of(&uri, &["q"])?.query()?;
        let last = headers
            .get(LAST_EVENT_ID)
            .and_then(|id| number(id.to_str().ok()?));
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let full = format!("{STREAMS_MAX} streams are open: close one, or read /api/exchanges");
            Wrong::new(StatusCode::SERVICE_UNAVAILABLE, full)
        })?;
        let newest = state.live.last_id();
        let (give, events) = mpsc::channel(1);
        let stream = Stream {
            // What is beyond the newest is of another process, whose ids began anew.
            last: last.map_or(newest, |last| if last > newest { 0 } else { last }),
            state,
            query,
            give,
            streams: self,
        };
        tokio::spawn(stream.run());
        let events = Events {
            events,
            _place: place,
        };
        let head = [(CONTENT_TYPE, "text/event-stream"), NOT_BUFFERED];
        Ok((head, Body::new(events)).into_response())
    }

    /// The event of what is in flight.
    async fn in_flight(&self, state: &AdminState) -> Bytes {
        let mut flying = self.flying.lock().await;
        if let Some((at, event)) = &*flying
            && at.elapsed() < FRESH
        {
            return event.clone();
        }
        let data = serde_json::to_string(&in_flight::list(state).await);
        let data = data.expect("it has no keys but texts");
        let event = Bytes::from(format!("event: in_flight\ndata: {data}\n\n"));
        *flying = Some((Instant::now(), event.clone()));
        event
    }
}

/// One stream.
struct Stream {
    state: AdminState,
    query: Query,
    /// The last id that was looked at.
    last: u64,
    give: mpsc::Sender<Bytes>,
    streams: Streams,
}

impl Stream {
    /// Runs until the client has left or all end.
    async fn run(mut self) {
        let mut stopping = self.streams.stopping.clone();
        let left = self.give.clone();
        tokio::select! {
            () = self.events() => {}
            () = left.closed() => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    }

    async fn events(&mut self) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut flight_due, mut comment_due) = (Instant::now(), Instant::now());
        loop {
            looks.tick().await;
            if !self.pass_on_what_ended().await {
                return;
            }
            let now = Instant::now();
            let mut also = Vec::new();
            if now >= flight_due {
                flight_due = now + FLIGHT;
                also.push(self.streams.in_flight(&self.state).await);
            }
            if now >= comment_due {
                comment_due = now + COMMENT;
                also.push(Bytes::from_static(b": streamgauge\n\n"));
            }
            for event in also {
                if self.give.send(event).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Whether the client still takes something.
    async fn pass_on_what_ended(&mut self) -> bool {
        loop {
            let entries = self.state.live.after(self.last, usize::MAX);
            let newest = entries
                .last()
                .map_or_else(|| self.state.live.last_id(), |entry| entry.id);
            if newest <= self.last {
                return true;
            }
            let text = self.text(&entries, newest);
            self.last = newest;
            if !text.is_empty() && self.give.send(text.into()).await.is_err() {
                return false;
            }
        }
    }

    /// The events of these, and of how many before them are gone.
    fn text(&self, entries: &[Entry], newest: u64) -> String {
        let mut text = String::new();
        let first = entries.first().map_or(newest + 1, |entry| entry.id);
        let missed = first - self.last - 1;
        if missed > 0 && self.last > 0 {
            let data = json!({ "count": missed });
            let _ = write!(text, "event: missed\ndata: {data}\n\n");
        }
        for entry in entries {
            let row = entry.row();
            if self.query.takes(&row) {
                let data = serde_json::to_string(&row).expect("it has no keys but texts");
                let _ = write!(text, "event: exchange\nid: {}\ndata: {data}\n\n", entry.id);
            }
        }
        text
    }
}

/// Events as a body.
struct Events {
    events: mpsc::Receiver<Bytes>,
    /// Free again when the body is gone.
    _place: OwnedSemaphorePermit,
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let event = self.events.poll_recv(context);
        event.map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}
