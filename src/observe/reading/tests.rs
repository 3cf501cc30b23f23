mod media;

use std::fs;
use std::path::Path;

use bytes::Bytes;

use super::*;
use crate::dialect::for_request;
use crate::exchange::{Problems, Response, Usage};

/// What a body came to, told in pieces: its facts, and what each piece carried.
fn read(path: &str, pieces: &[&[u8]]) -> (Response, Usage, Problems, Vec<Heard>) {
    let mut reading = ResponseReading::new(for_request("POST", path), 1 << 20);
    reading.begin(StatusCode::OK, "", None);
    let mut outputs = Vec::new();
    for piece in pieces {
        reading.push(piece, |output| outputs.push(output));
    }
    reading.finish(true, |output| outputs.push(output));
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
    let mut reading = RequestReading::new(dialect, "", b"", 100);
    reading.push(Bytes::new());
    reading.push(Bytes::new());
    reading.finish(&mut request);
    assert_eq!(*reading.problems(), Problems::default());
}

#[test]
fn white_space_before_a_body_is_not_kept() {
    let dialect = for_request("POST", "/v1/chat/completions");
    let mut reading = ResponseReading::new(dialect, 100);
    reading.begin(StatusCode::OK, "", None);
    for _ in 0..1000 {
        reading.push(b" \r\n", |_| {});
    }
    assert!(matches!(&reading.form, Form::Undecided(kept) if kept.is_empty()));
    reading.push(b"\n{\"id\":\"a\"}", |_| {});
    reading.finish(true, |_| {});
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
