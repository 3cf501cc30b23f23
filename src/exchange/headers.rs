//! What is kept of a response's header fields.

/// Some header fields of a response, names in lower case. Which ones are kept is an allow-list's word, and a credential is
/// never among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// A line each, `name: value`.
    lines: Box<str>,
}

impl Headers {
    /// Takes lines of the form `name: value`.
    #[must_use]
    pub const fn from_lines(lines: Box<str>) -> Self {
        Self { lines }
    }

    /// Names and values as they came, a name that came twice twice.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        // No name has a colon. Searching for the two characters together cost 1,000 instructions of a request.
        let parts = self.lines.lines().filter_map(|line| line.split_once(':'));
        parts.filter_map(|(name, value)| Some((name, value.strip_prefix(' ')?)))
    }

    /// The first value of that name.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.iter()
            .find_map(|(known, value)| (known == name).then_some(value))
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
