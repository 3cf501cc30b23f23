//! What metrics tell exchanges apart by, and the sets of labels that are made of it.
//!
//! Labels are written from [`Facets`] and from nothing else of an exchange. So whoever has seen the facets of an exchange
//! before knows all its labels, without having them written and compared set by set.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use super::{Attribute, http};
use crate::exchange::{Call, End, Exchange, Upstream, UsageSource};

/// The facts of an exchange that may become labels of its metrics. Each has few values, or is bounded by the sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facets<'a> {
    pub(super) call: Option<Call>,
    pub(super) upstream: Option<Cow<'a, Upstream>>,
    pub(super) request_model: Option<Cow<'a, str>>,
    pub(super) response_model: Option<Cow<'a, str>>,
    /// Tier and fingerprint of a response of the provider `openai`. The conventions ask for them on metrics of that one
    /// only, and others have a fingerprint for each response.
    pub(super) service_tier: Option<Cow<'a, str>>,
    pub(super) system_fingerprint: Option<Cow<'a, str>>,
    /// [`Failure::kind`](crate::exchange::Failure::kind).
    pub(super) failure: Option<Cow<'a, str>>,
    pub(super) end: End,
    pub(super) estimated: bool,
    pub(super) usage_source: Option<UsageSource>,
    pub(super) partial: bool,
    /// As the conventions know it, so that clients cannot invent any.
    pub(super) method: &'static str,
    pub(super) scheme: &'static str,
    pub(super) route: Option<&'static str>,
    pub(super) status: Option<u16>,
    pub(super) version: &'static str,
    /// Status of the attempt whose response the client got.
    pub(super) answer: Option<u16>,
}

impl<'a> Facets<'a> {
    /// Those of an exchange.
    #[must_use]
    pub fn of(exchange: &'a Exchange) -> Self {
        let (http, response) = (&exchange.http, &exchange.response);
        let text = |text: &'a Option<String>| text.as_deref().map(Cow::Borrowed);
        let upstream = exchange.upstream.as_ref();
        let openai = upstream.is_some_and(|upstream| &*upstream.provider == "openai");
        let of_openai = |fact| text(fact).filter(|_| openai);
        let failure = exchange.failure.as_ref();
        let answering = exchange.answering_attempt();
        Self {
            call: exchange.call,
            upstream: upstream.map(Cow::Borrowed),
            request_model: text(&exchange.request.model),
            response_model: text(&response.model),
            service_tier: of_openai(&response.service_tier),
            system_fingerprint: of_openai(&response.system_fingerprint),
            failure: failure.map(|failure| Cow::Borrowed(&*failure.kind)),
            end: exchange.end,
            estimated: exchange.usage.estimated,
            usage_source: exchange.usage_source(),
            partial: exchange.problems.is_partial(),
            method: http::known_method(&http.method),
            scheme: http.scheme,
            route: http.route,
            status: http.status,
            version: http.version,
            answer: answering.and_then(|at| exchange.attempts[at].status),
        }
    }

    /// The same, of no exchange.
    #[must_use]
    pub fn into_owned(self) -> Facets<'static> {
        let owned = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        Facets {
            upstream: self
                .upstream
                .map(|upstream| Cow::Owned(upstream.into_owned())),
            request_model: owned(self.request_model),
            response_model: owned(self.response_model),
            service_tier: owned(self.service_tier),
            system_fingerprint: owned(self.system_fingerprint),
            failure: owned(self.failure),
            call: self.call,
            end: self.end,
            estimated: self.estimated,
            usage_source: self.usage_source,
            partial: self.partial,
            method: self.method,
            scheme: self.scheme,
            route: self.route,
            status: self.status,
            version: self.version,
            answer: self.answer,
        }
    }
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
    }
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
