//! Where each setting comes from, for whoever looks at the configuration in force.

use std::collections::BTreeMap;
use std::fmt;

use toml::de::{DeTable, DeValue};

use super::document::Setting;

/// Where a setting comes from, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nobody has set it.
    Default,
    /// The file.
    File,
    /// A variable of the environment.
    Environment,
    /// The command line.
    Flag,
}

impl Source {
    /// What it is called.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        }
    }
}

/// Settings that somebody has set, by path.
#[derive(Clone, Default)]
pub struct Sources(BTreeMap<&'static str, Source>);

impl Sources {
    /// Where a setting comes from.
    #[must_use]
    pub fn of(&self, path: &str) -> Source {
        self.0.get(path).copied().unwrap_or(Source::Default)
    }

    /// A setting has been set from here, too.
    pub(super) fn note(&mut self, path: &'static str, source: Source) {
        let known = self.0.entry(path).or_insert(source);
        *known = source.max(*known);
    }

    /// Those that stand in a file have been set there.
    pub(super) fn note_file<T>(&mut self, root: &DeTable<'_>, settings: &[Setting<T>]) {
        for setting in settings {
            if stands_in(root, setting.path.trim_end_matches(".*")) {
                self.note(setting.path, Source::File);
            }
        }
    }
}

fn stands_in(table: &DeTable<'_>, path: &str) -> bool {
    match path.split_once('.') {
        Some((group, rest)) => {
            let group = table
                .get(group)
                .and_then(|value| value.get_ref().as_table());
            group.is_some_and(|group| stands_in(group, rest))
        }
        // `admin` is a setting or the table of others.
        None => table
            .get(path)
            .is_some_and(|value| path != "admin" || !matches!(value.get_ref(), DeValue::Table(_))),
    }
}

impl fmt::Debug for Sources {
    /// Not where from: configurations are the same that say the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}
