mod content;

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::tests::facts::pruned;
use crate::dialect::tests::fixtures::{Seen, fixtures, summary};
use crate::dialect::{Said, for_session};
use crate::exchange::{ContentMessage, ContentPart};

/// A session that is read, its messages a millisecond apart.
struct Reading {
    session: Box<dyn Session>,
    problems: Problems,
    asked: BTreeMap<u64, Duration>,
    outputs: BTreeMap<u64, Vec<Output>>,
    /// Number and turn of each response that is over, in that order.
    ended: Vec<(u64, Box<Turn>)>,
    at: Duration,
}

impl Reading {
    fn new(api: &dyn SessionDialect, query: Option<&str>) -> Self {
        Self {
            session: api.session(query),
            problems: Problems::default(),
            asked: BTreeMap::new(),
            outputs: BTreeMap::new(),
            ended: Vec::new(),
            at: Duration::ZERO,
        }
    }

    fn client(&mut self, message: &str) {
        let (at, problems) = (self.at, &mut self.problems);
        self.session.client(at, message.as_bytes(), problems);
        self.at += Duration::from_millis(1);
    }

    fn server(&mut self, message: &str) {
        let mut steps = Vec::new();
        let (at, problems) = (self.at, &mut self.problems);
        let each = &mut |step| steps.push(step);
        self.session
            .upstream(at, message.as_bytes(), problems, each);
        steps.into_iter().for_each(|step| self.step(step));
        self.at += Duration::from_millis(1);
    }

    fn finish(&mut self) {
        let mut steps = Vec::new();
        self.session.finish(&mut |step| steps.push(step));
        steps.into_iter().for_each(|step| self.step(step));
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Began { number, asked } => {
                assert!(asked <= self.at);
                assert_eq!(
                    self.asked.insert(number, asked),
                    None,
                    "{number} begins once"
                );
            }
            Step::Came { number, output } => {
                assert!(self.asked.contains_key(&number), "{number} has begun");
                self.outputs.entry(number).or_default().push(output);
            }
            Step::Ended { number, turn } => self.ended.push((number, turn)),
        }
    }

    /// What came of it, in the form of `expected.json`.
    fn summary(&mut self) -> Value {
        let responses: Vec<Value> = std::mem::take(&mut self.ended)
            .into_iter()
            .map(|(number, mut turn)| {
                let said = content_summary(&mut turn);
                let limits = turn.rate_limits.iter();
                let limits: Vec<_> = limits
                    .map(|limit| format!("{:?} {}", limit.limited, limit.remaining))
                    .collect();
                let seen = Seen {
                    facts: turn.facts,
                    outputs: self.outputs.remove(&number).unwrap_or_default(),
                };
                let mut response = summary(&seen);
                response["number"] = json!(number);
                response["asked"] = json!(self.asked[&number].as_millis());
                response["request"] = request_summary(&turn.request);
                if let Some(said) = said {
                    response["said"] = said;
                }
                if !limits.is_empty() {
                    response["rate_limits"] = json!(limits);
                }
                response
            })
            .collect();
        let problems = pruned(json!({
            "malformed": self.problems.malformed,
            "mistyped": self.problems.mistyped,
        }));
        pruned(json!({ "responses": responses, "problems": problems }))
    }
}

/// What a response was given to read and what it said, where that was gathered.
fn content_summary(turn: &mut Turn) -> Option<Value> {
    let answer = turn.facts.folds.content.take()?;
    let lost = answer.is_lost();
    let output = answer.into_messages(&turn.facts.response);
    let said = turn.said.take();
    assert!(said.is_some(), "it was seen what was asked");
    let said = said.unwrap();
    Some(pruned(json!({
        "system": said.system.iter().map(part_summary).collect::<Vec<_>>(),
        "input": message_summaries(&said.input),
        "tools": said.tools.iter().map(|tool| &*tool.name).collect::<Vec<_>>(),
        "output": message_summaries(&output),
        "bytes": said.bytes,
        "lost": said.lost || lost,
    })))
}

fn message_summaries(messages: &[ContentMessage]) -> Vec<Value> {
    let summary = |message: &ContentMessage| {
        let parts: Vec<_> = message.parts.iter().map(part_summary).collect();
        let mut summary = json!({ format!("{:?}", message.speaker): parts });
        if let Some(reason) = &message.finish_reason {
            summary["finish_reason"] = json!(reason);
        }
        summary
    };
    messages.iter().map(summary).collect()
}

fn part_summary(part: &ContentPart) -> Value {
    match part {
        ContentPart::Text(text) => json!(text),
        ContentPart::Blob {
            modality,
            mime_type,
            bytes,
            sha256,
        } => {
            let hash: String = sha256[..4].iter().map(|it| format!("{it:02x}")).collect();
            let format = mime_type.as_deref().unwrap_or_default();
            json!(format!("{modality} {format} {bytes} {hash}"))
        }
        part => json!(format!("{part:?}")),
    }
}

fn request_summary(request: &Request) -> Value {
    pruned(json!({
        "model": request.model,
        "stream": request.stream,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "output_type": request.output_type.map(|kind| format!("{kind:?}")),
        "reasoning_level": request.reasoning_level,
    }))
}

#[test]
fn sessions_read_as_expected() {
    for case in fixtures("realtime") {
        let name = case.display();
        let expected = fs::read_to_string(case.join("expected.json")).unwrap();
        let mut expected: Value = serde_json::from_str(&expected).unwrap();
        let members = expected.as_object_mut().unwrap();
        assert!(
            members.remove("about").is_some(),
            "{name} does not say what it is"
        );
        let query = members.remove("query");
        let api = match members.remove("api") {
            Some(_) => &RESPONSES,
            None => &REALTIME,
        };
        let mut reading = Reading::new(api, query.as_ref().and_then(Value::as_str));
        if members.remove("content").is_some() {
            reading.session.show_content(1 << 20);
        }
        let session = fs::read_to_string(case.join("session.txt")).unwrap();
        for line in session.lines() {
            match line.split_at(2) {
                ("> ", message) => reading.client(message),
                (_, message) => reading.server(message),
            }
        }
        reading.finish();
        assert_eq!(reading.summary(), expected, "{name}");
    }
}

#[test]
fn sessions_are_known_by_the_tail_of_their_path() {
    let call = |method, path| for_session(method, path).map(SessionDialect::operation);
    for path in [
        "/v1/realtime",
        "/openai/realtime/",
        "/openai/v1/realtime",
        "/realtime",
    ] {
        assert_eq!(call("GET", path), Some(Operation::Realtime), "{path}");
    }
    assert_eq!(call("GET", "/v1/responses"), Some(Operation::Responses));
    for (method, path) in [
        ("POST", "/v1/realtime"),
        ("POST", "/v1/realtime/calls"),
        ("GET", "/v1/realtime/sessions"),
        ("GET", "/v1/responses/resp_1"),
    ] {
        assert_eq!(call(method, path), None, "{method} {path}");
    }
}

#[test]
fn what_is_held_of_a_session_is_bounded() {
    let mut reading = Reading::new(&REALTIME, None);
    for _ in 0..1000 {
        reading.client(r#"{"type":"response.create"}"#);
    }
    for number in 0..1000 {
        reading.server(&format!(
            r#"{{"type":"response.created","response":{{"id":"r{number}"}}}}"#
        ));
    }
    assert_eq!(reading.ended.len(), 1000 - OPEN_MAX);
    let partial = |(_, turn): &(u64, Box<Turn>)| turn.facts.problems.is_partial();
    assert!(reading.ended.iter().all(partial));
    reading.finish();
    assert_eq!(reading.ended.len(), 1000);
}

/// A session of which what is said is to be shown, up to so many bytes of an answer.
fn shown(bytes: usize) -> Reading {
    let mut reading = Reading::new(&REALTIME, None);
    reading.session.show_content(bytes);
    reading
}

impl Reading {
    fn adds_item(&mut self, number: usize, text: &str) {
        self.server(&format!(
            r#"{{"type":"conversation.item.added","item":{{"id":"i{number}","type":"message","role":"user","content":[{{"type":"input_text","text":"{text}"}}]}}}}"#
        ));
    }

    /// A response that is asked for: what it was given to read.
    fn responds(&mut self) -> Said {
        self.client(r#"{"type":"response.create"}"#);
        self.server(r#"{"type":"response.created","response":{"id":"r"}}"#);
        self.server(r#"{"type":"response.done","response":{"id":"r","status":"completed"}}"#);
        self.ended.pop().unwrap().1.said.unwrap()
    }
}

#[test]
fn what_is_held_of_a_conversation_is_bounded_in_items_and_bytes_and_says_so() {
    let mut reading = shown(1000);
    for number in 0..600 {
        reading.adds_item(number, "x");
    }
    let said = reading.responds();
    assert_eq!((said.input.len(), said.bytes, said.lost), (512, 512, true));
    for number in 600..610 {
        reading.adds_item(number, &"y".repeat(300));
    }
    let said = reading.responds();
    assert!(said.bytes <= 1000 && said.lost);
    assert_eq!(reading.session.content_bytes(), said.bytes);
    // One that is longer than all that is held.
    reading.adds_item(700, &"z".repeat(2000));
    assert!(reading.session.content_bytes() <= 1000);
    for number in 0..10_000 {
        let item = format!(
            r#"{{"type":"conversation.item.create","item":{{"id":"c{number}","role":"user","content":[{{"type":"input_text","text":"0123456789"}}]}}}}"#
        );
        reading.client(&item);
    }
    assert!(reading.session.content_bytes() <= 1000);
}

#[test]
fn parts_of_an_item_beyond_the_bound_are_not_held() {
    let part = r#"{"type":"input_image","image_url":"data:image/png;base64,AAEC"}"#;
    let parts = vec![part; 100].join(",");
    for item in [
        format!(r#"{{"id":"i","type":"message","role":"user","content":[{parts}]}}"#),
        format!(r#"{{"id":"i","type":"function_call_output","call_id":"c","output":[{parts}]}}"#),
    ] {
        let mut reading = shown(1000);
        reading.server(&format!(
            r#"{{"type":"conversation.item.added","item":{item}}}"#
        ));
        let said = reading.responds();
        assert_eq!((said.input[0].parts.len(), said.lost), (64, true));
    }
}

#[test]
fn what_is_let_go_and_what_was_passed_over_is_missing_from_then_on() {
    let mut reading = shown(1000);
    reading.adds_item(1, "said");
    assert!(!reading.responds().lost);
    reading.session.passed_over();
    let said = reading.responds();
    assert_eq!((said.input.len(), said.lost), (1, true));
    let mut reading = shown(1000);
    reading.adds_item(1, "said");
    reading.session.lose_content();
    assert_eq!(reading.session.content_bytes(), 0);
    reading.adds_item(2, "said");
    let said = reading.responds();
    assert_eq!((said.input.len(), said.lost), (1, true));
}

#[test]
fn sound_that_is_refused_as_an_item_leaves_the_next_one_without_size() {
    let mut reading = shown(1000);
    let append = r#"{"type":"input_audio_buffer.append","audio":"AAEC"}"#;
    reading.client(append);
    reading.client(r#"{"type":"input_audio_buffer.commit"}"#);
    reading.server(r#"{"type":"error","error":{"code":"input_audio_buffer_commit_empty"}}"#);
    for id in ["a", "b"] {
        reading.client(append);
        reading.client(r#"{"type":"input_audio_buffer.commit"}"#);
        reading.server(&format!(
            r#"{{"type":"input_audio_buffer.committed","item_id":"{id}"}}"#
        ));
    }
    let sizes = reading.responds().input.into_iter().map(|message| {
        message
            .parts
            .first()
            .map(|part| matches!(part, ContentPart::Blob { bytes: 3, .. }))
    });
    assert!(sizes.eq([None, Some(true)]));
}

#[test]
fn tool_calls_beyond_the_bound_are_not_kept() {
    let mut reading = Reading::new(&REALTIME, None);
    reading.server(r#"{"type":"response.created","response":{"id":"r"}}"#);
    for number in 0..200 {
        reading.server(&format!(
            r#"{{"type":"response.output_item.added","response_id":"r","item":{{"type":"function_call","id":"i{number}","name":"f"}}}}"#
        ));
    }
    reading.finish();
    let response = &reading.ended[0].1.facts.response;
    assert_eq!((response.tool_calls.len(), response.truncated), (128, true));
}

#[test]
fn the_arguments_of_a_call_end_so_long_after_it_was_asked_for() {
    let mut reading = Reading::new(&REALTIME, None);
    reading.client(r#"{"type":"session.update","session":{}}"#);
    reading.client(r#"{"type":"response.create"}"#);
    for event in [
        r#"{"type":"response.created","response":{"id":"r"}}"#,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"c","name":"gauge"}}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{}"}"#,
        r#"{"type":"response.function_call_arguments.done","output_index":0,"arguments":"{}"}"#,
        r#"{"type":"response.done","response":{"id":"r","status":"completed"}}"#,
    ] {
        reading.server(event);
    }
    let (_, turn) = reading.ended.remove(0);
    let end = turn.facts.response.tool_calls[0].arguments_end;
    assert_eq!(end, Some(Duration::from_millis(4 - 1)));
}

/// Messages of which any member may have any type.
fn odd_message() -> impl Strategy<Value = (bool, String)> {
    let kind = prop::sample::select(vec![
        "session.created",
        "session.update",
        "response.create",
        "response.created",
        "conversation.item.create",
        "conversation.item.added",
        "conversation.item.truncated",
        "conversation.item.deleted",
        "conversation.item.input_audio_transcription.completed",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "input_audio_buffer.committed",
        "response.output_item.done",
        "response.output_text.delta",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.done",
        "error",
        "input_audio_buffer.speech_stopped",
    ]);
    let value = prop::sample::select(vec![
        "null",
        "7",
        "\"r\"",
        "[]",
        "{}",
        r#"{"id":"r","type":"function_call","status":"completed","usage":{"input_tokens":-1},"output":[{}]}"#,
        r#"{"id":"r","role":"user","content":[{"type":"input_text","text":"0123456789"},{"type":"input_audio","audio":"AAEC"},{"type":"input_audio","transcript":"0123456789"}]}"#,
        r#"{"instructions":"0123456789","tools":[{"name":"f"}],"input":[{"type":"item_reference","id":"r"}],"conversation":"none"}"#,
        r#"{"event_id":"r","code":7,"model":"m","status":"failed","status_details":{"error":"x"}}"#,
    ]);
    let key = prop::sample::select(vec![
        "response",
        "session",
        "error",
        "item",
        "delta",
        "response_id",
        "item_id",
        "event_id",
        "previous_item_id",
        "transcript",
        "audio",
    ]);
    let members = prop::collection::vec((key, value), 0..4);
    (any::<bool>(), kind, members).prop_map(|(client, kind, members)| {
        let members: String = members
            .iter()
            .map(|(key, value)| format!(",\"{key}\":{value}"))
            .collect();
        (client, format!("{{\"type\":\"{kind}\"{members}}}"))
    })
}

proptest! {
    #[test]
    fn every_response_that_begins_ends_once(messages in prop::collection::vec(odd_message(), 0..40)) {
        for api in [&REALTIME, &RESPONSES] {
            let mut reading = Reading::new(api, Some("model=m"));
            reading.session.show_content(20);
            for (client, message) in &messages {
                if *client { reading.client(message) } else { reading.server(message) }
            }
            reading.finish();
            let mut ended: Vec<u64> = reading.ended.iter().map(|(number, _)| *number).collect();
            ended.sort_unstable();
            prop_assert!(ended.iter().eq(reading.asked.keys()));
        }
    }
}
