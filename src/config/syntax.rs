//! What is no TOML, in usual words: which line, what was found there and what would be right, with the library's words as the cause.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

use toml::de::{DeTable, Error};

use super::problem::{Invalid, Place, Problem};
use crate::prices::OwnProblem;
use crate::redact;

/// Longest line that is shown whole, in characters.
const SHOWN: usize = 100;

/// What the library says first, and what would be right in usual words. The first that fits holds.
const USUAL: [(&str, &str); 30] = [
    (
        "invalid basic string, expected `\"`",
        "a quotation mark \" at the end of the text",
    ),
    (
        "invalid literal string, expected `'`",
        "a quotation mark ' at the end of the text",
    ),
    (
        "invalid multi-line basic string",
        "\"\"\" at the end of the text",
    ),
    (
        "invalid multi-line literal string",
        "''' at the end of the text",
    ),
    (
        "invalid basic string",
        "a text of visible characters, others written as \\u0000",
    ),
    (
        "missing escaped value",
        "\\\\ for a backslash in a text, or the text in quotation marks such as 'C:\\path'",
    ),
    (
        "too few unicode value digits",
        "the number of a character behind \\u, as in \\u00e9",
    ),
    (
        "unclosed array table",
        "]] at the end of the table's name, as in [[upstream]]",
    ),
    (
        "unclosed table",
        "] at the end of the table's name, as in [limits]",
    ),
    (
        "missing table open",
        "[ before the table's name, as in [limits]",
    ),
    ("unclosed array", "] at the end of the list"),
    (
        "extra comma in array",
        "one comma between two elements of a list",
    ),
    (
        "missing comma between array elements",
        "a comma between two elements of a list, and ] at its end",
    ),
    (
        "unexpected `=` in array",
        "] at the end of the list, before the next key",
    ),
    ("unclosed inline table", "} at the end of the table"),
    (
        "extra comma in inline table",
        "one comma between two keys of a table",
    ),
    (
        "missing comma between key-value pairs",
        "a comma between two keys of a table, and } at its end",
    ),
    (
        "missing assignment between key-value pairs",
        "KEY = VALUE within { and }",
    ),
    (
        "extra assignment between key-value pairs",
        "KEY = VALUE within { and }",
    ),
    (
        "missing key for inline table element",
        "KEY = VALUE within { and }",
    ),
    ("missing value", "a value behind ="),
    (
        "string values must be quoted",
        "a value: a text in quotation marks, a number, true or false, or a list",
    ),
    ("key with no value", "KEY = VALUE, with = between the two"),
    ("extra `=`", "one = between a key and its value"),
    (
        "unquoted keys cannot be empty",
        "the name of a key before =",
    ),
    (
        "invalid key-value pair",
        "KEY = VALUE, or the name of a table as in [limits]",
    ),
    (
        "unexpected key or value",
        "one KEY = VALUE on a line, and a text in one pair of quotation marks",
    ),
    (
        "unexpected leading zero",
        "a number without zeros before it",
    ),
    (
        "`_` may only go between digits",
        "a number, with _ only between its digits",
    ),
    ("duplicate key", "each key and each table only once"),
];

/// What is right in any place.
const ANYWHERE: &str =
    "KEY = VALUE on each line, texts in quotation marks, and names of tables as in [limits]";

/// Everything that is no TOML in a file. Not as the library displays it: it quotes lines that may hold a secret.
pub(super) fn problems(path: &Path, text: &str, errors: &[Error]) -> Vec<Problem> {
    let found = errors.iter().map(|error| {
        let at = error.span().map_or(text.len(), |span| span.start);
        problem(path, text, at, error.message())
    });
    // Further ones of a line mostly follow from the first.
    let mut lines = BTreeSet::new();
    let first = found.filter(|problem| match &problem.place {
        Place::Point(_, line, _) => lines.insert(*line),
        _ => true,
    });
    first.collect()
}

/// What is wrong with a file of prices: what is no TOML in it, else what its reader says.
#[must_use]
pub fn of_prices(path: &Path, text: &str, problem: &OwnProblem) -> String {
    let (_, errors) = DeTable::parse_recoverable(text);
    let problems = problems(path, text, &errors);
    if problems.is_empty() {
        return format!("{}: {problem}", path.display());
    }
    Invalid(problems).to_string()
}

/// What is wrong at this byte of a file, in the words of the library.
fn problem(path: &Path, text: &str, at: usize, cause: &str) -> Problem {
    let cause = cause.replace('\n', "newline");
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let number = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
    let column = 1 + before[start..].chars().count();
    let is_shown = !may_hold_secret(&text[..start], line);
    let found = match text[before.len()..].chars().next() {
        None => "found the end of the file, ".to_owned(),
        Some('\n' | '\r') => "found the end of the line, ".to_owned(),
        Some(_) if cause.starts_with("duplicate key") => "found it a second time, ".to_owned(),
        Some(first) if is_shown && !first.is_control() => {
            let word = text[before.len()..].chars().take(SHOWN);
            let word: String = word.take_while(|char| char.is_alphanumeric()).collect();
            match word.is_empty() {
                true => format!("found `{first}`, "),
                false => format!("found `{word}`, "),
            }
        }
        Some(_) => String::new(),
    };
    let usual = USUAL.iter().find(|(begins, _)| cause.starts_with(begins));
    // Of a text without quotation marks the library mostly says that it is no number.
    let is_of_value =
        !cause.starts_with("duplicate key") && !cause.starts_with("key with no value");
    let right = match unquoted(line, &cause).filter(|_| is_of_value) {
        Some(key) => format!("a value; a text needs quotation marks, as in {key} = \"…\""),
        None => usual.map_or(ANYWHERE, |(_, right)| right).to_owned(),
    };
    Problem {
        place: Place::Point(path.to_owned(), number, column),
        key: String::new(),
        value: shown(line, is_shown),
        message: format!("{found}expected {right} (TOML: {cause})"),
    }
}

/// The line, or the key of one that may hold a secret; `None` where there is nothing to show.
fn shown(line: &str, whole: bool) -> Option<String> {
    let line = line.trim();
    if line.is_empty() {
        return None;
    }
    if !whole {
        let (key, _) = line.split_once('=')?;
        let key = key.trim_end();
        let is_name = key
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || "._-\"'".contains(char));
        return is_name.then(|| format!("`{key} = …`"));
    }
    Some(match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}…`", &line[..end]),
        None => format!("`{line}`"),
    })
}

/// Whether a line may hold a secret: by its key or its table, by how it looks, or because nothing says of what it is a part.
fn may_hold_secret(before: &str, line: &str) -> bool {
    const HOLDERS: [&str; 3] = ["headers", "key", "options"];
    let is_table = |line: &&str| line.trim_start().starts_with('[');
    let table = before.lines().rev().find(is_table).unwrap_or_default();
    let is_within_text = ["\"\"\"", "'''"]
        .iter()
        .any(|mark| before.matches(mark).count() % 2 == 1);
    let line = line.trim();
    if is_within_text {
        return true;
    }
    if line.is_empty() || line.starts_with('[') && !line.contains('=') {
        return false;
    }
    let Some((key, value)) = line.split_once(['=', ':']) else {
        return true;
    };
    let has_holder = |text: &str| {
        let mut words = text.split(|char: char| !char.is_alphanumeric());
        words.any(|word| HOLDERS.contains(&word))
    };
    has_holder(table)
        || has_holder(line)
        || redact::is_secret(key)
        || redact::is_secret(value)
        || value.contains(['@', '?'])
        || matches!(redact::lookalikes(line), Cow::Owned(_))
}

/// The key of a line whose value begins like a text without quotation marks, or is none for the library.
fn unquoted<'l>(line: &'l str, cause: &str) -> Option<&'l str> {
    let (key, value) = line.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let begins = value.chars().next()?;
    let is_text = begins.is_alphabetic() || "/.:~*".contains(begins) || value.contains(':');
    let is_none = cause.starts_with("string values must be quoted");
    let is_marked = value.starts_with(['"', '\'', '[', '{', '=']);
    ((is_text || is_none) && !is_marked).then_some(key)
}
