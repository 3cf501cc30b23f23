//! A [`Config`] as TOML that loads back to the same one, secrets masked: an own key shows where it was read from, and
//! the value of a header that looks like a credential is `***`.

use super::Config;
use super::document::Setting;
use super::route::{ROUTE, RouteDraft};
use super::settings::SETTINGS;
use super::upstream::{UPSTREAM, UpstreamDraft};

impl Config {
    /// Every setting with its effective value, as a file that could be loaded.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut table = "";
        for setting in SETTINGS {
            let Some(value) = (setting.write)(self) else {
                continue;
            };
            let path = setting.path.trim_end_matches(".*");
            let (group, key) = path.rsplit_once('.').unwrap_or(("", path));
            if group != table {
                text += &format!("\n[{group}]\n");
                table = group;
            }
            text += &format!("{key} = {value}\n");
        }
        let content = &self.observe.content;
        for upstream in &self.proxy.upstreams {
            text += "\n[[upstream]]\n";
            let mut draft = UpstreamDraft::from(upstream);
            draft.content = content.upstreams.get(&upstream.name).copied();
            text += &lines(UPSTREAM, &draft);
        }
        for (at, route) in self.proxy.routes.iter().enumerate() {
            text += "\n[[route]]\n";
            let mut draft = RouteDraft::from(route);
            draft.content = content.routes.get(&at).copied();
            text += &lines(ROUTE, &draft);
        }
        text
    }
}

/// The keys of one `[[upstream]]` or `[[route]]`.
fn lines<T>(settings: &[Setting<T>], from: &T) -> String {
    let line = |setting: &Setting<T>| {
        let key = setting.path.strip_suffix(".*").unwrap_or(setting.path);
        (setting.write)(from).map(|value| format!("{key} = {value}\n"))
    };
    settings.iter().filter_map(line).collect()
}
