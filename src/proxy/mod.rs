//! Request in, upstream call, response out.
//!
//! The byte path. It knows frames and time; what they mean is the observer's business. Nothing here is re-serialised;
//! the one edit is in [`usage`]. A client that goes away drops the future that serves it, and with it the upstream call.

mod base_url;
pub mod body;
mod carrier;
pub mod config;
mod connector;
pub mod error;
pub mod flush;
mod forward;
pub mod headers;
pub mod listen;
mod provider;
pub mod route;
mod silence;
mod stream;
pub mod upgrade;
pub mod upstream;
pub mod usage;
mod workers;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::StatusCode;
use http_body_util::Either;

use self::body::{ClientBody, Outgoing, RequestBody};
use self::error::ProxyError;
use self::route::Routes;
use self::upgrade::Tunnels;
use crate::http1::OnUpgrade;
use crate::message::{Request, Response};
use crate::tee::{Close, Closing, Instant, Open, RequestHead, Tap, TraceContext};

/// The connection a request came by.
#[derive(Debug, Clone, Copy)]
pub struct Via {
    /// The client's end.
    pub peer: SocketAddr,
    /// `http` or `https`.
    pub scheme: &'static str,
}

/// Takes requests, sends them on, and answers.
pub struct Proxy {
    routes: Routes,
    inspect_bytes: usize,
    open: Arc<dyn Open>,
    tunnels: Tunnels,
}

impl Proxy {
    /// A proxy for these upstreams, whose exchanges `open` observes.
    ///
    /// # Errors
    /// When an upstream cannot be set up, see [`upstream::Upstream::new`].
    pub fn new(config: config::Config, open: Arc<dyn Open>) -> io::Result<Self> {
        Ok(Self {
            inspect_bytes: config.inspect_bytes,
            routes: Routes::new(config)?,
            open,
            tunnels: Tunnels::default(),
        })
    }

    /// The connections that have changed their protocol: they outlive the exchange of HTTP that opened them.
    #[must_use]
    pub const fn tunnels(&self) -> &Tunnels {
        &self.tunnels
    }

    /// Serves one request.
    ///
    /// # Cancel safety
    /// Dropping the future ends the exchange as left by the client and closes the upstream call.
    pub fn handle(
        &self,
        request: Request<RequestBody>,
        via: Via,
    ) -> impl Future<Output = Response<ClientBody>> + Send + use<'_> {
        let (call, body, upgrade) = self.begin(request, via);
        async move {
            match self.forward(&call, body, upgrade).await {
                Ok(answer) => answer.into_response(call.exchange.into_tap(), &self.tunnels),
                Err(error) => {
                    call.exchange.fail(&error);
                    error.response().map(ClientBody::from)
                }
            }
        }
    }

    /// Opens the exchange of a request that has just come. Gives also its body, and the client's side of a connection whose
    /// protocol it asks to change.
    fn begin(
        &self,
        request: Request<RequestBody>,
        via: Via,
    ) -> (Call, Box<Outgoing>, Option<OnUpgrade>) {
        let received = Instant::now();
        let mut body = request.body;
        let upgrade = match &mut body {
            Either::Left(body) => body.on_upgrade(),
            Either::Right(_) => None,
        };
        let head = Arc::new(RequestHead {
            received,
            received_at: SystemTime::now(),
            method: request.method,
            uri: request.uri,
            version: request.version,
            fields: request.fields,
            scheme: via.scheme,
            peer: Some(via.peer),
        });
        let opened = self.open.open(&head);
        let call = Call {
            head,
            trace_context: opened.trace_context,
            exchange: Pending(Some(opened.tap.clone())),
        };
        (call, Outgoing::new(body, opened.tap, received), upgrade)
    }
}

/// What is known of a request on its way.
struct Call {
    head: Arc<RequestHead>,
    trace_context: Option<TraceContext>,
    exchange: Pending,
}

/// An exchange that has no response body yet; dropped, the client has left.
struct Pending(Option<Tap>);

impl Pending {
    fn tap(&self) -> &Tap {
        self.0
            .as_ref()
            .expect("the tap is taken only together with the exchange")
    }

    fn into_tap(mut self) -> Tap {
        self.0
            .take()
            .expect("the tap is taken only together with the exchange")
    }

    fn fail(self, error: &ProxyError) {
        if *error == ProxyError::ClientLeft {
            return;
        }
        close(
            &self.into_tap(),
            Close::Failed(error.fault()),
            Some(error.status()),
        );
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(tap) = self.0.take() {
            close(&tap, Close::Dropped, None);
        }
    }
}

/// Closes an exchange that had no response body.
fn close(tap: &Tap, close: Close, status: Option<StatusCode>) {
    tap.close(Closing {
        at: Instant::now(),
        close,
        status,
        response_bytes: 0,
        held: std::time::Duration::ZERO,
        verdict: None,
    });
}
