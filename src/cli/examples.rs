//! Examples that the long help of each command ends with.

pub(super) const PROGRAM: &str = "\
Examples:
  # Try it: no key, no network
  streamgauge demo
  # Measure calls to OpenAI; the client sets OPENAI_BASE_URL=http://127.0.0.1:8080/v1 and keeps its key
  streamgauge serve
  # Measure calls to another server
  streamgauge serve --upstream http://vllm:8000/v1

`streamgauge COMMAND --help` has examples for each command.";

pub(super) const SERVE: &str = "\
Examples:
  # OpenAI; the client sets OPENAI_BASE_URL=http://127.0.0.1:8080/v1 and keeps its key
  streamgauge serve
  # Another server, and telemetry to a collector
  OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 streamgauge serve --upstream http://vllm:8000/v1
  # Several upstreams, and clients on other machines
  streamgauge serve --config streamgauge.toml --listen :8080
  # One line of JSON in the log for each call
  STREAMGAUGE_LOG_ACCESS=all streamgauge serve --log-format json";

pub(super) const DEMO: &str = "\
Examples:
  # Until Ctrl-C
  streamgauge demo
  # For half a minute, with a summary at the end
  streamgauge demo --for 30s";

pub(super) const SIMULATE: &str = "\
Examples:
  # An upstream at http://127.0.0.1:8000/v1, and the proxy in front of it
  streamgauge simulate
  streamgauge serve --upstream http://127.0.0.1:8000/v1
  # On another port
  streamgauge simulate --listen 9000";

pub(super) const EXPLAIN: &str = "\
Examples:
  # A recording of a browser or of an HTTP tool
  streamgauge explain calls.har
  # A response that curl prints with its head
  curl -si http://127.0.0.1:8000/v1/chat/completions -d @request.json |
    streamgauge explain --path /v1/chat/completions -
  # As JSON, in the names that Phoenix reads
  streamgauge explain --json --vocabulary openinference call.txt";

pub(super) const COST: &str = "\
Examples:
  # A usage as a response reports it
  streamgauge cost --provider openai --model gpt-4o --usage '{\"prompt_tokens\":1000,\"completion_tokens\":100}'
  # By an upstream's URL, for a tier of service, as JSON; the usage comes from standard input
  streamgauge cost --url https://api.openai.com/v1 --model o3 --context service_tier=flex --usage - --json
  # Many calls, an object a line: {\"provider\": …, \"model\": …, \"usage\": {…}, \"at\": \"2026-11-01\"}
  streamgauge cost --each calls.jsonl";

pub(super) const REDACT: &str = "\
Examples:
  # A prompt from a file
  streamgauge redact prompt.txt
  # A request, by a policy of your own
  streamgauge redact --config streamgauge.toml request.json";

pub(super) const PROMPT: &str = "\
Examples:
  # What a span names: streamgauge.prompt.hash for the prompt, streamgauge.answer.hash for the whole call
  streamgauge prompt --config streamgauge.toml 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
  # From a bucket, as JSON
  AWS_REGION=eu-central-1 streamgauge prompt --store s3://bucket/prompts --json 2c26b46b68ff";

pub(super) const CHECK: &str = "\
Examples:
  # What is wrong with a file, or what is in effect
  streamgauge check --config streamgauge.toml
  # The same of flags and variables
  OTEL_EXPORTER_OTLP_PROTOCOL=grpc streamgauge check --upstream http://vllm:8000/v1";

pub(super) const HEALTHCHECK: &str = "\
Examples:
  # Whether it is alive, at the admin address of the environment
  streamgauge healthcheck
  # Whether it takes new calls, which it does not while it drains
  streamgauge healthcheck --ready --config streamgauge.toml";

pub(super) const TOP: &str = "\
Examples:
  # The streamgauge of this machine
  streamgauge top
  # One elsewhere, whose admin port asks for a token: the variable is not seen in the list of processes
  STREAMGAUGE_ADMIN_TOKEN=... streamgauge top http://gauge.example.com:9464
  # Calls that were slow to begin, once, as a table
  streamgauge top --once --filter 'ttft>2s'
  # Failed calls as they end, as JSON lines
  streamgauge top --json --filter has:error
  # The turns of one conversation, once
  streamgauge top --once --conversation 151cbc0295c209efce2da536401e9ca3";

pub(super) const COMPLETIONS: &str = "\
Examples:
  # bash, for one user
  streamgauge completions bash > ~/.local/share/bash-completion/completions/streamgauge
  # zsh, in a folder of $fpath
  streamgauge completions zsh > /usr/local/share/zsh/site-functions/_streamgauge
  # fish
  streamgauge completions fish > ~/.config/fish/completions/streamgauge.fish";

pub(super) const MAN: &str = "\
Examples:
  # Read it
  streamgauge man | man -l -
  # Install it, with a page for each command
  streamgauge man --dir /usr/local/share/man/man1";
