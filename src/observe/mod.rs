//! To be written.

use std::time::Duration;

pub mod decode;

/// What the observer can be told.
#[derive(Debug, Clone)]
pub struct Config {
    /// A gap between two events with output that is longer than this is a stall. Default 1 s.
    pub stall_threshold: Duration,
    /// Most bytes of one exchange that wait to be observed; beyond it frames are passed on unseen and counted.
    /// Default 16 MiB.
    pub queue_bytes: usize,
    /// Longest event or body that is read for facts, in bytes, after decoding. Default 8 MiB.
    pub inspect_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            stall_threshold: Duration::from_secs(1),
            queue_bytes: 16 << 20,
            inspect_bytes: 8 << 20,
        }
    }
}
