//! The seam between the byte path and what observes it: frames and times go in, an observer on a thread of its own gets them.
//!
//! The byte path knows frames and time, and nothing of what the bytes mean. [`open`](self::Open) begins an exchange,
//! [`Event`] is what is shown of it, [`Tap`] the handle by which it is shown. Nothing here waits for an observer.

mod event;
mod handle;
mod open;
mod registry;

pub use event::{
    Aftermath, Close, Closing, Describe, Event, Fate, Fault, FaultClass, Forwarded, Joined,
    Observer, Side, UpstreamName, Verdict, Why,
};
pub use handle::{Counters, Tap, Taps};
pub use open::{
    CarriedContext, Joins, Open, Opened, RefusedRequest, RequestHead, TraceHeaders, W3cHeaders,
};

/// The clock of the byte path: monotonic, and pausable by tests.
pub use tokio::time::Instant;
