//! Names the commit that the program is built from, for `--version`.
//!
//! In this order: the variable `STREAMGAUGE_COMMIT`; what cargo noted in a published crate (`.cargo_vcs_info.json`); in a
//! release build, git, if this folder is the root of its checkout. Otherwise the commit is unknown, which is no error.
//!
//! Other builds do not ask git: each commit would have the whole library built again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Digits of a commit that are shown: enough for any repository.
const DIGITS: usize = 12;
/// What the program is made of. Changes there that are not committed are noted.
const SOURCES: [&str; 5] = ["src", "config", "build.rs", "Cargo.toml", "Cargo.lock"];

fn main() {
    println!("cargo:rerun-if-env-changed=STREAMGAUGE_COMMIT");
    println!("cargo:rerun-if-changed=build.rs");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let commit = given()
        .or_else(|| published(&root))
        .or_else(|| checked_out(&root));
    let Some(commit) = commit else {
        println!("cargo:rustc-env=STREAMGAUGE_BUILD_VERSION={version}");
        return;
    };
    println!("cargo:rustc-env=STREAMGAUGE_BUILD_COMMIT={commit}");
    println!("cargo:rustc-env=STREAMGAUGE_BUILD_VERSION={version} ({commit})");
}

/// The one that whoever builds it names.
fn given() -> Option<String> {
    let commit = env::var("STREAMGAUGE_COMMIT").ok()?;
    let commit = commit.trim();
    let is_word = !commit.is_empty() && commit.chars().all(|it| it.is_ascii_graphic());
    is_word.then(|| commit.to_owned())
}

/// The one that cargo wrote down when it made the package.
fn published(root: &Path) -> Option<String> {
    let noted = fs::read_to_string(root.join(".cargo_vcs_info.json")).ok()?;
    let (_, rest) = noted.split_once("\"sha1\"")?;
    let commit = rest.split('"').nth(1)?;
    let is_hash = commit.len() >= DIGITS && commit.chars().all(|it| it.is_ascii_hexdigit());
    is_hash.then(|| commit[..DIGITS].to_owned())
}

/// The one that is checked out here, with a word about changes that are not committed. A package that lies in somebody
/// else's checkout has none.
fn checked_out(root: &Path) -> Option<String> {
    if env::var("PROFILE").as_deref() != Ok("release") {
        return None;
    }
    let top = git(root, &["rev-parse", "--show-toplevel"])?;
    if fs::canonicalize(top).ok()? != fs::canonicalize(root).ok()? {
        return None;
    }
    // The first of them grows with each commit and each checkout; where it is not kept, HEAD says of a checkout.
    for file in ["logs/HEAD", "HEAD"] {
        let path = root.join(git(root, &["rev-parse", "--git-path", file])?);
        if path.exists() {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
    for source in SOURCES {
        println!("cargo:rerun-if-changed={source}");
    }
    let commit = git(root, &["rev-parse", &format!("--short={DIGITS}"), "HEAD"])?;
    let changed = [&["status", "--porcelain", "--"], &SOURCES[..]].concat();
    let changed = git(root, &changed)?;
    Some(if changed.is_empty() {
        commit
    } else {
        commit + "-dirty"
    })
}

/// What git prints, if it is here and succeeds.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    let output = command.arg("-C").arg(root).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
