//! Which commit the program says it is of: `build.rs`, compiled and run by itself in folders of every kind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::support::process::Program;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A folder of the temporary one, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("streamgauge-version-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("src")).unwrap();
        fs::write(path.join("src/lib.rs"), "").unwrap();
        Self(path)
    }

    fn git(&self, arguments: &[&str]) -> String {
        let identity = ["-c", "user.name=n", "-c", "user.email=e@example.com"];
        let output = Command::new("git")
            .arg("-C")
            .arg(&self.0)
            .args(identity)
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Makes it the root of a checkout, and gives the first digits of its commit.
    fn committed(&self) -> String {
        self.git(&["init", "-q"]);
        self.git(&["add", "."]);
        self.git(&["commit", "-q", "-m", "first"]);
        self.git(&["rev-parse", "HEAD"])[..12].to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The compiled `build.rs`, and the folder that it is in.
static BUILD: LazyLock<(Folder, PathBuf)> = LazyLock::new(|| {
    let folder = Folder::new("build");
    let program = folder.0.join("build");
    let output = Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned()))
        .args(["--edition", "2024", "-o"])
        .arg(&program)
        .arg(Path::new(ROOT).join("build.rs"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    (folder, program)
});

/// What it prints for a package in that folder.
fn built(folder: &Path, profile: &str, commit: Option<&str>) -> String {
    let mut command = Command::new(&BUILD.1);
    command
        .current_dir(folder)
        .env("CARGO_MANIFEST_DIR", folder)
        .env("CARGO_PKG_VERSION", "1.2.3")
        .env("PROFILE", profile)
        .env_remove("STREAMGAUGE_COMMIT");
    if let Some(commit) = commit {
        command.env("STREAMGAUGE_COMMIT", commit);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The version with the commit, as the program has it.
fn version(folder: &Path, profile: &str, commit: Option<&str>) -> String {
    let printed = built(folder, profile, commit);
    let mut lines = printed.lines();
    let version =
        lines.find_map(|line| line.strip_prefix("cargo:rustc-env=STREAMGAUGE_BUILD_VERSION="));
    version.unwrap().to_owned()
}

#[test]
fn a_folder_that_nobody_knows_the_commit_of_has_the_version_alone() {
    let folder = Folder::new("plain");
    assert_eq!(version(&folder.0, "release", None), "1.2.3");
    // What is no word is none.
    assert_eq!(version(&folder.0, "release", Some(" \n")), "1.2.3");
    assert_eq!(version(&folder.0, "release", Some("a b")), "1.2.3");
}

#[test]
fn the_variable_goes_before_all_and_in_every_profile() {
    let folder = Folder::new("named");
    folder.committed();
    for profile in ["release", "debug"] {
        assert_eq!(version(&folder.0, profile, Some("v9\n")), "1.2.3 (v9)");
    }
}

#[test]
fn a_release_has_the_commit_of_its_checkout_and_says_if_it_has_changes() {
    let folder = Folder::new("checkout");
    let commit = folder.committed();
    assert_eq!(
        version(&folder.0, "release", None),
        format!("1.2.3 ({commit})")
    );
    fs::write(folder.0.join("README.md"), "no source").unwrap();
    assert_eq!(
        version(&folder.0, "release", None),
        format!("1.2.3 ({commit})")
    );
    fs::write(folder.0.join("src/lib.rs"), "// new").unwrap();
    assert_eq!(
        version(&folder.0, "release", None),
        format!("1.2.3 ({commit}-dirty)")
    );
}

#[test]
fn a_release_is_built_again_after_a_commit_and_a_debug_build_is_not() {
    let folder = Folder::new("again");
    folder.committed();
    let release = built(&folder.0, "release", None);
    assert!(release.contains("/logs/HEAD\n"), "{release}");
    // A file that is not there would have it built again each time.
    let watched = release
        .lines()
        .filter_map(|line| line.strip_prefix("cargo:rerun-if-changed="));
    for file in watched.filter(|file| Path::new(file).is_absolute()) {
        assert!(Path::new(file).exists(), "{file}");
    }
    let debug = built(&folder.0, "debug", None);
    assert!(!debug.contains("HEAD"), "{debug}");
    assert!(!debug.contains("COMMIT="), "{debug}");
}

#[test]
fn a_package_inside_of_somebody_elses_checkout_does_not_have_their_commit() {
    let theirs = Folder::new("theirs");
    theirs.committed();
    let vendored = theirs.0.join("src");
    assert_eq!(version(&vendored, "release", None), "1.2.3");
    let noted =
        r#"{ "git": { "sha1": "0123456789abcdef0123456789abcdef01234567" }, "path_in_vcs": "" }"#;
    fs::write(vendored.join(".cargo_vcs_info.json"), noted).unwrap();
    assert_eq!(version(&vendored, "release", None), "1.2.3 (0123456789ab)");
}

#[tokio::test]
async fn the_program_says_it() {
    let mut process = Program::new(["--version"]).start();
    assert_eq!(process.exit().await.code(), Some(0));
    let expected = format!("streamgauge {}", streamgauge::version::VERSION_AND_COMMIT);
    assert_eq!(process.stdout().text(), expected);
    assert!(expected.starts_with(concat!("streamgauge ", env!("CARGO_PKG_VERSION"))));
}
