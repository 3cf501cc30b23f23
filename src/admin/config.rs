//! What the admin port can be told.

use std::fmt;
use std::time::Duration;

use crate::sink::live::HistoryConfig;

/// What the admin port can be told, beside its address.
#[derive(Debug, Clone)]
pub struct AdminConfig {
    /// What a client must show to see anything but probes; `None`: nothing on loopback, and nobody sees anything elsewhere, unless
    /// it is [open](Self::open). Default `None`.
    pub token: Option<Token>,
    /// Whether everybody may see everything, whatever the address. Default false.
    pub open: bool,
    /// Whether `/metrics` needs no token. Default true.
    pub open_metrics: bool,
    /// Where a trace is shown: a URL with `{trace_id}` and `{span_id}` in it. Default `None`.
    pub trace_url: Option<String>,
    /// How much of what has ended is kept in memory.
    pub history: HistoryConfig,
    /// How much of it outlives the process, where there is a folder for it.
    pub kept: KeptConfig,
}

/// How much of the history is kept in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptConfig {
    /// How long; `None`: nothing is kept. Default a day.
    pub age: Option<Duration>,
    /// Most bytes. Default 256 MiB.
    pub bytes: u64,
}

impl Default for KeptConfig {
    fn default() -> Self {
        Self {
            age: Some(Duration::from_secs(24 * 3_600)),
            bytes: 256 << 20,
        }
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            token: None,
            open: false,
            open_metrics: true,
            trace_url: None,
            history: HistoryConfig::default(),
            kept: KeptConfig::default(),
        }
    }
}

/// A secret that a client shows. It is never written anywhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Shortest token, in bytes.
    pub const BYTES_MIN: usize = 16;

    /// A token of at least [`BYTES_MIN`](Self::BYTES_MIN) visible characters of ASCII, as stand in a header field; `None` for others.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits =
            text.len() >= Self::BYTES_MIN && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// Its text.
    #[must_use]
    pub(super) const fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}
