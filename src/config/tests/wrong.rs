//! What is wrong is named with its place, its value and what would be right, all of it at once.

use super::*;

#[test]
fn a_label_is_no_other_label_however_it_is_spelled() {
    for (names, label, expected) in [
        (
            "header:x-team=token_type",
            "token_type",
            "except those that metrics have as labels already",
        ),
        (
            "header:x-team=hour",
            "hour",
            "there are streamgauge.key.fingerprint",
        ),
    ] {
        let text = format!("telemetry.attributes = ['{names}']\ntelemetry.labels = ['{label}']");
        let wrong = problems_of(&text).join("\n");
        assert!(wrong.contains(expected), "{wrong}");
    }
    let wrong = problems_of(
        "telemetry.attributes = ['header:a=a.b', 'header:b=a_b']\ntelemetry.labels = ['a.b', 'a_b']",
    );
    let wrong = wrong.join("\n");
    assert!(
        wrong.contains("\"a_b\": it is the same label as \"a.b\" for Prometheus"),
        "{wrong}"
    );
}

#[test]
fn what_shows_only_with_other_settings_is_told_where_it_stands() {
    let file = "[telemetry]\nattributes = ['user']\nlabels = ['bad name']";
    let told = "telemetry.labels: \"bad name\": expected one of the names in telemetry.attributes";
    let wrong = problems_of(file);
    assert!(
        wrong[0].starts_with(&format!("s.toml:3: {told}")),
        "{wrong:?}"
    );
    let variables = [("STREAMGAUGE_TELEMETRY_LABELS", "worse")];
    let wrong = load_from(&Flags::default(), &variables, file).unwrap_err();
    assert!(
        wrong[0].starts_with("STREAMGAUGE_TELEMETRY_LABELS: \"worse\": expected one of"),
        "{wrong:?}"
    );
    let flags = Flags {
        admin: Some("127.0.0.1:4000".to_owned()),
        listen: Some("127.0.0.1:4000".to_owned()),
        ..Flags::default()
    };
    let wrong = load_from(&flags, &[], "").unwrap_err();
    assert!(
        wrong[0].starts_with("--admin: expected an address other than"),
        "{wrong:?}"
    );
}

#[test]
fn a_value_of_another_kind_is_told_with_what_was_found() {
    for (text, told) in [
        (
            "telemetry.labels = ['team', 3]",
            "s.toml:1: telemetry.labels = ['team', 3]: expected a list of names of attributes, such as [\"team\"]; found an \
             integer in it",
        ),
        (
            "telemetry.labels = 'team'",
            "s.toml:1: telemetry.labels = 'team': expected a list of names of attributes, such as [\"team\"]; found a string",
        ),
        (
            "telemetry.attributes = [\n  'user',\n  'header:',\n]",
            "s.toml:1: telemetry.attributes = [ 'user', 'header:', ]: expected header:NAME, baggage:NAME, metadata:NAME, user \
             or safety_identifier",
        ),
        (
            "allow.admin_hosts = ['a', true]",
            "s.toml:1: allow.admin_hosts = ['a', true]: expected a list of host names without a port, such as \
             [\"gateway.example\", \"*.internal\"]; found a boolean in it",
        ),
        (
            "redact.detectors = ['emial']",
            "s.toml:1: redact.detectors = ['emial']: expected a list of pem, jwt, key, member, email, iban, card, ssn, phone, \
             ip, each at most once; did you mean email",
        ),
        (
            "redact.patterns = ['E-\\d+']",
            "s.toml:1: redact.patterns: expected a table, [redact.patterns], found a list",
        ),
        (
            "redact.patterns.BADGE = 3",
            "s.toml:1: redact.patterns.BADGE = 3: expected a regular expression as a text",
        ),
        (
            "redact.patterns.BADGE = 'E-[0-9'",
            "s.toml:1: redact.patterns.BADGE = 'E-[0-9': expected a regular expression (without look-around and \
             back-references): unclosed character class",
        ),
        (
            "limits.inspect_bytes = '1GB'",
            "s.toml:1: limits.inspect_bytes = '1GB': expected a number of bytes above zero, such as 8388608, \"512KiB\" or \
             \"8MiB\"",
        ),
        (
            "upstream = 'http://a'",
            "s.toml:1: upstream: expected tables, each under [[upstream]], found a string",
        ),
        (
            "[[upstream]]\nname = 'a'\nurl = 'http://a'\nheaders = ['hush']",
            "s.toml:4: upstream.headers: expected a table, [upstream.headers], found a list",
        ),
    ] {
        assert_eq!(problems_of(text), [told], "{text}");
    }
}

#[test]
fn content_that_is_to_be_stored_needs_a_place() {
    let wrong = problems_of("[[upstream]]\nname = 'a'\nurl = 'http://a'\ncontent = 'store'");
    assert!(wrong[0].contains("store.url: missing"), "{wrong:?}");
    for place in ["store.url = 'prompts'", "state.folder = '/var'"] {
        let config = load_text(&format!("content = 'events+store'\n{place}")).unwrap();
        assert!(config.observe.content.has_store());
    }
    let wrong = problems_of("store.url = 's3://key:secret@bucket'\nstore.link = 'https://p/'");
    assert!(!wrong.join("\n").contains("secret"), "{wrong:?}");
    assert!(
        wrong[1].contains("expected a URL with {hash} in it"),
        "{wrong:?}"
    );
}

#[test]
fn a_place_that_is_wrong_is_the_only_fault_and_shown_unless_it_may_hold_a_secret() {
    for (place, shown) in [
        (
            "store.url = 's4://bucket/a'",
            "store.url = 's4://bucket/a': expected ",
        ),
        ("store.url = ' '", "store.url = ' ': expected "),
        ("state.folder = ' '", "state.folder = ' ': expected "),
        ("store.url = 's3://key:hush@b'", "store.url: expected "),
        ("store.url = 's4://b?sig=hush'", "store.url: expected "),
        ("store.url = 's4://id:hush/b'", "store.url: expected "),
    ] {
        for more in ["", "store.endpoint = 'http://a:1'\n"] {
            let wrong = problems_of(&format!("{place}\n{more}content = 'store'"));
            assert_eq!(wrong.len(), 1, "{wrong:?}");
            assert!(wrong[0].contains(shown), "{wrong:?}");
        }
    }
}

#[test]
fn what_is_for_a_bucket_is_refused_where_prompts_are_stored_in_a_folder() {
    let folders = [
        ("store.url = '/tmp/x'", "that of store.url"),
        (
            "state.folder = '/tmp'",
            "one in state.folder, without store.url",
        ),
    ];
    let for_bucket = [
        ("endpoint", "'http://127.0.0.1:9000'"),
        ("options", "{ region = 'here' }"),
    ];
    for (folder, said) in folders {
        for (key, value) in for_bucket {
            let text = format!("{folder}\nstore.{key} = {value}");
            load_text(&text).unwrap();
            let wrong = problems_of(&format!("content = 'store'\n{text}"));
            let expected = format!(
                "s.toml:3: store.{key}: it is for a bucket, and prompts would be stored in a folder, {said}: expected store.url = "
            );
            assert_eq!(wrong.len(), 1, "{wrong:?}");
            assert!(wrong[0].starts_with(&expected), "{wrong:?}");
        }
    }
}

#[test]
fn a_bound_of_nothing_is_no_bound() {
    let route = "[[route]]\nupstream = 'default'\ndrain = { bytes = 0 }";
    let wrong = problems_of(route);
    assert!(
        wrong[0].contains("drain.bytes = 0: expected a number of bytes above zero"),
        "{wrong:?}"
    );
    for path in [
        "admin.history_bytes",
        "admin.keep_bytes",
        "limits.inspect_bytes",
        "limits.memory",
        "telemetry.content_bytes",
        "redact.max_bytes",
        "conversations.memory",
        "conversations.history_bytes",
        "store.queue_bytes",
        "observe.queue_bytes",
    ] {
        let wrong = problems_of(&format!("{path} = '0B'"));
        let expected = format!("s.toml:1: {path} = '0B': expected a number of bytes above zero");
        assert!(wrong[0].starts_with(&expected), "{wrong:?}");
    }
    for path in [
        "limits.drained_calls",
        "conversations.turns",
        "conversations.repeated_calls",
        "conversations.without_progress",
    ] {
        let wrong = problems_of(&format!("{path} = 0"));
        let expected = format!("s.toml:1: {path} = 0: expected a whole number above zero");
        assert!(wrong[0].starts_with(&expected), "{wrong:?}");
    }
}

#[test]
fn a_wrong_value_is_named_with_its_place_and_what_would_be_right() {
    let cases = [
        (
            "listen = 'here:8080'",
            "s.toml:1: listen = 'here:8080': expected an IP address and a port",
        ),
        (
            "listen = 80808",
            "s.toml:1: listen = 80808: expected an IP address and a port",
        ),
        (
            "\n[limits]\ninspect_bytes = '8MB'",
            "s.toml:3: limits.inspect_bytes = '8MB': expected a number of bytes",
        ),
        (
            "limits.label_values = -1",
            "s.toml:1: limits.label_values = -1: expected a whole number",
        ),
        ("limits = 5", "s.toml:1: limits: expected a table"),
        (
            "usage.inject = 'yes'",
            "s.toml:1: usage.inject = 'yes': expected true or false",
        ),
        (
            "shutdown.drain = 600",
            "s.toml:1: shutdown.drain = 600: expected a duration such as",
        ),
        (
            "telemetry.error_window = '0s'",
            "s.toml:1: telemetry.error_window = '0s': expected a duration above zero",
        ),
        (
            "telemetry.vocabulary = ['otel']",
            "s.toml:1: telemetry.vocabulary = ['otel']: expected a list of gen_ai, gen_ai_2025, gen_ai_2024, llm, openinference, traceloop, each at most once",
        ),
        (
            "telemetry.vocabulary = ['llm', 'llm']",
            "s.toml:1: telemetry.vocabulary = ['llm', 'llm']: expected a list of",
        ),
        (
            "telemetry.vocabulary = 'llm'",
            "s.toml:1: telemetry.vocabulary = 'llm': expected a list of",
        ),
        (
            "telemetry.body_context = true",
            "s.toml:1: telemetry.body_context = true: expected one of \"off\", \"held\", \"all\"",
        ),
        (
            "telemetry.attributes = ['x-team']",
            "s.toml:1: telemetry.attributes = ['x-team']: expected header:NAME, baggage:NAME, metadata:NAME, user or safety_identifier",
        ),
        (
            "telemetry.attributes = ['header:x-team=']",
            "s.toml:1: telemetry.attributes = ['header:x-team=']: expected a list such as",
        ),
        (
            "telemetry.attributes = ['header:authorization=who']",
            "s.toml:1: telemetry.attributes = ['header:authorization=who']: expected a name that is no credential's",
        ),
        (
            "telemetry.attributes = ['header:a=b', 'header:c=b']",
            "s.toml:1: telemetry.attributes = ['header:a=b', 'header:c=b']: expected at most 32 attributes, each name once",
        ),
        (
            "telemetry.conversation = ['header:x-session-token']",
            "s.toml:1: telemetry.conversation = ['header:x-session-token']: expected a name that is no credential's",
        ),
        (
            "log.level = 'loud'",
            "s.toml:1: log.level = 'loud': expected one of \"error\", \"warn\", \"info\"",
        ),
        (
            "tls.key = 'k.pem'",
            "tls.certificate: missing, expected the path of a PEM file, since tls.key is given",
        ),
        (
            "admin.token = 'too short'",
            "s.toml:1: admin.token: expected at least 16 visible characters of ASCII, or \"\"",
        ),
        (
            "admin.trace_url = 'http://traces'",
            "s.toml:1: admin.trace_url = 'http://traces': expected an http:// or https:// URL with {trace_id} in it, or \"\"",
        ),
        (
            "admin = '127.0.0.1:8080'",
            "s.toml:1: admin: expected an address other than that of listen",
        ),
        (
            "upstream = 'http://a'",
            "s.toml:1: upstream: expected tables, each under [[upstream]]",
        ),
        (
            "listen = ",
            "s.toml:1:10: `listen =`: found the end of the file, expected a value",
        ),
        (
            "listen = '127.0.0.1:1'\nlisten = '127.0.0.1:1'",
            "s.toml:2:1: `listen = '127.0.0.1:1'`: found it a second time, expected each key and each table only once (TOML: duplicate key)",
        ),
    ];
    for (text, expected) in cases {
        let problems = problems_of(text);
        assert!(
            problems.len() == 1 && problems[0].starts_with(expected),
            "{text}: {problems:#?}"
        );
    }
}

#[test]
fn a_wrong_value_in_an_upstream_or_a_route_is_named() {
    let upstream = |line: &str| format!("[[upstream]]\nname = 'a'\nurl = 'http://a'\n{line}");
    let route = |line: &str| upstream(&format!("[[route]]\nupstream = 'a'\n{line}"));
    let cases = [
        (
            upstream("http = 2"),
            "s.toml:4: upstream.http = 2: expected one of \"auto\", \"1.1\", \"2\"",
        ),
        (
            upstream("timeouts = { connect = 'off' }"),
            "s.toml:4: upstream.timeouts.connect = 'off': expected a duration above",
        ),
        (
            upstream("timeouts = { idle = 'never' }"),
            "s.toml:4: upstream.timeouts.idle = 'never': expected a duration above",
        ),
        (
            upstream("provider = ''"),
            "s.toml:4: upstream.provider = '': expected a string that is not empty",
        ),
        (
            upstream("tls = { ca = '/no/such' }"),
            "s.toml:4: upstream.tls.ca: expected the certificates of one or more authorities as PEM in /no/such: ",
        ),
        (
            upstream("tls = { ca = '/dev/null' }"),
            "s.toml:4: upstream.tls.ca: expected the certificates of one or more authorities as PEM in /dev/null: it has none",
        ),
        (
            upstream("tls = { client_certificate = '/a' }"),
            "s.toml:4: upstream.tls.client_key: missing, expected the path of its key as PEM, since",
        ),
        (
            upstream("tls.client_key = '/a'"),
            "s.toml:4: upstream.tls.client_certificate: missing, expected the path of the certificate as PEM, since",
        ),
        (
            upstream("tls = { client_certificate = '/no/such', client_key = '/a' }"),
            "s.toml:4: upstream.tls.client_certificate: expected the client certificate, leaf first, as PEM in /no/such: ",
        ),
        (
            upstream("tls = { server_name = 'a:443' }"),
            "s.toml:4: upstream.tls.server_name = 'a:443': expected a host name or an IP address without a port",
        ),
        (
            upstream("tls.insecure = 1"),
            "s.toml:4: upstream.tls.insecure = 1: expected true or false",
        ),
        (
            upstream("headers = { 'a b' = 'c' }"),
            "s.toml:4: upstream.headers.a b: expected the name of a header",
        ),
        (
            upstream("headers = { host = 'c' }"),
            "s.toml:4: upstream.headers.host: expected another header",
        ),
        (
            upstream("headers = { x-a = 1 }"),
            "s.toml:4: upstream.headers.x-a: expected a string without control",
        ),
        (
            upstream("headers = { x-a = '1', X-A = '2' }"),
            "s.toml:4: upstream.headers.x-a: expected a header to be given once",
        ),
        (
            upstream("key = { env = 'A', file = 'b' }"),
            "s.toml:4: upstream.key: expected either env or file, not both",
        ),
        (
            upstream("key = { header = 'api-key' }"),
            "s.toml:4: upstream.key: expected env or file next to header",
        ),
        (
            String::from("[[upstream]]\nname = 'b'"),
            "s.toml:1: upstream.url: missing, expected the base URL",
        ),
        (
            upstream("[[upstream]]\nname = 'a'\nurl = 'http://b'"),
            "s.toml:5: upstream.name: expected another name: a is already in use",
        ),
        (
            upstream("[[upstream]]\nname = 'b'\nurl = 'http://b'"),
            "s.toml:4: upstream: expected at least one [[route]]",
        ),
        (
            String::from("[[upstream]]\nurl = 'http://a'"),
            "s.toml:1: upstream.name: missing, expected the name for routes",
        ),
        (
            route("[[route]]\nupstream = 'b'\npath = '/'"),
            "s.toml:6: route: never reached",
        ),
        (
            route("path = 'v1'"),
            "s.toml:6: route.path = 'v1': expected the beginning of a path",
        ),
        (
            route("header = { name = 'x-a' }"),
            "s.toml:6: route.header: expected both name and value",
        ),
        (
            upstream("[[route]]\nupstream = 'b'"),
            "s.toml:5: route.upstream: unknown upstream b, expected one of a",
        ),
        (
            upstream(
                "[[upstream]]\nname = 'azure'\nurl = 'http://b'\n[[route]]\nupstream = 'azzure'",
            ),
            "s.toml:8: route.upstream: unknown upstream azzure, did you mean azure, expected one of a, azure",
        ),
        (
            upstream("[[route]]\nmodel = 'b'"),
            "s.toml:4: route.upstream: missing, expected the name of an upstream",
        ),
    ];
    for (text, expected) in cases {
        let problems = problems_of(&text);
        assert!(
            problems.iter().any(|problem| problem.starts_with(expected)),
            "{text}: {problems:#?}"
        );
    }
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    let cases = [
        (
            "lisen = 1",
            "s.toml:1: lisen: unknown key, did you mean listen",
        ),
        (
            "[limits]\ninspect_byte = 1",
            "s.toml:2: limits.inspect_byte: unknown key, did you mean limits.inspect_bytes",
        ),
        (
            "drain = '1s'",
            "s.toml:1: drain: unknown key, did you mean shutdown.drain",
        ),
        (
            "[shutdwn]\ndrain = '1s'",
            "s.toml:1: shutdwn: unknown key, did you mean shutdown",
        ),
        (
            "upstreams = 1",
            "s.toml:1: upstreams: unknown key, did you mean upstream",
        ),
        (
            "limits.zzz = 1",
            "s.toml:1: limits.zzz: unknown key, expected one of client_body, client_idle, drained_calls, inspect_bytes, label_values, memory",
        ),
        (
            "'limits.inspect_bytes' = 1",
            "s.toml:1: limits.inspect_bytes: unknown key",
        ),
        (
            "[[upstream]]\nname = 'a'\nurl = 'http://a'\nkey = { environment = 'A' }",
            "s.toml:4: upstream.key.environment: unknown key, expected one of env, file, header",
        ),
        (
            "[[upstream]]\nname = 'a'\nurl = 'http://a'\ntimeout.idle = '1s'",
            "s.toml:4: upstream.timeout: unknown key, did you mean upstream.timeouts",
        ),
        (
            "[timeouts]\nidle = '1s'",
            "s.toml:1: timeouts: unknown key here, expected below [[upstream]]",
        ),
        (
            "url = 'http://a'",
            "s.toml:1: url: unknown key here, expected below [[upstream]]",
        ),
        (
            "path = '/v1/*'",
            "s.toml:1: path: unknown key here, expected below [[route]]",
        ),
        // Close by their tables' name alone.
        (
            "limits.body = 1",
            "s.toml:1: limits.body: unknown key, expected one of client_body, client_idle, ",
        ),
        (
            "admin.port = 1",
            "s.toml:1: admin.port: unknown key, expected one of ",
        ),
        (
            "conversations.keep = '1h'",
            "s.toml:1: conversations.keep: unknown key, expected one of ",
        ),
    ];
    for (text, expected) in cases {
        let problems = problems_of(text);
        assert!(
            problems.len() == 1 && problems[0].starts_with(expected),
            "{text}: {problems:#?}"
        );
    }
}

#[test]
fn everything_wrong_is_reported_at_once_in_order() {
    let flags = Flags {
        admin: Some("nowhere".into()),
        ..Flags::default()
    };
    let text = "log.level = 'loud'\nlisten = true\n[[upstream]]\nname = 'a b'\nurl = 'ftp://a'\nkey = { env = 'UNSET' }";
    let problems = load_from(&flags, &[("STREAMGAUGE_USAGE_INJECT", "on")], text).unwrap_err();
    let starts = [
        "--admin nowhere: ",
        "STREAMGAUGE_USAGE_INJECT=on: ",
        "s.toml:1: log.level = 'loud': ",
        "s.toml:2: listen = true: ",
        "s.toml:4: upstream.name = 'a b': ",
        "s.toml:5: upstream.url = 'ftp://a': ",
        "s.toml:6: upstream.key: expected the key in the environment variable UNSET, which is unset",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }
}

#[test]
fn a_url_for_one_of_several_upstreams_is_an_error_that_names_them() {
    let text = "upstream = [{ name = 'a', url = 'http://a' }, { name = 'b', url = 'http://b' }]\n\
        [[route]]\nupstream = 'a'";
    let variables = [("STREAMGAUGE_UPSTREAM", "http://c/v1")];
    assert_eq!(
        load_from(&Flags::default(), &variables, text).unwrap_err(),
        [
            "STREAMGAUGE_UPSTREAM=http://c/v1: expected no URL here, since s.toml has several upstreams (a, b); set it there"
        ]
    );
}

#[test]
fn a_text_without_quotes_is_told_to_have_them() {
    for (text, key) in [
        ("listen = localhost:8080", "listen"),
        ("\n[log]\nlevel = info", "level"),
        ("listen = 127.0.0.1:8080", "listen"),
        ("[tls]\nkey = /etc/k.pem", "key"),
    ] {
        let problems = problems_of(text);
        let hint =
            format!("expected a value; a text needs quotation marks, as in {key} = \"…\" (TOML: ");
        assert!(problems[0].contains(&hint), "{text}: {problems:?}");
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
    }
    assert!(
        !problems_of("listen = \"a")
            .concat()
            .contains("quotation marks, as in")
    );
}

#[test]
fn what_is_no_toml_is_told_with_its_line_in_usual_words_and_the_cause() {
    for (text, expected) in [
        (
            "listen = \"127.0.0.1:80\nadmin = ':1'",
            "s.toml:1:23: `listen = \"127.0.0.1:80`: found the end of the line, expected a quotation mark \" at the end of the text \
             (TOML: invalid basic string, expected `\"`)",
        ),
        (
            "\n[limits\nmemory = 1",
            "s.toml:2:8: `[limits`: found the end of the line, expected ] at the end of the table's name, as in [limits] \
             (TOML: unclosed table, expected `]`)",
        ),
        (
            "listen: ':80'",
            "s.toml:1:9: `listen: ':80'`: found `'`, expected KEY = VALUE, with = between the two (TOML: key with no value, expected `=`)",
        ),
        (
            "telemetry.labels = ['é' 'b']",
            "s.toml:1:25: `telemetry.labels = ['é' 'b']`: found `'`, expected a comma between two elements of a list, and ] at its end \
             (TOML: missing comma between array elements, expected `,`)",
        ),
        (
            "shutdown.drain = 10s",
            "s.toml:1:18: `shutdown.drain = 10s`: found `10s`, expected a value; a text needs quotation marks, as in shutdown.drain = \"…\" \
             (TOML: string values must be quoted, expected literal string)",
        ),
        (
            "log.level = 'a' 'b'",
            "s.toml:1:17: `log.level = 'a' 'b'`: found `'`, expected one KEY = VALUE on a line, and a text in one pair of quotation marks \
             (TOML: unexpected key or value, expected newline, `#`)",
        ),
    ] {
        assert_eq!(problems_of(text), [expected], "{text}");
    }
}

#[test]
fn a_line_that_is_no_toml_shows_nothing_that_may_be_a_secret() {
    for text in [
        "admin.token = \"hush",
        "[upstream.headers]\nx-a = \"hush",
        "headers = { x-a = \"hush",
        "key = \"hush",
        "[store.options]\na = \"hush",
        "state.redis = \"redis://:hush@a",
        "upstream.proxy = 'http://hush@a",
        "x = hush?key=hush",
        "hush HUSH",
        "hush",
        "token: hush",
        "listen = \"\"\"\nhush\nlog: hush",
        "x = sk-proj-0123456789abcdefhush",
    ] {
        let problems = problems_of(text).join("\n");
        assert!(problems.contains("expected "), "{text}: {problems}");
        assert!(
            !problems.to_lowercase().contains("hush"),
            "{text}: {problems}"
        );
    }
}

#[test]
fn a_variable_for_the_level_that_other_programs_read_is_named() {
    assert_eq!(
        warnings_of(&[("RUST_LOG", "debug")]),
        ["RUST_LOG: not read: set STREAMGAUGE_LOG_LEVEL or --log-level for the level of the log"]
    );
}

#[test]
fn a_text_of_spaces_alone_is_no_folder_file_or_name() {
    for text in [
        "state.folder = ' '",
        "store.url = '  '",
        "[[upstream]]\nname = 'a'\nurl = 'http://a'\ntls.ca = ' '",
        "telemetry.key_secret = ' '",
        "[[upstream]]\nname = 'a'\nurl = 'http://a'\nprovider = ' '",
    ] {
        let wrong = problems_of(text);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].contains("expected "), "{wrong:?}");
    }
    load_text("state.folder = ''\nstore.url = ''").unwrap();
}

#[test]
fn an_upstream_that_is_most_likely_mistaken_is_warned_of() {
    let warnings = |url, provider: &'static str| {
        let provider = ("STREAMGAUGE_UPSTREAM_PROVIDER", provider);
        warnings_of(&[("STREAMGAUGE_UPSTREAM", url), provider])
    };
    assert_eq!(
        warnings("https://api.openai.com", "opnai"),
        [
            "upstream.url: the URL of upstream default has no path, and api.openai.com has its API below /v1: calls would be \
             answered with 404; did you mean https://api.openai.com/v1",
            "upstream.provider: the provider opnai of upstream default is unknown: gen_ai.provider.name is opnai, as written, and no \
             price is found by it; did you mean openai?",
        ]
    );
    for (url, what, meant) in [
        (
            "https://openrouter.ai/v1",
            "has the path /v1, and openrouter.ai has its API below /api/v1",
            "https://openrouter.ai/api/v1",
        ),
        (
            "https://openrouter.ai/api",
            "has the path /api, and openrouter.ai has its API below /api/v1",
            "https://openrouter.ai/api/v1",
        ),
        (
            "https://api.groq.com/openai/",
            "has the path /openai, and api.groq.com has its API below /openai/v1",
            "https://api.groq.com/openai/v1",
        ),
        (
            "https://api.openai.com/v2/",
            "has the path /v2, and api.openai.com has its API below /v1",
            "https://api.openai.com/v1",
        ),
        (
            "https://api.openai.com/v1/v1",
            "has the path /v1/v1, which has a part twice",
            "https://api.openai.com/v1",
        ),
        (
            "http://vllm:8000//v1",
            "has the path //v1, with two slashes in a row",
            "http://vllm:8000/v1",
        ),
        (
            "http://gateway/team//v1/chat/completions",
            "ends in /chat/completions, and clients add that themselves",
            "http://gateway/team/v1",
        ),
    ] {
        let expected = format!(
            "upstream.url: the URL of upstream default {what}: calls would be answered with 404; did you mean {meant}"
        );
        assert_eq!(warnings(url, "vllm"), [expected], "{url}");
    }
    for (url, provider) in [
        ("https://api.openai.com/v1", "openai"),
        ("http://ovms:8000/v3", "vllm"),
        ("https://api.groq.com/openai/v1", "groq"),
        (
            "https://generativelanguage.googleapis.com/v1beta",
            "gcp.gemini",
        ),
        ("https://api.cohere.com/v2", "cohere"),
        (
            "https://our.services.ai.azure.com/models",
            "azure.ai.inference",
        ),
        ("https://gateway/v1/our/our/v1", "openai"),
        ("https://gateway/v1/our-models", "openai"),
        ("https://api.openai.com/other", "azure"),
        ("https://openrouter.ai/ap", "openrouter"),
        ("http://vllm:8000", "vllm"),
        ("https://api.deepseek.com", "our-own-gateway"),
    ] {
        assert_eq!(warnings(url, provider), [""; 0], "{url} {provider}");
    }
}

#[test]
fn a_table_is_taken_for_another_table_and_not_for_a_key() {
    for (text, meant) in [
        (
            "[conversation]\nttl = '1h'",
            "conversation: unknown key, did you mean conversations",
        ),
        (
            "[redact.pattern]\nbadge = 'a'",
            "did you mean redact.patterns",
        ),
        ("conversation = 'a'", "did you mean telemetry.conversation"),
    ] {
        let wrong = problems_of(text);
        assert!(wrong[0].contains(meant), "{wrong:?}");
        assert_eq!(wrong.len(), 1, "{wrong:?}");
    }
}

#[test]
fn the_url_of_a_call_in_the_place_of_a_base_url_is_warned_of() {
    for (url, called, meant) in [
        (
            "https://api.openai.com/v1/chat/completions",
            "/chat/completions",
            "https://api.openai.com/v1",
        ),
        (
            "http://vllm:8000/v1/completions/",
            "/completions",
            "http://vllm:8000/v1",
        ),
        (
            "https://openrouter.ai/responses",
            "/responses",
            "https://openrouter.ai/api/v1",
        ),
    ] {
        let expected = format!(
            "upstream.url: the URL of upstream default ends in {called}, and clients add that themselves: calls would be \
             answered with 404; did you mean {meant}"
        );
        assert_eq!(warnings_of(&[("STREAMGAUGE_UPSTREAM", url)]), [expected]);
    }
}

#[test]
fn a_variable_without_its_table_is_known_by_its_last_part() {
    for (unknown, meant) in [
        ("STREAMGAUGE_DRAIN", "STREAMGAUGE_SHUTDOWN_DRAIN"),
        ("STREAMGAUGE_LISEN", "STREAMGAUGE_LISTEN"),
    ] {
        let warnings = warnings_of(&[(unknown, "1s")]);
        assert_eq!(
            warnings,
            [format!(
                "{unknown}: unknown variable, not read; did you mean {meant}"
            )]
        );
    }
}

#[test]
fn an_upstream_without_a_valid_name_is_not_offered_to_a_route() {
    let text = "upstream = [{ name = 'a b', url = 'http://a' }, { name = 'b', url = 'http://b' }]\n\
        [[route]]\nupstream = 'c'";
    let problems = load_text(text).unwrap_err();
    assert!(
        problems[1].ends_with("unknown upstream c, expected one of b"),
        "{problems:#?}"
    );
}

#[test]
fn what_is_no_base_url_is_refused() {
    let wrong = [
        "",
        "api.openai.com",
        "localhost:8000",
        "ftp://a/v1",
        "/v1",
        "http://",
        "http://a:99999/v1",
        "http://a:/v1",
        "http://user:hush@a/v1",
        "http://a/v1?key=hush",
        "http://a/v1#hush",
        "unix://hush@a",
    ];
    for url in wrong {
        let variables = [("STREAMGAUGE_UPSTREAM", url)];
        let flags = Flags {
            upstream: Some(url.into()),
            ..Flags::default()
        };
        let problems = load_from(&flags, &variables, "").expect_err(url).join("\n");
        assert!(
            problems.starts_with("--upstream") && !problems.contains("hush"),
            "{problems}"
        );
    }
    for url in [
        "http://a",
        "https://a:1/v1",
        "http://[::1]:8000/v1",
        "http://a/v1/",
    ] {
        load_text(&format!("[[upstream]]\nname = 'a'\nurl = '{url}'")).unwrap();
    }
}

#[test]
fn what_a_bucket_is_not_to_be_told_in_a_file_is_named_with_what_to_do() {
    let wrong = |text: &str| problems_of(&format!("[store]\n{text}")).join("\n");
    let secret = wrong("options = { aws_secret_access_key = 'hush' }");
    let expected = "s.toml:2: store.options.aws_secret_access_key: it is a secret, expected it in the variable AWS_SECRET_ACCESS_KEY instead";
    assert_eq!(secret, expected);
    let unknown = wrong("options.regoin = 'x'");
    assert!(
        unknown.contains("store.options.regoin: unknown option"),
        "{unknown}"
    );
    let odd = wrong("options.region = [1]");
    assert!(
        odd.ends_with("expected a text, a number, true or false"),
        "{odd}"
    );
    let strange = wrong("url = 'gs://b'\noptions.account_name = 'me'");
    let expected = "s.toml:3: store.options: account_name: no option of Google Cloud Storage, expected one such as service_account, skip_signature";
    assert_eq!(strange, expected);
    for url in [
        "127.0.0.1:9000",
        "ftp://a",
        "http://me:hush@a",
        "http://a?sig=hush",
        "http://",
    ] {
        let told = wrong(&format!("endpoint = '{url}'"));
        assert!(
            told.contains("expected an http or https URL without credentials"),
            "{told}"
        );
        assert!(!told.contains("hush"), "{told}");
    }
}

#[test]
fn options_of_a_bucket_are_written_as_they_are_read() {
    let text = "[store]\nurl = 'az://c/p'\nendpoint = 'http://a:1/me/'\noptions = { account_name = 'me', skip_signature = true }\n";
    let config = load_text(text).unwrap();
    let written = config.to_toml();
    for line in [
        "endpoint = \"http://a:1/me\"",
        "options = { account_name = \"me\", skip_signature = \"true\" }",
    ] {
        assert!(written.contains(line), "{written}");
    }
    assert_same(&load_text(&written).unwrap(), &config);
}
