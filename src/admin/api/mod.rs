//! The API of the admin port: what the page and `streamgauge top` show, as JSON.
//!
//! One file for each endpoint. Everything is worked out when somebody asks, on a thread of its own where that takes long. Answers are
//! bounded, and what is wrong with a request is said as JSON, with the parameter and the place in it.

mod asked;
mod conversations;
mod costs;
mod exchanges;
mod gauge;
mod in_flight;
pub mod openapi;
mod stream;
mod summary;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{Semaphore, watch};

use super::AdminState;

pub use gauge::{ConfigEntry, Exporter, Facts, QueueFacts, UpstreamFacts};

/// The header that says which version of the API has answered.
pub const VERSION_HEADER: HeaderName = HeaderName::from_static("streamgauge-api-version");
/// That version.
pub(super) const VERSION: HeaderValue = HeaderValue::from_static("1");

/// All below `/api`; streams end when `stopping` says so.
pub(super) fn routes(stopping: watch::Receiver<bool>) -> Router<AdminState> {
    let streams = stream::Streams::new(stopping);
    Router::new()
        .route("/exchanges", get(exchanges::list))
        .route("/exchanges/{id}", get(exchanges::one))
        .route("/conversations", get(conversations::list))
        .route("/conversations/{id}", get(conversations::one))
        .route("/summary", get(summary::show))
        .route("/in-flight", get(in_flight::show))
        .route("/gauge", get(gauge::show))
        .route(
            "/stream",
            get(move |state, uri, headers| streams.clone().open(state, uri, headers)),
        )
        .route("/costs", get(costs::show))
        .route("/openapi.json", get(async || as_json(&openapi::document())))
        .fallback(async || {
            Wrong::new(
                StatusCode::NOT_FOUND,
                "no such path: /api/openapi.json lists all",
            )
        })
}

/// Why a request is not answered, said as JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    status: StatusCode,
    message: String,
    parameter: Option<&'static str>,
    position: Option<usize>,
}

impl Wrong {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            parameter: None,
            position: None,
        }
    }

    /// A parameter is not as it should be.
    fn parameter(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            parameter: Some(name),
            ..Self::new(StatusCode::BAD_REQUEST, message)
        }
    }

    fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        let error = json!({ "error": {
            "message": self.message,
            "parameter": self.parameter,
            "position": self.position,
        }});
        (self.status, as_json(&error)).into_response()
    }
}

/// An answer.
fn as_json(shown: &impl Serialize) -> Response {
    let text = serde_json::to_string(shown).expect("it has no keys but texts");
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}

/// So many answers are worked out at once; others wait, so that however many ask, most cores are left to the proxy.
const WORKERS: usize = 2;
static TURNS: Semaphore = Semaphore::const_new(WORKERS);

/// Works out an answer on a thread of its own: thousands of exchanges take milliseconds, and the proxy's listener accepts on this one.
async fn worked_out<A>(work: impl FnOnce() -> A + Send + 'static) -> Result<A, Wrong>
where
    A: Send + 'static,
{
    let turn = TURNS.acquire().await.expect("it is never closed");
    let work = move || {
        // Held to the end of the work, which goes on where the client has left.
        let _turn = turn;
        work()
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => Ok(answer),
        Err(failed) => match failed.try_into_panic() {
            // Logged and answered like any other.
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Wrong::new(StatusCode::SERVICE_UNAVAILABLE, "stopping")),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_answer_waits_for_its_turn_and_holds_it_while_it_is_worked_out() {
        let others = TURNS.acquire_many(WORKERS as u32).await.unwrap();
        let (began, begun) = watch::channel(false);
        let mut answer = pin!(worked_out(move || {
            began.send_replace(true);
            TURNS.available_permits()
        }));
        // Polled once, which has it begun where nothing holds it up.
        let polled = tokio::time::timeout(Duration::ZERO, &mut answer).await;
        assert!(polled.is_err() && !*begun.borrow());
        drop(others);
        assert_eq!(answer.await.unwrap(), WORKERS - 1);
    }
}
