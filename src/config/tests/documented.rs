//! `config/streamgauge.toml` cannot go stale: its settings are the defaults, its examples load, every key is in it.

use super::super::route::ROUTE;
use super::super::upstream::UPSTREAM;
use super::*;

const DOCUMENTED: &str = include_str!("../../../config/streamgauge.toml");

#[test]
fn the_documented_file_with_its_settings_uncommented_is_the_default() {
    let is_setting =
        |line: &&str| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
    let text: Vec<_> = DOCUMENTED
        .lines()
        .filter(is_setting)
        .map(|line| &line[1..])
        .collect();
    let config = load_text(&text.join("\n")).unwrap();
    assert_same(&config, &Config::default());
    let written = Config::default()
        .to_toml()
        .lines()
        .filter(|line| line.contains('='))
        .count();
    let documented = text.iter().filter(|line| line.contains('=')).count();
    // The four timeouts stand on one line, and so do the three settings of `keep_alive`.
    assert_eq!(documented, written - 5, "a default is not documented");
    assert_same(&load_text(DOCUMENTED).unwrap(), &Config::default());
}

#[test]
fn the_examples_of_the_documented_file_are_good() {
    let key = std::env::temp_dir().join(format!("streamgauge-example-{}", std::process::id()));
    std::fs::write(&key, "sk-1").unwrap();
    let examples: Vec<_> = DOCUMENTED
        .lines()
        .filter_map(|line| line.strip_prefix("#     "))
        .collect();
    let text = examples
        .join("\n")
        .replace("/run/secrets/vllm-key", &key.display().to_string());
    let config = load_from(&Flags::default(), &[("AZURE_OPENAI_KEY", "sk-2")], &text);
    std::fs::remove_file(&key).unwrap();
    assert_eq!(config.unwrap().proxy.routes.len(), 3);
}

#[test]
fn the_documented_file_names_every_key_and_every_variable() {
    let last = |path: &'static str| path.trim_end_matches(".*").rsplit('.').next().unwrap();
    let keys = SETTINGS.iter().map(|s| s.path);
    let keys = keys
        .chain(UPSTREAM.iter().map(|s| s.path))
        .chain(ROUTE.iter().map(|s| s.path));
    for key in keys.map(last) {
        let spelled = |line: &str| {
            line.contains(&format!("{key} = ")) || line.contains(&format!("{key}.inject = "))
        };
        assert!(DOCUMENTED.lines().any(spelled), "{key}");
    }
    // Names of the user's own have no variable.
    let paths = SETTINGS.iter().map(|setting| setting.path);
    for name in paths.filter(|path| !path.ends_with(".*")).map(variable) {
        assert!(DOCUMENTED.contains(&name), "{name}");
    }
}

#[test]
fn every_vocabulary_is_described() {
    for name in crate::semconv::names() {
        assert!(DOCUMENTED.contains(&format!("({name})")), "{name}");
    }
}
