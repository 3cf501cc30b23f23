//! The page's own files, as they are in the program.
//!
//! A browser asks each time whether it has the newest, and mostly has.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use ring::digest::{SHA256, digest};

use super::AdminState;

/// A file: where it is, and its content.
struct File {
    path: &'static str,
    /// By which its type is known.
    name: &'static str,
    content: &'static [u8],
}

/// Files, by their paths on the admin port.
macro_rules! files {
    ($($path:literal => $name:literal),+ $(,)?) => {
        [$(File { path: $path, name: $name, content: include_bytes!($name) }),+]
    };
}

/// Every file of the page.
static FILES: &[File] = &files![
    "/" => "page/index.html",
    "/page/api.js" => "page/api.js",
    "/page/app.js" => "page/app.js",
    "/page/base.css" => "page/base.css",
    "/page/conversation.js" => "page/conversation.js",
    "/page/conversations.js" => "page/conversations.js",
    "/page/dom.js" => "page/dom.js",
    "/page/exchange.js" => "page/exchange.js",
    "/page/exchanges.js" => "page/exchanges.js",
    "/page/folded.js" => "page/folded.js",
    "/page/format.js" => "page/format.js",
    "/page/gauge.js" => "page/gauge.js",
    "/page/heatmap.js" => "page/heatmap.js",
    "/page/lanes.js" => "page/lanes.js",
    "/page/latency.js" => "page/latency.js",
    "/page/live.js" => "page/live.js",
    "/page/now.js" => "page/now.js",
    "/page/parts.js" => "page/parts.js",
    "/page/query.js" => "page/query.js",
    "/page/rows.js" => "page/rows.js",
    "/page/series.js" => "page/series.js",
    "/page/table.js" => "page/table.js",
    "/page/theme.js" => "page/theme.js",
    "/page/timeline.js" => "page/timeline.js",
    "/page/uplot.LICENSE" => "page/uplot.LICENSE",
    "/page/uplot.css" => "page/uplot.css",
    "/page/uplot.js" => "page/uplot.js",
    "/page/views.css" => "page/views.css",
];

/// Types of files by the ends of their names; any other is text.
const KINDS: [(&str, &str); 3] = [
    (".html", "text/html; charset=utf-8"),
    (".css", "text/css; charset=utf-8"),
    (".js", "text/javascript; charset=utf-8"),
];
const TEXT: &str = "text/plain; charset=utf-8";

pub(super) fn routes() -> Router<AdminState> {
    FILES.iter().fold(Router::new(), |router, file| {
        let tag = tag(file.content);
        router.route(
            file.path,
            get(async move |headers: HeaderMap| file.answer(&tag, &headers)),
        )
    })
}

impl File {
    fn kind(&self) -> &'static str {
        let known = KINDS.iter().find(|(end, _)| self.name.ends_with(end));
        known.map_or(TEXT, |(_, kind)| kind)
    }

    fn answer(&self, tag: &str, headers: &HeaderMap) -> Response {
        let known = headers.get(IF_NONE_MATCH).and_then(|it| it.to_str().ok());
        let is_known = |known: &str| known.split(',').any(|known| same(known.trim(), tag));
        let about = [(ETAG, tag), (CACHE_CONTROL, "no-cache")];
        if known.is_some_and(is_known) {
            return (StatusCode::NOT_MODIFIED, about).into_response();
        }
        (about, [(CONTENT_TYPE, self.kind())], self.content).into_response()
    }
}

/// Compression makes a weak tag of a strong one, which is of the same file.
fn same(known: &str, tag: &str) -> bool {
    known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
}

fn tag(content: &[u8]) -> String {
    let hash = digest(&SHA256, content);
    let digits = hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}"));
    format!("\"{}\"", digits.collect::<String>())
}
