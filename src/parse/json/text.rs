//! The content of a JSON string, with or without its escapes.

use std::borrow::Cow;

use super::string;

/// A string's content between its quotes, escapes still in it.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    pub(super) raw: &'a str,
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
        self.decode_into(&mut decoded);
        Cow::Owned(decoded)
    }

    /// Adds the text itself to another.
    pub fn decode_into(self, decoded: &mut String) {
        for piece in self.pieces() {
            match piece {
                Piece::Plain(text) => decoded.push_str(text),
                Piece::Escaped(character) => decoded.push(character),
            }
        }
    }

    /// How many bytes of UTF-8 it decodes to.
    #[must_use]
    pub fn bytes(self) -> u64 {
        if !self.has_escapes() {
            return self.raw.len() as u64;
        }
        let pieces = self.pieces().map(|piece| match piece {
            Piece::Plain(text) => text.len(),
            Piece::Escaped(character) => character.len_utf8(),
        });
        pieces.sum::<usize>() as u64
    }

    /// How many Unicode code points it decodes to; a surrogate pair is one, a lone surrogate is one.
    #[must_use]
    pub fn chars(self) -> u64 {
        let written = string::count_chars(self.raw);
        let more = match self.has_escapes() {
            true => string::more_written(self.raw()),
            false => 0,
        };
        (written - more) as u64
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
        let plain = string::next_backslash(self.rest.as_bytes());
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
