//! What an exchange is to the others of its conversation.

use std::borrow::Cow;

use super::row::cut;
use super::shown;
use super::words::{Id, clock_ms, ms};
use crate::exchange::{self, CacheVerdict, Changed, Exchange, Reuse, ToolKind};

/// Most calls and waits that are shown of a turn.
const LISTED_MAX: usize = 64;

shown! {
    /// What became of the part of a prompt that was sent before.
    pub struct Prompt<'e> {
        /// Bytes of the prompt.
        pub bytes: u64,
        /// Bytes of the earlier prompt.
        pub earlier_bytes: u64,
        /// Bytes up to the first difference from the earlier prompt, or to its end.
        pub matched_bytes: u64,
        /// The first part of the earlier prompt that is not as it was: `tools`, `system`, `message 3`, or the name of a member of the request.
        pub changed: Option<Cow<'e, str>>,
        /// Tokens that could have come from a cache.
        pub possible_tokens: Option<u64>,
        /// Tokens that a cache could have served and did not.
        pub lost_tokens: Option<u64>,
        /// What it comes to: `reused`, `prefix_changed`, `upstream_missed`, `too_short`, `expired` or `not_cached`.
        pub verdict: Option<Cow<'e, str>>,
    }
}

shown! {
    /// The time from a tool's call until a request brought its result. It includes the client's own time.
    pub struct ToolWait<'e> {
        /// The tool's name.
        pub name: Cow<'e, str>,
        /// The call's id.
        pub call_id: Option<Cow<'e, str>>,
        /// What kind of tool: `function`, `custom`, `extension` or `datastore`.
        pub kind: Cow<'e, str>,
        /// The end of the call's arguments, in ms since 1970.
        pub began_at_ms: u64,
        /// From there to the arrival of the request.
        pub lasted_ms: f64,
    }
}

shown! {
    /// A call of a tool that was made before in its conversation, with the same arguments.
    pub struct RepeatedCall<'e> {
        /// The tool's name.
        pub name: Cow<'e, str>,
        /// How often, this time included.
        pub times: u32,
    }
}

shown! {
    /// The place of an exchange in its conversation, and what the exchanges before it tell of it.
    pub struct Turn<'e> {
        /// Which of several ways the conversation went, 0 for the first.
        pub branch: u32,
        /// How many agents called one another to get here.
        pub depth: u32,
        /// How it was found out what it follows.
        pub linked_by: Option<Cow<'e, str>>,
        /// The conversation whose tool call began this one.
        pub parent: Option<Id>,
        /// The inference span that others refer to it by, a number; `null` where there is no trace.
        pub span: Option<u64>,
        /// That of the exchange that it follows.
        pub previous_span: Option<u64>,
        /// What became of the part of the prompt that was sent before.
        pub prompt: Option<Prompt<'e>>,
        /// Calls of tools whose results it brought.
        pub tool_waits: Vec<ToolWait<'e>>,
        /// Calls in the answer that were made before.
        pub repeated_calls: Vec<RepeatedCall<'e>>,
        /// How many exchanges in a row have said nothing new, from the threshold on.
        pub without_progress: Option<u32>,
    }
}

impl<'e> Turn<'e> {
    /// That of an exchange; `None` where it is part of no conversation.
    #[must_use]
    pub fn of(exchange: &'e Exchange) -> Option<Self> {
        let place = exchange.conversation.as_deref()?;
        let waits = place.waits.iter().take(LISTED_MAX);
        let repeated = place.repeated_calls.iter().take(LISTED_MAX);
        Some(Self {
            branch: place.branch,
            depth: place.depth,
            linked_by: place.linked_by.map(|rule| rule.as_str().into()),
            parent: place.parent.map(|parent| Id(parent.id)),
            span: exchange.trace.as_ref().map(|trace| trace.client_span_id),
            previous_span: place.previous.map(|previous| previous.client_span_id),
            prompt: place.reuse.as_ref().map(prompt),
            tool_waits: waits.map(wait).collect(),
            repeated_calls: repeated.map(|call| repeated_call(exchange, call)).collect(),
            without_progress: place.without_progress,
        })
    }
}

fn prompt(reuse: &Reuse) -> Prompt<'static> {
    Prompt {
        bytes: reuse.prompt_bytes,
        earlier_bytes: reuse.earlier_bytes,
        matched_bytes: reuse.matched_bytes,
        changed: reuse.changed.map(|changed| match changed {
            Changed::Parameters(name) => name.into(),
            Changed::Message(number) => format!("message {number}").into(),
            Changed::Tools | Changed::System => changed.segment().into(),
        }),
        possible_tokens: reuse.possible_tokens,
        lost_tokens: reuse.lost_tokens,
        verdict: reuse.verdict.map(|it| CacheVerdict::as_str(it).into()),
    }
}

fn wait(wait: &exchange::ToolWait) -> ToolWait<'_> {
    ToolWait {
        name: cut(&wait.name),
        call_id: wait.call_id.as_deref().map(cut),
        kind: kind(wait.kind).into(),
        began_at_ms: clock_ms(wait.began),
        lasted_ms: ms(wait.lasted),
    }
}

fn repeated_call<'e>(exchange: &'e Exchange, call: &exchange::RepeatedCall) -> RepeatedCall<'e> {
    let called = exchange.response.tool_calls.get(call.number);
    RepeatedCall {
        name: called.map_or("".into(), |called| cut(&called.name)),
        times: call.times,
    }
}

/// What kind of tool is called.
pub(super) const fn kind(kind: ToolKind) -> &'static str {
    match kind {
        ToolKind::Function => "function",
        ToolKind::Custom => "custom",
        ToolKind::Extension => "extension",
        ToolKind::Datastore => "datastore",
    }
}
