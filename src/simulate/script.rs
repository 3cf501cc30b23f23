//! Turns a rendered answer into a script: when which bytes go out, and what goes wrong on the way.

use std::time::Duration;

use bytes::Bytes;

use super::Config;
use super::body::{Close, Script, Step};
use super::chance::Chance;
use super::model::{Fault, Model};
use super::render::Event;
use super::request::{ApiError, Knobs};

/// The times of one answer.
#[derive(Debug, Clone)]
pub(super) struct Timing {
    /// Until the first event; half of it passes before the head.
    pub(super) think: Duration,
    interval: Duration,
    jitter: f64,
    stall: Duration,
}

impl Timing {
    pub(super) fn new(config: &Config, model: &Model, knobs: &Knobs, chance: &mut Chance) -> Self {
        let think = chance.spread(config.think.mul_f64(model.think), config.jitter);
        Self {
            think: knobs.think.unwrap_or(think),
            interval: knobs.interval.unwrap_or(config.pace.mul_f64(model.pace)),
            jitter: if knobs.interval.is_some() {
                0.0
            } else {
                config.jitter
            },
            stall: knobs.stall.unwrap_or(config.stall),
        }
    }
}

/// Renders an error as the event of an API, after so many events.
type ErrorEvent = fn(&ApiError, usize) -> Event;

/// The script of a stream.
pub(super) fn stream(
    mut events: Vec<Event>,
    error: ErrorEvent,
    fault: Fault,
    timing: &Timing,
    chance: &mut Chance,
) -> Script {
    let half = events.len() / 2;
    let close = break_off(&mut events, error, fault);
    let steps = events.into_iter().enumerate().map(|(position, event)| {
        let mut after = if event.paced {
            chance.spread(timing.interval, timing.jitter)
        } else {
            Duration::ZERO
        };
        if position == 0 {
            after += timing.think / 2;
        }
        if position == half && fault == Fault::Stall {
            after += timing.stall;
        }
        Step {
            after,
            bytes: event.bytes,
        }
    });
    Script {
        steps: steps.collect(),
        close,
        length: None,
    }
}

/// Leaves out of a stream what a fault takes away; says how it ends then.
fn break_off(events: &mut Vec<Event>, error: ErrorEvent, fault: Fault) -> Close {
    let half = events.len() / 2;
    match fault {
        Fault::ErrorEvent => {
            events.truncate(half);
            events.push(error(&overloaded(), half));
        }
        Fault::Cut => {
            events.truncate(half + 1);
            if let Some(last) = events.last_mut() {
                last.bytes.truncate(last.bytes.len() / 2);
            }
            return Close::Cut;
        }
        Fault::Hang => {
            events.truncate(half);
            return Close::Hang;
        }
        Fault::NoDone => {
            events.pop();
        }
        _ => {}
    }
    Close::Clean
}

/// The script of a whole body, which takes as long as the stream of its tokens would.
pub(super) fn whole(body: Bytes, tokens: usize, fault: Fault, timing: &Timing) -> Script {
    let length = Some(body.len() as u64);
    let after = timing.think / 2 + timing.interval * u32::try_from(tokens).unwrap_or(u32::MAX);
    let step = |after, bytes| Step { after, bytes };
    let half = body.slice(..body.len() / 2);
    let (steps, close) = match fault {
        Fault::Cut => (vec![step(after, half)], Close::Cut),
        Fault::Hang => (vec![step(after, half)], Close::Hang),
        Fault::Stall => (vec![step(after + timing.stall, body)], Close::Clean),
        _ => (vec![step(after, body)], Close::Clean),
    };
    Script {
        steps,
        close,
        length,
    }
}

/// A body that goes out at once.
pub(super) fn at_once(body: Bytes) -> Script {
    Script {
        length: Some(body.len() as u64),
        steps: vec![Step {
            after: Duration::ZERO,
            bytes: body,
        }],
        close: Close::Clean,
    }
}

/// What a model in trouble says.
pub(super) fn overloaded() -> ApiError {
    ApiError {
        status: 500,
        kind: "server_error",
        code: None,
        param: None,
        message: "The server had an error while processing your request. Sorry about that!"
            .to_owned(),
    }
}
