//! What the integration tests stand on: both ends of a connection as raw bytes, an OTLP receiver, and the real binary.
//!
//! Everything listens on port 0 and waits for conditions; [`within`] puts one deadline on every wait, so that a promise
//! that is broken fails with a sentence rather than hangs.

pub(crate) mod admin;
pub(crate) mod client;
pub(crate) mod coding;
pub(crate) mod collector;
pub(crate) mod exposition;
pub(crate) mod file;
pub(crate) mod flood;
pub(crate) mod forward_proxy;
pub(crate) mod gauge;
pub(crate) mod http1;
pub(crate) mod listener;
pub(crate) mod multiplexed;
pub(crate) mod origin;
pub(crate) mod otlp;
pub(crate) mod process;
pub(crate) mod relay;
pub(crate) mod replay;
pub(crate) mod scene;
pub(crate) mod terminal;
pub(crate) mod tls;
pub(crate) mod upstream;
pub(crate) mod websocket;

use std::time::Duration;

/// Longest time any condition may take to come true, on a machine with ten times as much to do as it can. Only a failing test
/// ever waits so long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// Waits for `future`, or fails the test naming what did not happen.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {DEADLINE:?} in vain for {what}"),
    }
}
