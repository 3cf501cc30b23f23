//! Explanations for machines.

use serde_json::{Map, Value, json};

use super::Explanation;
use super::conversation::ShownCall;
use super::exported::{Shown, ShownSample, ShownSpan};
use crate::prices::Priced;
use crate::semconv::Number;

/// All explanations of one capture as one JSON value: an object with the array `exchanges`.
#[must_use]
pub fn to_json(explanations: &[Explanation]) -> Value {
    let exchanges: Vec<Value> = explanations.iter().map(exchange).collect();
    json!({ "exchanges": exchanges })
}

fn exchange(explanation: &Explanation) -> Value {
    let problems = explanation.problems.iter();
    let problems: Map<_, _> = problems
        .map(|(kind, count)| (kind.clone(), Value::from(*count)))
        .collect();
    json!({
        "title": explanation.title,
        "summary": explanation.summary,
        "spans": explanation.spans.iter().map(span).collect::<Vec<_>>(),
        "tool_calls": explanation.calls.iter().map(call).collect::<Vec<_>>(),
        "history": attributes(&explanation.history),
        "conversation": explanation.conversation,
        "price": explanation.price.as_ref().map(Priced::to_json),
        "metrics": explanation.samples.iter().map(sample).collect::<Vec<_>>(),
        "problems": problems,
        "warnings": explanation.warnings,
    })
}

fn span(span: &ShownSpan) -> Value {
    json!({
        "name": span.name,
        "kind": span.kind,
        "error": span.error,
        "attributes": attributes(&span.attributes),
    })
}

fn call(call: &ShownCall) -> Value {
    json!({
        "name": call.name,
        "facts": attributes(&call.facts),
    })
}

fn sample(sample: &ShownSample) -> Value {
    let value = match sample.value {
        Number::Int(number) => Value::from(number),
        Number::Float(number) => Value::from(number),
    };
    json!({
        "name": sample.metric.name,
        "unit": sample.metric.unit,
        "value": value,
        "times": sample.times,
        "attributes": attributes(&sample.attributes),
    })
}

fn attributes(shown: &[Shown]) -> Map<String, Value> {
    shown.iter().cloned().collect()
}
