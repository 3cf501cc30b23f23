//! The `streamgauge` program: flags in, exit status out.

use std::process::ExitCode;

use clap::Parser as _;
use streamgauge::app;
use streamgauge::cli::Cli;

/// A request and its telemetry allocate some hundred times, mostly on one thread to be freed on another. With the
/// system's allocator a request costs a fifth more, a chunk a sixth.
///
/// Threads of its own give back to the system what has been free for a second, as `.cargo/config.toml` says. Without them a
/// thread gives back only when it allocates again, and the one that counts tokens would keep 30 MB of its tables for as long
/// as it has nothing to do.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match app::run(&Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        // It has said why.
        Err(_) => ExitCode::FAILURE,
    }
}
