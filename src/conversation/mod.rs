//! Which exchanges belong together: conversations, their turns and branches, the waits for tools between them, and what the
//! one before makes of a prompt. Read off the wire, where nothing names a conversation.
//!
//! A request brings the history it goes on with. So an exchange follows another if it brings that one's answer, after the
//! same texts of the user. Clients write an answer anew before they send it back; `Answer` is what is left of it
//! in all of them, and `rules` has the order in which it is looked for. No link is a guess: where two conversations are the
//! same up to a turn, what follows begins a new one.
//!
//! # Time
//!
//! Exchanges come when they are over, in the order of their ends, and that is enough: how long a tool took ends with
//! the *arrival* of the request with its result, which an exchange that is over still knows. What ended is what is
//! known, so a request is not linked to one that is still under way when its own exchange is over. That happens where a
//! client runs a tool while the stream of the call is open, or reads no further than its last event: such a request leaves
//! word of the answer that it brought and that nobody knew, and the exchange of that answer, when it ends, takes its place before
//! it, and tells the waits. An exchange follows only what had been said when it began; its own clock says so, this room has
//! none.
//!
//! This room knows the facts of exchanges and nothing else: no clock, no threads, no telemetry. What it remembers is behind
//! the narrow trait [`Store`]; [`Shared`] is one that knows what other processes have told, too.

mod asked;
mod cache;
mod correlator;
mod health;
mod joins;
mod key;
mod memory;
mod place;
mod record;
mod rules;
mod shared;
mod store;
mod waits;

pub use correlator::Correlator;
pub use health::Thresholds;
pub use joins::Joins;
pub use key::Key;
pub use memory::{Bounds, Evictions, Memory};
pub use shared::{CONVERSATION_BYTES, NAMES_MAX, News, Shared};
pub use store::{Added, PendingCall, Prompt, Slot, Store, Thread, Turn, TurnId};

#[cfg(test)]
mod tests;
