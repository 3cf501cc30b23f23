//! What the dependencies ask for.

use std::process::Command;

use serde_json::Value;

/// Major and minor version of a Rust.
fn version(text: &str) -> Vec<u32> {
    let parts = text.split('.').take(2);
    parts.map(|part| part.parse().unwrap()).collect()
}

/// Cargo prefers versions of dependencies that our `rust-version` can build, but takes a newer one where there is no other.
#[test]
fn no_dependency_needs_a_newer_rust_than_ours() {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&cargo.stderr);
    assert!(cargo.status.success(), "{said}");
    let metadata: Value = serde_json::from_slice(&cargo.stdout).unwrap();
    let ours = version(env!("CARGO_PKG_RUST_VERSION"));
    let used = metadata["resolve"]["nodes"].as_array().unwrap();
    let is_used = |package: &&Value| used.iter().any(|node| node["id"] == package["id"]);
    let packages: Vec<&Value> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(is_used)
        .collect();
    assert!(packages.len() > 100, "{}", packages.len());
    let newer: Vec<String> = packages
        .iter()
        .filter_map(|package| Some((package, package["rust_version"].as_str()?)))
        .filter(|(_, needed)| version(needed) > ours)
        .map(|(package, needed)| {
            format!("{} {} needs {needed}", package["name"], package["version"])
        })
        .collect();
    assert!(newer.is_empty(), "{newer:#?}");
}
