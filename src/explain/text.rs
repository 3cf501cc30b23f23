//! Explanations for people: aligned text.

use std::fmt;

use serde_json::Value;

use super::Explanation;
use super::exported::{Shown, ShownSample, ShownSpan};
use crate::semconv::Number;

/// Said once of every capture.
const LEFT_OUT: &str = "Left out, because a capture does not contain it: most times, how the body was split into reads, the client's address.";

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.title.is_empty() {
            write!(f, "{}: ", self.title)?;
        }
        writeln!(f, "{}", plain(&self.summary))?;
        for warning in &self.warnings {
            writeln!(f, "  warning: {}", plain(warning))?;
        }
        for (kind, count) in &self.problems {
            writeln!(f, "  not readable: {count} {kind}")?;
        }
        self.spans.iter().try_for_each(|span| write_span(f, span))?;
        for call in &self.calls {
            writeln!(f, "\ntool call: {}", plain(&call.name))?;
            write_facts(f, &call.facts)?;
        }
        if !self.history.is_empty() {
            writeln!(f, "\nhistory")?;
            write_facts(f, &self.history)?;
        }
        if !self.conversation.is_empty() {
            writeln!(f, "\nconversation")?;
            for sentence in &self.conversation {
                writeln!(f, "  {}", plain(sentence))?;
            }
        }
        if let Some(price) = &self.price {
            writeln!(f, "\nprice")?;
            for line in price.to_string().lines() {
                writeln!(f, "  {}", plain(line))?;
            }
        }
        write_samples(f, &self.samples)?;
        writeln!(f, "\n{LEFT_OUT}")
    }
}

fn write_span(f: &mut fmt::Formatter<'_>, span: &ShownSpan) -> fmt::Result {
    writeln!(f, "\n{} span: {}", span.kind, plain(&span.name))?;
    if let Some(error) = &span.error {
        writeln!(f, "  status: error {}", plain(error))?;
    }
    write_facts(f, &span.attributes)
}

fn write_facts(f: &mut fmt::Formatter<'_>, facts: &[Shown]) -> fmt::Result {
    let width = widest(facts.iter().map(|(key, _)| key.as_str()));
    for (key, value) in facts {
        writeln!(f, "  {key:width$}  {}", text(value))?;
    }
    Ok(())
}

/// Samples that share their attributes stand together below them, in the order in which the attributes come first.
fn write_samples(f: &mut fmt::Formatter<'_>, samples: &[ShownSample]) -> fmt::Result {
    let width = widest(samples.iter().map(|sample| sample.metric.name));
    let mut groups: Vec<(&[Shown], Vec<&ShownSample>)> = Vec::new();
    for sample in samples {
        let mut known = groups.iter_mut();
        match known.find(|(attributes, _)| *attributes == sample.attributes) {
            Some((_, group)) => group.push(sample),
            None => groups.push((&sample.attributes, vec![sample])),
        }
    }
    for (attributes, group) in groups {
        let attributes: Vec<String> = attributes.iter().map(pair).collect();
        writeln!(f, "\nmetrics{{{}}}", attributes.join(", "))?;
        for sample in group {
            let name = sample.metric.name;
            writeln!(f, "  {name:width$}  {}", amount(sample))?;
        }
    }
    Ok(())
}

fn pair((key, value): &Shown) -> String {
    format!("{key}={}", text(value))
}

/// A sample's value with its unit.
fn amount(sample: &ShownSample) -> String {
    let value = match sample.value {
        Number::Int(number) => number.to_string(),
        Number::Float(number) => number.to_string(),
    };
    let unit = match sample.metric.unit {
        "1" => String::new(),
        unit => format!(" {}", unit.trim_matches(['{', '}'])),
    };
    match sample.times {
        1 => format!("{value}{unit}"),
        times => format!("{value}{unit}, {times} times"),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text),
        value => plain(&value.to_string()),
    }
}

/// Without control characters: what an upstream said must not steer a terminal.
fn plain(text: &str) -> String {
    let escape = |character: char| {
        let escaped = character.is_control().then(|| character.escape_default());
        let plain = escaped.is_none().then_some(character);
        escaped.into_iter().flatten().chain(plain)
    };
    text.chars().flat_map(escape).collect()
}

fn widest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(str::len).max().unwrap_or_default()
}
