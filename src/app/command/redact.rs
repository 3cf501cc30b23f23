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

pub(super) fn redact(args: &RedactArgs) -> anyhow::Result<()> {
    let environment = Environment::of_process();
    let Loaded { config, .. } = config::load(&Flags::from(args), &environment)?;
    let text = read(&args.text).with_context(|| args.text.display().to_string())?;
    let redactor = Redactor::new(config.pipeline.redact.policy);
    let redacted = redactor.redact(&text);
    io::stdout().write_all(redacted.as_deref().unwrap_or(&text).as_bytes())?;
    let marks = redacted.as_deref().map(|redacted| redactor.marks(redacted));
    let mut told = io::stderr();
    match marks.unwrap_or_default().as_slice() {
        [] if redacted.is_some() => writeln!(told, "withheld: longer than redact.max_bytes")?,
        [] => writeln!(told, "nothing found")?,
        marks => {
            for (mark, count) in marks {
                writeln!(told, "{mark} {count}")?;
            }
        }
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
