//! What answers show of how an upstream reports usage, through the real program: where the client would not see what it would
//! have seen, usage is not asked for.

use std::io::Write as _;

use crate::support::client::post;
use crate::support::http1::{Message, chunk};
use crate::support::relay::{Pair, Relay};
use crate::support::scene::{END, STREAM, TOKEN, USAGE};

const CHAT: &str = "/v1/chat/completions";
const SILENT: &str = r#"{"model":"m","stream":true,"messages":[]}"#;
const ASKED: &str =
    r#"{"stream_options":{"include_usage":true},"model":"m","stream":true,"messages":[]}"#;
/// A stream whose client has options of its own, and does not ask.
const DECLINED: &str = r#"{"model":"m","stream":true,"stream_options":{}}"#;
/// The end of a stream by a server that measures, where it was not asked.
const MEASURED_END: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"timings\":{\"cache_n\":2,\"prompt_n\":1,\"predicted_n\":1}}\n\ndata: [DONE]\n\n";
/// The event that asking adds, by such a server.
const MEASURED: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1},\"timings\":{\"cache_n\":2,\"prompt_n\":1,\"predicted_n\":1}}\n\n";
/// The event that asking adds, with a member that no other chunk has.
const MOVED: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1},\"system_fingerprint\":\"vllm-0.32\"}\n\n";
/// Usage beside output.
const RUNNING: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n";

const INTEGRITY: &str = "streamgauge_integrity_total";

/// A relay whose proxy looks at what it has learnt as often as it can.
async fn curious() -> Relay {
    Relay::with(|program| program.env("STREAMGAUGE_USAGE_RECHECK", "1ms")).await
}

fn stream(events: &[&str]) -> Vec<u8> {
    let chunks = events.iter().map(chunk);
    let chunks: Vec<_> = chunks.chain([chunk("")]).collect();
    [STREAM.as_bytes(), &chunks.concat()].concat()
}

/// One call that this stream answers; what the upstream got, and what the client did.
async fn call(pair: &mut Pair<'_>, request: &str, events: &[&str]) -> (Message, Message) {
    pair.exchange(post(CHAT, request), stream(events)).await
}

/// A stream that is silent about usage is asked for it, and the event that this adds is taken out.
async fn is_asked(pair: &mut Pair<'_>) {
    let (seen, got) = call(pair, SILENT, &[TOKEN, USAGE, END]).await;
    assert_eq!(seen.text(), ASKED);
    assert_eq!(got.text(), [TOKEN, END].concat());
}

/// A stream that is silent about usage passes as it is, and so does its answer.
async fn is_left(pair: &mut Pair<'_>, events: &[&str]) {
    let (seen, got) = call(pair, SILENT, events).await;
    assert_eq!(seen.text(), SILENT);
    assert_eq!(got.text(), events.concat());
}

#[tokio::test]
async fn usage_that_came_in_a_stream_that_did_not_ask_stays() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let (seen, got) = call(&mut pair, DECLINED, &[TOKEN, USAGE, END]).await;
    assert_eq!(
        (seen.text(), got.text()),
        (DECLINED, &*[TOKEN, USAGE, END].concat())
    );
    for _ in 0..3 {
        is_left(&mut pair, &[TOKEN, USAGE, END]).await;
    }
    relay.metric(INTEGRITY, "\"equal\"", "4").await;
}

#[tokio::test]
async fn an_upstream_that_always_reports_usage_is_found_out_by_a_stream_that_is_not_asked() {
    let relay = curious().await;
    let mut pair = relay.pair().await;
    let events = [TOKEN, USAGE, END];
    is_asked(&mut pair).await;
    // The next that comes after the time set is the one; the clock is the system's.
    loop {
        let (seen, got) = call(&mut pair, SILENT, &events).await;
        if seen.text() == SILENT {
            assert_eq!(got.text(), events.concat());
            break;
        }
        assert_eq!(got.text(), [TOKEN, END].concat());
    }
    for _ in 0..3 {
        is_left(&mut pair, &events).await;
    }
}

#[tokio::test]
async fn an_upstream_that_reports_usage_only_when_asked_is_asked_again() {
    let relay = curious().await;
    let mut pair = relay.pair().await;
    let mut asked = 0;
    let mut left = 0;
    while asked < 3 || left < 2 {
        pair.client.write(post(CHAT, SILENT)).await;
        let seen = pair.request().await;
        if seen.text() == ASKED {
            asked += 1;
            let got = pair.answer(stream(&[TOKEN, USAGE, END])).await;
            assert_eq!(got.text(), [TOKEN, END].concat());
        } else {
            left += 1;
            let got = pair.answer(stream(&[TOKEN, END])).await;
            assert_eq!(got.text(), [TOKEN, END].concat());
        }
    }
}

#[tokio::test]
async fn where_usage_runs_beside_the_output_nothing_is_taken_out() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let events = [RUNNING, USAGE, END];
    let (seen, got) = call(&mut pair, SILENT, &events).await;
    assert_eq!((seen.text(), got.text()), (ASKED, &*events.concat()));
    relay.metric(INTEGRITY, "\"usage_left\"", "1").await;
    for _ in 0..3 {
        is_left(&mut pair, &events).await;
    }
    relay.metric(INTEGRITY, "\"equal\"", "3").await;
}

#[tokio::test]
async fn usage_beside_the_output_that_came_only_because_it_was_asked_for_is_asked_for_again() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    call(&mut pair, SILENT, &[RUNNING, END]).await;
    is_left(&mut pair, &[TOKEN, END]).await;
    let (seen, got) = call(&mut pair, SILENT, &[RUNNING, USAGE, END]).await;
    assert_eq!(seen.text(), ASKED);
    assert_eq!(
        got.text(),
        [RUNNING, END].concat(),
        "what can be taken out is"
    );
}

#[tokio::test]
async fn each_model_and_each_kind_of_completion_is_known_apart() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    call(&mut pair, DECLINED, &[TOKEN, USAGE, END]).await;
    is_left(&mut pair, &[TOKEN, USAGE, END]).await;
    for (path, model) in [(CHAT, "other"), ("/v1/completions", "m")] {
        let request = SILENT.replace("\"m\"", &format!("\"{model}\""));
        let asked = ASKED.replace("\"m\"", &format!("\"{model}\""));
        let sent = stream(&[TOKEN, USAGE, END]);
        let (seen, got) = pair.exchange(post(path, &request), sent).await;
        assert_eq!(seen.text(), asked, "{path} {model}");
        assert_eq!(got.text(), [TOKEN, END].concat());
    }
}

#[tokio::test]
async fn an_event_that_carries_measurements_reaches_the_client_and_is_asked_for_no_more() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let events = [
        TOKEN,
        END.split_once("data: [DONE]").unwrap().0,
        MEASURED,
        "data: [DONE]\n\n",
    ];
    let (seen, got) = call(&mut pair, SILENT, &events).await;
    assert_eq!((seen.text(), got.text()), (ASKED, &*events.concat()));
    relay.metric(INTEGRITY, "\"usage_left\"", "1").await;
    for _ in 0..3 {
        is_left(&mut pair, &[TOKEN, MEASURED_END]).await;
    }
    relay.metric(INTEGRITY, "\"equal\"", "3").await;
    // The tokens of all four are known.
    let reported = "streamgauge_usage_source=\"reported\"";
    relay
        .metric("streamgauge_usage_calls_total", reported, "4")
        .await;
}

#[tokio::test]
async fn measurements_are_known_from_other_answers_before_any_stream_is_asked() {
    let body = r#"{"choices":[],"usage":{"prompt_tokens":3},"timings":{"predicted_n":1}}"#;
    let json = |server: &str, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\n{server}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    let whole = SILENT.replace("true", "false");
    for (request, answer) in [
        (post(CHAT, &whole), json("", body)),
        (post(CHAT, &whole), json("Server: llama.cpp\r\n", "{}")),
        (
            b"GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
            json("server: llama.cpp\r\n", "{}"),
        ),
        (
            post(CHAT, ASKED),
            String::from_utf8(stream(&[TOKEN, MEASURED, END])).unwrap(),
        ),
        (
            post(CHAT, DECLINED),
            String::from_utf8(stream(&[TOKEN, MEASURED_END])).unwrap(),
        ),
    ] {
        let relay = Relay::start().await;
        let mut pair = relay.pair().await;
        let (_, got) = pair.exchange(&request, &answer).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(got.head, format!("{head}\r\n\r\n").as_bytes());
        if !head.contains("chunked") {
            assert_eq!(got.text(), body);
        }
        relay.metric(INTEGRITY, "\"equal\"", "1").await;
        relay
            .metric("streamgauge_exchanges_total", "\"done\"", "1")
            .await;
        is_left(&mut pair, &[TOKEN, MEASURED_END]).await;
    }
}

#[tokio::test]
async fn identifiers_that_moved_into_the_event_go_with_it_and_are_counted() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    for _ in 0..2 {
        let (seen, got) = call(&mut pair, SILENT, &[TOKEN, MOVED, END]).await;
        assert_eq!((seen.text(), got.text()), (ASKED, &*[TOKEN, END].concat()));
    }
    let member = "member=\"system_fingerprint\"";
    relay
        .metric("streamgauge_usage_moved_total", member, "2")
        .await;
}

#[tokio::test]
async fn a_stream_that_does_not_say_that_it_is_one_is_filtered_unless_it_has_a_length() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    let (events, left) = ([TOKEN, USAGE, END].concat(), [TOKEN, END].concat());
    for head in [
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n",
    ] {
        let head = format!("{head}transfer-encoding: chunked\r\n\r\n");
        let sent = [head.as_bytes(), &chunk(&events), &chunk("")].concat();
        let (_, got) = pair.exchange(post(CHAT, SILENT), sent).await;
        assert_eq!(got.text(), left);
    }
    relay.metric(INTEGRITY, "\"usage_removed\"", "2").await;
    // What is no stream is not held back for an end of a line.
    pair.ask(post(CHAT, SILENT)).await;
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let first = [head.as_bytes(), &chunk("plain text")].concat();
    pair.served().await.write(first).await;
    pair.client.read_through(b"plain text").await;
    pair.served().await.write(chunk("")).await;
    pair.client.read_through(b"0\r\n\r\n").await;
    let length = events.len();
    let sent = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{events}");
    let (_, got) = pair.exchange(post(CHAT, SILENT), &sent).await;
    assert_eq!([got.head, got.raw_body].concat(), sent.as_bytes());
    relay.metric(INTEGRITY, "\"usage_left\"", "1").await;
}

/// An error of this status and body.
fn error(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} No\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn an_error_that_names_another_cause_is_passed_on_as_it_came_and_not_repeated() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    for body in [
        r#"{"error":{"message":"max_tokens must be at least 1","type":"BadRequestError","param":null,"code":400}}"#,
        r#"{"error":{"message":"no","type":"BadRequestError","param":"seed","code":400}}"#,
        r#"{"detail":[{"type":"missing","loc":["body","messages"],"input":{"stream_options":{"include_usage":true}}}]}"#,
    ] {
        for status in [400, 422] {
            let sent = error(status, body);
            let (seen, got) = pair.exchange(post(CHAT, SILENT), &sent).await;
            assert_eq!(seen.text(), ASKED);
            assert_eq!([got.head, got.raw_body].concat(), sent.as_bytes(), "{body}");
        }
    }
    let head = "HTTP/1.1 400 No\r\ntransfer-encoding: chunked\r\n\r\n";
    let body = r#"{"error":{"message":"no","param":"seed"}}"#;
    let sent = [head.as_bytes(), &chunk(body), &chunk("")].concat();
    let (_, got) = pair.exchange(post(CHAT, SILENT), &sent).await;
    assert_eq!([got.head, got.raw_body].concat(), sent, "in a chunk");
    is_asked(&mut pair).await;
}

#[tokio::test]
async fn where_asking_has_succeeded_an_error_that_says_nothing_is_not_repeated() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    is_asked(&mut pair).await;
    for _ in 0..3 {
        let (seen, got) = pair.exchange(post(CHAT, SILENT), error(400, "nope")).await;
        assert_eq!(seen.text(), ASKED);
        assert_eq!((got.status(), got.text()), (400, "nope"));
    }
}

#[tokio::test]
async fn an_upstream_that_has_come_to_refuse_the_question_by_name_is_asked_no_more() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    is_asked(&mut pair).await;
    pair.ask(post(CHAT, SILENT)).await;
    let refusal = error(400, r#"{"error":{"message":"stream_options is unknown"}}"#);
    pair.served().await.write(refusal).await;
    assert_eq!(pair.request().await.text(), SILENT);
    let got = pair.answer(stream(&[TOKEN, END])).await;
    assert_eq!(got.text(), [TOKEN, END].concat());
    is_left(&mut pair, &[TOKEN, END]).await;
}

#[tokio::test]
async fn a_refusal_is_remembered_for_its_model_and_tried_again() {
    let relay = curious().await;
    let mut pair = relay.pair().await;
    // Asked once, refused once; and so again after the time set.
    for _ in 0..2 {
        loop {
            pair.client.write(post(CHAT, SILENT)).await;
            if pair.request().await.text() == ASKED {
                break;
            }
            let got = pair.answer(stream(&[TOKEN, END])).await;
            assert_eq!(got.text(), [TOKEN, END].concat());
        }
        pair.served().await.write(error(400, "nope")).await;
        assert_eq!(pair.request().await.text(), SILENT);
        let got = pair.answer(stream(&[TOKEN, END])).await;
        assert_eq!(got.text(), [TOKEN, END].concat());
    }
    let other = SILENT.replace("\"m\"", "\"other\"");
    let asked = ASKED.replace("\"m\"", "\"other\"");
    let (seen, _) = pair
        .exchange(post(CHAT, &other), stream(&[TOKEN, END]))
        .await;
    assert_eq!(seen.text(), asked);
}

#[tokio::test]
async fn an_error_that_fails_again_is_no_refusal_of_usage() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    pair.ask(post(CHAT, SILENT)).await;
    pair.served().await.write(error(400, "nope")).await;
    pair.request().await;
    assert_eq!(pair.answer(error(400, "nope")).await.status(), 400);
    relay
        .metric("streamgauge_resends_total", "usage_refused", "1")
        .await;
    let refused = [("quirk", "C-11")];
    let refused = relay.server.metric("streamgauge_quirks_total", &refused);
    assert_eq!(refused.await, Some(0.0));
}

#[tokio::test]
async fn a_coded_refusal_cannot_be_read_and_passes_as_it_came() {
    let relay = Relay::start().await;
    let mut pair = relay.pair().await;
    is_asked(&mut pair).await;
    let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    coder.write_all(b"{}").unwrap();
    let coded = coder.finish().unwrap();
    let head = format!(
        "HTTP/1.1 400 No\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        coded.len()
    );
    let sent = [head.as_bytes(), &coded].concat();
    let (_, got) = pair.exchange(post(CHAT, SILENT), &sent).await;
    assert_eq!([got.head, got.raw_body].concat(), sent);
}
