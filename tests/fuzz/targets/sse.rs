//! Framing of events: the same wherever it is cut, and the framer leaves no byte out.

use streamgauge::parse::sse::{Framer, Parser, sniff};

use crate::mutate::Random;
use crate::run::shape;

pub(crate) fn check(input: &[u8], random: &mut Random) -> u64 {
    let pieces = random.cut(input);
    let mut seen = Vec::new();
    for limit in [1 << 20, 100] {
        let whole = events([input], limit);
        assert_eq!(
            events(pieces.iter().copied(), limit),
            whole,
            "limit {limit}"
        );
        let kinds = whole
            .iter()
            .map(|(name, data, oversized)| (name.len(), data.len().checked_ilog2(), *oversized));
        seen.push(kinds.collect::<Vec<_>>());
    }
    let mut framer = Framer::new();
    for piece in pieces {
        let mut end = 0;
        for segment in framer.push(piece) {
            assert_eq!(segment.range().start, end, "a gap before {segment:?}");
            end = segment.range().end;
        }
        assert_eq!(end, piece.len(), "bytes that belong to no segment");
    }
    shape((seen, sniff(input) as u8))
}

type Seen = (Vec<u8>, Vec<u8>, bool);

fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Vec<Seen> {
    let mut parser = Parser::new(limit);
    let mut seen: Vec<Seen> = Vec::new();
    let mut on_event = |event: streamgauge::parse::sse::Event<'_>| {
        assert!(event.data.len() <= limit + 1);
        seen.push((event.name.to_vec(), event.data.to_vec(), event.oversized));
    };
    for piece in pieces {
        parser.push(piece, &mut on_event);
    }
    parser.finish(on_event);
    seen
}
