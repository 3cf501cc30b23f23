//! Sound, and forms.

use std::io::Write as _;

use bytes::Bytes;

use super::AT;
use crate::dialect::for_request;
use crate::exchange::Problems;
use crate::memory::Memory;
use crate::observe::reading::*;

const LIMIT: usize = 1 << 20;

fn dialect(path: &str) -> Option<&'static dyn Dialect> {
    Some(for_request("POST", path).unwrap())
}

/// What the response of a call came to, its body cut into these pieces.
fn read<'a>(
    path: &str,
    status: u16,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Facts, Vec<Heard>) {
    let mut reading = ResponseReading::new(dialect(path), LIMIT, Memory::default());
    let mut heard = Vec::new();
    reading.begin(StatusCode::from_u16(status).unwrap(), "", None);
    for piece in pieces {
        reading.push(AT, piece, |one| heard.push(one));
    }
    reading.finish(true, AT, |one| heard.push(one));
    (reading.settle(&Request::default()), heard)
}

const SPEECH: &str = "/v1/audio/speech";

#[test]
fn sound_is_output_however_it_begins() {
    let sounds: [&[u8]; 6] = [
        b"ID3\x04\x00\x00sound",
        b"\xff\xfb\x90\x64",
        b":\x00\x01\x00-\x00\x02\x00",
        b": \xfe\xff\x10",
        b"RIFF\x24\x00\x00\x00WAVE",
        b":",
    ];
    for sound in sounds {
        for pieces in [vec![sound], sound.chunks(1).collect()] {
            let (facts, heard) = read(SPEECH, 200, pieces);
            let response = &facts.response;
            assert_eq!(
                (response.raw, response.streamed),
                (true, false),
                "{sound:?}"
            );
            assert!(!heard.is_empty() && heard.iter().all(|one| *one == Heard::Bytes));
            assert_eq!(facts.problems, Problems::default());
        }
    }
}

#[test]
fn events_in_place_of_sound_are_read_as_events_at_any_cut() {
    let stream = b": warming up\n\ndata: {\"type\":\"speech.audio.delta\",\"audio\":\"AA\"}\n\ndata: {\"type\":\"speech.audio.done\"}\n\n";
    for cut in 0..stream.len() {
        let (one, two) = stream.split_at(cut);
        let (facts, heard) = read(SPEECH, 200, [one, two]);
        let response = &facts.response;
        assert_eq!(
            (response.raw, response.streamed, response.done),
            (false, true, true)
        );
        assert_eq!(heard.len(), 2, "cut at {cut}");
    }
}

#[test]
fn an_error_in_place_of_sound_is_read_whole() {
    let body = br#"{"error":{"code":"no_voice"}}"#;
    let (facts, heard) = read(SPEECH, 400, body.chunks(3));
    assert_eq!(
        facts.response.error.unwrap().code.as_deref(),
        Some("no_voice")
    );
    assert!(!facts.response.raw && heard.is_empty());
}

#[test]
fn a_body_that_is_over_before_it_can_be_told_from_a_stream_is_read() {
    let (facts, _) = read("/v1/audio/transcriptions", 200, [b"da".as_slice()]);
    assert_eq!(facts.response.content_chars, Some(2));
    let (facts, _) = read("/v1/chat/completions", 200, [b"\n\n".as_slice()]);
    assert_eq!(facts.problems, Problems::default());
}

/// A transcription's form with a file of so many bytes.
fn form(file: usize) -> Vec<u8> {
    let mut body =
        b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n".to_vec();
    body.extend(std::iter::repeat_n(b'x', file));
    body.extend(
        b"\r\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b--\r\n",
    );
    body
}

/// What is found in a transcription's request, its body sent in frames of this size.
fn ask(coding: &str, body: &[u8], frame: usize) -> (Option<String>, Problems) {
    let content_type = b"multipart/form-data; boundary=b";
    let path = dialect("/v1/audio/transcriptions");
    let mut reading = RequestReading::new(path, coding, content_type, LIMIT, Memory::default());
    for frame in body.chunks(frame) {
        reading.push(Bytes::copy_from_slice(frame));
    }
    let mut request = Request::default();
    reading.finish(&mut request);
    (request.model, reading.problems().clone())
}

#[test]
fn a_form_far_beyond_the_bound_is_read_and_not_oversized() {
    let model = Some("whisper-1".to_owned());
    let found = ask("", &form(5 * LIMIT), 16 << 10);
    assert_eq!(found, (model, Problems::default()));
}

#[test]
fn a_coded_form_is_decoded_as_it_comes() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&form(5 * LIMIT)).unwrap();
    let coded = gzip.finish().unwrap();
    let model = Some("whisper-1".to_owned());
    assert_eq!(ask("gzip", &coded, 100), (model, Problems::default()));
    let undecodable = Problems {
        undecodable: 1,
        ..Problems::default()
    };
    assert_eq!(
        ask("gzip", b"this is no gzip at all", 100),
        (None, undecodable.clone())
    );
    assert_eq!(ask("rot13", &form(1), 100), (None, undecodable));
}

#[test]
fn a_form_that_breaks_off_is_malformed_and_an_absent_one_is_not() {
    let whole = form(10);
    let (_, problems) = ask("", &whole[..whole.len() - 9], 100);
    assert_eq!(problems.malformed, 1);
    assert_eq!(ask("", b"", 100), (None, Problems::default()));
}

#[test]
fn frames_that_were_missed_cost_a_form_only_the_part_they_were_in() {
    let whole = form(100);
    let content_type = b"multipart/form-data; boundary=b";
    let mut reading = RequestReading::new(
        dialect("/v1/audio/translations"),
        "",
        content_type,
        LIMIT,
        Memory::default(),
    );
    reading.push(Bytes::copy_from_slice(&whole[..20]));
    reading.missed();
    reading.push(Bytes::copy_from_slice(&whole[90..whole.len() - 2]));
    reading.missed();
    let mut request = Request::default();
    reading.finish(&mut request);
    assert_eq!(request.model.as_deref(), Some("whisper-1"));
    assert_eq!(reading.problems(), &Problems::default());
}
