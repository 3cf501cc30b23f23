//! Conversations written as messages, made into the facts that the wire would give of them.

mod bounds;
mod cases;
mod clients;
mod joins;
mod reuse;
mod shared;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

use super::{Bounds, Correlator, Store, Thresholds};
use crate::exchange::{
    Answer, Call, Choice, Conversation, Digest, End, Exchange, Failure, History, Item, Segment,
    Speaker, ToolCall, ToolResult, Trace,
};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// One message, of a request or of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Says {
    System(String),
    User(String),
    Model { text: String, calls: Vec<Called> },
    Result { id: Option<String>, text: String },
}

/// One call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Called {
    id: Option<String>,
    name: String,
    arguments: String,
}

fn system(text: &str) -> Says {
    Says::System(text.to_owned())
}

fn user(text: &str) -> Says {
    Says::User(text.to_owned())
}

fn model(text: &str) -> Says {
    calls(text, [])
}

fn result(id: &str, text: &str) -> Says {
    Says::Result {
        id: Some(id.to_owned()),
        text: text.to_owned(),
    }
}

fn call(id: &str, name: &str, arguments: &str) -> Called {
    Called {
        id: (!id.is_empty()).then(|| id.to_owned()),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    }
}

fn calls(text: &str, calls: impl Into<Vec<Called>>) -> Says {
    Says::Model {
        text: text.to_owned(),
        calls: calls.into(),
    }
}

fn digest(what: impl Hash) -> Digest {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    Digest(hasher.finish())
}

fn ids_in(text: &str) -> impl Iterator<Item = Digest> {
    let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("call_")).map(digest)
}

/// What a request with these messages shows.
fn request(messages: &[Says]) -> History {
    let mut history = History {
        tenant: Some(digest("tenant")),
        body: Some(digest(messages)),
        ..History::default()
    };
    let mut in_run = false;
    for (at, message) in messages.iter().enumerate() {
        let (speaker, text) = match message {
            Says::System(_) => (Speaker::System, None),
            Says::User(text) => {
                history.ids_in_text.extend(ids_in(text));
                (Speaker::User, Some(digest(text)))
            }
            Says::Model { text, calls } => {
                if !in_run {
                    history.answers.push(Answer {
                        at,
                        ..Answer::default()
                    });
                }
                add(history.answers.last_mut().unwrap(), text, calls);
                (Speaker::Assistant, None)
            }
            Says::Result { id, .. } => {
                let id = id.as_ref().map(digest);
                history.results.push(ToolResult { at, id });
                (Speaker::Tool, None)
            }
        };
        in_run = matches!(message, Says::Model { .. });
        let raw = digest(message);
        let bytes = format!("{message:?}").len() as u32;
        let segment = Segment { raw, bytes };
        history.items.push(Item {
            segment,
            speaker,
            text,
        });
    }
    history
}

/// Adds a message to a turn of the model.
fn add(answer: &mut Answer, text: &str, calls: &[Called]) {
    if !text.is_empty() {
        answer.text = Some(digest(text));
        let ends = text
            .match_indices('\n')
            .map(|(end, _)| digest(&text[..end]));
        answer.text_prefixes = ends.collect();
    }
    for one in calls {
        answer.calls.push(Call {
            number: answer.calls.len(),
            id: one.id.as_ref().map(digest),
            name: Some(digest(&one.name)),
            arguments: Some(digest(&one.arguments)),
            strings: vec![digest(&one.arguments)],
            arguments_end: None,
        });
    }
}

/// How an exchange went.
#[derive(Debug, Clone)]
struct Script {
    /// Its trace, by which it is known.
    number: u64,
    messages: Vec<Says>,
    /// Milliseconds from the first exchange on.
    began: u64,
    /// How many it took.
    took: u64,
    /// `None` where none came, or not whole.
    answer: Option<Says>,
    end: End,
    status: u16,
}

/// The SERVER span of an exchange; the inference span has its number.
const fn server_span(number: u64) -> u64 {
    1 << 32 | number
}

/// When the arguments of the first call end; those of each further call a tenth of a second later.
const ARGUMENTS_END: u64 = 400;

impl Script {
    fn new(number: u64, began: u64, messages: &[Says], answer: Says) -> Self {
        Self {
            number,
            messages: messages.to_vec(),
            began,
            took: 1000,
            answer: Some(answer),
            end: End::Done,
            status: 200,
        }
    }

    fn failed(number: u64, began: u64, messages: &[Says]) -> Self {
        Self {
            answer: None,
            end: End::HttpError,
            status: 429,
            took: 20,
            ..Self::new(number, began, messages, model(""))
        }
    }

    fn left(number: u64, began: u64, messages: &[Says]) -> Self {
        Self {
            answer: None,
            end: End::ClientLeft,
            ..Self::new(number, began, messages, model(""))
        }
    }

    fn ended(&self) -> u64 {
        self.began + self.took
    }

    fn exchange(&self) -> Exchange {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH + MS(1_000_000 + self.began));
        exchange.trace = Some(Trace {
            trace_id: u128::from(self.number),
            client_span_id: self.number,
            sampled: true,
            random: true,
            ..Trace::of_span(server_span(self.number))
        });
        exchange.times.end = MS(self.took);
        exchange.end = self.end;
        exchange.http.status = Some(self.status);
        if self.status >= 400 {
            exchange.failure = Some(Failure {
                kind: self.status.to_string(),
                message: String::new(),
            });
        } else {
            exchange.response.choices.push(Choice::default());
        }
        let mut history = request(&self.messages);
        if let Some(Says::Model { text, calls }) = &self.answer {
            let mut answer = Answer {
                at: history.items.len(),
                ..Answer::default()
            };
            add(&mut answer, text, calls);
            answer.text_prefixes.clear();
            for (at, (said, called)) in answer.calls.iter_mut().zip(calls).enumerate() {
                said.arguments_end = Some(MS(ARGUMENTS_END + 100 * at as u64));
                exchange.response.tool_calls.push(ToolCall {
                    id: called.id.clone(),
                    name: called.name.clone(),
                    ..ToolCall::default()
                });
            }
            if calls.is_empty() {
                exchange.times.last_token = Some(MS(self.took));
            }
            history.answer = Some(answer);
        }
        exchange.history = Some(Box::new(history));
        exchange
    }
}

fn correlator() -> Correlator {
    Correlator::in_memory(Bounds::default(), Thresholds::default(), 7)
}

/// Gives a correlator exchanges in the order of their ends; their places come in the order of the scripts.
fn told(scripts: &[Script]) -> Vec<Conversation> {
    let mut correlator = correlator();
    let mut order: Vec<_> = (0..scripts.len()).collect();
    order.sort_by_key(|at| scripts[*at].ended());
    let mut told: Vec<_> = order
        .into_iter()
        .map(|at| (at, correlator.take(&scripts[at].exchange()).unwrap()))
        .collect();
    told.sort_by_key(|(at, _)| *at);
    told.into_iter().map(|(_, place)| place).collect()
}

/// The number of the exchange that one follows.
fn previous(place: &Conversation) -> Option<u64> {
    place.previous.map(|identity| identity.client_span_id)
}

impl<S: Store> Correlator<S> {
    /// Where an exchange belongs.
    fn take(&mut self, exchange: &Exchange) -> Option<Conversation> {
        let mut exchange = exchange.clone();
        self.place(&mut exchange);
        exchange.conversation.map(|place| *place)
    }
}
