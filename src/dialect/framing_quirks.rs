//! Quirks in the writing of a stream, whatever its API.

use crate::exchange::{Quirk, Quirks};
use crate::sse::Oddities;

/// The quirks that stand for what was odd. The lack of the last blank line is none of them: of a stream that broke off
/// it says nothing.
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
