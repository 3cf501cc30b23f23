//! What the process holds for one exchange is bounded, whatever either side sends, and both get each other's bytes.

mod crowd;

use std::io::Write as _;
use std::iter;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::admin::until;
use crate::support::client::post;
use crate::support::http1::Connection;
use crate::support::otlp::{Attributes as _, Span};
use crate::support::process::Program;
use crate::support::scene::{EDITED, END, Scene, TOKEN, UNEDITED, USAGE, chat};

const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// Most that the process may ever have held: itself, and what queues and bounds allow one exchange.
const PEAK_MAX: usize = 112 * MIB;

/// A body that is made as it is sent, and made again where it arrives.
struct Body {
    first: Vec<u8>,
    /// What comes so many times in between.
    piece: Vec<u8>,
    times: usize,
    last: Vec<u8>,
}

impl Body {
    fn len(&self) -> usize {
        self.first.len() + self.piece.len() * self.times + self.last.len()
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let ends = [&self.first, &self.last].map(|end| iter::once(end.as_slice()));
        let [first, last] = ends;
        let middle = iter::repeat_n(self.piece.as_slice(), self.times);
        first.chain(middle).chain(last)
    }

    async fn write(&self, to: &mut Connection) {
        for piece in self.pieces() {
            to.write(piece).await;
        }
    }

    async fn assert_comes(&self, from: &mut Connection) {
        for (at, piece) in self.pieces().enumerate() {
            let came = from.read_exact(piece.len()).await;
            assert!(came == piece, "piece {at} differs");
        }
    }
}

/// A stream that ends well after a beginning and a repeated middle.
fn stream(first: impl Into<Vec<u8>>, piece: impl Into<Vec<u8>>, times: usize) -> Body {
    Body {
        first: first.into(),
        piece: piece.into(),
        times,
        last: [END, USAGE].concat().into(),
    }
}

/// Has an upstream answer a chat call with a body, and says what was exported once it has come whole.
async fn answer(fields: &str, body: &Body) -> (Scene, Span) {
    let scene = Scene::start().await;
    let (mut client, mut served) = scene.call(&chat(UNEDITED)).await;
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\n{fields}content-length: {length}\r\n\r\n");
    served.write(&head).await;
    assert_eq!(client.read_head().await, head.as_bytes());
    tokio::join!(body.write(&mut served), body.assert_comes(&mut client));
    let (_, span) = scene.spans().await;
    assert_bounded(&scene);
    (scene, span)
}

fn assert_bounded(scene: &Scene) {
    let peak = scene.server.process.memory_peak();
    assert!(peak < PEAK_MAX, "it held {} MiB", peak / MIB);
}

#[tokio::test]
async fn of_a_stream_of_a_gigabyte() {
    let event = TOKEN.replace("\"a\"", &format!("\"{}\"", "a".repeat(100_000)));
    let piece = event.repeat(10);
    let body = stream(TOKEN, piece.as_bytes(), GIB / piece.len());
    let (_scene, span) = answer("content-type: text/event-stream\r\n", &body).await;
    assert_eq!(span.text("streamgauge.end"), Some("done"));
}

#[tokio::test]
async fn of_a_line_of_a_hundred_megabytes() {
    let body = Body {
        first: b"data: {\"choices\":[],\"x\":\"".to_vec(),
        piece: vec![b'x'; MIB],
        times: 100,
        last: ["\"}\n\n", TOKEN, END, USAGE].concat().into(),
    };
    let (_scene, span) = answer("content-type: text/event-stream\r\n", &body).await;
    // A hurried observer may have missed frames of it, and then the line could not be told.
    let unread = ["oversized", "missed_frames"]
        .map(|kind| span.int(&format!("streamgauge.problems.{kind}")));
    assert!(unread.into_iter().flatten().sum::<i64>() > 0);
}

#[tokio::test]
async fn of_ten_thousand_choices() {
    let choice = |index| {
        format!("data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"a\"}}}}]}}\n\n")
    };
    let choices: String = (0..10_000).map(choice).collect();
    let body = stream(choices, "", 0);
    let (_scene, span) = answer("content-type: text/event-stream\r\n", &body).await;
    assert_eq!(span.int("gen_ai.usage.output_tokens"), Some(1));
    assert_eq!(span.boolean("streamgauge.truncated"), Some(true));
}

#[tokio::test]
async fn of_ten_thousand_tool_calls() {
    let call = |index| {
        let call = format!(
            "{{\"index\":{index},\"id\":\"c{index}\",\"function\":{{\"name\":\"f\",\"arguments\":\"{{}}\"}}}}"
        );
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{call}]}}}}]}}\n\n")
    };
    let calls: String = (0..10_000).map(call).collect();
    let body = stream(calls, "", 0);
    let (_scene, span) = answer("content-type: text/event-stream\r\n", &body).await;
    assert_eq!(span.int("streamgauge.tool_calls"), Some(128));
    assert_eq!(span.boolean("streamgauge.truncated"), Some(true));
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A gigabyte of zeros, as members of 16 MiB: each is far more than may come of one frame.
#[tokio::test]
async fn of_a_compressed_bomb() {
    let body = Body {
        first: Vec::new(),
        piece: gzip(&vec![0; 16 * MIB]),
        times: 64,
        last: Vec::new(),
    };
    for kind in ["application/json", "text/event-stream"] {
        let fields = format!("content-type: {kind}\r\ncontent-encoding: gzip\r\n");
        let (_scene, span) = answer(&fields, &body).await;
        assert_eq!(span.int("streamgauge.problems.undecodable"), Some(1));
        assert_eq!(span.boolean("streamgauge.partial"), Some(true));
    }
}

#[tokio::test]
async fn of_a_request_of_a_gigabyte() {
    let scene = Scene::start().await;
    let body = Body {
        first: b"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"".to_vec(),
        piece: vec![b'x'; MIB],
        times: 1024,
        last: b"\"}]}".to_vec(),
    };
    let mut client = scene.client().await;
    let length = body.len();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n"
    );
    client.write(&head).await;
    let receive = async {
        let mut served = scene.upstream.accept().await;
        served.read_head().await;
        body.assert_comes(&mut served).await;
        served
    };
    let (_, mut served) = tokio::join!(body.write(&mut client), receive);
    served
        .write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        .await;
    assert_eq!(client.read_response().await.text(), "{}");
    assert_bounded(&scene);
}

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";

/// Answers every call once it has read it, and says how long its body was.
async fn answer_all(scene: &Scene, calls: usize) -> Vec<usize> {
    let mut serving = tokio::task::JoinSet::new();
    for _ in 0..calls {
        let mut served = scene.upstream.accept().await;
        serving.spawn(async move {
            let length = served.read_request().await.body.len();
            served.write(ANSWER).await;
            length
        });
    }
    serving.join_all().await
}

/// What large prompts have taken goes back to the system a second after, not ten.
#[tokio::test]
async fn the_allocator_keeps_what_is_free_for_a_second() {
    let mut process = Program::new(["--version"])
        .env("_RJEM_MALLOC_CONF", "stats_print:true")
        .start();
    assert!(process.exit().await.success());
    let told = process.stderr().text();
    assert!(told.contains("opt.dirty_decay_ms: 1000 "), "{told}");
}

#[tokio::test]
async fn of_many_clients_that_hold_back_the_end_of_their_prompt() {
    const CLIENTS: usize = 24;
    const PROMPT: usize = 6 * MIB;
    let config = "[limits]\nmemory = '32MiB'\n[telemetry]\nestimate_tokens = \"off\"\n";
    let scene = Scene::configured(config).await;
    let process = &scene.server.process;
    // What the first call needs stays.
    let mut client = scene.client().await;
    client.write(chat(EDITED)).await;
    answer_all(&scene, 1).await;
    client.read_response().await;
    scene.server.finished(1).await;
    let idle = process.memory_own();

    let text = "x".repeat(PROMPT);
    for path in ["/v1/chat/completions", "/v1/embeddings"] {
        let body = format!("{{\"model\":\"m\",\"input\":\"{text}\"}}");
        let request = post(path, &body);
        let (begin, end) = request.split_at(request.len() - 2);
        let hold = async {
            let mut clients = Vec::new();
            for _ in 0..CLIENTS {
                let mut client = scene.client().await;
                client.write(begin).await;
                clients.push(client);
            }
            let peak = process.memory_peak();
            for client in &mut clients {
                client.write(end).await;
                assert_eq!(client.read_response().await.text(), "{}");
            }
            peak
        };
        let (peak, lengths) = tokio::join!(hold, answer_all(&scene, CLIENTS));
        assert_eq!(lengths, [body.len(); CLIENTS]);
        assert!(peak < PEAK_MAX, "{path}: it held {} MiB", peak / MIB);
    }
    assert_bounded(&scene);
    let given_back = async || (process.memory_own() * 2 <= idle * 3).then_some(());
    until("memory to be given back", given_back).await;
}
