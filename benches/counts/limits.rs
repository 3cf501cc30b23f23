//! `benches/counts.json`: what was counted when it was last written, and what may be counted today.

use std::error::Error;
use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::UPDATE;
use crate::tool::{ALLOCATIONS, Counts, INSTRUCTIONS, SYSTEM_CALLS};
use crate::unit::{UNITS, Unit};

const COUNTS: [&str; 3] = [SYSTEM_CALLS, ALLOCATIONS, INSTRUCTIONS];

/// By how much a count may exceed what is written down: a little more than it differs from run to run.
fn margin(count: &str, written: f64) -> f64 {
    match count {
        // What falls due by the clock, such as exports, makes tenths. One call more each time makes one.
        SYSTEM_CALLS => 0.3,
        ALLOCATIONS => (written * 0.005).max(0.05),
        // Runs differ by 0.4 % to either side, on a busy machine too.
        _ => written * 0.02,
    }
}

/// Stands at the head of the file.
const ABOUT: &str = "System calls (without futex and clock_nanosleep), allocations and instructions of the whole proxy with all telemetry on. `cargo bench --bench counts` fails where one grows; `-- --update` writes this file. Instructions are compared only where rustc is the same.";

/// The file.
pub(crate) struct Limits(Value);

/// One count beside its limit.
pub(crate) struct Row {
    /// Its name.
    pub(crate) count: &'static str,
    /// What it was counted of.
    pub(crate) unit: &'static str,
    /// What was counted now.
    pub(crate) found: f64,
    /// What is in the file.
    pub(crate) written: f64,
    /// The most that passes.
    pub(crate) allowed: f64,
    /// What comes of it.
    pub(crate) verdict: Verdict,
}

/// What comes of a comparison.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Neither more nor less.
    Kept,
    /// More than is allowed.
    Grown,
    /// So much less that the file should say so.
    Shrunk,
    /// Not to be compared: another compiler makes other instructions.
    OtherCompiler,
}

impl Limits {
    /// What a file says that is written from these counts.
    ///
    /// # Errors
    ///
    /// The compiler does not tell its version.
    pub(crate) fn of(counted: &[(Unit, Counts)]) -> io::Result<Self> {
        let mut file = json!({"about": ABOUT, "rustc": rustc_version()?});
        for (unit, counts) in counted {
            let hundredths = |name: &str| {
                let count = counts.get(name).copied().unwrap_or_default();
                (name.to_owned(), json!((count * 100.0).round() / 100.0))
            };
            file[unit.name] = COUNTS
                .map(hundredths)
                .into_iter()
                .collect::<Map<_, _>>()
                .into();
        }
        Ok(Self(file))
    }

    /// Reads the file.
    ///
    /// # Errors
    ///
    /// It is not there, or a value that must be in it is not.
    pub(crate) fn read(file: &Path) -> Result<Self, Box<dyn Error>> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("{}: {error}; `{UPDATE}` writes it", file.display()))?;
        let limits = Self(serde_json::from_str(&text)?);
        for unit in UNITS {
            for count in COUNTS {
                limits.written(unit, count).ok_or_else(|| {
                    let name = unit.name;
                    format!(
                        "{}: no {name}.{count}; `{UPDATE}` writes it",
                        file.display()
                    )
                })?;
            }
        }
        Ok(limits)
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        format!("{:#}\n", self.0)
    }

    /// Every count of a unit beside its limit.
    pub(crate) fn rows(&self, unit: Unit, counts: &Counts) -> Vec<Row> {
        let same_compiler = rustc_version().is_ok_and(|rustc| self.0["rustc"] == rustc);
        let row = |count| {
            let found = counts.get(count).copied().unwrap_or_default();
            let written = self.written(unit, count).unwrap_or_default();
            let margin = margin(count, written);
            let verdict = match found {
                _ if count == INSTRUCTIONS && !same_compiler => Verdict::OtherCompiler,
                found if found > written + margin => Verdict::Grown,
                found if found < written - margin => Verdict::Shrunk,
                _ => Verdict::Kept,
            };
            Row {
                count,
                unit: unit.name,
                found,
                written,
                allowed: written + margin,
                verdict,
            }
        };
        COUNTS.map(row).into()
    }

    fn written(&self, unit: Unit, count: &str) -> Option<f64> {
        self.0[unit.name][count].as_f64()
    }
}

impl Row {
    /// Its cells in the table.
    pub(crate) fn cells(&self) -> [String; 5] {
        let verdict = match self.verdict {
            Verdict::Kept => "kept",
            Verdict::Grown => "grown",
            Verdict::Shrunk => "shrunk",
            Verdict::OtherCompiler => "not compared: another compiler",
        };
        [
            format!("{} of {}", self.count, self.unit),
            format!("{:.2}", self.found),
            format!("{:.2}", self.written),
            format!("{:.2}", self.allowed),
            verdict.to_owned(),
        ]
    }
}

fn rustc_version() -> io::Result<String> {
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .arg("--version")
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
