//! Sessions over WebSocket: `GET …/realtime`, and the WebSocket mode of `GET …/responses`.
//!
//! Governing text: the OpenAI API reference, "Realtime" (client events, server events), in its present names and those of its
//! beta, which Azure and compatible servers still send; and the guide "WebSocket mode" of the Responses API, whose events are
//! those of its streams, one response after another. Both sides send one JSON object a message, whose `type` says what it
//! is. Types are added all the time, so one that is not known is normal.
//!
//! When a response was asked for: with the client's `response.create`; where the server began it of its own accord, when it
//! said that the speech had stopped or the wait for it was over; and where neither was seen, with `response.created`.

mod answer;
mod asks;
mod content;
mod conversation;
mod item;
mod known;
mod own;
mod settings;
mod standing;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::answer::{SessionResponse, output_of};
use self::asks::{Ask, Asks};
use self::content::{AskedPrompt, Begun, SessionContent};
use self::settings::SessionSettings;
use crate::dialect::contract::{Facts, Output};
use crate::dialect::fold::{AnswerFolds, Texts};
use crate::dialect::kit::member::{self, decode, typed};
use crate::dialect::kit::unknown::check_name;
use crate::dialect::kit::{error, path};
use crate::dialect::openai_responses;
use crate::dialect::session::{Session, SessionDialect, Step, Turn};
use crate::exchange::{ApiError, Limited, Operation, Problems, Quirk, RateLimit, Request};
use crate::parse::json::{self, Kind, Value};

/// Most responses of one session that are followed at a time. The API has one in the conversation and few beside it; beyond
/// it the oldest is given up.
const OPEN_MAX: usize = 16;

/// Most limits that are kept of one response; the API has two.
const LIMITS_MAX: usize = 8;

/// `…/realtime`.
pub(super) static REALTIME: SessionApi = SessionApi {
    operation: Operation::Realtime,
    route: "/v1/realtime",
    tail: "realtime",
};

/// `…/responses` in its WebSocket mode.
pub(super) static RESPONSES: SessionApi = SessionApi {
    operation: Operation::Responses,
    route: "/v1/responses",
    tail: "responses",
};

/// One of the two APIs.
pub(super) struct SessionApi {
    operation: Operation,
    route: &'static str,
    tail: &'static str,
}

impl SessionDialect for SessionApi {
    fn operation(&self) -> Operation {
        self.operation
    }

    fn route(&self) -> &'static str {
        self.route
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "GET" && path::ends_in(path, &[self.tail])
    }

    fn session(&self, query: Option<&str>) -> Box<dyn Session> {
        Box::new(ResponseSession {
            one_at_a_time: self.operation == Operation::Responses,
            settings: SessionSettings::of_query(query),
            asks: Asks::default(),
            asked_last: None,
            open: Vec::new(),
            last: 0,
            content: None,
        })
    }
}

/// One session.
struct ResponseSession {
    /// Responses never overlap, and events do not say whose they are (the Responses API).
    one_at_a_time: bool,
    settings: SessionSettings,
    asks: Asks,
    /// What a response inherits that follows another of the server's own accord, as one that is steered does (the Responses
    /// API).
    asked_last: Option<Request>,
    /// Responses in progress, oldest first.
    open: Vec<OpenResponse>,
    /// Number of the response that began last.
    last: u64,
    /// What was said, where it is to be shown.
    content: Option<Box<SessionContent>>,
}

/// A response in progress.
struct OpenResponse {
    number: u64,
    /// When it was asked for, from which its times count.
    asked: Duration,
    /// What the client calls the request that it seems to answer.
    event_id: Option<String>,
    answer: SessionResponse,
    turn: Box<Turn>,
    /// What it was given to read, where that is to be shown.
    prompt: Option<Begun>,
}

impl Session for ResponseSession {
    fn client(&mut self, at: Duration, message: &[u8], problems: &mut Problems) {
        let text = decode(message);
        let Some((kind, event)) = event_of(&text, problems) else {
            return;
        };
        match &*kind {
            "session.update" => self.settings.asked(event, problems),
            "response.create" => {
                let request = self.settings.request(event, problems);
                let id = typed(event.get("event_id"), problems, Value::as_text);
                self.asked_last = self.one_at_a_time.then(|| request.clone());
                let content = self.content.as_ref();
                self.asks.push(Ask {
                    at,
                    event_id: id.map(member::keep),
                    request,
                    prompt: content.map(|content| Box::new(content.asked(event))),
                });
            }
            kind => {
                if let Some(content) = &mut self.content {
                    content.client(at, kind, event);
                }
            }
        }
    }

    fn upstream(
        &mut self,
        at: Duration,
        message: &[u8],
        problems: &mut Problems,
        each: &mut dyn FnMut(Step),
    ) {
        let text = decode(message);
        let Some((kind, event)) = event_of(&text, problems) else {
            return;
        };
        if let Some(content) = &mut self.content {
            content.server(&kind, event);
        }
        match &*kind {
            "session.created" | "session.updated" => self.settings.told(event, problems),
            "input_audio_buffer.speech_stopped" | "input_audio_buffer.timeout_triggered" => {
                self.asks.note_answerable(at);
            }
            "response.created" => self.begin(at, event, each),
            "rate_limits.updated" => self.limits_told(event),
            "error" => self.failed(event, each),
            kind if kind.starts_with("response.") => self.went_on(at, kind, event, each),
            _ => {}
        }
    }

    fn show_content(&mut self, bytes: usize) {
        let content = SessionContent::within(bytes, !self.one_at_a_time);
        self.content = Some(Box::new(content));
    }

    fn content_bytes(&self) -> usize {
        let Some(content) = &self.content else {
            return 0;
        };
        let asked: usize = self.asks.prompts().map(AskedPrompt::bytes).sum();
        let open: usize = self.open.iter().map(OpenResponse::content_bytes).sum();
        content.bytes() + asked + open
    }

    fn lose_content(&mut self) {
        self.content.iter_mut().for_each(|content| content.lose());
        self.asks.prompts_mut().for_each(AskedPrompt::lose);
        self.open.iter_mut().for_each(OpenResponse::lose_content);
    }

    fn passed_over(&mut self) {
        self.content.iter_mut().for_each(|content| content.miss());
    }

    fn finish(&mut self, each: &mut dyn FnMut(Step)) {
        while let Some(ask) = self.asks.pop() {
            self.open(ask, each);
        }
        for open in std::mem::take(&mut self.open) {
            self.end(open, each);
        }
    }
}

impl ResponseSession {
    /// The server begins a response.
    fn begin(&mut self, at: Duration, event: Value<'_>, each: &mut dyn FnMut(Step)) {
        let ask = self.asks.answered(at).unwrap_or_else(|answerable| Ask {
            at: answerable,
            event_id: None,
            request: match &self.asked_last {
                Some(asked) => asked.clone(),
                None => self.settings.standing(),
            },
            prompt: None,
        });
        let open = self.open(ask, each);
        let output = open
            .answer
            .read("response.created", event, &mut open.turn.facts);
        each(Step::Came {
            number: open.number,
            output,
        });
    }

    /// Follows a response from here on.
    fn open(&mut self, ask: Ask, each: &mut dyn FnMut(Step)) -> &mut OpenResponse {
        if self.open.len() == OPEN_MAX {
            // Its end must have been in a message that was passed over.
            let mut oldest = self.open.remove(0);
            oldest.turn.facts.problems.oversized += 1;
            self.end(oldest, each);
        }
        self.last += 1;
        let mut facts = Facts {
            folds: AnswerFolds::gathering(Texts::for_history()),
            ..Facts::default()
        };
        facts.response.streamed = true;
        facts.response.model.clone_from(&self.settings.model_told);
        let mut answer = SessionResponse::default();
        let prompt = self.content.as_mut().map(|content| {
            facts.folds.content = Some(content.answer());
            answer.format = content.format();
            content.begin(ask.at, ask.prompt)
        });
        each(Step::Began {
            number: self.last,
            asked: ask.at,
        });
        let turn = Turn {
            request: ask.request,
            said: None,
            facts,
            rate_limits: Vec::new(),
        };
        self.open.push(OpenResponse {
            number: self.last,
            asked: ask.at,
            event_id: ask.event_id,
            answer,
            turn: Box::new(turn),
            prompt,
        });
        self.open.last_mut().expect("one was pushed just now")
    }

    /// An event of a response in progress; of one that is not followed it says nothing.
    fn went_on(&mut self, at: Duration, kind: &str, event: Value<'_>, each: &mut dyn FnMut(Step)) {
        let Some(place) = self.place_of(event) else {
            return;
        };
        let known = match self.one_at_a_time {
            true => openai_responses::EVENTS,
            false => known::EVENTS,
        };
        let open = &mut self.open[place];
        open.turn.facts.at = at.saturating_sub(open.asked);
        let unknown = (Quirk::UnknownEvent, "");
        check_name(kind, known, unknown, &mut open.turn.facts);
        let output = open.answer.read(kind, event, &mut open.turn.facts);
        each(Step::Came {
            number: open.number,
            output,
        });
        if let Some((content, prompt)) = self.content.as_mut().zip(open.prompt.as_ref()) {
            let item = (kind == "response.output_item.done").then(|| event.get("item"));
            let told = open.answer.at_end.then(|| output_of(event));
            let items = item.flatten().into_iter().chain(told.into_iter().flatten());
            items.for_each(|item| content.answered(prompt, item));
        }
        if open.turn.facts.response.done {
            let open = self.open.remove(place);
            self.end(open, each);
        }
    }

    /// A response is over, or nothing more of it will be seen.
    fn end(&mut self, mut open: OpenResponse, each: &mut dyn FnMut(Step)) {
        if let Some((content, prompt)) = self.content.as_mut().zip(open.prompt) {
            open.turn.said = content.end(prompt);
        }
        each(Step::Ended {
            number: open.number,
            turn: open.turn,
        });
    }

    /// What is left of the limits. It is told when a response begins, so it is kept with the newest.
    fn limits_told(&mut self, event: Value<'_>) {
        let limits = event.get("rate_limits").into_iter();
        let told = limits.flat_map(Value::elements).filter_map(rate_limit);
        if let Some(newest) = self.open.last_mut() {
            newest.turn.rate_limits = told.take(LIMITS_MAX).collect();
        }
    }

    /// Which response an event is of: the one it names, or the only one there is.
    fn place_of(&self, event: Value<'_>) -> Option<usize> {
        let [id, response] = event.select(["response_id", "response"]);
        let id = id.or_else(|| response?.get("id")).and_then(Value::as_text);
        let named = id.and_then(|id| {
            let mut open = self.open.iter();
            open.position(|open| {
                let known = open.turn.facts.response.id.as_deref();
                known.is_some_and(|known| id.is(known))
            })
        });
        let only = (self.open.len() == 1 && (id.is_none() || self.one_at_a_time)).then_some(0);
        named.or(only)
    }

    /// An error: of a response that was asked for, or of anything else that the client has sent.
    fn failed(&mut self, event: Value<'_>, each: &mut dyn FnMut(Step)) {
        let Some(said) = error::from_member(event.get("error").unwrap_or(event)) else {
            return;
        };
        let cause = event.get("error").and_then(|error| error.get("event_id"));
        let cause = cause.and_then(Value::as_text).map(|id| id.decode());
        if let Some(content) = &mut self.content {
            content.refused(cause.as_deref(), said.code.as_deref());
        }
        let refused = if self.one_at_a_time {
            self.asks.pop()
        } else {
            let unanswered = self.unanswered(cause.as_deref());
            unanswered.or_else(|| self.asks.refused(cause.as_deref(), said.code.as_deref()))
        };
        if let Some(ask) = refused {
            self.open(ask, each);
            self.fail_last(said, each);
        } else if self.one_at_a_time && !self.open.is_empty() {
            self.fail_last(said, each);
        }
    }

    /// The request of this name, where a response in progress seemed to answer it. As it is refused, the server began that
    /// response of its own accord.
    fn unanswered(&mut self, cause: Option<&str>) -> Option<Ask> {
        let cause = cause?;
        let mut open = self.open.iter_mut();
        let open = open.find(|open| open.event_id.as_deref() == Some(cause))?;
        Some(Ask {
            at: open.asked,
            event_id: open.event_id.take(),
            request: std::mem::replace(&mut open.turn.request, self.settings.standing()),
            prompt: open.prompt.as_mut().and_then(Begun::take_asked),
        })
    }

    /// The response that began last ends with an error.
    fn fail_last(&mut self, error: ApiError, each: &mut dyn FnMut(Step)) {
        if let Some(mut open) = self.open.pop() {
            open.turn.facts.response.error = Some(Box::new(error));
            let output = Output::default();
            each(Step::Came {
                number: open.number,
                output,
            });
            self.end(open, each);
        }
    }
}

impl OpenResponse {
    /// How many bytes of texts are held of it to be shown.
    fn content_bytes(&self) -> usize {
        let answer = self.turn.facts.folds.content.as_ref();
        answer.map_or(0, |answer| answer.bytes()) + self.prompt.as_ref().map_or(0, Begun::bytes)
    }

    /// Lets them go.
    fn lose_content(&mut self) {
        let answer = self.turn.facts.folds.content.as_mut();
        answer.into_iter().for_each(|answer| answer.lose());
        self.prompt.iter_mut().for_each(Begun::lose);
    }
}

/// One of the limits of `rate_limits.updated`; `None` for one of another name.
fn rate_limit(limit: Value<'_>) -> Option<RateLimit> {
    let [name, remaining] = limit.select(["name", "remaining"]);
    let limited = match &*name?.as_text()?.decode() {
        "requests" => Limited::Requests,
        "tokens" => Limited::Tokens,
        _ => return None,
    };
    let remaining = member::count(remaining?)?;
    Some(RateLimit { limited, remaining })
}

/// An event and its type; what is no JSON object is counted.
fn event_of<'a>(
    text: &'a str,
    problems: &mut Problems,
) -> Option<(std::borrow::Cow<'a, str>, Value<'a>)> {
    match json::parse_prefix(text) {
        Ok((event, "")) if event.kind() == Kind::Object => {
            let kind = typed(event.get("type"), problems, Value::as_text)?;
            Some((kind.decode(), event))
        }
        _ => {
            problems.malformed += 1;
            None
        }
    }
}
