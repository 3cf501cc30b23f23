//! The API as a scripted server answers it, over a real connection.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::api::{Exchanges, InFlight};
use super::client::{Client, Problem};
use super::follow::follow;
use super::news::{Ask, Mistake, News, Subject};
use super::plain::{self, Moment};
use super::watch::Watch;

/// What a server answers: status, header fields, body.
struct Answer(u16, String, String);

fn good(body: &Value) -> Answer {
    Answer(
        200,
        "streamgauge-api-version: 1".to_owned(),
        body.to_string(),
    )
}

fn refused(status: u16, message: &str, position: Option<u64>) -> Answer {
    let error = json!({"error": {"message": message, "parameter": "q", "position": position}});
    Answer(
        status,
        "streamgauge-api-version: 1".to_owned(),
        error.to_string(),
    )
}

/// A request as it came: its target, and its head in lower case.
#[derive(Clone, Debug)]
struct Asked {
    target: String,
    head: String,
}

/// Answers every request by a function; `None` breaks the connection.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    fn new(answer: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (seen, answer) = (Arc::clone(&asked), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Self { address, asked }
    }

    fn client(&self) -> Client {
        Client::new(&self.address.to_string(), Some("the-token")).unwrap()
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<Asked>>, answer: &dyn Fn(&str) -> Option<Answer>) {
    let mut writer = stream.try_clone().unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(first) = lines.next() {
        let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        let target = first.split(' ').nth(1).unwrap().to_owned();
        let head = head.join("\n").to_ascii_lowercase();
        seen.lock().unwrap().push(Asked {
            target: target.clone(),
            head,
        });
        let Some(Answer(status, fields, body)) = answer(&target) else {
            return;
        };
        let length = body.len();
        let fields = match fields.is_empty() {
            true => fields,
            false => fields + "\r\n",
        };
        let sent = write!(
            writer,
            "HTTP/1.1 {status} x\r\n{fields}content-length: {length}\r\n\r\n{body}"
        );
        if sent.is_err() {
            return;
        }
    }
}

/// Answers with a body of which a byte comes every so often, for much longer than anybody waits.
fn trickling() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let asked = BufReader::new(stream.try_clone().unwrap()).lines();
        let asked = asked.map_while(Result::ok).find(String::is_empty);
        assert!(asked.is_some());
        let head = "HTTP/1.1 200 x\r\nstreamgauge-api-version: 1\r\ncontent-length: 100000\r\n\r\n";
        let mut sent = stream.write_all(head.as_bytes());
        for _ in 0..1000 {
            if sent.is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
            sent = stream.write_all(b" ");
        }
    });
    address
}

#[test]
fn an_answer_that_trickles_is_not_waited_for_longer_than_for_another() {
    let client = Client::new(&trickling().to_string(), None).unwrap();
    let client = client.within(Duration::from_millis(300));
    let answer = client.facts::<InFlight>("in-flight", &[]);
    let problem = answer.unwrap_err();
    assert!(
        matches!(&problem, Problem::Unreachable { why, .. } if why == "it took too long"),
        "{problem}"
    );
}

fn page(ids: &[u64]) -> Value {
    let rows = ids
        .iter()
        .map(|id| json!({"id": id, "model": format!("m{id}"), "end": "done"}));
    json!({"total": 9, "kept": 9, "exchanges": rows.collect::<Vec<_>>(), "next": null})
}

/// The part of a target that says what is asked for.
fn path(target: &str) -> &str {
    target.split('?').next().unwrap()
}

/// A server with little to show.
fn usual(target: &str) -> Option<Answer> {
    Some(match path(target) {
        "/api/in-flight" => good(&json!({"count": 1, "exchanges": [
            {"id": 1, "model": "\u{1b}[2Jm", "age_ms": 12.0, "state": "dreaming"}]})),
        "/api/summary" => good(
            &json!({"version": "0.1.0", "ready": true, "today": {"requests": 3, "errors": 1, "unpriced": 3}}),
        ),
        "/api/exchanges" if target.contains("q=ttft") => {
            refused(400, "expected a duration", Some(5))
        }
        "/api/exchanges" => good(&page(&[2, 1])),
        _ => refused(404, "no such exchange", None),
    })
}

#[test]
fn a_request_has_what_is_asked_for_and_may_be_below_a_path() {
    let server = Server::new(|_| Some(good(&page(&[]))));
    let client = Client::new(
        &format!("http://{}/gauge", server.address),
        Some("the-token"),
    )
    .unwrap();
    let _: Exchanges = client
        .facts("exchanges", &[("q", "model:gpt* ttft>2s&x")])
        .unwrap();
    let asked = &server.asked()[0];
    assert_eq!(
        asked.target,
        "/gauge/api/exchanges?q=model%3Agpt*+ttft%3E2s%26x"
    );
    assert!(
        asked.head.contains("user-agent: streamgauge-top/"),
        "{}",
        asked.head
    );
}

#[test]
fn a_token_is_for_an_admin_port_that_asks_for_it_and_is_sent_from_then_on() {
    let script = Mutex::new(VecDeque::from([401]));
    let server = Server::new(move |_| match script.lock().unwrap().pop_front() {
        Some(status) => Some(refused(status, "expected a token", None)),
        None => Some(good(&page(&[]))),
    });
    let client = server.client();
    for _ in 0..2 {
        let _: Exchanges = client.facts("exchanges", &[]).unwrap();
    }
    let asked = server.asked();
    let has_token = |asked: &Asked| asked.head.contains("authorization: bearer the-token");
    let shown: Vec<bool> = asked.iter().map(has_token).collect();
    assert_eq!(shown, [false, true, true]);
}

#[test]
fn a_token_is_not_sent_to_what_is_no_admin_port_though_it_asks_for_one() {
    for status in [200, 401, 403, 404, 502] {
        let server = Server::new(move |_| Some(Answer(status, String::new(), "no".to_owned())));
        let client = server.client();
        for _ in 0..2 {
            let problem = client.facts::<Exchanges>("exchanges", &[]).unwrap_err();
            let problem = problem.to_string();
            let at = format!("http://{}", server.address);
            for said in [&*at, "admin port", "9464", "proxy"] {
                assert!(problem.contains(said), "{said} in {problem}");
            }
        }
        let asked = server.asked();
        assert_eq!(asked.len(), 2);
        let has_token = |asked: &Asked| asked.head.contains("authorization");
        assert!(!asked.iter().any(has_token), "{status}");
    }
}

#[test]
fn a_token_goes_nowhere_else() {
    let elsewhere = Server::new(|_| Some(good(&page(&[]))));
    let to = format!("location: http://{}/", elsewhere.address);
    let to = format!("streamgauge-api-version: 1\r\n{to}");
    let server = Server::new(move |_| Some(Answer(302, to.clone(), String::new())));
    let problem = server
        .client()
        .facts::<Exchanges>("exchanges", &[])
        .unwrap_err();
    assert!(
        matches!(problem, Problem::Refused { status: 302, .. }),
        "{problem}"
    );
    assert!(elsewhere.asked().is_empty());
}

#[test]
fn what_is_wrong_is_told_apart() {
    let problem = |answer: fn() -> Option<Answer>| {
        let server = Server::new(move |_| answer());
        server
            .client()
            .facts::<InFlight>("in-flight", &[])
            .unwrap_err()
    };
    let query = problem(|| Some(refused(400, "expected \u{1b}x", Some(3))));
    let message = "expected \u{fffd}x".to_owned();
    assert_eq!(
        query,
        Problem::Query {
            message,
            position: Some(3)
        }
    );
    let unauthorized = problem(|| Some(refused(401, "no", None)));
    assert!(
        matches!(unauthorized, Problem::Unauthorized(_)),
        "{unauthorized}"
    );
    let unknown = problem(|| Some(refused(404, "not kept", None)));
    assert_eq!(unknown, Problem::Unknown("not kept".to_owned()));
    let refused = problem(|| {
        let version = "streamgauge-api-version: 1".to_owned();
        Some(Answer(503, version, "busy\nvery".to_owned()))
    });
    assert!(
        refused.to_string().ends_with("answered 503: busy"),
        "{refused}"
    );
    let none = problem(|| Some(Answer(200, String::new(), "{}".to_owned())));
    assert!(matches!(none, Problem::NotAdmin { .. }), "{none}");
    let newer = problem(|| {
        Some(Answer(
            200,
            "streamgauge-api-version: 2".to_owned(),
            "{}".to_owned(),
        ))
    });
    assert!(newer.to_string().contains("it has version 2"), "{newer}");
    let other = problem(|| {
        Some(Answer(
            200,
            "streamgauge-api-version: 1".to_owned(),
            "<html>".to_owned(),
        ))
    });
    assert!(matches!(other, Problem::Foreign { .. }), "{other}");
    let broken = problem(|| None);
    assert!(matches!(broken, Problem::Unreachable { .. }), "{broken}");
}

#[test]
fn members_that_are_missing_or_new_are_no_fault() {
    let server = Server::new(|_| Some(good(&json!({"exchanges": [{"id": 1, "novel": {}}, {}]}))));
    let exchanges: Exchanges = server.client().facts("exchanges", &[]).unwrap();
    assert_eq!(exchanges.exchanges.len(), 2);
}

/// Watches a server until a function has heard enough; what it gives is asked for.
fn watch(server: &Server, filter: &str, mut hear: impl FnMut(&News, &Sender<Ask>) -> bool) {
    let client = server.client();
    let (asks, asked) = channel();
    Watch::new(&client, 50, filter.to_owned()).run(&asked, |news| hear(&news, &asks));
}

#[test]
fn a_watch_brings_what_is_in_flight_the_sums_and_what_ended() {
    let server = Server::new(usual);
    let mut kinds = Vec::new();
    watch(&server, "", |news, _| {
        kinds.push(match news {
            News::InFlight(seen) => format!("{} in flight", seen.count),
            News::Summary(sums) => format!("{} today", sums.today.requests),
            News::Exchanges(filter, rows) => format!("{} of {filter:?}", rows.exchanges.len()),
            other => format!("{other:?}"),
        });
        kinds.len() < 4
    });
    assert_eq!(
        kinds,
        ["1 in flight", "3 today", "2 of \"\"", "1 in flight"]
    );
    let targets: Vec<String> = server.asked().into_iter().map(|it| it.target).collect();
    assert_eq!(targets[1], "/api/summary?since=5m&step=5s");
    assert_eq!(targets[2], "/api/exchanges?limit=50");
}

#[test]
fn a_filter_with_a_mistake_is_reported_once_and_the_one_before_goes_on() {
    let server = Server::new(usual);
    let mut heard = Vec::new();
    watch(&server, "model:m", |news, asks| {
        match news {
            News::Exchanges(filter, _) => heard.push(filter.clone()),
            News::Mistake(filter, Mistake { message, position }) => {
                heard.push(format!("{filter}: {message} at {position:?}"));
            }
            _ => return true,
        }
        if heard.len() == 1 {
            asks.send(Ask::Filter("ttft>x".to_owned())).unwrap();
        }
        heard.len() < 4
    });
    let mistake = "ttft>x: expected a duration at Some(5)";
    assert_eq!(heard, ["model:m", mistake, "model:m", "model:m"]);
}

#[test]
fn a_first_filter_with_a_mistake_leaves_all_to_be_seen() {
    let server = Server::new(usual);
    let mut heard = Vec::new();
    watch(&server, "ttft>x", |news, _| {
        match news {
            News::Exchanges(filter, _) => heard.push(filter.clone()),
            News::Mistake(filter, _) => heard.push(format!("mistake in {filter}")),
            _ => {}
        }
        heard.len() < 2
    });
    assert_eq!(heard, ["mistake in ttft>x", ""]);
}

#[test]
fn one_exchange_is_brought_when_it_is_asked_for_also_if_there_is_none() {
    let server = Server::new(usual);
    let mut brought = None;
    watch(&server, "", |news, asks| {
        if let News::One(id, facts) = news {
            brought = Some((*id, facts.as_ref().as_ref().err().cloned()));
            return false;
        }
        let _ = asks.send(Ask::One(7));
        true
    });
    let problem = Problem::Unknown("no such exchange".to_owned());
    assert_eq!(brought, Some((7, Some(problem))));
}

/// A conversation of one turn, whose id and model a client may have had a hand in.
fn spoken() -> Value {
    json!({"id": "0a", "children": [], "totals": {"id": "0a", "turns": 1, "models": ["\u{1b}[2Jm"], "lasted_ms": 1500.0,
        "last_at_ms": 1500, "input_tokens": 100, "output_tokens": 7, "tool_calls": 0, "errors": 0, "repeated_calls": 0},
        "turns": [{"exchange": {"id": 5, "turn": 1, "model": "\u{1b}[2Jm", "input_tokens": 100, "cached_tokens": 25,
            "end": "done"}, "tool_waits": [{"name": "weather", "began_at_ms": 0, "lasted_ms": 3.0}],
            "repeated_calls": [{"name": "weather", "times": 2}]}]})
}

/// The same server, with conversations.
fn talking(target: &str) -> Option<Answer> {
    match path(target) {
        "/api/conversations" => Some(good(
            &json!({"conversations": [{"id": "0a"}], "next": null}),
        )),
        "/api/conversations/0a" => Some(good(&spoken())),
        "/api/conversations/0b" => Some(refused(404, "nothing of conversation 0b is kept", None)),
        "/api/conversations/0c" => Some(refused(500, "out of order", None)),
        _ => usual(target),
    }
}

#[test]
fn what_is_watched_beside_is_brought_at_once_and_again_until_something_else_is() {
    let server = Server::new(talking);
    let mut heard = Vec::new();
    watch(&server, "", |news, asks| {
        let told = match news {
            News::Conversations(Ok(list)) => format!("{} conversations", list.conversations.len()),
            News::Conversation(id, facts) => match &**facts {
                Ok(facts) => format!("{id} of {}", facts.turns.len()),
                Err(problem) => format!("{id}: {problem}"),
            },
            _ if heard.is_empty() => "begun".to_owned(),
            _ => return true,
        };
        heard.push(told);
        let next = match heard.len() {
            1 => Subject::Conversations,
            2 => Subject::Conversation("0a".to_owned()),
            // What comes next is asked for by nobody.
            3 => return true,
            4 => Subject::Conversation("0b".to_owned()),
            5 => Subject::Conversation("0c".to_owned()),
            _ => return false,
        };
        asks.send(Ask::Watch(Some(next))).is_ok()
    });
    let gone = "0b: nothing of conversation 0b is kept";
    let expected = ["begun", "1 conversations", "0a of 1", "0a of 1", gone];
    let failed = heard.pop().unwrap();
    assert!(
        failed.starts_with("0c: ") && failed.ends_with("out of order"),
        "{failed}"
    );
    assert_eq!(heard, expected);
}

#[test]
fn a_conversation_is_found_by_the_beginning_of_its_id_on_any_page() {
    let server = Server::new(|target| {
        let page = |ids: &[&str], next: Option<&str>| {
            let all: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
            Some(good(&json!({"conversations": all, "next": next})))
        };
        match target {
            "/api/conversations?limit=500" => page(&["aaaaaaaa11", "bbbbbbbb11"], Some("7-0")),
            "/api/conversations?limit=500&before=7-0" => {
                page(&["bbbbbbbb11", "aaaaaaaa22", "cccccccc11"], None)
            }
            _ => None,
        }
    });
    let client = server.client();
    let whole = |begins: &str| client.whole_id(begins);
    assert_eq!(whole("cccccccc").as_deref(), Ok("cccccccc11"));
    // It went on between the two pages.
    assert_eq!(whole("bbbbbbbb").as_deref(), Ok("bbbbbbbb11"));
    assert_eq!(whole("aaaaaaaa2").as_deref(), Ok("aaaaaaaa22"));
    let several = whole("aaaaaaaa").unwrap_err();
    assert_eq!(several, Problem::Several("aaaaaaaa".to_owned()));
    let none = whole("dddddddd").unwrap_err().to_string();
    assert!(none.contains("begins with dddddddd"), "{none}");
    let asked = server.asked().len();
    assert_eq!(whole(&"e".repeat(32)), Ok("e".repeat(32)));
    assert_eq!(server.asked().len(), asked);
}

#[test]
fn a_connection_that_is_lost_is_reported_and_found_again() {
    let script = Mutex::new(VecDeque::from([true, true, true, false, false, true]));
    let server = Server::new(move |target| {
        let is_up = script.lock().unwrap().pop_front().unwrap_or(true);
        is_up.then(|| usual(target)).flatten()
    });
    let mut heard = Vec::new();
    watch(&server, "", |news, _| {
        let is_lost = matches!(news, News::Lost(Problem::Unreachable { .. }));
        heard.push(is_lost);
        is_lost || !heard.contains(&true)
    });
    assert_eq!(
        heard.iter().filter(|is_lost| !**is_lost).count(),
        4,
        "{heard:?}"
    );
    assert!(heard.contains(&true));
}

#[test]
fn once_it_is_a_table_of_plain_text() {
    let server = Server::new(usual);
    let mut out = Vec::new();
    let moment = Moment::now(&server.client(), 10, "").unwrap();
    moment.write(&mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "streamgauge 0.1.0 ready");
    assert!(
        lines[1].starts_with("- req/s  - tok/s  - err/s  1 in flight"),
        "{out}"
    );
    assert!(
        lines[1].ends_with("today: 3 requests  1 error  cost - (3 unpriced)"),
        "{out}"
    );
    assert!(lines[3].starts_with("model  upstream  state "), "{out}");
    assert!(lines[4].starts_with("\u{fffd}[2Jm"), "{out}");
    assert_eq!(lines[4].split_whitespace().nth(1), Some("other"), "{out}");
    assert!(lines[6].starts_with("end UTC   model  upstream"), "{out}");
    assert!(lines[7].starts_with("00:00:00  m2"), "{out}");
    assert_eq!(lines.len(), 9, "{out}");
    assert!(!out.contains('\u{1b}'));
}

#[test]
fn a_conversation_once_is_its_sums_and_a_table_of_turns() {
    let server = Server::new(talking);
    let whole = server.client().conversation("0a").unwrap();
    let mut out = Vec::new();
    plain::write_conversation(&whole, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "conversation 0a: \u{fffd}[2Jm");
    assert!(
        lines[1].starts_with("1 turn  lasted 1.50 s  100 tokens in  25% cached  7 out  cost -"),
        "{out}"
    );
    assert!(lines[3].starts_with("turn  exchange  end UTC "), "{out}");
    assert!(
        lines[4].starts_with("1            5  00:00:00  \u{fffd}[2Jm"),
        "{out}"
    );
    assert!(lines[4].ends_with("loop: weather 2×"), "{out}");
    assert!(!out.contains('\u{1b}'));

    let mut out = Vec::new();
    plain::write_conversation_json(&server.client(), "0a", &mut out)
        .unwrap()
        .unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(!text.contains('\u{1b}') && text.lines().count() == 1);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), spoken());
}

#[test]
fn once_as_json_it_is_all_that_the_api_said() {
    let server = Server::new(usual);
    let mut out = Vec::new();
    plain::write_json(&server.client(), 10, "model:m", &mut out)
        .unwrap()
        .unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert!(!text.contains('\u{1b}'));
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["in_flight"]["exchanges"][0]["model"], "\u{1b}[2Jm");
    assert_eq!(document["exchanges"], page(&[2, 1]));
    assert_eq!(document["summary"]["version"], "0.1.0");
    assert!(server.asked()[0].target.ends_with("limit=10&q=model%3Am"));
}

/// Takes so many lines, and then nothing more.
struct Reader {
    lines: Vec<Value>,
    most: usize,
}

impl Write for Reader {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        if self.lines.len() == self.most {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        self.lines.push(serde_json::from_slice(text).unwrap());
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The identities of what is followed, where the newest that have ended are these, one answer after another; `None` is a
/// broken connection.
fn followed(newest: Vec<Option<u64>>, most: usize) -> (Vec<u64>, usize) {
    let script = Mutex::new((VecDeque::from(newest), 0_u64));
    let server = Server::new(move |target| {
        let mut script = script.lock().unwrap();
        if target == "/api/exchanges?limit=1" {
            script.1 = script.0.pop_front().unwrap()?;
            return Some(good(&page(&[script.1])));
        }
        // Pages of two, of which every exchange matches.
        let before = target
            .split("before=")
            .nth(1)
            .map_or(script.1 + 1, |it| it.parse().unwrap());
        let ids: Vec<u64> = (1..before).rev().take(2).collect();
        let mut page = page(&ids);
        page["next"] = json!(ids.last().filter(|it| **it > 1));
        Some(good(&page))
    });
    let mut reader = Reader {
        lines: Vec::new(),
        most,
    };
    let mut lost = 0;
    follow(&server.client(), "model:m", &mut reader, |_| lost += 1).unwrap();
    let ids = reader.lines.iter().map(|row| row["id"].as_u64().unwrap());
    (ids.collect(), lost)
}

#[test]
fn lines_are_of_what_ends_from_now_on_each_once_and_in_order() {
    let (ids, lost) = followed(vec![Some(3), Some(3), Some(8), Some(9), Some(10)], 6);
    assert_eq!((ids, lost), (vec![4, 5, 6, 7, 8, 9], 0));
}

#[test]
fn lines_go_on_after_a_lost_connection_and_a_streamgauge_that_counts_again() {
    let (ids, lost) = followed(vec![Some(3), None, None, Some(5), Some(2), Some(4)], 5);
    assert_eq!((ids, lost), (vec![4, 5, 1, 2, 3], 1));
}

#[test]
fn lines_do_not_begin_with_a_filter_that_has_a_mistake() {
    let server = Server::new(usual);
    let mut reader = Reader {
        lines: Vec::new(),
        most: 1,
    };
    let problem = follow(&server.client(), "ttft>x", &mut reader, |_| {}).unwrap_err();
    assert!(
        matches!(
            problem,
            Problem::Query {
                position: Some(5),
                ..
            }
        ),
        "{problem}"
    );
}

#[test]
fn an_answer_without_an_end_is_cut_off() {
    let server = Server::new(|_| Some(good(&json!("x".repeat(40 << 20)))));
    let problem = server
        .client()
        .facts::<InFlight>("in-flight", &[])
        .unwrap_err();
    assert!(matches!(problem, Problem::Foreign { .. }), "{problem}");
}
