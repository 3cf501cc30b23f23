//! What is fuzzed, and what must hold.

pub(crate) mod decode;
pub(crate) mod explain;
pub(crate) mod http1;
pub(crate) mod json;
pub(crate) mod observe;
pub(crate) mod query;
pub(crate) mod session;
pub(crate) mod splice;
pub(crate) mod sse;
pub(crate) mod websocket;
