//! The spans of an exchange: SERVER for the client's request, as its child CLIENT for the inference, and under that one
//! more CLIENT for each attempt where there was more than one. One response of a session has only the second: the SERVER
//! span is the session's. So has a call where the inference is to stand for both. Written as `opentelemetry/proto/trace/v1/trace.proto` has
//! it, each as one element of `ScopeSpans.spans`. The waits for tools that an exchange ended have spans of their own.

mod link;
mod tool_wait;

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::TraceState;
use opentelemetry_proto::tonic::trace::v1::SpanFlags;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_sdk::trace::IdGenerator;

use super::envelope::ITEM;
use super::protobuf;
use crate::exchange::{Exchange, Trace};
use crate::otel::{Spans, ToolSpans};
use crate::semconv::{
    Attribute, Attributes, Value, Vocabulary, content, gen_ai, http, llm, operation, own,
};
use tool_wait::nanos;

/// Room for the two spans of a call, in bytes. Of 4 KiB the allocator has no two in one slab.
const SPANS_BYTES: usize = 3584;

/// What all of them are made from.
pub struct Draft<'e> {
    /// Whose facts they have.
    pub exchange: &'e Exchange,
    /// The identities they take.
    pub trace: &'e Trace,
    /// The names they have, in order.
    pub vocabularies: &'e [&'static dyn Vocabulary],
    /// Which of them there are.
    pub spans: Spans,
    /// What the waits for tools are called.
    pub tools: ToolSpans,
}

/// What tells one span from another.
struct Span<'e> {
    of: Of,
    id: u64,
    parent: Option<u64>,
    parent_is_remote: bool,
    kind: SpanKind,
    /// In parts.
    name: [&'e str; 3],
    start: Duration,
    end: Duration,
    /// The description of an error; `None` leaves the status unset.
    error: Option<&'e str>,
}

/// What a span is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// The client's request.
    Server,
    /// The inference. It has events: the first token and the stalls.
    Inference,
    /// An attempt, by its place in [`Exchange::attempts`].
    Attempt(usize),
}

impl<'e> Draft<'e> {
    /// All of them, written one behind another, and how many they are.
    pub fn write(&self, ids: &impl IdGenerator) -> (Vec<u8>, usize) {
        let mut bytes = Vec::with_capacity(SPANS_BYTES);
        let (mut count, mut keys) = (0, Vec::new());
        let began = self.exchange.started_at;
        let began = began
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let mut write = |span: Span<'_>| {
            protobuf::message(&mut bytes, ITEM, |out| {
                self.write_span(&span, began, &mut keys, out);
            });
            count += 1;
        };
        let attempts = attempt_count(self.exchange);
        for at in 0..attempts {
            // What went upstream as the context of a call to a model is that of the attempt where it was none.
            let id = if self.exchange.mistaken && at + 1 == attempts {
                self.trace.client_span_id
            } else {
                u64::from_be_bytes(ids.new_span_id().to_bytes())
            };
            write(self.attempt(at, id));
        }
        if self.exchange.model_call().is_some() {
            write(self.inference());
        }
        if !self.exchange.of_session && !self.stands_for_both() {
            write(self.server());
        }
        count += write_waits(self.exchange, self.tools, ids, &mut bytes);
        (bytes, count)
    }

    /// Whether the inference span takes the place of the SERVER span. What has no inference span keeps the other, so that
    /// nothing goes upstream, or stands on an exemplar, that names a span which is not there.
    fn stands_for_both(&self) -> bool {
        let exchange = self.exchange;
        self.spans == Spans::Client && !exchange.of_session && exchange.model_call().is_some()
    }

    /// The SERVER span, from the request's head to the end of the exchange.
    fn server(&self) -> Span<'e> {
        Span {
            of: Of::Server,
            id: self.trace.server_span_id,
            parent: self.trace.parent_span_id,
            parent_is_remote: self.trace.has_remote_parent(),
            kind: SpanKind::Server,
            name: http::server_span_name(self.exchange),
            start: Duration::ZERO,
            end: self.exchange.times.end,
            error: http::server_failed(self.exchange).then(|| self.description()),
        }
    }

    /// The inference span, from the issue of the call to its end.
    fn inference(&self) -> Span<'e> {
        let exchange = self.exchange;
        let on_top = self.stands_for_both();
        let above = match on_top {
            true => self.trace.parent_span_id,
            false => Some(self.trace.server_span_id),
        };
        let operation = exchange.operation.map_or("", operation::name);
        let request = &exchange.request;
        Span {
            of: Of::Inference,
            id: self.trace.client_span_id,
            parent: above,
            parent_is_remote: on_top && self.trace.has_remote_parent(),
            kind: SpanKind::Client,
            // What is called: a model, or what is searched.
            name: match request.model.as_ref().or(request.data_source.as_ref()) {
                Some(called) => [operation, " ", called],
                None => [operation, "", ""],
            },
            start: exchange.issued(),
            end: exchange.call_end(),
            error: exchange.failure.as_ref().map(|_| self.description()),
        }
    }

    /// A CLIENT span for an attempt, from its issue until its response was passed on or let go.
    fn attempt(&self, at: usize, id: u64) -> Span<'e> {
        let exchange = self.exchange;
        let attempt = &exchange.attempts[at];
        let answered = exchange.answering_attempt() == Some(at);
        let error = http::attempt_error(exchange, at);
        Span {
            of: Of::Attempt(at),
            id,
            parent: Some(match exchange.model_call() {
                Some(_) => self.trace.client_span_id,
                None => self.trace.server_span_id,
            }),
            parent_is_remote: false,
            kind: SpanKind::Client,
            name: [http::attempt_span_name(exchange), "", ""],
            start: attempt.issued,
            end: attempt.end.unwrap_or_else(|| exchange.call_end()),
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

    /// `began` is when the exchange did, since the epoch.
    fn write_span(
        &self,
        span: &Span<'_>,
        began: Duration,
        keys: &mut Vec<&'static str>,
        out: &mut Vec<u8>,
    ) {
        protobuf::bytes(out, 1, &self.trace.trace_id.to_be_bytes());
        protobuf::bytes(out, 2, &span.id.to_be_bytes());
        let state = self.trace.tracestate.as_deref();
        if let Some(state) = state.and_then(|state| TraceState::from_str(state).ok()) {
            protobuf::bytes(out, 3, state.header().as_bytes());
        }
        if let Some(parent) = span.parent {
            protobuf::bytes(out, 4, &parent.to_be_bytes());
        }
        protobuf::string(out, 5, span.name);
        protobuf::number(out, 6, span.kind as u64);
        protobuf::fixed_64(out, 7, nanos(began + span.start));
        protobuf::fixed_64(out, 8, nanos(began + span.end));
        self.write_attributes(span.of, keys, out);
        if span.of == Of::Inference {
            self.write_events(began, out);
            self.write_links(out);
        }
        // The span whose context went upstream, whatever it came to be of.
        if span.id == self.trace.client_span_id {
            self.write_link_upstream(out);
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
        let flags = u32::from(self.trace.flags());
        let flags = flags | SpanFlags::ContextHasIsRemoteMask as u32 | remote;
        protobuf::fixed_32(out, 16, flags);
    }

    fn write_attributes(&self, of: Of, keys: &mut Vec<&'static str>, out: &mut Vec<u8>) {
        let exchange = self.exchange;
        let (annotations, mut said) = (&exchange.annotations, 0_u64);
        let mut write = |key: &str, value: &Value<'_>| {
            for (at, (name, _)) in annotations.iter().enumerate() {
                said |= u64::from(**name == *key) << (at % 64);
            }
            protobuf::pair(out, 9, key, value);
        };
        let mut span = Attributes::new(keys, &mut write);
        match of {
            Of::Server => {
                for vocabulary in self.vocabularies {
                    vocabulary.server(exchange, &mut span);
                }
            }
            Of::Inference => {
                for vocabulary in self.vocabularies {
                    vocabulary.inference(exchange, &mut span);
                }
                // The GenAI vocabularies bring it; any other choice of vocabularies must not hide an error's type.
                let failure = exchange.failure.as_ref();
                span.put_once(gen_ai::ERROR_TYPE, failure.map(|failure| &failure.kind));
                if self.stands_for_both() {
                    http::request(exchange, &mut span);
                    own::request(exchange, &mut span);
                }
            }
            Of::Attempt(at) => {
                http::attempt(exchange, at, &mut span);
                own::attempt(exchange, at, &mut span);
                return;
            }
        }
        if of == Of::Inference {
            for (name, value) in exchange.template_variables() {
                let key = [llm::PROMPT_VARIABLES, name].concat();
                protobuf::pair(out, 9, &key, &value.into());
            }
        }
        // What the call itself says goes before what was told of it.
        for (at, (name, value)) in annotations.iter().enumerate() {
            if said >> (at % 64) & 1 == 0 {
                protobuf::pair(out, 9, name, &value.into());
            }
        }
    }

    /// The first token, and each stall at the moment the stream went on.
    fn write_events(&self, began: Duration, out: &mut Vec<u8>) {
        let exchange = self.exchange;
        let mut event = |name: &str, at: Duration, gap: Option<Duration>| {
            protobuf::message(out, 11, |out| {
                protobuf::fixed_64(out, 1, nanos(began + at));
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
        let end = began + exchange.times.end;
        let mut at_end = |name: &str, details: &[Attribute<'_>]| {
            protobuf::message(out, 11, |out| {
                protobuf::fixed_64(out, 1, nanos(end));
                protobuf::bytes(out, 2, name.as_bytes());
                for detail in details {
                    protobuf::attribute(out, 3, detail);
                }
            });
        };
        own::drift::event(exchange, &mut at_end);
        own::conversation::events(exchange, &mut at_end);
    }

    /// To the inference that this one follows, and to that of the agent that called for it.
    fn write_links(&self, out: &mut Vec<u8>) {
        let Some(place) = &self.exchange.conversation else {
            return;
        };
        let parent = place.parent.and_then(|parent| parent.exchange);
        for linked in [place.previous, parent].into_iter().flatten() {
            link::to(out, &linked);
        }
    }

    /// To itself, as the upstream knows it: what the upstream did is in the trace of that name.
    fn write_link_upstream(&self, out: &mut Vec<u8>) {
        if let Some(told) = &self.trace.told_upstream {
            link::upstream(out, told, self.trace.client_span_id);
        }
    }
}

/// Writes the spans of the waits that an exchange ended, and says how many they are. They may stand in the trace of an earlier one,
/// and so do not depend on whether its own is exported.
pub fn write_waits(
    exchange: &Exchange,
    tools: ToolSpans,
    ids: &impl IdGenerator,
    bytes: &mut Vec<u8>,
) -> usize {
    let said = content::of_span(exchange);
    let waits = exchange.conversation.iter().flat_map(|place| &place.waits);
    let written = waits.filter(|wait| {
        let id = u64::from_be_bytes(ids.new_span_id().to_bytes());
        tool_wait::write(wait, said, tools, id, bytes)
    });
    written.count()
}

/// How many attempts have a span of their own: none where the only one would repeat the span above it, unless it is the
/// parent of what the upstream did.
fn attempt_count(exchange: &Exchange) -> usize {
    Some(exchange.attempts.len())
        .filter(|count| *count > 1 || exchange.mistaken)
        .unwrap_or_default()
}
