//! A [`Config`] as TOML that loads back to the same one, secrets masked: an own key shows where it was read from, and
//! the value of a header that looks like a credential is `***`.

use super::Config;
use super::document::Setting;
use super::route::{ROUTE, RouteDraft};
use super::settings::SETTINGS;
use super::source::Source;
use super::upstream::{UPSTREAM, UpstreamDraft};

/// A setting in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the file; of an upstream or a route with its place, such as `upstream[0].url`.
    pub key: String,
    /// Its value as TOML.
    pub value: String,
    /// Where it comes from; `None` for those of upstreams and routes.
    pub source: Option<Source>,
}

impl Config {
    /// Every setting with its effective value, as a file that could be loaded.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut table = "";
        for (path, value) in self.settings() {
            let path = path.trim_end_matches(".*");
            let (group, key) = path.rsplit_once('.').unwrap_or(("", path));
            if group != table {
                text += &format!("\n[{group}]\n");
                table = group;
            }
            text += &format!("{key} = {value}\n");
        }
        for (table, settings) in self.tables() {
            text += &format!("\n[[{table}]]\n");
            for (key, value) in settings {
                text += &format!("{key} = {value}\n");
            }
        }
        text
    }

    /// The same one by one.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let settings = self.settings().map(|(path, value)| Entry {
            key: path.trim_end_matches(".*").to_owned(),
            value,
            source: Some(self.source(path)),
        });
        let mut entries: Vec<Entry> = settings.collect();
        let (mut table_before, mut at) = ("", 0);
        for (table, settings) in self.tables() {
            at = if table == table_before { at + 1 } else { 0 };
            table_before = table;
            entries.extend(settings.into_iter().map(|(key, value)| Entry {
                key: format!("{table}[{at}].{key}"),
                value,
                source: None,
            }));
        }
        entries
    }

    /// That of the admin port's address has two paths.
    fn source(&self, path: &str) -> Source {
        let own = self.sources.of(path);
        match path {
            "admin.address" => own.max(self.sources.of("admin")),
            _ => own,
        }
    }

    /// Settings outside of tables of which there are several, by path.
    fn settings(&self) -> impl Iterator<Item = (&'static str, String)> {
        let settings = SETTINGS.iter();
        settings.filter_map(|setting| Some((setting.path, (setting.write)(self)?)))
    }

    /// Every upstream and route: the name of its table, its keys and values.
    fn tables(&self) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
        let content = &self.observe.content;
        let upstreams = self.proxy.upstreams.iter().map(|upstream| {
            let mut draft = UpstreamDraft::from(upstream);
            draft.content = content.upstreams.get(&upstream.name).copied();
            ("upstream", written(UPSTREAM, &draft))
        });
        let routes = self.proxy.routes.iter().enumerate().map(|(at, route)| {
            let mut draft = RouteDraft::from(route);
            draft.content = content.routes.get(&at).copied();
            ("route", written(ROUTE, &draft))
        });
        upstreams.chain(routes).collect()
    }
}

/// The keys of one `[[upstream]]` or `[[route]]`, and their values.
fn written<T>(settings: &[Setting<T>], from: &T) -> Vec<(&'static str, String)> {
    let one = |setting: &Setting<T>| {
        let key = setting.path.strip_suffix(".*").unwrap_or(setting.path);
        Some((key, (setting.write)(from)?))
    };
    settings.iter().filter_map(one).collect()
}
