//! Messages out of frames: the same wherever they are cut, and none longer than the bound.

use streamgauge::parse::websocket::{End, Extensions, Message, Reader};

use crate::mutate::Random;
use crate::run::shape;

/// What may be agreed on, beside nothing.
const COMPRESSED: &str = "permessage-deflate; client_no_context_takeover";

pub(crate) fn check(input: &[u8], random: &mut Random) -> u64 {
    let pieces = random.cut(input);
    let mut seen = Vec::new();
    for sender in [End::Client, End::Server] {
        for agreed in ["", COMPRESSED] {
            for limit in [1 << 20, 100] {
                let whole = messages(&[input], sender, agreed, limit);
                let cut = messages(&pieces, sender, agreed, limit);
                assert_eq!(cut, whole, "{sender:?} {agreed:?} {limit}");
                seen.push(whole.iter().map(kind).collect::<Vec<_>>());
            }
        }
    }
    shape(seen)
}

/// A message, with its own bytes.
#[derive(Debug, PartialEq, Eq)]
enum Owned {
    Text(Vec<u8>),
    Other(String),
}

fn kind(message: &Owned) -> String {
    match message {
        Owned::Text(text) => format!("{:?}", text.len().checked_ilog2()),
        Owned::Other(other) => other.clone(),
    }
}

fn messages(pieces: &[&[u8]], sender: End, agreed: &str, limit: usize) -> Vec<Owned> {
    let mut reader = Reader::new(sender, Extensions::agreed(agreed), limit);
    let mut seen = Vec::new();
    for piece in pieces {
        reader.push(piece, |message| {
            seen.push(match message {
                Message::Text(text) => {
                    assert!(text.len() <= limit);
                    Owned::Text(text.to_vec())
                }
                other => Owned::Other(format!("{other:?}")),
            });
        });
    }
    seen
}
