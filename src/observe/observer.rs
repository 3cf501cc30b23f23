//! Folds what the byte path shows of one exchange into its [`Exchange`], and gives it to the sinks when it is over.
//!
//! It knows frames, times and endings; what a body means it asks the dialect. It spells no wire key and no attribute.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::ObserveConfig;
use super::books::{Entries, close_books};
use super::clock::OutputClock;
use super::content::{ContentReading, Prompt};
use super::conversation::credential;
use super::in_body::InBody;
use super::page::PageReading;
use super::reading::{Gathers, RequestReading, ResponseReading};
use super::response_headers::{self, Wanted};
use super::secrets::Secrets;
use super::session::SessionReading;
use super::template;
use super::uncounted::{uncounted, wants_counting};
use crate::dialect::{
    Asked, Dialect, SessionDialect, TEXT_MAX, deployment, headers, provider, vector_store,
};
use crate::exchange::{
    Aftermath, Attempt, Digest, Endpoint, Exchange, Fate, Headers, Operation, Problems, Quirk,
    Upstream, Why,
};
use crate::message::{Fields, Target};
use crate::pipeline::{Finished, Pipeline};
use crate::redact;
use crate::sink::{ExchangeId, Progress};
use crate::tap::{
    self, Close, Closing, Event, Forwarded, Instant, Joined, Observer, RequestHead, Side,
    UpstreamName,
};

/// The fields of a response that are kept.
static KEPT: Wanted = Wanted::of(&headers::KEPT);

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
    /// Bytes of the request's body so far; `None` where some of it passed unseen.
    uploaded: Option<u64>,
    /// When the last frame came, of the response or of the tunnel that it began.
    last_byte: Option<Duration>,
    /// The response is coded, so usage that was asked for on the client's behalf stays in.
    coded: bool,
    /// The response does not say that it is a stream, so such usage may stay in.
    untold: bool,
    /// Where the last attempt goes. Of most exchanges nobody asks for its URL.
    last_sent: Option<Sent>,
    /// Whether the client left before it had got the whole answer, which is read on.
    left_early: Option<bool>,
    /// Whose server the head of the response says that it is.
    provider: Option<&'static str>,
    /// What may say so where the request calls no model.
    page: Option<Box<PageReading>>,
    secrets: Secrets,
    /// The client's credentials, where they tell one conversation from another.
    credential: Option<Digest>,
    pipeline: Arc<Pipeline>,
    /// What its body may tell beside the call.
    in_body: Option<Box<InBody>>,
    /// The decoded request, kept for its prompt until usage is reported.
    body: Option<Bytes>,
    /// Where some exchange shows what was said in it.
    content: Option<Box<ContentReading>>,
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
        config: &ObserveConfig,
        secrets: Secrets,
        pipeline: Arc<Pipeline>,
    ) -> Box<Self> {
        let coding = head
            .fields
            .text(CONTENT_ENCODING)
            .unwrap_or_default()
            .trim();
        let compressed = dialect.is_some() && head.fields.is_coded();
        exchange.quirks.insert_if(compressed, Quirk::CodedRequest);
        let content_type = head.fields.get(CONTENT_TYPE).unwrap_or_default();
        let mut request = RequestReading::new(
            dialect,
            coding,
            content_type,
            config.inspect_bytes,
            config.memory.clone(),
        );
        let wants_history = dialect.is_some() && pipeline.wants_history();
        if wants_history {
            request.gather_history();
        }
        Box::new(Self {
            id,
            received: head.received,
            exchange,
            request,
            credential: wants_history.then(|| credential(head)),
            response: ResponseReading::new(dialect, config.inspect_bytes, config.memory.clone()),
            session: None,
            dialect,
            clock: OutputClock::new(config.stall_threshold),
            uploaded: Some(0),
            last_byte: None,
            coded: false,
            untold: false,
            last_sent: None,
            left_early: None,
            provider: None,
            page: dialect.is_none().then(|| PageReading::of(head)).flatten(),
            secrets,
            pipeline,
            in_body: dialect.and_then(|_| InBody::of(config)),
            body: None,
            content: dialect.and_then(|_| config.content()),
        })
    }

    /// The same for a request that may open a session; the responses by it take their identities from `ids`.
    #[must_use]
    pub fn with_session(
        mut self: Box<Self>,
        dialect: &dyn SessionDialect,
        head: &RequestHead,
        config: &ObserveConfig,
        ids: Arc<AtomicU64>,
    ) -> Box<Self> {
        self.exchange.http.route = Some(dialect.route());
        let session = SessionReading::new(dialect, head.target.query().as_deref(), config, ids);
        self.session = Some(Box::new(session));
        self.content = config.content();
        self
    }

    fn since(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.received)
    }

    fn forwarded(&mut self, forwarded: Forwarded) {
        let at = self.since(forwarded.at);
        let to = &*forwarded.upstream;
        if let Some(content) = &mut self.content {
            content.forwarded(forwarded.route, &to.name);
        }
        self.exchange.times.forwarded.get_or_insert(at);
        // Now there are several.
        put_url(self.last_sent.take(), &mut self.exchange, &self.secrets);
        self.exchange.attempts.push(Attempt {
            upstream: Upstream {
                name: Arc::clone(&to.name),
                provider: to.provider.clone(),
            },
            endpoint: Endpoint {
                address: Arc::clone(&to.address),
                port: to.port,
            },
            url: String::new(),
            why: match forwarded.why {
                tap::Why::First => Why::First,
                tap::Why::UsageRefused => Why::UsageRefused,
                tap::Why::Unprocessed => Why::Unprocessed,
                tap::Why::ConnectionClosed => Why::ConnectionClosed,
            },
            usage_asked: forwarded.usage_asked,
            issued: at,
            waited: None,
            sent: None,
            head: None,
            status: None,
            error: None,
            end: None,
        });
        self.last_sent = Some((forwarded.upstream, forwarded.target));
        self.exchange.follow_attempt();
    }

    fn joined(&mut self, joined: Joined) {
        if let Some(trace) = &mut self.exchange.trace {
            trace.trace_id = joined.trace_id;
            trace.parent_span_id = joined.parent_span_id;
            trace.sampled = joined.sampled;
            trace.parent_sampled = joined.parent_sampled;
            trace.random = joined.random;
            trace.tracestate = joined.tracestate;
        }
    }

    fn waited(&mut self, time: Duration, attempt: usize) {
        if let Some(attempt) = self.exchange.attempts.get_mut(attempt) {
            *attempt.waited.get_or_insert_default() += time;
        }
    }

    fn sent(&mut self, at: Instant, attempt: usize) {
        let at = self.since(at);
        self.exchange.times.sent.get_or_insert(at);
        if let Some(attempt) = self.exchange.attempts.get_mut(attempt) {
            attempt.sent = Some(at);
        }
    }

    fn unanswered(&mut self, at: Instant, error: &'static str) {
        let at = self.since(at);
        if let Some(attempt) = self.exchange.attempts.last_mut() {
            attempt.end = Some(at);
            attempt.error = Some(error);
        }
        self.exchange.follow_attempt();
    }

    fn response_head(&mut self, at: Instant, status: StatusCode, fields: &Fields) {
        let at = self.since(at);
        let clear = |value: &str| self.secrets.clear_len(value);
        let kept = Headers::from_lines(response_headers::lines(fields, &KEPT, clear));
        self.provider = provider::of_head(|name| fields.text(name));
        self.exchange.times.response_head = Some(at);
        if let Some(attempt) = self.exchange.attempts.last_mut() {
            attempt.head = Some(at);
            attempt.status = Some(status.as_u16());
        }
        self.exchange.follow_attempt();
        let coding = kept.first(headers::CODING).unwrap_or_default().trim();
        self.coded = fields.is_coded();
        self.page = self
            .page
            .take()
            .filter(|_| status == StatusCode::OK && !self.coded);
        let content_type = kept.first(headers::CONTENT_TYPE);
        let says_events = content_type.map(headers::announces_events);
        self.untold = says_events != Some(true);
        self.response.begin(status, coding, says_events);
        self.response.gather(Gathers {
            for_tokens: self.wants_texts(),
            despite_usage: self.pipeline.checks(self.id),
            for_history: self.pipeline.wants_history() && self.has_messages(),
        });
        if let Some(content) = &self.content {
            self.response.gather_content(content.answer());
        }
        self.exchange.rate_limits = headers::rate_limits(&kept);
        self.exchange.http.response_headers = kept;
    }

    fn response_frame(&mut self, at: Instant, bytes: &Bytes) {
        let at = self.since(at);
        self.exchange.times.first_byte.get_or_insert(at);
        self.last_byte = Some(at);
        if let Some(page) = &mut self.page {
            page.push(bytes);
        }
        let (times, flow, clock) = (
            &mut self.exchange.times,
            &mut self.exchange.flow,
            &mut self.clock,
        );
        self.response
            .push(at, bytes, |heard| clock.note(at, heard, times, flow));
        if self.body.is_some() && self.response.has_usage() {
            self.body = None;
        }
    }

    /// The request is over: reads it. Called again it does nothing.
    fn read_request(&mut self) {
        let wanted = self.wants_texts();
        let exchange = &mut *self.exchange;
        let body = self.request.finish(&mut exchange.request);
        if let Some((wanted, body)) = self.in_body.as_deref().zip(body.as_deref()) {
            wanted.read(body, exchange);
        }
        if let Some(history) = self.request.take_history() {
            exchange.history = Some(history);
        }
        if let (Some(content), Some(body)) = (&mut self.content, &body) {
            content.request(body);
        }
        let kept = body.filter(|body| wanted && body.len() <= TEXT_MAX);
        self.body = kept.or(self.body.take());
        match self.request.asked() {
            Asked::This => {}
            Asked::Other(dialect) => {
                exchange.operation = Some(dialect.operation());
                self.dialect = Some(dialect);
                self.response.change(self.dialect);
            }
            Asked::Nothing => {
                exchange.operation = None;
                exchange.http.route = None;
                exchange.mistaken = true;
                self.dialect = None;
                self.response.change(None);
            }
        }
        if exchange.operation.is_some() && exchange.request.model.is_none() {
            exchange.request.model = deployment(&exchange.http.path).map(str::to_owned);
        }
        if exchange.operation == Some(Operation::Retrieval) {
            exchange.request.data_source = vector_store(&exchange.http.path).map(str::to_owned);
        }
    }

    /// Whether the request repeats a conversation, as far as is known.
    fn has_messages(&self) -> bool {
        let operation = self.exchange.operation;
        operation.is_some_and(Operation::has_messages)
    }

    /// Closes the books.
    fn finish(mut self: Box<Self>, closing: &Closing) {
        let end = self.since(closing.at);
        self.read_request();
        let of_session = self.finish_session(end, closing);
        let exchange = &mut *self.exchange;
        let (times, flow, clock) = (&mut exchange.times, &mut exchange.flow, &mut self.clock);
        // An event without its blank line came with the last frame, not with the end.
        let last = self.last_byte.unwrap_or(end);
        let drained = |after: tap::Aftermath| after.fate == tap::Fate::Drained;
        let complete = closing.close == Close::Complete || closing.aftermath.is_some_and(drained);
        self.response
            .finish(complete, last, |heard| clock.note(last, heard, times, flow));
        times.end = end;
        times.held = closing.held;
        let mut facts = self.response.settle(&exchange.request);
        let generated = facts.folds.texts.take();
        let said = facts.folds.content.take();
        exchange.problems.add(self.request.problems());
        exchange.problems.add(&of_session);
        let came = self.uploaded.filter(|bytes| *bytes > 0);
        exchange.http.request_bytes = exchange.http.request_bytes.or(came);
        exchange.http.response_bytes = closing.response_bytes;
        exchange.moved.clone_from(&closing.moved);
        exchange.aftermath = closing.aftermath.map(|after| aftermath(closing, after));
        exchange.http.status = closing.status.map(|status| status.as_u16());
        if !facts.response.streamed {
            times.first_chunk = times.first_byte;
        }
        let reported = facts.usage.input_tokens.or(facts.usage.output_tokens);
        let usage_left = exchange.request.usage_injected
            && facts.response.streamed
            && (self.coded || (self.untold && reported.is_some()));
        let content = self.content.as_deref();
        let entries = Entries {
            facts,
            clock: self.clock,
            secrets: &self.secrets,
            close: &closing.close,
            verdict: closing.verdict,
            usage_left,
            left_early: self.left_early,
            texts: generated.as_ref(),
            credential: self.credential,
            content: content.map(|content| (content, Prompt::InBody(self.dialect), said)),
        };
        let held = close_books(exchange, entries);
        if exchange.template_name().is_none() {
            exchange.prompt_fingerprint =
                exchange.history.as_deref().and_then(template::fingerprint);
        }
        let (response, page) = (&mut exchange.response, self.page);
        let fingerprint = response.system_fingerprint.as_deref();
        response.provider = self
            .provider
            .or_else(|| provider::of_fingerprint(fingerprint?))
            .or(response.provider)
            .or_else(|| page?.provider());
        let is_told = exchange.attempts.len() > 1 || exchange.mistaken;
        if is_told || exchange.failure.is_some() {
            put_url(self.last_sent, exchange, &self.secrets);
        }
        let uncounted = match wants_counting(&self.exchange, &self.pipeline, self.id) {
            true => uncounted(&self.exchange, self.dialect, self.body, generated),
            false => None,
        };
        self.pipeline.finish(Finished {
            id: self.id,
            exchange: self.exchange,
            uncounted,
            held,
        });
    }

    /// Whether its texts may be counted in tokens.
    fn wants_texts(&self) -> bool {
        self.pipeline.wants_texts() || self.pipeline.checks(self.id)
    }

    /// Reports the responses of the session that are over.
    fn report_responses(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        for over in session.take_over(&self.exchange, &self.secrets) {
            self.pipeline.finish(Finished {
                id: over.id,
                exchange: Box::new(over.exchange),
                uncounted: None,
                held: over.held,
            });
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
        self.uploaded = None;
        self.page = None;
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
            Event::RequestFrame(_, bytes) => {
                self.uploaded = self.uploaded.map(|before| before + bytes.len() as u64);
                self.request.push(bytes);
            }
            Event::RequestEnd(at, bytes) => {
                self.exchange.times.request_end = Some(self.since(at));
                self.exchange.http.request_bytes = Some(bytes);
                self.read_request();
            }
            Event::Joined(joined) => self.joined(*joined),
            Event::Forwarded(forwarded) => self.forwarded(forwarded),
            Event::Unanswered(at, error) => self.unanswered(at, error),
            Event::Waited { time, attempt } => self.waited(time, attempt),
            Event::Sent { at, attempt } => self.sent(at, attempt),
            Event::ResponseHead { at, status, fields } => self.response_head(at, status, &fields),
            Event::ResponseFrame(at, bytes) => self.response_frame(at, &bytes),
            Event::Left(_) => self.left_early = Some(!self.response.said_all()),
            Event::Switched(fields) => {
                if let Some(session) = &mut self.session {
                    session.switch(&fields, self.content.take());
                }
            }
            Event::TunnelFrame(side, at, bytes) => self.tunnel_frame(side, at, &bytes),
            Event::TunnelEnd(side, _, bytes) => self.tunnel_end(side, bytes),
            Event::Missed(frames) => self.missed(frames),
        }
    }

    fn look(&mut self) {
        let (exchange, times) = (&self.exchange, &self.exchange.times);
        let model = exchange.request.model.as_deref();
        let model = model.map(|model| self.secrets.hide(model));
        self.pipeline.in_flight(&Progress {
            id: self.id,
            method: &exchange.http.method,
            path: &self.secrets.hide(&exchange.http.path),
            model: model.as_deref(),
            upstream: exchange.upstream.as_ref().map(|upstream| &*upstream.name),
            received: self.received.into_std(),
            answered: times.response_head.is_some(),
            chunks: exchange.flow.chunks,
            // Whether it is a stream is settled at the end; what came before it came as a stream.
            time_to_first_token: times
                .first_token
                .and_then(|first| exchange.since_request(first)),
            last_output: times.last_token.map(|at| (self.received + at).into_std()),
        });
    }

    fn close(self: Box<Self>, closing: Closing) {
        self.finish(&closing);
    }
}

/// Where an attempt goes.
type Sent = (Arc<UpstreamName>, Box<Target>);

/// Says of the last attempt where it went.
fn put_url(sent: Option<Sent>, exchange: &mut Exchange, secrets: &Secrets) {
    if let Some(((to, target), attempt)) = sent.zip(exchange.attempts.last_mut()) {
        let url = redact::url(&to.origin, &target.path(), target.query().as_deref());
        attempt.url = secrets.hide(&url).into_owned();
    }
}

/// What came of an answer whose client had left.
fn aftermath(closing: &Closing, after: tap::Aftermath) -> Aftermath {
    Aftermath {
        lasted: after.until.saturating_duration_since(closing.at),
        bytes: after.bytes,
        fate: match after.fate {
            tap::Fate::Cancelled => Fate::Cancelled,
            tap::Fate::NotDrained => Fate::NotDrained,
            tap::Fate::Drained => Fate::Drained,
            tap::Fate::LimitReached => Fate::LimitReached,
            tap::Fate::Broken => Fate::Broken,
            tap::Fate::Stopped => Fate::Stopped,
        },
    }
}
