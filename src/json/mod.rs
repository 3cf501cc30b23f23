//! A JSON cursor over borrowed bytes: one strict validating pass, then reading without a tree and without allocation.
//!
//! It exists because the byte path needs the exact place of a value to splice beside it, and because a dialect reads a
//! handful of members out of every streamed chunk. Grammar: RFC 8259. Stricter than a lenient reader: bytes that are
//! not UTF-8, a byte order mark, and nesting deeper than [`MAX_DEPTH`] are errors. More tolerant than a typed one: a
//! lone surrogate escape (`"\ud83d"`) and a number too large for any type are accepted, since both are grammatical and
//! real streams cut an escaped surrogate pair in two. This file knows nothing of what a document means.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

mod index;
mod scan;
mod string;

pub use index::Index;
use index::Node;

/// Deepest nesting of arrays and objects that is accepted.
pub const MAX_DEPTH: u32 = 128;

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
/// When `bytes` are not UTF-8, not one JSON value, or nested deeper than [`MAX_DEPTH`].
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

/// Parses exactly one JSON object with white space around it. `each` hears of its members as they are validated, in order,
/// duplicates included: to walk over a megabyte again for them takes 12 µs.
///
/// # Errors
/// When `text` is not one JSON object, or is nested deeper than [`MAX_DEPTH`]; what `each` has heard is then void.
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
/// When `text` does not begin with a JSON value, or with one nested deeper than [`MAX_DEPTH`].
pub fn parse_prefix(text: &str) -> Result<(Value<'_>, &str), Error> {
    let (place, rest) = validate_prefix(text, &mut scan::Unheard)?;
    Ok((Value::unindexed(&text[place]), rest))
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
    listener: &mut impl scan::Listen,
) -> Result<(Range<usize>, &'a str), Error> {
    let bytes = text.as_bytes();
    let start = scan::space(bytes, 0);
    let end = scan::validate(bytes, start, MAX_DEPTH, listener)?;
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
    /// In the order of the names.
    pub found: [Option<Value<'a>>; N],
}

impl<'n, 'a, const N: usize> Selection<'n, 'a, N> {
    /// Nothing found yet. The names must differ and be free of backslashes.
    #[must_use]
    pub const fn of(names: [&'n str; N]) -> Self {
        let found = [None; N];
        Self { names, found }
    }

    /// Takes a member, if it has one of the names.
    #[inline(always)]
    pub fn note(&mut self, key: Text<'_>, value: Value<'a>) {
        let known = match self.names.iter().position(|name| *name == key.raw) {
            None if key.has_escapes() => self.names.iter().position(|name| key.is(name)),
            written => written,
        };
        if let Some(at) = known {
            self.found[at] = Some(value);
        }
    }
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

/// A string's content between its quotes, escapes still in it.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    raw: &'a str,
}

impl<'a> Text<'a> {
    /// The bytes between the quotes, as written.
    #[must_use]
    pub const fn raw(self) -> &'a [u8] {
        self.raw.as_bytes()
    }

    /// The same as text.
    #[must_use]
    pub const fn written(self) -> &'a str {
        self.raw
    }

    /// Whether it is the empty string.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.raw.is_empty()
    }

    /// Whether any character is written as an escape.
    #[must_use]
    pub fn has_escapes(self) -> bool {
        string::has_backslash(self.raw())
    }

    /// Whether it decodes to `other`.
    #[must_use]
    pub fn is(self, other: &str) -> bool {
        // An escape is longer than what it stands for, so the lengths settle most comparisons.
        match self.raw.len().cmp(&other.len()) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => self.raw == other && !self.has_escapes(),
            // Nor can it begin otherwise, unless with an escape: to look for one cost more than all the rest.
            std::cmp::Ordering::Greater => {
                let first = self.raw.as_bytes().first();
                (first == other.as_bytes().first() || first == Some(&b'\\'))
                    && self.has_escapes()
                    && self.decode() == other
            }
        }
    }

    /// The text itself; each lone surrogate becomes U+FFFD.
    #[must_use]
    pub fn decode(self) -> Cow<'a, str> {
        if !self.has_escapes() {
            return Cow::Borrowed(self.raw);
        }
        let mut decoded = String::with_capacity(self.raw.len());
        for piece in self.pieces() {
            match piece {
                Piece::Plain(text) => decoded.push_str(text),
                Piece::Escaped(character) => decoded.push(character),
            }
        }
        Cow::Owned(decoded)
    }

    /// How many Unicode code points it decodes to; a surrogate pair is one, a lone surrogate is one.
    #[must_use]
    pub fn chars(self) -> u64 {
        let mut written = string::count_chars(self.raw);
        if !self.has_escapes() {
            return written as u64;
        }
        let mut rest = self.raw();
        while let Some(at) = memchr::memchr(b'\\', rest) {
            let (_, length) = string::unescape(&rest[at..]);
            written -= length - 1;
            rest = rest.get(at + length..).unwrap_or_default();
        }
        written as u64
    }

    const fn pieces(self) -> Pieces<'a> {
        Pieces { rest: self.raw }
    }
}

/// A stretch of a string: as written, or one escaped character.
enum Piece<'a> {
    Plain(&'a str),
    Escaped(char),
}

struct Pieces<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let plain = memchr::memchr(b'\\', self.rest.as_bytes()).unwrap_or(self.rest.len());
        if plain > 0 {
            let (text, rest) = self.rest.split_at(plain);
            self.rest = rest;
            return Some(Piece::Plain(text));
        }
        let (character, length) = string::unescape(self.rest.as_bytes());
        self.rest = self.rest.get(length..).unwrap_or_default();
        Some(Piece::Escaped(character))
    }
}

#[cfg(test)]
mod tests;
