//! Whether an agent runs in circles: calls that it makes again and again, answers that say nothing new, a history that grows.

use super::asked::Asked;
use super::key::{self, Mix};
use super::store::Thread;
use crate::exchange::RepeatedCall;

/// From when on something is worth saying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// How often a tool was called with the same arguments in one conversation.
    pub repeated_calls: usize,
    /// How many exchanges in a row said nothing new.
    pub without_progress: usize,
    /// How many bytes a prompt has.
    pub history_bytes: usize,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            repeated_calls: 3,
            without_progress: 3,
            history_bytes: 256 << 10,
        }
    }
}

/// How much is remembered of what was said in a conversation.
const SAID_MAX: usize = 32;

/// What there is to say of an exchange.
#[derive(Debug, Default)]
pub(super) struct Health {
    pub(super) repeated_calls: Vec<RepeatedCall>,
    pub(super) without_progress: Option<u32>,
    pub(super) grown_bytes: Option<u64>,
}

/// Looks at the answer of an exchange, and remembers it. `asked_again`: nobody has said anything new since the exchange
/// before.
pub(super) fn look(
    thread: &mut Thread,
    asked: &Asked<'_>,
    asked_again: bool,
    prompt_bytes: u64,
    thresholds: &Thresholds,
) -> Health {
    let mut health = Health::default();
    if let Some(answer) = &asked.history.answer {
        for call in &answer.calls {
            let times = again(&mut thread.said, Mix::from(key::call(call)).and(9).get());
            if times as usize >= thresholds.repeated_calls.max(2) {
                let number = call.number;
                health.repeated_calls.push(RepeatedCall { number, times });
            }
        }
        let nothing_new = again(&mut thread.said, key::said(answer)) > 1 && asked_again;
        thread.without_progress = if nothing_new {
            thread.without_progress + 1
        } else {
            0
        };
        let long_enough = thread.without_progress as usize >= thresholds.without_progress.max(1);
        health.without_progress = long_enough.then_some(thread.without_progress);
    }
    let told = thread.grown_bytes.saturating_mul(2);
    if prompt_bytes >= told.max(thresholds.history_bytes as u64) {
        thread.grown_bytes = prompt_bytes;
        health.grown_bytes = Some(prompt_bytes);
    }
    health
}

/// How often it was said, this time included. The latest stand last.
fn again(said: &mut Vec<(u32, u32)>, hash: u64) -> u32 {
    // Among so few, half of the hash is enough.
    let hash = hash as u32;
    let before = said.iter().position(|(one, _)| *one == hash);
    let times = before.map_or(0, |at| said.remove(at).1).saturating_add(1);
    if said.len() == SAID_MAX {
        said.remove(0);
    }
    said.push((hash, times));
    times
}
