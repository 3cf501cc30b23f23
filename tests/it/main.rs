//! Integration tests, one module per promise. They need nothing but Rust and the loopback interface.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and so does what it stands on"
)]

mod abandoned;
mod access;
mod admin;
mod api;
mod attribution;
mod browsers;
mod careless;
mod client;
mod config;
mod content;
mod contributing;
mod conversations;
mod cost;
mod demo;
mod dependencies;
mod disconnect;
mod drift;
mod early;
mod embed;
mod errors;
mod estimates;
mod explain;
mod framing;
mod healthcheck;
mod history;
mod http2;
mod integrity;
mod isolation;
mod keep_alive;
mod layering;
mod listener_tls;
mod live;
mod logs;
mod media;
mod memory;
mod metrics;
mod multiplexed;
mod outbound;
mod overload;
mod package;
mod probe;
mod provider;
mod quirks;
mod realtime;
mod reference;
mod refusals;
mod reuse;
mod routes;
mod secrets;
mod shutdown;
mod simulate;
mod streaming;
#[allow(dead_code, reason = "each promise's tests use what they need of it")]
mod support;
mod templates;
mod texts;
mod top;
mod traces;
mod transparency;
mod upgrade;
mod upstream_tls;
mod usage_edit;
mod usage_learning;
mod version;
mod waiting;
