//! What an item of a conversation says, in a form that does not depend on who wrote it down: clients write a model's message
//! anew before they send it back.

use crate::exchange::Digest;
use crate::parse::hash::{chain, hash};
use crate::parse::json;

/// Longest arguments that are read; longer ones are hashed as they are written.
const ARGUMENTS_READ: usize = 1 << 20;

/// Fewest characters of a string in arguments that may be the first words of another conversation.
const STRING_CHARS: usize = 8;

/// Most strings of one call that are kept.
const STRINGS_MAX: usize = 16;

/// Most beginnings of a text that are kept.
const BEGINNINGS_MAX: usize = 8;

/// What the ids of calls begin with that can be told from other words: OpenAI's and those of most servers, Anthropic's,
/// Bedrock's, vLLM's.
const CALL_IDS: [&str; 4] = ["call_", "toolu_", "tooluse_", "chatcmpl-tool-"];

/// Fewest bytes of such an id behind that.
const CALL_ID_BYTES: usize = 6;

/// The hash of an id or a name.
pub(super) fn word(word: &str) -> Digest {
    Digest(hash(word.as_bytes()))
}

/// A text without the reasoning that it begins with and the white space around it. Models that have no other place for
/// reasoning put it there, and so do clients that send it back.
pub(super) fn said(text: &str) -> &str {
    let mut said = text.trim();
    while let Some((_, after)) = said
        .strip_prefix("<think>")
        .and_then(|thought| thought.split_once("</think>"))
    {
        said = after.trim_start();
    }
    said
}

/// The hash of what somebody else than the model says, which is [`said`]; `None` where that is nothing.
pub(super) fn words(said: &str) -> Option<Digest> {
    (!said.is_empty()).then(|| word(said))
}

/// The hash of what the model says, which is [`said`]; `None` where that is nothing. It is one of its lines, so that those of
/// its beginnings come by the way.
pub(super) fn text(said: &str) -> Option<Digest> {
    lines(said, |_| {})
}

/// The same, and the hashes of its last beginnings up to the end of a line, without the white space there.
pub(super) fn text_and_beginnings(said: &str) -> (Option<Digest>, Vec<Digest>) {
    let mut beginnings = Vec::new();
    let whole = lines(said, |beginning| {
        if beginnings.len() == BEGINNINGS_MAX {
            beginnings.remove(0);
        }
        beginnings.push(beginning);
    });
    (whole, beginnings)
}

fn lines(said: &str, mut each_beginning: impl FnMut(Digest)) -> Option<Digest> {
    let mut before = 0;
    let mut rest = said;
    while let Some(end) = memchr::memchr(b'\n', rest.as_bytes()) {
        let (line, next) = (&rest[..end], &rest[end + 1..]);
        let so_far = chain(before, hash(line.as_bytes()));
        match line.trim_end() {
            "" => {}
            end if end.len() == line.len() => each_beginning(Digest(so_far)),
            end => each_beginning(Digest(chain(before, hash(end.as_bytes())))),
        }
        (before, rest) = (so_far, next);
    }
    (!said.is_empty()).then(|| Digest(chain(before, hash(rest.as_bytes()))))
}

/// The hash of a call's arguments: of what they say as JSON, nothing being `{}`; else as they are written, trimmed.
pub(super) fn arguments(written: &str) -> Digest {
    let written = match written.trim() {
        "" => "{}",
        written => written,
    };
    let meaning = meaning(written, |_| {});
    Digest(meaning.unwrap_or_else(|| hash(written.as_bytes())))
}

/// The longer strings in a call's arguments, as [`words`].
pub(super) fn long_strings(arguments: &str) -> Vec<Digest> {
    let mut strings = Vec::new();
    let whole = meaning(arguments, |string| {
        let said = said(string);
        if strings.len() < STRINGS_MAX && said.chars().nth(STRING_CHARS - 1).is_some() {
            strings.extend(words(said));
        }
    });
    whole.map_or_else(Vec::new, |_| strings)
}

fn meaning(arguments: &str, each_string: impl FnMut(&str)) -> Option<u64> {
    let readable = arguments.len() <= ARGUMENTS_READ;
    readable.then(|| json::meaning(arguments, each_string))?
}

/// Shows what in a text looks like the id of a call.
pub(super) fn each_call_id<'t>(text: &'t str, mut show: impl FnMut(&'t str)) {
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    // Each beginning ends with one of the two: one search instead of one for each.
    for end in memchr::memchr2_iter(b'_', b'-', text.as_bytes()) {
        let so_far = &text[..=end];
        let mut begins = CALL_IDS.iter();
        let Some(begin) = begins.find(|begin| so_far.ends_with(**begin)) else {
            continue;
        };
        let (before, word) = text.split_at(so_far.len() - begin.len());
        if before.as_bytes().last().is_some_and(is_of_word) {
            continue;
        }
        let length = word.bytes().take_while(|byte| is_of_word(byte)).count();
        if length >= begin.len() + CALL_ID_BYTES {
            show(&word[..length]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Digest> {
        super::text(said(text))
    }

    #[test]
    fn reasoning_at_the_beginning_and_space_around_are_not_said() {
        for text in [
            "a b",
            " a b\n",
            "<think>hm</think>a b",
            "\n<think>\nhm\n</think>\n\na b ",
            "<think>1</think> <think>2</think>a b",
        ] {
            assert_eq!(said(text), "a b");
            assert_eq!(of(text), of("a b"));
        }
        for other in ["a  b", "a\nb", "A b", "a b <think>hm</think>", "<think>a b"] {
            assert_ne!(of(other), of("a b"), "{other}");
        }
        assert_eq!(of(" \n"), None);
        assert_eq!(of("<think>hm</think>"), None);
    }

    #[test]
    fn a_text_begins_with_each_of_its_lines() {
        let (whole, beginnings) = text_and_beginnings("one\n\ntwo  \nthree");
        assert_eq!(whole, of("one\n\ntwo  \nthree"));
        assert_eq!(beginnings, [of("one").unwrap(), of("one\n\ntwo").unwrap()]);
        let long = "x\n".repeat(20) + "y";
        let (_, beginnings) = text_and_beginnings(&long);
        assert_eq!(beginnings.len(), BEGINNINGS_MAX);
        assert_eq!(beginnings.last().copied(), of(&"x\n".repeat(20)));
    }

    #[test]
    fn arguments_are_what_they_say() {
        assert_eq!(arguments(""), arguments(" {} "));
        assert_eq!(
            arguments(r#"{"a":1,"b":"é"}"#),
            arguments(r#" {"b":"\u00e9", "a":1.0}"#)
        );
        assert_eq!(arguments(" print(1)\n"), arguments("print(1)"));
        for other in ["{}", r#"{"a":2}"#, "print(2)", "print( 1)"] {
            assert_ne!(arguments(other), arguments("print(1)"));
        }
    }

    #[test]
    fn long_strings_of_arguments_are_texts() {
        let strings = long_strings(r#"{"a":"short","b":[" Write a\nhaiku. "]}"#);
        assert_eq!(strings, [words("Write a\nhaiku.").unwrap()]);
        let many = format!("[{}\"\"]", "\"long enough\",".repeat(20));
        assert_eq!(long_strings(&many).len(), STRINGS_MAX);
    }

    #[test]
    fn ids_of_calls_are_found_in_texts() {
        let mut found = Vec::new();
        let text = "Call id: call_0123456789\n'toolu_01AbCdEf' (chatcmpl-tool-0a1b2c3d) tool_call_id my-call_0123456 call_it éé";
        each_call_id(text, |id| found.push(id));
        assert_eq!(
            found,
            [
                "call_0123456789",
                "toolu_01AbCdEf",
                "chatcmpl-tool-0a1b2c3d"
            ]
        );
    }
}
