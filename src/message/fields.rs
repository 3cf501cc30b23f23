//! The header fields of a message: in their order, with their duplicates, as they were spelled (RFC 9110 §5).
//!
//! A field is a place in the head that it was read from. Reading a head makes no copy of it, looking a field up goes
//! through a dozen places and compares lengths, and writing it is one copy: names keep their spelling, for those who tell
//! `X-Key` from `x-key`, without anything being kept beside them. With a map of hashed names, and the spelling beside
//! it, a streamed request cost 17,000 instructions more, of 88,000.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Names;

/// Header fields.
#[derive(Clone, Default)]
pub struct Fields {
    /// What they were read from.
    head: Bytes,
    /// What was added since. Its places are counted from the end of the head.
    added: Vec<u8>,
    places: Vec<FieldPlace>,
    /// The names of those that there are, and of some that there were.
    names: Names,
}

/// Where a field lies. Nothing but the colon and white space stands between its name and its value.
#[derive(Debug, Clone, Copy)]
pub struct FieldPlace {
    name: usize,
    /// Kept as it is asked for: of every field, each time that one is looked up.
    name_len: usize,
    value: usize,
    value_end: usize,
}

impl FieldPlace {
    /// Where in a head a name lies, and its value.
    #[must_use]
    pub const fn new(name: Range<usize>, value: Range<usize>) -> Self {
        Self {
            name: name.start,
            name_len: name.end - name.start,
            value: value.start,
            value_end: value.end,
        }
    }
}

/// What stands between the name and the value of a field that was added.
const BETWEEN: &[u8] = b": ";

/// One field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    name: &'a [u8],
    /// Its value, without white space around it.
    pub value: &'a [u8],
}

impl<'a> Field<'a> {
    /// Whether it has this name, however that is spelled.
    #[must_use]
    pub fn is(self, name: impl AsRef<str>) -> bool {
        same_name(self.name, name.as_ref().as_bytes())
    }

    /// Whether its name ends so, however that is spelled.
    #[must_use]
    pub fn ends(self, end: &str) -> bool {
        let begin = self.name.len().checked_sub(end.len());
        begin.is_some_and(|begin| self.name[begin..].eq_ignore_ascii_case(end.as_bytes()))
    }

    /// Whether it may have one of these names; where it may not there is no need to compare them.
    #[inline]
    #[must_use]
    pub const fn may_be_of(self, names: Names) -> bool {
        names.may_have(self.name)
    }

    /// Its name, as it was spelled.
    #[must_use]
    pub fn name(self) -> &'a str {
        std::str::from_utf8(self.name)
            .expect("a field name has been read as a token, which is ASCII")
    }

    /// Its value, where that is visible ASCII.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        text(self.value)
    }

    /// As a map has it, the name in lower case. What was read has been checked, so there is one.
    #[must_use]
    pub fn to_header(self) -> Option<(HeaderName, HeaderValue)> {
        let name = HeaderName::from_bytes(self.name).ok()?;
        Some((name, HeaderValue::from_bytes(self.value).ok()?))
    }
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value)
        .ok()
        .filter(|_| is_visible(value))
}

/// Whether all is visible ASCII. Eight bytes at a time, as far as there is nothing that may be no such.
fn is_visible(value: &[u8]) -> bool {
    let (words, _) = value.as_chunks();
    // The last word has the rest in it, and some of the word before.
    if let Some(last) = value.last_chunk()
        && !words.iter().chain([last]).any(may_be_hidden)
    {
        return true;
    }
    let visible = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    value.iter().all(visible)
}

/// Whether a word has a byte that may be no visible ASCII; a tab is one of those.
const fn may_be_hidden(word: &[u8; 8]) -> bool {
    const EACH: u64 = u64::MAX / 0xff;
    let word = u64::from_le_bytes(*word);
    let control = word.wrapping_sub(EACH * b' ' as u64) & !word;
    let delete = (word ^ (EACH * 0x7f)).wrapping_sub(EACH) & !word;
    (control | delete | word) & (EACH * 0x80) != 0
}

/// Whether two names are the same but for their case. Lengths first, as most names differ in that, and then all letters at
/// once, as most are spelled alike: one by one they take ten times as long.
#[inline]
fn same_name(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && (one == other || one.eq_ignore_ascii_case(other))
}

impl Fields {
    /// The fields of a head that has been read, and where in it each lies.
    #[must_use]
    pub fn of_head(head: Bytes, places: Vec<FieldPlace>) -> Self {
        let mut names = Names::default();
        for place in &places {
            names.add(&head[place.name..place.name + place.name_len]);
        }
        Self {
            head,
            added: Vec::new(),
            places,
            names,
        }
    }

    /// A copy with room for so many more fields of so many bytes together.
    #[must_use]
    pub fn with_room(&self, fields: usize, bytes: usize) -> Self {
        let mut places = Vec::with_capacity(self.places.len() + fields);
        places.extend_from_slice(&self.places);
        let mut added = Vec::with_capacity(self.added.len() + bytes);
        added.extend_from_slice(&self.added);
        Self {
            head: self.head.clone(),
            added,
            places,
            names: self.names,
        }
    }

    /// All fields, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.places.iter().map(|place| self.field(*place))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether there is a field of this name.
    #[must_use]
    pub fn contains(&self, name: impl AsRef<str>) -> bool {
        self.find(0, name.as_ref()).is_some()
    }

    /// The value of the first field of this name.
    #[must_use]
    pub fn get(&self, name: impl AsRef<str>) -> Option<&[u8]> {
        self.first(name.as_ref())
    }

    /// The same, where it is visible ASCII.
    #[must_use]
    pub fn text(&self, name: impl AsRef<str>) -> Option<&str> {
        self.get(name).and_then(text)
    }

    /// The values of all fields of this name.
    pub fn all<N: AsRef<str>>(&self, name: N) -> impl Iterator<Item = &[u8]> + use<'_, N> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let at = self.find(from, name.as_ref())?;
            from = at + 1;
            Some(self.value(at))
        })
    }

    /// Those of them that are visible ASCII.
    pub fn texts<N: AsRef<str>>(&self, name: N) -> impl Iterator<Item = &str> + use<'_, N> {
        self.all(name).filter_map(text)
    }

    /// Whether the content that comes with them is coded. `identity` is no coding, in whatever case and however often it is named
    /// (RFC 9110 §8.4.1 and §12.5.3); nor is an empty list.
    #[must_use]
    pub fn is_coded(&self) -> bool {
        let is_none = |coding: &[u8]| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity");
        let mut codings = self
            .all("content-encoding")
            .flat_map(|value| value.split(|byte| *byte == b','));
        codings.any(|coding| !is_none(coding.trim_ascii()))
    }

    /// Adds a field at the end. Both are to be what a field may have.
    pub fn append(&mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) {
        self.push(name.as_ref().as_bytes(), value.as_ref());
    }

    /// Puts one field of this name where the first was, spelled as it was, or at the end.
    pub fn set(&mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) {
        let (name, value) = (name.as_ref(), value.as_ref());
        match self.find(0, name) {
            None => self.append(name, value),
            Some(at) => self.replace(at, name, value),
        }
    }

    /// Takes out all fields of this name.
    pub fn remove(&mut self, name: impl AsRef<str>) {
        self.remove_from(0, name.as_ref());
    }

    /// Keeps the fields that are to be kept, in their order.
    pub fn retain(&mut self, mut keep: impl FnMut(Field<'_>) -> bool) {
        let mut places = std::mem::take(&mut self.places);
        places.retain(|place| keep(self.field(*place)));
        self.places = places;
    }

    /// Writes each with a line end behind it.
    pub fn write(&self, out: &mut Vec<u8>) {
        for place in &self.places {
            out.extend_from_slice(self.slice(place.name..place.value_end));
            out.extend_from_slice(b"\r\n");
        }
    }

    /// So many bytes [`Self::write`] writes.
    #[must_use]
    pub fn written_len(&self) -> usize {
        let lengths = self
            .places
            .iter()
            .map(|place| place.value_end - place.name + 2);
        lengths.sum()
    }

    /// As a map, names in lower case, for HTTP/2.
    #[must_use]
    pub fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.len());
        for (name, value) in self.iter().filter_map(Field::to_header) {
            map.append(name, value);
        }
        map
    }

    /// Where the first field of this name stands, from this place on.
    ///
    /// By itself: a dozen callers ask for names of several types, and each would have it all in itself.
    #[inline(never)]
    fn find(&self, from: usize, name: &str) -> Option<usize> {
        let name = name.as_bytes();
        if !self.names.may_have(name) {
            return None;
        }
        let of_name = |place: &FieldPlace| {
            // Most need not be looked at.
            place.name_len == name.len() && same_name(self.name(place), name)
        };
        let found = self.places.get(from..)?.iter().position(of_name)?;
        Some(from + found)
    }

    fn first(&self, name: &str) -> Option<&[u8]> {
        self.find(0, name).map(|at| self.value(at))
    }

    fn value(&self, at: usize) -> &[u8] {
        let place = self.places[at];
        self.slice(place.value..place.value_end)
    }

    /// Gives the field at this place, the first of its name, another value, and takes out the others.
    fn replace(&mut self, at: usize, name: &str, value: &[u8]) {
        let (old, start) = (self.places[at], self.end());
        match old.name.checked_sub(self.head.len()) {
            Some(name) => {
                let value = name + old.value - old.name;
                self.added.extend_from_within(name..value);
            }
            None => self
                .added
                .extend_from_slice(&self.head[old.name..old.value]),
        }
        self.places[at] = self.add(start, old.name_len, value);
        self.remove_from(at + 1, name);
    }

    /// Takes out the fields of this name, from this place on.
    fn remove_from(&mut self, mut from: usize, name: &str) {
        while let Some(at) = self.find(from, name) {
            self.places.remove(at);
            from = at;
        }
    }

    /// Where what is added next will lie.
    const fn end(&self) -> usize {
        self.head.len() + self.added.len()
    }

    fn push(&mut self, name: &[u8], value: &[u8]) {
        let start = self.end();
        self.names.add(name);
        self.added.extend_from_slice(name);
        self.added.extend_from_slice(BETWEEN);
        let place = self.add(start, name.len(), value);
        self.places.push(place);
    }

    /// Adds a value to its name, which has been added from `name` on and is so long.
    fn add(&mut self, name: usize, length: usize, value: &[u8]) -> FieldPlace {
        let at = self.end();
        self.added.extend_from_slice(value);
        FieldPlace {
            name,
            name_len: length,
            value: at,
            value_end: self.end(),
        }
    }

    #[inline]
    fn name(&self, place: &FieldPlace) -> &[u8] {
        self.slice(place.name..place.name + place.name_len)
    }

    #[inline]
    fn field(&self, place: FieldPlace) -> Field<'_> {
        Field {
            name: self.name(&place),
            value: self.slice(place.value..place.value_end),
        }
    }

    /// A part of the head, or of what was added.
    #[inline]
    fn slice(&self, part: Range<usize>) -> &[u8] {
        match part.start.checked_sub(self.head.len()) {
            Some(start) => &self.added[start..part.end - self.head.len()],
            None => &self.head[part],
        }
    }
}

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be credentials.
        f.debug_list()
            .entries(self.iter().map(Field::name))
            .finish()
    }
}

impl From<&HeaderMap> for Fields {
    fn from(map: &HeaderMap) -> Self {
        let bytes = map.iter();
        let bytes = bytes.map(|(name, value)| name.as_str().len() + BETWEEN.len() + value.len());
        let mut made = Self::default().with_room(map.len(), bytes.sum());
        for (name, value) in map {
            made.append(name, value);
        }
        made
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut made = Self::default();
        for (name, value) in fields {
            made.append(name, value);
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fields: &Fields) -> String {
        let mut out = Vec::new();
        fields.write(&mut out);
        assert_eq!(out.len(), fields.written_len());
        String::from_utf8(out).unwrap()
    }

    /// Fields as they stand in a head, a line each.
    fn read(text: &'static str) -> Fields {
        let mut places = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive("\r\n") {
            let colon = line.find(':').unwrap();
            let value = line[colon + 1..].trim();
            let at = if value.is_empty() {
                colon + 1
            } else {
                line.find(value).unwrap()
            };
            let value = start + at..start + at + value.len();
            places.push(FieldPlace::new(start..start + colon, value));
            start += line.len();
        }
        Fields::of_head(Bytes::from_static(text.as_bytes()), places)
    }

    const HEAD: &str = "hOST:  me\r\nA:1\r\nb: 2\r\na: 3\r\nempty:\r\n";

    #[test]
    fn fields_are_written_as_they_were_read() {
        assert_eq!(written(&read(HEAD)), HEAD);
    }

    #[test]
    fn a_field_is_found_however_its_name_is_spelled() {
        let fields = read(HEAD);
        assert_eq!(fields.get("Host"), Some(&b"me"[..]));
        assert_eq!(fields.all("a").collect::<Vec<_>>(), [b"1", b"3"]);
        assert_eq!(fields.text("EMPTY"), Some(""));
        assert!(!fields.contains("hos"));
    }

    #[test]
    fn text_is_visible_ascii_only() {
        let fields: Fields = [("a", &b"caf\xc3\xa9"[..]), ("b", b"a\tb"), ("c", b"\x7f")]
            .into_iter()
            .collect();
        assert_eq!(
            [fields.text("a"), fields.text("b"), fields.text("c")],
            [None, Some("a\tb"), None]
        );
        assert_eq!(fields.texts("b").count(), 1);
        assert_eq!(fields.texts("a").count(), 0);
    }

    #[test]
    fn one_byte_that_is_not_visible_is_found_wherever_it_stands() {
        for length in 1..30 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut value = vec![b'~'; length];
                    value[at] = byte;
                    let visible = matches!(byte, b'\t' | b' '..=b'~');
                    assert_eq!(
                        text(&value).is_some(),
                        visible,
                        "{byte} at {at} of {length}"
                    );
                }
            }
        }
    }

    #[test]
    fn one_that_is_set_stands_where_the_first_stood_and_alone() {
        let mut fields = read(HEAD);
        fields.set("host", "you");
        fields.set("a", "4");
        fields.set("new", "5");
        fields.set("new", "6");
        assert_eq!(
            written(&fields),
            "hOST:  you\r\nA:4\r\nb: 2\r\nempty:\r\nnew: 6\r\n"
        );
    }

    #[test]
    fn the_others_keep_their_order_when_some_are_taken_out() {
        let mut fields = read(HEAD);
        fields.append("Z", "0");
        fields.remove("A");
        fields.retain(|field| !field.is("empty"));
        assert_eq!(written(&fields), "hOST:  me\r\nb: 2\r\nZ: 0\r\n");
    }

    #[test]
    fn a_map_has_them_in_lower_case_and_with_their_duplicates() {
        let map = read(HEAD).to_map();
        assert_eq!(map["host"], "me");
        assert_eq!(map.get_all("a").iter().collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(
            written(&Fields::from(&map)),
            "host: me\r\na: 1\r\na: 3\r\nb: 2\r\nempty: \r\n"
        );
    }

    #[test]
    fn identity_is_no_coding_however_it_is_named() {
        for (values, coded) in [
            (&[][..], false),
            (&[""], false),
            (&["identity"], false),
            (&["Identity"], false),
            (&["identity, IDENTITY ,"], false),
            (&["identity", "identity"], false),
            (&["gzip"], true),
            (&["identity, gzip"], true),
            (&["identity", "br"], true),
            (&["identity;q=1"], true),
            (&["aws-chunked"], true),
        ] {
            let fields: Fields = values
                .iter()
                .map(|value| ("Content-Encoding", *value))
                .collect();
            assert_eq!(fields.is_coded(), coded, "{values:?}");
        }
    }
}
