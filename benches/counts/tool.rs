//! The programs that count while the proxy runs below them: strace and valgrind's callgrind.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::support::process;

/// Counts by name; a name with a space in it is a detail of the one before the space.
pub(crate) type Counts = BTreeMap<String, f64>;

/// Name of a count: all but waits.
pub(crate) const SYSTEM_CALLS: &str = "system_calls";
/// See [`SYSTEM_CALLS`].
pub(crate) const ALLOCATIONS: &str = "allocations";
/// See [`SYSTEM_CALLS`].
pub(crate) const INSTRUCTIONS: &str = "instructions";

/// jemalloc's functions that allocate or move, as `tikv-jemallocator` calls them. C code is never inlined into Rust.
const ALLOCATING: [&str; 5] = [
    "_rjem_malloc",
    "_rjem_mallocx",
    "_rjem_calloc",
    "_rjem_realloc",
    "_rjem_rallocx",
];

/// Left out of the sum, for how often a thread sleeps, or must be woken, is a matter of time: one and the same proxy made
/// 0.8 to 3.5 of these calls a request.
const WAITS: [&str; 2] = ["futex", "clock_nanosleep"];

/// A program that counts.
#[derive(Clone, Copy)]
pub(crate) enum Tool {
    /// Counts system calls, of all threads.
    Strace,
    /// Counts instructions and calls of functions, of all threads.
    Callgrind,
}

/// All of them.
pub(crate) const TOOLS: [Tool; 2] = [Tool::Strace, Tool::Callgrind];

impl Tool {
    /// Its name, and that of the Debian package.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Strace => "strace",
            Self::Callgrind => "valgrind",
        }
    }

    /// The command below the tool, which writes its counts to a file when the command has ended.
    pub(crate) fn wrap(self, command: &Command, file: &Path) -> Command {
        let file = file.to_string_lossy();
        match self {
            Self::Strace => process::prefixed("strace", &["-f", "-c", "-q", "-o", &file], command),
            Self::Callgrind => {
                let out = format!("--callgrind-out-file={file}");
                process::prefixed(
                    "valgrind",
                    // Names in full, so that a line can be read without those before it.
                    &["--tool=callgrind", "--compress-strings=no", "-q", &out],
                    command,
                )
            }
        }
    }

    /// What the tool has written.
    ///
    /// # Errors
    ///
    /// The file is not there, or is not what the tool writes.
    pub(crate) fn read(self, file: &Path) -> io::Result<Counts> {
        let text = fs::read_to_string(file)?;
        let counts = match self {
            Self::Strace => system_calls(&text),
            Self::Callgrind => callgrind(&text),
        };
        counts.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} has written no counts", self.program()),
            )
        })
    }
}

/// The table of `strace -c`: `% time, seconds, usecs/call, calls[, errors], syscall`.
fn system_calls(table: &str) -> Option<Counts> {
    let mut counts = Counts::new();
    for line in table.lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (Some(Ok(calls)), Some(name)) =
            (fields.get(3).map(|calls| calls.parse()), fields.last())
        else {
            continue;
        };
        if *name == "total" {
            *counts.entry(SYSTEM_CALLS.to_owned()).or_default() += calls;
            continue;
        }
        if WAITS.contains(name) {
            *counts.entry(SYSTEM_CALLS.to_owned()).or_default() -= calls;
        }
        counts.insert(format!("{SYSTEM_CALLS} {name}"), calls);
    }
    counts.contains_key(SYSTEM_CALLS).then_some(counts)
}

/// The profile: `totals: INSTRUCTIONS`, and after each `cfn=CALLED` a line `calls=COUNT …`.
fn callgrind(profile: &str) -> Option<Counts> {
    let mut counts = Counts::from([(ALLOCATIONS.to_owned(), 0.0)]);
    let mut called = "";
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("cfn=") {
            called = name;
        } else if let Some(calls) = line.strip_prefix("calls=") {
            if ALLOCATING.contains(&called) {
                let calls: f64 = calls.split(' ').next()?.parse().ok()?;
                *counts.entry(ALLOCATIONS.to_owned()).or_default() += calls;
            }
        } else if let Some(total) = line.strip_prefix("totals: ") {
            counts.insert(INSTRUCTIONS.to_owned(), total.parse().ok()?);
        }
    }
    counts.contains_key(INSTRUCTIONS).then_some(counts)
}
