//! The spans of an exchange as they are exported: by the exporter's own code, read back.

use opentelemetry_proto::tonic::common::v1::KeyValue;
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
    /// A span that another one is linked to.
    pub struct SpanLink {
        /// Its trace: 32 hexadecimal digits.
        pub trace_id: String,
        /// Its id: 16 hexadecimal digits.
        pub span_id: String,
        /// What the link says of it.
        pub attributes: Vec<Attribute>,
    }
}

shown! {
    /// A span, but for its times. `null` is what is not known here, as of a call that is in no trace.
    pub struct Span {
        /// Its name.
        pub name: String,
        /// `SERVER`, `CLIENT` or `INTERNAL`.
        pub kind: String,
        /// Its trace: 32 hexadecimal digits. The wait for a tool may be in another than the call that ended it.
        pub trace_id: Option<String>,
        /// Its id: 16 hexadecimal digits; `null` also of a wait for a tool and of one of several attempts, which get theirs at the export.
        pub span_id: Option<String>,
        /// The id of the span above it.
        pub parent_span_id: Option<String>,
        /// The spans that it is linked to.
        pub links: Option<Vec<SpanLink>>,
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
        let trace = exchange.trace.as_ref();
        let shown = |span| shown(span, trace);
        let mut spans: Vec<Self> = written.into_iter().rev().map(shown).collect();
        spans.sort_by_key(|span| span.kind == INTERNAL);
        spans
    }
}

/// The kind of a wait for a tool.
const INTERNAL: &str = "INTERNAL";

fn shown(span: v1::Span, trace: Option<&Trace>) -> Span {
    let kind = match span.kind() {
        SpanKind::Server => "SERVER",
        SpanKind::Internal => INTERNAL,
        _ => "CLIENT",
    };
    let known = |id: &[u8]| trace.is_some() && !id.is_empty();
    let is_settled = |id: &[u8]| {
        let ids = trace.map(|trace| [trace.server_span_id, trace.client_span_id]);
        ids.is_some_and(|ids| ids.iter().any(|known| known.to_be_bytes() == id))
    };
    let links = span.links.into_iter().map(|link| SpanLink {
        trace_id: hex(&link.trace_id),
        span_id: hex(&link.span_id),
        attributes: link.attributes.into_iter().map(attribute).collect(),
    });
    Span {
        name: span.name,
        kind: kind.to_owned(),
        trace_id: known(&span.trace_id).then(|| hex(&span.trace_id)),
        span_id: is_settled(&span.span_id).then(|| hex(&span.span_id)),
        parent_span_id: known(&span.parent_span_id).then(|| hex(&span.parent_span_id)),
        links: trace.map(|_| links.collect()),
        attributes: span.attributes.into_iter().map(attribute).collect(),
    }
}

fn attribute(attribute: KeyValue) -> Attribute {
    Attribute {
        name: attribute.key,
        value: as_json(attribute.value),
    }
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::ToldUpstream;
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

    #[test]
    fn spans_have_their_ids_and_links_where_they_are_in_a_trace() {
        let choice = SpanChoice {
            vocabularies: semconv::ALWAYS.into(),
            spans: Spans::default(),
            tools: ToolSpans::default(),
        };
        let mut exchange = sample::streamed();
        exchange.trace = Some(Trace {
            trace_id: 0xabc,
            parent_span_id: Some(3),
            client_span_id: 2,
            told_upstream: Some(Box::new(ToldUpstream {
                trace_id: 0xdef,
                flags: 1,
            })),
            ..Trace::of_span(1)
        });
        let spans = Span::of(&exchange, &choice);
        let ids = spans.iter().map(|span| {
            let [trace, own, above] =
                [&span.trace_id, &span.span_id, &span.parent_span_id].map(Option::as_deref);
            (trace.unwrap(), own.unwrap(), above.unwrap())
        });
        let trace = &*format!("{:032x}", 0xabc);
        let [one, two, three] = [1, 2, 3].map(|id| format!("{id:016x}"));
        assert_eq!(
            ids.collect::<Vec<_>>(),
            [(trace, &*one, &*three), (trace, &*two, &*one)]
        );
        let links = spans[1].links.as_deref().unwrap();
        let link = links.last().unwrap();
        assert_eq!(link.trace_id, format!("{:032x}", 0xdef));
        assert_eq!(link.span_id, two);
        assert_eq!(link.attributes[0].value, "upstream");
        exchange.trace = None;
        let none = |span: &Span| span.span_id.is_none() && span.links.is_none();
        assert!(Span::of(&exchange, &choice).iter().all(none));
    }
}
