//! Folds what the byte path shows of one exchange into its [`Exchange`], and gives it to the sinks when it is over.
//!
//! It knows frames, times and endings; what a body means it asks the dialect. It spells no wire key and no attribute.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode, Uri};

use super::Config;
use super::gaps::Gaps;
use super::reading::{Heard, RequestReading, ResponseReading};
use super::redact;
use super::secrets::Secrets;
use super::settle;
use crate::dialect::{Dialect, Output, deployment, headers, vector_store};
use crate::exchange::{Attempt, Call, Exchange, Flow, Headers, Stall, Times, Upstream};
use crate::sink::{ExchangeId, Sink};
use crate::tee::{Closing, Event, Instant, Observer, RequestHead, UpstreamName};

/// The observer of one exchange.
pub struct ExchangeObserver {
    id: ExchangeId,
    received: Instant,
    exchange: Box<Exchange>,
    request: RequestReading,
    response: ResponseReading,
    clock: OutputClock,
    /// When the last frame of the response came.
    last_byte: Option<Duration>,
    /// Usage was asked for on the client's behalf, and the response is coded, so the answer stayed in.
    usage_asked: bool,
    coded: bool,
    secrets: Secrets,
    sinks: Arc<[Arc<dyn Sink>]>,
}

impl ExchangeObserver {
    /// An observer for an exchange whose head has been read.
    #[must_use]
    pub(super) fn new(
        id: ExchangeId,
        head: &RequestHead<'_>,
        exchange: Exchange,
        dialect: Option<&'static dyn Dialect>,
        config: &Config,
        secrets: Secrets,
        sinks: Arc<[Arc<dyn Sink>]>,
    ) -> Self {
        let coding = header(head.headers, CONTENT_ENCODING);
        let content_type = head.headers.get(CONTENT_TYPE);
        let content_type = content_type.map_or(&b""[..], http::HeaderValue::as_bytes);
        Self {
            id,
            received: head.received,
            exchange: Box::new(exchange),
            request: RequestReading::new(dialect, coding, content_type, config.inspect_bytes),
            response: ResponseReading::new(dialect, config.inspect_bytes),
            clock: OutputClock::new(config.stall_threshold),
            last_byte: None,
            usage_asked: false,
            coded: false,
            secrets,
            sinks,
        }
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

    fn response_head(&mut self, at: Instant, status: StatusCode, headers: Headers) {
        let at = self.since(at);
        self.exchange.times.response_head = Some(at);
        if let Some(attempt) = self.exchange.attempts.last_mut() {
            attempt.ended = Some(at);
            attempt.status = Some(status.as_u16());
        }
        let coding = headers.first(headers::CODING).unwrap_or_default().trim();
        self.coded = !matches!(coding, "" | "identity");
        self.response.begin(status, coding);
        self.exchange.rate_limits = headers::rate_limits(&headers);
        self.exchange.http.response_headers = headers;
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
    }

    /// The request is over: reads it. Called again it does nothing.
    fn read_request(&mut self) {
        let exchange = &mut *self.exchange;
        self.request.finish(&mut exchange.request);
        if exchange.call.is_some() && exchange.request.model.is_none() {
            exchange.request.model = deployment(&exchange.http.path).map(str::to_owned);
        }
        if exchange.call == Some(Call::Retrieval) {
            exchange.request.data_source = vector_store(&exchange.http.path).map(str::to_owned);
        }
    }

    /// Settles what is known only at the end.
    fn finish(mut self: Box<Self>, closing: &Closing) -> Arc<Exchange> {
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
        flow.gap_max = clock.gaps.max();
        flow.gap_p99 = clock.gaps.p99();
        flow.gaps = std::mem::take(&mut clock.gaps).into_means();
        let facts = self.response.settle(&self.exchange.request);
        self.exchange.response = facts.response;
        if let Some(error) = &mut self.exchange.response.error {
            self.secrets.hide_in_error(error);
        }
        self.exchange.usage = facts.usage;
        self.exchange.problems = facts.problems;
        self.exchange.problems.add(self.request.problems());
        self.exchange.http.response_bytes = closing.response_bytes;
        self.exchange.http.status = closing.status.map(|status| status.as_u16());
        if !self.exchange.response.streamed {
            self.exchange.times.first_chunk = self.exchange.times.first_byte;
        }
        let usage_left = self.usage_asked && self.coded && self.exchange.response.streamed;
        settle::settle(&mut self.exchange, closing, usage_left);
        Arc::new(*self.exchange)
    }
}

impl Observer for ExchangeObserver {
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
            Event::ResponseHead { at, status, fields } => {
                let fields = self.secrets.hide_in(fields.unwrap_or_default());
                self.response_head(at, status, Headers::from_lines(fields));
            }
            Event::ResponseFrame(at, bytes) => self.response_frame(at, &bytes),
            Event::Switched(_) | Event::TunnelFrame(..) | Event::TunnelEnd(..) => {}
            Event::Missed(frames) => {
                self.request.missed();
                self.response.missed(frames);
            }
        }
    }

    fn close(self: Box<Self>, closing: Closing) {
        let (id, sinks) = (self.id, Arc::clone(&self.sinks));
        let exchange = self.finish(&closing);
        for sink in sinks.iter() {
            sink.finished(id, &exchange);
        }
    }
}

fn header(headers: &HeaderMap, name: http::HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .trim()
}

/// Notes when output came, and what lay between.
struct OutputClock {
    last: Option<Duration>,
    gaps: Gaps,
    stall_threshold: Duration,
}

impl OutputClock {
    fn new(stall_threshold: Duration) -> Self {
        Self {
            last: None,
            gaps: Gaps::default(),
            stall_threshold,
        }
    }

    fn note(&mut self, at: Duration, heard: Heard, times: &mut Times, flow: &mut Flow) {
        match heard {
            Heard::Event(output) => {
                times.first_chunk.get_or_insert(at);
                *flow.events.get_or_insert(0) += 1;
                flow.chunks.get_or_insert(0);
                if output.any() {
                    self.tick(at, output, times, flow);
                }
            }
            Heard::Bytes => {
                times.first_token.get_or_insert(at);
                times.last_token = Some(at);
            }
        }
    }

    fn tick(&mut self, at: Duration, output: Output, times: &mut Times, flow: &mut Flow) {
        *flow.chunks.get_or_insert(0) += 1;
        times.first_token.get_or_insert(at);
        times.last_token = Some(at);
        let firsts = [
            (output.reasoning, &mut times.first_reasoning),
            (output.content, &mut times.first_content),
            (output.tool_call, &mut times.first_tool_call),
        ];
        for (_, first) in firsts.into_iter().filter(|(came, _)| *came) {
            first.get_or_insert(at);
        }
        let Some(last) = self.last.replace(at) else {
            return;
        };
        let gap = at.saturating_sub(last);
        self.gaps.push(gap);
        if gap > self.stall_threshold {
            flow.stall_count += 1;
            if flow.stalls.len() < Flow::STALLS_KEPT {
                flow.stalls.push(Stall { at, gap });
            }
        }
    }
}
