//! What personal data and credentials look like in a text: a regular expression each, and a check of what it finds.
//!
//! The engine knows no backtracking, so a text takes time in proportion to its length, whatever is in it. What a
//! regular expression cannot tell (a checksum, what stands around a number) is checked behind it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::OnceLock;

use regex::Regex;

use super::place::{Check, Place, Rule};
use super::{looks, member};

/// A kind of data that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Detector {
    /// A key or a certificate in PEM.
    Pem,
    /// A JSON web token.
    Jwt,
    /// A key of a cloud or an API, by its prefix, after `Bearer` or `Basic`, or as the password in a URL.
    Key,
    /// The value of a member or an assignment whose name speaks of a credential: `"api_key": "…"`, `user_email="…"`.
    Member,
    /// An e-mail address.
    Email,
    /// An international bank account number with a right checksum.
    Iban,
    /// The number of a payment card with a right check digit (Luhn).
    Card,
    /// A social security number of the USA.
    Ssn,
    /// A telephone number, international or in a common national form.
    Phone,
    /// An IPv4 or IPv6 address that is no loopback address.
    Ip,
}

impl Detector {
    /// All of them. Of two that find the same place the earlier one names it.
    pub const ALL: [Self; 10] = [
        Self::Pem,
        Self::Jwt,
        Self::Key,
        Self::Member,
        Self::Email,
        Self::Iban,
        Self::Card,
        Self::Ssn,
        Self::Phone,
        Self::Ip,
    ];

    /// Its name in the settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pem => "pem",
            Self::Jwt => "jwt",
            Self::Key => "key",
            Self::Member => "member",
            Self::Email => "email",
            Self::Iban => "iban",
            Self::Card => "card",
            Self::Ssn => "ssn",
            Self::Phone => "phone",
            Self::Ip => "ip",
        }
    }

    /// What stands in place of what it finds.
    #[must_use]
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Pem => "[PEM]",
            Self::Jwt => "[JWT]",
            Self::Key => "[KEY]",
            Self::Member => "[SECRET]",
            Self::Email => "[EMAIL]",
            Self::Iban => "[IBAN]",
            Self::Card => "[CARD]",
            Self::Ssn => "[SSN]",
            Self::Phone => "[PHONE]",
            Self::Ip => "[IP]",
        }
    }

    /// The regular expressions, each with the check of what it finds.
    const fn rules(self) -> &'static [Rule] {
        match self {
            Self::Pem => PEM,
            Self::Jwt => JWT,
            Self::Key => KEY,
            Self::Member => member::RULES,
            Self::Email => EMAIL,
            Self::Iban => IBAN,
            Self::Card => CARD,
            Self::Ssn => SSN,
            Self::Phone => PHONE,
            Self::Ip => IP,
        }
    }

    /// Whether a text may have one at all, told without a regular expression.
    fn may_be_in(self, text: &str, has_digit: bool) -> bool {
        match self {
            Self::Pem => text.contains("-----BEGIN"),
            Self::Jwt => text.contains("eyJ"),
            Self::Key => true,
            Self::Member => {
                let said = [" is ", " was ", " ist "];
                text.contains([':', '=']) || said.iter().any(|word| text.contains(word))
            }
            Self::Email => text.contains('@') || text.contains("%40"),
            Self::Ip => has_digit && text.contains(['.', ':']),
            Self::Iban | Self::Card | Self::Ssn | Self::Phone => has_digit,
        }
    }
}

fn all(place: &Place<'_>) -> Option<Range<usize>> {
    Some(place.range.clone())
}

// None reaches beyond two dashes in its body: of many that begin and do not end each would be looked for to the end of the text.
const PEM: &[Rule] = &[(
    r"-----BEGIN [A-Z0-9 ]+-----(?:[^-]|-[^-])*-----END [A-Z0-9 ]+-----|-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[A-Za-z0-9+/=\s\\]*",
    all,
)];

const JWT: &[Rule] = &[(
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",
    all,
)];

/// Passwords in URLs, and webhooks that are credentials by themselves. Keys by their looks are `looks`' to find.
const KEY: &[Rule] = &[
    (r"://[^\s/:@?#]*:([^\s/@?#]+)@", all),
    (
        r"https://hooks\.slack\.com/services/([A-Za-z0-9/]{20,})",
        all,
    ),
];

const EMAIL: &[Rule] = &[(
    r"[\p{L}\p{N}._%+-]+(?:@|%40)(?:[\p{L}\p{N}-]+\.)+\p{L}{2,24}",
    |place| {
        // Where code is fetched from.
        let is_remote = place.found().starts_with("git@") && place.after() == Some(':');
        let start = place.found().len() - place.found().trim_start_matches(['.', '%', '-']).len();
        (!is_remote).then(|| place.range.start + start..place.range.end)
    },
)];

const IBAN: &[Rule] = &[(
    r"(?i)[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,4})?",
    |place| {
        let in_word = |c: char| c.is_alphanumeric();
        if place.before().is_some_and(in_word) {
            return None;
        }
        // A word behind it may look like one more group.
        let found = place.found();
        let ends = found.char_indices().map(|(at, _)| at).chain([found.len()]);
        let mut ends = ends.rev().take_while(|end| *end >= 15);
        let end = ends.find(|end| {
            let (iban, rest) = found.split_at(*end);
            let goes_on = rest.chars().next().or(place.after()).is_some_and(in_word);
            !goes_on && is_iban(iban)
        })?;
        Some(place.range.start..place.range.start + end)
    },
)];

/// ISO 13616: the country and the check digits moved to the end, letters as numbers, the remainder by 97 is 1.
fn is_iban(iban: &str) -> bool {
    let compact: Vec<u8> = iban.bytes().filter(u8::is_ascii_alphanumeric).collect();
    if !(15..=34).contains(&compact.len()) || !iban.ends_with(|c: char| c.is_ascii_alphanumeric()) {
        return false;
    }
    let moved = compact[4..].iter().chain(&compact[..4]);
    let remainder = moved.fold(0_u32, |remainder, byte| {
        let digit = char::from(*byte).to_digit(36).unwrap_or_default();
        let shift = if digit < 10 { 10 } else { 100 };
        (remainder * shift + digit) % 97
    });
    remainder == 1
}

const CARD: &[Rule] = &[(r"[0-9](?:[ -]?[0-9]){12,18}", |place| {
    let first = place.digits().next().unwrap_or_default();
    let is_issued = (2..=6).contains(&first);
    let is_card = is_issued && place.stands_alone() && has_check_digit(place.digits());
    is_card.then(|| place.range.clone())
})];

/// ISO/IEC 7812: every second digit from the right doubled, digits summed, a multiple of ten.
fn has_check_digit(digits: impl Iterator<Item = u32>) -> bool {
    let digits: Vec<u32> = digits.collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match (at % 2, digit * 2) {
            (0, _) => *digit,
            (_, doubled) => doubled / 10 + doubled % 10,
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != digits[0])
}

const SSN: &[Rule] = &[
    (r"[0-9]{3}-[0-9]{2}-[0-9]{4}", ssn),
    (
        r"(?i)\b(?:ssn|social security)(?:\W|no|number|is){0,12}([0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{4})",
        ssn,
    ),
];

/// Those that were never given to anybody are none.
fn ssn(place: &Place<'_>) -> Option<Range<usize>> {
    let digits: Vec<u32> = place.digits().collect();
    let number = |range: Range<usize>| digits[range].iter().fold(0, |sum, digit| sum * 10 + digit);
    let (area, group, serial) = (number(0..3), number(3..5), number(5..9));
    let is_given = area != 0 && area != 666 && area < 900 && group != 0 && serial != 0;
    (is_given && place.stands_alone()).then(|| place.range.clone())
}

const PHONE: &[Rule] = &[
    // International: +49 171 1234567, +1 (555) 123-4567, 0044 20 7946 0958.
    (
        r"(?:\+|00)[1-9][0-9]{0,2}(?:[ ./()-]{0,3}[0-9]){6,13}",
        |place| {
            let found = place.found();
            let is_parted = found.contains([' ', '-', '.', '/', '(']);
            let count = place.digits().count();
            // Digits before it make it a group of a longer number.
            let before = place.text[..place.range.start]
                .trim_end()
                .chars()
                .next_back();
            let is_group = before.is_some_and(|c| c.is_ascii_digit());
            let is_marked = found.starts_with('+') || (is_parted && !is_group);
            let fits = (8..=17).contains(&count) && is_marked;
            (fits && place.stands_alone()).then(|| place.range.clone())
        },
    ),
    // North America: (555) 123-4567, 555-123-4567, 555.123.4567.
    (r"\([2-9][0-9]{2}\) ?[0-9]{3}[ .-][0-9]{4}", alone),
    (r"[2-9][0-9]{2}-[0-9]{3}-[0-9]{4}", alone),
    (r"[2-9][0-9]{2}\.[0-9]{3}\.[0-9]{4}", alone),
    // France and its neighbours: 06 12 34 56 78.
    (r"0[1-9](?:[ .-][0-9]{2}){4}", alone),
    // Other countries, by the 0 before the area: 0171 1234567, (030) 123456, 020 7946 0958.
    (
        r"\(?0[1-9][0-9]{1,4}\)?[ /-][0-9]{3,8}(?:[ -][0-9]{2,5})?",
        |place| {
            let count = place.digits().count();
            ((9..=12).contains(&count) && place.stands_alone()).then(|| place.range.clone())
        },
    ),
    // As somebody says that it is one.
    (
        r"(?i)\b(?:tel|telephone|telefon|phone|mobile|cell|fax|whatsapp)\w{0,8}(?:\s+(?:number|no|is|me|us|at|on))*[\s.:#=]{1,3}(\(?[0-9][0-9 ()./-]{5,18}[0-9])",
        |place| {
            let count = place.digits().count();
            ((7..=15).contains(&count) && place.stands_alone()).then(|| place.range.clone())
        },
    ),
];

fn alone(place: &Place<'_>) -> Option<Range<usize>> {
    place.stands_alone().then(|| place.range.clone())
}

const IP: &[Rule] = &[
    (r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}", |place| {
        let address: Ipv4Addr = place.found().parse().ok()?;
        let is_somebody = !address.is_loopback()
            && !address.is_unspecified()
            && !address.is_broadcast()
            && !says_version(&place.text[..place.range.start]);
        (is_somebody && place.stands_alone()).then(|| place.range.clone())
    }),
    (
        r"(?i)(?:[0-9a-f]{1,4}|:):(?:[0-9a-f]{0,4}:){0,6}(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9a-f]{0,4})",
        |place| {
            let address: Ipv6Addr = place.found().parse().ok()?;
            let has_digit = place.found().contains(|c: char| c.is_ascii_digit());
            let is_somebody = !address.is_loopback() && !address.is_unspecified() && has_digit;
            let goes_on = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == ':');
            (is_somebody && !goes_on(place.before()) && !goes_on(place.after()))
                .then(|| place.range.clone())
        },
    ),
];

/// Whether the text before a number in four parts says that it is a version.
fn says_version(before: &str) -> bool {
    let before = before.trim_end_matches([' ', ':', '=', '/']);
    let is_word = |word: &str| {
        let end = before.len().checked_sub(word.len());
        end.and_then(|end| before.get(end..))
            .is_some_and(|end| end.eq_ignore_ascii_case(word))
    };
    is_word("version") || is_word("release") || is_word("chrome")
}

/// Most times that is looked within a match for others. Names before a credential are few.
const INSIDE_MAX: usize = 16;

/// The regular expressions of one detector, ready for use.
#[derive(Debug)]
pub(super) struct Compiled {
    detector: Detector,
    rules: Vec<(Regex, Check)>,
}

impl Compiled {
    /// Of a detector. Compiled when it is first asked for, once for the process.
    pub(super) fn of(detector: Detector) -> &'static Self {
        static ALL: [OnceLock<Compiled>; Detector::ALL.len()] =
            [const { OnceLock::new() }; Detector::ALL.len()];
        ALL[detector as usize].get_or_init(|| Self::new(detector))
    }

    fn new(detector: Detector) -> Self {
        let compile = |(pattern, check): &Rule| {
            let compiled = Regex::new(pattern);
            (
                compiled.expect("a test compiles every pattern of this file"),
                *check,
            )
        };
        Self {
            detector,
            rules: detector.rules().iter().map(compile).collect(),
        }
    }

    pub(super) const fn detector(&self) -> Detector {
        self.detector
    }

    /// Shows where in a text it finds something.
    pub(super) fn each(&self, text: &str, has_digit: bool, mut show: impl FnMut(Range<usize>)) {
        if !self.detector.may_be_in(text, has_digit) {
            return;
        }
        if self.detector == Detector::Key {
            looks::each(text, |range| {
                // Words of a language may begin as keys do.
                let word = &text[range.clone()];
                if word.contains(|c: char| c.is_ascii_digit() || c == '*') {
                    show(range);
                }
            });
        }
        for (regex, check) in &self.rules {
            each_match(text, regex, *check, &mut show);
        }
    }
}

/// Shows what a rule finds. What looks like the value of a name that says nothing may be a name with a value of its own
/// (`Error: password=…`): it is looked for there again, but no more often than `INSIDE_MAX` times, for the time that it takes.
fn each_match(text: &str, regex: &Regex, check: Check, show: &mut impl FnMut(Range<usize>)) {
    let (mut at, mut outer_end, mut inside) = (0, 0, 0);
    while let Some(groups) = regex.captures_at(text, at) {
        let whole = groups.get(0).map_or(0..0, |whole| whole.range());
        let value = groups.get(2).map(|value| value.start());
        let meant = groups.iter().skip(1).flatten().next();
        let place = Place {
            text,
            range: meant.map_or(whole.clone(), |group| group.range()),
            groups,
        };
        if whole.start >= outer_end {
            (outer_end, inside) = (whole.end, 0);
        }
        let found = check(&place);
        at = match value.filter(|_| found.is_none() && inside < INSIDE_MAX) {
            Some(value) => {
                inside += 1;
                value
            }
            None => whole.end,
        };
        if let Some(range) = found {
            show(range);
        }
    }
}
