//! The file: settings, then upstreams, then the routes between them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use http::Uri;
use toml::de::{DeTable, DeValue};

use super::Config;
use super::document::{Document, Walk};
use super::environment::Environment;
use super::problem::{Place, Problem, Wrong, nearest};
use super::route::{ROUTE, RouteDraft};
use super::settings::{APART, SETTINGS};
use super::upstream::{UPSTREAM, UpstreamDraft};
use super::value::kind;
use crate::observe::ContentRules;
use crate::proxy::Route;
use crate::upstream::UpstreamConfig;

/// The header of the tables in which a key stands that does not stand at the top.
fn header_of(key: &str, is_table: bool) -> Option<&'static str> {
    let is = |path: &str| match path.split_once('.') {
        Some((group, _)) => is_table && group == key,
        None => path == key,
    };
    if UPSTREAM.iter().any(|setting| is(setting.path)) {
        return Some("[[upstream]]");
    }
    let is_of_route = ROUTE.iter().any(|setting| is(setting.path));
    is_of_route.then_some("[[route]]")
}

/// Reads one file.
pub(super) struct FileReader<'a> {
    pub(super) document: Document<'a>,
    pub(super) environment: &'a Environment,
    /// URL by flag or variable, in place of that of a single `[[upstream]]`.
    pub(super) url: Option<(Place, Uri)>,
    pub(super) problems: &'a mut Vec<Problem>,
    /// Names of the variables that upstreams' keys are read from.
    pub(super) referenced: &'a mut BTreeSet<String>,
}

impl FileReader<'_> {
    /// Reads everything that the file says into `config`.
    pub(super) fn read(&mut self, config: &mut Config) {
        let Some(root) = self.document.parse(self.problems) else {
            return;
        };
        let walk = Walk {
            document: self.document,
            scope: "",
            settings: SETTINGS,
            apart: APART,
            header_of,
        };
        walk.read(&root, config, self.problems);
        config.sources.note_file(&root, SETTINGS);
        let mut names = Vec::new();
        let mut content = ContentRules::clone(&config.observe.content);
        let tables = self.tables(&root, "upstream");
        if !tables.is_empty() {
            config.proxy.upstreams = self.upstreams(&tables, &mut names, &mut content);
        } else {
            names.extend(
                config
                    .proxy
                    .upstreams
                    .iter()
                    .map(|upstream| Arc::clone(&upstream.name)),
            );
        }
        let routes = self.tables(&root, "route");
        config.proxy.routes = self.routes(&routes, &names, &mut content);
        config.observe.content = Arc::new(content);
        if let ([_, (second, _), ..], true) = (tables.as_slice(), routes.is_empty()) {
            let message = "expected at least one [[route]], since there are several upstreams";
            self.push("upstream", second, message);
        }
    }

    /// The tables of an array of tables, each with where it stands.
    fn tables<'t>(
        &mut self,
        root: &'t DeTable<'t>,
        key: &str,
    ) -> Vec<(Range<usize>, &'t DeTable<'t>)> {
        let Some(value) = root.get(key) else {
            return Vec::new();
        };
        let tables = value.get_ref().as_array().and_then(|array| {
            let table = |item: &'t toml::Spanned<DeValue<'t>>| {
                Some((item.span(), item.get_ref().as_table()?))
            };
            array.iter().map(table).collect()
        });
        tables.unwrap_or_else(|| {
            self.push(
                key,
                &value.span(),
                format!(
                    "expected tables, each under [[{key}]], found {}",
                    kind(value.get_ref())
                ),
            );
            Vec::new()
        })
    }

    fn upstreams(
        &mut self,
        tables: &[(Range<usize>, &DeTable<'_>)],
        names: &mut Vec<Arc<str>>,
        content: &mut ContentRules,
    ) -> Vec<UpstreamConfig> {
        let mut upstreams = Vec::new();
        for (span, table) in tables {
            let draft = self.upstream(span, table);
            let name = Arc::clone(&draft.upstream.name);
            if !name.is_empty() && names.contains(&name) {
                self.push_at(
                    "upstream",
                    "name",
                    span,
                    table,
                    format!("expected another name: {name} is already in use"),
                );
            }
            names.push(name);
            self.referenced.extend(draft.key_env.clone());
            let policy = draft
                .content
                .map(|policy| (Arc::clone(&draft.upstream.name), policy));
            content.upstreams.extend(policy);
            match draft.finish(self.environment) {
                Ok(upstream) => upstreams.push(upstream),
                Err(wrong) => {
                    for (key, Wrong { message, .. }) in wrong {
                        self.push_at("upstream", key, span, table, message);
                    }
                }
            }
        }
        self.replace_url(&mut upstreams, names);
        upstreams
    }

    fn upstream(&mut self, span: &Range<usize>, table: &DeTable<'_>) -> UpstreamDraft {
        let mut draft = UpstreamDraft::new();
        let walk = Walk {
            document: self.document,
            scope: "upstream.",
            settings: UPSTREAM,
            apart: &[],
            header_of: |_, _| None,
        };
        walk.read(table, &mut draft, self.problems);
        if !table.contains_key("name") {
            self.push(
                "upstream.name",
                span,
                "missing, expected the name for routes and metrics",
            );
        }
        if !table.contains_key("url") && self.url.is_none() {
            self.push(
                "upstream.url",
                span,
                "missing, expected the base URL that a client would have in OPENAI_BASE_URL",
            );
        }
        draft
    }

    /// A URL by flag or variable takes the place of that of a single upstream; which of several it means is unknown.
    fn replace_url(&mut self, upstreams: &mut [UpstreamConfig], names: &[Arc<str>]) {
        let Some((place, url)) = &self.url else {
            return;
        };
        match upstreams {
            [only] if names.len() == 1 => only.url.clone_from(url),
            _ if names.len() > 1 => self.problems.push(Problem {
                place: place.clone(),
                key: String::from("upstream"),
                value: Some(url.to_string()),
                message: format!(
                    "expected no URL here, since {} has several upstreams ({}); set it there",
                    self.document.path.display(),
                    names.join(", ")
                ),
            }),
            _ => {}
        }
    }

    fn routes(
        &mut self,
        tables: &[(Range<usize>, &DeTable<'_>)],
        names: &[Arc<str>],
        content: &mut ContentRules,
    ) -> Vec<Route> {
        let mut routes: Vec<Route> = Vec::new();
        for (span, table) in tables {
            let draft = self.route(span, table);
            let upstream = &draft.route.upstream;
            if !upstream.is_empty() && !names.contains(upstream) {
                // An upstream whose name is wrong has none here.
                let mut known: Vec<&str> = Vec::new();
                for name in names.iter().map(|name| &**name) {
                    if !name.is_empty() && !known.contains(&name) {
                        known.push(name);
                    }
                }
                let near = nearest(upstream, known.iter().copied());
                let meant = near.map(|near| format!(", did you mean {near}"));
                let expected = match known.is_empty() {
                    true => String::new(),
                    false => format!(", expected one of {}", known.join(", ")),
                };
                let meant = meant.unwrap_or_default();
                let message = format!("unknown upstream {upstream}{meant}{expected}");
                self.push_at("route", "upstream", span, table, message);
            }
            if routes.iter().any(matches_everything) {
                self.push(
                    "route",
                    span,
                    "never reached: an earlier route has no conditions and takes every request",
                );
            }
            let policy = draft.content;
            match draft.finish() {
                Ok(route) => {
                    content
                        .routes
                        .extend(policy.map(|policy| (routes.len(), policy)));
                    routes.push(route);
                }
                Err(Wrong { message, .. }) => self.push_at("route", "header", span, table, message),
            }
        }
        routes
    }

    fn route(&mut self, span: &Range<usize>, table: &DeTable<'_>) -> RouteDraft {
        let mut draft = RouteDraft::new();
        let walk = Walk {
            document: self.document,
            scope: "route.",
            settings: ROUTE,
            apart: &[],
            header_of: |_, _| None,
        };
        walk.read(table, &mut draft, self.problems);
        if !table.contains_key("upstream") {
            self.push(
                "route.upstream",
                span,
                "missing, expected the name of an upstream",
            );
        }
        draft
    }

    fn push(&mut self, key: &str, span: &Range<usize>, message: impl Into<String>) {
        let problem = self.document.problem(key, span, message);
        self.problems.push(problem);
    }

    /// Reports a key of a table where the first part of it stands, or the table where it does not.
    fn push_at(
        &mut self,
        table_key: &str,
        key: &str,
        span: &Range<usize>,
        table: &DeTable<'_>,
        message: impl Into<String>,
    ) {
        let first = key.split('.').next().unwrap_or(key);
        let span = table
            .get_key_value(first)
            .map_or_else(|| span.clone(), |(key, _)| key.span());
        self.push(&format!("{table_key}.{key}"), &span, message);
    }
}

fn matches_everything(route: &Route) -> bool {
    route.path.is_none() && route.model.is_none() && route.header.is_none()
}
