//! HTTP/1.1 connections, both sides, driven in place by whoever waits for them (RFC 9112).
//!
//! A connection is no task of its own and has no buffer of its own while it waits, but for one of a chunk's size: what
//! arrives is read into a buffer of the thread, decoded there, and leaves as one frame per read; what goes out is put
//! together where it is short, a head with the first frames of its body, and written from where it lies where it is long.
//! That is what an open stream costs so little for, and a chunk: one read and one write.
//!
//! Heads keep the order and the spelling of their fields, bodies their trailers. It knows bytes and
//! messages; which fields cross a proxy, and what a request is for, it does not know.

mod client;
mod coding;
mod connection;
pub mod head;
mod occupancy;
mod outgoing;
mod output;
mod patience;
mod peer;
mod pool;
mod server;
mod trust;
mod upgrade;
mod wire;

pub use client::{ResponseBody, Sent, Unanswered, Unsent};
pub use coding::{Unchunked, unchunk};
pub use connection::Connection;
pub use head::HeadError;
pub use occupancy::{IdleSince, Occupancy};
pub use peer::Peer;
pub use pool::{Keep, Pool};
pub use server::{RefusedHead, RequestBody, Service, serve};
pub use trust::Trust;
pub use upgrade::{OnUpgrade, Upgraded};
