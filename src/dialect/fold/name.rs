//! Names, types and ids as they are shown. They are short, so one that is not is cut: nobody calls anything so.

/// Longest name that is shown whole, in bytes; more of a longer one is not.
const NAME_BYTES: usize = 256;

/// A name to be shown, with a mark where that is not all of it.
pub(in crate::dialect) fn name(text: &str) -> String {
    if text.len() <= NAME_BYTES {
        return text.to_owned();
    }
    let mut ends = (0..=NAME_BYTES).rev();
    let end = ends.find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}[cut: {end} of {} bytes]", &text[..end], text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_where_it_is_too_long_and_between_characters() {
        assert_eq!(name(&"n".repeat(256)), "n".repeat(256));
        let long = format!("{}é", "n".repeat(255));
        assert_eq!(name(&long), "n".repeat(255) + "[cut: 255 of 257 bytes]");
    }
}
