//! What is kept of a response's header fields.

use memchr::memchr;

/// Some header fields of a response, names in lower case. Which ones are kept is an allow-list's word, and a credential is
/// never among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// A line each, `name: value`.
    lines: String,
}

impl Headers {
    /// Takes lines of the form `name: value`.
    #[must_use]
    pub const fn from_lines(lines: String) -> Self {
        Self { lines }
    }

    /// Bytes of all lines.
    pub(super) const fn bytes(&self) -> usize {
        self.lines.len()
    }

    /// Names and values as they came, a name that came twice twice.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines().filter_map(|line| {
            let (name, value) = line.split_at(memchr(b':', line.as_bytes())?);
            Some((name, value.strip_prefix(": ")?))
        })
    }

    /// The first value of that name.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        let mut lines = self.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Replaces values.
    pub fn replace_values(&mut self, by: &dyn Fn(&str) -> Option<String>) {
        let replaced: Vec<_> = self.iter().map(|(_, value)| by(value)).collect();
        if replaced.iter().all(Option::is_none) {
            return;
        }
        let lines = self.iter().zip(replaced).map(|((name, value), other)| {
            let value = other.unwrap_or_else(|| value.to_owned());
            // A value is a line, whatever stands in its place.
            [name, ": ", &value.replace('\n', " ")].concat()
        });
        self.lines = lines.collect::<Vec<_>>().join("\n");
    }

    /// Each line. The standard library's search for its end and for what parts it cost 2,000 instructions of a request.
    fn lines(&self) -> impl Iterator<Item = &str> {
        let mut rest = &*self.lines;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let end = memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            Some(line)
        })
    }
}

/// How much of one of the upstream's limits was left, as a response said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// What is limited.
    pub limited: Limited,
    /// How much was left; zero where the next request has to wait.
    pub remaining: u64,
}

/// What a rate limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// Requests.
    Requests,
    /// Tokens in and out.
    Tokens,
    /// Tokens in.
    InputTokens,
    /// Tokens out.
    OutputTokens,
}
