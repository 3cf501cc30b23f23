//! Tests of the dialects, a file for each family of APIs; here is what several of them share.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::exchange::{
    ApiError, Choice, Operation, OutputType, Problems, Quirk, Quirks, Request, Response,
    ServerTimes, ToolCall, ToolKind, Unknowns, Usage,
};
use crate::parse::multipart::Form;
use fixtures::{check_fixtures, read_body, read_stream};

mod chat;
mod conversations;
#[path = "../../tests/fixtures/facts.rs"]
pub(super) mod facts;
pub(super) mod fixtures;
mod folds;
mod generated;
mod messages;
mod ollama;
mod prompts;
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

#[test]
fn fixtures_of_tokens_read_as_expected_at_any_cut() {
    check_fixtures("vllm-generate", &vllm_generate::VllmGenerate);
}

#[test]
fn what_a_request_is_of_may_be_told_by_its_body() {
    let asked = |path: &str, body: &str| {
        let dialect = for_request("POST", path).unwrap();
        match dialect.asked(body.as_bytes()) {
            Asked::This => Some(dialect.operation()),
            Asked::Other(other) => Some(other.operation()),
            Asked::Nothing => None,
        }
    };
    const MESSAGES: Option<Operation> = Some(Operation::Messages);
    for (path, body, operation) in [
        (
            "/messages/",
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
            None,
        ),
        (
            "/v1/messages",
            r#" {"id":1,"method":"ping","jsonrpc":"2.0"}"#,
            None,
        ),
        ("/v1/messages", r#"[{"jsonrpc":"2.0"}]"#, None),
        ("/api/messages", r#"{"text":"hi"}"#, None),
        ("/v1/messages", r#"{"messages":[]}"#, MESSAGES),
        ("/v1/messages", r#"{"messages":"#, MESSAGES),
        ("/v1/messages", "", MESSAGES),
        ("/score", r#"{"jsonrpc":"2.0"}"#, None),
        (
            "/v1/responses",
            r#"{"prompt":{"id":"p"}}"#,
            Some(Operation::Responses),
        ),
        (
            "/invocations",
            r#"{"messages":[]}"#,
            Some(Operation::ChatCompletions),
        ),
        (
            "/invocations",
            r#"{"prompt":"a"}"#,
            Some(Operation::Completions),
        ),
        (
            "/invocations",
            r#"{"input":["a"]}"#,
            Some(Operation::Embeddings),
        ),
        (
            "/invocations",
            r#"{"query":"a","documents":["b"]}"#,
            Some(Operation::Rerank),
        ),
        (
            "/invocations",
            r#"{"queries":"a","documents":["b"]}"#,
            Some(Operation::Score),
        ),
        (
            "/invocations",
            r#"{"text_1":"a","text_2":"b"}"#,
            Some(Operation::Score),
        ),
        ("/invocations", r#"{"inputs":"a"}"#, None),
        ("/invocations", "instances", None),
    ] {
        assert_eq!(asked(path, body), operation, "{path} {body}");
    }
}

/// What a request body comes to.
pub(super) fn read_request(dialect: &dyn Dialect, body: impl AsRef<[u8]>) -> (Request, Problems) {
    read_asked(|request, problems, folds| dialect.request(body.as_ref(), request, problems, folds))
}

/// What a form with these fields comes to.
pub(super) fn read_form(
    dialect: &dyn Dialect,
    fields: &[(&'static str, &str)],
) -> (Request, Problems) {
    let mut form = Form::default();
    for (name, value) in fields {
        form.set(name, value.as_bytes().into());
    }
    read_asked(|request, problems, folds| dialect.form(&form, request, problems, folds))
}

fn read_asked(
    read: impl FnOnce(&mut Request, &mut Problems, &mut PromptFolds),
) -> (Request, Problems) {
    let (mut request, mut problems) = (Request::default(), Problems::default());
    let mut folds = PromptFolds::default();
    read(&mut request, &mut problems, &mut folds);
    request.prompt_chars = folds.length.chars();
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
