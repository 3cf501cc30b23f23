//! A transparent, OpenAI-compatible reverse proxy that measures every call.
//!
//! ```text
//! client ──▶ serve ─▶ proxy (route, edit, attempts) ─▶ upstream ──▶ provider    the byte path
//! client ◀── tee (usage filter) ◀─────────────────────────┘
//!             │ tap (time, frame)
//!             ▼
//!          observe ─▶ parse ─▶ dialect (pure) ─▶ Exchange, its books closed once     facts
//!             ▼
//!          pipeline: the stages over finished exchanges, in the order of their ends
//!             ▼
//!          sinks: traces · metrics · live page; names and units by semconv          telemetry
//! ```
//!
//! Data flows one way: nothing after the tap can change, delay or fail what the client sees. [`proxy`] and [`observe`]
//! both know [`tap`], and never each other. Which room may import which is checked by a test.
//!
//! # Features
//!
//! - `cli` (default): what the program has and a library does not need: its commands and their flags, the log on standard
//!   error, the demo, and explanations of captures. Whoever depends on this crate as a library turns it off.
//! - `simulate` (part of `cli`): an OpenAI-compatible upstream without a model, for tests.
//! - `fault-injection`: a usage filter that can be told to corrupt a stream, a stage and a sink that can be told to fail, for the tests of this
//!   crate alone.

pub mod admin;
pub mod allow;
pub mod app;
pub mod background;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod conversation;
#[cfg(feature = "cli")]
pub mod demo;
mod descriptors;
pub mod dialect;
mod disk;
pub mod exchange;
#[cfg(feature = "cli")]
pub mod explain;
pub mod http1;
mod idle;
pub mod log;
pub mod memory;
pub mod message;
pub mod observe;
pub mod otel;
pub mod otlp;
pub mod outbound;
pub mod parse;
pub mod pipeline;
pub mod prices;
pub mod proxy;
pub mod redact;
pub mod semconv;
pub mod serve;
#[cfg(feature = "simulate")]
pub mod simulate;
pub mod sink;
pub mod state;
pub mod store;
pub mod tap;
pub mod tee;
pub mod tls;
pub mod tokenizer;
#[cfg(feature = "cli")]
pub mod top;
pub mod upstream;
pub mod version;
pub mod view;
mod workers;
