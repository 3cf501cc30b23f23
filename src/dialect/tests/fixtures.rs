//! Reads the cases of `tests/fixtures`, whole and cut at every byte, and compares what they come to with what is expected.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::facts;
use crate::dialect::{Dialect, Facts, Framing, Output, framing_quirks};
use crate::exchange::Quirk;
use crate::parse::sse;

/// What a response came to: its facts, and the output of each event.
#[derive(Default)]
pub(in crate::dialect) struct Seen {
    pub(in crate::dialect) facts: Facts,
    pub(in crate::dialect) outputs: Vec<Output>,
}

pub(super) fn read_stream<'a>(
    dialect: &dyn Dialect,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Seen {
    let mut seen = Seen::default();
    let mut reader = dialect.reader();
    let mut parser = sse::Parser::new(1 << 20);
    let mut on_event = |event: sse::Event<'_>| {
        let output = reader.event(event.name, event.data, &mut seen.facts);
        seen.outputs.push(output);
    };
    for piece in pieces {
        parser.push(piece, &mut on_event);
    }
    parser.finish(on_event);
    seen.facts.quirks |= framing_quirks(parser.oddities());
    seen
}

/// Reads lines as the observer does: none is an event before one has said that this is a stream.
fn read_lines(dialect: &dyn Dialect, body: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let mut reader = dialect.reader();
    let lines = body.split(|byte| *byte == b'\n');
    for line in lines.filter(|line| !line.trim_ascii().is_empty()) {
        let output = reader.event(b"", line, &mut seen.facts);
        if seen.facts.response.streamed {
            seen.outputs.push(output);
        }
    }
    seen
}

pub(super) fn read_body(dialect: &dyn Dialect, status: u16, body: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let output = dialect.reader().body(status, body, &mut seen.facts);
    seen.outputs.push(output);
    seen
}

/// What was seen, in the form of `expected.json`: whatever is absent, false or zero is left out.
pub(in crate::dialect) fn summary(seen: &Seen) -> Value {
    let Facts {
        response,
        usage,
        problems,
        quirks,
        unknown,
        ..
    } = &seen.facts;
    let outputs = &seen.outputs;
    let events = |kind: fn(&Output) -> bool| outputs.iter().filter(|output| kind(output)).count();
    let flow = json!({
        "events": outputs.len(),
        "first_output": outputs.iter().position(|output| output.any()).map(|at| at + 1),
        "output": events(|output| output.any()),
        "content": events(|output| output.content),
        "reasoning": events(|output| output.reasoning),
        "tool_call": events(|output| output.tool_call),
        "audio_events": events(|output| output.audio),
        "other": events(|output| output.other),
    });
    let mut summary = facts::summary(&facts::Facts {
        response,
        usage,
        problems,
        quirks: *quirks,
        unknown,
    });
    without_quirks_of_the_whole(&mut summary);
    merge(&mut summary, facts::pruned(flow));
    summary
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

/// Takes out quirks that no dialect sees, or not alone: they show in the head, in the request, or at the end.
fn without_quirks_of_the_whole(summary: &mut Value) {
    const OF_THE_WHOLE: [Quirk; 16] = [
        Quirk::BlankBeforeBody,
        Quirk::ContentType,
        Quirk::NotAsAsked,
        Quirk::NoLastBlankLine,
        Quirk::Broken,
        Quirk::ChoiceIndex,
        Quirk::UsageNotSent,
        Quirk::UsageRefused,
        Quirk::UsageSums,
        Quirk::NoAnswer,
        Quirk::CallsUnannounced,
        Quirk::NoDone,
        Quirk::NoFinish,
        Quirk::ErrorInside,
        Quirk::EmptyBody,
        Quirk::ErrorForm,
    ];
    let of_the_whole = |id: &Value| OF_THE_WHOLE.iter().any(|quirk| id == quirk.id());
    if let Some(Value::Array(ids)) = summary.get_mut("quirks") {
        ids.retain(|id| !of_the_whole(id));
    }
    *summary = facts::pruned(summary.take());
}

pub(in crate::dialect) fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(folder);
    let mut cases: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

/// Reads each case whole and cut in two at every byte, and compares with what is expected.
pub(super) fn check_fixtures(folder: &str, dialect: &dyn Dialect) {
    for case in fixtures(folder) {
        let name = case.display();
        let expected = fs::read_to_string(case.join("expected.json")).unwrap();
        let mut expected: Value = serde_json::from_str(&expected).unwrap();
        without_quirks_of_the_whole(&mut expected);
        let members = expected.as_object_mut().unwrap();
        // What the fixture stands for, and what only a replay has.
        for other in ["quirk", "request", "content_type", "cuts", "end", "settled"] {
            members.remove(other);
        }
        assert!(
            members.remove("about").is_some(),
            "{name} does not say what it is"
        );
        let status = members
            .remove("status")
            .map_or(200, |status| status.as_u64().unwrap());
        if let Ok(stream) = fs::read(case.join("response.sse")) {
            assert_eq!(sse::sniff(&stream), sse::Sniff::Stream, "{name}");
            for cut in 0..=stream.len() {
                let (one, two) = stream.split_at(cut);
                let seen = read_stream(dialect, [one, two]);
                assert_eq!(summary(&seen), expected, "{name}, cut at {cut}");
            }
            assert_eq!(
                summary(&read_stream(dialect, stream.chunks(1))),
                expected,
                "{name}, in bytes"
            );
        } else if let Ok(lines) = fs::read(case.join("response.ndjson")) {
            assert_eq!(dialect.framing(), Framing::Lines, "{name}");
            assert_eq!(summary(&read_lines(dialect, &lines)), expected, "{name}");
        } else {
            let whole = ["response.json", "response.txt", "response.bin"];
            let body = whole.map(|name| fs::read(case.join(name)).ok());
            let body = body.into_iter().flatten().next().unwrap();
            let seen = read_body(dialect, status as u16, &body);
            assert_eq!(summary(&seen), expected, "{name}");
        }
    }
}
