//! The map for those who change the code: what it names is there.

use std::path::Path;

const MAP: &str = include_str!("../../CONTRIBUTING.md");

/// The source files that a text names, in order.
fn sources(text: &str) -> Vec<&str> {
    let words = text.split(['`', '(', ')']);
    words
        .filter(|word| word.starts_with("src/") && word.ends_with(".rs"))
        .collect()
}

#[test]
fn every_file_it_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = sources(MAP);
    assert!(named.len() > 30, "{named:?}");
    for file in named {
        assert!(root.join(file).is_file(), "{file}");
    }
}

#[test]
fn the_walk_from_the_socket_to_the_metric_never_goes_back() {
    let begin = MAP.find("## From the socket to the metric").unwrap();
    let walk = &MAP[begin..];
    let walk = &walk[..walk[3..].find("\n## ").unwrap()];
    let mut files = sources(walk);
    let steps = files.len();
    files.sort_unstable();
    files.dedup();
    assert_eq!(files.len(), steps, "a file is named twice");
}
