//! A JSON cursor over borrowed bytes: one strict validating pass, then reading without a tree and without allocation.
//!
//! It exists because the byte path needs the exact place of a value to splice beside it, and because a dialect reads a
//! handful of members out of every streamed chunk. Grammar: RFC 8259. Stricter than a lenient reader: bytes that are
//! not UTF-8 and a byte order mark are errors. More tolerant than a typed one: nesting may be of any depth, since nothing
//! here calls itself; a lone surrogate escape (`"\ud83d"`) and a number too large for any type are accepted, since both are grammatical and
//! real streams cut an escaped surrogate pair in two. This file knows nothing of what a document means.

use std::fmt;
use std::ops::Range;

mod block;
mod index;
mod meaning;
mod scan;
mod string;
mod text;

pub use index::Index;
use index::Node;
pub use meaning::meaning;
pub use text::Text;

/// Why bytes are not one JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error {
    /// Where, in bytes from the start.
    pub offset: usize,
    /// What would be right there.
    pub expected: &'static str,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "invalid json at byte {}: expected {}",
            self.offset, self.expected
        )
    }
}

impl std::error::Error for Error {}

/// Parses exactly one JSON value with white space around it.
///
/// # Errors
/// When `bytes` are not UTF-8, or not one JSON value.
pub fn parse(bytes: &[u8]) -> Result<Value<'_>, Error> {
    let text = text(bytes)?;
    let (value, rest) = parse_prefix(text)?;
    nothing_more(text, rest)?;
    Ok(value)
}

/// Bytes as text.
///
/// # Errors
/// When they are not UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str, Error> {
    // A megabyte of Japanese takes this 55 µs and the standard library, which alone can tell the place, 500.
    simdutf8::basic::from_utf8(bytes).map_err(|_| Error {
        offset: std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len),
        expected: "utf-8",
    })
}

/// Parses exactly one JSON object with white space around it. `each` is called with its members as they are validated, in order,
/// duplicates included: to walk over a megabyte again for them takes 12 µs.
///
/// # Errors
/// When `text` is not one JSON object; what `each` was called with is then void.
pub fn parse_object<'a>(
    text: &'a str,
    mut each: impl FnMut(Text<'a>, Value<'a>),
) -> Result<Value<'a>, Error> {
    let bytes = text.as_bytes();
    let start = scan::space(bytes, 0);
    let end = scan::validate_object(bytes, start, |name, value| {
        let (raw, text) = (&text[name], &text[value]);
        each(Text { raw }, Value::unindexed(text));
    })?;
    nothing_more(text, &text[scan::space(bytes, end)..])?;
    Ok(Value::unindexed(&text[start..end]))
}

/// As [`parse_object`], for an object that is read more than once over, as [`parse_prefix_indexed`] is for a value: it has its
/// members, of which none is void.
///
/// # Errors
/// When `text` is not one JSON object.
pub fn parse_object_indexed<'i, 'a>(
    text: &'a str,
    index: &'i mut Index<'a>,
) -> Result<Value<'i>, Error> {
    let (object, rest) = parse_prefix_indexed(text, index)?;
    nothing_more(text, rest)?;
    if object.kind() != Kind::Object {
        return Err(Error {
            offset: 0,
            expected: "an object",
        });
    }
    Ok(object)
}

/// An error unless the `rest` of `text` is empty.
fn nothing_more(text: &str, rest: &str) -> Result<(), Error> {
    match rest {
        "" => Ok(()),
        rest => Err(Error {
            offset: text.len() - rest.len(),
            expected: "the end",
        }),
    }
}

/// Parses the JSON value that `text` begins with, and returns what follows it and its white space.
///
/// # Errors
/// When `text` does not begin with a JSON value.
pub fn parse_prefix(text: &str) -> Result<(Value<'_>, &str), Error> {
    let (place, rest) = validate_prefix(text, &mut scan::Unvisited)?;
    Ok((Value::unindexed(&text[place]), rest))
}

/// Parses the JSON string that `text` begins with, and returns what follows it and its white space.
///
/// # Errors
/// When `text` does not begin with a JSON string.
pub fn parse_string_prefix(text: &str) -> Result<(Text<'_>, &str), Error> {
    let bytes = text.as_bytes();
    let end = scan::validate_string(bytes)?;
    let raw = &text[1..end - 1];
    Ok((Text { raw }, &text[scan::space(bytes, end)..]))
}

/// As [`parse_prefix`], for a value that is read more than once over: in `index` it is noted where everything lies in it,
/// so that members and elements are found without going over the text again.
///
/// # Errors
/// Those of [`parse_prefix`].
pub fn parse_prefix_indexed<'i, 'a>(
    text: &'a str,
    index: &'i mut Index<'a>,
) -> Result<(Value<'i>, &'a str), Error> {
    let (place, rest) = validate_prefix(text, &mut index.noting(text))?;
    let (text, inside) = (&text[place], index.inside());
    Ok((Value { text, inside }, rest))
}

/// Where the value lies that `text` begins with, and what follows it.
fn validate_prefix<'a>(
    text: &'a str,
    visitor: &mut impl scan::Visit,
) -> Result<(Range<usize>, &'a str), Error> {
    let bytes = text.as_bytes();
    let start = scan::space(bytes, 0);
    let end = scan::validate(bytes, start, visitor)?;
    Ok((start..end, &text[scan::space(bytes, end)..]))
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number of any size.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A JSON value: a slice of a validated document.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    /// Never empty; begins and ends with the value's own first and last byte.
    text: &'a str,
    /// What the index says lies in it; empty where there is no index.
    inside: &'a [Node<'a>],
}

impl<'a> Value<'a> {
    const fn unindexed(text: &'a str) -> Self {
        Self { text, inside: &[] }
    }

    /// The exact bytes of the value, without white space around it.
    #[must_use]
    pub const fn raw(self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The same as text.
    #[must_use]
    pub const fn written(self) -> &'a str {
        self.text
    }

    /// Its type.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.raw().first() {
            Some(b'n') | None => Kind::Null,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'"') => Kind::String,
            Some(b'[') => Kind::Array,
            Some(b'{') => Kind::Object,
            Some(_) => Kind::Number,
        }
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// The truth value, if it is one.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self.text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The nearest `f64`; `None` for what is no number and for a number beyond its range.
    #[must_use]
    pub fn as_f64(self) -> Option<f64> {
        if self.kind() != Kind::Number {
            return None;
        }
        self.text
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
    }

    /// The whole number it is; `12.0` and `1.2e1` are 12. `None` for fractions and for what does not fit.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        if self.kind() != Kind::Number {
            return None;
        }
        // A float is exact up to 2^53 only; beyond that a whole number must be written as one.
        self.text.parse().ok().or_else(|| {
            let number = self.as_f64()?;
            let exact = number.fract() == 0.0 && number.abs() <= (1_i64 << 53) as f64;
            exact.then_some(number as i64)
        })
    }

    /// The whole number it is, where that is not negative; `12.0` is 12.
    #[must_use]
    pub fn as_u64(self) -> Option<u64> {
        if self.kind() != Kind::Number {
            return None;
        }
        let written_whole = self.text.parse().ok();
        written_whole.or_else(|| self.as_i64().and_then(|number| number.try_into().ok()))
    }

    /// The text, if it is a string.
    #[must_use]
    pub fn as_text(self) -> Option<Text<'a>> {
        let inner = self.text.strip_prefix('"')?.strip_suffix('"')?;
        Some(Text { raw: inner })
    }

    /// Its members in order, duplicates included; empty if it is no object.
    #[must_use]
    pub fn members(self) -> Members<'a> {
        Members(self.inside('{'))
    }

    /// Its elements in order; empty if it is no array.
    #[must_use]
    pub fn elements(self) -> Elements<'a> {
        Elements(self.inside('['))
    }

    /// What lies in it, if it begins so.
    fn inside(self, open: char) -> Inside<'a> {
        match self.text.strip_prefix(open) {
            Some(_) if !self.inside.is_empty() => Inside::Indexed(self.inside),
            rest => Inside::Written(rest.unwrap_or_default()),
        }
    }

    /// The last member of that name, which must be free of backslashes.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Value<'a>> {
        let [value] = self.select([key]);
        value
    }

    /// The last member of each of these names, in one pass. The names must differ and be free of backslashes.
    // Inlined, since the names are constants where it is called: a name is then told by its length and its words, with no
    // call for each.
    #[must_use]
    #[inline(always)]
    pub fn select<const N: usize>(self, names: [&str; N]) -> [Option<Value<'a>>; N] {
        let mut selection = Selection::of(names);
        for (key, value) in self.members() {
            selection.note(key, value);
        }
        selection.found
    }
}

/// The last member of each of some names.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'n, 'a, const N: usize> {
    names: [&'n str; N],
    /// A bit for each length that a name has: most members differ from all of them in that.
    lengths: u64,
    /// In the order of the names.
    pub found: [Option<Value<'a>>; N],
}

impl<'n, 'a, const N: usize> Selection<'n, 'a, N> {
    /// Nothing found yet. The names must differ and be free of backslashes.
    #[must_use]
    #[inline(always)]
    pub const fn of(names: [&'n str; N]) -> Self {
        let (mut lengths, mut at) = (0, 0);
        while at < N {
            lengths |= length_bit(names[at]);
            at += 1;
        }
        let found = [None; N];
        Self {
            names,
            lengths,
            found,
        }
    }

    /// Takes a member, if it has one of the names; says whether it has.
    #[inline(always)]
    pub fn note(&mut self, key: Text<'_>, value: Value<'a>) -> bool {
        let may_be_known = self.lengths & length_bit(key.raw) != 0;
        let written = match may_be_known {
            true => self.names.iter().position(|name| *name == key.raw),
            false => None,
        };
        let known = match written {
            None if key.has_escapes() => self.names.iter().position(|name| key.is(name)),
            written => written,
        };
        if let Some(at) = known {
            self.found[at] = Some(value);
        }
        known.is_some()
    }
}

/// A bit for the length of a name; those from 64 on share them.
const fn length_bit(name: &str) -> u64 {
    1 << (name.len() % 64)
}

/// The members of an object; see [`Value::members`].
#[derive(Clone, Debug)]
pub struct Members<'a>(Inside<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = (Text<'a>, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Inside::Indexed(nodes) => index::next(nodes),
            Inside::Written(rest) => written_member(rest),
        }
    }
}

/// The elements of an array; see [`Value::elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a>(Inside<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Inside::Indexed(nodes) => index::next(nodes).map(|(_, element)| element),
            Inside::Written(rest) => written_value(rest),
        }
    }
}

impl<'a> Elements<'a> {
    /// The next element, and its last member of each of these names. Where there is no index this goes over the element once,
    /// while [`next`](Iterator::next) and [`select`](Value::select) do so each.
    #[must_use]
    #[inline(always)]
    pub fn next_selecting<const N: usize>(
        &mut self,
        names: [&str; N],
    ) -> Option<(Value<'a>, [Option<Value<'a>>; N])> {
        if let Inside::Written(rest) = &mut self.0 {
            let bytes = rest.as_bytes();
            let start = scan::separators(bytes, 0);
            if bytes.get(start) == Some(&b'{') {
                let mut selection = Selection::of(names);
                let mut inside = &rest[start + 1..];
                while let Some((key, value)) = written_member(&mut inside) {
                    selection.note(key, value);
                }
                let close = rest.len() - inside.len();
                let end = scan::separators(bytes, close) + 1;
                let element = Value::unindexed(&rest[start..end]);
                *rest = &rest[end..];
                return Some((element, selection.found));
            }
        }
        let element = self.next()?;
        Some((element, element.select(names)))
    }
}

/// Members or elements that are left.
#[derive(Clone, Debug)]
enum Inside<'a> {
    /// As the index has them.
    Indexed(&'a [Node<'a>]),
    /// As they are written: white space, a comma or a colon, then a name, a value or the closing bracket.
    Written(&'a str),
}

/// Takes a member off `rest`.
fn written_member<'a>(rest: &mut &'a str) -> Option<(Text<'a>, Value<'a>)> {
    let bytes = rest.as_bytes();
    let open = scan::separators(bytes, 0);
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let close = string::skip_string(bytes, open + 1);
    let raw = &rest[open + 1..close - 1];
    *rest = &rest[close..];
    Some((Text { raw }, written_value(rest)?))
}

/// Takes a value off `rest`.
fn written_value<'a>(rest: &mut &'a str) -> Option<Value<'a>> {
    let bytes = rest.as_bytes();
    let start = scan::separators(bytes, 0);
    if matches!(bytes.get(start), None | Some(b']')) {
        return None;
    }
    let end = scan::skip_value(bytes, start);
    let value = Value::unindexed(&rest[start..end]);
    *rest = &rest[end..];
    Some(value)
}
#[cfg(test)]
mod tests;
