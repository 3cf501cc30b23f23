//! What the benches share: the work (bytes on the wire, clients, a cheap upstream) and how it is measured.
//!
//! Everything runs on one machine and, but for the proxy, in one process, so that the sender's and the receiver's clock
//! are the same. Only [`streamgauge`] knows the proxy under test.
#![allow(
    dead_code,
    reason = "each bench compiles all of it and uses its own part"
)]

pub(crate) mod chat;
pub(crate) mod clients;
pub(crate) mod cpu;
pub(crate) mod figure;
pub(crate) mod link;
pub(crate) mod otlp;
pub(crate) mod paced;
pub(crate) mod pacer;
pub(crate) mod process;
pub(crate) mod secure;
pub(crate) mod streamgauge;
pub(crate) mod timed;
pub(crate) mod upstream;
pub(crate) mod upstreams;
pub(crate) mod wire;
