//! `docs/operations.md` against the code: every error and every line of the log is there, and nothing else is.

use std::collections::BTreeSet;
use std::path::Path;

use streamgauge::admin::Access;
use streamgauge::observe::Undrained;

use super::{Page, compare_with, names_of, rows, rows_of};

const OPERATIONS: Page = Page {
    name: "docs/operations.md",
    text: include_str!("../../../docs/operations.md"),
};

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Messages that are a value alone, and how the page has what they say.
const VALUES: [(&str, &str); 3] = [
    ("{warning}", "NAME: unknown variable, not read"),
    (
        "{undrained}",
        "the last exchanges were not delivered in time",
    ),
    (
        "{closed}",
        "the live page and the API are closed: set admin.token, or admin.open = true",
    ),
];

/// The source files in a folder.
fn sources(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push(std::fs::read_to_string(path).unwrap());
        }
    }
    texts
}

/// The message of a call of tracing's macros, whose arguments begin here: the last text that is an argument by itself.
fn message(arguments: &str) -> String {
    let (mut depth, mut before, mut last) = (0, '(', String::new());
    let mut rest = arguments.chars();
    while let Some(at) = rest.next() {
        match at {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            '"' => {
                let text = literal(&mut rest);
                if depth == 0 && before != '=' {
                    last = text;
                }
            }
            _ => {}
        }
        if !at.is_whitespace() {
            before = at;
        }
    }
    last
}

/// The text of a string literal, up to its end.
fn literal(rest: &mut std::str::Chars<'_>) -> String {
    let mut text = String::new();
    while let Some(at) = rest.next() {
        match at {
            '"' => break,
            '\\' => match rest.next().unwrap() {
                // It goes on in the next line, behind the indentation.
                '\n' => *rest = rest.as_str().trim_start().chars(),
                escaped => text.push(escaped),
            },
            at => text.push(at),
        }
    }
    text
}

/// Level and message of every line of the log.
fn lines() -> BTreeSet<[String; 2]> {
    let mut lines = BTreeSet::new();
    for source in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        for level in LEVELS {
            let call = format!("tracing::{level}!(");
            let found: Vec<String> = source.split(&call).skip(1).map(message).collect();
            let written = source.matches(&format!("{level}!(")).count();
            assert_eq!(
                found.len(),
                written,
                "a line is not written by tracing::{level}!"
            );
            for message in found {
                let value = VALUES.iter().find(|(value, _)| *value == message);
                let message = value.map_or(message, |(_, shown)| (*shown).to_owned());
                lines.insert([level.to_owned(), message]);
            }
        }
    }
    lines
}

#[test]
fn every_line_of_the_log_says_what_to_do() {
    let documented = rows_of(OPERATIONS, "## Log lines");
    let documented = documented.iter().map(|row| {
        assert!(
            row.len() == 4 && !row[2].is_empty() && !row[3].is_empty(),
            "{row:?}"
        );
        [row[0].clone(), row[1].clone()]
    });
    compare_with(OPERATIONS, &documented.collect(), &lines());
}

#[test]
fn a_value_that_is_a_message_begins_as_the_page_says() {
    let undrained = Undrained {
        in_flight: 1,
        unobserved: 0,
        undelivered: 0,
    };
    let (_, shown) = VALUES[1];
    assert!(undrained.to_string().starts_with(shown), "{undrained}");
    assert_eq!(Access::Closed.warning(), Some(VALUES[2].1));
}

#[test]
fn every_error_and_every_reason_says_what_to_do() {
    let reference = rows("## `error.type`");
    for (heading, cells) in [("## Errors", 4), ("## Refused connections", 2)] {
        let known = reference.iter().filter(|row| row.len() == cells);
        let known = known.map(|row| row[0].clone()).collect();
        compare_with(OPERATIONS, &names_of(OPERATIONS, heading), &known);
    }
}

#[test]
fn every_alert_says_what_to_do() {
    let rules = include_str!("../../../deploy/prometheus/alerts.yml").lines();
    let alerts = rules.filter_map(|line| line.trim().strip_prefix("- alert: "));
    let known = alerts.map(str::to_owned).collect();
    compare_with(OPERATIONS, &names_of(OPERATIONS, "## Alerts"), &known);
}
