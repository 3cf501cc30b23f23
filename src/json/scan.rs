//! Walking over JSON text byte by byte: the one validating pass, and the quick skips over what has passed it.

use std::ops::Range;

use super::{Error, MAX_DEPTH};

/// Where the white space at `at` ends.
pub(super) fn space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\t' | b'\r')) {
        at += 1;
    }
    at
}

/// Where the white space, commas and colons at `at` end; only for validated text.
pub(super) fn separators(bytes: &[u8], mut at: usize) -> usize {
    while matches!(
        bytes.get(at),
        Some(b',' | b':' | b' ' | b'\n' | b'\t' | b'\r')
    ) {
        at += 1;
    }
    at
}

/// Validates the object that begins at `at` and says where it ends; `each` hears where the name and the value of each
/// member lie.
pub(super) fn validate_object(
    bytes: &[u8],
    at: usize,
    mut each: impl FnMut(Range<usize>, Range<usize>),
) -> Result<usize, Error> {
    let mut cursor = Cursor { bytes, at };
    if cursor.peek() != b'{' {
        return Err(cursor.expected("an object"));
    }
    cursor.step();
    if cursor.peek() == b'}' {
        return Ok(cursor.at + 1);
    }
    loop {
        let name = cursor.key()?;
        let start = cursor.at;
        let end = validate(bytes, start, MAX_DEPTH - 1, &mut Unheard)?;
        each(name, start..end);
        cursor.at = space(bytes, end);
        match cursor.peek() {
            b',' => cursor.step(),
            b'}' => return Ok(cursor.at + 1),
            _ => return Err(cursor.expected(Container::Object.goes_on())),
        }
    }
}

/// Hears of values while they are validated, in order. `name` is where a member's name lies; another value's is empty.
pub(super) trait Listen {
    /// A string, a number or a word.
    fn scalar(&mut self, name: Range<usize>, at: Range<usize>);

    /// An array or an object begins at `at`.
    fn opens(&mut self, name: Range<usize>, at: usize);

    /// The innermost one that is open ends at `at`.
    fn closes(&mut self, at: usize);
}

/// Nobody listens.
pub(super) struct Unheard;

impl Listen for Unheard {
    fn scalar(&mut self, _: Range<usize>, _: Range<usize>) {}
    fn opens(&mut self, _: Range<usize>, _: usize) {}
    fn closes(&mut self, _: usize) {}
}

/// Validates the value that begins at `at`, which may nest `depth` deep, and says where it ends.
pub(super) fn validate(
    bytes: &[u8],
    at: usize,
    depth: u32,
    listener: &mut impl Listen,
) -> Result<usize, Error> {
    let mut cursor = Cursor { bytes, at };
    let mut nesting = Nesting::new(depth);
    let mut name = 0..0;
    loop {
        let start = cursor.at;
        if let Some(container) = Container::begun_by(cursor.peek()) {
            nesting.enter(container, &cursor)?;
            listener.opens(name, start);
            cursor.step();
            if cursor.peek() != container.end() {
                name = cursor.name_in(container)?;
                continue;
            }
        } else {
            cursor.scalar()?;
            listener.scalar(name, start..cursor.at);
        }
        // A value is complete, or an empty container is about to be: go on or close, as often as containers end here.
        loop {
            let Some(container) = nesting.innermost() else {
                return Ok(cursor.at);
            };
            cursor.at = space(bytes, cursor.at);
            match cursor.peek() {
                b',' => {
                    cursor.step();
                    name = cursor.name_in(container)?;
                    break;
                }
                byte if byte == container.end() => {
                    cursor.at += 1;
                    nesting.leave();
                    listener.closes(cursor.at);
                }
                _ => return Err(cursor.expected(container.goes_on())),
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Container {
    Array,
    Object,
}

impl Container {
    const fn begun_by(byte: u8) -> Option<Self> {
        match byte {
            b'[' => Some(Self::Array),
            b'{' => Some(Self::Object),
            _ => None,
        }
    }

    const fn end(self) -> u8 {
        match self {
            Self::Array => b']',
            Self::Object => b'}',
        }
    }

    /// What is right behind a value in it.
    const fn goes_on(self) -> &'static str {
        match self {
            Self::Array => "a comma or the end of the array",
            Self::Object => "a comma or the end of the object",
        }
    }
}

/// The containers that are open, one bit each, innermost lowest: a set bit is an object.
struct Nesting {
    objects: u128,
    depth: u32,
    deepest: u32,
}

impl Nesting {
    const fn new(deepest: u32) -> Self {
        Self {
            objects: 0,
            depth: 0,
            deepest,
        }
    }

    fn enter(&mut self, container: Container, cursor: &Cursor<'_>) -> Result<(), Error> {
        const { assert!(MAX_DEPTH <= u128::BITS) };
        if self.depth == self.deepest {
            return Err(cursor.expected("no deeper nesting"));
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(container == Container::Object);
        Ok(())
    }

    const fn leave(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
    }

    const fn innermost(&self) -> Option<Container> {
        match (self.depth, self.objects & 1) {
            (0, _) => None,
            (_, 0) => Some(Container::Array),
            _ => Some(Container::Object),
        }
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    /// The byte at the cursor, or NUL at the end: NUL is right nowhere, so that neither is the end.
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or_default()
    }

    /// Takes one structural byte and the white space behind it.
    fn step(&mut self) {
        self.at = space(self.bytes, self.at + 1);
    }

    const fn expected(&self, expected: &'static str) -> Error {
        Error {
            offset: self.at,
            expected,
        }
    }

    /// What comes before a value: a member's name and colon, nothing of an element.
    fn name_in(&mut self, container: Container) -> Result<Range<usize>, Error> {
        match container {
            Container::Array => Ok(0..0),
            Container::Object => self.key(),
        }
    }

    /// A member's name and colon, up to its value. Returns where the name lies, without its quotes.
    fn key(&mut self) -> Result<Range<usize>, Error> {
        if self.peek() != b'"' {
            return Err(self.expected("a member name"));
        }
        let open = self.at;
        self.string()?;
        let name = open + 1..self.at - 1;
        self.at = space(self.bytes, self.at);
        if self.peek() != b':' {
            return Err(self.expected("a colon"));
        }
        self.step();
        Ok(name)
    }

    fn scalar(&mut self) -> Result<(), Error> {
        match self.peek() {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => Err(self.expected("a value")),
        }
    }

    fn word(&mut self, word: &'static str) -> Result<(), Error> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.expected(word));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Error> {
        if self.peek() == b'-' {
            self.at += 1;
        }
        if self.peek() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Error> {
        if !self.peek().is_ascii_digit() {
            return Err(self.expected("a digit"));
        }
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), Error> {
        self.at += 1;
        loop {
            self.at = string_stop(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.expected("control characters to be escaped")),
                None => return Err(self.expected("a closing quote")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Error> {
        self.at += 1;
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                for _ in 0..4 {
                    self.at += 1;
                    if !self.peek().is_ascii_hexdigit() {
                        return Err(self.expected("four hexadecimal digits"));
                    }
                }
                self.at += 1;
            }
            _ => return Err(self.expected("an escape sequence")),
        }
        Ok(())
    }
}

/// How far a string is looked through word by word; most end before. The routines for the rest take ten times as much at
/// once (24 µs a megabyte, not 120), but are slower to begin.
const NEAR: usize = 128;

/// Where the next quote, backslash or control character at or after `from` stands, or the end. All that lies before it
/// stands for itself (RFC 8259, section 7).
fn string_stop(bytes: &[u8], from: usize) -> usize {
    near(bytes, from, stops_in).unwrap_or_else(|from| {
        let rest = &bytes[from..];
        let stop = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
        from + first_control(&rest[..stop]).unwrap_or(stop)
    })
}

/// Where the next quote at or after `from` stands, or the end.
fn next_quote(bytes: &[u8], from: usize) -> usize {
    near(bytes, from, quotes_in).unwrap_or_else(|from| {
        let rest = &bytes[from..];
        from + memchr::memchr(b'"', rest).unwrap_or(rest.len())
    })
}

/// Where the first byte that `marks` finds in a word stands; as an error, from where to look on. `marks` sets the top
/// bits of the bytes it finds, and finds no space.
fn near(bytes: &[u8], from: usize, marks: impl Fn(u64) -> u64) -> Result<usize, usize> {
    let near = &bytes[from..bytes.len().min(from + NEAR)];
    let (words, tail) = near.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return Ok(from + index * 8 + marks.trailing_zeros() as usize / 8);
        }
    }
    let mut last = [b' '; 8];
    last[..tail.len()].copy_from_slice(tail);
    match marks(u64::from_le_bytes(last)) {
        0 => Err(from + near.len()),
        marks => Ok(from + words.len() * 8 + marks.trailing_zeros() as usize / 8),
    }
}

/// A word of eight such bytes.
const fn each(byte: u8) -> u64 {
    u64::MAX / 0xff * byte as u64
}

/// Marks the bytes of a word that end a stretch of plain text, by their top bits. The lowest mark is exact; those above
/// it may be false, since a subtraction borrows from the byte above.
const fn stops_in(word: u64) -> u64 {
    let quote = (word ^ each(b'"')).wrapping_sub(each(1));
    let backslash = (word ^ each(b'\\')).wrapping_sub(each(1));
    let control = word.wrapping_sub(each(b' '));
    (quote | backslash | control) & !word & each(0x80)
}

/// Marks the quotes in a word, in the same way.
const fn quotes_in(word: u64) -> u64 {
    (word ^ each(b'"')).wrapping_sub(each(1)) & !word & each(0x80)
}

/// Where the first control character stands.
fn first_control(bytes: &[u8]) -> Option<usize> {
    // The compiler finds a block's least byte in some twenty instructions, which a search byte by byte would not be.
    let (blocks, _) = bytes.as_chunks::<128>();
    let is_clean =
        |block: &&[u8; 128]| block.iter().fold(u8::MAX, |least, byte| least.min(*byte)) >= b' ';
    let clean = blocks.iter().take_while(is_clean).count() * 128;
    let rest = bytes[clean..].iter().position(|byte| *byte < b' ')?;
    Some(clean + rest)
}

/// Where the string whose content begins at `from` ends, its closing quote included; only for validated text.
pub(super) fn skip_string(bytes: &[u8], from: usize) -> usize {
    let mut quote = next_quote(bytes, from);
    while is_escaped(&bytes[from..quote]) {
        quote = next_quote(bytes, quote + 1);
    }
    quote + 1
}

/// Whether what comes after this much of a string is escaped: behind an odd number of backslashes.
fn is_escaped(before: &[u8]) -> bool {
    let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\');
    backslashes.count() % 2 == 1
}

/// Where the value that begins at `at` ends; only for validated text.
pub(super) fn skip_value(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => skip_string(bytes, at + 1),
        Some(b'{' | b'[') => skip_container(bytes, at),
        _ => {
            let ends =
                |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\t' | b'\r');
            let rest = &bytes[at..];
            at + rest.iter().position(ends).unwrap_or(rest.len())
        }
    }
}

fn skip_container(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_u32;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = skip_string(bytes, at),
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return at,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    at
}

/// How many characters there are in a text.
pub(super) fn count_chars(text: &str) -> usize {
    // A character is one byte that does not continue another. Counted in bytes, of blocks too short to overflow one, the
    // compiler adds up sixteen at once: 15 µs a megabyte, where the standard library's count takes 35.
    let count = |block: &[u8]| {
        let begins = |byte: &u8| u8::from(byte & 0b1100_0000 != 0b1000_0000);
        usize::from(block.iter().map(begins).sum::<u8>())
    };
    let (blocks, tail) = text.as_bytes().as_chunks::<128>();
    let whole: usize = blocks.iter().map(|block| count(block)).sum();
    whole + count(tail)
}

/// The character an escape stands for and the escape's length, two escapes for a surrogate pair; only for validated text.
pub(super) fn unescape(escape: &[u8]) -> (char, usize) {
    let plain = match escape.get(1) {
        Some(b'u') => return unescape_unicode(escape),
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(other) => char::from(*other),
        None => char::REPLACEMENT_CHARACTER,
    };
    (plain, 2)
}

fn unescape_unicode(escape: &[u8]) -> (char, usize) {
    let first = code_unit(escape);
    let second = escape.get(6..).and_then(code_unit);
    let pair = [first.unwrap_or_default(), second.unwrap_or_default()];
    match char::decode_utf16(pair).next() {
        Some(Ok(character)) => (character, if character.len_utf16() == 2 { 12 } else { 6 }),
        _ => (char::REPLACEMENT_CHARACTER, 6),
    }
}

/// The UTF-16 code unit of a `\uXXXX` escape, if `escape` begins with one.
fn code_unit(escape: &[u8]) -> Option<u16> {
    let digits = escape.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
