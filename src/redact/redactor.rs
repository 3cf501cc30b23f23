//! Takes personal data and credentials out of texts, by a policy.

use std::ops::Range;
use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};

use super::detector::{Compiled, Detector};
use super::json;
use super::unescaped::Unescaped;

/// Most texts that lie in one another as JSON in strings, and most times that the escapes of another text are undone. JSON further in is
/// withheld: as it is written nobody knows what it says.
const DEPTH_MAX: u8 = 8;

/// Most times that a text is looked at again after something was found in it.
const PASSES_MAX: usize = 8;

/// Largest regular expression of a user's, in bytes once it is compiled.
const PATTERN_BYTES: usize = 1 << 20;

/// Most regular expressions of a user's: each takes its time for each text.
pub const PATTERNS_MAX: usize = 64;

/// What is taken out of texts.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The built-in detectors that are on. Default all.
    pub detectors: Vec<Detector>,
    /// The user's own.
    pub patterns: Vec<Pattern>,
    /// Longest text that is looked through, in bytes. A longer one is withheld. Default 1 MiB.
    pub max_bytes: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            detectors: Detector::ALL.to_vec(),
            patterns: Vec::new(),
            max_bytes: 1 << 20,
        }
    }
}

/// A regular expression of a user's, with its name: what it finds is replaced by the name in brackets.
#[derive(Debug, Clone)]
pub struct Pattern {
    name: String,
    mark: String,
    regex: Regex,
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// It is no regular expression, or too large a one.
    #[error("expected a regular expression (without look-around and back-references): {0}")]
    Syntax(String),
    /// It finds something in front of every character.
    #[error("expected a regular expression that does not match the empty text")]
    MatchesNothing,
    /// Its name cannot stand in a mark.
    #[error("expected a name of capital letters, digits and underscores, such as EMPLOYEE_ID")]
    Name,
}

impl Pattern {
    /// Checks and compiles one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(name: &str, pattern: &str) -> Result<Self, BadPattern> {
        let is_of_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || !name.chars().all(is_of_name) {
            return Err(BadPattern::Name);
        }
        let compiled = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build();
        let regex = compiled.map_err(|error| {
            let said = error.to_string();
            let last = said.lines().last().unwrap_or_default();
            BadPattern::Syntax(last.trim_start_matches("error: ").to_owned())
        })?;
        if regex.is_match("") {
            return Err(BadPattern::MatchesNothing);
        }
        Ok(Self {
            name: name.to_owned(),
            mark: format!("[{name}]"),
            regex,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The regular expression as it was given.
    #[must_use]
    pub fn pattern(&self) -> &str {
        self.regex.as_str()
    }
}

/// Takes out of texts what a policy says. Regular expressions are compiled when the first text comes.
#[derive(Debug)]
pub struct Redactor {
    policy: Policy,
    engine: OnceLock<Engine>,
}

/// Something that was found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'p> {
    /// Where, in bytes.
    pub range: Range<usize>,
    /// The detector's name, or that of the user's pattern.
    pub name: &'p str,
    /// What stands in its place.
    pub mark: &'p str,
}

impl Redactor {
    /// One that takes out what the policy says.
    #[must_use]
    pub const fn new(policy: Policy) -> Self {
        Self {
            policy,
            engine: OnceLock::new(),
        }
    }

    /// The text without what is found in it; `None` where it stays as it is. One that is too long is withheld, and says so.
    #[must_use]
    pub fn redact(&self, text: &str) -> Option<String> {
        if self.is_off() {
            return None;
        }
        if text.len() > self.policy.max_bytes {
            return Some(withheld(text));
        }
        self.engine().redact_within(text, 0)
    }

    /// The same for a text that is an address or a name of a program by nature, such as a path or a user agent: an IP
    /// address or a version in one stays.
    #[must_use]
    pub fn redact_name(&self, text: &str) -> Option<String> {
        if self.is_off() {
            return None;
        }
        let find = |text: &str| self.engine().find(text);
        let found = apart(every_way(text, Unescaped::of_url, find));
        let found = found
            .into_iter()
            .filter(|one| one.name != Detector::Ip.name());
        replaced(text, found)
    }

    /// What is found in a text that is looked at as it is written, in order, none within another.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Found<'_>> {
        self.engine().find(text)
    }

    /// How often each mark stands in the text of [`redact`](Self::redact), for people.
    #[must_use]
    pub fn marks<'m>(&'m self, redacted: &str) -> Vec<(&'m str, usize)> {
        let detectors = self.policy.detectors.iter().map(|detector| detector.mark());
        let patterns = self.policy.patterns.iter().map(|pattern| &*pattern.mark);
        let counts = patterns
            .chain(detectors)
            .map(|mark| (mark, redacted.matches(mark).count()));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Whether nothing is looked for.
    const fn is_off(&self) -> bool {
        self.policy.detectors.is_empty() && self.policy.patterns.is_empty()
    }

    fn engine(&self) -> &Engine {
        self.engine.get_or_init(|| Engine::new(&self.policy))
    }
}

/// A policy, compiled.
#[derive(Debug)]
pub(super) struct Engine {
    detectors: Vec<&'static Compiled>,
    patterns: Vec<Pattern>,
}

impl Engine {
    fn new(policy: &Policy) -> Self {
        let on = |detector: &Detector| policy.detectors.contains(detector);
        let detectors = Detector::ALL.into_iter().filter(on);
        Self {
            detectors: detectors.map(Compiled::of).collect(),
            patterns: policy.patterns.clone(),
        }
    }

    /// The text without what is found; `depth` is in how many others it lies.
    pub(super) fn redact_within(&self, text: &str, depth: u8) -> Option<String> {
        if json::is_json(text) {
            if depth == DEPTH_MAX {
                return Some(withheld(text));
            }
            let by_name = self
                .detectors
                .iter()
                .any(|one| one.detector() == Detector::Member);
            return json::redact(text, by_name, &|inner| self.redact_within(inner, depth + 1));
        }
        let mut redacted = replaced(text, self.find(text).into_iter());
        // What stood against something that is gone may be seen only now.
        for _ in 0..PASSES_MAX {
            let Some(text) = &redacted else { break };
            match replaced(text, self.detect(text).into_iter()) {
                Some(again) => redacted = Some(again),
                None => break,
            }
        }
        redacted
    }

    fn find(&self, text: &str) -> Vec<Found<'_>> {
        let find = |text: &str| self.match_patterns(text);
        let mut all = every_way(text, Unescaped::of, find);
        all.extend(self.detect(text));
        apart(all)
    }

    fn match_patterns(&self, text: &str) -> Vec<Found<'_>> {
        let mut all = Vec::new();
        for pattern in &self.patterns {
            let matches = pattern.regex.find_iter(text);
            all.extend(matches.map(|found| Found {
                range: found.range(),
                name: &pattern.name,
                mark: &pattern.mark,
            }));
        }
        all
    }

    /// What the built-in detectors find.
    fn detect(&self, text: &str) -> Vec<Found<'_>> {
        let find = |text: &str| self.detect_as_it_is(text);
        apart(every_way(text, Unescaped::of, find))
    }

    fn detect_as_it_is(&self, text: &str) -> Vec<Found<'_>> {
        let mut all = Vec::new();
        let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
        for compiled in &self.detectors {
            let detector = compiled.detector();
            compiled.each(text, has_digit, |range| {
                all.push(Found {
                    range,
                    name: detector.name(),
                    mark: detector.mark(),
                });
            });
        }
        all
    }
}

/// What stands in place of a text that is not looked through.
fn withheld(text: &str) -> String {
    format!("[withheld: {} bytes]", text.len())
}

/// What is found in a text as it is written, and, where it has escapes, as it reads; and so on where that has some.
fn every_way<'p>(
    text: &str,
    unescape: fn(&str) -> Option<Unescaped>,
    find: impl Fn(&str) -> Vec<Found<'p>>,
) -> Vec<Found<'p>> {
    let mut all = find(text);
    let mut last: Option<Unescaped> = None;
    for _ in 0..DEPTH_MAX {
        let written = last.as_ref().map_or(text, |last| &last.text);
        let Some(plain) = unescape(written).filter(|plain| plain.text != written) else {
            break;
        };
        let plain = match &last {
            Some(last) => plain.through(last),
            None => plain,
        };
        let found = find(&plain.text).into_iter().map(|one| Found {
            range: plain.place(&one.range),
            ..one
        });
        let found: Vec<_> = found.collect();
        leave_escapes(&mut all, &found, &plain);
        all.extend(found);
        last = Some(plain);
    }
    all
}

/// Of what was found in a text as it is written, the letter of an escape before it may be none of it: in `\nanna@example.com` the
/// address begins behind the line end, as what was found in the text as it reads says.
fn leave_escapes(written: &mut [Found<'_>], read: &[Found<'_>], plain: &Unescaped) {
    for one in written {
        let is_same = |other: &&Found<'_>| {
            other.name == one.name
                && other.range.end == one.range.end
                && plain.is_escape_up_to(one.range.start, other.range.start)
        };
        if let Some(other) = read.iter().find(is_same) {
            one.range.start = other.range.start;
        }
    }
}

/// Of those that overlap one: all of what they cover, by the name of the first of the detectors.
fn apart(all: Vec<Found<'_>>) -> Vec<Found<'_>> {
    let mut ranked: Vec<(usize, Found<'_>)> = all.into_iter().enumerate().collect();
    ranked.sort_by_key(|(rank, found)| (found.range.start, *rank));
    let mut apart: Vec<(usize, Found<'_>)> = Vec::new();
    for (rank, found) in ranked
        .into_iter()
        .filter(|(_, found)| !found.range.is_empty())
    {
        match apart.last_mut() {
            Some((known_rank, known)) if found.range.start < known.range.end => {
                known.range.end = known.range.end.max(found.range.end);
                if rank < *known_rank {
                    (*known_rank, known.name, known.mark) = (rank, found.name, found.mark);
                }
            }
            _ => apart.push((rank, found)),
        }
    }
    apart.into_iter().map(|(_, found)| found).collect()
}

/// A text with what was found replaced; `None` where nothing was.
fn replaced<'p>(text: &str, found: impl Iterator<Item = Found<'p>>) -> Option<String> {
    let (mut out, mut kept) = (String::new(), None);
    for one in found {
        out.push_str(&text[kept.unwrap_or(0)..one.range.start]);
        out.push_str(one.mark);
        kept = Some(one.range.end);
    }
    let kept = kept?;
    out.push_str(&text[kept..]);
    Some(out)
}

#[cfg(test)]
mod tests;
