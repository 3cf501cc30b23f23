//! What the proxy layer can be told: upstreams, routes, limits.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use wildmatch::WildMatch;

/// Configuration of the byte path.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where requests can go; never empty, names are unique.
    pub upstreams: Vec<Upstream>,
    /// Which request goes where; first match wins. Empty with a single upstream, which then takes everything.
    pub routes: Vec<Route>,
    /// Largest request body that is read whole, in bytes, where the usage edit or a route by model needs it. A larger
    /// one streams through unedited. Default 8 MiB.
    pub inspect_bytes: usize,
    /// Whether streamed completions that did not ask for usage get `stream_options.include_usage`. Default true.
    pub inject_usage: bool,
}

impl Default for Config {
    /// One upstream, `default`, at OpenAI.
    fn default() -> Self {
        let url = Uri::from_static("https://api.openai.com/v1");
        Self {
            upstreams: vec![Upstream::new("default", url)],
            routes: Vec::new(),
            inspect_bytes: 8 << 20,
            inject_usage: true,
        }
    }
}

impl Config {
    /// Every value of a header field that is a credential of ours.
    pub fn credentials(&self) -> impl Iterator<Item = &HeaderValue> {
        self.upstreams.iter().flat_map(|upstream| {
            let own = match &upstream.key {
                Key::PassThrough => None,
                Key::Own(own) => Some(&own.value),
            };
            let headers = upstream.headers.iter().map(|(_, value)| value);
            own.into_iter()
                .chain(headers)
                .filter(|value| value.is_sensitive())
        })
    }
}

/// One upstream.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Its name, in routes and on metrics.
    pub name: Arc<str>,
    /// What would stand in `OPENAI_BASE_URL`: scheme, host, optional port, optional path; no query.
    pub url: Uri,
    /// Value of `gen_ai.provider.name`; where absent it is told from the host, else `openai`.
    pub provider: Option<Arc<str>>,
    /// Whose key the upstream sees.
    pub key: Key,
    /// Headers set on every request to it, over the client's.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// HTTP version towards it.
    pub http: HttpVersion,
    /// Limit for connecting, TLS included. Default 10 s.
    pub connect_timeout: Duration,
    /// Limit from when the request begins to go out to the response head; `None` for none. Default 10 min.
    pub first_byte_timeout: Option<Duration>,
    /// Limit between two frames of the response body; `None` for none. Default 10 min.
    pub idle_timeout: Option<Duration>,
    /// Overrides [`Config::inject_usage`] for this upstream.
    pub inject_usage: Option<bool>,
}

impl Upstream {
    /// An upstream with every other setting at its default.
    #[must_use]
    pub fn new(name: &str, url: Uri) -> Self {
        Self {
            name: name.into(),
            url,
            provider: None,
            key: Key::PassThrough,
            headers: Vec::new(),
            http: HttpVersion::Auto,
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Some(Duration::from_secs(600)),
            idle_timeout: Some(Duration::from_secs(600)),
            inject_usage: None,
        }
    }
}

/// Whose key an upstream sees.
#[derive(Debug, Clone)]
pub enum Key {
    /// The client's own headers pass untouched.
    PassThrough,
    /// Ours replaces the client's `authorization` and `api-key`.
    Own(Credential),
}

/// A key of ours, read once at start.
#[derive(Clone)]
pub struct Credential {
    /// Where it was read from.
    pub source: CredentialSource,
    /// Header that carries it: `authorization`, or `api-key` for Azure.
    pub header: HeaderName,
    /// The header's whole value (`Bearer …` for `authorization`), marked sensitive.
    pub value: HeaderValue,
}

/// Where a key is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// An environment variable.
    Env(String),
    /// A file, white space around the key ignored.
    File(PathBuf),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("source", &self.source)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// HTTP version towards an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpVersion {
    /// By ALPN on TLS; HTTP/1.1 on plain TCP.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only; on plain TCP with prior knowledge.
    Http2,
}

/// Sends what matches every given condition to one upstream; without conditions it matches everything.
#[derive(Debug, Clone)]
pub struct Route {
    /// The request path starts with this.
    pub path: Option<String>,
    /// The body's `model` matches this glob (`*`, `?`).
    pub model: Option<WildMatch>,
    /// A request header's value matches a glob.
    pub header: Option<(HeaderName, WildMatch)>,
    /// Name of the upstream.
    pub upstream: Arc<str>,
}
