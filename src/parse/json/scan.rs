//! Walking over JSON text byte by byte: the one validating pass, and the quick skips over what has passed it.

use std::ops::Range;

use super::Error;
use super::string::{skip_string, string_stop};

/// Where the white space at `at` ends.
#[inline]
pub(super) fn space(bytes: &[u8], mut at: usize) -> usize {
    // Between most values there is none.
    if bytes.get(at).is_some_and(|byte| *byte > b' ') {
        return at;
    }
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

/// Validates the string that `bytes` begin with and says where it ends.
pub(super) fn validate_string(bytes: &[u8]) -> Result<usize, Error> {
    let mut cursor = Cursor { bytes, at: 0 };
    if cursor.peek() != b'"' {
        return Err(cursor.expected("a string"));
    }
    cursor.string()?;
    Ok(cursor.at)
}

/// Validates the object that begins at `at` and says where it ends; `each` is called with where the name and the
/// value of each member lie.
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
        let end = validate(bytes, start, &mut Unvisited)?;
        each(name, start..end);
        cursor.at = space(bytes, end);
        match cursor.peek() {
            b',' => cursor.step(),
            b'}' => return Ok(cursor.at + 1),
            _ => return Err(cursor.expected(Container::Object.goes_on())),
        }
    }
}

/// Is called with values while they are validated, in order. `name` is where a member's name lies; another value's is empty.
pub(super) trait Visit {
    /// A string, a number or a word.
    fn scalar(&mut self, name: Range<usize>, at: Range<usize>);

    /// An array or an object begins at `at`.
    fn opens(&mut self, name: Range<usize>, at: usize);

    /// The innermost one that is open ends at `at`.
    fn closes(&mut self, at: usize);
}

/// Values are validated only.
pub(super) struct Unvisited;

impl Visit for Unvisited {
    fn scalar(&mut self, _: Range<usize>, _: Range<usize>) {}
    fn opens(&mut self, _: Range<usize>, _: usize) {}
    fn closes(&mut self, _: usize) {}
}

/// Validates the value that begins at `at`, however deep it nests, and says where it ends.
pub(super) fn validate(bytes: &[u8], at: usize, visitor: &mut impl Visit) -> Result<usize, Error> {
    let mut cursor = Cursor { bytes, at };
    let mut nesting = Nesting::default();
    let mut name = 0..0;
    loop {
        let start = cursor.at;
        if let Some(container) = Container::begun_by(cursor.peek()) {
            nesting.enter(container);
            visitor.opens(name, start);
            cursor.step();
            if cursor.peek() != container.end() {
                name = cursor.name_in(container)?;
                continue;
            }
        } else {
            cursor.scalar()?;
            visitor.scalar(name, start..cursor.at);
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
                    visitor.closes(cursor.at);
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
///
/// As many as a word has bits cost no memory; of the ones around them there is a word for as many each.
#[derive(Default)]
struct Nesting {
    objects: u128,
    depth: usize,
    outer: Vec<u128>,
}

/// Bits of a word.
const WORD: usize = u128::BITS as usize;

impl Nesting {
    fn enter(&mut self, container: Container) {
        if self.depth > 0 && self.depth.is_multiple_of(WORD) {
            self.outer.push(self.objects);
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(container == Container::Object);
    }

    fn leave(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
        if self.depth.is_multiple_of(WORD) {
            self.objects = self.outer.pop().unwrap_or_default();
        }
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
    #[inline(always)]
    fn name_in(&mut self, container: Container) -> Result<Range<usize>, Error> {
        match container {
            Container::Array => Ok(0..0),
            Container::Object => self.key(),
        }
    }

    /// A member's name and colon, up to its value. Returns where the name lies, without its quotes.
    // Inlined where members are read: calling it and taking its result apart was a quarter of it.
    #[inline(always)]
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

    #[inline(always)]
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

    // Inlined as far as a short string without escapes goes, which nearly all are: a call took as long as looking through it.
    #[inline(always)]
    fn string(&mut self) -> Result<(), Error> {
        self.at = string_stop(self.bytes, self.at + 1);
        if self.peek() == b'"' {
            self.at += 1;
            return Ok(());
        }
        self.rest_of_string()
    }

    /// Goes on in a string where its plain text stops.
    #[inline(never)]
    fn rest_of_string(&mut self) -> Result<(), Error> {
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.expected("control characters to be escaped")),
                None => return Err(self.expected("a closing quote")),
            }
            self.at = string_stop(self.bytes, self.at);
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
    let mut depth = 0_usize;
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
