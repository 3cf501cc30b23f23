"""What the dashboards show: rows of panels, as plain data. dashboards.py makes Grafana's JSON of it.

The names of series are those of a scrape, which are those of a push by OTLP too, with Prometheus's default translation. Times and
sizes may be stored as fixed buckets or as native histograms, so what asks for them is written by `Classic` or by `Native`.
"""

from dataclasses import dataclass, field

CALLS = 'upstream=~"$upstream",model=~"$model"'
UPSTREAM = 'upstream=~"$upstream"'
GAUGE = 'instance=~"$instance"'

EVERY = "[$__rate_interval]"

FAILED = 'streamgauge_end=~"http_error|error_event|cut|timeout|refused"'

GEN_AI = "Needs `gen_ai` in `telemetry.metrics`."
PRICES = "Needs prices: of the catalogue, or your own (`prices`)."
SERVER_TIMES = "Only of upstreams that report it: vLLM with `--enable-per-request-metrics`, llama.cpp, Ollama, Groq, Cerebras."
LIMITS = "Only of upstreams that report it, as OpenAI and Anthropic do."
HTTP2 = "Only where connections of HTTP/2 to an upstream are all full."
REDIS = "Needs `state.redis`."
STORE = "Needs `content = \"store\"`."


@dataclass
class Query:
    """PromQL, and how each of its series is called."""

    expr: str
    legend: str = ""


@dataclass
class Panel:
    """One panel. Its thresholds are the values from which on it is yellow, or red if there is one alone."""

    title: str
    queries: list
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    description: str = ""
    thresholds: list = field(default_factory=list)
    stacked: bool = False
    exemplars: bool = False
    needs: str = ""


class Classic:
    """Histograms with fixed buckets."""

    title = "Streamgauge: LLM calls"
    uid = "streamgauge"
    file = "streamgauge.json"

    @staticmethod
    def quantile(share, metric, where, by=""):
        names = ", ".join(filter(None, ["le", by]))
        return f"histogram_quantile({share}, sum by ({names}) (rate({metric}_bucket{{{where}}}{EVERY})))"

    @staticmethod
    def heat(metric, where):
        return f"sum by (le) (increase({metric}_bucket{{{where}}}{EVERY}))"

    @staticmethod
    def count(metric, where, by):
        return f"sum by ({by}) (rate({metric}_count{{{where}}}{EVERY}))"

    @staticmethod
    def mean(metric, where, by):
        total = f"sum by ({by}) (rate({metric}_sum{{{where}}}{EVERY}))"
        return f"{total} / {Classic.count(metric, where, by)}"


class Native:
    """Native histograms: one series each, no buckets to name."""

    title = "Streamgauge: LLM calls (native histograms)"
    uid = "streamgauge-native"
    file = "streamgauge-native.json"

    @staticmethod
    def quantile(share, metric, where, by=""):
        return f"histogram_quantile({share}, {Native._sum(metric, where, by)})"

    @staticmethod
    def heat(metric, where):
        return f"sum(increase({metric}{{{where}}}{EVERY}))"

    @staticmethod
    def count(metric, where, by):
        return f"histogram_count({Native._sum(metric, where, by)})"

    @staticmethod
    def mean(metric, where, by):
        rates = Native._sum(metric, where, by)
        return f"histogram_sum({rates}) / histogram_count({rates})"

    @staticmethod
    def _sum(metric, where, by):
        by = f" by ({by})" if by else ""
        return f"sum{by} (rate({metric}{{{where}}}{EVERY}))"


def rate(metric, where, by):
    return f"sum by ({by}) (rate({metric}{{{where}}}{EVERY}))"


def quantiles(histograms, metric, where):
    """The three that people ask for."""
    return [Query(histograms.quantile(share, metric, where), name) for share, name in [(0.5, "P50"), (0.95, "P95"), (0.99, "P99")]]


def by_model(histograms, share, metric):
    return [Query(histograms.quantile(share, metric, CALLS, "model"), "{{model}}")]


def share_of(part, whole):
    """A share that is zero, and not absent, where the part has no series."""
    return f"({part} or 0 * {whole}) / {whole}"


def rows(histograms):
    """All rows of a dashboard: title and panels."""
    return [
        ("Now", now(histograms)),
        ("Calls and errors", calls()),
        ("Tokens and cost", tokens()),
        ("Latency", latency(histograms)),
        ("Streams", streams(histograms)),
        ("Agents and conversations", agents(histograms)),
        ("Upstreams", upstreams(histograms)),
        ("Streamgauge itself", itself(histograms)),
        ("Its processes", process()),
    ]


def now(histograms):
    calls = f"sum(rate(streamgauge_exchanges_total{{{CALLS},model!=\"\"}}{EVERY}))"
    failed = f"sum(rate(streamgauge_exchanges_total{{{CALLS},model!=\"\",{FAILED}}}{EVERY}))"
    first = histograms.quantile(0.95, "llm_stream_first_token_latency_seconds", CALLS)
    return [
        Panel("Calls", [Query(calls)], "reqps", "stat", 4),
        Panel("Failed", [Query(share_of(failed, calls))], "percentunit", "stat", 4, thresholds=[0.01, 0.05]),
        Panel("First token, P95", [Query(first)], "s", "stat", 4, thresholds=[2.5, 5]),
        Panel("Generated", [Query(f"sum(rate(llm_tokens_completion_total{{{CALLS}}}{EVERY}))")], "suffix:tokens/s", "stat", 4),
        Panel("Cost, 24 h", [Query(f"sum(increase(llm_tokens_cost_total{{{CALLS}}}[24h]))")], "currencyUSD", "stat", 4, needs=PRICES),
        Panel("In flight", [Query(f"sum(streamgauge_exchanges_in_flight{{{GAUGE}}})")], "short", "stat", 4),
    ]


def calls():
    whole = rate("streamgauge_exchanges_total", f'{CALLS},model!=""', "model")
    failed = rate("streamgauge_exchanges_total", f'{CALLS},model!="",{FAILED}', "model")
    return [
        Panel("Calls by model", [Query(rate("llm_requests_total", CALLS, "model"), "{{model}}")], "reqps", width=12, stacked=True),
        Panel(
            "Share of calls that fail, by model",
            [Query(share_of(failed, whole), "{{model}}")],
            "percentunit",
            width=12,
            description="Whoever was at fault; that a client left is no failure. Alert: StreamgaugeErrorRate, above 1 %.",
            thresholds=[0.01],
        ),
        Panel("Errors by type", [Query(rate("llm_errors_total", CALLS, "error_type"), "{{error_type}}")], "reqps", stacked=True),
        Panel(
            "How calls end",
            [Query(rate("streamgauge_exchanges_total", f'{CALLS},model!=""', "streamgauge_end"), "{{streamgauge_end}}")],
            "reqps",
            description="`client_left`: the client went away before the end.",
            stacked=True,
        ),
        Panel("Calls by route", [Query(rate("streamgauge_exchanges_total", CALLS, "http_route"), "{{http_route}}")], "reqps", stacked=True),
    ]


def tokens():
    cached = rate("gen_ai_client_inference_usage_cache_read_input_tokens_total", CALLS, "model")
    prompts = rate("gen_ai_client_inference_usage_input_tokens_total", CALLS, "model")
    dollars = "currencyUSD"
    return [
        Panel(
            "Cost by model, 24 h",
            [Query(f"sum by (model) (increase(llm_tokens_cost_total{{{CALLS}}}[24h])) > 0", "{{model}}")],
            dollars,
            "bargauge",
            needs=PRICES,
        ),
        Panel(
            "Cost an hour, by model",
            [Query(f"3600 * {rate('llm_tokens_cost_total', CALLS, 'model')}", "{{model}}")],
            dollars,
            stacked=True,
            needs=PRICES,
        ),
        Panel(
            "Cost of a call that has a price, by model",
            [Query(f"{rate('llm_tokens_cost_total', CALLS, 'model')} / {rate('llm_requests_total', CALLS, 'model')}", "{{model}}")],
            dollars,
            needs=PRICES,
        ),
        Panel(
            "Tokens by direction",
            [Query(rate("llm_tokens_total", CALLS, "token_type"), "{{token_type}}")],
            "suffix:tokens/s",
            stacked=True,
        ),
        Panel("Prompt tokens by model", [Query(rate("llm_tokens_prompt_total", CALLS, "model"), "{{model}}")], "suffix:tokens/s"),
        Panel("Generated tokens by model", [Query(rate("llm_tokens_completion_total", CALLS, "model"), "{{model}}")], "suffix:tokens/s"),
        Panel(
            "Share of prompt tokens from the cache, by model",
            [Query(f"{cached} / {prompts}", "{{model}}")],
            "percentunit",
            description="As upstreams report it.",
            needs=GEN_AI,
        ),
        Panel(
            "Calls without a price, 24 h",
            [Query(f"sum by (model) (increase(streamgauge_cost_unpriced_total{{{CALLS}}}[24h])) > 0", "{{model}}")],
            kind="bargauge",
            description="Their cost is missing above.",
        ),
        Panel(
            "Where token counts come from",
            [Query(rate("streamgauge_usage_calls_total", UPSTREAM, "streamgauge_usage_source"), "{{streamgauge_usage_source}}")],
            "reqps",
            stacked=True,
        ),
    ]


def latency(histograms):
    duration, first = "llm_request_duration_seconds", "llm_stream_first_token_latency_seconds"
    return [
        Panel("Duration of calls that went well", [Query(histograms.heat(duration, CALLS), "{{le}}")], "s", "heatmap", exemplars=True),
        Panel("Duration, P50, P95, P99", quantiles(histograms, duration, CALLS), "s", exemplars=True),
        Panel(
            "Duration, P99 by model",
            by_model(histograms, 0.99, duration),
            "s",
            description="Alert: StreamgaugeCallsLong, above 30 s.",
            thresholds=[30],
        ),
        Panel("Time to first token of streams", [Query(histograms.heat(first, CALLS), "{{le}}")], "s", "heatmap", exemplars=True),
        Panel("First token, P50, P95, P99", quantiles(histograms, first, CALLS), "s", exemplars=True),
        Panel(
            "First token, P95 by model",
            by_model(histograms, 0.95, first),
            "s",
            description="Above 5 s a chat feels dead. Alerts: StreamgaugeFirstTokenSlow, StreamgaugeFirstTokenObjective.",
            thresholds=[5],
        ),
    ]


def streams(histograms):
    token = "gen_ai_server_time_per_output_token_seconds"
    first = "streamgauge_time_to_first_seconds"
    streamed = histograms.count("streamgauge_gap_max_seconds", UPSTREAM, "upstream")
    return [
        Panel("Time per output token, P50 by model", by_model(histograms, 0.5, token), "s"),
        Panel("Time per output token, P95 by model", by_model(histograms, 0.95, token), "s"),
        Panel(
            "Time to the first of each kind, P95",
            [Query(histograms.quantile(0.95, first, UPSTREAM, "first"), "{{first}}")],
            "s",
            description="From the request's end to the first byte, event, token, reasoning, answer text, tool call.",
        ),
        Panel(
            "Stalls for each stream, by upstream",
            [Query(f"{rate('streamgauge_stalls_total', UPSTREAM, 'upstream')} / {streamed}", "{{upstream}}")],
            description="Gaps longer than `observe.stall_threshold`. Alert: StreamgaugeStalls, above 0.05.",
            thresholds=[0.05],
        ),
        Panel(
            "Longest gap of a stream, P95 by upstream",
            [Query(histograms.quantile(0.95, "streamgauge_gap_max_seconds", UPSTREAM, "upstream"), "{{upstream}}")],
            "s",
        ),
        Panel(
            "Share of calls that their client left, by model",
            [
                Query(
                    rate("streamgauge_exchanges_total", f'{CALLS},streamgauge_end="client_left"', "model")
                    + f" / {rate('streamgauge_exchanges_total', CALLS, 'model')}",
                    "{{model}}",
                )
            ],
            "percentunit",
        ),
        Panel(
            "Events and chunks",
            [
                Query(f"sum(rate(streamgauge_events_total{{{UPSTREAM}}}{EVERY}))", "events"),
                Query(f"sum(rate(streamgauge_chunks_total{{{UPSTREAM}}}{EVERY}))", "with output"),
            ],
            "cps",
        ),
        Panel(
            "Bytes",
            [
                Query(f"sum(rate(streamgauge_request_bytes_total{{{UPSTREAM}}}{EVERY}))", "requests"),
                Query(f"sum(rate(streamgauge_response_bytes_total{{{UPSTREAM}}}{EVERY}))", "responses"),
            ],
            "Bps",
        ),
    ]


def agents(histograms):
    tool, turns = "llm_tool_call_duration_seconds", "streamgauge_conversation_turns"
    repeated, retries = "streamgauge_agent_repeated_calls_total", "streamgauge_agent_retries_total"
    return [
        Panel(
            "Tool calls by tool",
            [Query(rate("gen_ai_tool_calls_total", CALLS, "tool_name"), "{{tool_name}}")],
            "cps",
            description="A spike is an agent in a loop. Alert: StreamgaugeToolCallSpike.",
            stacked=True,
        ),
        Panel(
            "Waits for tools, P95 by tool",
            [Query(histograms.quantile(0.95, tool, CALLS, "tool_name"), "{{tool_name}}")],
            "s",
            description="An upper bound of the tool's time, seen from the wire.",
        ),
        Panel(
            "Tool calls with the same arguments as before",
            [Query(rate(repeated, UPSTREAM, "tool_name"), "{{tool_name}}")],
            "cps",
            description="Within one conversation, from the third on (`conversations.repeated_calls`). Alert: StreamgaugeAgentInCircles.",
        ),
        Panel("Retries, by how the call before ended", [Query(rate(retries, UPSTREAM, "after"), "{{after}}")], "reqps", stacked=True),
        Panel("Turn of its conversation, P50, P95, P99", quantiles(histograms, turns, UPSTREAM)),
        Panel(
            "Tokens of a conversation so far, P50, P95, P99",
            quantiles(histograms, "streamgauge_conversation_tokens", UPSTREAM),
            "suffix:tokens",
        ),
        Panel(
            "Share of a prompt that was sent before, mean",
            [Query(histograms.mean("streamgauge_prompt_reused_ratio", UPSTREAM, "upstream"), "{{upstream}}")],
            "percentunit",
            description="What a prompt cache could serve.",
        ),
        Panel(
            "Prompts that changed before their end",
            [Query(rate("streamgauge_prompt_cache_breaks_total", UPSTREAM, "segment"), "{{segment}}")],
            "reqps",
            description="By the first part that changed. A cache serves nothing behind it.",
            stacked=True,
        ),
        Panel(
            "Tokens that a cache could have served and did not",
            [Query(rate("streamgauge_prompt_lost_tokens_total", UPSTREAM, "upstream"), "{{upstream}}")],
            "suffix:tokens/s",
            description="Only of upstreams that report cached tokens.",
        ),
    ]


def upstreams(histograms):
    def reported(title, name):
        metric = f"streamgauge_upstream_{name}_time_seconds"
        quantile = histograms.quantile(0.95, metric, UPSTREAM, "upstream")
        return Panel(f"{title}, P95", [Query(quantile, "{{upstream}}")], "s", width=6, needs=SERVER_TIMES)

    attempts = "http_client_request_duration_seconds"
    return [
        Panel(
            "Share of requests that an upstream failed",
            [
                Query(
                    share_of(
                        rate("streamgauge_upstream_failures_total", f'{UPSTREAM},kind!="4xx"', "upstream"),
                        rate("streamgauge_exchanges_total", f'{UPSTREAM},upstream!=""', "upstream"),
                    ),
                    "{{upstream}}",
                )
            ],
            "percentunit",
            description="Without the client's own mistakes (4xx). Objective: 0.5 %. Alert: StreamgaugeUnavailable.",
            thresholds=[0.005],
        ),
        Panel("Failures by kind", [Query(rate("streamgauge_upstream_failures_total", UPSTREAM, "kind") + " > 0", "{{kind}}")], "reqps"),
        Panel(
            "Left of a limit",
            [Query(f"min by (upstream, kind) (streamgauge_upstream_ratelimit_remaining{{{UPSTREAM}}})", "{{upstream}}: {{kind}}")],
            needs=LIMITS,
        ),
        reported("Queue of the server", "queue"),
        reported("Reading the prompt", "prefill"),
        reported("Generating", "decode"),
        reported("Loading the model", "load"),
        Panel(
            "Attempts by status",
            [Query(histograms.count(attempts, UPSTREAM, "http_response_status_code"), "{{http_response_status_code}}")],
            "reqps",
            description="No status: no response.",
            stacked=True,
        ),
        Panel(
            "Attempts after the first, by reason",
            [Query(rate("streamgauge_resends_total", UPSTREAM, "why, answered"), "{{why}}, answered: {{answered}}")],
            "reqps",
        ),
        Panel(
            "Waiting for a connection, P95",
            [Query(histograms.quantile(0.95, "streamgauge_upstream_wait_seconds", UPSTREAM, "upstream"), "{{upstream}}")],
            "s",
            needs=HTTP2,
        ),
        Panel(
            "Departures from the API reference, 24 h",
            [Query(f"sum by (upstream, quirk) (increase(streamgauge_quirks_total{{{UPSTREAM}}}[24h])) > 0", "{{upstream}}: {{quirk}}")],
            kind="bargauge",
            width=12,
            description="docs/quirks.md says what each is.",
        ),
        Panel(
            "What the observer could not read",
            [Query(rate("streamgauge_observation_problems_total", UPSTREAM, "kind"), "{{kind}}")],
            "cps",
            width=12,
        ),
    ]


def itself(histograms):
    different = f'sum(increase(streamgauge_integrity_total{{{UPSTREAM},result="different"}}[24h]))'
    return [
        Panel("Responses that differ, 24 h", [Query(different)], "short", "stat", 4, "Must be 0. Alert: StreamgaugeChangedBytes.", [0.5]),
        Panel("Version", [Query(f"sum by (version) (streamgauge_build_info{{{GAUGE}}})", "{{version}}")], "short", "stat", 4),
        Panel(
            "Time that streamgauge adds, P50, P95, P99",
            quantiles(histograms, "streamgauge_overhead_duration_seconds", UPSTREAM),
            "s",
            description="Alert: StreamgaugeAddsDelay, P99 above 25 ms.",
            exemplars=True,
        ),
        Panel("Calls in flight", [Query(f"streamgauge_exchanges_in_flight{{{GAUGE}}}", "{{instance}}")]),
        Panel(
            "Responses by comparison of bytes",
            [Query(rate("streamgauge_integrity_total", UPSTREAM, "result"), "{{result}}")],
            "reqps",
            stacked=True,
        ),
        Panel(
            "Dropped telemetry",
            [Query(rate("streamgauge_telemetry_dropped_total", GAUGE, "kind"), "{{kind}}")],
            "cps",
            description="Alert: StreamgaugeLosesTelemetry.",
        ),
        Panel("Failed exports", [Query(rate("streamgauge_export_failures_total", GAUGE, "signal"), "{{signal}}")], "cps"),
        Panel(
            "Objects for the store of prompts",
            [
                Query(rate("streamgauge_store_objects_total", GAUGE, "result"), "{{result}}"),
                Query(rate("streamgauge_store_errors_total", GAUGE, "instance"), "attempts that failed, {{instance}}"),
            ],
            "cps",
            description="`known`: the object was there. `failed` and `dropped` are lost.",
            needs=STORE,
        ),
        Panel("Rejected requests", [Query(rate("streamgauge_requests_rejected_total", GAUGE, "reason"), "{{reason}}")], "reqps"),
        Panel("Refused connections", [Query(rate("streamgauge_connections_refused_total", GAUGE, "reason"), "{{reason}}")], "cps"),
    ]


def process():
    """What the process takes. Other programs have series of the same names."""

    def ours(expr):
        return [Query(f"{expr} and on (job, instance) streamgauge_build_info", "{{instance}}")]

    return [
        Panel("Events that wait for an observer", [Query(f"streamgauge_observer_queue{{{GAUGE}}}", "{{instance}}")]),
        Panel("Processor", ours(f"rate(process_cpu_seconds_total{{{GAUGE}}}{EVERY})"), "suffix:cores", width=6),
        Panel("Memory", ours(f"process_resident_memory_bytes{{{GAUGE}}}"), "bytes", width=6),
        Panel(
            "File descriptors in use",
            ours(f"process_open_fds{{{GAUGE}}} / process_max_fds{{{GAUGE}}}"),
            "percentunit",
            width=6,
            description="Alert: StreamgaugeFewDescriptors, above 80 %.",
            thresholds=[0.8],
        ),
        Panel("Remembered calls", [Query(f"streamgauge_conversation_remembered_turns{{{GAUGE}}}", "{{instance}}")], width=6),
        Panel("Shared state is there", [Query(f"streamgauge_state_available{{{GAUGE}}}", "{{instance}}")], width=12, needs=REDIS),
        Panel(
            "Calls without what other replicas know",
            [Query(rate("streamgauge_state_unshared_total", GAUGE, "operation"), "{{operation}}")],
            "reqps",
            width=12,
            needs=REDIS,
        ),
    ]
