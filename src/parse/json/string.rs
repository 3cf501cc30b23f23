//! Looking through strings: where they end, whether they hold escapes, what those stand for, and how long they are.
//!
//! Nearly all the bytes of a document lie in strings, so eight or more of them are looked at together.

use super::block::{self, BLOCK, each};

/// How far a string is looked through word by word; most end before. The routines for the rest take ten times as much at
/// once (24 µs a megabyte, not 120), but need 100 instructions to begin, which is what five words need.
const NEAR: usize = 32;

/// Where the next quote, backslash or control character at or after `from` stands, or the end. All that lies before it
/// stands for itself (RFC 8259, section 7).
#[inline(always)]
pub(super) fn string_stop(bytes: &[u8], from: usize) -> usize {
    near(bytes, from, stops_in).unwrap_or_else(|from| far_stop(bytes, from))
}

// By itself, so that short strings need none of its registers.
#[inline(never)]
fn far_stop(bytes: &[u8], from: usize) -> usize {
    let rest = &bytes[from..];
    let stop = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
    from + first_control(&rest[..stop]).unwrap_or(stop)
}

/// Where the next quote at or after `from` stands, or the end.
fn next_quote(bytes: &[u8], from: usize) -> usize {
    near(bytes, from, quotes_in).unwrap_or_else(|from| far_quote(bytes, from))
}

#[inline(never)]
fn far_quote(bytes: &[u8], from: usize) -> usize {
    let rest = &bytes[from..];
    from + memchr::memchr(b'"', rest).unwrap_or(rest.len())
}

/// Where the first byte that `marks` finds in one of the next words stands; as an error, from where to look on. `marks` sets
/// the top bits of the bytes it finds.
#[inline(always)]
fn near(bytes: &[u8], from: usize, marks: impl Fn(u64) -> u64) -> Result<usize, usize> {
    let (words, _) = bytes[from..].as_chunks();
    let mut at = from;
    for word in words.iter().take(NEAR / 8) {
        match marks(u64::from_le_bytes(*word)) {
            0 => at += 8,
            marks => return Ok(at + marks.trailing_zeros() as usize / 8),
        }
    }
    Err(at)
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
    bytes_in(word, b'"')
}

/// Marks the bytes of a word that are this one of ASCII, in the same way.
const fn bytes_in(word: u64, byte: u8) -> u64 {
    (word ^ each(byte)).wrapping_sub(each(1)) & !word & each(0x80)
}

/// Whether there is a backslash. Nearly all that is asked for are names, for which a search that is fast on much text
/// takes 60 instructions to begin.
pub(super) fn has_backslash(bytes: &[u8]) -> bool {
    if bytes.len() > NEAR {
        return memchr::memchr(b'\\', bytes).is_some();
    }
    let (words, _) = bytes.as_chunks();
    let in_word = |word: &[u8; 8]| bytes_in(u64::from_le_bytes(*word), b'\\') != 0;
    match bytes.last_chunk() {
        // The last word has the rest in it, and some of the word before.
        Some(last) => words.iter().any(in_word) || in_word(last),
        None => bytes.contains(&b'\\'),
    }
}

/// Where the first backslash stands, or the end. Where there are any they stand close together, as in JSON within a string.
pub(super) fn next_backslash(bytes: &[u8]) -> usize {
    near(bytes, 0, |word| bytes_in(word, b'\\')).unwrap_or_else(|from| far_backslash(bytes, from))
}

#[inline(never)]
fn far_backslash(bytes: &[u8], from: usize) -> usize {
    let rest = &bytes[from..];
    from + memchr::memchr(b'\\', rest).unwrap_or(rest.len())
}

/// Where the first control character stands.
fn first_control(bytes: &[u8]) -> Option<usize> {
    // The compiler finds a block's least byte in some twenty instructions, which a search byte by byte would not be.
    let clean = clean_blocks::<128>(bytes);
    let clean = clean + clean_blocks::<16>(&bytes[clean..]);
    let rest = bytes[clean..].iter().position(|byte| *byte < b' ')?;
    Some(clean + rest)
}

/// The length of the blocks of `N` bytes, from the first on, that hold no control character.
fn clean_blocks<const N: usize>(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<N>();
    let least = |block: &[u8; N]| block.iter().fold(u8::MAX, |least, byte| least.min(*byte));
    let clean = blocks.iter().take_while(|block| least(block) >= b' ');
    clean.count() * N
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

/// How many characters more than a text has it is written with, since each escape stands for one; only for validated text.
pub(super) fn more_written(raw: &[u8]) -> usize {
    let mut more = 0;
    let mut at = next_backslash(raw);
    let mut carried = false;
    while let Some(block) = raw[at..].first_chunk::<BLOCK>() {
        let escaped = block::escaped(block::backslashes(block), &mut carried);
        more += escaped.count_ones() as usize;
        let mut unicode = escaped & block::letters_u(block);
        while unicode != 0 {
            // Of six letters the backslash is counted, and of a pair the low half is counted as one when its turn comes.
            let escape = &raw[at + unicode.trailing_zeros() as usize - 1..];
            let is_surrogate = matches!(escape.get(2), Some(b'd' | b'D'));
            more += 4 + usize::from(is_surrogate && unescape(escape).1 == 12);
            unicode &= unicode - 1;
        }
        at += BLOCK;
    }
    let mut rest = &raw[at - usize::from(carried)..];
    loop {
        rest = &rest[next_backslash(rest)..];
        if rest.is_empty() {
            return more;
        }
        let (_, length) = unescape(rest);
        more += length - 1;
        rest = rest.get(length..).unwrap_or_default();
    }
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
    let Some(first) = code_unit(escape) else {
        return (char::REPLACEMENT_CHARACTER, 6);
    };
    if let Some(character) = char::from_u32(first) {
        return (character, 6);
    }
    let second = escape.get(6..).and_then(code_unit);
    match second.and_then(|second| pair(first, second)) {
        Some(character) => (character, 12),
        None => (char::REPLACEMENT_CHARACTER, 6),
    }
}

/// The character that two code units of UTF-16 stand for, if they are a high and a low surrogate.
fn pair(high: u32, low: u32) -> Option<char> {
    let is_pair = (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low);
    let character = || 0x1_0000 + ((high - 0xd800) << 10 | (low - 0xdc00));
    is_pair.then(character).and_then(char::from_u32)
}

/// The UTF-16 code unit of a `\uXXXX` escape, if `escape` begins with one.
fn code_unit(escape: &[u8]) -> Option<u32> {
    let digits: &[u8; 4] = escape.strip_prefix(b"\\u")?.first_chunk()?;
    let mut unit = 0;
    // The standard library's parser of numbers takes ten times as long, which counts where all of a text is written so.
    for digit in digits {
        unit = unit << 4 | char::from(*digit).to_digit(16)?;
    }
    Some(unit)
}
