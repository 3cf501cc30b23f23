//! Header fields that an observer wants to see, copied.
//!
//! Header values are slices of the connection's read buffer, as frames are, and would hold it for as long as a stream
//! lasts. What is wanted is a few short values, and they share one allocation. Knows no field by name.

use http::HeaderMap;

/// Most fields that are copied of one head.
const FIELDS: usize = 40;

/// Longest value that is copied, in bytes; the rest of it is cut off.
const VALUE_BYTES: usize = 256;

/// The fields with one of these names, a line each, `name: value`; `None` where there is none. `wanted` is sorted and in
/// lower case. Values with other characters than visible ASCII are left out.
pub(super) fn copy(headers: &HeaderMap, wanted: &[&str]) -> Option<Box<str>> {
    let mut found = [("", ""); FIELDS];
    let fields = headers.iter().filter_map(|(name, value)| {
        wanted.binary_search(&name.as_str()).ok()?;
        let value = value.to_str().ok()?;
        Some((name.as_str(), &value[..value.len().min(VALUE_BYTES)]))
    });
    let mut count = 0;
    for (place, field) in found.iter_mut().zip(fields) {
        *place = field;
        count += 1;
    }
    let found = &found[..count];
    if found.is_empty() {
        return None;
    }
    let length = found
        .iter()
        .map(|(name, value)| name.len() + value.len() + 3);
    let mut lines = String::with_capacity(length.sum());
    for (name, value) in found {
        for part in [name, ": ", value, "\n"] {
            lines.push_str(part);
        }
    }
    Some(lines.into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn copied(fields: &[(&'static str, &str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(HeaderName::from_static(name), value);
        }
        copy(&headers, &["request-id", "retry-after"]).map(String::from)
    }

    #[test]
    fn only_what_is_wanted_is_copied_and_each_of_its_values() {
        let head = [
            ("request-id", "a"),
            ("set-cookie", "secret"),
            ("request-id", ""),
            ("retry-after", "1"),
        ];
        let lines = "request-id: a\nrequest-id: \nretry-after: 1\n";
        assert_eq!(copied(&head).as_deref(), Some(lines));
        assert_eq!(copied(&[("date", "today")]), None);
    }

    #[test]
    fn what_is_copied_is_bounded() {
        let long = "x".repeat(1000);
        let lines = copied(&vec![("request-id", &*long); 100]).unwrap();
        assert_eq!(lines.len(), FIELDS * ("request-id: \n".len() + VALUE_BYTES));
        assert_eq!(copied(&[("request-id", "é")]), None);
    }
}
