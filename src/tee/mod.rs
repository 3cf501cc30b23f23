//! Body wrappers that pass each frame on untouched and show it, with its time, by a tap.
//!
//! The request's and the response's, the one for what is no HTTP any more, and the proof, which compares what was read from
//! the upstream with what the client's connection took.

mod left;
mod proof;
mod request;
mod response;
mod tunnel;

pub use left::{DrainLimits, Parting};
pub use proof::Proof;
pub use request::RequestTee;
pub use response::{Edit, Piece, ResponseTee};
pub use tunnel::TunnelTee;

#[cfg(test)]
mod tests;
