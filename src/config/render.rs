//! A [`Config`] as TOML that loads back to the same one, secrets masked: an own key shows where it was read from, and
//! the value of a header that looks like a credential is `***`.

use std::fmt::{Display, Write as _};

use super::Config;
use super::document::Setting;
use super::route::ROUTE;
use super::settings::SETTINGS;
use super::upstream::{Draft, UPSTREAM};

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
            let (group, key) = setting.path.rsplit_once('.').unwrap_or(("", setting.path));
            if group != table {
                text += &format!("\n[{group}]\n");
                table = group;
            }
            text += &format!("{key} = {value}\n");
        }
        for upstream in &self.proxy.upstreams {
            text += "\n[[upstream]]\n";
            text += &lines(UPSTREAM, &Draft::from(upstream));
        }
        for route in &self.proxy.routes {
            text += "\n[[route]]\n";
            text += &lines(ROUTE, &route.into());
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

/// A TOML basic string.
pub(super) fn quote(text: impl Display) -> String {
    let mut quoted = String::from('"');
    for c in text.to_string().chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// A TOML array of strings.
pub(super) fn write_list(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(quote).collect();
    format!("[{}]", words.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use toml::de::DeValue;

    use super::*;

    proptest! {
        #[test]
        fn a_quoted_string_reads_back(text in any::<String>()) {
            let quoted = quote(&text);
            let read = DeValue::parse(&quoted).unwrap();
            prop_assert_eq!(read.get_ref().as_str(), Some(text.as_str()));
        }
    }
}
