//! A match of a regular expression, and what stands around it.

use std::ops::Range;

use regex::Captures;

/// A regular expression, and what of a match is meant, if anything. What is meant is its first group that took part,
/// else all of it.
pub(super) type Rule = (&'static str, Check);

/// What of a match is meant, if anything.
pub(super) type Check = fn(&Place<'_>) -> Option<Range<usize>>;

/// A match, and the text around it.
pub(super) struct Place<'t> {
    pub(super) text: &'t str,
    /// Of what is meant.
    pub(super) range: Range<usize>,
    pub(super) groups: Captures<'t>,
}

impl Place<'_> {
    pub(super) fn found(&self) -> &str {
        &self.text[self.range.clone()]
    }

    pub(super) fn before(&self) -> Option<char> {
        self.text[..self.range.start].chars().next_back()
    }

    pub(super) fn after(&self) -> Option<char> {
        self.text[self.range.end..].chars().next()
    }

    /// Whether it is no part of a longer word or number.
    pub(super) fn stands_alone(&self) -> bool {
        let in_word = |c: char| c.is_alphanumeric() || c == '_';
        let goes_on = |c: char| in_word(c) || c == '-';
        let mut rest = self.text[self.range.end..].chars();
        // A full stop ends a sentence, unless a digit follows.
        let is_cut = match rest.next() {
            Some('.') => rest.next().is_some_and(|c| c.is_ascii_digit()),
            next => next.is_some_and(goes_on),
        };
        !self.before().is_some_and(|c| goes_on(c) || c == '.') && !is_cut
    }

    pub(super) fn digits(&self) -> impl Iterator<Item = u32> + Clone {
        self.found().chars().filter_map(|c| c.to_digit(10))
    }
}
