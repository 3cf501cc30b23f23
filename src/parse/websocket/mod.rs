//! WebSocket: the bytes of one direction of a connection in, its messages out.
//!
//! Governing text: RFC 6455 for frames, RFC 7692 for compression. A push parser as `sse` is: it keeps its own state, cannot
//! fail its caller, and holds no more than one message, up to a bound. It reads and never writes, so it does not ask what a
//! peer would have to refuse (a client that does not mask, text that is no UTF-8), only what it takes to find the next
//! message. It knows nothing of JSON, HTTP, clocks and tasks.

mod frame;
mod inflate;
mod reader;

pub use inflate::Extensions;
pub use reader::{Message, Reader};

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The one that asked for it.
    Client,
    /// The one that was asked.
    Server,
}

#[cfg(test)]
mod tests;
