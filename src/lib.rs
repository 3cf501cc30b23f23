//! A transparent, OpenAI-compatible reverse proxy that measures every call.
//!
//! ```text
//! client ──request bytes──▶ listener ─▶ route ─▶ forward ──▶ upstream
//! client ◀── usage filter ◀── tee ◀──────────────────────── upstream        the byte path
//!                              │ (time, frame)
//!                              ▼
//!               observer: sse framing ─▶ dialect (pure) ─▶ Exchange, when it ends
//!                                                             │
//!                        vocabulary (names, units) ─▶ sinks: traces · metrics · live page
//! ```
//!
//! Data flows one way: nothing after the tee can change, delay or fail what the client sees. [`proxy`] and [`observe`]
//! both know [`tee`], and never each other. Which room may import which is checked by a test.

pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
pub mod demo;
pub mod dialect;
pub mod exchange;
pub mod explain;
pub mod http1;
pub mod json;
pub mod log;
pub mod message;
pub mod observe;
pub mod otel;
pub mod proxy;
pub mod semconv;
pub mod simulate;
pub mod sink;
pub mod sse;
pub mod tee;
pub mod tokenizer;
pub mod websocket;
