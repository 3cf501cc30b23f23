//! Pure parsers: bytes in, what they spell out, bounded and without a clock, a log or a panic.
//!
//! None knows what the bytes are for. Bad input is a problem that the caller counts; reading goes on after it.

pub mod coding;
pub mod hash;
pub mod json;
pub mod lines;
pub mod multipart;
pub mod outline;
pub mod sse;
pub mod websocket;
