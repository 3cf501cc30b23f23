//! Several processes, and a store between them that may be gone.

use std::collections::HashMap;

use super::super::{CONVERSATION_BYTES, Joins, Memory, NAMES_MAX, News, Shared};
use super::*;

/// Processes that share a store, and the store, which does what is asked of it at once.
pub(super) struct Replicas {
    each: Vec<Correlator<Shared>>,
    store: HashMap<String, Vec<u8>>,
    /// Whether it can be reached.
    is_up: bool,
    /// Whether what is told arrives.
    takes_news: bool,
}

impl Replicas {
    pub(super) fn new(count: u64) -> Self {
        let replica = |number| {
            let memory = Memory::with_ids_from(Bounds::default(), number << 40);
            Correlator::new(Shared::new(memory), Thresholds::default(), number)
        };
        Self {
            each: (1..=count).map(replica).collect(),
            store: HashMap::new(),
            is_up: true,
            takes_news: true,
        }
    }

    /// The same, by which the exchanges of a conversation come into one trace.
    pub(super) fn joining(mut self, joins: Joins) -> Self {
        let each = self.each.into_iter();
        self.each = each.map(|one| one.joining(Some(joins))).collect();
        self
    }

    pub(super) fn take(&mut self, at: usize, exchange: &Exchange) -> Option<Conversation> {
        let mut exchange = exchange.clone();
        self.place(at, &mut exchange);
        exchange.conversation.map(|place| *place)
    }

    pub(super) fn place(&mut self, at: usize, exchange: &mut Exchange) {
        self.prepare(at, &[exchange]);
        self.place_prepared(at, exchange);
    }

    fn prepare(&mut self, at: usize, exchanges: &[&Exchange]) {
        let (store, is_up) = (&self.store, self.is_up);
        self.each[at].prepare(exchanges, |names| {
            assert!(!names.is_empty() && names.len() <= NAMES_MAX);
            let values = names.iter().map(|name| store.get(name).cloned());
            is_up.then(|| values.collect())
        });
    }

    fn place_prepared(&mut self, at: usize, exchange: &mut Exchange) {
        let news = self.each[at].place_and_tell(exchange);
        if self.is_up && self.takes_news {
            news.into_iter().for_each(|one| self.write(one));
        }
    }

    fn write(&mut self, news: News) {
        match news {
            News::Value { name, value } => {
                assert!(value.len() < 8192, "{} bytes", value.len());
                self.store.insert(name, value);
            }
            News::Owner { names, owner } => {
                for name in names {
                    let was = self.store.get(&name);
                    let is_contested = was.is_some_and(|was| {
                        was[0] == b'1' || was[1..=CONVERSATION_BYTES] != owner[..CONVERSATION_BYTES]
                    });
                    let first = if is_contested { b'1' } else { b'0' };
                    self.store.insert(name, [&[first], &*owner].concat());
                }
            }
            News::Bit { name, bit } => {
                let bytes = self.store.entry(name).or_default();
                let at = bit as usize / 8;
                bytes.resize(bytes.len().max(at + 1), 0);
                bytes[at] |= 0x80 >> (bit % 8);
            }
        }
    }
}

/// A call of a tool, its result, and a question after it.
pub(super) fn talk() -> [Script; 3] {
    let opening = vec![user("How deep is it?")];
    let called = calls("", [call("call_a", "gauge", "{}")]);
    let mut second = opening.clone();
    second.extend([called.clone(), result("call_a", "3 m")]);
    let mut third = second.clone();
    third.extend([model("Three metres."), user("And tomorrow?")]);
    [
        Script::new(1, 0, &opening, called),
        Script::new(2, 2000, &second, model("Three metres.")),
        Script::new(3, 5000, &third, model("Nobody knows.")),
    ]
}

#[test]
fn turns_by_turns_are_one_conversation_and_a_wait_is_measured_across() {
    let mut replicas = Replicas::new(2);
    let scripts = talk().into_iter().zip([0, 1, 0]);
    let places: Vec<_> = scripts
        .map(|(script, at)| replicas.take(at, &script.exchange()).unwrap())
        .collect();
    assert!(places.iter().all(|place| place.id == places[0].id));
    let turns: Vec<_> = places.iter().map(|place| place.turn).collect();
    assert_eq!(turns, [1, 2, 3]);
    assert_eq!(places[1].waits[0].lasted, MS(2000 - ARGUMENTS_END));
    assert_eq!(previous(&places[2]), Some(2));
    assert!(places[2].reuse.is_some(), "prompts are compared across");
}

#[test]
fn a_result_that_two_processes_are_brought_is_counted_once() {
    let mut replicas = Replicas::new(2);
    let [first, second, _] = talk();
    replicas.take(0, &first.exchange());
    let tried = Script::failed(2, 2000, &second.messages);
    let waits = |place: Option<Conversation>| place.unwrap().waits.len();
    assert_eq!(waits(replicas.take(1, &tried.exchange())), 1);
    let again = Script {
        number: 3,
        began: 3000,
        ..second
    };
    assert_eq!(waits(replicas.take(0, &again.exchange())), 0);
}

#[test]
fn without_the_store_each_goes_on_alone_and_with_it_they_go_on_together() {
    let mut replicas = Replicas::new(2);
    let [first, second, third] = talk();
    let first = replicas.take(0, &first.exchange()).unwrap();
    replicas.is_up = false;
    let lost = replicas.take(1, &second.exchange()).unwrap();
    assert_ne!(lost.id, first.id, "nobody told");
    let own = replicas.take(0, &third.exchange()).unwrap();
    assert_eq!(own.id, first.id, "what it knows itself");
    replicas.is_up = true;
    let mut messages = third.messages.clone();
    messages.extend([model("Nobody knows."), user("Guess.")]);
    let fourth = Script::new(4, 8000, &messages, model("Two."));
    let back = replicas.take(1, &fourth.exchange()).unwrap();
    assert_eq!((back.id, previous(&back)), (lost.id, Some(2)));
}

#[test]
fn a_store_that_is_full_can_still_be_read() {
    let mut replicas = Replicas::new(2);
    let [first, second, third] = talk();
    let first = replicas.take(0, &first.exchange()).unwrap();
    replicas.takes_news = false;
    let second = replicas.take(1, &second.exchange()).unwrap();
    assert_eq!(second.id, first.id);
    let third = replicas.take(0, &third.exchange()).unwrap();
    assert_eq!((third.id, previous(&third)), (first.id, Some(1)));
}

#[test]
fn exchanges_that_were_prepared_together_follow_one_another() {
    let mut replicas = Replicas::new(2);
    let [first, second, third] = talk().map(|script| script.exchange());
    replicas.take(1, &first);
    replicas.prepare(0, &[&second, &third]);
    let found = [second, third].map(|mut exchange| {
        replicas.place_prepared(0, &mut exchange);
        previous(&exchange.conversation.unwrap())
    });
    assert_eq!(found, [Some(1), Some(2)], "one by the store, one by memory");
}

#[test]
fn two_that_say_the_same_to_two_processes_are_told_apart() {
    let mut replicas = Replicas::new(2);
    let [first, _, _] = talk();
    let other = Script {
        number: 2,
        began: 10,
        ..first.clone()
    };
    let first = replicas.take(0, &first.exchange()).unwrap();
    let other = replicas.take(1, &other.exchange()).unwrap();
    assert_ne!(first.id, other.id);
    let [_, next, _] = talk();
    let next = replicas.take(0, &next.exchange()).unwrap();
    assert_eq!(next.linked_by, None, "nobody can tell whose it is");
}

#[test]
fn every_name_bears_the_tenant_and_no_value_bears_content() {
    let mut replicas = Replicas::new(1);
    for script in talk() {
        replicas.take(0, &script.exchange());
    }
    let tenant = format!(":{:016x}:", digest("tenant").0);
    assert!(replicas.store.keys().all(|name| name.contains(&tenant)));
    for value in replicas.store.values() {
        let text = String::from_utf8_lossy(value);
        assert!(!text.contains("deep") && !text.contains("metres"));
    }
}
