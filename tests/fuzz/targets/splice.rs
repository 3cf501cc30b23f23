//! The edits of bytes: all but what was added or left out passes, and what was added is what was asked.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::Value;
use streamgauge::parse::sse::{Event, Parser};
use streamgauge::proxy::trace_context;
use streamgauge::proxy::usage::{Cause, Filter, Inspected, Wish};
use streamgauge::tee::Piece;

use crate::mutate::Random;
use crate::run::shape;

/// A request: the splice adds one member, and nothing else.
pub(crate) fn request(input: &[u8], _: &mut Random) -> u64 {
    trace_context_in(input);
    let inspected = Inspected::of(input);
    let named = inspected.model.is_some();
    let Wish::Silent(splice) = inspected.wish else {
        return shape((named, format!("{:?}", inspected.wish)));
    };
    assert_ne!(splice.at, 0, "nothing stands before it");
    let (before, after) = input.split_at(splice.at);
    let edited = [before, splice.text.as_bytes(), after].concat();
    // The other reader bounds numbers, which are none of our business.
    if let Ok(read) = serde_json::from_slice::<Value>(&edited) {
        assert_eq!(read["stream_options"]["include_usage"], true);
    }
    let again = Inspected::of(&edited);
    assert_eq!(again.wish, Wish::Usage, "asked");
    assert_eq!(again.model.is_some(), named);
    shape((named, after.len().checked_ilog2()))
}

/// A trace context put into a request: it is left alone, or left out and nothing else with it.
fn trace_context_in(request: &[u8]) {
    let Some(at) = request.iter().position(|byte| *byte == b'{') else {
        return;
    };
    let (before, after) = request.split_at(at + 1);
    let sent = [before, br#""_trace_ctx" : {"b3":"0"} , "#, after].concat();
    let Some(bytes) = trace_context::find(&sent).and_then(|found| found.left_out) else {
        return;
    };
    let left = [&sent[..bytes.start], &sent[bytes.end..]].concat();
    assert_eq!(left, [before, after.trim_ascii_start()].concat());
}

/// An error: it is read as something.
pub(crate) fn refusal(input: &[u8], _: &mut Random) -> u64 {
    shape(format!("{:?}", Cause::of(input)))
}

/// A stream: every byte passes or is taken out, in order and the same at every cut; what is taken out is usage.
pub(crate) fn stream(input: &[u8], random: &mut Random) -> u64 {
    let (passed, removed) = filtered([input].into_iter());
    let pieces = random.cut(input);
    assert_eq!(filtered(pieces.into_iter()), (passed, removed.clone()));
    let mut parser = Parser::new(removed.len());
    let mut only_usage = |event: Event<'_>| assert_only_usage(event.data);
    parser.push(&removed, &mut only_usage);
    parser.finish(&mut only_usage);
    shape(removed.len().checked_ilog2())
}

/// What usage counts, and how, is the upstream's business; beside it nothing was generated.
fn assert_only_usage(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    assert!(text.contains("\"usage\""), "{text}");
    // The other reader bounds numbers, which are none of our business.
    if let Ok(event) = serde_json::from_slice::<Value>(data) {
        assert!(event["usage"].is_object(), "{text}");
        let choices = event["choices"].to_string();
        assert!(!choices.contains("\"content\""), "{text}");
    }
}

fn filtered<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, Vec<u8>) {
    let (mut filter, mut out) = (Filter::default(), VecDeque::new());
    let mut pushed = Vec::new();
    for piece in pieces {
        pushed.extend_from_slice(piece);
        filter.push(Bytes::copy_from_slice(piece), &mut out);
    }
    filter.finish(&mut out);
    let (mut passed, mut removed, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for piece in out {
        let (Piece::Pass(bytes) | Piece::Remove(bytes)) = &piece;
        all.extend_from_slice(bytes);
        match &piece {
            Piece::Pass(_) => passed.extend_from_slice(bytes),
            Piece::Remove(_) => removed.extend_from_slice(bytes),
        }
    }
    assert_eq!(all, pushed, "bytes lost, added or out of order");
    (passed, removed)
}
