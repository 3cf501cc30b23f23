//! Members of an object that are looked for, told apart by how often they are there.

use crate::parse::json::{self, Text, Value};

/// How often a member is there that may be there once.
#[derive(Clone, Copy)]
pub(super) enum Occurs<'a> {
    Absent,
    Once(Value<'a>),
    /// Twice, or spelled with escapes: servers differ in what they make of it. The last of them.
    Ambiguous(Value<'a>),
}

impl<'a> Occurs<'a> {
    pub(super) const fn last(self) -> Option<Value<'a>> {
        match self {
            Self::Absent => None,
            Self::Once(value) | Self::Ambiguous(value) => Some(value),
        }
    }
}

/// A member that is looked for.
pub(super) struct Sought<'a> {
    name: &'static str,
    pub(super) found: Occurs<'a>,
}

impl Sought<'_> {
    pub(super) const fn new(name: &'static str) -> Self {
        let found = Occurs::Absent;
        Self { name, found }
    }
}

/// Reads an object for its members, and gives `rest` the others; `None` where that is none.
// Inline it would be there once more for each kind of object.
#[inline(never)]
pub(super) fn read<'a>(
    object: &'a [u8],
    sought: &mut [Sought<'a>],
    rest: &mut dyn FnMut(Text<'a>, Value<'a>),
) -> Option<Value<'a>> {
    let each = |key: Text<'a>, value| {
        if !note(sought, key, value) {
            rest(key, value);
        }
    };
    let read = json::text(object).and_then(|text| json::parse_object(text, each));
    read.ok()
}

/// Takes note of a member, if it has one of the names.
// Inline it would be there once more for each name.
#[inline(never)]
pub(super) fn note<'a>(sought: &mut [Sought<'a>], key: Text<'_>, value: Value<'a>) -> bool {
    let Some(sought) = sought.iter_mut().find(|sought| key.is(sought.name)) else {
        return false;
    };
    sought.found = match sought.found {
        Occurs::Absent if !key.has_escapes() => Occurs::Once(value),
        _ => Occurs::Ambiguous(value),
    };
    true
}
