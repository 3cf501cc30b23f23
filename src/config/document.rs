//! Walks a TOML table by rows of settings: known keys are read, unknown ones reported with the nearest known one.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem, Wrong, nearest};
use super::syntax;
use super::value::{Given, Raw, Read, kind};

/// One key: how it is read, and how it is written.
#[derive(Debug)]
pub(super) struct Setting<T: 'static> {
    /// Its path, parts joined by dots. A last part `*` stands for names of the user's own.
    pub(super) path: &'static str,
    /// Reads a value into its place.
    pub(super) read: fn(&Raw<'_>, &mut T) -> Read<()>,
    /// Writes it as a TOML value; `None` where there is nothing to write. With `*` it writes the whole table.
    pub(super) write: fn(&T) -> Option<String>,
}

/// A file's name and text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Document<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl<'a> Document<'a> {
    /// The parsed file, or `None` after reporting everything that is no TOML.
    pub(super) fn parse(&self, problems: &mut Vec<Problem>) -> Option<DeTable<'a>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        problems.extend(syntax::problems(self.path, self.text, &errors));
        errors.is_empty().then(|| table.into_inner())
    }

    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let before = self.text.as_bytes().iter().take(span.start);
        Place::File(
            self.path.to_owned(),
            1 + before.filter(|byte| **byte == b'\n').count(),
        )
    }

    /// A problem with a key that stands in the file.
    pub(super) fn problem(
        &self,
        key: &str,
        span: &Range<usize>,
        message: impl Into<String>,
    ) -> Problem {
        Problem {
            place: self.place(span),
            key: key.to_owned(),
            value: None,
            message: message.into(),
        }
    }

    /// Where a key stands, by its path; `None` where it does not.
    pub(super) fn place_of(&self, path: &str) -> Option<Place> {
        let (root, _) = DeTable::parse_recoverable(self.text);
        let root = root.into_inner();
        let (mut table, mut parts) = (&root, path.split('.').peekable());
        loop {
            let (key, value) = table.get_key_value(parts.next()?)?;
            if parts.peek().is_none() {
                return Some(self.place(&key.span()));
            }
            table = value.get_ref().as_table()?;
        }
    }

    /// The value as it stands in the file, where it fits on a line. Of a list the lines are put into one.
    fn shown(&self, span: Range<usize>) -> Option<String> {
        let text = self.text.get(span)?;
        let is_list = text.starts_with('[') && !text.contains(['#', '\r']);
        let text = if is_list && !text.contains("\"\"\"") && !text.contains("'''") {
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            lines.join(" ")
        } else {
            text.to_owned()
        };
        (text.len() <= 100 && !text.contains('\n')).then_some(text)
    }
}

/// A walk over a table: the whole file, or one `[[upstream]]`.
#[derive(Debug)]
pub(super) struct Walk<'a, T: 'static> {
    pub(super) document: Document<'a>,
    /// What goes before a key in a problem: empty, or `upstream.`.
    pub(super) scope: &'static str,
    /// Every key that can stand in it.
    pub(super) settings: &'static [Setting<T>],
    /// Keys that are read apart.
    pub(super) apart: &'static [&'static str],
    /// The header of the tables that a key, or one that is a table, stands in where it does not stand here.
    pub(super) header_of: fn(&str, bool) -> Option<&'static str>,
}

impl<T> Walk<'_, T> {
    /// Reads a table into `into`.
    pub(super) fn read(&self, table: &DeTable<'_>, into: &mut T, problems: &mut Vec<Problem>) {
        self.table("", table, into, problems);
    }

    fn table(&self, prefix: &str, table: &DeTable<'_>, into: &mut T, problems: &mut Vec<Problem>) {
        for (key, value) in table.iter() {
            let name: &str = key.get_ref();
            let path = format!("{prefix}{name}");
            if self.apart.contains(&path.as_str()) {
                continue;
            }
            let is_group = !name.contains('.') && self.is_group(&path);
            match (self.setting(prefix, name), value.get_ref()) {
                (_, DeValue::Table(inner)) if is_group => {
                    self.table(&format!("{path}."), inner, into, problems);
                }
                (Some(setting), given) => {
                    let value_of = Raw {
                        name,
                        value: Given::Toml(given),
                    };
                    if let Err(wrong) = (setting.read)(&value_of, into) {
                        problems.push(self.wrong(&path, value, wrong));
                    }
                }
                (None, _) if is_group => {
                    let scoped = self.scoped(&path);
                    let found = kind(value.get_ref());
                    let wrong =
                        Wrong::hidden(format!("expected a table, [{scoped}], found {found}"));
                    problems.push(self.wrong(&path, value, wrong));
                }
                (None, _) => {
                    let is_table = matches!(value.get_ref(), DeValue::Table(_));
                    let message = self.unknown(prefix, &path, is_table);
                    problems.push(
                        self.document
                            .problem(&self.scoped(&path), &key.span(), message),
                    );
                }
            }
        }
    }

    fn setting(&self, prefix: &str, name: &str) -> Option<&Setting<T>> {
        // A quoted key with a dot in it is not the path that it looks like.
        let exact = |setting: &&Setting<T>| {
            setting.path.strip_prefix(prefix) == Some(name) && !name.contains('.')
        };
        let any = |setting: &&Setting<T>| setting.path.strip_prefix(prefix) == Some("*");
        self.settings
            .iter()
            .find(|setting| exact(setting) || any(setting))
    }

    /// Whether keys stand below this path.
    fn is_group(&self, path: &str) -> bool {
        let below = |setting: &Setting<T>| {
            setting
                .path
                .strip_prefix(path)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        self.settings.iter().any(below)
    }

    fn scoped(&self, path: &str) -> String {
        format!("{}{path}", self.scope)
    }

    fn wrong(&self, path: &str, value: &Spanned<DeValue<'_>>, wrong: Wrong) -> Problem {
        Problem {
            place: self.document.place(&value.span()),
            key: self.scoped(path),
            value: wrong
                .show
                .then(|| self.document.shown(value.span()))
                .flatten(),
            message: wrong.message.into_owned(),
        }
    }

    fn unknown(&self, prefix: &str, path: &str, is_table: bool) -> String {
        let groups = self
            .settings
            .iter()
            .filter_map(|setting| setting.path.split_once('.'));
        let groups = groups.map(|(group, _)| group);
        let known = self.settings.iter().map(|setting| setting.path);
        let known = known
            .chain(groups.clone())
            .chain(self.apart.iter().copied());
        if let Some(header) = (self.header_of)(path, is_table) {
            return format!("unknown key here, expected below {header}");
        }
        // A table was most likely meant to be one.
        let table = is_table.then(|| nearest(path, groups)).flatten();
        let near = table.or_else(|| nearest(path, known.clone()));
        let meant = near.map(|near| format!("did you mean {}", self.scoped(near)));
        let is_here = |near: &str| near.starts_with(prefix);
        if let (Some(meant), true) = (&meant, near.is_some_and(is_here)) {
            return format!("unknown key, {meant}");
        }
        let mut here: Vec<&str> = known
            .filter_map(|path| path.strip_prefix(prefix)?.split('.').next())
            .collect();
        here.sort_unstable();
        here.dedup();
        let meant = meant.map(|meant| format!("; {meant}")).unwrap_or_default();
        format!("unknown key, expected one of {}{meant}", here.join(", "))
    }
}
