//! What is stored of an exchange: each message, and the lists that name them.
//!
//! A list names messages by their hashes, and of many messages the earlier ones by runs of [`RUN`], which are lists of their own:
//! otherwise the lists of a long conversation would soon take more room than what was said in it.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use ring::digest::{SHA256, digest};
use serde::Serialize;

use super::canonical::{AnswerList, Choice, Message, PromptList, RunList, Tool};
use crate::exchange::{Content, ContentHash, Stored, StoredLinks, StoredObject};

/// Messages in a run.
const RUN: usize = 64;

/// What `kind` says of a list of a prompt, of an answer and of a run; messages and definitions of tools have none.
pub(super) const PROMPT: &str = "prompt";
pub(super) const ANSWER: &str = "answer";
pub(super) const RUN_KIND: &str = "run";

/// Makes the objects of what was said. `link` is where people find one, with `{hash}` for its name.
#[must_use]
pub fn store_objects(content: &Content, link: Option<&str>) -> Stored {
    let mut objects = Objects::default();
    let prompt = objects.prompt(content);
    let answer = (!content.output.is_empty()).then(|| objects.answer(content, prompt));
    let link = link.map(|link| StoredLinks {
        prompt: link.replace("{hash}", &prompt.to_string()),
        answer: answer.map(|hash| link.replace("{hash}", &hash.to_string())),
    });
    // Those that name others come behind them.
    objects.all.sort_by_key(|object| object.is_manifest);
    Stored {
        prompt,
        answer,
        links: link,
        objects: objects.all,
    }
}

#[derive(Default)]
struct Objects {
    all: Vec<StoredObject>,
    hashes: HashSet<ContentHash, RandomState>,
}

impl Objects {
    fn add(&mut self, what: &impl Serialize, is_manifest: bool) -> ContentHash {
        let bytes = serde_json::to_vec(what).expect("it has texts and numbers alone");
        let hash = hash_of(&bytes);
        if self.hashes.insert(hash) {
            self.all.push(StoredObject {
                hash,
                bytes: bytes.into(),
                is_manifest,
            });
        }
        hash
    }

    fn prompt(&mut self, content: &Content) -> ContentHash {
        let system = (!content.system.is_empty())
            .then(|| self.add(&Message::of_system(&content.system), false));
        let tools = content.tools.iter().map(Tool::of);
        let tools =
            (!content.tools.is_empty()).then(|| self.add(&tools.collect::<Vec<_>>(), false));
        let messages = content.input.iter();
        let messages = messages.map(|message| self.add(&Message::of(message), false));
        let messages: Vec<ContentHash> = messages.collect();
        let runs = messages.chunks_exact(RUN);
        let last = runs.remainder().to_vec();
        let runs = runs.map(|messages| {
            let run = RunList {
                kind: RUN_KIND,
                messages,
            };
            self.add(&run, true)
        });
        let list = PromptList {
            kind: PROMPT,
            system,
            tools,
            runs: runs.collect(),
            messages: last,
            missing: missing(content),
        };
        self.add(&list, true)
    }

    fn answer(&mut self, content: &Content, prompt: ContentHash) -> ContentHash {
        let choices = content.output.iter().map(|message| Choice {
            message: self.add(&Message::of(message), false),
            finish_reason: message.finish_reason.as_deref(),
        });
        let list = AnswerList {
            kind: ANSWER,
            prompt,
            messages: choices.collect(),
            missing: missing(content),
        };
        self.add(&list, true)
    }
}

fn missing(content: &Content) -> Vec<&'static str> {
    content.missing.iter().map(|it| it.as_str()).collect()
}

/// The name of an object.
pub(super) fn hash_of(bytes: &[u8]) -> ContentHash {
    let digest = digest(&SHA256, bytes);
    ContentHash(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{ContentMessage, ContentPart, Speaker};

    fn said(speaker: Speaker, text: &str, finish_reason: Option<&str>) -> ContentMessage {
        ContentMessage {
            speaker,
            name: None,
            parts: vec![ContentPart::Text(text.to_owned())],
            finish_reason: finish_reason.map(str::to_owned),
        }
    }

    fn texts(stored: &Stored) -> Vec<&str> {
        let objects = stored.objects.iter();
        objects
            .map(|it| std::str::from_utf8(&it.bytes).unwrap())
            .collect()
    }

    #[test]
    fn an_object_is_named_by_what_it_says_and_that_never_changes() {
        let content = Content {
            input: vec![said(Speaker::User, "hi", None)],
            output: vec![said(Speaker::Assistant, "ho", Some("stop"))],
            ..Content::default()
        };
        let stored = store_objects(&content, Some("https://p.example/{hash}"));
        let hashes: Vec<String> = stored
            .objects
            .iter()
            .map(|it| it.hash.to_string())
            .collect();
        assert_eq!(
            texts(&stored),
            [
                r#"{"role":"user","parts":[{"type":"text","content":"hi"}]}"#.to_owned(),
                r#"{"role":"assistant","parts":[{"type":"text","content":"ho"}]}"#.to_owned(),
                format!(r#"{{"kind":"prompt","messages":["{}"]}}"#, hashes[0]),
                format!(
                    r#"{{"kind":"answer","prompt":"{}","messages":[{{"message":"{}","finish_reason":"stop"}}]}}"#,
                    hashes[2], hashes[1]
                ),
            ]
        );
        assert!(
            stored
                .objects
                .iter()
                .all(|it| it.hash == hash_of(&it.bytes))
        );
        // Of the first text, by sha256sum.
        assert_eq!(
            hashes[0],
            "27aba9fcb4c290e9b513fa9042215ac5fb5a177f9f5ecb918a915ec357508732"
        );
        assert_eq!(stored.prompt.to_string(), hashes[2]);
        assert_eq!(stored.answer.unwrap().to_string(), hashes[3]);
        let links = stored.links.unwrap();
        assert_eq!(links.prompt, format!("https://p.example/{}", hashes[2]));
        assert_eq!(ContentHash::parse(&hashes[0]), Some(stored.objects[0].hash));
        assert_eq!(ContentHash::parse(&hashes[0][1..]), None);
        assert_eq!(ContentHash::parse(&hashes[0].replace('a', "g")), None);
    }

    #[test]
    fn the_next_turn_of_a_conversation_adds_its_own_messages_and_lists_alone() {
        let mut content = Content {
            system: vec![ContentPart::Text("be brief".to_owned())],
            ..Content::default()
        };
        let mut known = std::collections::HashSet::new();
        let mut bytes = 0;
        for turn in 0..300 {
            content
                .input
                .push(said(Speaker::User, &format!("question {turn}"), None));
            let answer = format!("answer {turn}");
            content.output = vec![said(Speaker::Assistant, &answer, Some("stop"))];
            let stored = store_objects(&content, None);
            let fresh = stored.objects.iter().filter(|it| known.insert(it.hash));
            let fresh: Vec<usize> = fresh.map(|it| it.bytes.len()).collect();
            // A question, an answer and two lists; at the first the system prompt, and each time that one is full a run.
            assert!(fresh.len() <= 5, "{turn}: {fresh:?}");
            bytes += fresh.iter().sum::<usize>();
            content.input.push(said(Speaker::Assistant, &answer, None));
        }
        assert!(bytes < 300 * (64 * 70 + 600), "{bytes}");
    }
}
