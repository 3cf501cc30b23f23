//! The `streamgauge` program: flags in, exit status out.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use streamgauge::cli::{Cli, Command, SourceArgs};
use streamgauge::config::{self, Config, Environment};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Check(args) => check(&args.sources),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error gone there is nobody left to tell; the status still speaks.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn check(sources: &SourceArgs) -> Result<(), Box<dyn std::error::Error>> {
    let config = load(sources)?;
    io::stdout().write_all(config.to_toml().as_bytes())?;
    writeln!(io::stderr(), "ok")?;
    Ok(())
}

fn load(sources: &SourceArgs) -> Result<Config, config::Invalid> {
    config::load(&sources.into(), &Environment::of_process())
}
