//! What the proxy can be told: upstreams, routes, limits.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use wildmatch::WildMatch;

use super::trace_context::BodyContext;
use crate::allow::{Hosts, Patterns};
use crate::memory::Memory;
use crate::tee::DrainLimits;
use crate::upstream::UpstreamConfig;

/// Configuration of the byte path.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// Where requests can go; never empty, names are unique.
    pub upstreams: Vec<UpstreamConfig>,
    /// Which request goes where; first match wins. Empty with a single upstream, which then takes everything.
    pub routes: Vec<Route>,
    /// Largest request body that is read whole, in bytes, where the usage edit or a route by model needs it. A larger
    /// one streams through unedited. Default 8 MiB.
    pub inspect_bytes: usize,
    /// Bounds the request bodies that are being read whole, of all exchanges; beyond it a body streams through unedited.
    pub memory: Memory,
    /// Limit between two frames of a request body that the client sends; `None` for none. Default 60 s.
    pub client_body: Option<Duration>,
    /// Most answers that are read on at once for clients that have left; beyond it the upstream is cancelled. Default 100.
    pub drained_calls: usize,
    /// Whether streamed completions that did not ask for usage get `stream_options.include_usage`. Default true.
    pub inject_usage: bool,
    /// In which bodies the trace that a request belongs to is looked for. Default those that are read whole anyway.
    pub body_context: BodyContext,
    /// Origins whose pages may have a browser send requests that get a key of ours. Default none but our own.
    pub allowed_origins: Patterns,
    /// Hosts that requests may be for. Default any.
    pub allowed_hosts: Hosts,
    /// How long it holds what was learnt of how an upstream reports the usage of a model; then it is looked at once more.
    /// `None` for as long as the process runs. Default 6 h.
    pub recheck_usage: Option<Duration>,
}

impl Default for ProxyConfig {
    /// One upstream, `default`, at OpenAI.
    fn default() -> Self {
        let url = Uri::from_static("https://api.openai.com/v1");
        Self {
            upstreams: vec![UpstreamConfig::new("default", url)],
            routes: Vec::new(),
            inspect_bytes: 8 << 20,
            memory: Memory::default(),
            client_body: Some(Duration::from_secs(60)),
            drained_calls: 100,
            inject_usage: true,
            body_context: BodyContext::default(),
            allowed_origins: Patterns::default(),
            allowed_hosts: Hosts::Any,
            recheck_usage: Some(Duration::from_secs(6 * 3600)),
        }
    }
}

impl ProxyConfig {
    /// Every value of a header field that is a credential of ours.
    pub fn credentials(&self) -> impl Iterator<Item = &HeaderValue> {
        self.upstreams.iter().flat_map(UpstreamConfig::credentials)
    }
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
    /// What becomes of the upstream's answer when the client leaves. Default [`OnClientLeft::Cancel`].
    pub on_client_left: OnClientLeft,
    /// How far an answer is read that is drained. Default 60 s, and 4 MiB.
    pub drain: DrainLimits,
    /// After so long a silence of the upstream a stream of events gets a line that says nothing; `None` for never, which is the
    /// default.
    pub keep_alive: Option<Duration>,
}

impl Route {
    /// Everything to this upstream, and the answers as they are.
    #[must_use]
    pub fn to(upstream: Arc<str>) -> Self {
        Self {
            path: None,
            model: None,
            header: None,
            upstream,
            on_client_left: OnClientLeft::default(),
            drain: DrainLimits {
                time: Duration::from_secs(60),
                bytes: 4 << 20,
            },
            keep_alive: None,
        }
    }

    /// How far the answer to a client that leaves is read; `None` where it is cancelled.
    pub(super) fn drains(&self) -> Option<DrainLimits> {
        (self.on_client_left == OnClientLeft::Drain).then_some(self.drain)
    }
}

/// What becomes of an upstream's answer when the client leaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnClientLeft {
    /// The upstream is cancelled at once, so that it stops.
    #[default]
    Cancel,
    /// It is read on within limits, for the usage that it reports.
    Drain,
}
