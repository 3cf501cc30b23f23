//! Quirks: departures of an upstream from what the API reference and the specification of server-sent events say.
//!
//! Every one of them is survived, and the facts stay right or absent; it is named so that a change at a provider can
//! be seen. `docs/quirks.md` says of each what it is, where it was met and what becomes of it.

use std::ops::BitOrAssign;

macro_rules! quirks {
    ($($(#[$doc:meta])+ $quirk:ident = $id:literal,)+) => {
        /// One quirk; its id is that of `docs/quirks.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Quirk {
            $($(#[$doc])+ $quirk,)+
        }

        impl Quirk {
            /// Every quirk that is counted, in the order of the ids.
            pub const ALL: [Self; [$($id),+].len()] = [$(Self::$quirk),+];

            /// Its id, the value of the label `quirk`.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self {
                    $(Self::$quirk => $id,)+
                }
            }
        }
    };
}

quirks! {
    /// A line of a stream ends with a carriage return, with or without a line feed behind it.
    LineEnds = "A-01",
    /// No space behind the colon of a data line.
    NoSpace = "A-03",
    /// More than one space behind the colon of a data line.
    MoreSpaces = "A-04",
    /// The data of one event stands on several lines.
    SeveralDataLines = "A-05",
    /// A byte order mark, or a field other than `data` and `event`.
    OtherFields = "A-06",
    /// A keep-alive sent as data.
    KeepAliveData = "A-08",
    /// White space before a body that is no stream.
    BlankBeforeBody = "A-09",
    /// An event longer than what is read.
    LongEvent = "A-12",
    /// A content coding that could not be undone.
    Undecodable = "A-13",
    /// The content type says the opposite of what the body is, or nothing of a stream.
    ContentType = "A-14",
    /// A stream was asked for and not sent, or sent and not asked for.
    NotAsAsked = "A-15",
    /// The last event lacks its blank line.
    NoLastBlankLine = "A-17",
    /// Events after the sentinel.
    AfterDone = "A-18",
    /// The body broke off.
    Broken = "A-20",
    /// Verdicts of a content filter on the prompt.
    PromptFilter = "B-03",
    /// Verdicts of a content filter on a choice.
    ChoiceFilter = "B-04",
    /// Id, model or fingerprint differ from chunk to chunk.
    IdentityChanges = "B-05",
    /// The member `object` has another value than the reference gives it.
    WrongObject = "B-06",
    /// A whole message inside a stream.
    WholeMessage = "B-07",
    /// A chunk without choices, or a choice without a delta.
    NoDelta = "B-08",
    /// More choices than were asked for: the index is none.
    ChoiceIndex = "B-10",
    /// Images in a message.
    Images = "B-11",
    /// Content as an array of parts.
    ContentParts = "B-12",
    /// A member of one server's own.
    OwnMembers = "B-14",
    /// Progress of the prompt's evaluation.
    PromptProgress = "B-15",
    /// A named event in a stream of events without names.
    NamedEvent = "B-16",
    /// Usage beside choices.
    UsageBesideChoices = "C-03",
    /// Usage on several chunks.
    RunningUsage = "C-05",
    /// Usage of zero tokens, beside what was generated or before it.
    ZeroUsage = "C-06",
    /// Usage inside a choice.
    UsageInChoice = "C-07",
    /// Usage under a vendor's key.
    VendorUsage = "C-08",
    /// Usage was asked for on the client's behalf, and never sent.
    UsageNotSent = "C-10",
    /// The request was refused because usage was asked for.
    UsageRefused = "C-11",
    /// The total is not the sum of input and output, or reasoning is more than the output it is part of.
    UsageSums = "C-14",
    /// Cached tokens outside their documented place, or by another API's name.
    CachedElsewhere = "C-15",
    /// Usage with counts or costs beyond the reference.
    MoreUsage = "C-16",
    /// A token count that is no whole, non-negative number, or that no answer can have.
    OddNumber = "C-17",
    /// Usage that contradicts what was reported before it.
    UsageContradicts = "C-18",
    /// Usage that counts something else than tokens.
    OtherUnits = "C-19",
    /// Usage of one choice, where there are several.
    UsageOfChoice = "C-20",
    /// Reasoning text, for which the reference has no member.
    Reasoning = "D-01",
    /// Reasoning that ends without an answer.
    NoAnswer = "D-04",
    /// A fragment of a tool call without an index.
    NoCallIndex = "E-02",
    /// Several tool calls at one index.
    SameCallIndex = "E-03",
    /// The id of a tool call is empty, missing, or repeated on a fragment.
    CallId = "E-04",
    /// Arguments that are no text, or tool calls that are no array.
    CallTypes = "E-06",
    /// The name of a tool call comes late or in pieces.
    LateCallName = "E-07",
    /// Tool calls, and a finish reason that says nothing of them.
    CallsUnannounced = "E-08",
    /// State that the client must send back unread.
    OpaqueState = "E-10",
    /// A stream without the event that ends it.
    NoDone = "F-01",
    /// A stream that ended without a finish reason.
    NoFinish = "F-03",
    /// A finish reason that is empty, or the word null.
    EmptyFinish = "F-04",
    /// A finish reason that the reference does not list, of those that are known of other servers.
    UnlistedFinish = "F-05",
    /// A choice that finished twice.
    FinishedTwice = "F-06",
    /// An error inside a 200.
    ErrorInside = "F-07",
    /// An error under a field name that server-sent events do not know.
    ErrorField = "F-08",
    /// An event written into the middle of another.
    HalfEvent = "F-10",
    /// A 200 with an empty body, or with `null`.
    EmptyBody = "F-11",
    /// An HTTP error whose body is no JSON object: a stream, a page, an array.
    ErrorForm = "F-12",
    /// An event that its name and its type do not both tell, of an API that has both.
    HalfNamed = "H-01",
    /// A sentinel, of an API whose events end a response themselves.
    DoneAdded = "H-03",
    /// Events of a message out of their order.
    EventOrder = "I-01",
    /// A message that begins with no input.
    ZeroInput = "I-04",
    /// A compressed request.
    CodedRequest = "L-05",
    /// An event of a type that is not known.
    UnknownEvent = "unknown_event",
    /// A finish reason that is not known.
    UnknownFinishReason = "unknown_finish_reason",
    /// A member that is not known.
    UnknownMember = "unknown_member",
    /// A member of usage that is not known.
    UnknownUsageMember = "unknown_usage_member",
}

/// The quirks seen in one exchange.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quirks(u128);

impl Quirks {
    /// Those that were seen.
    #[must_use]
    pub fn seen<const N: usize>(quirks: [(bool, Quirk); N]) -> Self {
        let seen = quirks.into_iter().filter(|(seen, _)| *seen);
        seen.map(|(_, quirk)| quirk).collect()
    }

    /// Adds one; again changes nothing.
    pub const fn insert(&mut self, quirk: Quirk) {
        self.0 |= 1 << quirk as u32;
    }

    /// Adds one if it was `seen`.
    pub const fn insert_if(&mut self, seen: bool, quirk: Quirk) {
        self.0 |= (seen as u128) << quirk as u32;
    }

    /// Those that were seen, in the order of the ids.
    pub fn iter(self) -> impl Iterator<Item = Quirk> {
        let Self(mut left) = self;
        std::iter::from_fn(move || {
            // Past all of them where none is left.
            let quirk = Quirk::ALL.get(left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(*quirk)
        })
    }
}

impl BitOrAssign for Quirks {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl FromIterator<Quirk> for Quirks {
    fn from_iter<I: IntoIterator<Item = Quirk>>(quirks: I) -> Self {
        let mut seen = Self::default();
        quirks.into_iter().for_each(|quirk| seen.insert(quirk));
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_sorted_and_distinct() {
        let numbered = Quirk::ALL.map(Quirk::id);
        assert!(
            numbered.is_sorted_by(|one, next| one < next),
            "{numbered:?}"
        );
        assert!(numbered.len() <= 128, "more than the set has room for");
    }

    #[test]
    fn a_quirk_is_in_the_set_once_and_in_order() {
        let mut seen: Quirks = [Quirk::UnknownEvent, Quirk::NoSpace].into_iter().collect();
        seen.insert(Quirk::NoSpace);
        seen.insert_if(false, Quirk::NoDone);
        seen |= [Quirk::LineEnds].into_iter().collect();
        let ids: Vec<_> = seen.iter().map(Quirk::id).collect();
        assert_eq!(ids, ["A-01", "A-03", "unknown_event"]);
        assert_eq!(Quirks::default().iter().count(), 0);
        let all: Quirks = Quirk::ALL.into_iter().collect();
        assert!(all.iter().eq(Quirk::ALL));
    }
}
