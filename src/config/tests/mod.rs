//! Loading and rendering as a whole: precedence, secrets, the way back.

mod documented;
mod wrong;

use std::path::Path;

use proptest::prelude::*;

use super::document::Document;
use super::load::assemble;
use super::settings::{SETTINGS, variable};
use super::*;
use crate::proxy::{DrainLimits, OnClientLeft, Route};
use crate::upstream::{HttpVersion, KeepAlive, Key, UpstreamConfig, UpstreamTls};

type Variables<'a> = &'a [(&'a str, &'a str)];

fn load_from(flags: &Flags, variables: Variables<'_>, text: &str) -> Result<Config, Vec<String>> {
    let environment = variables.iter().copied().collect();
    let path = Path::new("s.toml");
    let mut problems = Vec::new();
    let config = assemble(
        flags,
        &environment,
        Some(Document { path, text }),
        &mut problems,
        &mut Vec::new(),
    );
    problems.sort();
    let problems: Vec<_> = problems.iter().map(Problem::to_string).collect();
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(problems)
    }
}

fn load_text(text: &str) -> Result<Config, Vec<String>> {
    load_from(&Flags::default(), &[], text)
}

fn warnings_of(variables: Variables<'_>) -> Vec<String> {
    let environment = variables.iter().copied().collect();
    let loaded = load(&Flags::default(), &environment).expect("only warnings");
    loaded.warnings.iter().map(Problem::to_string).collect()
}

fn problems_of(text: &str) -> Vec<String> {
    load_text(text).expect_err(text)
}

/// `Debug` shows every field but secrets, so equal texts are equal configurations.
fn assert_same(left: &Config, right: &Config) {
    assert_eq!(format!("{left:#?}"), format!("{right:#?}"));
}

#[test]
fn a_flag_goes_before_a_variable_before_the_file_before_the_default() {
    let file = "listen = '127.0.0.1:3'";
    let variable = [("STREAMGAUGE_LISTEN", "127.0.0.1:2")];
    let flags = Flags {
        listen: Some("127.0.0.1:1".into()),
        ..Flags::default()
    };
    let none = Flags::default();
    let cases: [(&Flags, Variables, &str, u16); 5] = [
        (&flags, &variable, file, 1),
        (&none, &variable, file, 2),
        (&none, &[], file, 3),
        (&none, &[], "", 8080),
        (&none, &[("STREAMGAUGE_LISTEN", "")], file, 3),
    ];
    for (flags, variables, file, port) in cases {
        assert_eq!(
            load_from(flags, variables, file).unwrap().listen.port(),
            port
        );
    }
}

#[test]
fn the_upstream_follows_the_same_precedence_and_keeps_its_other_settings() {
    let file = "[[upstream]]\nname = 'vllm'\nurl = 'http://file/v1'\nprovider = 'vllm'";
    let variable = [("STREAMGAUGE_UPSTREAM", "http://variable/v1")];
    let flags = Flags {
        upstream: Some("http://flag/v1".into()),
        ..Flags::default()
    };
    let none = Flags::default();
    let cases: [(&Flags, Variables, &str, &str); 5] = [
        (&flags, &variable, file, "vllm http://flag/v1"),
        (&none, &variable, file, "vllm http://variable/v1"),
        (&none, &[], file, "vllm http://file/v1"),
        (&flags, &[], "", "default http://flag/v1"),
        (&none, &[], "", "default https://api.openai.com/v1"),
    ];
    for (flags, variables, file, expected) in cases {
        let config = load_from(flags, variables, file).unwrap();
        let [upstream] = config.proxy.upstreams.as_slice() else {
            panic!("one upstream")
        };
        assert_eq!(format!("{} {}", upstream.name, upstream.url), expected);
        let named = if file.is_empty() { None } else { Some("vllm") };
        assert_eq!(upstream.provider.as_deref(), named);
    }
}

#[test]
fn a_url_by_flag_stands_in_for_one_that_is_missing() {
    let flags = Flags {
        upstream: Some("http://flag/v1".into()),
        ..Flags::default()
    };
    let config = load_from(&flags, &[], "[[upstream]]\nname = 'a'").unwrap();
    assert_eq!(config.proxy.upstreams[0].url, "http://flag/v1");
}

#[test]
fn the_provider_of_the_only_upstream_can_be_given_by_its_variable() {
    let variables = [("STREAMGAUGE_UPSTREAM_PROVIDER", "vllm")];
    let load = |text| load_from(&Flags::default(), &variables, text);
    for text in [
        "",
        "[[upstream]]\nname = 'a'\nurl = 'http://a'\nprovider = 'b'",
    ] {
        let config = load(text).unwrap();
        let provider = config.proxy.upstreams[0].provider.as_deref();
        assert_eq!(provider, Some("vllm"));
    }
    let several = "upstream = [{ name = 'a', url = 'http://a' }, { name = 'b', url = 'http://b' }]\n\
        [[route]]\nupstream = 'a'";
    assert_eq!(
        load(several).unwrap_err(),
        [
            "STREAMGAUGE_UPSTREAM_PROVIDER=vllm: expected one upstream: set upstream.provider of each in the file"
        ]
    );
}

/// Where content goes: everywhere, from the upstream, from the route.
fn content(variables: Variables, text: &str) -> Result<[String; 3], Vec<String>> {
    let config = load_from(&Flags::default(), variables, text)?;
    let rules = &config.observe.content;
    let policies = [
        Some(rules.default),
        rules.upstreams.get("a").copied(),
        rules.routes.get(&0).copied(),
    ];
    Ok(policies.map(|policy| policy.map_or_else(String::new, super::write::write_content)))
}

#[test]
fn content_is_told_for_all_for_an_upstream_and_for_a_route() {
    let file = "content = 'events'\n[[upstream]]\nname = 'a'\nurl = 'http://a'\ncontent = 'attributes+events'\n\
        [[route]]\nupstream = 'a'\ncontent = 'off'";
    let expected = ["\"events\"", "\"attributes+events\"", "\"off\""];
    assert_eq!(content(&[], file).unwrap(), expected);
    let config = load_from(&Flags::default(), &[], file).unwrap();
    assert_same(&load_text(&config.to_toml()).unwrap(), &config);
    assert_eq!(
        content(&[("STREAMGAUGE_CONTENT", "attributes+attributes")], "").unwrap_err(),
        [concat!(
            "STREAMGAUGE_CONTENT=attributes+attributes: expected \"off\", or one or more of \"attributes\", ",
            "\"events\" and \"store\" with + between them"
        )]
    );
}

#[test]
fn the_variable_that_instrumentations_read_is_read_too() {
    const CAPTURE: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
    for (value, expected) in [
        ("NO_CONTENT", "off"),
        ("false", "off"),
        ("span_only", "attributes"),
        ("EVENT_ONLY", "events"),
        ("True", "events"),
        ("SPAN_AND_EVENT", "attributes+events"),
    ] {
        let [policy, ..] = content(&[(CAPTURE, value)], "content = 'events'").unwrap();
        assert_eq!(policy, format!("\"{expected}\""), "{value}");
    }
    let both = [(CAPTURE, "SPAN_ONLY"), ("STREAMGAUGE_CONTENT", "off")];
    assert_eq!(content(&both, "").unwrap()[0], "\"off\"");
    assert_eq!(
        content(&[(CAPTURE, "all")], "").unwrap_err(),
        [format!(
            "{CAPTURE}=all: expected NO_CONTENT, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT, true or false"
        )]
    );
}

#[test]
fn patterns_of_the_users_own_are_checked() {
    let config = load_text("[redact]\npatterns = { STAFF_ID = 'E-\\d+' }").unwrap();
    let patterns = &config.pipeline.redact.policy.patterns;
    assert_eq!(
        (patterns[0].name(), patterns[0].pattern()),
        ("STAFF_ID", r"E-\d+")
    );
    assert_same(&load_text(&config.to_toml()).unwrap(), &config);
    let wrong = load_text("[redact.patterns]\nA = 'x*'").unwrap_err();
    assert!(
        wrong[0].ends_with("expected a regular expression that does not match the empty text"),
        "{wrong:?}"
    );
}

#[test]
fn every_setting_can_be_given_by_its_variable() {
    let variables = [
        ("STREAMGAUGE_PRICES", "config/own-prices.toml"),
        ("STREAMGAUGE_LISTEN", "[::]:1"),
        ("STREAMGAUGE_ADMIN", "[::]:2"),
        ("STREAMGAUGE_CONTENT", "attributes+events"),
        ("STREAMGAUGE_ADMIN_ADDRESS", "[::]:3"),
        ("STREAMGAUGE_ADMIN_TOKEN", "a-secret-of-length"),
        ("STREAMGAUGE_ADMIN_OPEN", "true"),
        ("STREAMGAUGE_ADMIN_OPEN_METRICS", "false"),
        ("STREAMGAUGE_ADMIN_TRACE_URL", "http://t/{trace_id}"),
        ("STREAMGAUGE_ADMIN_HISTORY", "500"),
        ("STREAMGAUGE_ADMIN_HISTORY_BYTES", "1MiB"),
        ("STREAMGAUGE_ADMIN_KEEP", "2h"),
        ("STREAMGAUGE_ADMIN_KEEP_BYTES", "4MiB"),
        ("STREAMGAUGE_TLS_CERTIFICATE", "c.pem"),
        ("STREAMGAUGE_TLS_KEY", "k.pem"),
        ("STREAMGAUGE_ALLOW_ORIGINS", "https://a, app://b"),
        ("STREAMGAUGE_ALLOW_HOSTS", "a.example,::1"),
        ("STREAMGAUGE_ALLOW_ADMIN_HOSTS", "metrics"),
        ("STREAMGAUGE_LIMITS_INSPECT_BYTES", "1MiB"),
        ("STREAMGAUGE_LIMITS_MEMORY", "1GiB"),
        ("STREAMGAUGE_LIMITS_CLIENT_IDLE", "5m"),
        ("STREAMGAUGE_LIMITS_CLIENT_BODY", "off"),
        ("STREAMGAUGE_LIMITS_DRAINED_CALLS", "9"),
        ("STREAMGAUGE_LIMITS_LABEL_VALUES", "7"),
        ("STREAMGAUGE_USAGE_INJECT", "false"),
        ("STREAMGAUGE_USAGE_RECHECK", "off"),
        ("STREAMGAUGE_SHUTDOWN_DRAIN", "1h30m"),
        ("STREAMGAUGE_TELEMETRY_VOCABULARY", "llm, gen_ai"),
        ("STREAMGAUGE_TELEMETRY_METRICS", "gen_ai_2024,llm"),
        ("STREAMGAUGE_TELEMETRY_HISTOGRAMS", "exponential"),
        ("STREAMGAUGE_TELEMETRY_SPANS", "client"),
        ("STREAMGAUGE_TELEMETRY_PROPAGATE", "false"),
        ("STREAMGAUGE_TELEMETRY_BODY_CONTEXT", "all"),
        (
            "STREAMGAUGE_TELEMETRY_ATTRIBUTES",
            "header:x-team=team, baggage:tenant",
        ),
        ("STREAMGAUGE_TELEMETRY_LABELS", "team,tenant"),
        ("STREAMGAUGE_TELEMETRY_KEY_FINGERPRINT", "false"),
        ("STREAMGAUGE_TELEMETRY_KEY_SECRET", "hush-hush"),
        ("STREAMGAUGE_TELEMETRY_CONVERSATION", "header:x-chat"),
        ("STREAMGAUGE_TELEMETRY_PROMPT_TEMPLATE", "metadata:template"),
        ("STREAMGAUGE_TELEMETRY_PROMPT_VERSION", "header:x-version"),
        ("STREAMGAUGE_TELEMETRY_PROMPT_VARIABLES", "true"),
        ("STREAMGAUGE_TELEMETRY_ERROR_WINDOW", "30s"),
        ("STREAMGAUGE_TELEMETRY_ESTIMATE_TOKENS", "standard"),
        ("STREAMGAUGE_TELEMETRY_CHECK_ESTIMATES", "50"),
        ("STREAMGAUGE_TELEMETRY_CONTENT_BYTES", "1KiB"),
        ("STREAMGAUGE_TELEMETRY_ERROR_MESSAGES", "off"),
        ("STREAMGAUGE_REDACT_DETECTORS", "email, key"),
        ("STREAMGAUGE_REDACT_ALWAYS", "true"),
        ("STREAMGAUGE_REDACT_MAX_BYTES", "2MiB"),
        ("STREAMGAUGE_CONVERSATIONS_ENABLED", "false"),
        ("STREAMGAUGE_CONVERSATIONS_TRACES", "joined"),
        ("STREAMGAUGE_CONVERSATIONS_TTL", "5m"),
        ("STREAMGAUGE_CONVERSATIONS_TURNS", "7"),
        ("STREAMGAUGE_CONVERSATIONS_MEMORY", "1MiB"),
        ("STREAMGAUGE_CONVERSATIONS_REPEATED_CALLS", "4"),
        ("STREAMGAUGE_CONVERSATIONS_WITHOUT_PROGRESS", "5"),
        ("STREAMGAUGE_CONVERSATIONS_HISTORY_BYTES", "2KiB"),
        (
            "STREAMGAUGE_STATE_REDIS",
            "rediss://me:secret@redis.example/2",
        ),
        ("STREAMGAUGE_STATE_TIMEOUT", "20ms"),
        ("STREAMGAUGE_STATE_FOLDER", "/var/lib/streamgauge"),
        ("STREAMGAUGE_STORE_URL", "s3://bucket/prompts"),
        ("STREAMGAUGE_STORE_ENDPOINT", "http://127.0.0.1:9000"),
        ("STREAMGAUGE_STORE_KEEP", "720h"),
        ("STREAMGAUGE_STORE_LINK", "https://prompts.example/{hash}"),
        ("STREAMGAUGE_STORE_QUEUE_BYTES", "1MiB"),
        ("STREAMGAUGE_STORE_TIMEOUT", "2s"),
        ("STREAMGAUGE_SAMPLING_SHARE", "0.05"),
        ("STREAMGAUGE_SAMPLING_SLOW", "off"),
        ("STREAMGAUGE_SAMPLING_SLOW_QUANTILE", "0.9"),
        ("STREAMGAUGE_SAMPLING_EXPENSIVE_USD", "1.50"),
        ("STREAMGAUGE_SAMPLING_PARENT", "ignore"),
        ("STREAMGAUGE_TOOLS_SPAN", "off"),
        ("STREAMGAUGE_OBSERVE_STALL_THRESHOLD", "250ms"),
        ("STREAMGAUGE_OBSERVE_QUEUE_BYTES", "4096"),
        ("STREAMGAUGE_LOG_FORMAT", "json"),
        ("STREAMGAUGE_LOG_LEVEL", "debug"),
        ("STREAMGAUGE_LOG_ACCESS", "errors"),
    ];
    // Names of the user's own have none.
    let paths = SETTINGS.iter().map(|setting| setting.path);
    let paths: Vec<_> = paths.filter(|path| !path.ends_with(".*")).collect();
    let mut names: Vec<_> = paths.iter().map(|path| variable(path)).collect();
    assert_eq!(names, variables.map(|(name, _)| name));
    names.dedup();
    assert_eq!(names.len(), paths.len(), "two keys share a variable");

    let config = load_from(&Flags::default(), &variables, "").unwrap();
    let expected = "prices = \"config/own-prices.toml\"\nlisten = \"[::]:1\"\ncontent = \"attributes+events\"\n\n\
        [admin]\naddress = \"[::]:3\"\ntoken = \"***\"\nopen = true\nopen_metrics = false\ntrace_url = \"http://t/{trace_id}\"\n\
         history = 500\nhistory_bytes = \"1MiB\"\nkeep = \"2h\"\nkeep_bytes = \"4MiB\"\n\n\
        [tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n\n\
        [allow]\norigins = [\"https://a\", \"app://b\"]\nhosts = [\"a.example\", \"::1\"]\n\
        admin_hosts = [\"metrics\"]\n\n\
        [limits]\ninspect_bytes = \"1MiB\"\nmemory = \"1GiB\"\nclient_idle = \"5m\"\nclient_body = \"off\"\ndrained_calls = 9\nlabel_values = 7\n\n\
        [usage]\ninject = false\nrecheck = \"off\"\n\n\
        [shutdown]\ndrain = \"1h30m\"\n\n\
        [telemetry]\nvocabulary = [\"llm\", \"gen_ai\"]\nmetrics = [\"gen_ai_2024\", \"llm\"]\nhistograms = \"exponential\"\nspans = \"client\"\npropagate = false\n\
         body_context = \"all\"\nattributes = [\"header:x-team=team\", \"baggage:tenant=tenant\"]\nlabels = [\"team\", \"tenant\"]\nkey_fingerprint = false\nkey_secret = \"***\"\nconversation = [\"header:x-chat\"]\n\
         prompt_template = [\"metadata:template\"]\nprompt_version = [\"header:x-version\"]\nprompt_variables = true\nerror_window = \"30s\"\n\
         estimate_tokens = \"standard\"\ncheck_estimates = 50\ncontent_bytes = \"1KiB\"\nerror_messages = \"off\"\n\n\
         [redact]\ndetectors = [\"key\", \"email\"]\nalways = true\nmax_bytes = \"2MiB\"\n\n\
        [conversations]\nenabled = false\ntraces = \"joined\"\nttl = \"5m\"\nturns = 7\nmemory = \"1MiB\"\nrepeated_calls = 4\nwithout_progress = 5\n\
        history_bytes = \"2KiB\"\n\n\
        [state]\nredis = \"rediss://***@redis.example:6379/2\"\ntimeout = \"20ms\"\nfolder = \"/var/lib/streamgauge\"\n\n\
        [store]\nurl = \"s3://bucket/prompts\"\nendpoint = \"http://127.0.0.1:9000\"\nkeep = \"720h\"\nlink = \"https://prompts.example/{hash}\"\nqueue_bytes = \"1MiB\"\n\
        timeout = \"2s\"\n\n\
        [sampling]\nshare = 0.05\nslow = \"off\"\nslow_quantile = 0.9\nexpensive_usd = 1.50\nparent = \"ignore\"\n\n\
        [tools]\nspan = \"off\"\n\n\
        [observe]\nstall_threshold = \"250ms\"\nqueue_bytes = \"4KiB\"\n\n\
        [log]\nformat = \"json\"\nlevel = \"debug\"\naccess = \"errors\"\n\n\
        [[upstream]]\n";
    let text = config.to_toml();
    assert_eq!(text.get(..expected.len()), Some(expected));
    assert_eq!(config.observe.inspect_bytes, 1 << 20);
}

#[test]
fn the_admin_port_is_an_address_or_a_table_with_one() {
    for text in [
        "admin = '127.0.0.1:7'",
        "[admin]\naddress = '127.0.0.1:7'",
        "admin.address = '127.0.0.1:7'",
    ] {
        let config = load_text(text).unwrap();
        assert_eq!(config.admin.port(), 7, "{text}");
        assert_same(&load_text(&config.to_toml()).unwrap(), &config);
    }
    let flags = Flags {
        admin: Some("127.0.0.1:9".into()),
        ..Flags::default()
    };
    let variable = [("STREAMGAUGE_ADMIN", "127.0.0.1:8")];
    let file = "[admin]\naddress = '127.0.0.1:7'";
    let config = load_from(&Flags::default(), &variable, file).unwrap();
    assert_eq!(config.admin.port(), 8);
    let config = load_from(&flags, &variable, file).unwrap();
    assert_eq!(config.admin.port(), 9);
}

#[test]
fn every_setting_says_where_it_comes_from() {
    let file = "[admin]\naddress = '127.0.0.1:7'\nhistory = 5\n[log]\nlevel = 'warn'";
    let flags = Flags {
        log_level: Some("error".into()),
        ..Flags::default()
    };
    let variable = [("STREAMGAUGE_ADMIN", "127.0.0.1:8")];
    let config = load_from(&flags, &variable, file).unwrap();
    let entries = config.entries();
    let entry = |key: &str| entries.iter().find(|entry| entry.key == key).unwrap();
    for (key, value, source) in [
        ("admin.address", "\"127.0.0.1:8\"", Source::Environment),
        ("admin.history", "5", Source::File),
        ("log.level", "\"error\"", Source::Flag),
        ("listen", "\"127.0.0.1:8080\"", Source::Default),
    ] {
        let entry = entry(key);
        assert_eq!(
            (&*entry.value, entry.source),
            (value, Some(source)),
            "{key}"
        );
    }
    let upstream = entry("upstream[0].url");
    assert_eq!(
        (&*upstream.value, upstream.source),
        ("\"https://api.openai.com/v1\"", None)
    );
}

#[test]
fn an_own_key_is_read_from_a_variable_or_a_file() {
    let file = std::env::temp_dir().join(format!("streamgauge-key-{}", std::process::id()));
    std::fs::write(&file, "\n sk-file \n").unwrap();
    let text = format!(
        "[[upstream]]\nname = 'a'\nurl = 'http://a'\nkey.env = 'STREAMGAUGE_KEY_OF_A'\nkey.header = 'api-key'\n\
         [[upstream]]\nname = 'b'\nurl = 'http://b'\nkey = {{ file = '{}' }}\n[[route]]\nupstream = 'a'",
        file.display()
    );
    let config = load_from(
        &Flags::default(),
        &[("STREAMGAUGE_KEY_OF_A", "sk-env")],
        &text,
    );
    std::fs::remove_file(&file).unwrap();
    let config = config.unwrap();
    let keys = config
        .proxy
        .upstreams
        .iter()
        .map(|upstream| match &upstream.key {
            Key::Own(key) => format!("{}: {}", key.header, key.value.to_str().unwrap()),
            Key::PassThrough => String::from("none"),
        });
    assert_eq!(
        keys.collect::<Vec<_>>(),
        ["api-key: sk-env", "authorization: Bearer sk-file"]
    );
}

#[test]
fn secrets_are_in_no_output() {
    let variables = [("KEY", "hush-1"), ("BAD", "Bearer hush-2")];
    let good = "[[upstream]]\nname = 'a'\nurl = 'http://a'\nkey.env = 'KEY'\n\
        headers = { x-api-key = 'hush-3', cookie = 'hush-4', x-other = 'Bearer hush-5', x-team = 'search' }";
    let config = load_from(&Flags::default(), &variables, good).unwrap();
    let text = config.to_toml();
    assert!(
        text.contains("\"cookie\" = \"***\", \"x-api-key\" = \"***\", \"x-other\" = \"***\", \"x-team\" = \"search\""),
        "{text}"
    );
    assert!(
        text.contains("key.env = \"KEY\"\nkey.header = \"authorization\""),
        "{text}"
    );
    assert!(!text.contains("hush") && !format!("{config:?}").contains("hush"));

    let bad = "[[upstream]]\nname = 'a'\nurl = 'http://x:hush-3@a'\nkey.env = 'BAD'\nheaders = { api-key = \"hush-4\\n\" }\n\
        api_key = 'hush-5'\n[[upstream]]\nname = 'b'\nurl = 'http://b?hush-6'\nkey = 'hush-7'\n\
        [[upstream]]\nname = 'c'\nurl = 'http://c'\nkey = { env = 'hush-8' }\n[[route]]\nupstream = 'a'";
    let problems = load_from(&Flags::default(), &variables, bad).unwrap_err();
    assert_eq!(problems.len(), 7, "{problems:#?}");
    assert!(!problems.concat().contains("hush"), "{problems:#?}");
    let torn = problems_of("[[upstream]]\nkey = 'hush-1\n");
    assert!(!torn.concat().contains("hush"), "{torn:#?}");
}

#[test]
fn a_provider_is_that_of_a_known_host_or_left_open() {
    let provider = |url: &str| {
        let environment = [("STREAMGAUGE_UPSTREAM", url)].into_iter().collect();
        let loaded = load(&Flags::default(), &environment).unwrap();
        let provider = loaded.config.proxy.upstreams[0].provider.clone();
        provider.as_deref().map(str::to_owned)
    };
    let known = provider("https://api.openai.com/v1");
    assert_eq!(known.as_deref(), Some("openai"));
    assert_eq!(provider("http://vllm:8000/v1"), None);
}

#[test]
fn tls_that_proves_nothing_or_is_not_used_is_warned_of() {
    let insecure = ("STREAMGAUGE_UPSTREAM_TLS_INSECURE", "true");
    let plain = ("STREAMGAUGE_UPSTREAM", "http://a/v1");
    for (variables, expected) in [
        (
            &[insecure][..],
            "upstream.tls.insecure: the certificate of upstream default is not verified",
        ),
        (
            &[insecure, plain],
            "upstream.tls: not used: the URL of upstream default begins with http://",
        ),
    ] {
        let warnings = warnings_of(variables);
        assert_eq!(warnings.len(), 1, "{warnings:#?}");
        assert!(warnings[0].starts_with(expected), "{warnings:#?}");
    }
    assert_eq!(warnings_of(&[plain]), Vec::<String>::new());
}

#[test]
fn half_a_client_certificate_by_variables_names_the_variable_that_is_missing() {
    let variables = [("STREAMGAUGE_UPSTREAM_TLS_CLIENT_KEY", "/a")];
    let problems = load_from(&Flags::default(), &variables, "").unwrap_err();
    let expected = "STREAMGAUGE_UPSTREAM_TLS_CLIENT_CERTIFICATE: missing, expected the path of the certificate";
    assert!(problems[0].starts_with(expected), "{problems:#?}");
}

fn upstreams() -> impl Strategy<Value = UpstreamConfig> {
    let limit = || proptest::option::of((1_u64..1 << 40).prop_map(Duration::from_millis));
    let http = prop_oneof![
        Just(HttpVersion::Auto),
        Just(HttpVersion::Http1),
        Just(HttpVersion::Http2)
    ];
    // Neither names nor values that could look like a credential, which would be masked.
    let headers = proptest::collection::btree_map("x-[b-d]{1,8}", "=[ -~é]{0,12}", 0..3);
    (
        [limit(), limit(), limit()],
        http,
        headers,
        proptest::option::of(any::<bool>()),
        // Not blank, which is refused.
        "[^\\pC\\pZ][^\\pC]{0,8}",
        (1..u64::MAX, 1..u64::MAX, any::<usize>()),
        (proptest::option::of("[a-z]{1,9}"), any::<bool>()),
    )
        .prop_map(
            |([first_byte, send, idle], http, headers, inject, provider, kept, tls)| {
                UpstreamConfig {
                    tls: UpstreamTls {
                        server_name: tls.0.map(|name| name.try_into().unwrap()),
                        insecure: tls.1,
                        ..UpstreamTls::default()
                    },
                    keep_alive: KeepAlive {
                        http1: Duration::from_millis(kept.0),
                        http2: Duration::from_millis(kept.1),
                        connections: kept.2,
                    },
                    first_byte_timeout: first_byte,
                    send_timeout: send,
                    idle_timeout: idle,
                    http,
                    headers: headers
                        .iter()
                        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                        .collect(),
                    inject_usage: inject,
                    provider: Some(provider.as_str().into()),
                    ..UpstreamConfig::new("a-1", "https://[::1]:8000/v1".parse().unwrap())
                }
            },
        )
}

fn routes() -> impl Strategy<Value = Route> {
    let glob = || "[a-z?*\"\\\\]{1,9}".prop_map(|pattern| wildmatch::WildMatch::new(&pattern));
    let header = proptest::option::of(glob().prop_map(|value| ("x-team".parse().unwrap(), value)));
    let limit = proptest::option::of((1_u64..1 << 40).prop_map(Duration::from_millis));
    let care = (any::<bool>(), 1..u64::MAX, 1..usize::MAX, limit);
    (glob(), proptest::option::of("/[a-z/]{0,9}"), header, care).prop_map(
        |(model, path, header, (drains, time, bytes, keep_alive))| Route {
            path,
            model: Some(model),
            header,
            on_client_left: match drains {
                true => OnClientLeft::Drain,
                false => OnClientLeft::Cancel,
            },
            drain: DrainLimits {
                time: Duration::from_millis(time),
                bytes,
            },
            keep_alive,
            ..Route::to("a-1".into())
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_loads_back_the_same(
        upstream in upstreams(),
        routes in proptest::collection::vec(routes(), 0..3),
        drain in any::<u64>(),
        inspect_bytes in 1..usize::MAX / 2,
        tls in proptest::option::of("[^\\pC\\pZ][^\\pC]{0,8}"),
    ) {
        let mut config = Config {
            drain: Duration::from_millis(drain),
            tls: tls.map(|path| TlsConfig { certificate: path.clone().into(), key: path.into() }),
            ..Config::default()
        };
        config.proxy.upstreams = vec![upstream];
        config.proxy.routes = routes;
        config.proxy.inspect_bytes = inspect_bytes;
        config.observe.inspect_bytes = inspect_bytes;
        let text = config.to_toml();
        let loaded = load_text(&text).map_err(|problems| TestCaseError::fail(format!("{text}\n{problems:#?}")))?;
        prop_assert_eq!(format!("{loaded:#?}"), format!("{config:#?}"));
        prop_assert_eq!(loaded.to_toml(), text);
    }

    #[test]
    fn any_text_loads_or_is_reported_without_panic(text in "([a-z.\\[\\]{}='\"#0-9 ]|\n|listen|upstream|route|key){0,40}") {
        let _ = load_text(&text);
    }
}
