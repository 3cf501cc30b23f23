//! Request in, upstream call, response out.
//!
//! The byte path. It knows frames and time; what they mean is the observer's business. Nothing here is re-serialised;
//! what is edited is in [`usage`] and [`trace_context`]. A client that goes away drops the future that serves it, and with it the upstream call.

mod client;
mod config;
pub mod error;
mod forward;
pub mod headers;
mod keep_alive;
mod left;
mod object;
mod request_body;
mod reread;
mod response_body;
pub mod route;
pub mod trace_context;
mod tunnel;
pub mod usage;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use http::StatusCode;

use self::client::ClientUpgrade;
use self::error::ProxyError;
use self::request_body::Outgoing;
use self::route::Routes;
use self::trace_context::BodyContext;
use crate::allow::{Hosts, Patterns};
use crate::http1;
use crate::memory::Memory;
use crate::message::{Request, Response};
use crate::tap::{
    Close, Closing, Instant, Joins, Open, Opened, RefusedRequest, RequestHead, Tap, TraceHeaders,
};

pub use crate::tee::DrainLimits;
pub use client::{Peer, RequestBody};
pub use config::{OnClientLeft, ProxyConfig, Route};
pub use response_body::ClientBody;
pub use tunnel::Tunnels;

/// Takes requests, sends them on, and answers.
pub struct Proxy {
    routes: Routes,
    inspect_bytes: usize,
    body_context: BodyContext,
    memory: Memory,
    client_body: Option<Duration>,
    allowed_origins: Patterns,
    allowed_hosts: Hosts,
    open: Arc<dyn Open>,
    tunnels: Tunnels,
}

impl Proxy {
    /// A proxy for these upstreams, whose exchanges `open` observes.
    ///
    /// # Errors
    /// When an upstream cannot be set up, see [`Upstream::new`](crate::upstream::Upstream::new).
    pub fn new(mut config: ProxyConfig, open: Arc<dyn Open>) -> io::Result<Self> {
        Ok(Self {
            inspect_bytes: config.inspect_bytes,
            body_context: config.body_context,
            memory: config.memory.clone(),
            client_body: config.client_body,
            allowed_origins: std::mem::take(&mut config.allowed_origins),
            allowed_hosts: std::mem::replace(&mut config.allowed_hosts, Hosts::Any),
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

    /// Whether an upstream has certificates from files.
    #[must_use]
    pub fn has_certificates(&self) -> bool {
        let mut upstreams = self.routes.upstreams();
        upstreams.any(|upstream| upstream.config.tls.has_files())
    }

    /// Reads the certificates' files of upstreams again, for connections to come. Gives the name of each upstream that has any,
    /// and what became of it; those that cannot be read leave everything as it was.
    /// Blocks while it reads.
    pub fn renew_certificates(&self) -> Vec<(Arc<str>, io::Result<()>)> {
        let upstreams = self.routes.upstreams();
        let with_files = upstreams.filter(|upstream| upstream.config.tls.has_files());
        let renewed = with_files.map(|upstream| {
            let name = Arc::clone(&upstream.config.name);
            (name, upstream.renew_certificates())
        });
        renewed.collect()
    }

    /// Serves one request.
    ///
    /// # Cancel safety
    /// Dropping the future ends the exchange as left by the client and closes the upstream call.
    pub fn handle(
        &self,
        request: Request<RequestBody>,
        peer: Peer,
    ) -> impl Future<Output = Response<ClientBody>> + Send + use<'_> {
        let no_room = peer.no_room;
        let (call, body, upgrade) = self.begin(request, peer);
        async move {
            let answer = if no_room {
                Err(ProxyError::NoRoom.into())
            } else {
                self.forward(&call, body, upgrade).await
            };
            match answer {
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
        peer: Peer,
    ) -> (InFlight, Box<Outgoing>, Option<ClientUpgrade>) {
        let (head, mut body) = apart(request, peer);
        body.limit(self.client_body);
        let upgrade = body.on_upgrade();
        let received = head.received;
        let call = self.call(head);
        let tap = call.exchange.tap().clone();
        (call, Outgoing::new(body, tap, received), upgrade)
    }

    fn call(&self, head: Arc<RequestHead>) -> InFlight {
        let Opened {
            tap,
            trace_headers,
            joins,
        } = self.open.open(&head);
        InFlight {
            head,
            trace_headers,
            joins,
            exchange: Pending {
                tap: Some(tap),
                is_handed_over: AtomicBool::new(false),
            },
        }
    }

    /// Answers what is no request, or none that may be passed on. It is an exchange like any other.
    #[must_use]
    pub fn refuse(&self, refused: http1::RefusedHead, peer: Peer) -> Response<ClientBody> {
        let error = if peer.no_room {
            ProxyError::NoRoom
        } else {
            ProxyError::Head(refused.error)
        };
        match refused.request {
            Some(request) => {
                let (head, ()) = apart(*request, peer);
                self.call(head).exchange.fail(&error);
            }
            None => {
                let (now, since) = (SystemTime::now(), refused.since.elapsed());
                self.open.refuse(RefusedRequest {
                    received: refused.since,
                    received_at: now.checked_sub(since).unwrap_or(now),
                    scheme: peer.scheme,
                    peer: peer.address,
                    closing: closing(Close::Failed(error.fault()), Some(error.status())),
                });
            }
        }
        error.response().map(ClientBody::from)
    }
}

/// The head of a request that has just come, and its body.
fn apart<B>(request: Request<B>, peer: Peer) -> (Arc<RequestHead>, B) {
    let head = Arc::new(RequestHead {
        received: Instant::now(),
        received_at: SystemTime::now(),
        method: request.method,
        target: request.target,
        version: request.version,
        fields: request.fields,
        scheme: peer.scheme,
        peer: peer.address,
    });
    (head, request.body)
}

/// What is known of a request on its way.
struct InFlight {
    head: Arc<RequestHead>,
    trace_headers: Option<TraceHeaders>,
    /// There where its body may name the trace that it belongs to.
    joins: Option<Joins>,
    exchange: Pending,
}

/// An exchange that has no response body yet; dropped, the client has left.
struct Pending {
    tap: Option<Tap>,
    /// Whether somebody else ends it: who goes on with its call.
    is_handed_over: AtomicBool,
}

impl Pending {
    fn tap(&self) -> &Tap {
        self.tap
            .as_ref()
            .expect("the tap is taken only together with the exchange")
    }

    fn into_tap(mut self) -> Tap {
        self.tap
            .take()
            .expect("the tap is taken only together with the exchange")
    }

    fn hand_over(&self) {
        self.is_handed_over.store(true, Ordering::Relaxed);
    }

    fn fail(self, error: &ProxyError) {
        if *error == ProxyError::ClientLeft {
            return;
        }
        let failed = Close::Failed(error.fault());
        self.into_tap().close(closing(failed, Some(error.status())));
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(tap) = self.tap.take()
            && !*self.is_handed_over.get_mut()
        {
            tap.close(closing(Close::Dropped, None));
        }
    }
}

/// The end of an exchange that had no response body, now.
fn closing(close: Close, status: Option<StatusCode>) -> Closing {
    Closing {
        at: Instant::now(),
        close,
        status,
        response_bytes: 0,
        held: Duration::ZERO,
        verdict: None,
        moved: Vec::new(),
        aftermath: None,
    }
}
