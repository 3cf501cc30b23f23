//! The one edit of bytes: all but what was added passes, and what was added is what was asked.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::Value;
use streamgauge::proxy::usage::{Filter, Inspected};
use streamgauge::tee::{Edit as _, Piece};

use crate::mutate::Random;
use crate::run::shape;

/// A request: the splice adds one member, and nothing else.
pub(crate) fn request(input: &[u8], _: &mut Random) -> u64 {
    let inspected = Inspected::of(input);
    let named = inspected.model.is_some();
    let Some(splice) = inspected.splice else {
        return shape(named);
    };
    assert_ne!(splice.at, 0, "nothing stands before it");
    let (before, after) = input.split_at(splice.at);
    let edited = [before, splice.text.as_bytes(), after].concat();
    // The other reader bounds numbers, which are none of our business.
    if let Ok(read) = serde_json::from_slice::<Value>(&edited) {
        assert_eq!(read["stream_options"]["include_usage"], true);
    }
    let again = Inspected::of(&edited);
    assert!(again.splice.is_none(), "asked twice");
    assert_eq!(again.model.is_some(), named);
    shape((named, after.len().checked_ilog2()))
}

/// A stream: every byte passes or is taken out, in order and the same at every cut; what is taken out is usage.
pub(crate) fn stream(input: &[u8], random: &mut Random) -> u64 {
    let (passed, removed) = filtered([input].into_iter());
    let pieces = random.cut(input);
    assert_eq!(filtered(pieces.into_iter()), (passed, removed.clone()));
    if !removed.is_empty() {
        let text = String::from_utf8_lossy(&removed);
        assert!(
            text.contains("\"usage\"") && !text.contains("\"delta\""),
            "{text}"
        );
    }
    shape(removed.len().checked_ilog2())
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
