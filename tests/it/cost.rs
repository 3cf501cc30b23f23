//! What calls cost: on the spans, in the metrics, and worked out by the command.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::client::{get, post};
use crate::support::file::File;
use crate::support::gauge::json;
use crate::support::otlp::{Attributes as _, Span};
use crate::support::scene::Scene;

mod documented;

const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/own-prices.toml");

/// Two million tokens in, a million out, of a model with a price of the user's own.
const PRICED: &str = r#"{"id":"a","object":"chat.completion","model":"example-contract","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":2000000,"completion_tokens":1000000,"total_tokens":3000000}}"#;

async fn call(scene: &Scene, answer: &str) {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let (mut client, mut served) = scene.call(&post("/v1/chat/completions", body)).await;
    served.write(json(200, answer)).await;
    assert_eq!(client.read_response().await.status(), 200);
}

async fn inference(scene: &Scene, calls: usize) -> Vec<Span> {
    let spans = scene.collector.spans(2 * calls).await;
    let of_model = spans
        .into_iter()
        .filter(|span| span.text("gen_ai.operation.name").is_some());
    of_model.collect()
}

#[tokio::test]
async fn a_call_is_priced_on_its_span_and_in_the_metrics() {
    let scene = Scene::configured(&format!("prices = '{OWN}'\n")).await;
    call(&scene, PRICED).await;
    let span = &inference(&scene, 1).await[0];
    assert_eq!(span.double("streamgauge.cost.usd"), Some(12.0));
    assert_eq!(span.double("gen_ai.usage.cost"), Some(12.0));
    assert_eq!(
        span.text("streamgauge.cost.price"),
        Some("own/example-contract")
    );
    let name = "llm_tokens_cost_total";
    for (token_type, usd) in [("prompt", 4.0), ("completion", 8.0)] {
        let labels = [("token_type", token_type), ("model", "m")];
        let counted = scene
            .server
            .metric_where(name, &labels, |it| it > 0.0)
            .await;
        assert!((counted - usd).abs() < 1e-9, "{token_type}: {counted}");
    }
}

#[tokio::test]
async fn a_model_without_a_price_is_counted_and_costs_not_nothing() {
    let scene = Scene::start().await;
    call(&scene, PRICED).await;
    let span = &inference(&scene, 1).await[0];
    assert_eq!(span.text("streamgauge.cost.unpriced"), Some("provider"));
    assert_eq!(span.double("streamgauge.cost.usd"), None);
    let labels = [("reason", "provider")];
    let name = "streamgauge_cost_unpriced_total";
    scene
        .server
        .metric_where(name, &labels, |calls| calls == 1.0)
        .await;
    assert_eq!(
        scene.server.metric("llm_tokens_cost_total", &[]).await,
        None
    );
    let sums = scene.server.api("costs?by=model").await;
    for sums in [&sums["rows"][0], &sums["total"]] {
        assert_eq!(sums["unpriced_calls"], 1);
        assert_eq!(
            (&sums["usd"], &sums["estimated_usd"]),
            (&Value::Null, &Value::Null)
        );
    }
    let path = "/api/costs?by=model&format=csv";
    let csv = get(scene.server.admin, path).await;
    let cells: Vec<&str> = csv.text().lines().last().unwrap().split(',').collect();
    assert_eq!(cells[6..], ["", "", "1", "0"], "{}", csv.text());
}

#[tokio::test]
async fn prices_are_read_again_on_sighup_and_a_file_with_a_mistake_changes_nothing() {
    let price = |usd: u32| {
        format!(
            "[[price]]\nmodel = 'example-contract'\nusd = {{ input_mtok = 0, output_mtok = {usd} }}\n"
        )
    };
    let file = File::new("prices.toml", price(3));
    let scene = Scene::configured(&format!("prices = '{}'\n", file.name())).await;
    let process = &scene.server.process;
    let again = async |text: String, told: &str| {
        std::fs::write(file.path(), text).unwrap();
        process.signal("HUP").await;
        process.message(told).await;
    };
    call(&scene, PRICED).await;
    inference(&scene, 1).await;
    let told = "the prices were read again; calls that end from now on have them; the rest of the configuration is read at start only";
    again(price(5), told).await;
    call(&scene, PRICED).await;
    inference(&scene, 2).await;
    let told = "the prices cannot be read again; those that were read before stay in use";
    again("[[price]]\n".to_owned(), told).await;
    call(&scene, PRICED).await;
    let mut costs: Vec<_> = inference(&scene, 3).await;
    costs.sort_by_key(|span| span.proto.start_time_unix_nano);
    let costs: Vec<_> = costs
        .iter()
        .map(|span| span.double("streamgauge.cost.usd"))
        .collect();
    assert_eq!(costs, [Some(3.0), Some(5.0), Some(5.0)]);
}

#[tokio::test]
async fn a_call_with_tokens_that_an_own_price_leaves_out_has_no_cost() {
    let file = File::new(
        "half.toml",
        "[[price]]\nmodel = 'example-contract'\nusd = { input_mtok = 2 }\n",
    );
    let told = format!(
        "prices = {}: the price of example-contract has no output_mtok: calls that use such tokens have no cost; write \
         output_mtok = 0 if they are free, or if there are none",
        file.name()
    );
    let scene = Scene::configured(&format!("prices = '{}'\n", file.name())).await;
    scene.server.process.message(&told).await;
    call(&scene, PRICED).await;
    let span = &inference(&scene, 1).await[0];
    assert_eq!(span.text("streamgauge.cost.unpriced"), Some("price"));
    assert_eq!(span.double("streamgauge.cost.usd"), None);
    let check = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .env_clear()
        .env("STREAMGAUGE_UPSTREAM", "http://127.0.0.1:1/v1")
        .env("STREAMGAUGE_PRICES", file.name())
        .arg("check")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&check.stderr);
    assert!(errors.contains(&format!("warning: {told}\n")), "{errors}");
    let usage = r#"{"prompt_tokens":1000,"completion_tokens":100}"#;
    let flags = ["--prices", file.name(), "--model", "example-contract"];
    let output = cost(&[&flags[..], &["--usage", usage]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr).trim_end(),
        format!(
            "{}: the price of example-contract: no price of output_tokens, and the usage has them; write output_mtok = 0 if \
             they are free",
            file.name()
        )
    );
}

#[test]
fn a_file_of_prices_that_is_no_toml_is_told_as_a_configuration_is() {
    let text = "[[price]]\nmodel = gpt-4o\nusd = { input_mtok = 2, output_mtok = 8 }\n";
    let file = File::new("no-toml.toml", text);
    let name = file.name();
    let begins = format!(
        "{name}:2:9: `model = gpt-4o`: found `gpt`, expected a value; a text needs quotation marks, as in model = \"…\" (TOML: "
    );
    let output = cost(&["--prices", name, "--model", "gpt-4o", "--usage", "{}"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.starts_with(&begins), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    let output = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .env_clear()
        .env("STREAMGAUGE_PRICES", name)
        .arg("check")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let expected = format!("expected a file of prices that is right: {begins}");
    assert!(told.contains(&expected), "{told}");
    // What is TOML and no price is told once, too.
    let file = File::new("no-price.toml", "[[price]]\nmodel = 'm'\n");
    let output = cost(&["--prices", file.name(), "--model", "m", "--usage", "{}"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(told.matches("missing field `usd`").count(), 1, "{told}");
}

/// Prices as the providers' own documents have them (read 2026-11), each worked by hand for a usage as it comes on the wire. Their own examples
/// are in `documented`.
const WORKED: [(&str, &str, &str, &str); 6] = [
    // platform.claude.com, "Claude Opus 5", pricing by the million: 5 in, 25 out, 6.25 to write for 5 min, 10 for 1 h, 0.50 to read.
    // 2,048 x 5 + 148 x 6.25 + 100 x 10 + 1,800 x 0.50 + 503 x 25.
    (
        "anthropic",
        "claude-opus-5",
        r#"{"input_tokens":2048,"cache_creation_input_tokens":248,"cache_read_input_tokens":1800,"output_tokens":503,"cache_creation":{"ephemeral_5m_input_tokens":148,"ephemeral_1h_input_tokens":100}}"#,
        "0.02564",
    ),
    // The same, and "Web search tool": 10 for a thousand searches.
    (
        "anthropic",
        "claude-opus-5",
        r#"{"input_tokens":2048,"output_tokens":503,"server_tool_use":{"web_search_requests":2}}"#,
        "0.042815",
    ),
    // platform.claude.com, "Claude Opus 5.5": 4 in, 20 out.
    (
        "anthropic",
        "claude-opus-5-5",
        r#"{"input_tokens":50000,"output_tokens":15000}"#,
        "0.5",
    ),
    // developers.openai.com, "Compare models": 10 in, 1 cached, 50 out, 12.50 to write to the cache.
    // 500 x 10 + 400 x 1 + 100 x 12.50 + 100 x 50.
    (
        "openai",
        "gpt-6-astra",
        r#"{"prompt_tokens":1000,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":400,"cache_write_tokens":100}}"#,
        "0.01165",
    ),
    // The same page, gpt-realtime, text: 4 in, 0.40 cached, 16 out. 600 x 4 + 400 x 0.40 + 100 x 16.
    (
        "openai",
        "gpt-realtime",
        r#"{"input_tokens":1000,"output_tokens":100,"input_token_details":{"text_tokens":1000,"audio_tokens":0,"cached_tokens":400,"cached_tokens_details":{"text_tokens":400,"audio_tokens":0}},"output_token_details":{"text_tokens":100,"audio_tokens":0}}"#,
        "0.00416",
    ),
    // The pricing page's own terms for long contexts: all tokens of a call with more than 272,000 have the second price.
    (
        "openai",
        "gpt-6-astra",
        r#"{"prompt_tokens":300000,"completion_tokens":1000}"#,
        "6.075",
    ),
];

#[test]
fn documented_prices_come_to_the_cent() {
    let lines = WORKED.map(|(provider, model, usage, _)| {
        format!(r#"{{"provider":"{provider}","model":"{model}","usage":{usage},"at":"2026-11-29T00:00:00Z"}}"#) + "\n"
    });
    let file = File::new("documented.jsonl", lines.concat());
    let text = stdout(&cost(&["--each", file.name()]));
    let priced: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(priced.len(), WORKED.len());
    for (priced, (_, model, usage, usd)) in priced.iter().zip(WORKED) {
        assert_eq!(priced["usd"], usd, "{model} {usage}: {priced}");
    }
}

fn cost(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .env_clear()
        .arg("cost")
        .args(arguments)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn the_command_works_out_a_usage_by_any_of_its_names() {
    let openai = r#"{"prompt_tokens":1000,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":400}}"#;
    let units = r#"{"input_tokens":1000,"output_tokens":100,"cache_read_tokens":400}"#;
    for usage in [openai, units] {
        let text = stdout(&cost(&[
            "--provider",
            "openai",
            "--model",
            "gpt-4o",
            "--usage",
            usage,
            "--json",
        ]));
        let priced: Value = serde_json::from_str(&text).unwrap();
        // 600 at 2.50, 400 at 1.25, 100 at 10 for a million.
        assert_eq!(priced["usd"], "0.003", "{usage}");
        assert_eq!(priced["input_usd"], "0.002");
    }
    // Anthropic's input has no cached tokens in it.
    let anthropic = r#"{"input_tokens":600,"cache_read_input_tokens":400,"output_tokens":100}"#;
    let text = stdout(&cost(&[
        "--provider",
        "anthropic",
        "--model",
        "claude-sonnet-4-5",
        "--usage",
        anthropic,
    ]));
    assert!(
        text.contains("input_tokens                      600 x 3 / 1000000"),
        "{text}"
    );
    assert!(text.ends_with("total 0.00342 USD\n"), "{text}");
}

#[test]
fn the_command_says_what_has_no_price_and_why() {
    for (arguments, expected) in [
        (
            &["--provider", "openai", "--model", "none", "--usage", "{}"][..],
            "the price catalogue has no model none of openai",
        ),
        (
            &["--provider", "openai", "--model", "gpt-4o", "--usage", "[]"],
            "usage: expected a JSON object, such as {\"input_tokens\": 1000, \"output_tokens\": 100}",
        ),
        (
            &[
                "--provider",
                "openai",
                "--model",
                "gpt-4o",
                "--usage",
                r#"{"input_token":1}"#,
            ],
            "usage: unknown unit input_token, did you mean input_tokens?",
        ),
        (
            &["--provider", "openai", "--model", "gpt-4o", "--usage", "{}"],
            "usage: expected counts, such as input_tokens and output_tokens, found none",
        ),
        (
            &[
                "--model",
                "gpt-4o",
                "--context",
                "foo=bar",
                "--usage",
                r#"{"input_tokens":1}"#,
            ],
            "context: unknown dimension foo, expected one of processing, route, search_type, service_tier, speed",
        ),
        (
            &["--prices", "/no/such/file", "--model", "m", "--usage", "{}"],
            "/no/such/file: No such file or directory (os error 2)",
        ),
    ] {
        let output = cost(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).trim_end(), expected);
    }
}

#[test]
fn a_count_that_is_none_is_an_error_that_names_it() {
    for (usage, wrong) in [
        (
            r#"{"prompt_tokens":-5,"completion_tokens":1}"#,
            "usage.prompt_tokens: expected a count of 0 or more, found -5",
        ),
        (
            r#"{"input_tokens":-5}"#,
            "usage.input_tokens: expected a count of 0 or more, found -5",
        ),
        (
            r#"{"prompt_tokens":5,"prompt_tokens_details":{"cached_tokens":-1}}"#,
            "usage.prompt_tokens_details.cached_tokens: expected a count of 0 or more, found -1",
        ),
        (
            r#"{"prompt_tokens":"many","completion_tokens":1}"#,
            "usage.prompt_tokens: expected a count of 0 or more, found \"many\"",
        ),
        (
            r#"{"prompt_tokens":4294967296,"completion_tokens":100}"#,
            "usage.prompt_tokens: expected a count of at most 1000000000, found 4294967296; sums of calls go by the names input_tokens \
             and output_tokens",
        ),
    ] {
        let output = cost(&["--model", "gpt-4o", "--usage", usage]);
        assert_eq!(output.status.code(), Some(1), "{usage}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).trim_end(), wrong);
    }
    // As text, a count is what an answer's would be.
    let usage = r#"{"prompt_tokens":"1000000","completion_tokens":0}"#;
    let text = stdout(&cost(&["--model", "gpt-4o", "--usage", usage]));
    assert!(text.ends_with("total 2.5 USD\n"), "{text}");
}

#[tokio::test]
async fn a_count_below_zero_on_the_wire_is_not_counted() {
    let scene = Scene::configured(&format!("prices = '{OWN}'\n")).await;
    let below = PRICED.replace(
        r#""completion_tokens":1000000"#,
        r#""completion_tokens":-1000000"#,
    );
    assert_ne!(below, PRICED);
    call(&scene, &below).await;
    let spans = inference(&scene, 1).await;
    let output = spans[0].int("gen_ai.usage.output_tokens");
    assert!(output.is_none_or(|output| output >= 0), "{output:?}");
    let usd = spans[0].double("streamgauge.cost.usd");
    assert!(usd.is_none_or(|usd| usd >= 0.0), "{usd:?}");
}

#[tokio::test]
async fn a_cost_of_usage_in_part_says_so_on_its_span_in_the_metrics_and_in_the_sums() {
    let scene = Scene::configured(&format!("prices = '{OWN}'\n")).await;
    let half = PRICED.replace(r#","completion_tokens":1000000,"total_tokens":3000000"#, "");
    for (answer, partial) in [(PRICED, None), (&half, Some(true))] {
        call(&scene, answer).await;
        let spans = inference(&scene, if partial.is_some() { 2 } else { 1 }).await;
        let span = spans.last().unwrap();
        assert_eq!(span.boolean("streamgauge.cost.partial"), partial);
        let usd = if partial.is_some() { 4.0 } else { 12.0 };
        assert_eq!(span.double("streamgauge.cost.usd"), Some(usd));
    }
    let name = "streamgauge_cost_partial_total";
    let counted = scene
        .server
        .metric_where(name, &[("model", "m")], |it| it > 0.0);
    assert_eq!(counted.await, 1.0);
    let total = &scene.server.api("costs").await["total"];
    assert_eq!(
        (&total["usd"], &total["partial_calls"]),
        (&"16".into(), &1.into())
    );
}

#[test]
fn no_tokens_cost_nothing_and_that_is_a_price() {
    let usage = r#"{"prompt_tokens":0,"completion_tokens":0}"#;
    let text = stdout(&cost(&["--model", "gpt-4o", "--usage", usage]));
    assert!(text.ends_with("total 0 USD\n"), "{text}");
}

#[test]
fn the_command_prices_each_line_and_fails_where_one_has_no_price() {
    let good = r#"{"model":"gpt-4o","usage":{"input_tokens":1000000}}"#;
    let file = File::new("good.jsonl", format!("{good}\n{good}\n"));
    let text = stdout(&cost(&["--each", file.name()]));
    let usd = |line| serde_json::from_str::<Value>(line).unwrap()["usd"].clone();
    assert_eq!(text.lines().map(usd).collect::<Vec<_>>(), ["2.5", "2.5"]);

    let bad = r#"{"model":"gpt-4o","usage":{}}"#;
    let file = File::new("bad.jsonl", format!("{good}\n{bad}\nno JSON\n"));
    let output = cost(&["--each", file.name()]);
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let errors: Vec<bool> = lines.iter().map(|line| line["error"].is_string()).collect();
    assert_eq!(errors, [false, true, true]);
    assert_eq!(
        (&lines[1]["line"], &lines[2]["line"]),
        (&2.into(), &3.into())
    );
    let told = format!(
        "{}: 2 of 3 lines have no price, the first is line 2\n",
        file.name()
    );
    assert_eq!(String::from_utf8(output.stderr).unwrap(), told);
}

#[test]
fn a_command_line_without_a_usage_or_a_model_is_a_wrong_one_and_says_what_is_missing() {
    let usage = r#"{"input_tokens":1}"#;
    for (arguments, missing) in [
        (&[][..], "--usage"),
        (&["--model", "gpt-4o"], "--usage"),
        (&["--usage", usage], "--model"),
    ] {
        let output = cost(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(missing), "{told}");
    }
    let file = File::new("no-model.jsonl", format!("{{\"usage\":{usage}}}\n"));
    let output = cost(&["--each", file.name()]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.contains("expected a model: in the line, or by --model"),
        "{told}"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_whole_response_is_priced_by_its_usage() {
    let response =
        r#"{"id":"a","model":"gpt-4o","usage":{"prompt_tokens":1000000,"completion_tokens":0}}"#;
    let text = stdout(&cost(&["--model", "gpt-4o", "--usage", response]));
    assert!(text.ends_with("total 2.5 USD\n"), "{text}");
}

#[test]
fn a_url_without_its_scheme_is_a_wrong_one() {
    let usage = r#"{"input_tokens":1}"#;
    let named = [
        "--url",
        "api.openai.com",
        "--model",
        "gpt-4o",
        "--usage",
        usage,
    ];
    let output = cost(&named);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("expected https://api.openai.com"), "{told}");
}

#[test]
fn a_price_of_the_users_own_is_not_credited_to_the_catalogue() {
    let named = ["--provider", "vllm", "--model", "llama-3.3-70b"];
    let own = ["--usage", r#"{"input_tokens":1000000}"#, "--prices", OWN];
    let arguments = [&named[..], &own].concat();
    let text = stdout(&cost(&arguments));
    let first = text.lines().next().unwrap();
    assert_eq!(first, "llama-3.3-70b, by your own price of llama-3.3-*");
    let json = stdout(&cost(&[&arguments[..], &["--json"]].concat()));
    let priced: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&priced["asked"], &priced["catalogue"]),
        (&"llama-3.3-70b".into(), &Value::Null)
    );
}

#[test]
fn of_a_price_that_may_not_be_that_of_the_day_a_note_says_so() {
    let usage = r#"{"input_tokens":1000000}"#;
    let of = |model, more: &[&str]| {
        let named = ["--provider", "x-ai", "--model", model, "--usage", usage];
        stdout(&cost(&[&named[..], more].concat()))
    };
    let grok = "grok-4.20";
    let undated = "\nnote: the catalogue does not say from which day on this price holds";
    assert!(of(grok, &["--at", "2020-01-01"]).contains(undated));
    let json: Value = serde_json::from_str(&of(grok, &["--at", "2020-01-01", "--json"])).unwrap();
    assert!(
        json["note"]
            .as_str()
            .unwrap()
            .starts_with("the catalogue does not say")
    );
    for more in [&["--at", "2026-04-30"][..], &[]] {
        assert!(!of(grok, more).contains("note: "), "{more:?}");
    }
    // Of the days after its own the catalogue cannot know.
    let catalogue = include_str!("../../config/prices.jsonl");
    let head: Value = serde_json::from_str(catalogue.lines().next().unwrap()).unwrap();
    let date = head["date"].as_str().unwrap();
    assert!(!of(grok, &["--at", date]).contains("note: "));
    let told = format!(
        "\nnote: the catalogue is of {date}: the price of the day asked for may be another\n"
    );
    let later = of(grok, &["--at", "2099-01-01"]);
    assert!(later.ends_with(&told), "{later}");
    let contract = "example-contract";
    let early = of(contract, &["--at", "2026-11-29", "--prices", OWN]);
    let told =
        "\nnote: no price is known of the day asked for: this one holds from 2026-12-01 on\n";
    assert!(early.ends_with(told), "{early}");
    assert!(!of(contract, &["--at", "2026-12-01", "--prices", OWN]).contains("note: "));
    assert!(!of("example-long", &["--at", "2020-01-01", "--prices", OWN]).contains("note: "));
}

#[test]
fn a_model_that_there_is_not_is_answered_with_the_one_that_is_like_it() {
    let usage = r#"{"input_tokens":1000000}"#;
    for (named, expected) in [
        (
            &["--provider", "openai", "--model", "gpt-4o-mni"][..],
            "no model gpt-4o-mni of openai, did you mean gpt-4o-mini?",
        ),
        (
            &["--model", "cluade-opus-4-1"],
            "no provider of a model cluade-opus-4-1, did you mean claude-opus-4-1?",
        ),
        (
            &["--provider", "openai", "--model", "xyz"],
            "no model xyz of openai\n",
        ),
        (
            &["--url", "http://vllm:8000/v1", "--model", "xyz"],
            "no provider at http://vllm:8000/v1: name the provider with --provider in place of --url, or give prices of your own with \
             --prices\n",
        ),
    ] {
        let output = cost(&[named, &["--usage", usage]].concat());
        assert!(!output.status.success());
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(expected), "{told}");
    }
}
