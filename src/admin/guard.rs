//! What holds for every answer of the admin port: allowed hosts, security headers, compression, limits, and words where
//! something is wrong.
//!
//! Of paths it knows few: what is wrong is said as text, and below `/api` as the API says it. There every answer has the version,
//! refusals too: a client learns from it that this is an admin port before it shows a token. So have the probes, that nobody takes an
//! upstream's answer for one.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http_body::Body as _;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use super::api::{VERSION, VERSION_HEADER, Wrong};
use crate::allow::Hosts;

/// Sent with every answer: no sniffing, no framing, nothing loaded from elsewhere.
const SECURITY: [(HeaderName, HeaderValue); 5] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
];

/// Longest time until an answer begins. Scrapes that wait for their turn count too.
const ANSWER: Duration = Duration::from_secs(30);
/// Most bytes of a request's body. Nothing here reads one.
const BODY_MAX: usize = 64 << 10;
/// Smaller answers are not compressed: they fit into one packet as they are.
const COMPRESSED_MIN: u16 = 1 << 10;

/// Routes with all of it around them.
pub(super) fn around(routes: Router, hosts: Arc<Hosts>) -> Router {
    // The quickest level makes a scrape 25 times smaller, in 30 µs for a piece of it; the usual one takes six times as long
    // for a third less.
    let compression = CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        // Events are to go out as they come.
        .compress_when(SizeAbove::new(COMPRESSED_MIN).and(NotForContentType::SSE));
    let timeout = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, ANSWER);
    // The last is the outermost.
    let guarded = routes
        .layer(RequestBodyLimitLayer::new(BODY_MAX))
        .layer(timeout)
        .layer(from_fn_with_state(hosts, allowed))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(in_words))
        .layer(compression);
    // What is kept says so itself.
    let no_store = HeaderValue::from_static("no-store");
    let guarded = guarded.layer(SetResponseHeaderLayer::if_not_present(
        header::CACHE_CONTROL,
        no_store,
    ));
    SECURITY.into_iter().fold(guarded, |router, (name, value)| {
        router.layer(SetResponseHeaderLayer::overriding(name, value))
    })
}

/// Lets a request through that is for an allowed host.
async fn allowed(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    if is_for_any_of(&hosts, &request) {
        return next.run(request).await;
    }
    StatusCode::MISDIRECTED_REQUEST.into_response()
}

/// A page of another site would be for that site's. What names no host is no browser's.
fn is_for_any_of(hosts: &Hosts, request: &Request) -> bool {
    let named = request.uri().authority();
    let field = || {
        let host = request.headers().get(header::HOST)?;
        Some(host.to_str().unwrap_or_default())
    };
    let host = named.map(|authority| authority.as_str()).or_else(field);
    host.is_none_or(|host| hosts.allow(host))
}

/// Says what is wrong where an answer only has a status, or, below `/api`, says it in another form than the API does.
async fn in_words(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let of_api = path == "/api" || path.starts_with("/api/");
    let is_probe = matches!(path, "/healthz" | "/readyz");
    let mut response = worded(next.run(request).await, of_api);
    if of_api || is_probe {
        response.headers_mut().insert(VERSION_HEADER, VERSION);
    }
    response
}

fn worded(response: Response, of_api: bool) -> Response {
    let Some(words) = words(response.status()) else {
        return response;
    };
    let is_silent = response.body().size_hint().exact() == Some(0);
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_json = kind.is_some_and(|kind| kind == "application/json");
    let mut said = match of_api {
        true if !is_json => Wrong::new(response.status(), words).into_response(),
        false if is_silent => (response.status(), format!("{words}\n")).into_response(),
        _ => return response,
    };
    // Such as `allow`.
    for (name, value) in response.headers() {
        if name != header::CONTENT_LENGTH && !said.headers().contains_key(name) {
            said.headers_mut().append(name, value.clone());
        }
    }
    said
}

/// What a status means here; `None` where it says nothing wrong, or its own answers say what.
const fn words(status: StatusCode) -> Option<&'static str> {
    Some(match status {
        StatusCode::NOT_FOUND => {
            "not found: the admin port serves /, /metrics, /healthz, /readyz and /api"
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            "method not allowed: the admin port supports GET and HEAD only"
        }
        StatusCode::PAYLOAD_TOO_LARGE => "payload too large: no request here has a body",
        StatusCode::MISDIRECTED_REQUEST => {
            "misdirected request: use localhost or the IP address, or add this name to allow.admin_hosts"
        }
        StatusCode::SERVICE_UNAVAILABLE => "timed out: no response within 30 s",
        StatusCode::INTERNAL_SERVER_ERROR => {
            "internal error: the request failed; see the log for the reason"
        }
        _ => return None,
    })
}

/// The answer where there would have been none.
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(panic = message, "a request to the admin port failed");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use axum::routing::get;
    use tokio::time::Instant;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(path: &str) -> (StatusCode, String) {
        let routes = Router::new()
            .route("/late", get(pending::<()>))
            .route(
                "/panics",
                get(async || -> &str { panic!("{} failed", "it") }),
            )
            .route(
                "/busy",
                get(async || (StatusCode::SERVICE_UNAVAILABLE, "busy")),
            );
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = around(routes, Arc::new(Hosts::Any))
            .oneshot(request)
            .await
            .unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1000).await.unwrap();
        (status, String::from_utf8(body.into()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_is_not_waited_for() {
        let begun = Instant::now();
        let (status, text) = ask("/late").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "timed out: no response within 30 s\n");
        assert_eq!(begun.elapsed().as_secs(), ANSWER.as_secs());
        assert!(text.contains(&format!("{ANSWER:?}").replace('s', " s")));
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_too() {
        let (status, text) = ask("/panics").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(text.starts_with("internal error: "), "{text}");
    }

    #[tokio::test]
    async fn an_answer_that_says_something_itself_stays_as_it_is() {
        let (status, text) = ask("/busy").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "busy");
    }
}
