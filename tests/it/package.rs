//! What is published as a crate: all that it is built from, and nothing that only this repository needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// The most that crates.io takes, compressed. Nothing compressed is larger than it was.
const LARGEST: u64 = 10 << 20;

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--offline"])
        .current_dir(ROOT)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The files of the package. A checkout with changes of one's own has the same as one without.
fn packaged() -> Vec<String> {
    let listed = cargo(&["package", "--list", "--allow-dirty"]);
    listed.lines().map(str::to_owned).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The files that sources have in them by `include_str!`, of whatever folder.
fn taken_in() -> Vec<String> {
    let mut built_from = Vec::new();
    sources(&Path::new(ROOT).join("src"), &mut built_from);
    let mut taken = Vec::new();
    for source in built_from
        .iter()
        .filter(|path| path.extension().is_some_and(|it| it == "rs"))
    {
        let text = fs::read_to_string(source).unwrap();
        for rest in text.split("include_str!(\"").skip(1) {
            let path = source
                .parent()
                .unwrap()
                .join(rest.split('"').next().unwrap());
            let path = path.canonicalize().unwrap();
            taken.push(
                path.strip_prefix(ROOT)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
    assert!(
        taken.iter().any(|path| path.starts_with("config/")),
        "{taken:?}"
    );
    taken
}

#[test]
fn the_package_has_all_that_it_is_built_from() {
    let packaged = packaged();
    let has = |path: &str| packaged.iter().any(|file| file == path);
    let mut built_from = vec![
        Path::new(ROOT).join("Cargo.toml"),
        Path::new(ROOT).join("build.rs"),
    ];
    sources(&Path::new(ROOT).join("src"), &mut built_from);
    for path in built_from {
        let path = path.strip_prefix(ROOT).unwrap().to_str().unwrap();
        assert!(has(path), "{path} is not packaged");
    }
    for path in taken_in() {
        assert!(has(&path), "{path} is not packaged, and a source has it");
    }
    // What the page of the crate shows, and what lies beside others' data.
    for path in [
        "Cargo.lock",
        "README.md",
        "LICENSE",
        "config/prices.LICENSE",
    ] {
        assert!(has(path), "{path} is not packaged");
    }
}

#[test]
fn the_image_is_built_from_all_that_sources_take_in() {
    let read = |file: &str| fs::read_to_string(Path::new(ROOT).join("docker").join(file)).unwrap();
    let (recipe, context) = (read("Dockerfile"), read("Dockerfile.dockerignore"));
    for path in taken_in() {
        let folder = path.split('/').next().unwrap();
        let copied = format!("\nCOPY {folder} {folder}\n");
        assert!(recipe.contains(&copied), "{path} is not copied");
        let sent = format!("\n!{folder}\n");
        assert!(context.contains(&sent), "{path} is not in the context");
    }
    for file in ["Cargo.toml", "Cargo.lock", "build.rs"] {
        assert!(recipe.contains(&format!(" {file} ")), "{file}");
        assert!(context.contains(&format!("\n!{file}\n")), "{file}");
    }
}

#[test]
fn the_package_has_nothing_that_only_the_repository_needs_and_is_small() {
    const NEEDLESS: [&str; 8] = [
        "tests/",
        "benches/",
        "findings/",
        "scripts/",
        "deploy/",
        "docker/",
        ".ci/",
        ".github/",
    ];
    let packaged = packaged();
    let needless = packaged
        .iter()
        .find(|file| NEEDLESS.iter().any(|folder| file.starts_with(folder)));
    assert_eq!(needless, None);
    let sizes = packaged.iter().filter_map(|file| {
        // Cargo writes some of them itself.
        let metadata = fs::metadata(Path::new(ROOT).join(file)).ok()?;
        Some(metadata.len())
    });
    let size: u64 = sizes.sum();
    assert!(size < LARGEST, "{size} bytes");
}

#[test]
fn a_registry_finds_what_it_shows_of_the_package() {
    let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let package = &metadata["packages"][0];
    for field in ["description", "license", "readme", "rust_version"] {
        let text = package[field].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{field} is missing");
    }
    // No more than five of each are taken, and no keyword of more than 20 characters.
    for field in ["keywords", "categories"] {
        let words = package[field].as_array().unwrap();
        assert!((1..=5).contains(&words.len()), "{field}: {words:?}");
    }
    let keywords = package["keywords"].as_array().unwrap();
    assert!(
        keywords
            .iter()
            .all(|word| word.as_str().unwrap().len() <= 20)
    );
}
