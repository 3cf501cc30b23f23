//! Which room of the house may import which, and that no two modules of one folder lead to each other, checked on the
//! source: every path from `crate`, `super` and `self`, and in the binary from the library. Comments and strings do not
//! count.

mod circles;
mod source;
mod tokens;

use std::path::{Path, PathBuf};

use circles::{circles, globs};
use source::{Source, Use};

/// What a room may import besides itself.
enum May {
    /// These rooms.
    Import(&'static [&'static str]),
    /// Every room.
    ImportAny,
}

use May::{Import, ImportAny};

/// Every room, and what it may import; from the byte path by way of the facts to telemetry.
const ROOMS: &[(&str, May)] = &[
    ("lib", Import(&[])),
    ("workers", Import(&[])),
    ("prices", Import(&[])),
    ("background", Import(&[])),
    ("message", Import(&[])),
    ("descriptors", Import(&[])),
    ("idle", Import(&[])),
    ("memory", Import(&[])),
    ("http1", Import(&["message"])),
    ("tap", Import(&["background", "memory", "message"])),
    ("tee", Import(&["memory", "message", "tap"])),
    ("tls", Import(&[])),
    ("upstream", Import(UPSTREAM)),
    ("proxy", Import(PROXY)),
    (
        "serve",
        Import(&["descriptors", "http1", "log", "message", "proxy", "workers"]),
    ),
    ("redact", Import(&[])),
    ("allow", Import(&[])),
    ("outbound", Import(&[])),
    ("exchange", Import(&[])),
    ("conversation", Import(&["exchange"])),
    ("parse", Import(&[])),
    ("dialect", Import(&["exchange", "parse"])),
    ("observe", Import(OBSERVE)),
    ("log", Import(&["background"])),
    ("tokenizer", Import(&[])),
    ("state", Import(&["background", "conversation", "log"])),
    (
        "store",
        Import(&["background", "disk", "exchange", "log", "redact", "semconv"]),
    ),
    ("pipeline", Import(PIPELINE)),
    ("otel", Import(&["exchange", "outbound"])),
    ("semconv", Import(&["exchange"])),
    ("otlp", Import(OTLP)),
    (
        "sink",
        Import(&[
            "background",
            "disk",
            "exchange",
            "log",
            "otel",
            "otlp",
            "semconv",
            "store",
            "view",
        ]),
    ),
    ("view", Import(&["exchange", "otel", "otlp", "semconv"])),
    (
        "admin",
        Import(&[
            "allow",
            "descriptors",
            "exchange",
            "sink",
            "version",
            "view",
        ]),
    ),
    ("disk", Import(&[])),
    ("simulate", Import(&[])),
    ("config", Import(CONFIG)),
    ("explain", Import(EXPLAIN)),
    ("version", Import(&[])),
    ("top", Import(&["version"])),
    (
        "cli",
        Import(&["config", "exchange", "prices", "store", "version"]),
    ),
    ("demo", Import(&["exchange", "sink", "tap", "view"])),
    ("app", ImportAny),
    ("main", Import(&["app", "cli"])),
];

const UPSTREAM: &[&str] = &[
    "http1", "idle", "message", "outbound", "tap", "tls", "workers",
];
const PROXY: &[&str] = &[
    "allow", "http1", "idle", "memory", "message", "parse", "tap", "tee", "upstream",
];
const PIPELINE: &[&str] = &[
    "background",
    "conversation",
    "exchange",
    "log",
    "memory",
    "prices",
    "redact",
    "sink",
    "state",
    "store",
    "tokenizer",
];
const OTLP: &[&str] = &[
    "background",
    "exchange",
    "log",
    "otel",
    "outbound",
    "redact",
    "semconv",
    "tls",
];
const OBSERVE: &[&str] = &[
    "dialect", "exchange", "memory", "message", "parse", "pipeline", "redact", "sink", "tap",
];
const CONFIG: &[&str] = &[
    "admin", "allow", "exchange", "log", "memory", "observe", "otel", "outbound", "pipeline",
    "prices", "proxy", "redact", "semconv", "serve", "state", "store", "upstream",
];
const EXPLAIN: &[&str] = &[
    "conversation",
    "dialect",
    "exchange",
    "http1",
    "message",
    "observe",
    "otel",
    "otlp",
    "parse",
    "pipeline",
    "prices",
    "proxy",
    "semconv",
    "sink",
    "tap",
    "upstream",
];

/// What test code may import in any room: stand-ins for the world outside.
const TESTS_MAY_IMPORT: &[&str] = &["simulate"];

#[test]
fn every_room_imports_only_what_it_may() {
    let faults = trespasses(&source());
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn no_modules_of_a_folder_lead_to_each_other() {
    let source = source();
    let faults = [globs(&source), circles(&source)].concat();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The crate as it is.
fn source() -> Source {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&root);
    assert!(!files.is_empty(), "no source under {}", root.display());
    let read = |file: &PathBuf| std::fs::read_to_string(file).unwrap();
    let texts: Vec<String> = files.iter().map(read).collect();
    let names = files.iter().map(|file| file.strip_prefix(&root).unwrap());
    Source::read(names.zip(texts.iter().map(String::as_str)))
}

/// What rooms import without leave.
fn trespasses(source: &Source) -> Vec<String> {
    let may = |room: &str| ROOMS.iter().find(|(name, _)| *name == room);
    let strangers = source
        .files
        .iter()
        .filter(|file| may(&room_of(file)).is_none());
    let strangers = strangers.map(|file| {
        format!(
            "src/{}: room `{}` is in no row of ROOMS: add it, with what it may import",
            file.display(),
            room_of(file)
        )
    });
    let trespasses = source.uses.iter().filter_map(|used| {
        let room = room_of(&used.file);
        let (_, may) = may(&room)?;
        let target = used.to.first()?;
        let is_allowed = match may {
            _ if *target == room || !used.is_rooted => true,
            _ if used.in_tests && TESTS_MAY_IMPORT.contains(&target.as_str()) => true,
            Import(rooms) => rooms.contains(&target.as_str()),
            ImportAny => true,
        };
        let Use { file, line, .. } = used;
        let file = file.display();
        (!is_allowed).then(|| format!("src/{file}:{line}: room `{room}` may not import `{target}`"))
    });
    strangers.chain(trespasses).collect()
}

fn room_of(file: &Path) -> String {
    let first = file.iter().next().map(Path::new);
    let room = first.and_then(Path::file_stem).unwrap_or_default();
    room.to_string_lossy().into_owned()
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

fn check(file: &str, text: &str) -> Vec<String> {
    trespasses(&Source::read([(Path::new(file), text)]))
}

#[test]
fn an_import_without_leave_is_named() {
    let faults = check(
        "proxy/mod.rs",
        "use crate::parse::sse;\nuse crate::sink::Sink;",
    );
    assert_eq!(
        faults,
        ["src/proxy/mod.rs:2: room `proxy` may not import `sink`"]
    );
}

#[test]
fn a_room_without_a_row_is_named() {
    assert_eq!(
        check("cache.rs", ""),
        ["src/cache.rs: room `cache` is in no row of ROOMS: add it, with what it may import"]
    );
}

#[test]
fn only_the_binary_imports_the_wiring() {
    assert_eq!(check("main.rs", "use streamgauge::app::App;"), [""; 0]);
    for (room, _) in ROOMS
        .iter()
        .filter(|(room, _)| !["app", "main"].contains(room))
    {
        let faults = check(&format!("{room}.rs"), "use crate::app::App;");
        assert_eq!(faults.len(), 1, "{room}");
    }
}

#[test]
fn only_test_code_may_use_a_stand_in() {
    let inline = "#[cfg(test)] mod tests { use crate::simulate::x; }";
    assert_eq!(check("message.rs", inline), [""; 0]);
    let text = "use crate::simulate::x;";
    assert_eq!(check("message/tests.rs", text), [""; 0]);
    assert_eq!(check("message.rs", text).len(), 1);
    let inline = "#[cfg(test)] mod tests { use crate::parse::json::x; }";
    assert_eq!(check("message.rs", inline).len(), 1);
}
