//! `streamgauge demo`: one command, no key and no network, and what it prints to try works.

use std::net::TcpListener;

use tokio::process::Command;

use crate::support::process::{Log, Process, Program};
use crate::support::{client, within};

fn demo<const N: usize>(arguments: [&str; N]) -> Process {
    Program::new(["demo"]).args(arguments).start()
}

/// A demo that goes on until it is told to stop.
fn lasting() -> Process {
    demo(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
}

/// What it has printed once that fulfils a condition.
async fn printed(process: &Process, what: &str, condition: impl Fn(&Log) -> bool) -> String {
    process.wait_for_stdout(what, condition).await.text()
}

/// What it prints of itself before the traffic starts.
async fn introduction(process: &Process) -> String {
    printed(process, "what there is to see", |log| {
        log.text().contains("/v1/models")
    })
    .await
}

/// The URL after a word.
fn url<'a>(text: &'a str, word: &str) -> &'a str {
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with(word));
    let line = line.unwrap_or_else(|| panic!("no line begins with {word:?}:\n{text}"));
    line.split_whitespace().last().unwrap()
}

/// The shell command that begins with this text, its continued lines included.
fn command(text: &str, beginning: &str) -> String {
    let at = text
        .find(beginning)
        .unwrap_or_else(|| panic!("no {beginning:?} in\n{text}"));
    let lines: Vec<_> = text[at..].lines().collect();
    let last = lines.iter().position(|line| !line.ends_with('\\')).unwrap();
    lines[..=last].join("\n")
}

/// Host and port of a URL.
fn address(url: &str) -> std::net::SocketAddr {
    let rest = url.strip_prefix("http://").unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn on_all_addresses_it_prints_one_that_can_be_opened() {
    let process = demo(["--listen", ":0", "--admin", "[::]:0"]);
    let text = introduction(&process).await;
    let (proxy, page) = (url(&text, "proxy"), url(&text, "live page"));
    assert!(proxy.starts_with("http://127.0.0.1:"), "{proxy}");
    assert!(page.starts_with("http://[::1]:"), "{page}");
    assert!(!text.contains("0.0.0.0"), "{text}");
}

#[tokio::test]
async fn it_ends_by_itself_with_a_table() {
    let mut process = demo([
        "--for",
        "2s",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ]);
    let status = process.exit().await;
    assert_eq!(status.code(), Some(0), "{}", process.stderr().text());
    assert_eq!(process.stderr().text(), "");
    let text = process.stdout().text();
    let table = &text[text.find("\nmodel ").unwrap()..];
    for column in ["calls", "errors", "TTFT p50", "tokens out", "ended"] {
        assert!(
            table.lines().nth(1).unwrap().contains(column),
            "{column}:\n{text}"
        );
    }
    let all = table.lines().find(|line| line.starts_with("all ")).unwrap();
    let calls: u32 = all.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(calls > 0, "{all}");
}

#[tokio::test]
async fn it_says_where_to_look_and_that_is_where_it_is() {
    let mut process = lasting();
    let text = introduction(&process).await;
    let page = client::get(address(url(&text, "live page")), "/").await;
    assert!(page.text().contains("<html"), "{}", page.text());
    let metrics = client::get(address(url(&text, "metrics")), "/metrics").await;
    assert!(
        metrics.text().contains("streamgauge_exchanges_in_flight"),
        "{}",
        metrics.text()
    );
    let models = client::get(address(url(&text, "proxy")), "/v1/models").await;
    assert!(models.text().contains("sim-chat"), "{}", models.text());

    process.signal("INT").await;
    assert_eq!(
        process.exit().await.code(),
        Some(0),
        "{}",
        process.stderr().text()
    );
    assert!(
        process.stdout().text().contains("\nmodel "),
        "a signal ends it with the table too"
    );
}

#[tokio::test]
async fn its_calls_have_a_cost() {
    let process = lasting();
    let text = introduction(&process).await;
    let admin = address(url(&text, "live page"));
    let priced = async {
        loop {
            let answer = client::get(admin, "/api/exchanges?q=cost%3E0").await;
            if answer.text().contains("\"model\":\"sim-") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    within("a call with a cost", priced).await;
}

#[tokio::test]
async fn the_printed_curl_line_streams_an_answer() {
    let process = lasting();
    let text = introduction(&process).await;
    let line = command(&text, "curl -N ");
    let curl = Command::new("curl").arg("--version").output().await;
    let answer = if curl.is_ok_and(|curl| curl.status.success()) {
        let run = Command::new("sh").args(["-c", &line]).output();
        let output = within("curl", run).await.unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    } else {
        eprintln!("there is no curl here; the same request is sent by the test's own client");
        let body = line.split("-d '").nth(1).unwrap().trim_end_matches('\'');
        let request = client::post("/v1/chat/completions", body);
        client::send(address(url(&text, "proxy")), request)
            .await
            .text()
            .to_owned()
    };
    assert!(answer.starts_with("data: {"), "{answer}");
    assert!(answer.ends_with("data: [DONE]\n\n"), "{answer}");
    assert!(
        !answer.contains("\"choices\":[]"),
        "the event that was asked for on the way is out"
    );
}

#[tokio::test]
async fn the_printed_python_line_is_python_for_the_proxy() {
    let process = lasting();
    let text = introduction(&process).await;
    let line = command(&text, "OPENAI_BASE_URL=");
    assert!(
        line.starts_with(&format!("OPENAI_BASE_URL={} ", url(&text, "proxy"))),
        "{line}"
    );
    // The SDK may not be here; the shell and the syntax can be asked all the same.
    let asked = line.replace("python3 -c", "exec printf '%s\\n'");
    let output = within("sh", Command::new("sh").args(["-c", &asked]).output())
        .await
        .unwrap();
    let program = String::from_utf8(output.stdout).unwrap();
    assert!(program.starts_with("import openai; "), "{program}");
    let Ok(compiled) = Command::new("python3")
        .args([
            "-c",
            "import sys; compile(sys.argv[1], 'line', 'exec')",
            &program,
        ])
        .output()
        .await
    else {
        eprintln!("there is no python3 here; the line's syntax is not checked");
        return;
    };
    assert!(compiled.status.success(), "{program}\n{compiled:?}");
}

#[tokio::test]
async fn a_summary_line_comes_every_few_seconds() {
    let process = lasting();
    let is_summary = |line: &String| line.contains(" calls ") && line.contains(" in flight");
    printed(&process, "two summary lines", |log| {
        log.lines.iter().filter(|line| is_summary(line)).count() >= 2
    })
    .await;
}

#[tokio::test]
async fn taken_ports_give_way_to_free_ones_with_a_note_where_nobody_has_chosen_them() {
    let usual = ["127.0.0.1:8080", "127.0.0.1:9464"];
    // What another program has is taken just as well.
    let _taken = usual.map(TcpListener::bind);
    let process = demo([]);
    let text = introduction(&process).await;
    for (address, word) in usual.into_iter().zip(["proxy", "live page"]) {
        let used = self::address(url(&text, word)).to_string();
        let note = format!("note: {address} is in use, using {used} instead");
        assert!(text.lines().any(|line| line == note), "{note:?} in\n{text}");
    }
}

#[tokio::test]
async fn a_taken_port_that_was_chosen_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (name, other, variable) in [
        ("listen", "--admin", "STREAMGAUGE_LISTEN"),
        ("admin", "--listen", "STREAMGAUGE_ADMIN"),
    ] {
        let by_flag = Program::new(["demo", &format!("--{name}"), &address]);
        let by_variable = Program::new(["demo"]).env(variable, &address);
        for program in [by_flag, by_variable] {
            let mut process = program.args([other, "127.0.0.1:0"]).start();
            let told = format!("{name} = {address}: cannot listen on this address");
            process
                .wait_for("why it does not run", |log| log.text().contains(&told))
                .await;
            assert_eq!(process.wait().await.code(), Some(1));
        }
    }
}
