//! Integration tests, one module per promise. They need nothing but Rust and the loopback interface.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and so does what it stands on"
)]

mod client;
mod config;
mod demo;
mod disconnect;
mod errors;
mod estimates;
mod explain;
mod framing;
mod http2;
mod integrity;
mod layering;
mod live;
mod logs;
mod media;
mod memory;
mod metrics;
mod overload;
mod quirks;
mod realtime;
mod reference;
mod routes;
mod shutdown;
mod simulate;
mod streaming;
#[allow(dead_code, reason = "each promise's tests use what they need of it")]
mod support;
mod traces;
mod transparency;
mod upgrade;
mod usage_edit;
