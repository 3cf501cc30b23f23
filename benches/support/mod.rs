//! What the benches share: the work (bytes on the wire, a cheap upstream that sends them) and how it is measured.
//!
//! Knows nothing of the proxy under test. Everything runs on one machine and, but for the proxy, in one process, so that
//! the sender's and the receiver's clock are the same.

pub(crate) mod chat;
pub(crate) mod cpu;
pub(crate) mod figure;
pub(crate) mod pacer;
pub(crate) mod upstream;
pub(crate) mod wire;
