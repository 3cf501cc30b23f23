//! What metrics tell exchanges apart by, and the sets of labels that are made of it.
//!
//! Labels are written from [`Facets`] and from nothing else of an exchange. So whoever has seen the facets of an exchange
//! before knows all its labels, without having them written and compared set by set.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use super::{Attribute, provider};
use crate::exchange::{End, Endpoint, Exchange, Hex, Operation, Upstream};

/// The facts of an exchange that may become labels of its metrics. Each has few values, or is bounded by the sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facets<'a> {
    pub(super) operation: Option<Operation>,
    pub(super) upstream: Option<Cow<'a, Upstream>>,
    pub(super) endpoint: Option<Cow<'a, Endpoint>>,
    pub(super) request_model: Option<Cow<'a, str>>,
    pub(super) response_model: Option<Cow<'a, str>>,
    /// Tier of a response of the provider `openai`; the conventions ask for it on metrics of that one only. They ask for the
    /// fingerprint too, which is none of the facets: it changes with each release of the provider, without bound, says nothing
    /// that a query could select by, and begins all histograms of a model anew. Spans have it.
    pub(super) service_tier: Option<Cow<'a, str>>,
    /// [`Failure::kind`](crate::exchange::Failure::kind).
    pub(super) failure: Option<Cow<'a, str>>,
    pub(super) end: End,
    pub(super) estimated: bool,
    /// As the conventions know it, so that clients cannot invent any.
    pub(super) method: &'static str,
    pub(super) scheme: &'static str,
    pub(super) route: Option<&'static str>,
    pub(super) status: Option<u16>,
    pub(super) version: &'static str,
    /// Status of the attempt whose response the client got.
    pub(super) answer: Option<u16>,
    /// What a user has named beside all that.
    pub(super) told: Vec<(&'static str, Cow<'a, str>)>,
}

impl<'a> Facets<'a> {
    /// Those of an exchange.
    #[must_use]
    pub fn of(exchange: &'a Exchange) -> Self {
        let (http, response) = (&exchange.http, &exchange.response);
        let text = |text: &'a Option<String>| text.as_deref().map(Cow::Borrowed);
        let upstream = exchange.upstream.as_ref();
        let openai = upstream.is_some_and(|upstream| provider::name(upstream) == "openai");
        let failure = exchange.failure.as_ref();
        let answering = exchange.answering_attempt();
        Self {
            operation: exchange.operation,
            upstream: upstream.map(Cow::Borrowed),
            endpoint: exchange.endpoint.as_ref().map(Cow::Borrowed),
            request_model: text(&exchange.request.model),
            response_model: text(&response.model),
            service_tier: text(&response.service_tier).filter(|_| openai),
            failure: failure.map(|failure| Cow::Borrowed(&*failure.kind)),
            end: exchange.end,
            estimated: exchange.usage.estimate.is_there(),
            method: known_method(&http.method),
            scheme: http.scheme,
            route: http.route,
            status: http.status,
            version: http.version,
            answer: answering.and_then(|at| exchange.attempts[at].status),
            told: Vec::new(),
        }
    }

    /// The same with these attributes of the exchange, as far as it has them.
    #[must_use]
    pub fn with(mut self, names: &[&'static str], exchange: &'a Exchange) -> Self {
        let values = names
            .iter()
            .filter_map(|name| Some((*name, told(exchange, name)?.into())));
        self.told.extend(values);
        self
    }

    /// The same, of no exchange.
    #[must_use]
    pub fn into_owned(self) -> Facets<'static> {
        let owned = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        Facets {
            upstream: self
                .upstream
                .map(|upstream| Cow::Owned(upstream.into_owned())),
            endpoint: self
                .endpoint
                .map(|endpoint| Cow::Owned(endpoint.into_owned())),
            request_model: owned(self.request_model),
            response_model: owned(self.response_model),
            service_tier: owned(self.service_tier),
            failure: owned(self.failure),
            operation: self.operation,
            end: self.end,
            estimated: self.estimated,
            method: self.method,
            scheme: self.scheme,
            route: self.route,
            status: self.status,
            version: self.version,
            answer: self.answer,
            told: self
                .told
                .into_iter()
                .map(|(name, value)| (name, Cow::Owned(value.into_owned())))
                .collect(),
        }
    }
}

/// Which key a client sent.
pub const KEY_FINGERPRINT: &str = "streamgauge.key.fingerprint";

/// What a client told under the name of an attribute, or the fingerprint of its key.
#[must_use]
pub fn told<'e>(exchange: &'e Exchange, name: &str) -> Option<&'e str> {
    if name == KEY_FINGERPRINT {
        return exchange.key_fingerprint.as_ref().map(Hex::as_str);
    }
    let mut annotations = exchange.annotations.iter();
    let told = annotations.find(|(known, _)| **known == *name);
    told.map(|(_, value)| value.as_str())
}

impl Hash for Facets<'_> {
    /// Of those that have many values; comparing tells the others apart.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let upstream = self.upstream.as_ref();
        upstream.map(|upstream| &upstream.name).hash(state);
        self.request_model.hash(state);
        self.response_model.hash(state);
        self.failure.hash(state);
        self.status.hash(state);
        self.told.hash(state);
    }
}

/// What an unknown method is called, so that clients cannot invent label values.
pub(super) const OTHER_METHOD: &str = "_OTHER";

/// The method where the conventions know it, else `_OTHER`.
pub(super) fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 10] = [
        "POST", "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY",
    ];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or(OTHER_METHOD)
}

/// The upstream's name in the configuration: this label and the next two mean the same on every metric that has them.
pub(super) const UPSTREAM: &str = "upstream";
/// The requested model.
pub(super) const MODEL: &str = "model";
/// The route of the API; the conventions' own name for it.
pub(super) const ROUTE: &str = "http.route";

/// The model that answered, and the fingerprint of what did: the conventions' own names.
pub(super) const RESPONSE_MODEL: &str = "gen_ai.response.model";
pub(super) const RESPONSE_SYSTEM_FINGERPRINT: &str = "openai.response.system_fingerprint";

/// The label of an upstream of that name.
#[must_use]
pub fn upstream_label(name: &str) -> Attribute<'static> {
    (UPSTREAM, name.to_owned().into())
}

/// Adds the upstream, where a route took the request.
pub(super) fn push_upstream<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    let upstream = facets.upstream.as_ref();
    labels.extend(upstream.map(|upstream| (UPSTREAM, (&*upstream.name).into())));
}

/// Adds the requested model, where it is known.
pub(super) fn push_model<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    let model = facets.request_model.as_deref();
    labels.extend(model.map(|model| (MODEL, model.into())));
}

/// Adds what a user has named.
pub(super) fn push_told<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    let told = facets.told.iter();
    labels.extend(told.map(|(name, value)| (*name, (&**value).into())));
}

/// A label whose values are known beforehand.
pub type Label = (&'static str, &'static str);

/// A set of labels: writes what facets have for them, keys distinct. Two are the same where they are one `static`.
#[derive(Debug)]
pub struct Labels(pub(super) Write);

type Write = for<'f> fn(&'f Facets<'_>, &mut Vec<Attribute<'f>>);

impl Labels {
    /// The labels for these facets, and one more.
    #[must_use]
    pub fn of<'f>(&self, facets: &'f Facets<'_>, by: Option<Label>) -> Vec<Attribute<'f>> {
        let mut labels = Vec::with_capacity(10);
        (self.0)(facets, &mut labels);
        labels.extend(by.map(|(key, value)| (key, value.into())));
        labels
    }
}
