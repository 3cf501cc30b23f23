//! `completions` and `man`: what is made of the command line's own description.

use std::fs;
use std::io::{self, Write as _};

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::version::VERSION;

pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "streamgauge", &mut script);
    print(&script)
}

pub(super) fn man(args: &ManArgs) -> anyhow::Result<()> {
    // The command `help` has no words of its own.
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let Some(folder) = &args.dir else {
        let mut text = Vec::new();
        page(program).render(&mut text)?;
        return print(&text);
    };
    let place = || format!("--dir {}", folder.display());
    fs::create_dir_all(folder).with_context(place)?;
    for command in program.get_subcommands() {
        page(command.clone())
            .generate_to(folder)
            .with_context(place)?;
    }
    page(program).generate_to(folder).with_context(place)?;
    Ok(())
}

/// The page of a command, without a date, so that it is the same whenever it is made.
fn page(command: clap::Command) -> Man {
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name());
    let title = name.to_uppercase();
    Man::new(command)
        .title(title)
        // An empty one would be left out by the crate `roff`, and what follows taken for the date.
        .date("\"\"")
        .source(format!("streamgauge {VERSION}"))
        .manual("streamgauge manual")
}

/// Prints it. A reader that has seen enough is no fault.
fn print(text: &[u8]) -> anyhow::Result<()> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
