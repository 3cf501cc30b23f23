//! The command line: flags and their help. What values mean is the configuration's to know.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use http::Uri;

use crate::config::{Flags, parse_duration, vocabularies};

const UPSTREAM: &str =
    "Base URL of the upstream [env: STREAMGAUGE_UPSTREAM] [default: https://api.openai.com/v1]";
const UPSTREAM_MORE: &str = "What would stand in OPENAI_BASE_URL. With a file that has one [[upstream]] it takes the \
    place of that one's url; with several it is an error.";

/// A transparent, OpenAI-compatible reverse proxy that measures every call.
///
/// Point `OPENAI_BASE_URL` at it and each call is traced and counted by OpenTelemetry, its bytes untouched. Exporters
/// follow the standard `OTEL_*` variables.
#[derive(Debug, Parser)]
#[command(name = "streamgauge", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the proxy
    ///
    /// Takes requests as the API itself would, sends them to the upstream, and measures each. SIGTERM lets streams in
    /// flight finish; a second one ends it at once.
    Serve(ServeArgs),

    /// Run a simulated upstream, sample traffic and the proxy, in one process
    ///
    /// Needs no key and no network. Prints where to look, and what to try against it.
    Demo(DemoArgs),

    /// Run a simulated upstream
    ///
    /// Speaks the OpenAI API without a model behind it; GET /v1/models lists what each model name does.
    Simulate(SimulateArgs),

    /// Show what would be exported for a captured request and response
    ///
    /// Reads raw HTTP (a request and its response, or the response alone), HAR, or what curl -i or curl -v printed, and
    /// prints the spans and metric samples of each exchange, what could not be read, and what was assumed. Nothing is sent
    /// anywhere. What a capture does not say, above all when what came, is left out; no header and no credential is
    /// printed. Exit status 0 when all was explained; 1 for what cannot be read; 2 for a wrong command line.
    Explain(ExplainArgs),

    /// Check a configuration and print the effective one
    ///
    /// Prints it as TOML, secrets masked, to standard output, and looks at the OTEL_* variables as well. Exit status 0
    /// when all is good; 1 after listing everything that is wrong; 2 for a wrong command line.
    Check(CheckArgs),
}

/// Flags of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub sources: SourceArgs,
}

/// Flags of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The capture, of at most 64 MiB; - for standard input
    #[arg(value_name = "FILE")]
    pub capture: PathBuf,

    /// Path of the request, where the capture holds only the response, such as /v1/chat/completions
    ///
    /// Without it the API is told from the shape of the response.
    #[arg(long, value_name = "PATH", value_parser = path)]
    pub path: Option<Uri>,

    /// Vocabularies to print, separated by commas [default: those of the configuration]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = PossibleValuesParser::new(vocabularies()))]
    pub vocabulary: Vec<String>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Configuration file, TOML [env: STREAMGAUGE_CONFIG]
    ///
    /// Names the upstream that a captured host is, the vocabularies, and the limits.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Base URL of the upstream, where the capture does not say it [env: STREAMGAUGE_UPSTREAM]
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
}

impl From<&ExplainArgs> for Flags {
    fn from(args: &ExplainArgs) -> Self {
        Self {
            config: args.config.clone(),
            upstream: args.upstream.clone(),
            ..Self::default()
        }
    }
}

fn path(text: &str) -> Result<Uri, &'static str> {
    let path = text.parse().ok().filter(|_| text.starts_with('/'));
    path.ok_or("expected a path, such as /v1/chat/completions")
}

/// Flags of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub sources: SourceArgs,
}

/// Flags that a configuration is made from.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// Configuration file, TOML [env: STREAMGAUGE_CONFIG]
    ///
    /// Without one, flags and environment are enough for one upstream. Every scalar key of the file can also be given
    /// by an environment variable: STREAMGAUGE_ and its path in upper case, such as STREAMGAUGE_SHUTDOWN_DRAIN. A flag
    /// goes before a variable, a variable before the file.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where clients connect [env: STREAMGAUGE_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,

    /// Where metrics, health and the live page are served [env: STREAMGAUGE_ADMIN] [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<String>,

    /// Base URL of the upstream.
    #[arg(long, value_name = "URL", help = UPSTREAM, long_help = format!("{UPSTREAM}\n\n{UPSTREAM_MORE}"))]
    pub upstream: Option<String>,
}

impl From<&SourceArgs> for Flags {
    fn from(args: &SourceArgs) -> Self {
        Self {
            config: args.config.clone(),
            listen: args.listen.clone(),
            admin: args.admin.clone(),
            upstream: args.upstream.clone(),
        }
    }
}

/// Flags of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// End by itself after this long, such as 30s, with a summary
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub duration: Option<Duration>,

    /// Where clients connect [env: STREAMGAUGE_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,

    /// Where metrics, health and the live page are served [env: STREAMGAUGE_ADMIN] [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<String>,
}

impl From<&DemoArgs> for Flags {
    fn from(args: &DemoArgs) -> Self {
        Self {
            listen: args.listen.clone(),
            admin: args.admin.clone(),
            ..Self::default()
        }
    }
}

/// Flags of `simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Where the simulated upstream listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8000", value_parser = address)]
    pub listen: SocketAddr,
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "expected an IP address and a port, such as 127.0.0.1:8000 or [::]:8000")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
