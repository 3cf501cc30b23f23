//! Body wrappers that pass each frame on untouched and show it, with its time, to an observer.
//!
//! The byte path knows frames and time, and nothing of what the bytes mean. [`event`] has what is told of an exchange,
//! [`tap`] is the handle by which it reaches an observer, [`request`] and [`response`] are the two wrappers, [`tunnel`] the
//! one for what is no HTTP any more, [`proof`] compares what was read from the upstream with what the client's connection
//! took.

pub mod event;
pub mod proof;
pub mod request;
pub mod response;
pub mod tap;
pub mod tunnel;
mod worker;

pub use event::{
    Close, Closing, Event, Fault, FaultClass, Observer, Open, Opened, RequestHead, TraceContext,
    UpstreamName,
};
pub use proof::Verdict;
pub use request::RequestTee;
pub use response::{Edit, Piece, ResponseTee};
pub use tap::{Counters, Tap, Taps};
pub use tunnel::{Side, TunnelTee};

/// The clock of the byte path: monotonic, and pausable by tests.
pub use tokio::time::Instant;

#[cfg(test)]
mod tests;
