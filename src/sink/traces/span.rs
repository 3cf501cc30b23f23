//! The spans of an exchange: SERVER for the client's request, as its child CLIENT for the inference, and under that one
//! more CLIENT for each attempt where there was more than one. One response of a session has only the second: the SERVER
//! span is the session's. Written as `opentelemetry/proto/trace/v1/trace.proto` has
//! it, each as one element of `ScopeSpans.spans`.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::TraceState;
use opentelemetry_proto::tonic::trace::v1::SpanFlags;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_sdk::trace::IdGenerator;

use crate::exchange::{Exchange, Trace};
use crate::semconv::{Attributes, Value, Vocabulary, gen_ai, http, operation, own};
use crate::sink::envelope::ITEM;
use crate::sink::protobuf;

/// Room for the longer of the two spans of a call, in bytes.
const SPAN_BYTES: usize = 4096;

/// The W3C flag of a sampled trace.
const SAMPLED: u32 = 1;

/// What all of them are made from.
pub(super) struct Draft<'e> {
    pub(super) exchange: &'e Exchange,
    pub(super) trace: &'e Trace,
    pub(super) vocabularies: &'e [&'static dyn Vocabulary],
}

/// What tells one span from another.
struct Span<'e> {
    id: u64,
    parent: Option<u64>,
    parent_is_remote: bool,
    kind: SpanKind,
    name: Cow<'e, str>,
    start: Duration,
    end: Duration,
    attributes: Attributes<'e>,
    /// With events of its own: the first token and the stalls.
    events: bool,
    /// The description of an error; `None` leaves the status unset.
    error: Option<&'e str>,
}

impl<'e> Draft<'e> {
    /// How many spans [`write`](Self::write) writes.
    pub(super) fn count(exchange: &Exchange) -> usize {
        usize::from(!exchange.of_session)
            + usize::from(exchange.inference().is_some())
            + attempt_count(exchange)
    }

    /// Writes each span and hands it on.
    pub(super) fn write(&self, ids: &impl IdGenerator, mut hand_on: impl FnMut(&[u8])) {
        let mut bytes = Vec::with_capacity(SPAN_BYTES);
        let mut write = |span: Span<'_>| {
            bytes.clear();
            protobuf::message(&mut bytes, ITEM, |out| self.write_span(&span, out));
            hand_on(&bytes);
        };
        for at in 0..attempt_count(self.exchange) {
            let id = u64::from_be_bytes(ids.new_span_id().to_bytes());
            write(self.attempt(at, id));
        }
        if self.exchange.inference().is_some() {
            write(self.inference());
        }
        if !self.exchange.of_session {
            write(self.server());
        }
    }

    /// The SERVER span, from the request's head to the end of the exchange.
    fn server(&self) -> Span<'e> {
        let mut attributes = Attributes::roomy();
        self.vocabularies
            .iter()
            .for_each(|vocabulary| vocabulary.server(self.exchange, &mut attributes));
        Span {
            id: self.trace.server_span_id,
            parent: self.trace.parent_span_id,
            parent_is_remote: self.trace.parent_span_id.is_some(),
            kind: SpanKind::Server,
            name: http::server_span_name(self.exchange).into(),
            start: Duration::ZERO,
            end: self.exchange.times.end,
            attributes,
            events: false,
            error: http::server_error(self.exchange).map(|_| self.description()),
        }
    }

    /// The inference span, from the issue of the call to the end of the exchange.
    fn inference(&self) -> Span<'e> {
        let exchange = self.exchange;
        let mut attributes = Attributes::roomy();
        self.vocabularies
            .iter()
            .for_each(|vocabulary| vocabulary.inference(exchange, &mut attributes));
        // The GenAI vocabularies bring it; any other choice of vocabularies must not hide an error's type.
        if let Some(failure) = exchange
            .failure
            .as_ref()
            .filter(|_| !attributes.has(gen_ai::ERROR_TYPE))
        {
            attributes.put(gen_ai::ERROR_TYPE, &failure.kind);
        }
        let operation = exchange.call.map_or("", operation::name);
        let request = &exchange.request;
        Span {
            id: self.trace.client_span_id,
            parent: Some(self.trace.server_span_id),
            parent_is_remote: false,
            kind: SpanKind::Client,
            // What is called: a model, or what is searched.
            name: match request.model.as_ref().or(request.data_source.as_ref()) {
                Some(called) => [operation, " ", called].concat().into(),
                None => operation.into(),
            },
            start: exchange.issued(),
            end: exchange.times.end,
            attributes,
            events: true,
            error: exchange.failure.as_ref().map(|_| self.description()),
        }
    }

    /// A CLIENT span for an attempt, from its issue until its response was passed on or let go.
    fn attempt(&self, at: usize, id: u64) -> Span<'e> {
        let exchange = self.exchange;
        let mut attributes = Attributes::default();
        http::attempt(exchange, at, &mut attributes);
        let answered = exchange.answering_attempt() == Some(at);
        let error = http::attempt_error(exchange, at);
        Span {
            id,
            parent: Some(match exchange.inference() {
                Some(_) => self.trace.client_span_id,
                None => self.trace.server_span_id,
            }),
            parent_is_remote: false,
            kind: SpanKind::Client,
            name: http::attempt_span_name(exchange).into(),
            start: exchange.attempts[at].started,
            end: exchange.attempt_end(at),
            attributes,
            events: false,
            error: error.map(|_| if answered { self.description() } else { "" }),
        }
    }

    /// An error's description is what the wire said, unless that only repeats the type.
    fn description(&self) -> &'e str {
        let failure = self.exchange.failure.as_ref();
        failure
            .filter(|failure| failure.message != failure.kind)
            .map_or("", |failure| &failure.message)
    }

    fn write_span(&self, span: &Span<'_>, out: &mut Vec<u8>) {
        protobuf::bytes(out, 1, &self.trace.trace_id.to_be_bytes());
        protobuf::bytes(out, 2, &span.id.to_be_bytes());
        let state = self.trace.tracestate.as_deref();
        if let Some(state) = state.and_then(|state| TraceState::from_str(state).ok()) {
            protobuf::bytes(out, 3, state.header().as_bytes());
        }
        if let Some(parent) = span.parent {
            protobuf::bytes(out, 4, &parent.to_be_bytes());
        }
        protobuf::bytes(out, 5, span.name.as_bytes());
        protobuf::number(out, 6, span.kind as u64);
        protobuf::fixed_64(out, 7, self.unix_nanos(span.start));
        protobuf::fixed_64(out, 8, self.unix_nanos(span.end));
        for attribute in span.attributes.iter() {
            protobuf::attribute(out, 9, attribute);
        }
        if span.events {
            self.write_events(out);
        }
        match span.error {
            Some(description) => protobuf::message(out, 15, |out| {
                if !description.is_empty() {
                    protobuf::bytes(out, 2, description.as_bytes());
                }
                protobuf::number(out, 3, StatusCode::Error as u64);
            }),
            None => protobuf::length(out, 15, 0),
        }
        let remote = if span.parent_is_remote {
            SpanFlags::ContextIsRemoteMask as u32
        } else {
            0
        };
        let flags = SAMPLED | SpanFlags::ContextHasIsRemoteMask as u32 | remote;
        protobuf::fixed_32(out, 16, flags);
    }

    /// The first token, and each stall at the moment the stream went on.
    fn write_events(&self, out: &mut Vec<u8>) {
        let exchange = self.exchange;
        let mut event = |name: &str, at: Duration, gap: Option<Duration>| {
            protobuf::message(out, 11, |out| {
                protobuf::fixed_64(out, 1, self.unix_nanos(at));
                protobuf::bytes(out, 2, name.as_bytes());
                if let Some(gap) = gap {
                    protobuf::attribute(out, 3, &(own::STALL_DURATION, Value::from(gap)));
                }
            });
        };
        let first = exchange.times.first_token;
        if let Some(at) = first.filter(|_| exchange.output_is_timed()) {
            event(own::FIRST_TOKEN_EVENT, at, None);
        }
        for stall in &exchange.flow.stalls {
            event(own::STALL_EVENT, stall.at, Some(stall.gap));
        }
    }

    fn unix_nanos(&self, at: Duration) -> u64 {
        let started = self
            .exchange
            .started_at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from((started + at).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// How many attempts have a span of their own: none where the only one would repeat the span above it.
fn attempt_count(exchange: &Exchange) -> usize {
    Some(exchange.attempts.len())
        .filter(|count| *count > 1)
        .unwrap_or_default()
}
