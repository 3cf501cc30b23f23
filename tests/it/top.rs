//! `streamgauge top`: the live page at a terminal, over the API of a real streamgauge.

use serde_json::Value;

use crate::support::client::{self, post};
use crate::support::gauge::{Gauge, json};
use crate::support::process::{Process, Program, Server};
use crate::support::terminal::Terminal;

/// What no terminal may be sent from the wire: it clears the screen, and sets a title.
const WICKED: &str = r"wicked\u001b[2J\u001b]0;title\u0007\u009b31m";

/// A demo that goes on, and the URL of its admin port.
async fn demo() -> (Process, String) {
    let process =
        Program::new(["demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).start();
    let is_introduced = |log: &crate::support::process::Log| log.text().contains("/v1/models");
    let text = process
        .wait_for_stdout("its addresses", is_introduced)
        .await
        .text();
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with("live page"));
    let url = line.unwrap().split_whitespace().last().unwrap();
    (process, url.trim_end_matches('/').to_owned())
}

fn url(server: &Server) -> String {
    format!("http://{}", server.admin)
}

/// Runs at a terminal, off the test's own thread: what it waits for is read on others.
async fn at_a_terminal<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(test).await.unwrap()
}

/// One call, which fails, since there is nobody to answer.
async fn call(server: &Server, model: &str) {
    let body = format!(r#"{{"model":"{model}","messages":[]}}"#);
    client::send(server.proxy, post("/v1/chat/completions", &body)).await;
}

/// A streamgauge before an upstream that is not there.
async fn before_nobody() -> Server {
    Program::serve("http://127.0.0.1:9/v1").listen().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_live_and_its_keys_do_what_the_help_says() {
    let (_demo, url) = demo().await;
    at_a_terminal(move || {
        let terminal = Terminal::start(&["top", &url], &[]);
        terminal.wait_for_text("  live  ");
        terminal.wait_for("an exchange that ended", |screen| {
            let shown = screen.contents();
            shown.contains("sim-") && shown.contains("done")
        });
        terminal.press("?");
        terminal.wait_for_text(" keys ");
        terminal.press("?");
        terminal.wait_for("the end of the help", |screen| {
            !screen.contents().contains(" keys ")
        });
        terminal.press("/ttft>x\r");
        let shown = terminal.wait_for_text("^ ");
        assert!(shown.contains("/ttft>x"), "{shown}");
        terminal.press("/\x15model:sim-chat\r");
        terminal.wait_for_text("filter: model:sim-chat");
        terminal.press("ss");
        terminal.wait_for_text("upstream▼");
        // A row begins with a time.
        terminal.wait_for("an exchange that matches", |screen| {
            let shown = screen.contents();
            let mut rows = shown
                .lines()
                .filter(|line| line.starts_with(|it: char| it.is_ascii_digit()));
            rows.any(|row| row.contains("sim-chat"))
        });
        terminal.press("\x1b[B\r");
        let shown = terminal.wait_for_text("to scale");
        assert!(shown.contains(": sim-chat"), "{shown}");
        terminal.wait_for_text("received");
        terminal.press("\x1b[F");
        terminal.wait_for_text("streamgauge.chunks");
        terminal.press("\x7f");
        terminal.wait_for_text("exchanges: newest");
        terminal.press("q");
        assert_eq!(terminal.wait().code(), Some(0));
        assert!(terminal.is_as_it_was());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_drawn_anew_at_every_size() {
    let server = before_nobody().await;
    call(&server, "sized").await;
    let url = url(&server);
    at_a_terminal(move || {
        let terminal = Terminal::start(&["top", &url], &[]);
        terminal.wait_for_text("sized");
        for (lines, columns) in [(10, 40), (3, 20), (60, 200), (1, 1), (24, 80)] {
            terminal.resize_and_wait(lines, columns);
        }
        terminal.wait_for_text("sized");
        terminal.press("q");
        assert_eq!(terminal.wait().code(), Some(0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn control_c_and_signals_end_it_and_leave_the_terminal_as_it_was() {
    let server = before_nobody().await;
    let url = url(&server);
    at_a_terminal(move || {
        for how in ["\x03", "TERM", "INT", "HUP"] {
            let terminal = Terminal::start(&["top", &url], &[]);
            terminal.wait_for_text("  live  ");
            assert!(terminal.shows(vt100::Screen::alternate_screen));
            match how {
                "\x03" => terminal.press(how),
                signal => terminal.signal(signal),
            }
            assert_eq!(terminal.wait().code(), Some(0), "{how}");
            assert!(terminal.is_as_it_was(), "{how}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_shown_and_found_again() {
    let mut server = before_nobody().await;
    let (url, admin) = (url(&server), server.admin.to_string());
    let terminal = at_a_terminal(move || {
        let terminal = Terminal::start(&["top", &url], &[]);
        terminal.wait_for_text("  live  ");
        terminal
    })
    .await;
    server.process.terminate().await;
    server.process.exit().await;
    let terminal = at_a_terminal(move || {
        terminal.wait_for_text("trying again");
        terminal
    })
    .await;
    let again = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--upstream",
        "http://127.0.0.1:9/v1",
    ];
    let _again = Program::new(again).args(["--admin", &admin]).listen().await;
    at_a_terminal(move || drop(terminal.wait_for_text("  live  "))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_wire_reaches_the_terminal_as_a_command() {
    let server = before_nobody().await;
    call(&server, WICKED).await;
    let url = url(&server);
    at_a_terminal(move || {
        let terminal = Terminal::start(&["top", &url], &[]);
        // The emulator leaves out what stands for the controls.
        terminal.wait_for_text("wicked[2J");
        terminal.press("\x1b[B\r");
        terminal.wait_for_text(": wicked[2J]0;title31m");
        let written = terminal.written();
        assert!(
            written.contains("wicked\u{fffd}[2J\u{fffd}]0;"),
            "{written:?}"
        );
        assert!(
            !written.contains("\x1b]0;") && !written.contains('\u{9b}'),
            "{written:?}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_color_has_no_color() {
    let server = before_nobody().await;
    call(&server, "grey").await;
    let url = url(&server);
    at_a_terminal(move || {
        for (variables, has_colors) in [(&[("NO_COLOR", "1")][..], false), (&[], true)] {
            let terminal = Terminal::start(&["top", &url], variables);
            terminal.wait_for_text("grey");
            let colored = terminal.shows(|screen| {
                let cells = (0..24).flat_map(|line| (0..100).map(move |column| (line, column)));
                let mut cells = cells.filter_map(|(line, column)| screen.cell(line, column));
                cells.any(|cell| cell.fgcolor() != vt100::Color::Default)
            });
            assert_eq!(colored, has_colors);
        }
    })
    .await;
}

#[tokio::test]
async fn without_a_terminal_it_is_a_table_and_the_end() {
    let server = before_nobody().await;
    call(&server, WICKED).await;
    call(&server, "tabled").await;
    for arguments in [&["top"][..], &["top", "--once", "--filter", "model:tabled"]] {
        let mut process = Program::new(arguments).args([&*url(&server)]).start();
        assert_eq!(
            process.exit().await.code(),
            Some(0),
            "{}",
            process.stderr().text()
        );
        let text = process.stdout().text();
        assert!(
            !text.contains('\x1b') && !text.contains('\u{9b}'),
            "{text:?}"
        );
        let row = text.lines().find(|line| line.contains("tabled")).unwrap();
        assert!(
            row.contains("502") && row.contains("connection_refused"),
            "{row}"
        );
        assert_eq!(text.contains("wicked"), arguments.len() == 1, "{text}");
    }
}

#[tokio::test]
async fn once_as_json_it_is_one_document() {
    let server = before_nobody().await;
    call(&server, WICKED).await;
    let mut process = Program::new(["top", "--once", "--json"])
        .args([&*url(&server)])
        .start();
    assert_eq!(
        process.exit().await.code(),
        Some(0),
        "{}",
        process.stderr().text()
    );
    let text = process.stdout().text();
    assert!(
        !text.contains('\x1b') && !text.contains('\u{9b}'),
        "{text:?}"
    );
    let document: Value = serde_json::from_str(&text).unwrap();
    let model: String = serde_json::from_str(&format!("\"{WICKED}\"")).unwrap();
    assert_eq!(document["exchanges"]["exchanges"][0]["model"], model);
    assert_eq!(document["summary"]["ready"], true);
    assert_eq!(document["in_flight"]["count"], 0);
}

#[tokio::test]
async fn json_lines_are_of_what_ends_from_now_on() {
    let server = before_nobody().await;
    call(&server, "before").await;
    let top = Program::new(["top", "--json", "--filter", "model:after*"]);
    let process = top.args([&*url(&server)]).start();
    let mut number = 0;
    // It says nothing until it has asked for the first time: one of the calls comes after that.
    let log = loop {
        number += 1;
        call(&server, &format!("after-{number}")).await;
        call(&server, "other").await;
        let log = process.stdout();
        if !log.lines.is_empty() {
            break log;
        }
        assert!(!log.is_over, "{}", process.stderr().text());
    };
    for line in &log.lines {
        let row: Value = serde_json::from_str(line).unwrap();
        assert!(
            row["model"].as_str().unwrap().starts_with("after-"),
            "{row}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_shown_is_said_with_its_reason() {
    let server = before_nobody().await;
    let url = url(&server);
    let filter = ["--once", &url, "--filter", "model:a ttft>x"];
    let mut wrong = Program::new(["top"]).args(filter).start();
    assert_eq!(wrong.exit().await.code(), Some(1));
    let text = wrong.stderr().text();
    let place = text
        .lines()
        .find(|line| line.trim_start().starts_with("^ "))
        .unwrap();
    let written = text
        .lines()
        .find(|line| line.contains("/model:a ttft>x"))
        .unwrap();
    assert!(
        written.find("ttft").unwrap() <= place.find('^').unwrap(),
        "{text}"
    );

    let mut nobody = Program::new(["top", "--once", "127.0.0.1:9"]).start();
    assert_eq!(nobody.exit().await.code(), Some(1));
    let text = nobody.stderr().text();
    assert_eq!(
        text.matches("no answer from http://127.0.0.1:9").count(),
        1,
        "{text}"
    );

    let mut proxy = Program::new(["top", "--once"])
        .args([&*server.proxy.to_string()])
        .start();
    assert_eq!(proxy.exit().await.code(), Some(1));
    assert_eq!(proxy.stdout().text(), "");
}

/// The body of a call after these messages, a JSON list without its brackets.
fn spoken(more: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"model":"{WICKED}","tools":[{{"type":"function","function":{{"name":"weather"}}}}],
        "messages":[{{"role":"user","content":"How is Rome?"}}{more}]}}"#
    );
    post("/v1/chat/completions", &body)
}

/// Before a real upstream that asks for a tool, the result of which is brought: two turns, and an exchange of no other.
async fn conversation() -> (Gauge, String) {
    let call = format!(
        r#"{{"id":"call_1","type":"function","function":{{"name":"{WICKED}","arguments":"{{}}"}}}}"#
    );
    let asks = json(
        200,
        &format!(
            r#"{{"id":"c-1","model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":null,"tool_calls":[{call}]}},
            "finish_reason":"tool_calls"}}],"usage":{{"prompt_tokens":100,"completion_tokens":4,"total_tokens":104,
            "prompt_tokens_details":{{"cached_tokens":25}}}}}}"#
        ),
    );
    let says = json(
        200,
        r#"{"id":"c-2","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Fine."},"finish_reason":"stop"}],
            "usage":{"prompt_tokens":300,"completion_tokens":9,"total_tokens":309}}"#,
    );
    let brought = format!(
        r#",{{"role":"assistant","content":null,"tool_calls":[{call}]}},{{"role":"tool","tool_call_id":"call_1","content":"sunny"}}"#
    );
    let gauge = Gauge::start().await;
    gauge.call(spoken(""), asks).await;
    gauge.call(spoken(&brought), says).await;
    let url = url(&gauge.server);
    (gauge, url)
}

/// The id of the only conversation there is, once both turns are in it.
async fn id_of(gauge: &Gauge) -> String {
    gauge.settled(2).await;
    let list = gauge.server.api("conversations").await;
    let all = list["conversations"].as_array().unwrap();
    assert_eq!(
        (all.len(), &all[0]["turns"]),
        (1, &Value::from(2)),
        "{list}"
    );
    all[0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_a_key_away_and_its_turns_lead_to_their_exchanges() {
    let (gauge, url) = conversation().await;
    let id = id_of(&gauge).await;
    at_a_terminal(move || {
        let terminal = Terminal::start(&["top", &url], &[]);
        terminal.wait_for_text("exchanges: newest 2");
        // From an exchange to its conversation, at its turn.
        terminal.press("\x1b[B\r");
        terminal.wait_for_text("to scale");
        terminal.press("c");
        terminal.wait_for_text(&format!("conversation {id}"));
        let shown = terminal.wait_for_text("── turn 2 ──");
        for text in ["2 turns", "400 tokens in", "1 tool call", "turn 0"] {
            assert!(shown.contains(text), "{text} in\n{shown}");
        }
        terminal.press("k");
        terminal.wait_for_text("── turn 1 ──");
        for (lines, columns) in [(20, 60), (10, 40), (3, 20), (1, 1), (40, 160), (24, 100)] {
            terminal.resize_and_wait(lines, columns);
        }
        terminal.press("\r");
        terminal.wait_for_text("exchange 1: wicked[2J");
        terminal.press("\x7f");
        terminal.wait_for_text("── turn 1 ──");
        terminal.press("\x7f\x7f");
        terminal.wait_for_text("exchanges: newest 2");
        // The table of conversations, and from there the same.
        terminal.press("\t");
        terminal.wait_for_text("conversations: 1");
        terminal.wait_for_text(&id[..12]);
        terminal.press("\r");
        terminal.wait_for_text(&format!("conversation {id}"));
        terminal.press("\t");
        terminal.wait_for_text("exchanges: newest 2");
        let written = terminal.written();
        assert!(
            !written.contains("\x1b]0;") && !written.contains('\u{9b}'),
            "{written:?}"
        );
        terminal.press("q");
        assert_eq!(terminal.wait().code(), Some(0));
        assert!(terminal.is_as_it_was());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_shown_by_its_id() {
    let (gauge, url) = conversation().await;
    let id = id_of(&gauge).await;
    let asked = ["top", "--conversation", &id, &url];

    let mut table = Program::new(asked).start();
    assert_eq!(table.exit().await.code(), Some(0));
    let text = table.stdout().text();
    assert!(text.starts_with(&format!("conversation {id}: ")), "{text}");
    assert!(
        text.contains("2 turns") && text.contains("400 tokens in"),
        "{text}"
    );
    assert!(
        !text.contains('\x1b') && !text.contains('\u{9b}'),
        "{text:?}"
    );

    let mut document = Program::new(asked).args(["--json"]).start();
    assert_eq!(document.exit().await.code(), Some(0));
    let document: Value = serde_json::from_str(&document.stdout().text()).unwrap();
    let same = gauge.server.api(&format!("conversations/{id}")).await;
    assert_eq!(document, same);

    let mut by_beginning = Program::new(["top", "--conversation", &id[..12], &url]).start();
    assert_eq!(by_beginning.exit().await.code(), Some(0));
    let text = by_beginning.stdout().text();
    assert!(text.starts_with(&format!("conversation {id}: ")), "{text}");
    let mut too_short = Program::new(["top", "--conversation", &id[..7], &url]).start();
    assert_eq!(too_short.exit().await.code(), Some(2));

    let unknown = "0".repeat(32);
    let mut unknown = Program::new(["top", "--once", "--conversation", &unknown, &url]).start();
    assert_eq!(unknown.exit().await.code(), Some(1));
    let mut wrong = Program::new(["top", "--conversation", "../summary", &url]).start();
    assert_eq!(wrong.exit().await.code(), Some(2));

    at_a_terminal(move || {
        let terminal = Terminal::start(&["top", "--conversation", &id, &url], &[]);
        terminal.wait_for_text("── turn 2 ──");
    })
    .await;
}

#[tokio::test]
async fn a_token_goes_to_the_admin_port_and_not_through_the_proxy_to_the_upstream() {
    const TOKEN: &str = "a-token-of-some-length";
    let gauge = Gauge::with(|program| program.env("STREAMGAUGE_ADMIN_TOKEN", TOKEN)).await;
    let top = |address: String| {
        let top = Program::new(["top", "--once", &address]);
        top.env("STREAMGAUGE_ADMIN_TOKEN", TOKEN).start()
    };
    let mut by_mistake = top(gauge.server.proxy.to_string());
    let mut served = gauge.upstream.accept().await;
    let seen = served.read_request().await;
    assert_eq!(seen.header("authorization"), None);
    served.write(json(401, "{}")).await;
    assert_eq!(by_mistake.exit().await.code(), Some(1));
    let text = by_mistake.stderr().text();
    let at = format!("http://{}", gauge.server.proxy);
    assert!(text.contains(&at) && text.contains("9464"), "{text}");

    let mut right = top(gauge.server.admin.to_string());
    assert_eq!(
        right.exit().await.code(),
        Some(0),
        "{}",
        right.stderr().text()
    );
}
