//! Lines out of bytes, as they come.

/// Splits a body into its lines, each without its end.
#[derive(Debug)]
pub struct Lines {
    /// The beginning of a line whose end is still to come.
    begun: Vec<u8>,
    /// What is left of the line that has begun is not wanted.
    skipping: bool,
    /// That is so because it is longer than the bound.
    oversized: bool,
    limit: usize,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its bytes; never only white space.
    Whole(&'a [u8]),
    /// It was longer than the bound.
    Oversized,
}

impl Lines {
    /// Lines of at most `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self {
            begun: Vec::new(),
            skipping: false,
            oversized: false,
            limit,
        }
    }

    /// Takes the next bytes and says each line that they end.
    pub fn push(&mut self, mut bytes: &[u8], mut on_line: impl FnMut(Line<'_>)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.add(&bytes[..end]);
            self.end(&mut on_line);
            bytes = &bytes[end + 1..];
        }
        self.add(bytes);
    }

    /// The body is over: what has begun is the last line.
    pub fn end(&mut self, mut on_line: impl FnMut(Line<'_>)) {
        self.skipping = false;
        if std::mem::take(&mut self.oversized) {
            on_line(Line::Oversized);
        }
        let line = self.begun.trim_ascii();
        if !line.is_empty() {
            on_line(Line::Whole(line));
        }
        self.begun.clear();
    }

    /// Bytes went by unseen: whatever has begun cannot be whole any more, nor can what follows up to the next end.
    pub fn resync(&mut self) {
        self.begun.clear();
        self.skipping = true;
    }

    fn add(&mut self, bytes: &[u8]) {
        if self.begun.len() + bytes.len() > self.limit {
            self.resync();
            self.oversized = true;
        }
        if !self.skipping {
            self.begun.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines<'a>(limit: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let mut lines = Lines::new(limit);
        let mut seen = Vec::new();
        let mut note = |line: Line<'_>| match line {
            Line::Whole(line) => seen.push(String::from_utf8_lossy(line).into_owned()),
            Line::Oversized => seen.push("(too long)".to_owned()),
        };
        for piece in pieces {
            lines.push(piece, &mut note);
        }
        lines.end(&mut note);
        seen
    }

    #[test]
    fn lines_are_the_same_wherever_they_are_cut() {
        let body = b"one\r\n\n \ntwo\nlast";
        for cut in 0..=body.len() {
            let (head, tail) = body.split_at(cut);
            assert_eq!(lines(99, [head, tail]), ["one", "two", "last"], "{cut}");
        }
    }

    #[test]
    fn a_line_beyond_the_bound_is_skipped_and_the_next_is_read() {
        let body = b"a long line\nok\nanother long one";
        let expected = ["(too long)", "ok", "(too long)"];
        assert_eq!(lines(4, [&body[..]]), expected);
        assert_eq!(lines(4, body.chunks(1)), expected);
    }
}
