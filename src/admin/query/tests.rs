use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::exchange::{Exchange, Failure};
use crate::view::{Id, Usd};

fn row() -> Row<'static> {
    let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600));
    exchange.times.end = Duration::from_millis(2_500);
    exchange.failure = Some(Failure {
        kind: "upstream_cut".into(),
        message: String::new(),
    });
    let text = serde_json::to_string(&Row::of(1, &exchange)).unwrap();
    Row {
        method: "POST".into(),
        path: "/v1/chat/completions".into(),
        model: Some("GPT-4o mini".into()),
        upstream: Some("main".into()),
        status: Some(200),
        end: "cut".into(),
        streamed: true,
        time_to_first_token_ms: Some(1_500.25),
        input_tokens: Some(8_000),
        cost_usd: Some(Usd("0.05".parse().unwrap())),
        conversation: Some(Id(0xabc)),
        trace_id: Some(Id(0x1234)),
        upstream_trace_id: Some(Id(0x5678)),
        finish_reasons: vec!["stop".into(), "tool_calls".into()],
        ..serde_json::from_str(&text).unwrap()
    }
}

fn takes(query: &str) -> bool {
    Query::parse(query).unwrap().takes(&row())
}

#[test]
fn every_kind_of_term_takes_what_it_says() {
    for query in [
        "",
        "  ",
        "model:gpt*",
        "model:gpt-4o*MINI",
        "model:\"gpt-4o mini\"",
        "model:claude*|gpt*",
        "mini",
        "\"4o mini\"",
        "main",
        "upstream_cut",
        "0abc",
        "ttft>1s",
        "ttft>=1500.25ms",
        "ttft=1500250us",
        "ttft<0.1m",
        "ttft>1500",
        "in>7.5k",
        "in<=8k",
        "in<1M",
        "cost=0.05",
        "status:200",
        "status:2*",
        "status<400",
        "stream:true",
        "has:error",
        "-has:out",
        "-out>0",
        "finish:tool_calls",
        "end:cut -stream:false",
        "conversation:*abc",
        "trace:*1234",
        "trace:00000000000000000000000000005678",
        "0005678",
        "path:*/chat/*",
        "duration>2s model:*",
        "ended>=1767225602500",
        "ended=1767225602500",
        "ended>1767225600000 ended<1767225602501",
    ] {
        assert!(takes(query), "{query}");
    }
    for query in [
        "model:gpt",
        "model:*gpt",
        "-mini",
        "ttft>2s",
        "out>0",
        "has:out",
        "tpot<1h",
        "end:done",
        "model:gpt* end:done",
        "finish:length",
        "nothing",
        "conversation:abc",
        "trace:5678",
        "ended>1767225602500",
        "ended<1767225602500",
    ] {
        assert!(!takes(query), "{query}");
    }
}

#[test]
fn a_mistake_is_told_with_its_place_and_what_would_be_right() {
    for (query, position, message) in [
        (
            "modell:gpt",
            0,
            "expected a field in place of \"modell\": model, upstream",
        ),
        ("a  -modell:gpt", 4, "expected a field"),
        (
            "ttft > 2s",
            5,
            "expected a field before >, with no blank between them, as in ttft>2s",
        ),
        ("ttft >= 2s", 5, "expected a field before >, with no blank"),
        (
            "ttft> 2s",
            5,
            "expected a time such as 250ms, 2s or 1.5m, with no blank before it, as in ttft>2s",
        ),
        ("model :gpt", 6, "expected a field before :, with no blank"),
        (
            "model: gpt",
            6,
            "expected a text, in which * stands for anything, with no blank before it",
        ),
        ("has: error", 4, "expected a field, with no blank before it"),
        ("http://x", 0, "expected a field in place of \"http\""),
        ("has:nothing", 4, "expected a field in place of \"nothing\""),
        (
            "ttft:2s",
            4,
            "expected ttft>N, ttft<N or ttft=N, N being a time",
        ),
        ("ttft>2kg", 5, "expected a time such as"),
        ("ttft>", 5, "expected a time such as"),
        ("in>=2ms", 4, "expected a number such as"),
        ("cost>1k", 5, "expected an amount in USD"),
        (
            "ended>=2026-12-01",
            7,
            "expected a time in milliseconds since 1970, such as 1767225600000",
        ),
        ("ended>5m", 6, "expected a time in milliseconds since 1970"),
        ("model>3", 5, "expected model:TEXT"),
        ("model:", 6, "expected a text"),
        (
            "end:gone",
            4,
            "expected one of done, http_error, finish_without_done, done_without_finish, error_event, cut, client_left, timeout,",
        ),
        ("end:cut|gone", 4, "expected one of done,"),
        (
            "stream:yes",
            7,
            "expected one of true, false in place of \"yes\"",
        ),
        ("model:a|", 6, "expected a text"),
        ("é \"open", 2, "expected another \""),
        ("\"\"", 0, "expected a word"),
        ("\"a\"=b", 0, "expected the quotes around the whole word"),
    ] {
        let wrong = Query::parse(query).unwrap_err();
        assert!(wrong.message.starts_with(message), "{query}: {wrong}");
        assert_eq!(wrong.position, position, "{query}");
    }
    let many = "a ".repeat(65);
    assert_eq!(Query::parse(&many).unwrap_err().position, 128);
    assert!(Query::parse(&"a".repeat(2_001)).is_err());
}

#[test]
fn the_fields_that_a_word_is_looked_for_in_are_these() {
    let names: Vec<&str> = field::SEARCHED.iter().map(|field| field.name).collect();
    assert_eq!(
        names,
        [
            "model",
            "path",
            "upstream",
            "error",
            "conversation",
            "trace"
        ]
    );
}

/// A text in quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

proptest! {
    #[test]
    fn any_text_is_a_query_or_a_mistake_in_it(text in any::<String>()) {
        match Query::parse(&text) {
            Ok(query) => prop_assert_eq!(query.takes(&row()), query.takes(&row())),
            Err(mistake) => prop_assert!(mistake.position <= text.chars().count()),
        }
    }

    #[test]
    fn what_looks_like_a_query_is_one_or_a_mistake_in_it(
        text in "(-?(model|ttft|in|has|end|x)?[:<>=]{0,2}[a-z0-9.*|\"]{0,6}(ms|s|k|M)? ?){0,8}",
    ) {
        if let Err(mistake) = Query::parse(&text).map(|query| query.takes(&row())) {
            prop_assert!(mistake.position <= text.chars().count());
        }
    }

    #[test]
    fn any_text_in_quotes_is_found_in_itself(text in "[^\\s*].{0,100}") {
        let row = Row { model: Some(Cow::Borrowed(&text)), ..row() };
        prop_assert!(Query::parse(&quoted(&text)).unwrap().takes(&row));
        let is = format!("model:{}", quoted(&text));
        prop_assert!(Query::parse(&is).unwrap().takes(&row));
        let negated = format!("-{is}");
        prop_assert!(!Query::parse(&negated).unwrap().takes(&row));
    }

    #[test]
    fn a_glob_takes_what_it_was_made_of(parts in prop::collection::vec("[a-c]{0,3}", 1..5), between in prop::collection::vec("[a-c]{0,3}", 4)) {
        let glob = Glob::new(&parts.join("*"));
        let filled: String = parts.iter().zip(between.iter().map(String::as_str).chain([""])).enumerate()
            .map(|(at, (part, fill))| if at + 1 < parts.len() { format!("{part}{fill}") } else { part.clone() })
            .collect();
        prop_assert!(glob.fits(&filled));
    }
}
