//! The program and the crate from outside, one module for each promise.

mod config;
//! Integration tests, one module per promise. They need nothing but Rust and the loopback interface.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and so does what it stands on"
)]

mod layering;
#[allow(dead_code, reason = "each promise's tests use what they need of it")]
mod support;
//! Integration tests, over real sockets: one module for each promise.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod client;
mod live;
mod simulate;
