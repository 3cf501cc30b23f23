//! Which upstream a request goes to: by path, model and header; the first route that matches wins.

use std::io;
use std::sync::Arc;

use http::Uri;

use super::config::{Config, Route};
use super::upstream::Upstream;
use super::usage;
use crate::message::Fields;

/// The routes of a proxy, and its upstreams behind them.
#[derive(Debug)]
pub struct Routes {
    /// In order; never empty.
    routes: Vec<(Route, Arc<Target>)>,
    by_model: bool,
}

/// An upstream with what is remembered of it.
#[derive(Debug)]
pub struct Target {
    /// The upstream.
    pub upstream: Upstream,
    /// Whether streamed completions ask it for usage, and whether it has refused to be asked.
    pub usage: usage::Asking,
}

impl Routes {
    /// Sets up every upstream.
    ///
    /// # Errors
    /// When an upstream cannot be set up, or a route names none of them.
    pub fn new(config: Config) -> io::Result<Self> {
        let mut targets = Vec::new();
        for upstream in config.upstreams {
            let asking = usage::Asking::new(upstream.inject_usage.unwrap_or(config.inject_usage));
            targets.push(Arc::new(Target {
                upstream: Upstream::new(upstream)?,
                usage: asking,
            }));
        }
        let everything = |name| Route {
            path: None,
            model: None,
            header: None,
            upstream: name,
        };
        let mut routes = config.routes;
        if routes.is_empty() {
            routes.extend(
                targets
                    .first()
                    .map(|only| everything(Arc::clone(&only.upstream.config.name))),
            );
        }
        let by_model = routes.iter().any(|route| route.model.is_some());
        let routes = routes
            .into_iter()
            .map(|route| {
                let target = targets
                    .iter()
                    .find(|target| target.upstream.config.name == route.upstream);
                let target = target.ok_or_else(|| {
                    io::Error::other(format!(
                        "a route names the upstream {:?}, which does not exist",
                        route.upstream
                    ))
                })?;
                Ok((route, Arc::clone(target)))
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { routes, by_model })
    }

    /// Whether the model decides about any request.
    #[must_use]
    pub const fn by_model(&self) -> bool {
        self.by_model
    }

    /// The upstream for a request; `None` where no route matches.
    #[must_use]
    pub fn find(&self, uri: &Uri, fields: &Fields, model: Option<&str>) -> Option<&Target> {
        self.routes
            .iter()
            .find(|(route, _)| matches(route, uri, fields, model))
            .map(|(_, target)| &**target)
    }
}

fn matches(route: &Route, uri: &Uri, fields: &Fields, model: Option<&str>) -> bool {
    let path = route
        .path
        .as_deref()
        .is_none_or(|prefix| uri.path().starts_with(prefix));
    let model = route
        .model
        .as_ref()
        .is_none_or(|glob| model.is_some_and(|model| glob.matches(model)));
    let header = route.header.as_ref().is_none_or(|(name, glob)| {
        let mut values = fields.texts(name);
        values.any(|value| glob.matches(value))
    });
    path && model && header
}
