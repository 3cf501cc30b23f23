//! `/api/stream`: events as they happen, behind the last that was read, bounded, and over when the process is.

use serde_json::{Value, json};
use std::sync::Arc;
use std::time::SystemTime;
use streamgauge::admin::AdminConfig;
use streamgauge::exchange::Exchange;
use streamgauge::sink::live::HistoryConfig;
use streamgauge::sink::{ExchangeId, Sink as _};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;

use crate::support::listener::{Admin, admin, admin_with};
use crate::support::within;

/// An open stream of events.
struct Events(Lines<BufReader<TcpStream>>);

impl Events {
    /// Asks for one with more header lines; the head of the answer.
    async fn open(admin: &Admin, query: &str, lines: &str) -> (Self, String) {
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        let request = format!(
            "GET /api/stream{query} HTTP/1.1\r\nhost: localhost\r\naccept-encoding: gzip\r\n{lines}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut events = Self(BufReader::new(stream).lines());
        let mut head = String::new();
        while let Some(line) = events.line().await.filter(|line| !line.is_empty()) {
            head += &(line + "\n");
        }
        (events, head)
    }

    async fn line(&mut self) -> Option<String> {
        within("a line", self.0.next_line()).await.unwrap()
    }

    /// The next event of this name: its id and its data.
    async fn next(&mut self, name: &str) -> (Option<String>, Value) {
        within(name, self.of(name)).await
    }

    async fn of(&mut self, name: &str) -> (Option<String>, Value) {
        let (mut is_asked, mut id) = (false, None);
        loop {
            let line = self.line().await.expect("the stream goes on");
            if let Some(event) = line.strip_prefix("event: ") {
                (is_asked, id) = (event == name, None);
            } else if let Some(it) = line.strip_prefix("id: ") {
                id = Some(it.to_owned());
            } else if let Some(data) = line.strip_prefix("data: ").filter(|_| is_asked) {
                return (id, serde_json::from_str(data).unwrap());
            }
        }
    }
}

fn end(admin: &Admin, model: &str) {
    let mut exchange = Exchange::begin(SystemTime::now());
    exchange.request.model = Some(model.into());
    admin.live.finished(ExchangeId(1), &Arc::new(exchange));
}

#[tokio::test]
async fn what_ends_comes_as_it_ends_and_only_what_is_asked_for() {
    let admin = admin().await;
    end(&admin, "before");
    let (mut events, head) = Events::open(&admin, "?q=model:b*", "").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(
        head.contains("content-type: text/event-stream") && !head.contains("gzip"),
        "{head}"
    );
    // The first look has been taken: what ends from now on is told of.
    *admin.in_flight.lock().unwrap() = vec![7];
    events.next("in_flight").await;
    end(&admin, "a");
    end(&admin, "b");
    let (id, row) = events.next("exchange").await;
    assert_eq!(
        (id.as_deref(), &row["id"], &row["model"]),
        (Some("3"), &json!(3), &json!("b"))
    );
    let (_, flying) = events.next("in_flight").await;
    assert_eq!(
        (&flying["count"], &flying["exchanges"][0]["id"]),
        (&json!(1), &json!(7))
    );
}

#[tokio::test]
async fn a_stream_goes_on_behind_the_last_event_that_was_read_and_says_what_is_gone() {
    let history = HistoryConfig {
        exchanges: 3,
        ..HistoryConfig::default()
    };
    let config = AdminConfig {
        history,
        ..AdminConfig::default()
    };
    let admin = admin_with(config, None).await;
    (1..=9).for_each(|number| end(&admin, &format!("m{number}")));
    let (mut events, _) = Events::open(&admin, "", "last-event-id: 7\r\n").await;
    assert_eq!(events.next("exchange").await.1["id"], 8);
    assert_eq!(events.next("exchange").await.1["id"], 9);
    let (mut events, _) = Events::open(&admin, "", "last-event-id: 2\r\n").await;
    assert_eq!(events.next("missed").await.1, json!({ "count": 4 }));
    assert_eq!(events.next("exchange").await.1["id"], 7);
    // Of a process whose ids began anew.
    let (mut events, _) = Events::open(&admin, "", "last-event-id: 99\r\n").await;
    assert_eq!(events.next("exchange").await.1["id"], 7);
}

#[tokio::test]
async fn there_are_so_many_streams_and_a_place_is_free_again_when_one_has_left() {
    let admin = admin().await;
    let mut open = Vec::new();
    for _ in 0..32 {
        let (events, head) = Events::open(&admin, "", "").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        open.push(events);
    }
    let (_, head) = Events::open(&admin, "", "").await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    open.pop();
    let again = async {
        loop {
            let (events, head) = Events::open(&admin, "", "").await;
            if head.starts_with("HTTP/1.1 200 ") {
                return events;
            }
        }
    };
    within("a free place", again).await.next("in_flight").await;
}

#[tokio::test]
async fn streams_end_with_the_listener() {
    let admin = admin().await;
    let (mut events, _) = Events::open(&admin, "", "").await;
    events.next("in_flight").await;
    admin.stop.send(()).unwrap();
    while events.line().await.is_some() {}
    within("the listener to stop", admin.served).await.unwrap();
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_nothing() {
    let admin = admin().await;
    end(&admin, "the first");
    let (mut events, _) = Events::open(&admin, "", "").await;
    events.next("in_flight").await;
    // Far more than a socket takes.
    let kept = 10_000;
    let all = 10 * kept;
    for number in 1..all {
        end(
            &admin,
            &format!("a name of some length, so that a socket is soon full of rows: {number}"),
        );
    }
    // Nothing but the history holds them.
    let entries = admin.live.all();
    let newest = entries.last().unwrap().exchange().unwrap();
    assert_eq!(
        newest
            .request
            .model
            .as_deref()
            .map(|name| name.ends_with("99999")),
        Some(true)
    );
    assert_eq!(entries.len(), kept);
    let (_, missed) = events.next("missed").await;
    assert!(missed["count"].as_u64() > Some(0), "{missed}");
    loop {
        let (_, row) = events.next("exchange").await;
        if row["id"] == all {
            break;
        }
    }
}
