//! The spans of an exchange: SERVER for the client's request, as its child CLIENT for the inference, and under that one
//! more CLIENT for each attempt where there was more than one.

use std::str::FromStr;
use std::time::Duration;

use opentelemetry::trace::{
    Event, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, SpanData, SpanEvents, SpanLinks};

use crate::exchange::{Exchange, Trace};
use crate::semconv::{Attributes, Vocabulary, gen_ai, http, own};
use crate::sink::attributes::key_value;

/// What all of them are made from.
pub(super) struct Draft<'e> {
    pub(super) exchange: &'e Exchange,
    pub(super) trace: &'e Trace,
    pub(super) vocabularies: &'e [&'static dyn Vocabulary],
    pub(super) scope: &'e InstrumentationScope,
}

impl Draft<'_> {
    /// The SERVER span, from the request's head to the end of the exchange.
    pub(super) fn server(&self) -> SpanData {
        let mut attributes = Attributes::roomy();
        self.vocabularies
            .iter()
            .for_each(|vocabulary| vocabulary.server(self.exchange, &mut attributes));
        let parent = self.trace.parent_span_id;
        let status = match http::server_error(self.exchange) {
            Some(_) => self.error(),
            None => Status::Unset,
        };
        let name = http::server_span_name(self.exchange);
        let mut span = self.span(
            self.trace.server_span_id,
            SpanKind::Server,
            name,
            Duration::ZERO,
            attributes,
            status,
        );
        span.parent_span_id = SpanId::from(parent.unwrap_or_default());
        span.parent_span_is_remote = parent.is_some();
        span
    }

    /// The inference span, from the issue of the call to the end of the exchange.
    pub(super) fn inference(&self) -> SpanData {
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
        let status = if exchange.failure.is_some() {
            self.error()
        } else {
            Status::Unset
        };
        let operation = exchange.call.map_or("", gen_ai::operation);
        let name = match exchange.request.model.as_deref() {
            Some(model) => format!("{operation} {model}"),
            None => operation.to_owned(),
        };
        let start = exchange.issued();
        let mut span = self.span(
            self.trace.client_span_id,
            SpanKind::Client,
            name,
            start,
            attributes,
            status,
        );
        span.parent_span_id = SpanId::from(self.trace.server_span_id);
        span.events = self.events();
        span
    }

    /// How many spans [`attempts`](Self::attempts) makes.
    pub(super) fn attempt_count(exchange: &Exchange) -> usize {
        Some(exchange.attempts.len())
            .filter(|count| *count > 1)
            .unwrap_or_default()
    }

    /// A CLIENT span for each attempt, from its issue until its response was passed on or let go; none where the only
    /// attempt would repeat the span above it.
    pub(super) fn attempts(&self, ids: &impl IdGenerator) -> Vec<SpanData> {
        let above = match self.exchange.inference() {
            Some(_) => self.trace.client_span_id,
            None => self.trace.server_span_id,
        };
        let attempt = |at: usize| {
            let mut attributes = Attributes::default();
            http::attempt(self.exchange, at, &mut attributes);
            let status = match http::attempt_error(self.exchange, at) {
                Some(_) if self.exchange.answering_attempt() == Some(at) => self.error(),
                Some(_) => Status::error(""),
                None => Status::Unset,
            };
            let mut span = self.span(
                u64::from_be_bytes(ids.new_span_id().to_bytes()),
                SpanKind::Client,
                http::attempt_span_name(self.exchange).to_owned(),
                self.exchange.attempts[at].started,
                attributes,
                status,
            );
            span.end_time = self.exchange.started_at + self.exchange.attempt_end(at);
            span.parent_span_id = SpanId::from(above);
            span
        };
        (0..Self::attempt_count(self.exchange))
            .map(attempt)
            .collect()
    }

    fn span(
        &self,
        id: u64,
        span_kind: SpanKind,
        name: String,
        start: Duration,
        attributes: Attributes<'_>,
        status: Status,
    ) -> SpanData {
        let state = self
            .trace
            .tracestate
            .as_deref()
            .and_then(|state| TraceState::from_str(state).ok());
        let trace_id = TraceId::from(self.trace.trace_id);
        SpanData {
            span_context: SpanContext::new(
                trace_id,
                SpanId::from(id),
                TraceFlags::SAMPLED,
                false,
                state.unwrap_or_default(),
            ),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind,
            name: name.into(),
            start_time: self.exchange.started_at + start,
            end_time: self.exchange.started_at + self.exchange.times.end,
            attributes: attributes.into_iter().map(key_value).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: self.scope.clone(),
        }
    }

    /// The first token, and each stall at the moment the stream went on.
    fn events(&self) -> SpanEvents {
        let event = |name, at: Duration, attributes| {
            Event::new(name, self.exchange.started_at + at, attributes, 0)
        };
        let first = self
            .exchange
            .times
            .first_token
            .filter(|_| self.exchange.response.streamed);
        let stalls = self.exchange.flow.stalls.iter();
        let mut events = SpanEvents::default();
        events
            .events
            .extend(first.map(|at| event(own::FIRST_TOKEN_EVENT, at, Vec::new())));
        events.events.extend(stalls.map(|stall| {
            let gap = KeyValue::new(own::STALL_DURATION, stall.gap.as_secs_f64());
            event(own::STALL_EVENT, stall.at, vec![gap])
        }));
        events
    }

    /// An error's description is what the wire said, unless that only repeats the type.
    fn error(&self) -> Status {
        let failure = self.exchange.failure.as_ref();
        let message = failure
            .filter(|failure| failure.message != failure.kind)
            .map(|failure| &failure.message);
        Status::error(message.cloned().unwrap_or_default())
    }
}
