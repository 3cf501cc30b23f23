//! What a unary request and a streamed chunk take of the machine that does not depend on how fast it is: system calls,
//! allocations, instructions.
//!
//! `cargo bench --bench counts` counts them, prints them beside the limits in `benches/counts.json`, and fails where one
//! has grown; `-- --update` writes the file anew. Wants strace and valgrind.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table and the verdict are what the bench is for"
)]

mod limits;
#[path = "../support/mod.rs"]
mod support;
mod tool;
mod unit;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;

use limits::{Limits, Row, Verdict};
use support::figure;
use support::otlp::Receiver;
use support::upstream::CHUNKS_PER_WRITE;
use support::upstreams::Upstreams;
use tool::{Counts, TOOLS, Tool};
use unit::{Scene, UNITS, Unit};

/// The command that a reader is told to run.
const UPDATE: &str = "cargo bench --bench counts -- --update";

/// Counts what a request and a chunk cost, and compares it with what is written down.
#[derive(Parser)]
struct Options {
    /// Write what was counted to the file instead of comparing it.
    #[arg(long)]
    update: bool,
    /// The file with the limits.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/counts.json"))]
    limits: PathBuf,
    /// Only these.
    #[arg(long, value_delimiter = ',', conflicts_with = "update", value_parser = PossibleValuesParser::new(UNITS.map(|unit| unit.name)))]
    only: Vec<String>,
    /// Also leaves in this folder what callgrind has written, for `callgrind_annotate`.
    #[arg(long)]
    profiles: Option<PathBuf>,
    /// Also prints which system calls they were.
    #[arg(long)]
    verbose: bool,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse();
    let folder = std::env::temp_dir().join(format!("streamgauge-counts-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let scene = Scene {
        upstreams: Upstreams::start(CHUNKS_PER_WRITE, &folder)?,
        collector: Receiver::start()?,
        folder,
        profiles: options.profiles.clone(),
    };
    let outcome = outcome(&options, &scene);
    // What is left of it is in the system's folder for such things.
    drop(std::fs::remove_dir_all(&scene.folder));
    outcome
}

/// Counts everything, and writes it down or compares it.
fn outcome(options: &Options, scene: &Scene) -> Result<ExitCode, Box<dyn Error>> {
    if options.update {
        let mut counted = Vec::new();
        for unit in UNITS {
            counted.push((unit, count_unit(scene, unit, options.verbose)?));
        }
        std::fs::write(&options.limits, Limits::of(&counted)?.text())?;
        println!("wrote {}", options.limits.display());
        return Ok(ExitCode::SUCCESS);
    }
    let limits = Limits::read(&options.limits)?;
    let mut rows = Vec::new();
    let asked =
        |unit: &Unit| options.only.is_empty() || options.only.iter().any(|name| name == unit.name);
    for unit in UNITS.into_iter().filter(asked) {
        let mut counts = count_unit(scene, unit, options.verbose)?;
        if has_grown(&limits.rows(unit, &counts)) {
            eprintln!("more than is allowed: once more");
            for (name, again) in count_unit(scene, unit, options.verbose)? {
                // What other programs on a machine do to a run, it has more from, never less.
                counts
                    .entry(name)
                    .and_modify(|each| *each = each.min(again))
                    .or_insert(again);
            }
        }
        rows.extend(limits.rows(unit, &counts));
    }
    Ok(report(&rows, &options.limits))
}

fn has_grown(rows: &[Row]) -> bool {
    rows.iter().any(|row| row.verdict == Verdict::Grown)
}

/// A unit with every tool.
fn count_unit(scene: &Scene, unit: Unit, verbose: bool) -> Result<Counts, Box<dyn Error>> {
    let mut counts = Counts::new();
    for tool in TOOLS {
        eprintln!("{} under {}", unit.name, tool.program());
        counts.extend(count(scene, unit, tool)?);
    }
    if verbose {
        for (name, each) in &counts {
            println!("{}: {each:.3} {name}", unit.name);
        }
    }
    Ok(counts)
}

/// What one more unit takes: the difference between a long and a short run, so that start and end fall out.
fn count(scene: &Scene, unit: Unit, tool: Tool) -> Result<Counts, Box<dyn Error>> {
    const SHORT: u32 = 200;
    let long = SHORT + unit.repeats();
    let short = scene.run(unit, SHORT, tool)?;
    let mut each = scene.run(unit, long, tool)?;
    for (name, total) in &mut each {
        let before = short.get(name).copied().unwrap_or(0.0);
        *total = (*total - before) / f64::from(long - SHORT);
    }
    Ok(each)
}

/// Prints what was counted beside its limits, and then, in the words of `cargo test`, which ones have grown: `scripts/test` closes with
/// those lines.
fn report(rows: &[Row], file: &Path) -> ExitCode {
    println!(
        "{}",
        figure::head(&["counted", "each", "written down", "allowed", ""].map(str::to_owned))
    );
    for row in rows {
        println!("{}", figure::row(&row.cells()));
    }
    println!();
    for row in rows.iter().filter(|row| row.verdict == Verdict::Shrunk) {
        println!(
            "{} of {} have shrunk from {:.2} to {:.2}: run `{UPDATE}` to keep it so.",
            row.count, row.unit, row.written, row.found,
        );
    }
    let grown = rows.iter().filter(|row| row.verdict == Verdict::Grown);
    let failed = grown.clone().count();
    if failed > 0 {
        println!("failures:");
    }
    for row in grown {
        println!(
            "    {} of {} have grown: {:.2} each, at most {:.2} are allowed ({} says {:.2}). Mend it, or, where it is worth it, say why in the commit and run `{UPDATE}`.",
            row.count,
            row.unit,
            row.found,
            row.allowed,
            file.display(),
            row.written,
        );
    }
    println!(
        "test result: {}. {} passed; {failed} failed",
        if failed == 0 { "ok" } else { "FAILED" },
        rows.len() - failed
    );
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
