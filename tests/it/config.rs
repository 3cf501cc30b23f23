//! `streamgauge check`, through the real program: what it prints, where, and its exit status.

use std::process::{Command, Output};

use crate::support::file::File;
use crate::support::process::Program;
use crate::support::scene::Scene;

fn streamgauge() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    command.env_clear();
    command
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("UTF-8 on standard output")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("UTF-8 on standard error")
}

#[test]
fn a_good_file_is_printed_complete_and_checks_again_to_the_same() {
    let file = File::new(
        "good.toml",
        "[log]\nformat = 'json'\n[[upstream]]\nname = 'a'\nurl = 'http://a:8000/v1'\n",
    );
    let first = streamgauge()
        .arg("check")
        .arg("-c")
        .arg(file.path())
        .output()
        .unwrap();
    assert_eq!(first.status.code(), Some(0));
    assert_eq!(stderr(&first).lines().last(), Some("ok"));
    assert!(
        stdout(&first).contains("format = \"json\""),
        "{}",
        stdout(&first)
    );
    assert!(
        stdout(&first).contains("url = \"http://a:8000/v1\""),
        "{}",
        stdout(&first)
    );

    let printed = File::new("printed.toml", stdout(&first));
    let second = streamgauge()
        .arg("check")
        .env("STREAMGAUGE_CONFIG", printed.path())
        .output()
        .unwrap();
    assert_eq!(stdout(&second), stdout(&first));
}

#[test]
fn flags_and_environment_are_checked_without_a_file() {
    let output = streamgauge()
        .args(["check", "--listen", "[::]:80"])
        .env("STREAMGAUGE_UPSTREAM", "http://vllm:8000/v1")
        .env("STREAMGAUGE_USAGE_INJECT", "false")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for line in [
        "listen = \"[::]:80\"",
        "inject = false",
        "url = \"http://vllm:8000/v1\"",
    ] {
        assert!(
            stdout(&output).lines().any(|printed| printed == line),
            "{line}"
        );
    }
}

#[test]
fn an_admin_port_that_shows_nothing_is_warned_of_as_serve_does() {
    let check = |admin: &str, token: &str| {
        let output = streamgauge()
            .args(["check", "--admin", admin])
            .env("STREAMGAUGE_ADMIN_TOKEN", token)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stderr(&output).to_owned()
    };
    let told = check("0.0.0.0:9464", "");
    let warning = "warning: admin = 0.0.0.0:9464: the live page and the API are closed: set admin.token, or admin.open = true\n\
                   ok, but for the warning above\n";
    assert!(told.ends_with(warning), "{told}");
    for (admin, token) in [
        ("127.0.0.1:9464", ""),
        ("0.0.0.0:9464", "a-token-of-some-length"),
    ] {
        let told = check(admin, token);
        assert!(
            told.ends_with("\nok\n") && !told.contains("closed"),
            "{told}"
        );
    }
}

#[test]
fn everything_wrong_goes_to_standard_error_with_status_1() {
    let file = File::new(
        "bad.toml",
        "[limits]\ninspect_byte = 1\n[shutdown]\ndrain = '10 min'\n",
    );
    let output = streamgauge()
        .args(["check", "--admin", "here", "-c"])
        .arg(file.path())
        .env("STREAMGAUGE_LOG_LEVEL", "loud")
        .output()
        .unwrap();
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""));
    let path = file.path().display();
    let expected = [
        String::from("--admin here: expected an IP address"),
        String::from("STREAMGAUGE_LOG_LEVEL=loud: expected one of \"error\", \"warn\""),
        format!("{path}:2: limits.inspect_byte: unknown key, did you mean limits.inspect_bytes"),
        format!("{path}:4: shutdown.drain = '10 min': expected a duration"),
    ];
    let lines: Vec<_> = stderr(&output).lines().collect();
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(&expected), "{line}");
    }
}

#[test]
fn all_variables_that_are_wrong_are_told_at_once_with_what_is_wrong_with_the_file() {
    let file = File::new("wrong.toml", "[limits]\ninspect_byte = 1\n");
    let run = |command: &str| {
        let mut program = streamgauge();
        program.arg(command).arg("-c").arg(file.path());
        program
            .env("STREAMGAUGE_LISTEN", "here")
            .env("STREAMGAUGE_UPSTREAM", "https://api.openai.com/v1")
            .env("STREAMGAUGE_UPSTREAM_TLS_CA", "/no/such")
            .env("STREAMGAUGE_UPSTREAM_TLS_CLIENT_KEY", "/no/such")
            .env("HTTPS_PROXY", "ftp://proxy")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector")
            .env("OTEL_BSP_SCHEDULE_DELAY", "soon");
        let output = program.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        stderr(&output).to_owned()
    };
    let expected = [
        "HTTPS_PROXY: expected the URL of ",
        "STREAMGAUGE_LISTEN=here: expected an IP address",
        "STREAMGAUGE_UPSTREAM_TLS_CA: expected the certificates of ",
        "STREAMGAUGE_UPSTREAM_TLS_CLIENT_CERTIFICATE: missing, expected the path of ",
    ];
    for command in ["check", "serve"] {
        let told = run(command);
        for expected in expected {
            assert_eq!(told.matches(expected).count(), 1, "{expected}: {told}");
        }
        for expected in [
            "limits.inspect_byte: unknown key",
            "OTEL_BSP_SCHEDULE_DELAY is",
        ] {
            assert!(told.contains(expected), "{command}: {expected}: {told}");
        }
        assert!(!told.contains("HTTPS_PROXY is"), "{told}");
    }
    // What is only tried once the configuration is right.
    let output = streamgauge()
        .arg("check")
        .env("OTEL_BSP_SCHEDULE_DELAY", "soon")
        .env("STREAMGAUGE_STATE_FOLDER", "/dev/null/state")
        .output()
        .unwrap();
    let told = stderr(&output);
    for expected in ["OTEL_BSP_SCHEDULE_DELAY is", "/dev/null/state"] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

#[test]
fn a_key_that_goes_over_a_public_network_in_the_clear_is_warned_of() {
    let check = |url: &str, key: &str| {
        let text = format!("[[upstream]]\nname = 'a'\nurl = '{url}'\n{key}\n");
        let file = File::new("bare.toml", &text);
        let mut program = streamgauge();
        program.arg("check").arg("-c").arg(file.path());
        let output = program.env("KEY_OF_A", "hush-4711").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(!stderr(&output).contains("hush"), "{}", stderr(&output));
        stderr(&output).contains("can read the key of this upstream")
    };
    let keys = [
        "key = { env = 'KEY_OF_A' }",
        "headers = { api-key = 'hush-4711' }",
    ];
    for key in keys {
        for url in [
            "http://llm.example.com/v1",
            "http://8.8.8.8/v1",
            "http://[2001:4860::1]/v1",
            "http://172.32.0.1/v1",
        ] {
            assert!(check(url, key), "{url} {key}");
        }
        for url in [
            "https://llm.example.com/v1",
            "http://localhost:8000/v1",
            "http://127.0.0.1:8000/v1",
            "http://[::1]:8000/v1",
            "http://10.0.0.1/v1",
            "http://172.16.0.1/v1",
            "http://192.168.1.1/v1",
            "http://169.254.0.1/v1",
            "http://100.64.0.1/v1",
            "http://[fd00::1]/v1",
            "http://[fe80::1]/v1",
            "http://vllm:8000/v1",
            "http://vllm.models.svc:8000/v1",
            "http://vllm.models.svc.cluster.local:8000/v1",
            "http://llm.corp.internal/v1",
            "http://host.docker.internal:11434/v1",
            "http://mac.local:11434/v1",
        ] {
            assert!(!check(url, key), "{url} {key}");
        }
    }
    // Whose key it is, is the client's own matter.
    assert!(!check(
        "http://llm.example.com/v1",
        "headers = { x-team = 'a' }"
    ));
}

#[test]
fn a_variable_that_nothing_answers_to_is_warned_of_without_its_value() {
    let output = streamgauge()
        .arg("check")
        .env("STREAMGAUGE_LOG_LEVELS", "hush")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let (warning, rest) = stderr(&output).split_once('\n').unwrap();
    assert!(
        warning.starts_with("warning: STREAMGAUGE_LOG_LEVELS: unknown variable, not read; did you mean STREAMGAUGE_LOG_LEVEL"),
        "{warning}"
    );
    assert!(
        rest.ends_with("\nok, but for the warning above\n"),
        "{rest}"
    );
}

/// Standard variables, two of them misspelt, with what is said of these.
const MISSPELT: [(&str, &str); 2] = [
    (
        "OTEL_EXPORTER_OTLP_ENDPIONT",
        "OTEL_EXPORTER_OTLP_ENDPIONT: unknown variable, not read; did you mean OTEL_EXPORTER_OTLP_ENDPOINT",
    ),
    (
        "OTEL_TRACE_SAMPLER",
        "OTEL_TRACE_SAMPLER: unknown variable, not read; did you mean OTEL_TRACES_SAMPLER",
    ),
];
const OF_OTHERS: [&str; 2] = [
    "OTEL_PYTHON_LOG_CORRELATION",
    "OTEL_SEMCONV_STABILITY_OPT_IN",
];

#[test]
fn check_warns_of_a_standard_variable_that_is_misspelt_and_of_none_that_is_for_others() {
    let names = MISSPELT.map(|(name, _)| name).into_iter().chain(OF_OTHERS);
    let output = streamgauge()
        .arg("check")
        .envs(names.map(|name| (name, "hush")))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<&str> = stderr(&output).lines().collect();
    let expected = MISSPELT.map(|(_, told)| format!("warning: {told}"));
    assert_eq!(&lines[..2], &expected);
    assert_eq!(lines.last(), Some(&"ok, but for the 2 warnings above"));
    assert!(!stderr(&output).contains("hush"), "{lines:?}");
}

#[tokio::test]
async fn the_start_warns_of_a_standard_variable_that_is_misspelt() {
    let mut program = Program::serve("http://127.0.0.1:9/v1");
    for name in MISSPELT.map(|(name, _)| name).into_iter().chain(OF_OTHERS) {
        program = program.env(name, "hush");
    }
    let server = program.listen().await;
    let log = server.process.stderr().text();
    for (_, told) in MISSPELT {
        assert!(log.contains(told), "{log}");
    }
    assert!(!log.contains("hush"), "{log}");
    assert!(OF_OTHERS.iter().all(|name| !log.contains(name)), "{log}");
}

#[test]
fn a_file_that_is_not_there_is_named_with_the_flag_or_variable_that_asked_for_it() {
    let by_flag = streamgauge()
        .args(["check", "-c", "/nowhere.toml"])
        .output()
        .unwrap();
    assert_eq!(by_flag.status.code(), Some(1));
    assert!(stderr(&by_flag).starts_with("--config /nowhere.toml: expected a readable file"));
    let by_variable = streamgauge()
        .arg("check")
        .env("STREAMGAUGE_CONFIG", "/nowhere.toml")
        .output()
        .unwrap();
    assert!(
        stderr(&by_variable)
            .starts_with("STREAMGAUGE_CONFIG=/nowhere.toml: expected a readable file")
    );
}

#[test]
fn a_wrong_command_line_has_status_2() {
    for arguments in [&["check", "--lisen", "[::]:80"][..], &["chek"], &[]] {
        let output = streamgauge().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_masked_secret_does_not_show() {
    let text = "[[upstream]]\nname = 'a'\nurl = 'http://a'\nkey.env = 'KEY'\nheaders.x-api-key = 'hush-2'\n";
    let file = File::new("secret.toml", text);
    let output = streamgauge()
        .arg("check")
        .arg("-c")
        .arg(file.path())
        .env("KEY", "hush-1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(!stdout(&output).contains("hush") && stdout(&output).contains("***"));
}

#[test]
fn a_valid_value_that_does_nothing_here_is_a_warning() {
    let output = streamgauge()
        .arg("check")
        .env("OTEL_METRICS_EXPORTER", "otlp,prometheus")
        .env("OTEL_PROPAGATORS", "tracecontext,ottrace")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<&str> = stderr(&output).lines().collect();
    let warning = "warning: OTEL_PROPAGATORS has \"ottrace\": it is neither read nor written here";
    assert!(lines[0].starts_with(warning), "{lines:?}");
    assert_eq!(lines.last(), Some(&"ok, but for the warning above"));
    assert!(!lines[1].starts_with("warning"), "{lines:?}");
}

#[test]
fn the_variables_of_the_exporters_are_checked_too() {
    let output = streamgauge()
        .arg("check")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "collector")
        .env("OTEL_TRACES_SAMPLER", "sometimes")
        .output()
        .unwrap();
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""));
    let lines: Vec<&str> = stderr(&output).lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("OTEL_EXPORTER_OTLP_ENDPOINT is \"collector\": expected a URL"));
    assert!(lines[1].starts_with("OTEL_TRACES_SAMPLER is \"sometimes\": expected always_on"));
}

/// What is told beside the configuration where these variables are set.
fn told(variables: &[(&str, &str)]) -> String {
    let output = streamgauge()
        .arg("check")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    stderr(&output).to_owned()
}

#[test]
fn where_each_signal_goes_is_told_or_why_nowhere() {
    assert_eq!(
        told(&[]),
        "traces: not pushed: OTEL_EXPORTER_OTLP_ENDPOINT is not set\n\
         metrics: not pushed: OTEL_EXPORTER_OTLP_ENDPOINT is not set; /metrics at 127.0.0.1:9464\nok\n"
    );
    let endpoint = (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "http://me:hush@collector:4318/?k=hush",
    );
    let grpc = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc");
    let own = (
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        "https://metrics:4317",
    );
    assert_eq!(
        told(&[endpoint, grpc, own]),
        "traces: http://collector:4318/v1/traces (http/protobuf)\n\
         metrics: https://metrics:4317 (grpc); /metrics at 127.0.0.1:9464\nok\n"
    );
    let none = ("OTEL_TRACES_EXPORTER", "none");
    let line = "traces: not pushed: OTEL_TRACES_EXPORTER is none\n";
    assert!(told(&[endpoint, none]).starts_with(line));
    // Another exporter than there is here: both lines say that nothing is exported.
    let jaeger = ("OTEL_TRACES_EXPORTER", "jaeger");
    let told_of_jaeger = told(&[endpoint, jaeger]);
    for line in [
        "warning: OTEL_TRACES_EXPORTER has \"jaeger\": there is no such exporter here: spans are exported where it names otlp\n",
        "traces: not pushed: OTEL_TRACES_EXPORTER is jaeger\n",
    ] {
        assert!(told_of_jaeger.contains(line), "{told_of_jaeger}");
    }
    let disabled = ("OTEL_SDK_DISABLED", "true");
    let line = "traces: not pushed: OTEL_SDK_DISABLED is true\n";
    assert!(told(&[endpoint, disabled]).starts_with(line));
}

#[test]
fn an_endpoint_that_looks_wrong_is_warned_of() {
    let endpoint = |url| ("OTEL_EXPORTER_OTLP_ENDPOINT", url);
    let told = told(&[endpoint("http://collector:4317")]);
    for signal in ["traces", "metrics"] {
        let line = format!("\nwarning: {signal}: port 4317 is usually for gRPC: set ");
        assert!(told.contains(&line), "{told}");
    }
}

#[test]
fn an_address_that_is_taken_is_named_with_what_chooses_another() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (name, variable) in [
        ("listen", "STREAMGAUGE_LISTEN"),
        ("admin", "STREAMGAUGE_ADMIN"),
    ] {
        let flag = format!("--{name}");
        let other = if name == "listen" {
            "--admin"
        } else {
            "--listen"
        };
        let output = streamgauge()
            .args(["serve", &flag, &address, other, "127.0.0.1:0"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let told = format!(
            "ERROR streamgauge: stopped error=\"{name} = {address}: cannot listen on this address, because it is in use by another \
             process; {flag} or {variable} chooses another\""
        );
        let log = stderr(&output);
        assert!(log.lines().last().unwrap().ends_with(&told), "{log}");
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_reported_and_one_that_can_is_left_as_it_was() {
    let file = File::new("no-folder", "");
    let below = file.path().join("state");
    let check = |folder: &std::path::Path, more: &str| {
        let config = File::new("folder.toml", more);
        let output = streamgauge()
            .args(["check", "-c", config.name()])
            .env("STREAMGAUGE_STATE_FOLDER", folder)
            .output();
        output.unwrap()
    };
    let output = check(&below, "");
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    let expected = format!(
        "state.folder = {}: cannot keep anything there: ",
        below.display()
    );
    assert!(told.contains(&expected), "{told}");
    assert!(
        told.contains("expected a folder that this user may make and write to"),
        "{told}"
    );

    let folder = file
        .path()
        .with_file_name(format!("folder-{}", std::process::id()));
    let output = check(&folder.join("state"), "");
    assert_eq!(stderr(&output).lines().last(), Some("ok"));
    assert!(!folder.exists(), "nothing is left");
    let store = format!("content = 'store'\nstore.url = '{}'\n", below.display());
    let output = check(&folder, &store);
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    let expected = format!(
        "store.url = {}: prompts cannot be stored there: ",
        below.display()
    );
    assert!(told.contains(&expected), "{told}");
    assert!(!folder.exists());
}

#[test]
fn files_of_the_state_folder_that_cannot_be_read_are_reported_before_the_start() {
    let marker = File::new("state-files", "");
    let folder = marker
        .path()
        .with_file_name(format!("state-files-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let check = || {
        let output = streamgauge()
            .arg("check")
            .env("STREAMGAUGE_STATE_FOLDER", &folder)
            .output();
        output.unwrap()
    };
    let (secret, costs) = (folder.join("key-secret"), folder.join("costs.json"));
    let is_refused = |why: &str| {
        let output = check();
        assert_eq!(output.status.code(), Some(1));
        let expected = format!(
            "{}: the secret for fingerprints of keys {why}",
            secret.display()
        );
        assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
    };
    std::fs::create_dir(&secret).unwrap();
    is_refused("cannot be read or written (");
    std::fs::remove_dir(&secret).unwrap();
    for (text, why) in [("\n", "is empty"), ("0a1", "is cut short")] {
        std::fs::write(&secret, text).unwrap();
        is_refused(&format!(
            "{why}; remove the file: a new one is made, and fingerprints change"
        ));
    }
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef\n").unwrap();

    std::fs::write(&costs, "{").unwrap();
    let output = check();
    assert_eq!(output.status.code(), Some(0));
    let told = stderr(&output);
    let expected = format!(
        "warning: {}: the sums of costs cannot be read (expected JSON as streamgauge writes it: ",
        costs.display()
    );
    assert!(told.contains(&expected), "{told}");
    assert_eq!(told.lines().last(), Some("ok, but for the warning above"));
    assert_eq!(std::fs::read_to_string(&costs).unwrap(), "{");
    std::fs::write(&costs, r#"{"version":1,"labels":[],"rows":[]}"#).unwrap();
    assert_eq!(stderr(&check()).lines().last(), Some("ok"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn calls_that_are_to_be_joined_and_cannot_be_are_warned_of() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
    for (config, endpoint, why) in [
        ("", None, Some("traces are not pushed: ")),
        (
            "enabled = false",
            Some(endpoint),
            Some("conversations.enabled is false"),
        ),
        ("", Some(endpoint), None),
    ] {
        let text = format!("[conversations]\ntraces = 'joined'\n{config}\n");
        let file = File::new("joined.toml", text);
        let mut program = streamgauge();
        program.args(["check", "-c", file.name()]).envs(endpoint);
        let output = program.output().unwrap();
        let told = stderr(&output);
        let warning = "warning: calls are not joined to one trace (conversations.traces): ";
        match why {
            Some(why) => assert!(told.contains(&format!("{warning}{why}")), "{told}"),
            None => assert_eq!(told.lines().last(), Some("ok"), "{told}"),
        }
    }
}

#[test]
fn settings_with_which_a_bucket_cannot_be_asked_are_reported() {
    for (store, expected) in [
        (
            "url = 'az://c'",
            "store.url = az://c: prompts cannot be stored there: no account is named: set store.options.account_name or",
        ),
        (
            "url = 'gs://b'\noptions = { service_account = '/no/such/file.json' }",
            "/no/such/file.json",
        ),
        (
            "url = 'az://c'\nendpoint = 'http://127.0.0.1:1'\noptions = { use_emulator = true }",
            "expected store.endpoint or use_emulator, and there are both",
        ),
    ] {
        let config = File::new(
            "bucket.toml",
            format!("content = 'store'\n[store]\n{store}\n"),
        );
        let output = streamgauge().args(["check", "-c", config.name()]).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
    let config = "content = 'store'\n[store]\nurl = 's3://b'\nendpoint = 'http://127.0.0.1:1'\noptions.region = 'x'\n";
    let config = File::new("bucket.toml", config);
    let output = streamgauge().args(["check", "-c", config.name()]).output();
    assert_eq!(stderr(&output.unwrap()).lines().last(), Some("ok"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_folder_that_a_running_process_has_is_told_of_and_stays_its_own() {
    let path = std::env::temp_dir().join(format!("streamgauge-taken-{}", std::process::id()));
    let mut scene = Scene::with("", |program| program.env("STREAMGAUGE_STATE_FOLDER", &path)).await;
    let before = std::fs::read_dir(&path).unwrap().count();
    let check = || {
        let output = streamgauge()
            .arg("check")
            .env("STREAMGAUGE_STATE_FOLDER", &path)
            .output();
        output.unwrap()
    };
    let output = check();
    assert_eq!(output.status.code(), Some(0));
    let told = stderr(&output);
    assert!(told.contains("another process uses it: "), "{told}");
    assert_eq!(told.lines().last(), Some("ok, but for the warning above"));
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), before);
    scene.server.process.terminate().await;
    scene.server.process.wait().await;
    let output = check();
    assert_eq!(stderr(&output).lines().last(), Some("ok"));
    std::fs::remove_dir_all(&path).unwrap();
}

#[test]
fn a_certificate_that_cannot_be_read_is_wrong_before_the_start() {
    let file = File::new(
        "tls.toml",
        "[tls]\ncertificate = '/nowhere.crt'\nkey = '/nowhere.key'\n[[upstream]]\nname = 'a'\nurl = 'http://a/v1'\n",
    );
    let output = streamgauge()
        .args(["check", "-c"])
        .arg(file.path())
        .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    assert!(told.contains("tls.certificate = /nowhere.crt: "), "{told}");
}

#[test]
fn a_price_for_an_upstream_that_there_is_not_is_warned_of() {
    let prices = File::new(
        "of-nobody.toml",
        "[[price]]\nmodel = 'm'\nupstream = 'oen'\nusd = { input_mtok = 1, output_mtok = 1 }\n\
         [[price]]\nmodel = 'm'\nupstream = 'One'\nusd = { input_mtok = 1, output_mtok = 1 }\n\
         [[price]]\nmodel = 'm'\nupstream = 'groq'\nusd = { input_mtok = 1, output_mtok = 1 }\n",
    );
    let file = File::new(
        "one.toml",
        "[[upstream]]\nname = 'one'\nurl = 'http://127.0.0.1:1/v1'\n",
    );
    let output = streamgauge()
        .args(["check", "-c"])
        .arg(file.path())
        .env("STREAMGAUGE_PRICES", prices.path())
        .output()
        .unwrap();
    let warnings: Vec<&str> = stderr(&output)
        .lines()
        .filter(|line| line.contains("is for upstream"))
        .collect();
    let [warning] = warnings[..] else {
        panic!("{}", stderr(&output));
    };
    assert!(
        warning.ends_with("the price of m is for upstream oen, and no call has it: expected one of the upstreams (one), or a provider of the catalogue"),
        "{warning}"
    );
}
