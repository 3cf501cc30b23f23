//! How Prometheus spells names.

/// A key as Prometheus has it: a name of letters, digits, underscores and `also`, that begins with no digit and has no two underscores in a row.
#[must_use]
pub fn prometheus_name(key: &str, also: char) -> String {
    let mut name = String::with_capacity(key.len() + 1);
    for letter in key.chars() {
        match letter {
            letter if letter.is_ascii_alphanumeric() || letter == also && also != '_' => {
                if name.is_empty() && letter.is_ascii_digit() {
                    name.push('_');
                }
                name.push(letter);
            }
            _ if name.ends_with('_') => {}
            _ => name.push('_'),
        }
    }
    name
}
