//! Fields out of a form, `multipart/form-data`, as its bytes come.
//!
//! Keeps the values of the few fields that are asked for. Everything else passes through without being held: files above
//! all, however large. Governing text: RFC 7578, and RFC 2046, section 5.1.1, for the delimiters. The libraries that read
//! forms pull their input, from a blocking reader or an asynchronous stream; here it is pushed, with gaps where frames went
//! by unseen. This file knows nothing of what a field means.

mod header;

pub use header::boundary;

/// Longest value that is kept, in bytes: a prompt for an image may have 32 000 characters.
const VALUE_KEPT: usize = 128 << 10;

/// Longest head of a part that is read, in bytes; the field of a part with a longer one is not wanted.
const HEAD_KEPT: usize = 16 << 10;

/// Most white space between a delimiter and the end of its line.
const PADDING_MAX: usize = 64;

/// The end of a line, which a delimiter begins with; it belongs to the delimiter, not to the value before it.
const CRLF: &[u8] = b"\r\n";

/// The fields of a form that a dialect asked for, each with its last value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form(Vec<(&'static str, Vec<u8>)>);

impl Form {
    /// Takes a value; a later one of the same name replaces it, as servers do.
    pub fn set(&mut self, name: &'static str, value: Vec<u8>) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, last)) => *last = value,
            None => self.0.push((name, value)),
        }
    }

    /// The value of a field; `None` where the form has none of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let field = self.0.iter().find(|(known, _)| *known == name);
        field.map(|(_, value)| value.as_slice())
    }
}

/// Reads one form.
#[derive(Debug)]
pub struct Multipart {
    /// `CRLF--boundary`.
    delimiter: Vec<u8>,
    /// How much of the delimiter the last bytes of the value were.
    matched: usize,
    wanted: &'static [&'static str],
    place: FormPlace,
    /// What has come of a delimiter's line, after the delimiter, or of a part's head.
    begun: Vec<u8>,
    /// The value that has begun; `None` where it is not wanted.
    value: Option<Value>,
    form: Form,
    oversized: u64,
    empty: bool,
}

/// Where in a form its next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FormPlace {
    /// In a part's value, or before the first part.
    Value,
    /// After what may be a delimiter, on its line.
    Line,
    /// In a part's head.
    Head,
    /// After the last part.
    Over,
}

#[derive(Debug)]
struct Value {
    name: &'static str,
    bytes: Vec<u8>,
    oversized: bool,
}

/// What a form came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    /// The wanted fields.
    pub form: Form,
    /// Whether it was seen to its end, or not at all.
    pub whole: bool,
    /// Values of wanted fields that were longer than the bound.
    pub oversized: u64,
}

impl Multipart {
    /// A reader of the `wanted` fields of a form whose parts this `boundary` delimits.
    pub fn new(boundary: &[u8], wanted: &'static [&'static str]) -> Self {
        Self {
            delimiter: [CRLF, b"--", boundary].concat(),
            // The first delimiter may stand at the very beginning.
            matched: CRLF.len(),
            wanted,
            place: FormPlace::Value,
            begun: Vec::new(),
            value: None,
            form: Form::default(),
            oversized: 0,
            empty: true,
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        self.empty &= bytes.is_empty();
        while !bytes.is_empty() {
            bytes = match self.place {
                FormPlace::Value => self.read_value(bytes),
                FormPlace::Line => self.read_line(bytes),
                FormPlace::Head => self.read_head(bytes),
                FormPlace::Over => return,
            };
        }
    }

    /// Bytes went by unseen: the part that has begun is lost, and reading goes on at the next one.
    pub fn resync(&mut self) {
        self.value = None;
        self.matched = 0;
        if self.place != FormPlace::Over {
            self.place = FormPlace::Value;
        }
    }

    /// The body is over. A value counts only once its delimiter has come.
    pub fn finish(self) -> Read {
        Read {
            form: self.form,
            whole: self.empty || self.place == FormPlace::Over,
            oversized: self.oversized,
        }
    }

    /// Reads up to the end of the next delimiter, or as far as there is one. A carriage return stands nowhere in a
    /// delimiter but at its beginning, so whatever fails to become one has no beginning of another in it.
    fn read_value<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let mut rest = bytes;
        if self.matched == 0 {
            let end = memchr::memchr(b'\r', rest).unwrap_or(rest.len());
            self.keep(&rest[..end]);
            rest = &rest[end..];
        }
        let expected = self.delimiter[self.matched..].iter();
        let alike = expected.zip(rest).take_while(|(a, b)| a == b).count();
        self.matched += alike;
        rest = &rest[alike..];
        if self.matched == self.delimiter.len() {
            self.begun.clear();
            self.place = FormPlace::Line;
        } else if !rest.is_empty() {
            self.keep_matched();
        }
        rest
    }

    /// Reads what follows a delimiter on its line, byte by byte. A line that goes on is no delimiter, but part of the
    /// value: a nested form's boundary may begin like this one's.
    fn read_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some((byte, rest)) = bytes.split_first() else {
            return bytes;
        };
        self.begun.push(*byte);
        match line_end(&self.begun) {
            LineEnd::Open => rest,
            LineEnd::Part => {
                self.end_value();
                // The empty line that ends a head may be its first.
                self.begun.clear();
                self.begun.extend_from_slice(CRLF);
                self.place = FormPlace::Head;
                rest
            }
            LineEnd::Last => {
                self.end_value();
                self.place = FormPlace::Over;
                rest
            }
            LineEnd::Other => {
                self.keep_matched();
                let line = std::mem::take(&mut self.begun);
                self.keep(&line[..line.len() - 1]);
                self.place = FormPlace::Value;
                // The byte that decided may begin the true delimiter.
                bytes
            }
        }
    }

    /// Reads up to the end of a part's head, or of the next line of it.
    fn read_head<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
        let (line, rest) = bytes.split_at(end);
        if self.begun.len() + line.len() > HEAD_KEPT {
            self.place = FormPlace::Value;
            return rest;
        }
        self.begun.extend_from_slice(line);
        if self.begun.ends_with(b"\r\n\r\n") {
            let name = header::field(&self.begun[CRLF.len()..], self.wanted);
            self.value = name.map(|name| Value {
                name,
                bytes: Vec::new(),
                oversized: false,
            });
            self.place = FormPlace::Value;
        }
        rest
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(value) = &mut self.value {
            value.extend(bytes);
        }
    }

    /// What looked like a delimiter is part of the value.
    fn keep_matched(&mut self) {
        let matched = std::mem::take(&mut self.matched);
        if let Some(value) = &mut self.value {
            value.extend(&self.delimiter[..matched]);
        }
    }

    fn end_value(&mut self) {
        self.matched = 0;
        match self.value.take() {
            Some(value) if value.oversized => self.oversized += 1,
            Some(value) => self.form.set(value.name, value.bytes),
            None => {}
        }
    }
}

impl Value {
    fn extend(&mut self, bytes: &[u8]) {
        self.oversized |= self.bytes.len() + bytes.len() > VALUE_KEPT;
        if self.oversized {
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }
}

/// What follows a delimiter on its line.
enum LineEnd {
    /// Too little to tell.
    Open,
    /// The line's end: a part begins.
    Part,
    /// `--`: that was the last part.
    Last,
    /// Anything else.
    Other,
}

fn line_end(line: &[u8]) -> LineEnd {
    let is_padding = |bytes: &[u8]| bytes.iter().all(|byte| matches!(byte, b' ' | b'\t'));
    match line {
        b"-" => LineEnd::Open,
        b"--" => LineEnd::Last,
        _ if line.len() > PADDING_MAX => LineEnd::Other,
        [padding @ .., b'\r', b'\n'] if is_padding(padding) => LineEnd::Part,
        [padding @ .., b'\r'] if is_padding(padding) => LineEnd::Open,
        padding if is_padding(padding) => LineEnd::Open,
        _ => LineEnd::Other,
    }
}

#[cfg(test)]
mod tests;
