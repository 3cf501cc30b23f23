//! The command line: flags and their help. What values mean is the configuration's to know.

mod examples;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use http::Uri;

use crate::config::{Flags, parse_address, parse_duration, vocabularies};
use crate::store::{self, HashPrefix, Location};
use crate::version::VERSION_AND_COMMIT;

const UPSTREAM: &str =
    "Base URL of the upstream [env: STREAMGAUGE_UPSTREAM] [default: https://api.openai.com/v1]";
const UPSTREAM_MORE: &str = "The URL that a client would have in OPENAI_BASE_URL. If the configuration file has one \
    [[upstream]], this replaces its url; if it has several, this is an error.";

/// A transparent, OpenAI-compatible reverse proxy that measures every call.
///
/// Set `OPENAI_BASE_URL` of a client to its address: each call is measured and exported by OpenTelemetry, and its bytes are not
/// changed. The standard `OTEL_*` variables set the export.
#[derive(Debug, Parser)]
#[command(name = "streamgauge", version = VERSION_AND_COMMIT, after_long_help = examples::PROGRAM)]
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
    /// Accepts the requests of the API, sends them to the upstream, and measures each. After SIGTERM, streams in flight may
    /// finish; a second SIGTERM stops the process at once.
    #[command(after_long_help = examples::SERVE)]
    Serve(ServeArgs),

    /// Run a simulated upstream, sample traffic and the proxy, in one process
    ///
    /// Needs no key and no network. Prints its addresses and example requests. If a default port is in use, takes a free one; an address
    /// that was chosen and is in use is an error.
    #[command(after_long_help = examples::DEMO)]
    Demo(DemoArgs),

    /// Run a simulated upstream
    ///
    /// Implements the OpenAI API without a model. GET /v1/models lists what each simulated model does.
    #[command(after_long_help = examples::SIMULATE)]
    Simulate(SimulateArgs),

    /// Show what would be exported for a captured request and response
    ///
    /// Reads raw HTTP (a request and its response, or the response alone), HAR, or the output of curl -i or curl -v. Prints
    /// the spans and metric samples of each exchange, what is not readable, and what is assumed. Sends nothing. Leaves out
    /// what a capture does not contain, such as most times. Prints no header and no credential. Exit status: 0 if
    /// everything was explained, 1 if the capture cannot be read, 2 for a wrong command line.
    #[command(after_long_help = examples::EXPLAIN)]
    Explain(ExplainArgs),

    /// Show what a call costs, and how that is worked out
    ///
    /// Prices come from the built-in catalogue, made from the package genai-prices, and from a file of your own. Amounts are
    /// exact. Exit status: 0 if there is a price, 1 if there is none, with --each for one of the lines, 2 for a wrong command line.
    #[command(after_long_help = examples::COST)]
    Cost(CostArgs),

    /// Show what the redaction takes out of a text
    ///
    /// Reads a text, or JSON, and prints it as it would be exported, by the `[redact]` settings of the configuration. Prints to
    /// standard error how often each detector found something. Sends nothing. Exit status: 0 if the text was read, 1 if it
    /// cannot be read, 2 for a wrong command line.
    #[command(after_long_help = examples::REDACT)]
    Redact(RedactArgs),

    /// Print a stored prompt, answer or message
    ///
    /// Reads the store that `content = "store"` writes to, by the hash that a span or a list in the store names, and checks that
    /// each object has that hash. Exit status: 0 if it was printed, 1 if it, or something that it names, is not there or cannot be
    /// read, 2 for a wrong command line.
    #[command(after_long_help = examples::PROMPT)]
    Prompt(PromptArgs),

    /// Check a configuration and print the effective one
    ///
    /// Prints it as TOML to standard output, with secrets masked, and to standard error where traces and metrics are
    /// exported to. Also checks the OTEL_* variables, and whether the folders `state.folder` and `store.url` can be made and written to, of
    /// which nothing is left. Exit status: 0 if everything is valid, 1 after listing everything that is wrong, 2 for a wrong command
    /// line.
    #[command(after_long_help = examples::CHECK)]
    Check(CheckArgs),

    /// Ask a running proxy whether it is alive
    ///
    /// For containers, whose image has no other program to ask with. Asks for /healthz at the admin address of the
    /// configuration, as serve has it; at this machine, if that is every address. Exit status: 0 if it is alive, 1 if it is
    /// not, with the reason, 2 for a wrong command line.
    #[command(after_long_help = examples::HEALTHCHECK)]
    Healthcheck(HealthcheckArgs),

    /// Show at a terminal what is in flight and what ended lately
    ///
    /// Reads the API of an admin port, on this machine or another. If standard output is not a terminal, prints a table once.
    /// Press ? for the keys. NO_COLOR turns colors off. Exit status: 0 if it was shown, 1 if the admin port does not answer, asks for
    /// another token, or does not understand the filter, 2 for a wrong command line.
    #[command(after_long_help = examples::TOP)]
    Top(TopArgs),

    /// Print a script that completes commands and flags in a shell
    #[command(after_long_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),

    /// Print the manual page, or write one for each command
    #[command(after_long_help = examples::MAN)]
    Man(ManArgs),
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

    /// Path of the request, if the capture contains only the response, such as /v1/chat/completions
    ///
    /// Without it the API is derived from the shape of the response.
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
    /// Sets the names of upstreams for captured hosts, the vocabularies, and the limits.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Base URL of the upstream, if the capture does not contain it [env: STREAMGAUGE_UPSTREAM]
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
}

/// Flags of `cost`.
#[derive(Debug, Args)]
pub struct CostArgs {
    /// The provider, by its name in the catalogue, such as openai, anthropic, azure, aws, google
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,

    /// Base URL of the upstream, from which the provider is derived
    #[arg(long, value_name = "URL", conflicts_with = "provider", value_parser = url)]
    pub url: Option<String>,

    /// The model, as the response names it
    #[arg(long, value_name = "MODEL", required_unless_present = "each")]
    pub model: Option<String>,

    /// The usage, as JSON; - for standard input
    ///
    /// As a response of any of the APIs reports it, alone or in the whole response, or by the units of the catalogue, such as
    /// {"input_tokens": 1000, "cache_read_tokens": 200, "output_tokens": 100}.
    #[arg(
        long,
        value_name = "JSON",
        conflicts_with = "each",
        required_unless_present = "each"
    )]
    pub usage: Option<String>,

    /// A file of calls, a JSON object a line; - for standard input. Prints a line of JSON for each
    #[arg(long, value_name = "FILE")]
    pub each: Option<PathBuf>,

    /// When the call was made: 2026-11-29, or 2026-11-29T12:30:00Z [default: now]
    ///
    /// Of a price of which it is not known since when it holds, a note says so.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub at: Option<SystemTime>,

    /// What else is known of the call, such as service_tier=flex or processing=batch
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub context: Vec<(String, String)>,

    /// A file of your own prices, TOML
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of `redact`.
#[derive(Debug, Args)]
pub struct RedactArgs {
    /// The text, UTF-8; - for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub text: PathBuf,

    /// Configuration file, TOML [env: STREAMGAUGE_CONFIG]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl From<&RedactArgs> for Flags {
    fn from(args: &RedactArgs) -> Self {
        Self {
            config: args.config.clone(),
            ..Self::default()
        }
    }
}

/// Flags of `prompt`.
#[derive(Debug, Args)]
pub struct PromptArgs {
    /// The hash: 64 hexadecimal digits, or the first 8 or more if no other begins with them
    #[arg(value_name = "HASH", value_parser = hash)]
    pub hash: HashPrefix,

    /// The store [default: that of the configuration]
    ///
    /// The path of a folder, file:///FOLDER, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, or
    /// abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX.
    #[arg(long, value_name = "URL", value_parser = location)]
    pub store: Option<Location>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Configuration file, TOML [env: STREAMGAUGE_CONFIG]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl From<&PromptArgs> for Flags {
    fn from(args: &PromptArgs) -> Self {
        Self {
            config: args.config.clone(),
            ..Self::default()
        }
    }
}

fn hash(text: &str) -> Result<HashPrefix, &'static str> {
    HashPrefix::parse(text).ok_or("expected 64 hexadecimal digits, or the first 8 or more of them")
}

fn location(text: &str) -> Result<Location, String> {
    Location::parse(text).ok_or_else(|| format!("expected {}", store::EXPECTED))
}

/// A day, or a second of it, UTC.
pub(crate) fn instant(text: &str) -> Result<SystemTime, &'static str> {
    let expected = "expected a time such as 2026-11-29 or 2026-11-29T12:30:00Z";
    let (day, second) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let day = crate::prices::Day::parse(day).ok_or(expected)?;
    let second = second.strip_suffix('Z').ok_or(expected)?;
    let parts: Vec<u64> = second
        .split(':')
        .map_while(|part| part.parse().ok())
        .collect();
    let &[hours, minutes, seconds] = parts.as_slice() else {
        return Err(expected);
    };
    if hours > 23 || minutes > 59 || seconds > 59 {
        return Err(expected);
    }
    Ok(day.start() + Duration::from_secs((hours * 60 + minutes) * 60 + seconds))
}

fn url(text: &str) -> Result<String, String> {
    match text.split_once("://") {
        Some(_) => Ok(text.to_owned()),
        None => Err(format!("the scheme is missing: expected https://{text}")),
    }
}

fn name_and_value(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text
        .split_once('=')
        .ok_or("expected NAME=VALUE, such as service_tier=flex")?;
    Ok((name.to_owned(), value.to_owned()))
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

    /// Also call each upstream and each OTLP receiver, and print what answered
    ///
    /// Asks each upstream for its models (GET /v1/models), with its key if it has one, within timeouts.connect. Sends an
    /// empty export to each receiver. Exit status: 1 if one does not answer, rejects a key, or does not take the export.
    #[arg(long)]
    pub probe: bool,
}

/// Flags of `healthcheck`.
#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// Ask whether it takes new calls (/readyz)
    #[arg(long)]
    pub ready: bool,

    /// Configuration file, TOML [env: STREAMGAUGE_CONFIG]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Address for metrics, health and the live page [env: STREAMGAUGE_ADMIN] [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<String>,
}

impl From<&HealthcheckArgs> for Flags {
    fn from(args: &HealthcheckArgs) -> Self {
        Self {
            config: args.config.clone(),
            admin: args.admin.clone(),
            ..Self::default()
        }
    }
}

/// Flags of `top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// URL of the admin port
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:9464")]
    pub url: String,

    /// Token of the admin port, if it asks for one [env: STREAMGAUGE_ADMIN_TOKEN]
    ///
    /// Other users of the machine can read a flag in the list of processes; the variable they cannot.
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,

    /// Show only exchanges that match, such as 'model:gpt* ttft>2s -end:done'
    #[arg(short, long, value_name = "QUERY")]
    pub filter: Option<String>,

    /// Most exchanges to show, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,

    /// Show the conversation with this id, of 32 hexadecimal digits, or the only one that begins with these, 8 or more
    #[arg(long, value_name = "ID", value_parser = conversation_id, conflicts_with_all = ["filter", "limit"])]
    pub conversation: Option<String>,

    /// Print once what is in flight and what ended lately, or a conversation, and end
    #[arg(long)]
    pub once: bool,

    /// Print JSON: with --once or --conversation one document, otherwise a line for each exchange that ends from now on
    #[arg(long)]
    pub json: bool,
}

/// The id of a conversation as the API has it, or its beginning.
fn conversation_id(text: &str) -> Result<String, &'static str> {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match (8..=32).contains(&text.len()) && is_hex {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("expected 8 to 32 hexadecimal digits"),
    }
}

/// Flags of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// Flags of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder for a page of the program and one of each command [default: print that of the program]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Flags that a configuration is made from.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// Configuration file, TOML [env: STREAMGAUGE_CONFIG]
    ///
    /// A single upstream needs no file: flags and environment are enough. Every setting that is
    /// not one of an upstream or a route can also be set by an environment variable: STREAMGAUGE_ and its path in upper
    /// case, such as STREAMGAUGE_SHUTDOWN_DRAIN. Precedence: flag, variable, file, default.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Address for clients [env: STREAMGAUGE_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,

    /// Address for metrics, health and the live page [env: STREAMGAUGE_ADMIN] [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<String>,

    /// Base URL of the upstream.
    #[arg(long, value_name = "URL", help = UPSTREAM, long_help = format!("{UPSTREAM}\n\n{UPSTREAM_MORE}"))]
    pub upstream: Option<String>,

    /// Least severe level that is logged: error, warn, info, debug, trace [env: STREAMGAUGE_LOG_LEVEL] [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,

    /// Format of the log: text or json [env: STREAMGAUGE_LOG_FORMAT] [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl From<&SourceArgs> for Flags {
    fn from(args: &SourceArgs) -> Self {
        Self {
            config: args.config.clone(),
            listen: args.listen.clone(),
            admin: args.admin.clone(),
            upstream: args.upstream.clone(),
            log_level: args.log_level.clone(),
            log_format: args.log_format.clone(),
        }
    }
}

/// Flags of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Stop after this time, such as 30s, and print a summary
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub duration: Option<Duration>,

    /// Address for clients [env: STREAMGAUGE_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,

    /// Address for metrics, health and the live page [env: STREAMGAUGE_ADMIN] [default: 127.0.0.1:9464]
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
    /// Address for clients of the simulated upstream
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8000", value_parser = address)]
    pub listen: SocketAddr,
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    parse_address(text).ok_or(
        "expected an IP address and a port, such as 127.0.0.1:8000 or [::]:8000, :8000 for all addresses, or 8000 or \
         localhost:8000 for this machine alone; port 0 is any free port",
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    /// The arguments of each example in a command's help.
    fn examples(command: &clap::Command) -> Vec<Vec<String>> {
        let help = command.get_after_long_help().map(ToString::to_string);
        let help = help.unwrap_or_else(|| panic!("{} has no examples", command.get_name()));
        let lines = help.lines().filter(|line| line.starts_with("  "));
        let arguments = lines.filter_map(|line| line.split_once("streamgauge "));
        arguments
            .filter(|(before, _)| !before.contains('#'))
            .map(|(_, after)| {
                after
                    .split(' ')
                    .take_while(|word| !matches!(*word, ">" | "|"))
                    .map(|word| word.trim_matches('\'').to_owned())
                    .collect()
            })
            .collect()
    }

    #[test]
    fn the_help_of_each_command_has_examples_that_can_be_run() {
        let program = Cli::command();
        for command in program.get_subcommands().chain([&program]) {
            let examples = examples(command);
            let name = command.get_name();
            let is_its_own = |words: &Vec<String>| words[0] == name || name == "streamgauge";
            assert!(examples.iter().any(is_its_own), "{name}");
            for words in examples {
                let line = ["streamgauge".to_owned()].into_iter().chain(words.clone());
                let parsed = Cli::try_parse_from(line);
                assert!(parsed.is_ok(), "{name}: {words:?}: {}", parsed.unwrap_err());
            }
        }
    }
}
