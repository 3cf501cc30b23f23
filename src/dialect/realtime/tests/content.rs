//! What a response is shown to have read and said.

use super::*;

const DONE: &str = r#"{"type":"response.done","response":{"id":"r","status":"completed"}}"#;

/// A message of the user's, with an id or without.
fn message(id: Option<&str>, text: &str) -> String {
    let mut item = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]});
    if let Some(id) = id {
        item["id"] = json!(id);
    }
    item.to_string()
}

/// The texts of the messages, joined.
fn texts(messages: &[ContentMessage]) -> Vec<String> {
    let text = |message: &ContentMessage| {
        let parts = message.parts.iter().map(|part| match part {
            ContentPart::Text(text) => text.clone(),
            ContentPart::Blob { .. } => "sound".to_owned(),
            other => format!("{other:?}"),
        });
        parts.collect::<Vec<_>>().join("+")
    };
    messages.iter().map(text).collect()
}

impl Reading {
    fn creates(&mut self, item: &str) {
        self.client(&format!(
            r#"{{"type":"conversation.item.create","item":{item}}}"#
        ));
    }

    fn adds(&mut self, item: &str, previous: Option<&str>) {
        let previous = json!(previous);
        self.server(&format!(
            r#"{{"type":"conversation.item.added","previous_item_id":{previous},"item":{item}}}"#
        ));
    }

    fn begins(&mut self, asked: &str) {
        self.client(asked);
        self.server(r#"{"type":"response.created","response":{"id":"r"}}"#);
    }

    fn ends(&mut self) -> Box<Turn> {
        self.server(DONE);
        self.ended.pop().unwrap().1
    }

    /// What a response reads that is asked for in this way.
    fn reads(&mut self, response: &Value) -> Said {
        self.begins(&json!({"type": "response.create", "response": response}).to_string());
        self.ends().said.unwrap()
    }
}

#[test]
fn names_of_any_length_are_held_in_bounds() {
    let long = "n".repeat(1 << 16);
    let mut reading = shown(10_000);
    for number in 0..400 {
        let item = json!({"id": format!("{number}{long}"), "type": "message", "role": "user", "content": [
            {"type": format!("{number}{long}")},
            {"type": "input_image", "image_url": format!("data:image/{long};base64,AAEC")},
            {"type": "input_audio", "audio": format!("data:audio/{long};base64,AAEC")},
        ]});
        reading.creates(&item.to_string());
        reading.adds(&item.to_string(), None);
    }
    let said = reading.responds();
    let shown: usize = said
        .input
        .iter()
        .flat_map(|it| &it.parts)
        .map(name_bytes)
        .sum();
    assert!(said.lost && said.input.len() > 5 && said.input.len() < 20);
    assert!(
        shown <= said.bytes && said.bytes <= 10_000,
        "{shown} {}",
        said.bytes
    );
}

fn name_bytes(part: &ContentPart) -> usize {
    match part {
        ContentPart::Other { kind, .. } => kind.len(),
        part => part.mime_type().unwrap().len(),
    }
}

#[test]
fn of_an_input_that_is_too_long_the_newest_is_read() {
    let input = |text: &str, count: usize| {
        let item = |number| json!({"role": "user", "content": [{"type": "input_text", "text": format!("{number}{text}")}]});
        json!({"input": (0..count).map(item).collect::<Vec<_>>()})
    };
    let mut reading = shown(10_000);
    let said = reading.reads(&input("", 512));
    assert_eq!((said.input.len(), said.lost), (512, false));
    let said = reading.reads(&input("", 600));
    assert_eq!((said.input.len(), said.lost), (512, true));
    assert_eq!(texts(&said.input)[511], "599");
    let said = reading.reads(&input(&"x".repeat(5000), 3));
    assert!(said.lost && said.bytes <= 10_000 && said.input.len() == 1);
    assert!(texts(&said.input)[0].starts_with("2x"));
}

#[test]
fn sound_is_not_taken_for_what_the_client_sent_as_text() {
    let sound = r#"{"id":"v","type":"message","role":"user","content":[{"type":"input_audio","transcript":null}]}"#;
    for committed in [true, false] {
        let mut reading = shown(1000);
        reading.client(r#"{"type":"input_audio_buffer.append","audio":"AAEC"}"#);
        reading.creates(&message(None, "typed"));
        if committed {
            reading.server(r#"{"type":"input_audio_buffer.committed","item_id":"v"}"#);
        }
        reading.adds(sound, None);
        reading.adds(&message(Some("t"), "typed"), Some("v"));
        let said = texts(&reading.responds().input);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(!said[0].contains("typed"), "{said:?}");
        assert_eq!(said[1], "typed");
    }
}

#[test]
fn a_response_has_read_what_there_was_when_it_began() {
    let mut reading = shown(1000);
    reading.server(r#"{"type":"session.created","session":{"instructions":"old"}}"#);
    reading.adds(&message(Some("a"), "read"), None);
    let heard = r#"{"id":"b","role":"assistant","content":[{"type":"output_audio","transcript":"all of it"}]}"#;
    reading.adds(heard, Some("a"));
    reading.begins(r#"{"type":"response.create"}"#);
    for event in [
        r#"{"type":"conversation.item.deleted","item_id":"a"}"#,
        r#"{"type":"conversation.item.truncated","item_id":"b","content_index":0}"#,
        r#"{"type":"session.updated","session":{"instructions":"new"}}"#,
    ] {
        reading.server(event);
    }
    let said = reading.ends().said.unwrap();
    assert_eq!(texts(&said.input), ["read", "all of it"]);
    assert_eq!(said.system, [ContentPart::Text("old".to_owned())]);
    let said = reading.responds();
    assert_eq!(said.input.len(), 1);
    assert!(!texts(&said.input)[0].contains("all of it"));
    assert_eq!(said.system, [ContentPart::Text("new".to_owned())]);
    assert_eq!(reading.session.content_bytes(), "new".len());
}

#[test]
fn an_answer_that_comes_whole_is_shown_once_and_read_by_the_next() {
    let content = json!([{"type": "output_text", "text": "hello "}, {"type": "output_audio", "transcript": "there"}]);
    let item = json!({"id": "a", "type": "message", "role": "assistant", "content": content});
    let item_done = json!({"type": "response.output_item.done", "response_id": "r", "item": item});
    let delta =
        json!({"type": "response.output_text.delta", "response_id": "r", "delta": "hello there"});
    let other =
        json!({"type": "response.mcp_call_arguments.delta", "response_id": "r", "delta": "{}"});
    for before in [
        vec![],
        vec![&other],
        vec![&item_done],
        vec![&delta],
        vec![&delta, &item_done],
    ] {
        let mut reading = shown(1000);
        reading.begins(r#"{"type":"response.create"}"#);
        before
            .iter()
            .for_each(|event| reading.server(&event.to_string()));
        let done = json!({"type": "response.done", "response": {"id": "r", "status": "completed", "output": [item]}});
        reading.server(&done.to_string());
        let mut turn = reading.ended.pop().unwrap().1;
        let answer = turn.facts.folds.content.take().unwrap();
        let output = answer.into_messages(&turn.facts.response);
        assert_eq!(texts(&output), ["hello there"], "{before:?}");
        let is_held = before != [&delta];
        assert_eq!(
            reading.responds().input.len(),
            usize::from(is_held),
            "{before:?}"
        );
    }
}

#[test]
fn a_request_that_is_refused_by_name_is_not_what_another_response_was_asked() {
    let mut reading = shown(1000);
    reading.server(r#"{"type":"session.created","session":{"instructions":"session"}}"#);
    reading.adds(&message(Some("a"), "read"), None);
    let asked = json!({"type": "response.create", "event_id": "e1", "response": {"instructions": "own", "max_output_tokens": 7, "input": []}});
    reading.begins(&asked.to_string());
    reading.client(r#"{"type":"response.create","event_id":"e2"}"#);
    reading.server(r#"{"type":"error","error":{"code":"conversation_already_has_active_response","event_id":"e1"}}"#);
    let refused = reading.ended.pop().unwrap().1;
    assert!(refused.facts.response.error.is_some());
    assert_eq!(refused.request.max_tokens, Some(7));
    assert_eq!(
        refused.said.unwrap().system,
        [ContentPart::Text("own".to_owned())]
    );
    let begun = reading.ends();
    assert_eq!(begun.request.max_tokens, None);
    let said = begun.said.unwrap();
    assert_eq!(said.system, [ContentPart::Text("session".to_owned())]);
    assert_eq!(texts(&said.input), ["read"]);
    // The other request still waits.
    reading.server(r#"{"type":"response.created","response":{"id":"r"}}"#);
    assert!(reading.ends().facts.response.error.is_none());
    reading.finish();
    assert!(reading.ended.is_empty());
}

#[test]
fn an_item_is_where_the_client_put_it_unless_the_server_says_where() {
    for confirmed in [Some(None), Some(Some("root")), None] {
        let mut reading = shown(1000);
        reading.adds(&message(Some("a"), "a"), None);
        // Servers that send `null` for each item mean nothing by it.
        reading.adds(&message(Some("b"), "b"), None);
        for (id, previous) in [("first", "root"), ("second", "first")] {
            let item = message(Some(id), id);
            reading.client(&format!(
                r#"{{"type":"conversation.item.create","previous_item_id":"{previous}","item":{item}}}"#
            ));
        }
        if let Some(previous) = confirmed {
            reading.adds(&message(Some("first"), "first"), previous);
            reading.adds(&message(Some("second"), "second"), None);
        }
        let said = texts(&reading.responds().input);
        assert_eq!(said, ["first", "second", "a", "b"], "{confirmed:?}");
    }
}

#[test]
fn where_the_server_says_what_it_takes_what_it_did_not_take_is_not_read() {
    let mut reading = shown(1000);
    reading.creates(&message(None, "good"));
    reading.adds(&message(Some("a"), "good"), None);
    reading.creates(&message(None, "refused"));
    reading.server(r#"{"type":"error","error":{"code":"item_create_failed"}}"#);
    assert_eq!(texts(&reading.responds().input), ["good"]);
    assert_eq!(reading.session.content_bytes(), "good".len());
}

#[test]
fn an_item_that_is_named_and_was_not_seen_is_missing() {
    let input = json!({"input": [{"type": "item_reference", "id": "a"}, {"type": "item_reference", "id": "b"}]});
    let mut reading = shown(1000);
    reading.creates(&message(Some("a"), "sent"));
    let said = reading.reads(&input);
    assert_eq!(
        (texts(&said.input), said.unseen, said.lost),
        (vec!["sent".to_owned()], true, false)
    );
    reading.creates(&message(Some("b"), "too"));
    assert!(!reading.reads(&input).unseen);
}

#[test]
fn what_was_cut_off_does_not_come_back() {
    let mut reading = shown(1000);
    let item = r#"{"id":"a","role":"assistant","content":[{"type":"output_audio","transcript":"heard and unheard"}]}"#;
    reading.adds(r#"{"id":"a","role":"assistant","content":[]}"#, None);
    reading.server(r#"{"type":"conversation.item.truncated","item_id":"a","content_index":0}"#);
    reading.server(r#"{"type":"conversation.item.input_audio_transcription.completed","item_id":"a","content_index":0,"transcript":"unheard"}"#);
    reading.server(&format!(
        r#"{{"type":"conversation.item.done","item":{item}}}"#
    ));
    let said = reading.responds();
    assert_eq!((said.input.len(), said.bytes), (1, 0));
    assert!(!texts(&said.input)[0].contains("heard"));
}
