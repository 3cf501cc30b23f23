//! Folds what the byte path shows of one exchange into its [`Exchange`], and gives it to the sinks when it is over.
//!
//! It knows frames, times and endings; what a body means it asks the dialect. It spells no wire key and no attribute.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{StatusCode, Uri};

use super::Config;
use super::clock::OutputClock;
use super::estimate::{Countable, Estimates, Finished};
use super::kept;
use super::quirks;
use super::reading::{RequestReading, ResponseReading};
use super::redact;
use super::secrets::Secrets;
use super::session::SessionReading;
use super::settle;
use crate::dialect::{
    Dialect, Generated, SessionDialect, TEXT_MAX, deployment, headers, vector_store,
};
use crate::exchange::{Attempt, Call, Exchange, Headers, Problems, Quirk, Upstream, UsageSource};
use crate::message::Fields;
use crate::sink::{ExchangeId, Sink};
use crate::tee::{Closing, Event, Instant, Observer, RequestHead, Side, UpstreamName};

/// The observer of one exchange.
pub struct ExchangeObserver {
    id: ExchangeId,
    received: Instant,
    exchange: Box<Exchange>,
    request: RequestReading,
    response: ResponseReading,
    /// Where the request may open a session.
    session: Option<Box<SessionReading>>,
    dialect: Option<&'static dyn Dialect>,
    clock: OutputClock,
    /// When the last frame came, of the response or of the tunnel that it began.
    last_byte: Option<Duration>,
    /// Usage was asked for on the client's behalf, and the response is coded, so the answer stayed in.
    usage_asked: bool,
    coded: bool,
    secrets: Secrets,
    sinks: Arc<[Arc<dyn Sink>]>,
    /// Where tokens are counted that nobody reports; `None` where they are not to be.
    estimates: Option<Estimates>,
    /// The decoded request, kept for its prompt until usage is reported.
    body: Option<Bytes>,
}

impl ExchangeObserver {
    /// An observer for an exchange whose head has been read. Boxed from the first: it is large, and passes through several
    /// hands before it sees a frame.
    #[must_use]
    pub(super) fn new(
        id: ExchangeId,
        head: &RequestHead,
        mut exchange: Box<Exchange>,
        dialect: Option<&'static dyn Dialect>,
        config: &Config,
        secrets: Secrets,
        sinks: Arc<[Arc<dyn Sink>]>,
    ) -> Box<Self> {
        let coding = head
            .fields
            .text(CONTENT_ENCODING)
            .unwrap_or_default()
            .trim();
        let compressed = dialect.is_some() && is_coded(coding);
        exchange.quirks.insert_if(compressed, Quirk::CodedRequest);
        let content_type = head.fields.get(CONTENT_TYPE).unwrap_or_default();
        Box::new(Self {
            id,
            received: head.received,
            exchange,
            request: RequestReading::new(dialect, coding, content_type, config.inspect_bytes),
            response: ResponseReading::new(dialect, config.inspect_bytes),
            session: None,
            dialect,
            clock: OutputClock::new(config.stall_threshold),
            last_byte: None,
            usage_asked: false,
            coded: false,
            secrets,
            sinks,
            estimates: None,
            body: None,
        })
    }

    /// The same for a request that may open a session; the responses by it take their identities from `ids`.
    #[must_use]
    pub fn with_session(
        mut self: Box<Self>,
        dialect: &dyn SessionDialect,
        head: &RequestHead,
        config: &Config,
        ids: Arc<AtomicU64>,
    ) -> Box<Self> {
        self.exchange.http.route = Some(dialect.route());
        let session = SessionReading::new(dialect, head.uri.query(), config, ids);
        self.session = Some(Box::new(session));
        self
    }

    /// The same, with the tokens counted that nobody reports.
    #[must_use]
    pub fn with_estimates(mut self: Box<Self>, estimates: Option<Estimates>) -> Box<Self> {
        self.estimates = estimates;
        self
    }

    fn since(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.received)
    }

    fn forwarded(&mut self, at: Instant, upstream: &UpstreamName, uri: &Uri, usage_asked: bool) {
        let at = self.since(at);
        self.usage_asked = usage_asked;
        // What counts is the request that was answered, and that is the last.
        self.exchange.request.usage_injected = usage_asked;
        self.exchange.times.forwarded.get_or_insert(at);
        self.exchange.attempts.push(Attempt {
            url: redact::url(uri),
            started: at,
            ended: None,
            status: None,
            error: None,
        });
        self.exchange.upstream = Some(Upstream {
            name: Arc::clone(&upstream.name),
            provider: Arc::clone(&upstream.provider),
            address: Arc::clone(&upstream.address),
            port: upstream.port,
        });
    }

    fn unanswered(&mut self, at: Instant, error: &'static str) {
        let at = self.since(at);
        if let Some(attempt) = self.exchange.attempts.last_mut() {
            attempt.ended = Some(at);
            attempt.error = Some(error);
        }
    }

    fn response_head(&mut self, at: Instant, status: StatusCode, fields: &Fields) {
        let at = self.since(at);
        let lines = self.secrets.hide_in(kept::lines(fields, &headers::KEPT));
        let kept = Headers::from_lines(lines);
        self.exchange.times.response_head = Some(at);
        if let Some(attempt) = self.exchange.attempts.last_mut() {
            attempt.ended = Some(at);
            attempt.status = Some(status.as_u16());
        }
        let coding = kept.first(headers::CODING).unwrap_or_default().trim();
        self.coded = is_coded(coding);
        let content_type = kept.first(headers::CONTENT_TYPE);
        let says_events = content_type.map(headers::announces_events);
        self.response.begin(status, coding, says_events);
        if self.estimates.is_some() {
            self.response.gather();
        }
        self.exchange.rate_limits = headers::rate_limits(&kept);
        self.exchange.http.response_headers = kept;
    }

    fn response_frame(&mut self, at: Instant, bytes: &Bytes) {
        let at = self.since(at);
        self.exchange.times.first_byte.get_or_insert(at);
        self.last_byte = Some(at);
        let (times, flow, clock) = (
            &mut self.exchange.times,
            &mut self.exchange.flow,
            &mut self.clock,
        );
        self.response
            .push(bytes, |heard| clock.note(at, heard, times, flow));
        if self.estimates.is_some() && self.response.has_usage() {
            self.body = None;
        }
    }

    /// The request is over: reads it. Called again it does nothing.
    fn read_request(&mut self) {
        let exchange = &mut *self.exchange;
        let body = self.request.finish(&mut exchange.request);
        let kept = body.filter(|body| self.estimates.is_some() && body.len() <= TEXT_MAX);
        self.body = kept.or(self.body.take());
        if exchange.call.is_some() && exchange.request.model.is_none() {
            exchange.request.model = deployment(&exchange.http.path).map(str::to_owned);
        }
        if exchange.call == Some(Call::Retrieval) {
            exchange.request.data_source = vector_store(&exchange.http.path).map(str::to_owned);
        }
    }

    /// Settles what is known only at the end. Says where tokens are to be counted, and in what, where they are.
    fn finish(
        mut self: Box<Self>,
        closing: &Closing,
    ) -> (Finished, Option<(Estimates, Countable)>) {
        let end = self.since(closing.at);
        self.read_request();
        let times = &mut self.exchange.times;
        let (flow, clock) = (&mut self.exchange.flow, &mut self.clock);
        // An event without its blank line came with the last frame, not with the end.
        let last = self.last_byte.unwrap_or(end);
        let complete = closing.close == crate::tee::Close::Complete;
        self.response
            .finish(complete, |heard| clock.note(last, heard, times, flow));
        times.end = end;
        times.held = closing.held;
        clock.settle(flow);
        let facts = self.response.settle(&self.exchange.request);
        self.exchange.response = facts.response;
        if let Some(error) = &mut self.exchange.response.error {
            self.secrets.hide_in_error(error);
        }
        self.exchange.usage = facts.usage;
        self.exchange.problems = facts.problems;
        self.exchange.problems.add(self.request.problems());
        self.exchange.quirks |= facts.quirks;
        self.exchange.unknown = facts.unknown;
        self.exchange.http.response_bytes = closing.response_bytes;
        self.exchange.http.status = closing.status.map(|status| status.as_u16());
        if !self.exchange.response.streamed {
            self.exchange.times.first_chunk = self.exchange.times.first_byte;
        }
        let usage_left = self.usage_asked && self.coded && self.exchange.response.streamed;
        let of_session = self.finish_session(end, closing);
        self.exchange.problems.add(&of_session);
        settle::settle(
            &mut self.exchange,
            &closing.close,
            closing.verdict,
            usage_left,
        );
        self.exchange.quirks |= quirks::of_whole(&self.exchange);
        let countable = self.countable(facts.generated);
        let finished = Finished {
            id: self.id,
            exchange: self.exchange,
            sinks: self.sinks,
        };
        (finished, self.estimates.zip(countable))
    }

    /// What the tokens are counted in, where the answer was a good one that reports none. What passed unseen would be
    /// missing in an estimate, so then there is none.
    fn countable(&mut self, generated: Generated) -> Option<Countable> {
        let (exchange, dialect) = (&self.exchange, self.dialect?);
        let answered = exchange
            .http
            .status
            .is_some_and(|status| (200..300).contains(&status));
        let missing = exchange.usage_source() == Some(UsageSource::Missing);
        let wanted = answered && missing && !exchange.problems.is_partial();
        wanted.then(|| Countable {
            dialect,
            body: self.body.take(),
            generated: generated.into_texts(),
        })
    }

    /// Reports the responses of the session that are over.
    fn report_responses(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        for (id, response) in session.take_over(&self.exchange, &self.secrets) {
            let response = Arc::new(response);
            self.sinks
                .iter()
                .for_each(|sink| sink.finished(id, &response));
        }
    }

    fn tunnel_frame(&mut self, side: Side, at: Instant, bytes: &Bytes) {
        let at = self.since(at);
        self.last_byte = Some(at);
        if let Some(session) = &mut self.session {
            session.push(side, at, bytes);
            self.report_responses();
        }
    }

    fn tunnel_end(&mut self, side: Side, bytes: u64) {
        let tunnel = self.exchange.http.tunnel.get_or_insert_default();
        match side {
            Side::Client => tunnel.from_client = bytes,
            Side::Upstream => tunnel.from_upstream = bytes,
        }
        if let Some(session) = &mut self.session {
            session.end(side);
        }
    }

    fn missed(&mut self, frames: u64) {
        self.request.missed();
        let at = self.last_byte.unwrap_or_default();
        let session = self.session.as_mut();
        if session.is_some_and(|session| session.missed(frames, at)) {
            self.report_responses();
        } else {
            self.response.missed(frames);
        }
    }

    /// Reports the responses that were in progress; gives what was not read of the session.
    fn finish_session(&mut self, end: Duration, closing: &Closing) -> Problems {
        let session = self.session.as_mut();
        let problems = session.map(|session| session.finish(end, &closing.close));
        self.report_responses();
        problems.unwrap_or_default()
    }
}

impl Observer for ExchangeObserver {
    fn wants_tunnel(&self) -> bool {
        self.session.is_some()
    }

    fn observe(&mut self, event: Event) {
        match event {
            Event::RequestFrame(_, bytes) => self.request.push(bytes),
            Event::RequestEnd(at, bytes) => {
                self.exchange.times.request_end = Some(self.since(at));
                self.exchange.http.request_bytes = bytes;
                self.read_request();
            }
            Event::Forwarded {
                at,
                upstream,
                uri,
                usage_asked,
            } => self.forwarded(at, &upstream, &uri, usage_asked),
            Event::Unanswered(at, error) => self.unanswered(at, error),
            Event::Sent(at) => {
                let at = self.since(at);
                self.exchange.times.sent.get_or_insert(at);
            }
            Event::ResponseHead { at, status, fields } => self.response_head(at, status, &fields),
            Event::ResponseFrame(at, bytes) => self.response_frame(at, &bytes),
            Event::Switched(fields) => {
                if let Some(session) = &mut self.session {
                    session.switch(&fields);
                }
            }
            Event::TunnelFrame(side, at, bytes) => self.tunnel_frame(side, at, &bytes),
            Event::TunnelEnd(side, _, bytes) => self.tunnel_end(side, bytes),
            Event::Missed(frames) => self.missed(frames),
        }
    }

    fn close(self: Box<Self>, closing: Closing) {
        match self.finish(&closing) {
            (finished, Some((estimates, countable))) => estimates.submit(finished, countable),
            (finished, None) => finished.deliver(),
        }
    }
}

fn is_coded(coding: &str) -> bool {
    !matches!(coding, "" | "identity")
}
