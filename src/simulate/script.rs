//! Turns a rendered answer into a script: when which bytes go out, and what goes wrong on the way.

use std::time::Duration;

use bytes::Bytes;

use super::SimulatorConfig;
use super::body::{Script, ScriptEnd, Step};
use super::chance::Chance;
use super::model::{Model, ModelFault};
use super::render::StreamEvent;
use super::request::{ApiError, Knobs};

/// The times of one answer.
#[derive(Debug, Clone)]
pub(super) struct Pacing {
    /// Until the first event; half of it passes before the head.
    pub(super) think: Duration,
    interval: Duration,
    jitter: f64,
    stall: Duration,
}

impl Pacing {
    pub(super) fn new(
        config: &SimulatorConfig,
        model: &Model,
        knobs: &Knobs,
        chance: &mut Chance,
    ) -> Self {
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
pub(super) type ErrorEvent = fn(&ApiError, usize) -> StreamEvent;

/// The script of a stream.
pub(super) fn stream(
    mut events: Vec<StreamEvent>,
    error: ErrorEvent,
    fault: ModelFault,
    pacing: &Pacing,
    chance: &mut Chance,
) -> Script {
    let half = half_way(&events);
    let close = break_off(&mut events, error, fault);
    let steps = events.into_iter().enumerate().map(|(position, event)| {
        let mut after = if event.paced {
            chance.spread(pacing.interval, pacing.jitter)
        } else {
            Duration::ZERO
        };
        if position == 0 {
            after += pacing.think / 2;
        }
        if position == half && fault == ModelFault::Stall {
            after += pacing.stall;
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

/// How many events are half of the answer and its opening, whether or not its usage is asked for.
fn half_way(events: &[StreamEvent]) -> usize {
    1 + events.iter().filter(|event| event.paced).count() / 2
}

/// Leaves out of a stream what a fault takes away; says how it ends then.
fn break_off(events: &mut Vec<StreamEvent>, error: ErrorEvent, fault: ModelFault) -> ScriptEnd {
    let half = half_way(events);
    match fault {
        ModelFault::ErrorEvent => {
            events.truncate(half);
            events.push(error(&overloaded(), half));
        }
        ModelFault::Cut => {
            events.truncate(half + 1);
            if let Some(last) = events.last_mut() {
                last.bytes.truncate(last.bytes.len() / 2);
            }
            return ScriptEnd::Cut;
        }
        ModelFault::Hang => {
            events.truncate(half);
            return ScriptEnd::Hang;
        }
        ModelFault::NoDone => {
            events.pop();
        }
        _ => {}
    }
    ScriptEnd::Clean
}

/// The script of a whole body, which takes as long as the stream of its tokens would.
pub(super) fn whole(body: Bytes, tokens: usize, fault: ModelFault, pacing: &Pacing) -> Script {
    let length = Some(body.len() as u64);
    let after = pacing.think / 2 + pacing.interval * u32::try_from(tokens).unwrap_or(u32::MAX);
    let step = |after, bytes| Step { after, bytes };
    let half = body.slice(..body.len() / 2);
    let (steps, close) = match fault {
        ModelFault::Cut => (vec![step(after, half)], ScriptEnd::Cut),
        ModelFault::Hang => (vec![step(after, half)], ScriptEnd::Hang),
        ModelFault::Stall => (vec![step(after + pacing.stall, body)], ScriptEnd::Clean),
        _ => (vec![step(after, body)], ScriptEnd::Clean),
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
        close: ScriptEnd::Clean,
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
