//! `redact`: what the redaction of a configuration takes out of a text.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use anyhow::Context as _;

use crate::cli::RedactArgs;
use crate::config::{self, Environment, Flags, Loaded};
use crate::redact::Redactor;

/// Largest text that is read, in bytes.
const TEXT_BYTES_MAX: u64 = 64 << 20;

/// What stands in place of what is withheld begins so.
const WITHHELD: &str = "[withheld: ";

pub(super) fn redact(args: &RedactArgs) -> anyhow::Result<()> {
    let environment = Environment::of_process();
    let Loaded { config, .. } = config::load(&Flags::from(args), &environment)?;
    let text = read(&args.text).with_context(|| args.text.display().to_string())?;
    let policy = config.pipeline.redact.policy;
    let is_too_long = text.len() > policy.max_bytes;
    let redactor = Redactor::new(policy);
    let redacted = redactor.redact(&text);
    io::stdout().write_all(redacted.as_deref().unwrap_or(&text).as_bytes())?;
    let mut told = io::stderr();
    let Some(redacted) = redacted else {
        writeln!(told, "nothing found")?;
        return Ok(());
    };
    let marks = redactor.marks(&redacted);
    for (mark, count) in &marks {
        writeln!(told, "{mark} {count}")?;
    }
    if is_too_long {
        writeln!(told, "withheld: longer than redact.max_bytes")?;
    } else if redacted.contains(WITHHELD) && !text.contains(WITHHELD) {
        let why = "JSON that lies too deep in the strings of other JSON to be looked through";
        writeln!(told, "withheld: {why}")?;
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin()
            .lock()
            .take(TEXT_BYTES_MAX)
            .read_to_string(&mut text)?;
    } else {
        File::open(path)?
            .take(TEXT_BYTES_MAX)
            .read_to_string(&mut text)?;
    }
    Ok(text)
}
