//! What the dialects share. It knows none of them.

pub(super) mod cache;
pub(super) mod choice;
pub(super) mod chunks;
pub(super) mod error;
pub(super) mod events;
pub(super) mod forced;
pub(super) mod item_calls;
pub(super) mod items;
pub(super) mod media;
pub(super) mod member;
pub(super) mod message;
pub(super) mod parameters;
pub(super) mod path;
pub(super) mod prompt;
pub(super) mod sampling;
pub(super) mod server_times;
pub(super) mod tool_calls;
pub(super) mod typed;
pub(super) mod unary;
pub(super) mod unknown;
pub(super) mod usage;
