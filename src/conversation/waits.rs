//! How long tools took, as far as it is seen from the wire.
//!
//! A wait begins with the end of a call's arguments and ends with the arrival of the first exchange that brings its result, of
//! those that are over: each result is counted once, however often later requests repeat it. Where two requests that are
//! under way at the same time bring it, the one that is over first counts.

use std::time::Duration;

use super::asked::Asked;
use super::key;
use super::rules::Found;
use super::store::{PendingCall, Store, Turn, TurnId};
use crate::exchange::{Answer, Digest, Identity, ToolWait};

/// Longest name and id of a call that are kept.
const TEXT_MAX: usize = 64;
/// Most calls of a turn for whose results is waited.
const CALLS_MAX: usize = 32;

/// The calls of an answer for whose results the client is to be waited: not those that were forced, which are no tools.
pub(super) fn calls(asked: &Asked<'_>) -> Vec<PendingCall> {
    let calls = asked.history.answer.iter().flat_map(|answer| &answer.calls);
    let pending = calls.filter_map(|call| {
        let told = asked.exchange.response.tool_calls.get(call.number)?;
        let ended = call.arguments_end.or(told.arguments_end);
        (!told.forced && told.kind.is_client_run()).then(|| PendingCall {
            id: call.id,
            call: key::call(call),
            // A body that came in one piece has no other instant.
            began: asked.at(ended.unwrap_or(asked.exchange.times.end)),
            name: short(&told.name).into(),
            wire_id: told.id.as_deref().map(|id| short(id).into()),
            kind: told.kind,
            number: 0,
        })
    });
    let numbered = pending.take(CALLS_MAX).zip(0..);
    numbered
        .map(|(call, number)| PendingCall { number, ..call })
        .collect()
}

fn short(text: &str) -> &str {
    let mut ends = (0..=TEXT_MAX.min(text.len())).rev();
    let end = ends.find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

/// The waits that end with a request that follows another: for its calls, as far as nobody has brought their results before.
pub(super) fn brought(store: &mut impl Store, asked: &Asked<'_>, found: &Found) -> Vec<ToolWait> {
    let mut pending = store.pending(found.id);
    if pending.is_empty() {
        return Vec::new();
    }
    let answer = found.answer.map(|turn| &asked.history.answers[turn]);
    let after = answer.map_or(0, |answer| answer.at);
    let results = asked
        .history
        .results
        .iter()
        .filter(|result| result.at >= after);
    let mut waits = Vec::new();
    for result in results {
        let Some(at) = called(&pending, result.id, answer) else {
            continue;
        };
        let call = pending.remove(at);
        if store.claim(found.id, &call) {
            let called_by = found.turn.identity;
            waits.extend(wait(call, called_by, asked.began, asked.identity));
        }
    }
    waits
}

/// Whose result it is, by its id; where the client made an id of its own, by the call that has it in the request. A result
/// without an id is that of the first call.
fn called(pending: &[PendingCall], id: Option<Digest>, answer: Option<&Answer>) -> Option<usize> {
    let Some(id) = id else {
        return (!pending.is_empty()).then_some(0);
    };
    let by_id = pending.iter().position(|call| call.id == Some(id));
    by_id.or_else(|| {
        let again = answer?.calls.iter().find(|call| call.id == Some(id))?;
        let again = key::call(again);
        pending.iter().position(|call| call.call == again)
    })
}

/// The waits of calls whose results a request brought that overtook the exchange of the calls; takes those calls out.
pub(super) fn brought_early(
    store: &impl Store,
    calls: &mut Vec<PendingCall>,
    called_by: Option<Identity>,
    (id, turn): &(TurnId, Turn),
) -> Vec<ToolWait> {
    let early = store.early(*id);
    let is_early = |call: &mut PendingCall| call.id.is_some_and(|id| early.contains(&id));
    let brought = calls.extract_if(.., is_early);
    let waits = brought.filter_map(|call| wait(call, called_by, turn.began, turn.identity));
    waits.collect()
}

/// `None` where the clock was set in between.
fn wait(
    call: PendingCall,
    called_by: Option<Identity>,
    until: u64,
    brought_by: Option<Identity>,
) -> Option<ToolWait> {
    let lasted = until.checked_sub(call.began)?;
    Some(ToolWait {
        name: call.name.into(),
        call_id: call.wire_id.map(Into::into),
        kind: call.kind,
        began: std::time::UNIX_EPOCH + Duration::from_nanos(call.began),
        lasted: Duration::from_nanos(lasted),
        called_by,
        brought_by,
    })
}
