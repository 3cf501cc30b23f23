//! Which room of the house may import which, checked on the source: every path from `crate` and from `super`, and in
//! the binary from the library. Comments and strings do not count.

mod source;

use std::path::{Path, PathBuf};

use source::{imports, modules_of};

/// What a room may import besides itself.
enum May {
    /// These rooms.
    Import(&'static [&'static str]),
    /// Every room but the wiring.
    ImportAny,
    /// Every room, the wiring too.
    ImportAnyAndApp,
}

use May::{Import, ImportAny, ImportAnyAndApp};

/// Every room, and what it may import.
const ROOMS: &[(&str, May)] = &[
    ("lib", Import(&[])),
    ("message", Import(&[])),
    ("exchange", Import(&[])),
    ("json", Import(&[])),
    ("sse", Import(&[])),
    ("websocket", Import(&[])),
    ("tee", Import(&["message"])),
    ("otel", Import(&[])),
    ("simulate", Import(&[])),
    ("tokenizer", Import(&[])),
    ("dialect", Import(&["exchange", "json", "sse"])),
    ("semconv", Import(&["exchange"])),
    ("sink", Import(&["exchange", "semconv"])),
    (
        "observe",
        Import(&[
            "dialect",
            "exchange",
            "json",
            "message",
            "sink",
            "sse",
            "tee",
            "tokenizer",
            "websocket",
        ]),
    ),
    ("http1", Import(&["message"])),
    ("proxy", Import(&["http1", "json", "message", "sse", "tee"])),
    ("admin", Import(&["sink"])),
    (
        "config",
        Import(&["log", "observe", "otel", "proxy", "semconv"]),
    ),
    (
        "explain",
        Import(&[
            "dialect", "exchange", "http1", "json", "message", "observe", "proxy", "semconv",
            "sink", "tee",
        ]),
    ),
    ("cli", Import(&["config"])),
    ("log", Import(&[])),
    ("app", ImportAny),
    ("demo", ImportAnyAndApp),
    ("main", ImportAnyAndApp),
];

/// What test code may import in any room: stand-ins for the world outside.
const TESTS_MAY_IMPORT: &[&str] = &["simulate"];

#[test]
fn every_room_imports_only_what_it_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&root);
    assert!(!files.is_empty(), "no source under {}", root.display());
    let faults: Vec<String> = files
        .iter()
        .flat_map(|file| {
            check(
                file.strip_prefix(&root).unwrap(),
                &std::fs::read_to_string(file).unwrap(),
            )
        })
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// What a file, named by its path under `src`, imports without leave.
fn check(file: &Path, text: &str) -> Vec<String> {
    let modules = modules_of(file);
    let room = modules.first().map_or_else(
        || file.file_stem().unwrap().to_str().unwrap(),
        String::as_str,
    );
    let Some((_, may)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![format!(
            "src/{}: room `{room}` is in no row of ROOMS: add it, with what it may import",
            file.display()
        )];
    };
    let is_allowed = |target: &str| match may {
        _ if target == room => true,
        Import(rooms) => rooms.contains(&target),
        ImportAny => target != "app",
        ImportAnyAndApp => true,
    };
    imports(&modules, room == "main", text)
        .into_iter()
        .filter(|import| !is_allowed(&import.room))
        .filter(|import| !(import.in_tests && TESTS_MAY_IMPORT.contains(&import.room.as_str())))
        .map(|import| {
            format!(
                "src/{}: room `{room}` may not import `{}`",
                file.display(),
                import.room
            )
        })
        .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn an_import_without_leave_is_named() {
    let faults = check(
        Path::new("proxy/mod.rs"),
        "use crate::sse; use crate::sink::Sink;",
    );
    assert_eq!(
        faults,
        ["src/proxy/mod.rs: room `proxy` may not import `sink`"]
    );
}

#[test]
fn a_room_without_a_row_is_named() {
    let faults = check(Path::new("cache.rs"), "");
    assert_eq!(
        faults,
        ["src/cache.rs: room `cache` is in no row of ROOMS: add it, with what it may import"]
    );
}

#[test]
fn only_the_binary_and_the_demo_import_the_wiring() {
    let text = "use crate::app::App;";
    assert_eq!(check(Path::new("demo.rs"), text), [""; 0]);
    assert_eq!(
        check(Path::new("main.rs"), "use streamgauge::app::App;"),
        [""; 0]
    );
    assert_eq!(check(Path::new("admin.rs"), text).len(), 1);
    assert_eq!(check(Path::new("lib.rs"), text).len(), 1);
}

#[test]
fn only_test_code_may_use_a_stand_in() {
    assert_eq!(
        check(
            Path::new("sse.rs"),
            "#[cfg(test)] mod tests { use crate::simulate::x; }"
        ),
        [""; 0]
    );
    assert_eq!(
        check(Path::new("sse/tests.rs"), "use crate::simulate::x;"),
        [""; 0]
    );
    assert_eq!(
        check(Path::new("sse.rs"), "use crate::simulate::x;").len(),
        1
    );
    assert_eq!(
        check(
            Path::new("sse.rs"),
            "#[cfg(test)] mod tests { use crate::json::x; }"
        )
        .len(),
        1
    );
}
