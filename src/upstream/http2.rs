//! HTTP/2 towards an upstream: connections that many requests share (RFC 9113).
//!
//! A request takes a place on a connection, and gives it back when its response is over. What is shared, the connection's
//! windows and the count of its streams, is so divided that no request waits for another one's client.

mod connection;
mod exchange;
mod frames;
mod pool;
mod sending;

pub(super) use exchange::{Exchange, ResponseBody, Unanswered, Unsent};
pub(super) use pool::{Granted, Pool};
pub(super) use sending::upload_of;
