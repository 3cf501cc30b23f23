use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

/// Compiling takes long.
static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(Policy::default()));

fn redact(text: &str) -> String {
    REDACTOR.redact(text).unwrap_or_else(|| text.to_owned())
}

#[test]
fn every_built_in_pattern_compiles() {
    for detector in Detector::ALL {
        Compiled::of(detector);
    }
}

#[test]
fn escapes_hide_nothing_where_a_text_is_no_whole_json() {
    for (text, expected) in [
        (
            r#"{"note":"Card:\n4111 1111 1111 1111"#,
            r#"{"note":"Card:\n[CARD]"#,
        ),
        (
            "{\"n\":\"x\\n4111111111111111\"}\n{\"n\":\"SSN\\n078-05-1120\"}",
            "{\"n\":\"x\\n[CARD]\"}\n{\"n\":\"SSN\\n[SSN]\"}",
        ),
        (
            r"the log says 'card\n4111111111111111\n'",
            r"the log says 'card\n[CARD]\n'",
        ),
        (r#"{"to":"zork\u0040example.com"#, r#"{"to":"[EMAIL]"#),
        (
            r#"it says "{\"to\":\"zork\\u0040example.com\"}""#,
            r#"it says "{\"to\":\"[EMAIL]\"}""#,
        ),
        (
            r#"{"to":"\ud83d zork@example.com","password":"\udc00hunter2secret"}"#,
            r#"{"to":"\u{FFFD} [EMAIL]","password":"[SECRET]"}"#,
        ),
    ] {
        assert_eq!(redact(text), expected.replace(r"\u{FFFD}", "\u{FFFD}"));
    }
}

#[test]
fn an_escape_beside_what_is_found_stays_whole() {
    for (text, expected) in [
        (
            r#"it says {"a": "To:\nanna@example.com\nBye"} and"#,
            r#"it says {"a": "To:\n[EMAIL]\nBye"} and"#,
        ),
        (
            r#"it says {\"a\": \"\\tanna@example.com\\n\"} and"#,
            r#"it says {\"a\": \"\\t[EMAIL]\\n\"} and"#,
        ),
        (
            r#"it says {"a": "x\u000aanna@example.com"} and"#,
            r#"it says {"a": "x\u000a[EMAIL]"} and"#,
        ),
        // An escape that is a letter of it goes with it.
        (
            r#"it says {"a": "\u0061nna@example.com"} and"#,
            r#"it says {"a": "[EMAIL]"} and"#,
        ),
        ("anna@example.com, nina@example.com", "[EMAIL], [EMAIL]"),
    ] {
        assert_eq!(redact(text), expected);
    }
    let name = REDACTOR.redact_name("to=%0Aanna@example.com");
    assert_eq!(name.as_deref(), Some("to=%0A[EMAIL]"));
    let pattern = Pattern::new("STAFF", r"[a-z]+-\d+").unwrap();
    let redactor = Redactor::new(Policy {
        detectors: Vec::new(),
        patterns: vec![pattern],
        ..Policy::default()
    });
    let found = redactor.redact(r#"it says "\nab-12" and"#);
    assert_eq!(found.as_deref(), Some(r#"it says "\n[STAFF]" and"#));
}

#[test]
fn escapes_hide_nothing_in_an_address() {
    for (text, expected) in [
        ("c=4111%201111%201111%201111&d=1", "c=[CARD]&d=1"),
        ("d=4111+1111+1111+1111", "d=[CARD]"),
        ("to=zork%40example%2Ecom", "to=[EMAIL]"),
        ("to=zork%2540example%252Ecom", "to=[EMAIL]"),
    ] {
        assert_eq!(REDACTOR.redact_name(text).as_deref(), Some(expected));
    }
}

#[test]
fn a_name_makes_a_value_a_credential() {
    for (text, expected) in [
        (r#"{"api_key": "abc"}"#, r#"{"api_key": "[SECRET]"}"#),
        (
            r#"call("api_key": "a b c")"#,
            r#"call("api_key": "[SECRET]")"#,
        ),
        (r#"user_email="anna""#, r#"user_email="[SECRET]""#),
        (r"password: hunter2, then", "password: [SECRET], then"),
        (r"DB_PASSWORD=s3cr3t!pass.", "DB_PASSWORD=[SECRET]."),
        (
            r#"\"client_secret\": \"x1\""#,
            r#"\"client_secret\": \"[SECRET]\""#,
        ),
        (
            r#"{"token":"0123456789abcdef0"}"#,
            r#"{"token":"[SECRET]"}"#,
        ),
        (
            r#"{"pin": {"passwords": [1234, "b"]}}"#,
            r#"{"pin": {"passwords": ["[SECRET]", "[SECRET]"]}}"#,
        ),
        ("the password is hunter2.", "the password is [SECRET]."),
        (
            "authorization: SharedKey me:a1B2+c3D4=, and more",
            "authorization: SharedKey [SECRET], and more",
        ),
        (
            "Authorization: the client sends it",
            "Authorization: the client sends it",
        ),
        ("the password is required", "the password is required"),
        // What programs and sentences are made of.
        (r"def f(password: str):", r"def f(password: str):"),
        (r"max_tokens=4096, key=name", "max_tokens=4096, key=name"),
        (
            r#"{"code":"print(1)","token":"the"}"#,
            r#"{"code":"print(1)","token":"the"}"#,
        ),
    ] {
        assert_eq!(redact(text), expected);
    }
}

#[test]
fn a_word_before_a_name_hides_no_credential() {
    for (text, expected) in [
        (
            "Error: AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "Error: AWS_SECRET_ACCESS_KEY=[SECRET]",
        ),
        ("error: password: hunter2x", "error: password: [SECRET]"),
        ("error: password = hunter2x", "error: password = [SECRET]"),
        (
            "Header: x-api-key: abc12345xyz",
            "Header: x-api-key: [SECRET]",
        ),
        (
            "connect: password=hunter2x user=x",
            "connect: password=[SECRET] user=x",
        ),
        (
            r#"{"content":"Credentials: password: Tr0ub4dor&3"}"#,
            r#"{"content":"Credentials: password: [SECRET]&3"}"#,
        ),
        (
            "a: b: c:d:e=password=hunter2x",
            "a: b: c:d:e=password=[SECRET]",
        ),
        (
            r#"log "note": "set password=\"hunter2x\" there" end"#,
            r#"log "note": "set password=\"[SECRET]\" there" end"#,
        ),
    ] {
        assert_eq!(redact(text), expected);
    }
}

#[test]
fn behind_authorization_only_a_scheme_makes_a_word_a_credential() {
    for text in [
        "Authorization: see RFC7235 for details",
        "Authorization: requires OAuth2.0 scopes",
        "authorization: type OAuth2 is needed",
        "Authorization: code ABC123456",
        "Authorization: Bearer $OPENAI_API_KEY",
        "Authorization: Token $API_KEY_2",
        "Authorization: Token ${API_KEY_2}",
        "Authorization: Token <token-123456>",
        "Authorization: Token {{token_123456}}",
        "Authorization: ApiKey YOUR_API_KEY_2",
        "Authorization: Token your-token-123",
        "Authorization: token authentication is needed",
        r#"Authorization: Digest username="Mufasa", realm="a@b", response="6629fae49393a05397450978507c4ef1""#,
    ] {
        assert_eq!(redact(text), text);
    }
    for scheme in [
        "Basic",
        "bearer",
        "Token",
        "ApiKey",
        "Negotiate",
        "NTLM",
        "SharedKey",
        "SharedKeyLite",
        "AWS",
    ] {
        let told = redact(&format!("Authorization: {scheme} me:a1B2+c3D4e5=, and"));
        assert!(!told.contains("c3D4"), "{told}");
        assert!(told.contains(scheme) && told.ends_with(", and"), "{told}");
    }
}

#[test]
fn json_within_a_text_stays_json() {
    for message in [
        r#"she said "the password is hunter2xyz" and left"#,
        "the password is hunter2xyz\nSee you\nBye",
        "the password is `hunter2xyz`\tBye",
        r#"password="hunter2xyz"\ and"#,
        r#"password="hunter2xyz\" and"#,
        r#"password="hunter2xyz"\\n and"#,
        r#"Authorization: Token hunter2xyz\ and"#,
    ] {
        for depth in 1..3 {
            let mut json = serde_json::json!({ "m": message }).to_string();
            for _ in 1..depth {
                json = serde_json::json!({ "m": json }).to_string();
            }
            let redacted = redact(&format!("log {json} end"));
            assert!(!redacted.contains("hunter2"), "{redacted}");
            let within = redacted
                .strip_prefix("log ")
                .and_then(|it| it.strip_suffix(" end"));
            let mut within = within.unwrap().to_owned();
            for _ in 0..depth {
                let read: Result<serde_json::Value, _> = serde_json::from_str(&within);
                let read = read.unwrap_or_else(|error| panic!("{error}: {redacted}"));
                within = read["m"].as_str().unwrap().to_owned();
            }
            assert!(within.contains("[SECRET]"), "{redacted}");
        }
    }
}

#[test]
fn strings_in_json_are_read_as_what_they_say_however_deep() {
    let inner = r#"{"to":"anna@example.com","n":4111111111111111,"same":[1.0,"é"]}"#;
    let mut text = inner.to_owned();
    for _ in 0..4 {
        text = format!(r#"{{ "in" : {} }}"#, serde_json::Value::from(text));
    }
    let mut read: serde_json::Value = serde_json::from_str(&redact(&text)).unwrap();
    for _ in 0..3 {
        let within = read["in"].as_str().unwrap();
        read = serde_json::from_str(within).unwrap();
    }
    let expected = r#"{"to":"[EMAIL]","n":"[CARD]","same":[1.0,"é"]}"#;
    assert_eq!(read["in"].as_str(), Some(expected));
    // As an escape it is the same text.
    let escaped = "{\"a\":\"anna\\u0040example.com\"}";
    assert_eq!(redact(escaped), r#"{"a":"[EMAIL]"}"#);
}

#[test]
fn what_lies_too_deep_to_be_read_is_withheld() {
    for inner in [
        r#"{"to":"anna\u0040example.com"}"#,
        r#"{"password":"anna"}"#,
        r#"["anna\u0040example.com"]"#,
    ] {
        let mut text = inner.to_owned();
        for depth in 1..=12 {
            text = format!(r#"{{"in":{}}}"#, serde_json::Value::from(text));
            let redacted = redact(&text);
            assert!(!redacted.contains("anna"), "{depth}: {redacted}");
            assert_eq!(
                redacted.contains("[withheld: "),
                depth > 7,
                "{depth}: {redacted}"
            );
        }
    }
}

#[test]
fn many_that_begin_and_do_not_end_take_no_longer_than_their_length() {
    // A second look at the whole of it for each would take hours.
    for begin in [
        "-----BEGIN PRIVATE KEY-----x-",
        "-----BEGIN A-----",
        "a@b.c",
        "password=\"",
        "x: '",
        "ab:",
        "key=",
        "key: ",
        "token:token=\\\"",
        "eyJaaaaaaaa.",
        "+1 (",
        "DE89 ",
        "::",
    ] {
        let text = begin.repeat((1 << 19) / begin.len());
        let redacted = redact(&text);
        assert_eq!(
            begin.contains("PRIVATE"),
            redacted.contains("[PEM]"),
            "{begin}"
        );
    }
}

#[test]
fn what_is_too_long_is_withheld() {
    let redactor = Redactor::new(Policy {
        max_bytes: 10,
        ..Policy::default()
    });
    assert_eq!(redactor.redact("0123456789"), None);
    let withheld = redactor.redact("0123456789a").unwrap();
    assert_eq!(withheld, "[withheld: 11 bytes]");
}

#[test]
fn patterns_of_the_users_own_are_replaced_by_their_names() {
    let pattern = Pattern::new("STAFF_ID", r"\bE-\d{6}\b").unwrap();
    let redactor = Redactor::new(Policy {
        detectors: Vec::new(),
        patterns: vec![pattern],
        ..Policy::default()
    });
    let found = redactor.redact("ask E-004711 or anna@example.com");
    assert_eq!(found.as_deref(), Some("ask [STAFF_ID] or anna@example.com"));
    assert_eq!(
        Pattern::new("A", "x*").unwrap_err(),
        BadPattern::MatchesNothing
    );
    assert_eq!(Pattern::new("a b", "x").unwrap_err(), BadPattern::Name);
    assert!(matches!(
        Pattern::new("A", r"(?=x)").unwrap_err(),
        BadPattern::Syntax(_)
    ));
}

#[test]
fn where_nothing_is_looked_for_nothing_is_replaced_or_withheld() {
    let redactor = Redactor::new(Policy {
        detectors: Vec::new(),
        patterns: Vec::new(),
        max_bytes: 1,
    });
    assert_eq!(redactor.redact("anna@example.com"), None);
}

#[test]
fn addresses_and_versions_in_names_stay() {
    let redactor = &*REDACTOR;
    assert_eq!(redactor.redact_name("Mozilla/5.0 Chrome/126.0.10.2"), None);
    assert_eq!(redactor.redact_name("http://10.0.0.1:8000/v1/chat"), None);
    let named = redactor.redact_name("app (anna@example.com)");
    assert_eq!(named.as_deref(), Some("app ([EMAIL])"));
}

#[test]
fn names_of_models_and_ids_stay() {
    for text in [
        "gpt-4o-2024-08-06",
        "claude-3-5-sonnet-20241022",
        "chatcmpl-9Xh2bQeJ8s7m1Kq0TzV4w6yR",
        "550e8400-e29b-41d4-a716-446655440000",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "2024-11-30T04:11:06Z",
        "ft:gpt-4o-mini-2024-07-18:org::abc123",
    ] {
        assert_eq!(redact(text), text);
    }
}

/// Data of each kind, made up.
fn planted() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{3,10}@[a-z]{3,10}\\.(com|org|de)",
        "\\+49 1[5-7][0-9] [0-9]{7}",
        "\\([2-9][0-9]{2}\\) [2-9][0-9]{2}-[0-9]{4}",
        "(AKIA|ASIA)[A-Z0-9]{15}[0-9]",
        "sk-proj-[A-Za-z0-9]{20}[0-9]",
        "eyJ[A-Za-z0-9]{12}\\.eyJ[A-Za-z0-9]{12}\\.[A-Za-z0-9_-]{12}",
        Just("DE89 3704 0044 0532 0130 00".to_owned()),
        Just("4111 1111 1111 1111".to_owned()),
        Just("219-09-9999".to_owned()),
        Just("2001:db8::8a2e:370:7334".to_owned()),
        "(203\\.0\\.113|198\\.51\\.100)\\.[1-9][0-9]",
    ]
}

proptest! {
    #[test]
    fn what_is_planted_is_gone_wherever_it_stands(
        before in "[a-zA-Zäß ,.]{0,30}",
        secret in planted(),
        after in "[a-zA-Zäß ,]{0,30}",
    ) {
        let text = format!("{before} {secret} {after}");
        let whole = serde_json::json!({ "a": [text], "n": 1 }).to_string();
        let nested = serde_json::json!({ "b": whole }).to_string();
        for text in [text, whole, nested] {
            let redacted = redact(&text);
            prop_assert!(!redacted.contains(&secret), "{}", redacted);
        }
    }

    #[test]
    fn redacting_again_changes_nothing(text in "(.|[a-z]{1,8}@[a-z]{1,8}\\.com|[0-9]{1,4}|[ :=\"{}\\[\\],-])*") {
        let once = redact(&text);
        prop_assert_eq!(redact(&once), once);
    }

    #[test]
    fn json_stays_json_of_the_same_shape(
        names in prop::collection::vec("[a-z_]{1,8}|password|api_key", 1..5),
        values in prop::collection::vec(prop_oneof![planted(), ".{0,20}"], 5),
    ) {
        let members = names.into_iter().zip(&values);
        let object: serde_json::Map<String, serde_json::Value> =
            members.map(|(name, value)| (name, value.clone().into())).collect();
        let count = object.len();
        let text = serde_json::Value::from(object).to_string();
        let read: serde_json::Value = serde_json::from_str(&redact(&text)).unwrap();
        prop_assert_eq!(read.as_object().unwrap().len(), count);
    }

    #[test]
    fn no_text_is_cut_within_a_character(text in ".*") {
        for found in REDACTOR.find(&text) {
            prop_assert!(text.get(found.range).is_some());
        }
    }
}
