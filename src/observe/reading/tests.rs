mod media;

use std::fs;
use std::path::Path;

use bytes::Bytes;

use super::*;
use crate::dialect::for_request;
use crate::exchange::{History, Problems, Response, Usage};
use crate::memory::Memory;

/// When everything comes.
const AT: Duration = Duration::from_secs(1);

/// What a body came to, told in pieces: its facts, and what each piece carried.
fn read(path: &str, pieces: &[&[u8]]) -> (Response, Usage, Problems, Vec<Heard>) {
    let mut reading = ResponseReading::new(for_request("POST", path), 1 << 20, Memory::default());
    reading.begin(StatusCode::OK, "", None);
    let mut outputs = Vec::new();
    for piece in pieces {
        reading.push(AT, piece, |output| outputs.push(output));
    }
    reading.finish(true, AT, |output| outputs.push(output));
    let facts = reading.settle(&Request::default());
    (facts.response, facts.usage, facts.problems, outputs)
}

#[test]
fn lines_come_to_the_same_wherever_they_are_cut() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut cases = 0;
    for (folder, path) in [
        ("ollama-chat", "/api/chat"),
        ("ollama-generate", "/api/generate"),
    ] {
        for case in fs::read_dir(fixtures.join(folder)).unwrap() {
            let case = case.unwrap().path();
            let Ok(body) = fs::read(case.join("response.ndjson")) else {
                continue;
            };
            cases += 1;
            let expected = read(path, &[&body]);
            for cut in 0..=body.len() {
                let (one, two) = body.split_at(cut);
                assert_eq!(read(path, &[one, two]), expected, "{case:?}, cut at {cut}");
            }
            let bytes: Vec<&[u8]> = body.chunks(1).collect();
            assert_eq!(read(path, &bytes), expected, "{case:?}, in bytes");
        }
    }
    assert!(cases > 5);
}

#[test]
fn one_line_that_is_a_whole_answer_is_no_stream() {
    let whole = b"{\"message\":{\"content\":\"a\"},\"done\":true,\"done_reason\":\"stop\"}\n";
    let (response, _, _, outputs) = read("/api/chat", &[whole]);
    assert!(!response.streamed);
    assert_eq!(response.content_chars, Some(1));
    assert_eq!(outputs, []);
}

#[test]
fn lines_that_are_no_json_are_no_stream() {
    let (response, _, problems, outputs) = read("/api/chat", &[b"Ollama is\nrunning"]);
    assert!(!response.streamed);
    assert_eq!((problems.malformed, outputs.len()), (2, 0));
}

#[test]
fn an_empty_frame_is_no_body() {
    let dialect = for_request("POST", "/v1/chat/completions");
    let mut request = Request::default();
    let mut reading = RequestReading::new(dialect, "", b"", 100, Memory::default());
    reading.push(Bytes::new());
    reading.push(Bytes::new());
    reading.finish(&mut request);
    assert_eq!(*reading.problems(), Problems::default());
}

/// The history in a body that comes in pieces, and is read up to so many bytes.
fn history(pieces: &[&[u8]], limit: usize) -> Option<Box<History>> {
    let dialect = for_request("POST", "/v1/chat/completions");
    let mut reading = RequestReading::new(dialect, "", b"", limit, Memory::default());
    reading.gather_history();
    for piece in pieces {
        reading.push(Bytes::copy_from_slice(piece));
    }
    reading.finish(&mut Request::default());
    reading.take_history()
}

#[test]
fn a_history_is_the_same_wherever_its_body_is_cut() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"Tiefe?\n\u00e9"},
        {"role":"assistant","tool_calls":[{"id":"call_1","function":{"name":"gauge","arguments":"{\"at\": 1}"}}]},
        {"role":"tool","tool_call_id":"call_1","content":"3 m"}],"tools":[{"type":"function"}]}"#
        .as_bytes();
    let whole = history(&[body], 1 << 20).unwrap();
    assert_eq!((whole.items.len(), whole.answers[0].calls.len()), (3, 1));
    assert!(whole.body.is_some());
    for cut in 0..=body.len() {
        let (one, two) = body.split_at(cut);
        assert_eq!(
            history(&[one, two], 1 << 20),
            Some(whole.clone()),
            "cut at {cut}"
        );
        assert_eq!(
            history(&[one], 1 << 20).is_some(),
            cut == body.len(),
            "{cut} bytes"
        );
    }
    let bytes: Vec<_> = body.chunks(1).collect();
    assert_eq!(history(&bytes, 1 << 20), Some(whole));
    assert_eq!(history(&[body], body.len() - 1), None, "more than is read");
}

#[test]
fn there_is_no_history_where_none_is_wanted_or_kept() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"prompt":"Hi"}"#;
    for (path, wanted, there) in [
        ("/v1/chat/completions", true, true),
        ("/invocations", true, true),
        ("/v1/chat/completions", false, false),
        ("/v1/completions", true, false),
        ("/v1/embeddings", true, false),
    ] {
        let mut reading = RequestReading::new(
            for_request("POST", path),
            "",
            b"",
            1 << 20,
            Memory::default(),
        );
        if wanted {
            reading.gather_history();
        }
        reading.push(Bytes::from_static(body));
        reading.finish(&mut Request::default());
        assert_eq!(reading.take_history().is_some(), there, "{path} {wanted}");
    }
}

#[test]
fn a_body_is_put_together_as_far_as_memory_may_be_held() {
    let dialect = for_request("POST", "/v1/embeddings");
    let memory = Memory::new(20);
    let frame = || Bytes::from_static(br#"{"model":"#);
    let reading = || RequestReading::new(dialect, "", b"", 100, memory.clone());
    let (mut first, mut second) = (reading(), reading());
    for reading in [&mut first, &mut second] {
        reading.push(frame());
        reading.push(Bytes::from_static(br#""m"}"#));
    }
    let (mut whole, mut cut) = (Request::default(), Request::default());
    let body = first.finish(&mut whole);
    second.finish(&mut cut);
    assert_eq!((whole.model.as_deref(), cut.model), (Some("m"), None));
    assert_eq!(second.problems().missed_frames, 1);
    // What is held is held for as long as the body.
    let mut third = reading();
    third.push(frame());
    drop(body);
    third.push(Bytes::from_static(br#""m"}"#));
    assert_eq!(*third.problems(), Problems::default());
}

#[test]
fn a_long_answer_is_kept_as_far_as_memory_may_be_held() {
    let memory = Memory::new(UNCOUNTED_BYTES * 3);
    let reading = || {
        let dialect = for_request("POST", "/v1/chat/completions");
        let mut reading = ResponseReading::new(dialect, 1 << 20, memory.clone());
        reading.begin(StatusCode::OK, "", None);
        reading.push(AT, br#"{"id":"a","x":""#, |_| {});
        reading
    };
    let (mut first, mut second) = (reading(), reading());
    let piece = vec![b'x'; UNCOUNTED_BYTES];
    for reading in [&mut first, &mut second] {
        (0..2).for_each(|_| reading.push(AT, &piece, |_| {}));
        reading.push(AT, br#""}"#, |_| {});
        reading.finish(true, AT, |_| {});
    }
    let mut settled = [first, second].map(|mut it| it.settle(&Request::default()));
    assert_eq!(settled[0].response.id.as_deref(), Some("a"));
    assert_eq!(settled[1].response.id.take(), None);
    assert_eq!(settled[1].problems.missed_frames, 1);
}

#[test]
fn white_space_before_a_body_is_not_kept() {
    let dialect = for_request("POST", "/v1/chat/completions");
    let mut reading = ResponseReading::new(dialect, 100, Memory::default());
    reading.begin(StatusCode::OK, "", None);
    for _ in 0..1000 {
        reading.push(AT, b" \r\n", |_| {});
    }
    assert!(matches!(&reading.form, BodyForm::Undecided(kept) if kept.is_empty()));
    reading.push(AT, b"\n{\"id\":\"a\"}", |_| {});
    reading.finish(true, AT, |_| {});
    let response = reading.settle(&Request::default()).response;
    assert_eq!(response.id.as_deref(), Some("a"));
}

#[test]
fn events_in_place_of_sound_are_told_wherever_a_character_is_cut() {
    for length in 40..70 {
        let text = "a".repeat(length);
        let event = format!("data: {{\"type\":\"x\",\"y\":\"{text}é水\"}}\n\n").into_bytes();
        for cut in 0..=event.len() {
            let (one, two) = event.split_at(cut);
            let (response, ..) = read("/v1/audio/speech", &[one, two]);
            assert!(response.streamed, "{length} letters, cut at {cut}");
        }
    }
}

/// When the arguments of the first tool call ended, by the seconds at which events come.
fn arguments_end(path: &str, events: &[(u64, &str)]) -> Option<Duration> {
    let mut reading = ResponseReading::new(for_request("POST", path), 1 << 20, Memory::default());
    reading.begin(StatusCode::OK, "", None);
    for (seconds, data) in events {
        let event = format!("data: {data}\n\n");
        reading.push(Duration::from_secs(*seconds), event.as_bytes(), |_| {});
    }
    reading.finish(true, Duration::from_secs(9), |_| {});
    reading.settle(&Request::default()).response.tool_calls[0].arguments_end
}

#[test]
fn the_arguments_of_a_call_end_with_their_last_fragment() {
    let delta = |delta: &str| format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#);
    let fragment = |text: &str| {
        let call = format!(r#"{{"index":0,"function":{{"arguments":"{text}"}}}}"#);
        delta(&format!(r#"{{"tool_calls":[{call}]}}"#))
    };
    let begin = delta(r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"gauge"}}]}"#);
    let (first, last) = (fragment("{"), fragment("}"));
    let chat = [
        (1, &*begin),
        (2, &first),
        (4, &last),
        (5, &delta(r#"{"content":"So."}"#)),
    ];
    let end = arguments_end("/v1/chat/completions", &chat);
    assert_eq!(end, Some(Duration::from_secs(4)));
    assert_eq!(arguments_end("/v1/chat/completions", &chat[..1]), None);

    let item = |arguments: &str| {
        format!(
            r#"{{"type":"function_call","id":"f","call_id":"c","name":"gauge","arguments":"{arguments}"}}"#
        )
    };
    let event = |kind: &str, member: &str, value: &str| {
        format!(r#"{{"type":"response.{kind}","item_id":"f","output_index":0,"{member}":{value}}}"#)
    };
    let added = event("output_item.added", "item", &item(""));
    let fragment = event("function_call_arguments.delta", "delta", r#""{}""#);
    let whole = event("function_call_arguments.done", "arguments", r#""{}""#);
    let done = event("output_item.done", "item", &item("{}"));
    let end = |events: &[(u64, &str)]| arguments_end("/v1/responses", events);
    let repeated = [(1, &*added), (2, &fragment), (3, &whole), (4, &done)];
    assert_eq!(end(&repeated), Some(Duration::from_secs(2)));
    // Of some relays no fragments come.
    let whole = [repeated[0], repeated[2], repeated[3]];
    assert_eq!(end(&whole), Some(Duration::from_secs(3)));
}

#[test]
fn what_is_gathered_to_be_shown_is_let_go_before_anything_is_missed() {
    let memory = Memory::new(UNCOUNTED_BYTES + 1_000);
    let dialect = for_request("POST", "/v1/chat/completions");
    let mut reading = ResponseReading::new(dialect, 1 << 20, memory.clone());
    reading.begin(StatusCode::OK, "", Some(true));
    reading.gather_content(Some(Box::new(AnswerContent::within(1 << 20))));
    let text = "x".repeat(1_000);
    let event =
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    for _ in 0..100 {
        reading.push(AT, event.as_bytes(), |_| {});
    }
    reading.finish(true, AT, |_| {});
    let facts = reading.settle(&Request::default());
    assert!(facts.folds.content.unwrap().is_lost());
    assert_eq!(facts.response.content_chars, Some(100_000));
    assert_eq!(facts.problems.missed_frames, 0);
    assert!(
        memory.take(UNCOUNTED_BYTES + 1_000),
        "nothing is held any more"
    );
}
