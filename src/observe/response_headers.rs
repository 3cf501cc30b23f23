//! The header fields of a response that telemetry has: those of an allow-list, a few short values that share one allocation.
//!
//! The fields themselves lie in what was read from the connection, and would hold it for as long as a stream lasts.

use crate::message::{Fields, Names};
use crate::redact::REDACTED;

/// Most fields that are kept of one head.
const FIELDS: usize = 40;

/// Longest value that is kept, in bytes; the rest of it is cut off.
const VALUE_BYTES: usize = 256;

/// Room made at once for what is kept of a head, in bytes.
const USUAL_BYTES: usize = 128;

/// Names of fields, in lower case.
pub(super) struct Wanted {
    list: &'static [&'static str],
    /// Tells most fields from all of them.
    names: Names,
}

impl Wanted {
    pub(super) const fn of(list: &'static [&'static str]) -> Self {
        Self {
            list,
            names: Names::of(list),
        }
    }
}

/// The fields with one of these names, a line each, `name: value`. Values with other characters than visible ASCII are left
/// out; of the others only as much is kept as is `clear` of credentials.
pub(super) fn lines(fields: &Fields, wanted: &Wanted, clear: impl Fn(&str) -> usize) -> String {
    let mut lines = String::new();
    let kept = fields.iter().filter_map(|field| {
        if !field.may_be_of(wanted.names) {
            return None;
        }
        let name = wanted.list.iter().find(|name| field.is(name))?;
        Some((*name, field.text()?))
    });
    for (name, value) in kept.take(FIELDS) {
        if lines.capacity() == 0 {
            lines.reserve(USUAL_BYTES);
        }
        let clear = clear(value);
        let hidden = if clear < value.len() { REDACTED } else { "" };
        let value = &value[..clear.min(VALUE_BYTES)];
        for part in [name, ": ", value, hidden, "\n"] {
            lines.push_str(part);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever begins with a dollar sign is taken for a credential.
    fn clear(value: &str) -> usize {
        value.find('$').unwrap_or(value.len())
    }

    fn kept(fields: &[(&str, &str)]) -> String {
        let fields: Fields = fields.iter().copied().collect();
        const WANTED: Wanted = Wanted::of(&["request-id", "retry-after"]);
        lines(&fields, &WANTED, clear)
    }

    #[test]
    fn only_what_is_wanted_is_kept_and_each_of_its_values() {
        let head = [
            ("Request-Id", "a"),
            ("set-cookie", "secret"),
            ("request-id", ""),
            ("retry-after", "1"),
        ];
        assert_eq!(kept(&head), "request-id: a\nrequest-id: \nretry-after: 1\n");
        assert_eq!(kept(&[("date", "today")]), "");
    }

    #[test]
    fn nothing_is_kept_from_a_credential_on() {
        assert_eq!(
            kept(&[("request-id", "a-$b-c")]),
            "request-id: a-REDACTED\n"
        );
        let long = format!("{}$b", "x".repeat(VALUE_BYTES - 1));
        let shown = format!("request-id: {}REDACTED\n", &long[..VALUE_BYTES - 1]);
        assert_eq!(kept(&[("request-id", &long)]), shown);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let long = "x".repeat(1000);
        let lines = kept(&vec![("request-id", &*long); 100]);
        assert_eq!(lines.len(), FIELDS * ("request-id: \n".len() + VALUE_BYTES));
        assert_eq!(kept(&[("request-id", "é")]), "");
    }
}
