//! How the exchanges of a conversation come into one trace: each is put into that of an earlier one, unless its client says
//! which it belongs to.
//!
//! The trace is that of the first exchange, whose topmost span comes to stand above all others. It is a span as any other, exported when
//! its exchange is over: none has to be made up, and none waits for an end that a conversation does not have. Where a client
//! named the trace, its span stands above what comes after, too. What an agent began is below the inference that called for it.
//!
//! The spans keep their ids. What went upstream had been settled before, and stays: [`Trace::told_upstream`].
//!
//! [`Trace::told_upstream`]: crate::exchange::Trace::told_upstream

use super::asked::Asked;
use super::key::Key;
use super::place::Links;
use super::rules;
use super::store::Store;
use crate::exchange::Identity;

/// What is to be known of spans to put them into one trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Joins {
    /// Whether the inference span of a call stands for its SERVER span, too.
    pub one_span: bool,
    /// Whether upstreams are told the trace that an exchange begins with.
    pub propagates: bool,
}

impl Joins {
    /// Which trace an exchange is in from now on, and where in it.
    pub(super) fn identity(
        self,
        store: &impl Store,
        asked: &Asked<'_>,
        links: &Links,
        name: Option<Key>,
    ) -> Option<Identity> {
        let trace = asked.exchange.trace.as_ref()?;
        let mut own = trace.identity();
        if self.one_span && asked.exchange.model_call().is_some() {
            own.top_span_id = own.client_span_id;
        }
        // What a client says of a trace counts, were it only whether to keep it.
        let is_free = trace.parent_span_id.is_none() && trace.parent_sampled.is_none();
        let above = is_free.then(|| above(store, links, name)).flatten();
        Some(above.map_or(own, |above| Identity {
            trace_id: above.earlier.trace_id,
            parent_span_id: Some(above.span_id),
            parent_is_ours: above.is_ours,
            flags: above.earlier.flags,
            ..own
        }))
    }
}

/// A span, and the exchange in whose trace it is.
struct Above {
    earlier: Identity,
    span_id: u64,
    /// Whether it is no client's.
    is_ours: bool,
}

/// Below which span an exchange comes: below that which is above the one before it in the conversation, or at the top of it. With
/// a name, calls that run side by side are in one conversation though none follows another.
fn above(store: &impl Store, links: &Links, name: Option<Key>) -> Option<Above> {
    let beside = links.beside();
    let beside = beside.or_else(|| Some(rules::newest(store, name)?.1));
    let Some(beside) = beside else {
        let earlier = links.parent?.identity?;
        return Some(Above {
            earlier,
            span_id: earlier.client_span_id,
            is_ours: true,
        });
    };
    let earlier = beside.identity?;
    Some(Above {
        earlier,
        span_id: earlier.parent_span_id.unwrap_or(earlier.top_span_id),
        is_ours: earlier.parent_span_id.is_none() || earlier.parent_is_ours,
    })
}
