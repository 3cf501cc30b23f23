//! The header fields of a response that telemetry has: those of an allow-list, a few short values that share one allocation.
//!
//! The fields themselves lie in what was read from the connection, and would hold it for as long as a stream lasts.

use crate::message::Fields;
use crate::redact::REDACTED;

/// Most fields that are kept of one head.
const FIELDS: usize = 40;

/// Longest value that is kept, in bytes; the rest of it is cut off.
const VALUE_BYTES: usize = 256;

/// The fields with one of these names, a line each, `name: value`. `wanted` is in lower case. Values with other characters
/// than visible ASCII are left out; of the others only as much is kept as is `clear` of credentials.
pub(super) fn lines(
    fields: &Fields,
    wanted: &[&'static str],
    clear: impl Fn(&str) -> usize,
) -> Box<str> {
    let kept = fields.iter().filter_map(|field| {
        let name = wanted.iter().find(|name| field.is(name))?;
        let value = field.text()?;
        let clear = clear(value);
        let hidden = if clear < value.len() { REDACTED } else { "" };
        let value = &value[..clear.min(VALUE_BYTES)];
        Some([name, ": ", value, hidden, "\n"])
    });
    let kept: Vec<[&str; 5]> = kept.take(FIELDS).collect();
    kept.as_flattened().concat().into_boxed_str()
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
        lines(&fields, &["request-id", "retry-after"], clear).into()
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
