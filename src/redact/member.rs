//! Values that are credentials or personal because of the name before them: `"api_key": "…"`, `password = …`,
//! `user_email="…"`.

use std::ops::Range;

use super::names::is_secret;
use super::place::{Place, Rule};

/// A name, what parts it from its value, and the value: in quotes, perhaps escaped, or up to the next thing that ends one.
pub(super) const RULES: &[Rule] = &[
    (
        r#"([A-Za-z][A-Za-z0-9_.-]{1,63})\\*["']?\s{0,4}[:=]\s{0,4}\\*"((?:[^"\\\n]|\\[^"\n])+)\\*""#,
        quoted,
    ),
    (
        r"([A-Za-z][A-Za-z0-9_.-]{1,63})\\*'?\s{0,4}[:=]\s{0,4}'([^'\n]+)'",
        quoted,
    ),
    (
        r#"([A-Za-z][A-Za-z0-9_.-]{1,63})\s{0,4}[:=]\s{0,4}([^\s"'\\,;&(){}\[\]<>]+)"#,
        bare,
    ),
    // As a head says it, with the scheme before the credential. Schemes with names of parameters behind them, such as Digest, are none of these.
    (
        r#"(?i)\b(authorization)\\*["']?\s{0,4}[:=]\s{0,4}(?:basic|bearer|token|api-?key|key|negotiate|ntlm|sharedkey(?:lite)?|sharedaccesssignature|aws|aws4-hmac-sha256|goog4-rsa-sha256|oauth|bot|splunk)\s{1,4}([^\s"'\\,;(){}\[\]<>]+)"#,
        behind_scheme,
    ),
    // As a sentence says it.
    (
        r#"(?i)\b(password|passwort|passphrase|api[ -]?key|secret|token)\s{1,4}(?:is|was|ist|=>)\s{1,4}["'`]?([^\s"'`\\,;()\[\]{}<>]+)"#,
        bare,
    ),
];

/// Shortest bare value that is taken for one, in bytes: what is shorter is a word of a sentence or of a program.
const BARE_BYTES: usize = 6;

/// Shortest value under a name that may mean anything, in bytes.
const RANDOM_BYTES: usize = 16;

/// Shortest credential behind a scheme, in bytes.
const CREDENTIAL_BYTES: usize = 8;

/// Names that speak of a credential only where the value looks like one: programs are full of them.
const VAGUE: [&str; 12] = [
    "key",
    "keys",
    "code",
    "token",
    "sig",
    "sid",
    "auth",
    "session",
    "cookie",
    "bearer",
    "signature",
    "session_id",
];

/// Names whose values are personal whatever they look like.
const PERSONAL: [&str; 8] = [
    "user_email",
    "useremail",
    "email_address",
    "phone_number",
    "phonenumber",
    "ssn",
    "social_security_number",
    "date_of_birth",
];

/// What a name says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// Nothing that matters here.
    Nothing,
    /// It is a credential, or personal.
    Secret,
    /// It is one if it looks like one.
    Perhaps,
}

impl Says {
    pub(super) fn of(name: &str) -> Self {
        let is_one_of = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        if is_one_of(&VAGUE) {
            Self::Perhaps
        } else if is_one_of(&PERSONAL) || is_secret(name) {
            Self::Secret
        } else {
            Self::Nothing
        }
    }

    /// Whether a value under the name is not to be told.
    pub(super) fn hides(self, value: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Secret => !value.trim().is_empty() && !is_mark(value),
            Self::Perhaps => is_random(value),
        }
    }
}

/// Whether a value has been replaced already.
fn is_mark(value: &str) -> bool {
    let inner = value.trim().strip_prefix('[');
    let inner = inner.map(|inner| inner.trim_end_matches(']'));
    inner.is_some_and(|inner| {
        let is_of_mark = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        !inner.is_empty() && inner.chars().all(is_of_mark)
    })
}

/// Whether a value is one word, long, and has both letters and digits.
fn is_random(value: &str) -> bool {
    let has = |is: fn(&char) -> bool| value.chars().any(|c| is(&c));
    value.len() >= RANDOM_BYTES
        && !value.contains(char::is_whitespace)
        && has(char::is_ascii_digit)
        && has(char::is_ascii_alphabetic)
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.+/=~".contains(c))
}

fn quoted(place: &Place<'_>) -> Option<Range<usize>> {
    let (name, value) = (place.groups.get(1)?, place.groups.get(2)?);
    // Backslashes at its end are the escape of the quote.
    let text = value.as_str().trim_end_matches('\\');
    let hides = Says::of(name.as_str()).hides(text);
    hides.then(|| value.start()..value.start() + text.len())
}

fn bare(place: &Place<'_>) -> Option<Range<usize>> {
    let (name, value) = (place.groups.get(1)?, place.groups.get(2)?);
    let text = value.as_str().trim_end_matches(['.', '!', '?', ':']);
    // A word in a sentence or a type in a program has neither digits nor signs.
    let is_value = text.len() >= BARE_BYTES
        && (text.len() >= 2 * RANDOM_BYTES
            || text.contains(|c: char| c.is_ascii_digit() || "!#$%^*+=~@|".contains(c)));
    let hides = is_value && Says::of(name.as_str()).hides(text);
    hides.then(|| value.start()..value.start() + text.len())
}

fn behind_scheme(place: &Place<'_>) -> Option<Range<usize>> {
    let value = place.groups.get(2)?;
    let text = value.as_str().trim_end_matches(['.', '!', '?', ':']);
    let has = |is: fn(&char) -> bool| text.chars().any(|c| is(&c));
    let has_cases = has(char::is_ascii_lowercase) && has(char::is_ascii_uppercase);
    let is_credential = text.len() >= CREDENTIAL_BYTES
        && (has(char::is_ascii_digit) || (has_cases && text.len() >= RANDOM_BYTES))
        && !is_placeholder(text);
    is_credential.then(|| value.start()..value.start() + text.len())
}

/// Whether a value says what belongs in its place: `$NAME`, `%NAME%`, `API_KEY_1`, `your-key-1`.
fn is_placeholder(value: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let is_name = value.contains('_') && value.chars().all(is_of_name);
    let is_yours = value
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("your"));
    value.starts_with(['$', '%']) || is_name || is_yours
}
