//! The folds over an answer come to the same however it is cut into events, for each dialect that generates text.

use std::collections::VecDeque;

use proptest::sample::Index;
use serde_json::json;

use super::*;
use crate::dialect::anthropic_messages::AnthropicMessages;
use crate::dialect::ollama;
use crate::exchange::{Answer, Call};
use openai::chat::OpenAiChat;
use openai::completions::OpenAiCompletions;
use openai_responses::OpenAiResponses;

/// What a model says in one choice. An empty text is not said, but for the content.
#[derive(Debug, Clone)]
struct Said {
    reasoning: String,
    content: String,
    refusal: String,
    /// Name and arguments of each.
    calls: Vec<(String, String)>,
}

/// How it is cut, and in which order what is cut comes.
#[derive(Debug, Clone)]
struct Cuts {
    places: Vec<Index>,
    order: Vec<Index>,
}

impl Cuts {
    /// A text in pieces, of which any may be empty.
    fn pieces<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let mut places: Vec<_> = self
            .places
            .iter()
            .map(|at| at.index(text.len() + 1))
            .collect();
        places.sort_unstable();
        let mut rest = (text, 0);
        let mut pieces = Vec::new();
        for place in places {
            let (text, done) = rest;
            let piece = cut(text, place - done);
            pieces.push(piece);
            rest = (&text[piece.len()..], done + piece.len());
        }
        pieces.push(rest.0);
        pieces
    }

    /// Events of several strands, each strand in its order.
    fn mixed(&self, strands: Vec<Vec<String>>) -> Vec<String> {
        let mut strands: Vec<VecDeque<_>> = strands.into_iter().map(VecDeque::from).collect();
        let mut picks = self.order.iter().cycle();
        let mut mixed = Vec::new();
        loop {
            strands.retain(|strand| !strand.is_empty());
            match picks.next() {
                _ if strands.is_empty() => return mixed,
                Some(pick) => mixed.extend(pick.get_mut(&mut strands).pop_front()),
                None => mixed.extend(strands[0].pop_front()),
            }
        }
    }
}

/// As much of a text as fits into so many bytes.
fn cut(text: &str, bytes: usize) -> &str {
    crate::dialect::kit::member::cut(text, bytes)
}

fn said() -> impl Strategy<Value = Said> {
    let text = || {
        prop_oneof![
            Just(String::new()),
            any::<String>(),
            "[a-z \"\\\\é😀]{0,40}"
        ]
    };
    let arguments = any::<String>().prop_map(|text| json!({ "at": text }).to_string());
    let call = ("[a-z]{1,9}", arguments);
    let calls = prop::collection::vec(call, 0..3);
    (text(), text(), text(), calls).prop_map(|(reasoning, content, refusal, calls)| Said {
        reasoning,
        content,
        refusal,
        calls,
    })
}

fn cuts() -> impl Strategy<Value = Cuts> {
    let indices = |most| prop::collection::vec(any::<Index>(), 0..most);
    (indices(4), indices(9)).prop_map(|(places, order)| Cuts { places, order })
}

/// What the folds come to: lengths, tool calls, texts, and what a history has of them, in an order that does not depend on
/// who came first.
type Folded = (
    [Option<u64>; 3],
    Vec<(u64, Option<String>, String, u64)>,
    Option<Vec<String>>,
    Option<(Answer, Vec<Call>)>,
);

fn folded(mut facts: Facts) -> Folded {
    let (texts, calls) = (facts.folds.texts.as_ref(), &mut facts.response.tool_calls);
    texts
        .into_iter()
        .for_each(|texts| history::read_arguments(texts, calls));
    let answer = texts.and_then(|texts| history::answer(texts, calls, &[]));
    let answer = answer.map(|mut answer| {
        let mut calls = std::mem::take(&mut answer.calls);
        calls.iter_mut().for_each(|call| call.number = 0);
        calls.sort_by_key(|call| (call.id, call.name, call.arguments));
        (answer, calls)
    });
    let response = facts.response;
    let calls = response.tool_calls.into_iter();
    let mut calls: Vec<_> = calls
        .map(|call| (call.choice, call.id, call.name, call.arguments_chars))
        .collect();
    calls.sort();
    let texts = facts.folds.texts.and_then(Texts::into_texts);
    let texts = texts.map(|mut texts| {
        texts.sort();
        texts
    });
    let lengths = [
        response.content_chars,
        response.reasoning_chars,
        response.refusal_chars,
    ];
    (lengths, calls, texts, answer)
}

fn gathering() -> Facts {
    Facts {
        folds: AnswerFolds::gathering(Texts::for_history()),
        ..Facts::default()
    }
}

fn of_body(dialect: &dyn Dialect, body: &serde_json::Value) -> Folded {
    let mut facts = gathering();
    let body = body.to_string();
    dialect.reader().body(200, body.as_bytes(), &mut facts);
    assert_eq!(facts.problems, Problems::default(), "{body}");
    folded(facts)
}

fn of_events(dialect: &dyn Dialect, events: &[String]) -> Folded {
    let mut facts = gathering();
    let mut reader = dialect.reader();
    for event in events {
        reader.event(b"", event.as_bytes(), &mut facts);
    }
    assert_eq!(facts.problems, Problems::default(), "{events:?}");
    folded(facts)
}

/// Such an answer has something to compare.
fn check(whole: &Folded, said: &[&Said]) {
    let chars = |text: fn(&Said) -> &String| -> usize {
        said.iter().map(|said| text(said).chars().count()).sum()
    };
    let content = chars(|said| &said.content) as u64;
    assert_eq!(whole.0[0].unwrap_or_default(), content);
    assert!(whole.2.is_some(), "{whole:?}");
    let calls: usize = said.iter().map(|said| said.calls.len()).sum();
    let answer = whole.3.as_ref().unwrap();
    assert!(answer.1.len() <= calls);
}

fn chat_events(choice: usize, said: &Said, cuts: &Cuts) -> Vec<Vec<String>> {
    let delta = |delta: serde_json::Value| {
        json!({"choices": [{"index": choice, "delta": delta}]}).to_string()
    };
    let texts = [
        ("content", &said.content),
        ("reasoning_content", &said.reasoning),
        ("refusal", &said.refusal),
    ];
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let mut strands: Vec<Vec<_>> = texts
        .map(|(name, text)| {
            let pieces = cuts.pieces(text).into_iter();
            pieces.map(|piece| delta(json!({ name: piece }))).collect()
        })
        .collect();
    for (index, (name, arguments)) in said.calls.iter().enumerate() {
        let call = |call| delta(json!({ "tool_calls": [call] }));
        let id = format!("c{choice}{index}");
        let begin = json!({"index": index, "id": id, "function": {"name": name, "arguments": ""}});
        let pieces = cuts.pieces(arguments).into_iter();
        let pieces =
            pieces.map(|piece| call(json!({"index": index, "function": {"arguments": piece}})));
        strands.push([call(begin)].into_iter().chain(pieces).collect());
    }
    strands
}

fn chat_choice(choice: usize, said: &Said) -> serde_json::Value {
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let calls = said.calls.iter().enumerate().map(|(index, (name, arguments))| {
        json!({"id": format!("c{choice}{index}"), "function": {"name": name, "arguments": arguments}})
    });
    let calls: Vec<_> = calls.collect();
    json!({"index": choice, "message": {
        "content": some(&said.content),
        "reasoning_content": some(&said.reasoning),
        "refusal": some(&said.refusal),
        "tool_calls": calls,
    }})
}

/// Events of one block after another.
fn message_events(said: &Said, cuts: &Cuts) -> Vec<String> {
    let mut events = Vec::new();
    let mut index = 0;
    let mut block = |block: serde_json::Value, deltas: Vec<serde_json::Value>| {
        events.push(
            json!({"type": "content_block_start", "index": index, "content_block": block})
                .to_string(),
        );
        for delta in deltas {
            let delta = json!({"type": "content_block_delta", "index": index, "delta": delta});
            events.push(delta.to_string());
        }
        index += 1;
    };
    let deltas = |kind: &str, member: &str, text: &str| {
        let pieces = cuts.pieces(text).into_iter();
        pieces
            .map(|piece| json!({"type": kind, member: piece}))
            .collect::<Vec<_>>()
    };
    if !said.reasoning.is_empty() {
        let pieces = deltas("thinking_delta", "thinking", &said.reasoning);
        block(json!({"type": "thinking", "thinking": ""}), pieces);
    }
    let pieces = deltas("text_delta", "text", &said.content);
    block(json!({"type": "text", "text": ""}), pieces);
    for (at, (name, arguments)) in said.calls.iter().enumerate() {
        let pieces = deltas("input_json_delta", "partial_json", arguments);
        let tool = json!({"type": "tool_use", "id": format!("t{at}"), "name": name, "input": {}});
        block(tool, pieces);
    }
    events
}

fn message(said: &Said) -> serde_json::Value {
    let mut blocks = vec![json!({"type": "text", "text": said.content})];
    if !said.reasoning.is_empty() {
        blocks.insert(0, json!({"type": "thinking", "thinking": said.reasoning}));
    }
    for (at, (name, arguments)) in said.calls.iter().enumerate() {
        let input: serde_json::Value = serde_json::from_str(arguments).unwrap();
        blocks.push(
            json!({"type": "tool_use", "id": format!("t{at}"), "name": name, "input": input}),
        );
    }
    json!({"type": "message", "content": blocks})
}

/// The items of an output.
fn items(said: &Said) -> Vec<serde_json::Value> {
    let mut items = vec![json!({"type": "message", "id": "msg", "content": [
        {"type": "output_text", "text": said.content}, {"type": "refusal", "refusal": said.refusal}]})];
    if !said.reasoning.is_empty() {
        let text = json!({"type": "reasoning_text", "text": said.reasoning});
        items.push(json!({"type": "reasoning", "id": "rs", "content": [text]}));
    }
    for (at, (name, arguments)) in said.calls.iter().enumerate() {
        items.push(
            json!({"type": "function_call", "id": format!("fc{at}"), "call_id": format!("c{at}"),
            "name": name, "arguments": arguments}),
        );
    }
    items
}

/// The events of a response up to its last, which repeats everything.
fn response_events(said: &Said, cuts: &Cuts) -> Vec<Vec<String>> {
    let event = |kind: &str, item: &str, index: usize, members: serde_json::Value| {
        let mut event = json!({"type": kind, "item_id": item, "output_index": index});
        event
            .as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        event.to_string()
    };
    let pieces = |kind: &str, item: &str, index: usize, text: &str| {
        let pieces = cuts.pieces(text).into_iter();
        pieces
            .map(|piece| event(kind, item, index, json!({ "delta": piece })))
            .collect::<Vec<_>>()
    };
    let mut strands = vec![
        pieces("response.output_text.delta", "msg", 0, &said.content),
        pieces("response.refusal.delta", "msg", 0, &said.refusal),
    ];
    let calls = items(said).into_iter().enumerate().skip(1);
    for (index, item) in calls {
        let id = item["id"].as_str().unwrap().to_owned();
        let Some(arguments) = item["arguments"].as_str() else {
            strands.push(pieces(
                "response.reasoning_text.delta",
                &id,
                index,
                &said.reasoning,
            ));
            continue;
        };
        let mut begin = item.clone();
        begin["arguments"] = json!("");
        let kind = "response.function_call_arguments";
        let item = json!({ "item": item });
        let mut strand = vec![event(
            "response.output_item.added",
            &id,
            index,
            json!({"item": begin}),
        )];
        strand.extend(pieces(&format!("{kind}.delta"), &id, index, arguments));
        strand.push(event(
            &format!("{kind}.done"),
            &id,
            index,
            json!({"arguments": arguments}),
        ));
        strand.push(event("response.output_item.done", &id, index, item));
        strands.push(strand);
    }
    strands
}

fn response(said: &Said) -> serde_json::Value {
    json!({"object": "response", "id": "r", "status": "completed", "output": items(said)})
}

/// One response of a session, with these events between the first and the last.
fn of_session(events: &[String], last: &serde_json::Value) -> Folded {
    let mut session = for_session("GET", "/v1/realtime").unwrap().session(None);
    let mut problems = Problems::default();
    let mut ended = None;
    let first = json!({"type": "response.created", "response": {"id": "r"}}).to_string();
    let last = json!({"type": "response.done", "response": last}).to_string();
    for event in [&first].into_iter().chain(events).chain([&last]) {
        session.upstream(
            Duration::ZERO,
            event.as_bytes(),
            &mut problems,
            &mut |step| {
                if let Step::Ended { turn, .. } = step {
                    ended = Some(turn.facts);
                }
            },
        );
    }
    assert_eq!(problems, Problems::default());
    folded(ended.unwrap())
}

proptest! {
    #[test]
    fn a_chat_in_fragments_folds_as_the_whole(said in prop::collection::vec(said(), 1..3), cuts in cuts()) {
        let choices: Vec<_> = said.iter().enumerate().map(|(at, said)| chat_choice(at, said)).collect();
        let whole = of_body(&OpenAiChat, &json!({ "choices": choices }));
        check(&whole, &said.iter().collect::<Vec<_>>());
        let strands = said.iter().enumerate().flat_map(|(at, said)| chat_events(at, said, &cuts));
        let events = cuts.mixed(strands.collect());
        prop_assert_eq!(of_events(&OpenAiChat, &events), whole);
    }

    #[test]
    fn a_completion_in_fragments_folds_as_the_whole(said in prop::collection::vec(said(), 1..3), cuts in cuts()) {
        let choice = |(at, said): (usize, &Said)| json!({"index": at, "text": said.content});
        let choices: Vec<_> = said.iter().enumerate().map(choice).collect();
        let whole = of_body(&OpenAiCompletions, &json!({ "choices": choices }));
        check(&whole, &said.iter().collect::<Vec<_>>());
        let strands = said.iter().enumerate().map(|(at, said)| {
            let pieces = cuts.pieces(&said.content).into_iter();
            pieces.map(|text| json!({"choices": [{"index": at, "text": text}]}).to_string()).collect()
        });
        let events = cuts.mixed(strands.collect());
        prop_assert_eq!(of_events(&OpenAiCompletions, &events), whole);
    }

    #[test]
    fn a_message_in_fragments_folds_as_the_whole(said in said(), cuts in cuts()) {
        let whole = of_body(&AnthropicMessages, &message(&said));
        check(&whole, &[&said]);
        let events = message_events(&said, &cuts);
        prop_assert_eq!(of_events(&AnthropicMessages, &events), whole);
    }

    #[test]
    fn a_response_in_fragments_folds_as_the_whole(said in said(), cuts in cuts()) {
        let whole = of_body(&OpenAiResponses::Create, &response(&said));
        check(&whole, &[&said]);
        let mut events = cuts.mixed(response_events(&said, &cuts));
        events.push(json!({"type": "response.completed", "response": response(&said)}).to_string());
        prop_assert_eq!(of_events(&OpenAiResponses::Create, &events), whole.clone());
        // Of some relays only the last event comes.
        prop_assert_eq!(of_events(&OpenAiResponses::Create, &events[events.len() - 1..]), whole);
    }

    #[test]
    fn a_response_of_a_session_in_fragments_folds_as_uncut(said in said(), cuts in cuts()) {
        let uncut = Cuts { places: Vec::new(), order: Vec::new() };
        let whole = of_session(&uncut.mixed(response_events(&said, &uncut)), &response(&said));
        prop_assert_eq!(whole.0[0], Some(said.content.chars().count() as u64));
        let events = cuts.mixed(response_events(&said, &cuts));
        prop_assert_eq!(of_session(&events, &response(&said)), whole);
    }

    #[test]
    fn lines_of_ollama_fold_as_the_whole(said in said(), cuts in cuts()) {
        let calls = said.calls.iter().map(|(name, arguments)| {
            let arguments: serde_json::Value = serde_json::from_str(arguments).unwrap();
            json!({"function": {"name": name, "arguments": arguments}})
        });
        let calls: Vec<_> = calls.collect();
        let (thinking, content) = (&said.reasoning, &said.content);
        let line = |message: serde_json::Value| json!({"message": message, "done": false}).to_string();
        let lines = |name: &str, text: &str| {
            let pieces = cuts.pieces(text).into_iter();
            pieces.map(|piece| line(json!({ name: piece }))).collect::<Vec<_>>()
        };
        let whole = json!({"message": {"thinking": thinking, "content": content, "tool_calls": calls}, "done": true});
        let whole = of_body(&ollama::CHAT, &whole);
        check(&whole, &[&said]);
        let strands = vec![
            lines("thinking", thinking),
            lines("content", content),
            calls.iter().map(|call| line(json!({ "tool_calls": [call] }))).collect(),
        ];
        prop_assert_eq!(of_events(&ollama::CHAT, &cuts.mixed(strands)), whole);

        let whole = json!({"thinking": thinking, "response": content, "done": true});
        let whole = of_body(&ollama::GENERATE, &whole);
        check(&whole, &[&said]);
        let pieces = |name: &str, text: &str| {
            let pieces = cuts.pieces(text).into_iter();
            pieces.map(|piece| json!({name: piece, "done": false}).to_string()).collect()
        };
        let strands = vec![pieces("thinking", thinking), pieces("response", content)];
        prop_assert_eq!(of_events(&ollama::GENERATE, &cuts.mixed(strands)), whole);
    }

    #[test]
    fn a_transcript_in_fragments_folds_as_the_whole(said in said(), cuts in cuts()) {
        let dialect = &audio_transcription::TRANSCRIPTIONS;
        let whole = of_body(dialect, &json!({"text": said.content}));
        check(&whole, &[&said]);
        let pieces = cuts.pieces(&said.content).into_iter();
        let mut events: Vec<_> = pieces
            .map(|piece| json!({"type": "transcript.text.delta", "delta": piece}).to_string())
            .collect();
        events.push(json!({"type": "transcript.text.done", "text": said.content}).to_string());
        prop_assert_eq!(of_events(dialect, &events), whole);
    }
}
