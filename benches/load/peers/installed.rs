//! Where other proxies are found, and of which version they are.

use std::path::PathBuf;
use std::process::Command;

/// A virtual environment with other proxies; `scripts/bench-peers` makes one and sets this.
const ENVIRONMENT: &str = "BENCH_PEERS";

/// A program in the environment's virtual environment, or else on the path.
pub(super) fn found(program: &str) -> Option<PathBuf> {
    let environment = std::env::var_os(ENVIRONMENT).map(|folder| PathBuf::from(folder).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    environment
        .into_iter()
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Asks the Python beside a program for the version of its package.
pub(super) fn python_version(program: &str, package: &str) -> Option<Command> {
    let mut command = Command::new(found(program)?.with_file_name("python3"));
    command.args([
        "-c",
        &format!("import importlib.metadata; print(importlib.metadata.version('{package}'))"),
    ]);
    Some(command)
}
