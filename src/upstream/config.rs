//! What an upstream can be told: where it is, whose key it sees, how long it may take.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use super::tls::UpstreamTls;
use crate::outbound::ForwardProxy;

/// One upstream.
#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    /// Its name, in routes and on metrics.
    pub name: Arc<str>,
    /// What would stand in `OPENAI_BASE_URL`: scheme, host, optional port, optional path; no query.
    pub url: Uri,
    /// Whose models these are, as telemetry names it (`gen_ai.provider.name`). A configuration that is loaded fills it in where
    /// the host says it; left absent it is what the upstream says of itself.
    pub provider: Option<Arc<str>>,
    /// Whose key the upstream sees.
    pub key: Key,
    /// Headers set on every request to it, over the client's.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// HTTP version towards it.
    pub http: HttpVersion,
    /// By which way connections to it go.
    pub via: Via,
    /// Whom we trust to be it, and how we prove who we are.
    pub tls: UpstreamTls,
    /// Limit for connecting, TLS included. Default 10 s.
    pub connect_timeout: Duration,
    /// Limit for the response head, from when a request that has been read begins to go out, connecting included, or from
    /// when the last of one that is passed on as it comes was read; `None` for none. Default 10 min.
    pub first_byte_timeout: Option<Duration>,
    /// Limit between two frames of a request body that the upstream takes while it is passed on as it comes; `None` for
    /// none. Default 60 s.
    pub send_timeout: Option<Duration>,
    /// Limit between two frames of the response body; `None` for none. Default 10 min.
    pub idle_timeout: Option<Duration>,
    /// What is kept of connections that are not in use.
    pub keep_alive: KeepAlive,
    /// Overrides the proxy's own `inject_usage` for this upstream.
    pub inject_usage: Option<bool>,
}

impl UpstreamConfig {
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
            via: Via::Environment(None),
            tls: UpstreamTls::default(),
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Some(Duration::from_secs(600)),
            send_timeout: Some(Duration::from_secs(60)),
            idle_timeout: Some(Duration::from_secs(600)),
            keep_alive: KeepAlive::default(),
            inject_usage: None,
        }
    }

    /// Every value of a header field that is a credential of ours.
    pub fn credentials(&self) -> impl Iterator<Item = &HeaderValue> {
        let own = match &self.key {
            Key::PassThrough => None,
            Key::Own(own) => Some(&own.value),
        };
        let headers = self.headers.iter().map(|(_, value)| value);
        own.into_iter()
            .chain(headers)
            .filter(|value| value.is_sensitive())
    }
}

/// What is kept of connections to an upstream that are not in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// How long a connection of HTTP/1.1 is kept, where the upstream's `Keep-Alive` does not say less. Default 4 s: uvicorn,
    /// and with it vLLM, closes after 5 s, and a request on the way then is lost.
    pub http1: Duration,
    /// How long a connection of HTTP/2 is kept. Default 55 s: load balancers commonly close after 60 s. A request that is on
    /// the way then is known not to have been processed, and sent again.
    pub http2: Duration,
    /// How many connections of HTTP/1.1 each worker keeps; zero keeps none. Default 128.
    pub connections: usize,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self {
            http1: Duration::from_secs(4),
            http2: Duration::from_secs(55),
            connections: 128,
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

/// By which way connections to an upstream go.
#[derive(Debug, Clone)]
pub enum Via {
    /// As `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say, which a configuration that is loaded has looked up; left
    /// absent it is direct.
    Environment(Option<ForwardProxy>),
    /// None but the network.
    Direct,
    /// By this proxy, whatever the host.
    Proxy(ForwardProxy),
}

impl Via {
    /// The proxy; `None` for direct connections.
    #[must_use]
    pub const fn proxy(&self) -> Option<&ForwardProxy> {
        match self {
            Self::Environment(proxy) => proxy.as_ref(),
            Self::Direct => None,
            Self::Proxy(proxy) => Some(proxy),
        }
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
