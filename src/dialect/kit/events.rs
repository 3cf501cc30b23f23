//! Events, whatever API they are of: a stream that came as a whole body, the quirks of its writing, and what says nothing.

use crate::dialect::contract::{Facts, Output};
use crate::exchange::{Quirk, Quirks};
use crate::parse::sse::{self, Oddities};

/// Reads a stream that came as a whole body, event by event.
pub(in crate::dialect) fn read_events(
    stream: &[u8],
    facts: &mut Facts,
    mut read: impl FnMut(&[u8], &[u8], &mut Facts) -> Output,
) -> Output {
    let mut output = Output::default();
    let mut parser = sse::Parser::new(stream.len());
    let mut each = |event: sse::Event<'_>| output |= read(event.name, event.data, facts);
    parser.push(stream, &mut each);
    parser.finish(&mut each);
    facts.quirks |= framing_quirks(parser.oddities());
    output
}

/// The quirks that stand for what was odd in the writing of a stream. The lack of the last blank line is none of them: of
/// a stream that broke off it says nothing.
#[must_use]
pub fn framing_quirks(odd: Oddities) -> Quirks {
    Quirks::seen([
        (odd.carriage_returns, Quirk::LineEnds),
        (odd.no_space, Quirk::NoSpace),
        (odd.more_spaces, Quirk::MoreSpaces),
        (odd.several_lines, Quirk::SeveralDataLines),
        (odd.other_fields, Quirk::OtherFields),
        (odd.error_field, Quirk::ErrorField),
    ])
}

/// Relays keep a connection warm with events that say nothing, a comment sent as data among them.
pub(in crate::dialect) fn is_keep_alive(data: &[u8]) -> bool {
    matches!(data, b"" | b"null" | b"{}" | [b':', ..])
}

/// Counts an event that is no JSON.
pub(in crate::dialect) fn unreadable(text: &str, facts: &mut Facts) -> Output {
    // Nothing but the beginning of another event explains a field name inside of one.
    let half = text.contains("data:");
    facts.quirks.insert_if(half, Quirk::HalfEvent);
    malformed(facts)
}

/// Counts an event or a body that is not what it should be.
pub(in crate::dialect) fn malformed(facts: &mut Facts) -> Output {
    facts.problems.malformed += 1;
    Output::default()
}
