//! The spans of an exchange as they are exported: by the exporter's own code, read back.

use opentelemetry_proto::tonic::trace::v1;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_sdk::trace::RandomIdGenerator;
use prost::Message as _;
use serde_json::Value;

use super::shown;
use crate::exchange::{Exchange, Trace};
use crate::otel::{Spans, ToolSpans};
use crate::otlp::{as_json, span};
use crate::semconv::Vocabulary;

/// Which spans an exchange has, and by which names.
#[derive(Clone)]
pub struct SpanChoice {
    /// Vocabularies in order; HTTP and our own come on top.
    pub vocabularies: Vec<&'static dyn Vocabulary>,
    /// Which spans a call has.
    pub spans: Spans,
    /// What the waits for tools are called.
    pub tools: ToolSpans,
}

impl std::fmt::Debug for SpanChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.vocabularies.iter().map(|it| it.name()).collect();
        f.debug_struct("SpanChoice")
            .field("vocabularies", &names)
            .field("spans", &self.spans)
            .finish_non_exhaustive()
    }
}

shown! {
    /// An attribute of a span.
    pub struct Attribute {
        /// Its key.
        pub name: String,
        /// Its value: a text, a number, a boolean, or a list of texts.
        pub value: Value,
    }
}

shown! {
    /// A span, but for its ids and times.
    pub struct Span {
        /// Its name.
        pub name: String,
        /// `SERVER`, `CLIENT` or `INTERNAL`.
        pub kind: String,
        /// Its attributes in the order of export.
        pub attributes: Vec<Attribute>,
    }
}

impl Span {
    /// Those of an exchange, the first from the top. Also of one that is in no trace, or in one that is not kept.
    #[must_use]
    pub fn of(exchange: &Exchange, choice: &SpanChoice) -> Vec<Self> {
        let none = Trace::of_span(1);
        let draft = span::Draft {
            exchange,
            trace: exchange.trace.as_ref().unwrap_or(&none),
            vocabularies: &choice.vocabularies,
            spans: choice.spans,
            tools: choice.tools,
        };
        let (bytes, _) = draft.write(&RandomIdGenerator::default());
        // What the exporter wrote is whole: elements of `ScopeSpans.spans`.
        let written = v1::ScopeSpans::decode(&*bytes).unwrap_or_default().spans;
        // From the bottom up, the waits for tools behind them.
        let mut spans: Vec<Self> = written.into_iter().rev().map(shown).collect();
        spans.sort_by_key(|span| span.kind == INTERNAL);
        spans
    }
}

/// The kind of a wait for a tool.
const INTERNAL: &str = "INTERNAL";

fn shown(span: v1::Span) -> Span {
    let kind = match span.kind() {
        SpanKind::Server => "SERVER",
        SpanKind::Internal => INTERNAL,
        _ => "CLIENT",
    };
    let attributes = span.attributes.into_iter().map(|attribute| Attribute {
        name: attribute.key,
        value: as_json(attribute.value),
    });
    Span {
        name: span.name,
        kind: kind.to_owned(),
        attributes: attributes.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semconv::{self, sample};

    #[test]
    fn spans_have_the_names_of_the_chosen_vocabularies_and_the_server_comes_first() {
        let choice = |names: &[&str]| SpanChoice {
            vocabularies: semconv::all_named(names)
                .into_iter()
                .chain(semconv::ALWAYS)
                .collect(),
            spans: Spans::default(),
            tools: ToolSpans::default(),
        };
        let exchange = sample::streamed();
        let spans = Span::of(&exchange, &choice(&["llm"]));
        let kinds: Vec<&str> = spans.iter().map(|span| &*span.kind).collect();
        assert_eq!(kinds, ["SERVER", "CLIENT"]);
        let has = |spans: &[Span], name: &str| {
            spans[1]
                .attributes
                .iter()
                .any(|attribute| attribute.name == name)
        };
        assert!(has(&spans, "llm.model") && !has(&spans, "gen_ai.request.model"));
        let spans = Span::of(&exchange, &choice(&["gen_ai"]));
        assert!(!has(&spans, "llm.model") && has(&spans, "gen_ai.request.model"));
    }
}
