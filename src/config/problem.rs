//! What is wrong with a configuration: where, which key, what it says, and what would be right.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// Everything that is wrong with a configuration; never empty.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Invalid(pub Vec<Problem>);

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// The key's path in the file, such as `limits.inspect_bytes`; empty where the place says it all.
    pub key: String,
    /// What was given; `None` where nothing was, or where it may be a secret.
    pub value: Option<String>,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Problem {
    /// What is wrong with a variable whose value may not be shown.
    pub(super) fn of_variable(name: &str, message: String) -> Self {
        Self {
            place: Place::Variable(name.to_owned()),
            key: String::new(),
            value: None,
            message,
        }
    }
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A command-line flag.
    Flag(&'static str),
    /// An environment variable.
    Variable(String),
    /// A line of the file, counted from 1.
    File(PathBuf, usize),
    /// A line of the file and a column in it, each counted from 1: what is no TOML.
    Point(PathBuf, usize, usize),
    /// No single place: values that contradict each other.
    Whole,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let equals = match &self.place {
            Place::Flag(flag) => {
                f.write_str(flag)?;
                " "
            }
            Place::Variable(name) => {
                f.write_str(name)?;
                "="
            }
            Place::File(path, line) => {
                write!(f, "{}:{line}", path.display())?;
                if !self.key.is_empty() {
                    write!(f, ": {}", self.key)?;
                }
                " = "
            }
            Place::Point(path, line, column) => {
                write!(f, "{}:{line}:{column}", path.display())?;
                ": "
            }
            Place::Whole => {
                f.write_str(&self.key)?;
                " = "
            }
        };
        if let Some(value) = &self.value {
            write!(f, "{equals}{value}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Why a value cannot be taken, before it is known where it stands.
#[derive(Debug)]
pub(super) struct Wrong {
    /// What is wrong, and what would be right.
    pub(super) message: Cow<'static, str>,
    /// Whether the value may be shown.
    pub(super) show: bool,
}

impl Wrong {
    /// A value that may be shown.
    pub(super) fn shown(message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self {
            message,
            show: true,
        }
    }

    /// A value that may be, or hold, a secret.
    pub(super) fn hidden(message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self {
            message,
            show: false,
        }
    }
}

/// The known name that `unknown` was most likely meant to be. In one table the last parts are compared, as what they share says nothing.
/// A key of the same name is near wherever it stands: one in the wrong table is as common as a slip of the finger.
pub(super) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let parts = |path: &'a str| path.rsplit_once('.').unwrap_or(("", path));
    let (table, last) = unknown.rsplit_once('.').unwrap_or(("", unknown));
    let score = |candidate: &'a str| match parts(candidate) {
        (there, name) if there == table => strsim::normalized_damerau_levenshtein(last, name),
        (_, name) if name == last => 0.95,
        _ => strsim::normalized_damerau_levenshtein(unknown, candidate),
    };
    known
        .map(|candidate| (score(candidate), candidate))
        .filter(|(score, _)| *score > 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
