//! Tests of the dialects, a file for each family of APIs; here is what several of them share.

use proptest::prelude::*;

use super::*;
use crate::exchange::{ApiError, Choice, OutputType, Quirk, ServerTimes, ToolCall};
use fixtures::{check_fixtures, read_body, read_stream};

mod chat;
#[path = "../../tests/fixtures/facts.rs"]
pub(super) mod facts;
pub(super) mod fixtures;
mod generated;
mod messages;
mod ollama;
mod responses;
mod unary;

#[test]
fn image_fixtures_read_as_expected_at_any_cut() {
    check_fixtures("images", &images::GENERATIONS);
}

#[test]
fn speech_fixtures_read_as_expected_at_any_cut() {
    check_fixtures("speech", &audio_speech::AudioSpeech);
}

#[test]
fn transcription_fixtures_read_as_expected_at_any_cut() {
    check_fixtures("transcriptions", &audio_transcription::TRANSCRIPTIONS);
}

fn read_request(dialect: &dyn Dialect, body: &str) -> (Request, Problems) {
    let (mut request, mut problems) = (Request::default(), Problems::default());
    dialect.request(body.as_bytes(), &mut request, &mut problems);
    (request, problems)
}

/// Streams of chunks whose members of these names have any type, or one of these words as their value.
fn odd_stream(
    members: &'static [&'static str],
    words: &'static [&'static str],
) -> impl Strategy<Value = String> {
    let odd = [
        "null", "\"\"", "\"x\"", "-1", "1.5", "7", "true", "[]", "{}",
    ];
    let words = words.iter().map(|word| format!("\"{word}\""));
    let leaves: Vec<_> = odd.into_iter().map(str::to_owned).chain(words).collect();
    let leaf = prop::sample::select(leaves);
    let key = prop::sample::select(members);
    let value = leaf.prop_recursive(6, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::vec((key.clone(), inner), 0..5).prop_map(|members| {
                let members: Vec<_> = members
                    .iter()
                    .map(|(key, value)| format!("\"{key}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    prop::collection::vec(value, 0..6).prop_map(|values| {
        values
            .iter()
            .map(|value| format!("data: {value}\n\n"))
            .collect()
    })
}
