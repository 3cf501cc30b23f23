//! Which upstream a request goes to: by path, model and header; the first route that matches wins.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::config::{ProxyConfig, Route};
use super::usage;
use crate::message::{Fields, Target};
use crate::upstream::Upstream;

/// The routes of a proxy, and its upstreams behind them.
#[derive(Debug)]
pub struct Routes {
    /// In order; never empty.
    routes: Vec<(Route, Arc<Destination>)>,
    by_model: bool,
    decides: Arc<str>,
}

/// An upstream with what is remembered of it.
#[derive(Debug)]
pub struct Destination {
    /// The upstream.
    pub upstream: Upstream,
    /// Whether it is sent a credential of ours, which not every page may use that a browser shows.
    pub has_own_key: bool,
    /// Places for answers that are read on for clients that have left, of all upstreams.
    pub drains: Arc<Semaphore>,
    /// Whether streamed completions ask it for usage, and what is known of its answers.
    pub usage: Arc<usage::Asking>,
}

impl Routes {
    /// Sets up every upstream.
    ///
    /// # Errors
    /// When an upstream cannot be set up, or a route names none of them.
    pub fn new(config: ProxyConfig) -> io::Result<Self> {
        let mut targets = Vec::new();
        let places = config.drained_calls.min(Semaphore::MAX_PERMITS);
        let drains = Arc::new(Semaphore::new(places));
        for upstream in config.upstreams {
            let has_own_key = upstream.credentials().next().is_some();
            let wanted = upstream.inject_usage.unwrap_or(config.inject_usage);
            let name = Arc::clone(&upstream.name);
            let asking = usage::Asking::new(name, wanted, config.recheck_usage);
            targets.push(Arc::new(Destination {
                upstream: Upstream::new(upstream)?,
                usage: Arc::new(asking),
                drains: Arc::clone(&drains),
                has_own_key,
            }));
        }
        let mut routes = config.routes;
        if routes.is_empty() {
            routes.extend(
                targets
                    .first()
                    .map(|only| Route::to(Arc::clone(&only.upstream.config.name))),
            );
        }
        let by_model = routes.iter().any(|route| route.model.is_some());
        let decides = decides(&routes).into();
        let routes = routes
            .into_iter()
            .map(|route| {
                let target = targets
                    .iter()
                    .find(|target| target.upstream.config.name == route.upstream);
                let target = target.ok_or_else(|| {
                    let known: Vec<&str> = targets
                        .iter()
                        .map(|target| &*target.upstream.config.name)
                        .collect();
                    io::Error::other(format!(
                        "a route names the unknown upstream {}, expected one of {}",
                        route.upstream,
                        known.join(", ")
                    ))
                })?;
                Ok((route, Arc::clone(target)))
            })
            .collect::<io::Result<_>>()?;
        Ok(Self {
            routes,
            by_model,
            decides,
        })
    }

    /// Every upstream that a route leads to, once.
    pub fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        let all = self.routes.iter().map(|(_, target)| target);
        let is_first = |(at, target): &(usize, &Arc<Destination>)| {
            let before = &self.routes[..*at];
            !before.iter().any(|(_, other)| Arc::ptr_eq(other, target))
        };
        let once = all.enumerate().filter(is_first);
        once.map(|(_, target)| &target.upstream)
    }

    /// Whether the model decides about any request.
    #[must_use]
    pub const fn by_model(&self) -> bool {
        self.by_model
    }

    /// What the routes look at, in words.
    #[must_use]
    pub fn decides(&self) -> Arc<str> {
        Arc::clone(&self.decides)
    }

    /// Whether some model would have a route, with all else as it is.
    #[must_use]
    pub fn depends_on_model(&self, target: &Target, fields: &Fields) -> bool {
        let mut routes = self.routes.iter().map(|(route, _)| route);
        routes.any(|route| matches_apart_from_model(route, target, fields))
    }

    /// The route of a request with its upstream, and its place among the routes; `None` where none matches.
    #[must_use]
    pub fn find(
        &self,
        target: &Target,
        fields: &Fields,
        model: Option<&str>,
    ) -> Option<(usize, &(Route, Arc<Destination>))> {
        let mut routes = self.routes.iter().enumerate();
        routes.find(|(_, (route, _))| matches(route, target, fields, model))
    }
}

/// What any of the routes looks at: `path`, `model` and the names of header fields, each once.
fn decides(routes: &[Route]) -> String {
    let path = routes.iter().any(|route| route.path.is_some());
    let model = routes.iter().any(|route| route.model.is_some());
    let headers = routes.iter().filter_map(|route| route.header.as_ref());
    let headers: BTreeSet<String> = headers.map(|(name, _)| format!("header {name}")).collect();
    let conditions = [(path, "path"), (model, "model")];
    let named = conditions.into_iter().filter(|(used, _)| *used);
    let named = named.map(|(_, name)| name.to_owned());
    named.chain(headers).collect::<Vec<_>>().join(", ")
}

fn matches(route: &Route, target: &Target, fields: &Fields, model: Option<&str>) -> bool {
    let model = route
        .model
        .as_ref()
        .is_none_or(|glob| model.is_some_and(|model| glob.matches(model)));
    model && matches_apart_from_model(route, target, fields)
}

fn matches_apart_from_model(route: &Route, target: &Target, fields: &Fields) -> bool {
    let path = route
        .path
        .as_deref()
        .is_none_or(|prefix| target.path().starts_with(prefix));
    let header = route.header.as_ref().is_none_or(|(name, glob)| {
        let mut values = fields.texts(name);
        values.any(|value| glob.matches(value))
    });
    path && header
}
