//! `[[route]]`: which request goes to which upstream.

use http::HeaderName;
use wildmatch::WildMatch;

use super::document::Setting;
use super::problem::Wrong;
use super::units::{write_duration, write_size};
use super::value::{Read, set};
use super::write::{quote, word, write_content, write_limit};
use crate::exchange::ContentPolicy;
use crate::proxy::{OnClientLeft, Route};

/// A route whose header condition may be half given.
#[derive(Debug)]
pub(super) struct RouteDraft {
    pub(super) route: Route,
    pub(super) content: Option<ContentPolicy>,
    header_name: Option<HeaderName>,
    header_value: Option<WildMatch>,
}

impl RouteDraft {
    /// No conditions; the upstream is still to come.
    pub(super) fn new() -> Self {
        Self::from(&Route::to("".into()))
    }

    /// The route, its header condition whole.
    pub(super) fn finish(mut self) -> Read<Route> {
        self.route.header = match (self.header_name, self.header_value) {
            (Some(name), Some(value)) => Some((name, value)),
            (None, None) => None,
            _ => return Err(Wrong::hidden("expected both name and value")),
        };
        Ok(self.route)
    }
}

impl From<&Route> for RouteDraft {
    fn from(route: &Route) -> Self {
        let header = route.header.clone();
        Self {
            route: route.clone(),
            content: None,
            header_name: header.as_ref().map(|(name, _)| name.clone()),
            header_value: header.map(|(_, value)| value),
        }
    }
}

pub(super) const ROUTE: &[Setting<RouteDraft>] = &[
    Setting {
        path: "path",
        read: |raw, draft| set(&mut draft.route.path, raw.prefix().map(Some)),
        write: |draft| draft.route.path.as_ref().map(quote),
    },
    Setting {
        path: "model",
        read: |raw, draft| set(&mut draft.route.model, raw.glob().map(Some)),
        write: |draft| draft.route.model.as_ref().map(quote),
    },
    Setting {
        path: "header.name",
        read: |raw, draft| set(&mut draft.header_name, raw.header_name().map(Some)),
        write: |draft| draft.header_name.as_ref().map(quote),
    },
    Setting {
        path: "header.value",
        read: |raw, draft| set(&mut draft.header_value, raw.glob().map(Some)),
        write: |draft| draft.header_value.as_ref().map(quote),
    },
    Setting {
        path: "content",
        read: |raw, draft| set(&mut draft.content, raw.content().map(Some)),
        write: |draft| draft.content.map(write_content),
    },
    Setting {
        path: "upstream",
        read: |raw, draft| set(&mut draft.route.upstream, raw.name()),
        write: |draft| Some(quote(&draft.route.upstream)),
    },
    Setting {
        path: "on_client_left",
        read: |raw, draft| set(&mut draft.route.on_client_left, raw.word(ON_CLIENT_LEFT)),
        write: |draft| word(ON_CLIENT_LEFT, draft.route.on_client_left),
    },
    Setting {
        path: "drain.time",
        read: |raw, draft| set(&mut draft.route.drain.time, raw.span()),
        write: |draft| Some(quote(write_duration(draft.route.drain.time))),
    },
    Setting {
        path: "drain.bytes",
        read: |raw, draft| set(&mut draft.route.drain.bytes, raw.positive_size()),
        write: |draft| Some(quote(write_size(draft.route.drain.bytes))),
    },
    Setting {
        path: "keep_alive",
        read: |raw, draft| set(&mut draft.route.keep_alive, raw.limit()),
        write: |draft| Some(write_limit(draft.route.keep_alive)),
    },
];

const ON_CLIENT_LEFT: &[(&str, OnClientLeft)] = &[
    ("cancel", OnClientLeft::Cancel),
    ("drain", OnClientLeft::Drain),
];
