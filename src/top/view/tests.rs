//! Drawings in the cells of a terminal that is none.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use serde_json::{Value, json};

use super::*;
use crate::top::client::Problem;
use crate::top::keys::{Action, Edit};
use crate::top::news::{Mistake, News};

const COLORS: Palette = Palette { has_colors: true };
const NO_COLORS: Palette = Palette { has_colors: false };

/// A text that a client may choose as its model: it clears a screen, sets a title, and turns a line around.
const WICKED: &str = "m\u{1b}[2J\u{1b}]0;t\u{7}\u{9b}31m\u{202e}\r\n";

fn row(id: u64, model: &str) -> Value {
    json!({"id": id, "started_at_ms": 1_800_000_000_000_u64 + id * 1000, "method": "POST",
        "path": "/v1/chat/completions", "operation": "chat", "model": model, "upstream": "default", "status": 200,
        "end": "done", "error": null, "streamed": true, "time_to_first_token_ms": 321.4,
        "time_per_output_token_ms": 20.0, "duration_ms": 2345.6, "chunks": 101, "input_tokens": 12_345,
        "output_tokens": 100, "cached_tokens": 64, "reasoning_tokens": null, "tokens_estimated": false,
        "cost_usd": "0.00123", "tool_calls": 1, "stalls": 1, "finish_reasons": ["stop"],
        "conversation": "0123456789abcdef0123456789abcdef", "turn": 3,
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "key_fingerprint": "abcd"})
}

fn exchanges() -> Value {
    let mut failed = row(8, "gpt-broken");
    failed["status"] = json!(500);
    failed["end"] = json!("http_error");
    failed["error"] = json!("server_error");
    json!({"total": 1234, "kept": 3, "exchanges": [row(9, "gpt-4o"), failed, row(7, WICKED)], "next": null})
}

fn in_flight() -> Value {
    let flight = |id: u64, state: &str, age: f64, first: Option<f64>| {
        json!({"id": id, "method": "POST", "path": "/v1/chat/completions", "model": format!("flying-{id}"),
            "upstream": "default", "age_ms": age, "state": state, "chunks": 7, "time_to_first_token_ms": first,
            "since_last_output_ms": 900.0})
    };
    json!({"count": 4, "exchanges": [
        flight(1, "stalled", 9000.0, Some(300.0)), flight(2, "generating", 5000.0, Some(1000.0)),
        flight(3, "answered", 800.0, None), flight(4, "waiting", 100.0, None)]})
}

fn summary() -> Value {
    let steps = (0..60_u64).map(|at| {
        json!({"at_ms": 1_800_000_000_000_u64 + at * 5000, "requests": 50, "errors": at % 2, "input_tokens": 10,
            "output_tokens": 1000, "cost_usd": "0.1"})
    });
    let quantiles = |ms: f64| {
        (0..60)
            .map(|at| (at % 7 != 0).then_some(ms + f64::from(at)))
            .collect::<Vec<_>>()
    };
    json!({"now_ms": 1_800_000_300_000_u64, "uptime_ms": 1, "base_url": "http://127.0.0.1:8080/v1", "ready": true,
        "version": "0.1.0", "in_flight_count": 4, "models": [], "upstreams": [], "routes": [],
        "today": {"requests": 4321, "errors": 12, "input_tokens": 1, "output_tokens": 2, "cost_usd": "3.21", "unpriced": 2},
        "steps": steps.collect::<Vec<_>>(),
        "latency": {"time_to_first_token": {"bounds_ms": [1.0, null], "cells": [], "p50_ms": quantiles(100.0),
            "p95_ms": quantiles(400.0), "p99_ms": []}}})
}

fn one() -> Value {
    json!({"exchange": row(9, "gpt-4o"),
        "timeline": {"marks": [{"name": "received", "at_ms": 0.0}, {"name": "sent", "at_ms": 1.5},
            {"name": "first_token", "at_ms": 321.4}, {"name": "last_token", "at_ms": 2300.0}, {"name": "end", "at_ms": 2345.6}],
            "stalls": [{"at_ms": 2000.0, "gap_ms": 1200.0}], "gaps": [], "largest_gap_ms": 1200.0, "overhead_ms": 0.2,
            "held_ms": null},
        "attempts": [{"upstream": "default", "url": "http://a/v1", "why": "first", "end_ms": 1.0, "status": null,
            "error": "refused"}, {"upstream": "default", "url": "http://b/v1", "why": "retry", "end_ms": 9.0, "status": 200}],
        "spans": [{"name": "chat gpt-4o", "kind": "CLIENT", "attributes": [
            {"name": "gen_ai.usage.output_tokens", "value": 100}, {"name": "wicked", "value": WICKED}]}],
        "tool_calls": [{"name": "weather", "id": "call_1", "kind": "function", "arguments_chars": 17, "at_ms": 1900.0}],
        "cost": {"input_usd": "0.001", "output_usd": "0.00023", "total_usd": "0.00123", "entry": "openai/gpt-4o",
            "since": null, "estimated": false},
        "http": {"version": "HTTP/1.1", "host": "h", "user_agent": WICKED, "query": null, "request_bytes": 10,
            "response_bytes": 20},
        "conversation": {"id": "0123", "turn": 3, "branch": 1, "depth": 2, "linked_by": "history", "parent": null},
        "trace_url": null, "curl": "curl"})
}

const ID: &str = "0123456789abcdef0123456789abcdef";

/// One turn of a conversation that began at 0, with what is of its own.
fn turn(number: u64, began_ms: u64, lasted_ms: f64, more: &Value) -> Value {
    let mut exchange = row(number, "gpt-4o");
    exchange["turn"] = json!(number);
    exchange["started_at_ms"] = json!(1_800_000_000_000_u64 + began_ms);
    exchange["duration_ms"] = json!(lasted_ms);
    exchange["time_to_first_token_ms"] = json!(lasted_ms / 2.0);
    exchange["input_tokens"] = json!(1000 * number);
    exchange["cached_tokens"] = json!(500 * number);
    exchange["cost_usd"] = json!("0.25");
    let mut turn = json!({"exchange": exchange, "branch": 0, "depth": 0, "linked_by": "calls", "previous": number - 1,
        "prompt": null, "tool_waits": [], "repeated_calls": [], "without_progress": null});
    for (name, value) in more.as_object().unwrap() {
        turn[name] = value.clone();
    }
    turn
}

/// Four turns of a second each: one waits for tools, one broke the cache and loops, one failed.
fn conversation() -> Value {
    let wait = |name: &str| {
        json!({"name": name, "call_id": null, "kind": "function", "began_at_ms": 1_800_000_001_000_u64,
        "lasted_ms": 4000.0})
    };
    let tools = json!({"tool_waits": [wait("weather"), wait("weather")]});
    let odd = json!({"prompt": {"bytes": 2000, "earlier_bytes": 1000, "matched_bytes": 250, "changed": "system",
        "possible_tokens": 10, "lost_tokens": 1234, "verdict": "prefix_changed"}, "branch": 1, "depth": 2,
        "repeated_calls": [{"name": "weather", "times": 3}, {"name": WICKED, "times": 2}], "without_progress": 5});
    let mut failed = turn(4, 7000, 1000.0, &json!({"tool_waits": [wait(WICKED)]}));
    failed["exchange"]["error"] = json!(WICKED);
    failed["exchange"]["time_to_first_token_ms"] = json!(null);
    let turns = [
        turn(1, 0, 1000.0, &json!({"previous": null})),
        turn(2, 5000, 1000.0, &tools),
        turn(3, 6000, 1000.0, &odd),
        failed,
    ];
    json!({"id": ID, "parent": "f".repeat(32), "children": ["e".repeat(32)],
        "totals": {"id": ID, "parent": null, "turns": 6, "lasted_ms": 8000.0,
            "last_at_ms": 1_800_000_008_000_u64, "models": ["gpt-4o", WICKED], "input_tokens": 10_000, "output_tokens": 400,
            "cost_usd": "1", "tool_calls": 7, "errors": 1, "repeated_calls": 2},
        "turns": turns})
}

fn conversations() -> Value {
    let one = |id: &str, turns: u64| {
        json!({"id": id, "parent": (turns > 1).then_some(ID), "turns": turns,
            "lasted_ms": 90_000.0, "last_at_ms": 1_800_000_090_000_u64, "models": ["gpt-4o", WICKED],
            "input_tokens": 12_345, "output_tokens": null, "cost_usd": "0.5", "tool_calls": 3, "errors": turns - 1,
            "repeated_calls": 2})
    };
    json!({"conversations": [one(ID, 1), one(WICKED, 2)], "next": "1-0"})
}

fn in_conversation() -> Model {
    let mut model = model();
    model.act(Action::Open);
    model.act(Action::Conversation);
    let facts = Ok(read(conversation()));
    model.hear(News::Conversation(ID.to_owned(), Box::new(facts)));
    model.act(Action::First);
    model
}

fn in_list() -> Model {
    let mut model = model();
    model.act(Action::Tables);
    model.hear(News::Conversations(Ok(read(conversations()))));
    model
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// A model that has heard everything.
fn model() -> Model {
    let mut model = Model::new("http://127.0.0.1:9464".to_owned());
    model.hear(News::InFlight(read(in_flight())));
    model.hear(News::Summary(Box::new(read(summary()))));
    model.hear(News::Exchanges(String::new(), read(exchanges())));
    model
}

fn opened() -> Model {
    let mut model = model();
    model.act(Action::Open);
    model.hear(News::One(9, Box::new(Ok(read(one())))));
    model
}

fn drawn(model: &mut Model, width: u16, height: u16, palette: Palette) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model, palette)).unwrap();
    terminal.backend().buffer().clone()
}

/// What is drawn, line by line.
fn lines(model: &mut Model, width: u16, height: u16) -> Vec<String> {
    let buffer = drawn(model, width, height, COLORS);
    let cells = buffer.content().chunks(usize::from(width));
    let lines = cells.map(|cells| cells.iter().map(ratatui::buffer::Cell::symbol).collect());
    lines
        .map(|line: String| line.trim_end().to_owned())
        .collect()
}

/// Every state that draws something of its own.
fn states() -> Vec<(&'static str, Model)> {
    let mut help = model();
    help.act(Action::Help);
    let mut writing = model();
    writing.act(Action::Filter);
    for character in "model:x".repeat(30).chars() {
        writing.act(Action::Edit(Edit::Insert(character)));
    }
    let mut mistaken = model();
    let mistake = Mistake {
        message: "expected a duration".to_owned(),
        position: Some(5),
    };
    mistaken.hear(News::Mistake("ttft>x".to_owned(), mistake));
    let mut lost = model();
    lost.hear(News::Lost(Problem::Unauthorized("http://a".to_owned())));
    let mut missing = model();
    missing.act(Action::Open);
    let problem = Problem::Unknown("not kept".to_owned());
    missing.hear(News::One(9, Box::new(Err(problem))));
    let mut selected = model();
    selected.act(Action::Last);
    let fresh = Model::new("http://127.0.0.1:9464".to_owned());
    let mut noticed = model();
    noticed.rows.clear();
    noticed.act(Action::Conversation);
    let mut asking = model();
    asking.act(Action::Conversation);
    let mut gone = model();
    gone.act(Action::Conversation);
    let problem = Problem::Unknown("nothing is kept".to_owned());
    gone.hear(News::Conversation(ID.to_owned(), Box::new(Err(problem))));
    let mut empty = model();
    empty.act(Action::Conversation);
    let facts = Ok(read(json!({"id": ID})));
    empty.hear(News::Conversation(ID.to_owned(), Box::new(facts)));
    let mut failed_turn = in_conversation();
    failed_turn.act(Action::Last);
    let mut selected_row = in_list();
    selected_row.act(Action::Last);
    let mut no_list = model();
    no_list.act(Action::Tables);
    vec![
        ("noticed", noticed),
        ("asking", asking),
        ("gone", gone),
        ("empty", empty),
        ("selected turn", in_conversation()),
        ("selected failed turn", failed_turn),
        ("list", in_list()),
        ("selected of list", selected_row),
        ("no list", no_list),
        ("fresh", fresh),
        ("table", model()),
        ("selected", selected),
        ("one", opened()),
        ("help", help),
        ("writing", writing),
        ("mistaken", mistaken),
        ("lost", lost),
        ("missing", missing),
    ]
}

#[test]
fn every_state_is_drawn_at_every_size() {
    let sizes = [
        (1, 1),
        (2, 3),
        (5, 2),
        (13, 4),
        (40, 10),
        (41, 11),
        (60, 20),
        (80, 24),
        (200, 60),
        (500, 3),
        (3, 200),
    ];
    for (name, mut model) in states() {
        for (width, height) in sizes {
            let buffer = drawn(&mut model, width, height, COLORS);
            assert_eq!(buffer.area.width, width, "{name}");
        }
    }
}

#[test]
fn no_cell_has_anything_that_a_terminal_obeys() {
    for (name, mut model) in states() {
        for action in [Action::First, Action::Last] {
            if model.opened().is_some() {
                model.act(action);
            }
            for cell in drawn(&mut model, 200, 40, COLORS).content() {
                let is_shown = cell.symbol().chars().all(crate::top::text::is_shown);
                assert!(is_shown, "{name}: {:?}", cell.symbol());
            }
        }
    }
}

#[test]
fn without_colors_no_cell_has_one_and_the_selection_is_seen_all_the_same() {
    for (name, mut model) in states() {
        let buffer = drawn(&mut model, 120, 40, NO_COLORS);
        for cell in buffer.content() {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{name}");
        }
        let is_reversed = buffer
            .content()
            .iter()
            .any(|it| it.modifier.contains(Modifier::REVERSED));
        assert_eq!(is_reversed, name.starts_with("selected"), "{name}");
    }
    let buffer = drawn(&mut model(), 120, 40, COLORS);
    assert!(buffer.content().iter().any(|cell| cell.fg == Color::Red));
}

#[test]
fn the_page_at_a_usual_size() {
    let shown = lines(&mut model(), 110, 20);
    let has = |text: &str| {
        assert!(
            shown.iter().any(|line| line.contains(text)),
            "{text:?} in\n{}",
            shown.join("\n")
        )
    };
    has("streamgauge 0.1.0  live  http://127.0.0.1:9464");
    has("10.0 req/s  200 tok/s  0.1 err/s  4 in flight  today: 4321 requests  12 errors");
    has("  p50");
    has("159 ms");
    has("  p95");
    has("459 ms");
    has("in flight: 4  ");
    has("flying-4 ");
    has("flying-1             ░");
    has(" stalled ");
    has("exchanges: newest 3 of 1234");
    has("gpt-4o");
    has("server_error");
    has("/ filter");
}

#[test]
fn a_small_terminal_has_the_rates_and_the_newest_exchanges() {
    let shown = lines(&mut model(), 40, 10);
    let all = shown.join("\n");
    assert!(shown[0].starts_with("streamgauge 0.1.0  live"), "{all}");
    assert!(shown[1] == "10.0 req/s  0.1 err/s  4 in flight", "{all}");
    assert!(
        all.contains("gpt-4o") && all.contains("gpt-broken"),
        "{all}"
    );
    assert!(all.contains("end UTC") || all.contains("TTFT"), "{all}");
}

#[test]
fn a_narrow_terminal_has_whole_words_and_what_matters_most() {
    // By width: the head's figures, what is in flight, and the keys.
    for (width, height, expected) in [
        (
            80,
            24,
            [
                "10.0 req/s  200 tok/s  0.1 err/s  4 in flight  today: 4321 requests  12 errors",
                "in flight: 4  ░ until the first token  █ generating  ▒ nothing came",
                "↑↓ Enter look  / filter  s order  Tab conversations  p pause  ? help  q quit",
            ],
        ),
        (
            60,
            20,
            [
                "10.0 req/s  0.1 err/s  4 in flight  today: 4321 requests",
                "in flight: 4  ░ until the first token  █ generating",
                "↑↓ Enter look  / filter  s order  ? help  q quit",
            ],
        ),
        (
            40,
            15,
            [
                "10.0 req/s  0.1 err/s  4 in flight",
                "in flight: 4  ░ until the first token",
                "↑↓ Enter look  / filter  ? help  q quit",
            ],
        ),
    ] {
        let shown = lines(&mut model(), width, height);
        let all = shown.join("\n");
        assert_eq!(shown[1], expected[0], "{all}");
        assert!(shown.iter().any(|line| line == expected[1]), "{all}");
        assert_eq!(shown.last().unwrap(), expected[2], "{all}");
    }
}

#[test]
fn the_way_to_the_keys_and_out_is_said_on_every_page_at_every_width() {
    for mut model in [model(), opened(), in_conversation(), in_list()] {
        for width in [14, 20, 40, 60, 80] {
            let shown = lines(&mut model, width, 24);
            let keys = shown.last().unwrap();
            assert!(keys.ends_with("? help  q quit"), "{keys}");
        }
    }
}

#[test]
fn what_never_came_is_not_said_to_be_nothing() {
    let mut lost = Model::new("http://a".to_owned());
    let at = "http://a".to_owned();
    lost.hear(News::Lost(Problem::NotAdmin { at, status: 404 }));
    let mut new = Model::new("http://a".to_owned());
    for (model, said) in [(&mut lost, "9464 by default"), (&mut new, "asking …")] {
        let all = lines(model, 80, 24).join("\n");
        for text in ["- in flight", "today: - requests  - errors", said] {
            assert!(all.contains(text), "{text} in\n{all}");
        }
        for text in ["No exchange yet", "in flight: 0", " 0 ", "newest 0"] {
            assert!(!all.contains(text), "{text} in\n{all}");
        }
    }
}

#[test]
fn a_conversation_that_is_not_known_has_no_turn_to_look_at() {
    let mut model = model();
    model.act(Action::Conversation);
    let problem = Problem::Unknown("nothing is kept".to_owned());
    model.hear(News::Conversation(ID.to_owned(), Box::new(Err(problem))));
    let shown = lines(&mut model, 80, 24);
    assert_eq!(shown[23], "Esc back  ? help  q quit");
}

#[test]
fn the_table_of_conversations_says_what_its_keys_do_and_how_many_were_looked_through() {
    let mut list = in_list();
    let shown = lines(&mut list, 80, 24);
    let keys = "↑↓ Enter or c look  m more than one turn  Tab exchanges  ? help  q quit";
    assert_eq!(shown[23], keys);
    list.act(Action::Several);
    let shown = lines(&mut list, 80, 24);
    assert_eq!(
        shown[23],
        "↑↓ Enter or c look  m all  Tab exchanges  ? help  q quit"
    );
    let title = "conversations: 1 of more than one turn among the newest 2";
    assert!(
        shown.iter().any(|line| line == title),
        "{}",
        shown.join("\n")
    );
    for action in [Action::Sort(1), Action::Sort(-1), Action::Reverse] {
        list.act(action);
        let shown = lines(&mut list, 80, 24);
        assert!(shown[23].contains("exchanges"), "{}", shown[23]);
        list.act(Action::Move(1));
    }
}

#[test]
fn the_latencies_in_figures_are_said_to_be_of_the_latest_step() {
    for (width, title) in [
        (80, "time to first token, 5 minutes"),
        (40, "time to first token"),
    ] {
        let shown = lines(&mut model(), width, 24);
        let at = shown
            .iter()
            .position(|line| line.starts_with("time to first"))
            .unwrap();
        let head = &shown[at];
        assert!(head.starts_with(&format!("{title}  ")), "{head}");
        assert!(
            head.ends_with("latest step") && shown[at + 1].ends_with("159 ms"),
            "{head}"
        );
    }
}

#[test]
fn one_request_and_one_error_are_said_in_the_singular() {
    let mut sums = summary();
    sums["today"] = json!({"requests": 1, "errors": 1, "cost_usd": null, "unpriced": 1});
    let mut model = model();
    model.hear(News::Summary(Box::new(read(sums))));
    let shown = lines(&mut model, 120, 24);
    assert!(
        shown[1].ends_with("today: 1 request  1 error  cost - (1 unpriced)"),
        "{}",
        shown[1]
    );
}

#[test]
fn the_order_is_marked_at_its_column() {
    let mut model = model();
    let head = |model: &mut Model| {
        lines(model, 140, 30)
            .into_iter()
            .find(|line| line.contains("TTFT"))
            .unwrap()
    };
    assert!(head(&mut model).contains("end UTC▼"));
    model.act(Action::Reverse);
    model.act(Action::Sort(1));
    let head = head(&mut model);
    assert!(head.contains("model▲") && !head.contains("UTC▼"), "{head}");
}

#[test]
fn one_exchange_has_its_timeline_its_facts_and_its_attributes() {
    let shown = lines(&mut opened(), 100, 80);
    let all = shown.join("\n");
    for text in [
        "exchange 9: gpt-4o",
        "timeline, 2.35 s to scale",
        "first_token",
        "stall 1.20 s",
        "streamgauge itself 200 µs, waited for the client not known",
        "POST /v1/chat/completions",
        "time to first token   321 ms",
        "openai/gpt-4o",
        "weather",
        "17 characters",
        "span chat gpt-4o (CLIENT)",
        "gen_ai.usage.output_tokens 100",
        "http://b/v1  retry  200",
    ] {
        assert!(all.contains(text), "{text:?} in\n{all}");
    }
    // To scale: the first token is at a seventh of the line.
    let bar = |name: &str| {
        let line = shown.iter().find(|line| line.starts_with(name)).unwrap();
        line.chars().position(|it| it == '●').unwrap() - 27
    };
    assert_eq!(
        [bar("received"), bar("first_token"), bar("end")],
        [0, 10, 72]
    );
}

#[test]
fn a_mistake_is_shown_with_its_place() {
    let (_, mut mistaken) = states()
        .into_iter()
        .find(|(name, _)| *name == "mistaken")
        .unwrap();
    let shown = lines(&mut mistaken, 80, 24);
    assert_eq!(shown[22..], ["/ttft>x", "      ^ expected a duration"]);
}

#[test]
fn a_lost_connection_is_said_first_and_what_was_seen_stays() {
    let (_, mut lost) = states()
        .into_iter()
        .find(|(name, _)| *name == "lost")
        .unwrap();
    let shown = lines(&mut lost, 120, 24);
    assert!(
        shown[0].contains("http://a asks for a token"),
        "{}",
        shown[0]
    );
    assert!(shown.iter().any(|line| line.contains("gpt-4o")));
}

#[test]
fn every_key_of_the_help_is_readable_at_a_usual_size() {
    let (_, mut help) = states()
        .into_iter()
        .find(|(name, _)| *name == "help")
        .unwrap();
    let all = lines(&mut help, 80, 24).join("\n");
    for (keys, what) in crate::top::keys::HELP {
        assert!(
            all.contains(keys) && all.contains(what),
            "{keys}: {what}\n{all}"
        );
    }
}

#[test]
fn the_help_of_a_narrow_terminal_ends_with_whole_words() {
    let mut model = model();
    model.act(Action::Help);
    let all = lines(&mut model, 60, 20).join("\n");
    assert!(
        all.contains("back; dismiss a message; in a table: … "),
        "{all}"
    );
}

#[test]
fn rates_that_are_not_known_are_not_nothing() {
    let mut fresh = Model::new("http://a".to_owned());
    let shown = lines(&mut fresh, 80, 24);
    assert!(
        shown[1].starts_with("- req/s  - tok/s  - err/s"),
        "{}",
        shown[1]
    );
    assert!(shown[0].contains("connecting"), "{}", shown[0]);
}

#[test]
fn a_small_latency_is_seen_beside_a_large_one_and_one_that_is_not_known_is_not() {
    let mut sums = summary();
    let first = &mut sums["latency"]["time_to_first_token"];
    first["p50_ms"] = json!([0.1, null, 0.1, 0.1]);
    first["p95_ms"] = json!([0.1, null, 60_000.0, 60_000.0]);
    let mut model = model();
    model.hear(News::Summary(Box::new(read(sums))));
    // Each step has a quarter of the 62 cells between the name and the value.
    let shown = lines(&mut model, 80, 24);
    let of = |name: &str| shown.iter().find(|line| line.starts_with(name)).unwrap();
    let (p50, p95) = (of("  p50"), of("  p95"));
    assert_eq!(
        p50.matches('▁').count() + p50.matches('▂').count(),
        47,
        "{p50}"
    );
    assert_eq!(p95.matches('█').count(), 31, "{p95}");
}

#[test]
fn a_conversation_has_its_sums_its_turns_to_scale_and_what_is_odd() {
    let shown = lines(&mut in_conversation(), 121, 36);
    let all = shown.join("\n");
    for text in [
        "conversation 0123456789abcdef0123456789abcdef: gpt-4o",
        "6 turns  lasted 8.00 s  10.0k tokens in  50% cached  400 out  cost $1  7 tool calls",
        "cache broke 1×",
        "1234 tokens lost by it  2 repeated calls  1 error",
        "the first 2 not shown",
        "begun by a tool call of ffffffffffffffffffffffffffffffff",
        "its tool calls began 1 other",
        "└ cache broke at system, 1234 tokens lost  loop: weather 3×",
        "nothing new for 5 turns",
        "── turn 1 ── exchange 1 ── 08:00:00 UTC ── gpt-4o ─",
        "took 1.00 s  first token after 500 ms  done",
    ] {
        assert!(all.contains(text), "{text:?} in\n{all}");
    }
    let of = |label: &str| shown.iter().find(|line| line.starts_with(label)).unwrap();
    // The bars have 48 cells for eight seconds: a turn has six, of which half are until the first token.
    let bars = |label: &str| of(label).chars().skip(8).take(48).collect::<String>();
    assert_eq!(bars("      1 ").trim_end(), "░░░███", "{all}");
    let tool = "───────weather 2×───────";
    let second = format!("{}{tool}░░░███", " ".repeat(6));
    assert_eq!(bars("      2 ").trim_end(), second, "{all}");
    let third = format!("{}░░░███", " ".repeat(36));
    assert_eq!(bars("3 b1 d2 ").trim_end(), third, "{all}");
    assert!(bars("      4 ").ends_with(" ▓▓▓▓▓▓"), "{all}");
    assert!(of("3 b1 d2 ").contains("+1000"), "{all}");
}

#[test]
fn a_narrow_terminal_has_the_bars_and_the_figures_that_matter() {
    let mut model = in_conversation();
    model.act(Action::Last);
    let shown = lines(&mut model, 60, 24);
    let all = shown.join("\n");
    let head = shown
        .iter()
        .find(|line| line.starts_with("   turn 0"))
        .unwrap();
    for title in ["in", "cached", "cost"] {
        assert!(head.contains(title), "{all}");
    }
    // What has no room beside the rest is below it, and nothing is cut.
    assert!(
        all.contains("└ cache broke at system, 1234 tokens lost\n"),
        "{all}"
    );
    assert!(all.contains("  loop: weather 3×"), "{all}");
    assert!(all.contains('▓') && all.contains("── turn 4 "), "{all}");
}

#[test]
fn conversations_have_a_table_and_those_that_another_began_a_mark() {
    let shown = lines(&mut in_list(), 120, 24);
    let all = shown.join("\n");
    assert!(all.contains("conversations: newest 2"), "{all}");
    let row = shown
        .iter()
        .find(|line| line.contains("0123456789ab "))
        .unwrap();
    assert!(row.starts_with("08:01:30 0123456789ab gpt-4o, m"), "{row}");
    for figure in ["$0.5", "12.3k", "1 m 30 s"] {
        assert!(row.contains(figure), "{row}");
    }
    assert_eq!(all.matches("↳ gpt-4o").count(), 1, "{all}");
}
