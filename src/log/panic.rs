//! What the log says of a panic. Its message may quote a prompt, an answer or a credential: the standard library quotes the text that is
//! cut in the middle of a character, and what an `unwrap` finds. So only messages are shown that cannot.

use std::any::Any;
use std::borrow::Cow;

/// Messages that the standard library makes of numbers alone, by how they begin.
const OF_NUMBERS: [&str; 6] = [
    "index out of bounds: ",
    "range start index ",
    "range end index ",
    "slice index starts at ",
    "copy_from_slice: ",
    "source slice length ",
];

/// Whether a message is of words and numbers, with nothing in quotes.
fn is_plain(message: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || " :()<>=.,'-_".contains(c);
    message.len() < 200 && message.chars().all(is_word)
}

/// The message of a panic by what it carries: whole where it stands so in the source, or is made of numbers alone; else its size.
pub(super) fn told(payload: &(dyn Any + Send)) -> Cow<'static, str> {
    if let Some(constant) = payload.downcast_ref::<&'static str>() {
        return Cow::Borrowed(constant);
    }
    let Some(message) = payload.downcast_ref::<String>() else {
        return Cow::Borrowed("[no text]");
    };
    let of_numbers = OF_NUMBERS.iter().any(|it| message.starts_with(it));
    if of_numbers && is_plain(message) {
        return Cow::Owned(message.clone());
    }
    Cow::Owned(format!(
        "[withheld: {} bytes, which may quote a call]",
        message.len()
    ))
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    const SAID: &str = "anna@example.com says é";

    fn refused(text: &str) -> Result<(), String> {
        Err(text.to_owned())
    }

    /// What is told where this panics.
    fn of<T>(panics: impl FnOnce() -> T) -> String {
        let panics = AssertUnwindSafe(|| _ = black_box(panics()));
        told(&*catch_unwind(panics).unwrap_err()).into_owned()
    }

    #[test]
    fn what_may_quote_a_call_is_withheld() {
        let quoting = [
            of(|| SAID[..SAID.len() - 1].len()),
            of(|| refused(SAID).unwrap()),
            of(|| -> () { panic!("cannot read {SAID}") }),
            of(|| -> () { panic!("index out of bounds: \"{SAID}\"") }),
        ];
        for told in quoting {
            assert!(told.starts_with("[withheld: "), "{told}");
        }
    }

    #[test]
    fn what_stands_in_the_source_and_what_is_made_of_numbers_is_shown() {
        let bytes = Vec::<u8>::from(SAID);
        let at = bytes.len();
        let length = at;
        assert_eq!(
            of(|| bytes[at]),
            format!("index out of bounds: the len is {length} but the index is {length}")
        );
        assert_eq!(of(|| -> () { panic!("an invariant") }), "an invariant");
        let zero = bytes.len() - at;
        assert_eq!(of(|| 1 / zero), "attempt to divide by zero");
    }
}
