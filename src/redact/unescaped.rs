//! A text as it reads once its escapes are what they stand for, for texts that are no whole JSON and yet are written like it: a
//! document that was cut, lines of JSON, what a program prints of its strings; and for addresses.

use std::ops::Range;
use std::str::Chars;

/// What an escape stands for that stands for no character, such as half of a surrogate pair.
const UNREADABLE: char = char::REPLACEMENT_CHARACTER;

/// Names of characters in XML and HTML.
const ENTITIES: [(&str, char); 12] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("sol", '/'),
    ("bsol", '\\'),
    ("equals", '='),
    ("plus", '+'),
    ("percnt", '%'),
    ("num", '#'),
    ("semi", ';'),
];

/// Most times that the escapes of a text are undone to read it.
const READ_MAX: u8 = 4;

/// A text as it reads once the escapes of JSON, XML and URLs in it are undone, those within one another too.
#[must_use]
pub fn read_plain(text: &str) -> String {
    let mut read = text.to_owned();
    for _ in 0..READ_MAX {
        let before = read.clone();
        for undo in [Unescaped::of, Unescaped::of_xml, Unescaped::of_percent] {
            if let Some(plain) = undo(&read) {
                read = plain.text;
            }
        }
        if read == before {
            break;
        }
    }
    read
}

/// The text, and where each byte of it comes from.
pub(super) struct Unescaped {
    pub(super) text: String,
    /// For each byte, and for the end: where the character begins in the original.
    places: Vec<usize>,
}

impl Unescaped {
    /// By the escapes of JSON; `None` for a text that has none.
    pub(super) fn of(original: &str) -> Option<Self> {
        memchr::memchr(b'\\', original.as_bytes())?;
        Some(Self::read(original, |first, rest| match first {
            '\\' => escape(rest),
            itself => itself,
        }))
    }

    /// By those of a URL, as far as they stand for ASCII; `None` for a text that has none.
    pub(super) fn of_url(original: &str) -> Option<Self> {
        memchr::memchr2(b'%', b'+', original.as_bytes())?;
        Some(Self::read(original, |first, rest| match first {
            '%' => percent(rest),
            '+' => ' ',
            itself => itself,
        }))
    }

    /// The same without `+`, which stands for itself outside a query.
    fn of_percent(original: &str) -> Option<Self> {
        memchr::memchr(b'%', original.as_bytes())?;
        Some(Self::read(original, |first, rest| match first {
            '%' => percent(rest),
            itself => itself,
        }))
    }

    /// By those of XML and HTML, but for names of characters that are rare; `None` for a text that has none.
    fn of_xml(original: &str) -> Option<Self> {
        memchr::memchr(b'&', original.as_bytes())?;
        Some(Self::read(original, |first, rest| match first {
            '&' => entity(rest),
            itself => itself,
        }))
    }

    /// `take` is given a character and what is behind it, of which it takes what belongs to it.
    fn read(original: &str, take: impl Fn(char, &mut Chars<'_>) -> char) -> Self {
        let mut plain = Self {
            text: String::with_capacity(original.len()),
            places: Vec::with_capacity(original.len() + 1),
        };
        let mut rest = original.chars();
        loop {
            let at = original.len() - rest.as_str().len();
            let Some(next) = rest.next() else { break };
            plain.text.push(take(next, &mut rest));
            plain.places.resize(plain.text.len(), at);
        }
        plain.places.push(original.len());
        plain
    }

    /// The same as of the text that this one was made of, `of` being where that comes from.
    pub(super) fn through(mut self, of: &Self) -> Self {
        for place in &mut self.places {
            *place = of.places[*place];
        }
        self
    }

    /// Whether one place of the original lies within an escape, and the other behind the end of it.
    pub(super) fn is_escape_up_to(&self, within: usize, end: usize) -> bool {
        let next = self.places.partition_point(|place| *place <= within);
        let starts_before = next > 0 && self.places[next - 1] < within;
        starts_before && self.places.get(next) == Some(&end)
    }

    /// Where a range of it is in the original, escapes whole.
    pub(super) fn place(&self, range: &Range<usize>) -> Range<usize> {
        self.places[range.start]..self.places[range.end]
    }
}

/// What stands behind a backslash, by JSON and what most languages have beside it; the backslash itself where it is none.
fn escape(rest: &mut Chars<'_>) -> char {
    let mut behind = rest.clone();
    let read = match behind.next() {
        Some('n') => '\n',
        Some('t') => '\t',
        Some('r') => '\r',
        Some('b' | 'f') => ' ',
        Some(itself @ ('"' | '\'' | '\\' | '/')) => itself,
        Some('x') => match hex(&mut behind, 2).and_then(char::from_u32) {
            Some(read) => read,
            None => return '\\',
        },
        Some('u') => match hex(&mut behind, 4) {
            Some(unit) => character(unit, &mut behind),
            None => return '\\',
        },
        _ => return '\\',
    };
    *rest = behind;
    read
}

/// What stands behind a percent sign; the sign itself where it is no escape of ASCII.
fn percent(rest: &mut Chars<'_>) -> char {
    let mut behind = rest.clone();
    let byte = hex(&mut behind, 2).filter(|byte| *byte < 0x80);
    match byte.and_then(char::from_u32) {
        Some(read) => {
            *rest = behind;
            read
        }
        None => '%',
    }
}

/// What stands behind an ampersand, up to a semicolon; the ampersand itself where it is no escape.
fn entity(rest: &mut Chars<'_>) -> char {
    let written = rest.as_str();
    let Some((name, behind)) = written.split_once(';') else {
        return '&';
    };
    let read = match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(number) => u32::from_str_radix(number, 16),
            None => number.parse(),
        }
        .ok()
        .and_then(char::from_u32),
        None => ENTITIES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, read)| *read),
    };
    match read {
        Some(read) => {
            *rest = behind.chars();
            read
        }
        None => '&',
    }
}

/// The character of a unit of UTF-16, with the escape of the second half behind it where it is a first one.
fn character(unit: u32, rest: &mut Chars<'_>) -> char {
    if !(0xD800..0xDC00).contains(&unit) {
        return char::from_u32(unit).unwrap_or(UNREADABLE);
    }
    let mut behind = rest.clone();
    let is_escape = behind.next() == Some('\\') && behind.next() == Some('u');
    let second = is_escape.then(|| hex(&mut behind, 4)).flatten();
    match second.filter(|second| (0xDC00..0xE000).contains(second)) {
        Some(second) => {
            *rest = behind;
            let both = 0x1_0000 + ((unit - 0xD800) << 10) + (second - 0xDC00);
            char::from_u32(both).unwrap_or(UNREADABLE)
        }
        None => UNREADABLE,
    }
}

fn hex(rest: &mut Chars<'_>, digits: usize) -> Option<u32> {
    let read = rest.as_str().get(..digits)?;
    if !read.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    rest.nth(digits - 1);
    u32::from_str_radix(read, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_escape_is_what_it_stands_for() {
        for (original, expected) in [
            (r"a\nb", Some("a\nb")),
            (r"zork\u0040example.com", Some("zork@example.com")),
            (r"\ud83d\ude00", Some("\u{1F600}")),
            (r"\ud83d zork", Some("\u{FFFD} zork")),
            (r"\ud83d\u0040", Some("\u{FFFD}@")),
            (r"\x41\q\", Some(r"A\q\")),
            (r"\u00e", Some(r"\u00e")),
            (r"C:\\new", Some(r"C:\new")),
            ("none", None),
        ] {
            let plain = Unescaped::of(original);
            assert_eq!(plain.as_ref().map(|it| &*it.text), expected, "{original}");
        }
    }

    #[test]
    fn an_address_is_read_by_its_own_escapes() {
        for (original, expected) in [
            ("c=4111%201111+1111", Some("c=4111 1111 1111")),
            ("zork%40example%2Ecom", Some("zork@example.com")),
            ("%C3%A9%4", Some("%C3%A9%4")),
            ("/v1/models", None),
        ] {
            let plain = Unescaped::of_url(original);
            assert_eq!(plain.as_ref().map(|it| &*it.text), expected, "{original}");
        }
    }

    #[test]
    fn a_text_is_read_by_the_escapes_of_json_xml_and_urls_within_one_another() {
        for (written, expected) in [
            (r"a\/b\u003d", "a/b="),
            (
                "a&#x2F;b&#61;&amp;&sol;&X;&#x110000;",
                "a/b=&/&X;&#x110000;",
            ),
            ("a%2fb%3D+%4", "a/b=+%4"),
            ("a&amp;#x2F;b%252f&", "a/b/&"),
            ("none", "none"),
        ] {
            assert_eq!(read_plain(written), expected, "{written}");
        }
    }

    proptest! {
        #[test]
        fn what_json_writes_is_read_as_what_it_says(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap();
            let inner = &written[1..written.len() - 1];
            let plain = Unescaped::of(inner).map_or_else(|| inner.to_owned(), |plain| plain.text);
            // JSON's two escapes that stand for characters which nobody looks for are blanks here.
            prop_assert_eq!(plain, text.replace(['\u{8}', '\u{c}'], " "));
        }

        #[test]
        fn each_range_is_of_whole_characters_and_escapes(text in r#"([a@é]|\\[nxu\\"]|[0-9a-f]){0,24}"#) {
            if let Some(plain) = Unescaped::of(&text) {
                let starts: Vec<usize> = plain.text.char_indices().map(|(at, _)| at).collect();
                let ends = starts.iter().skip(1).copied().chain([plain.text.len()]);
                let places = starts.iter().zip(ends).map(|(start, end)| plain.place(&(*start..end)));
                let all: String = places.map(|place| text[place].to_owned()).collect();
                prop_assert_eq!(all, text);
            }
        }
    }
}
