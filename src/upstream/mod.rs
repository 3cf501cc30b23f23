//! One upstream: where it is, the connections to it, and the limits on its answers.
//!
//! No redirect is followed, nothing decoded, and nothing sent twice: that a request may be is told to who called. It knows
//! what a request is, and nothing of the proxy that has one: which fields a request has, and why it goes here, is decided
//! there.

mod base_url;
mod body;
mod config;
mod connect;
mod error;
mod http2;
mod socket;
mod tls;
mod transport;
mod unsent;
mod upload;

use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::header::UPGRADE;
use http::{HeaderValue, StatusCode};

use self::base_url::Base;
use self::transport::{Transport, TransportError};
use crate::idle::IdleTimeout;
use crate::message::{Body, Fields, Target};
use crate::tap::{UpstreamName, Why};

pub use body::{BodyError, ResponseBody};
pub use config::{Credential, CredentialSource, HttpVersion, KeepAlive, Key, UpstreamConfig, Via};
pub use error::UpstreamError;
pub(crate) use error::io_error;
pub use tls::{ClientCertificate, TlsFileError, UpstreamTls};
pub use transport::{Inbound, Outbound};
pub use upload::{Upload, Uploading, upload};

/// What a transport or a body says went wrong.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The body of a request that can be sent to an upstream.
pub trait Sendable: Body<Error = BoxError> + Send + Unpin + 'static {
    /// The request may have to be sent again: what goes out of the body is to be kept, as far as that is reasonable.
    fn keep(&mut self);

    /// For so long the request had to wait until others were done.
    fn waited(&mut self, time: Duration);
}

/// A request that was not answered.
#[derive(Debug)]
pub struct Unanswered<B, E> {
    /// What stood in the way.
    pub error: E,
    /// Its body, and why, where the request may be sent again: the upstream has not processed it, or may do so twice.
    pub again: Option<(B, Why)>,
}

/// An upstream, ready to be called.
#[derive(Debug)]
pub struct Upstream {
    /// How it is known to telemetry.
    pub name: Arc<UpstreamName>,
    /// Its limits and options.
    pub config: UpstreamConfig,
    base: Base,
    host: HeaderValue,
    transport: Transport,
}

/// How telemetry knows an upstream of this configuration.
///
/// # Errors
/// When the URL has no host.
pub fn known_as(config: &UpstreamConfig) -> io::Result<UpstreamName> {
    Ok(named(config, &Base::of(&config.url)?))
}

fn named(config: &UpstreamConfig, base: &Base) -> UpstreamName {
    UpstreamName {
        name: Arc::clone(&config.name),
        provider: config.provider.clone(),
        origin: base.origin().into(),
        address: base.authority.host().trim_matches(['[', ']']).into(),
        port: base.port(),
    }
}

/// The protocols that `Upgrade` names, in lower case; `None` where there is no such field.
fn protocols(fields: &Fields) -> Option<Vec<String>> {
    fields.contains(UPGRADE).then(|| {
        let values = fields.texts(UPGRADE).flat_map(|value| value.split(','));
        values
            .map(|name| name.trim().to_ascii_lowercase())
            .collect()
    })
}

/// Whether there is nothing in an answer's protocols that was not asked for. One that names none is left to the client.
fn is_among(answered: Option<Vec<String>>, asked: Option<&Vec<String>>) -> bool {
    let answered = answered.unwrap_or_default();
    asked.is_some_and(|asked| answered.iter().all(|name| asked.contains(name)))
}

impl Upstream {
    /// Makes an upstream of its configuration. Connects to nothing yet.
    ///
    /// # Errors
    /// When the URL has no host, a certificate's file will not do, or there is nobody to trust for an `https` URL.
    pub fn new(config: UpstreamConfig) -> io::Result<Self> {
        let base = Base::of(&config.url)?;
        Ok(Self {
            host: HeaderValue::from_str(base.authority.as_str()).map_err(io::Error::other)?,
            name: Arc::new(named(&config, &base)),
            transport: Transport::new(&config, &base)?,
            base,
            config,
        })
    }

    /// Reads the files of its certificates again, for the connections to come.
    ///
    /// # Errors
    /// When one will not do; then everything stays as it was.
    pub fn renew_certificates(&self) -> io::Result<()> {
        self.transport.renew(&self.config)
    }

    /// What `Host` is in a request to it.
    #[must_use]
    pub const fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// Where a client's target lies at this upstream.
    #[must_use]
    pub fn target(&self, target: &Target) -> Target {
        self.base.join(target)
    }

    /// Sends a request and waits for the response head: within the limit for the first byte, which counts anew once the
    /// client's `upload` is over. In between the upstream may take nothing of the upload for no longer than its limit.
    /// `fresh` says that no connection is to be used by which the upstream may not be reached any more.
    ///
    /// # Errors
    /// [`UpstreamError`] says what stood in the way, or the upload why it broke off.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection (HTTP/2: resets the stream), so that the upstream stops.
    pub async fn call<B: Sendable, E: From<UpstreamError>>(
        &self,
        request: Outbound<B>,
        mut upload: Option<Upload<E>>,
        fresh: bool,
    ) -> Result<Inbound<B>, Box<Unanswered<B, E>>> {
        // Boxed: few ask, and the future has room for it.
        let asked = protocols(&request.fields).map(Box::new);
        let mut idle = IdleTimeout::of(self.config.first_byte_timeout);
        let mut exchange = {
            let beginning = self.transport.begin(request, fresh, asked.is_some());
            let mut beginning = pin!(beginning);
            poll_fn(|cx| match beginning.as_mut().poll(cx) {
                Poll::Ready(begun) => Poll::Ready(begun.map_err(|error| self.failed(&error))),
                Poll::Pending => idle.poll_elapsed(cx).map(|limit| Err(self.too_late(limit))),
            })
            .await
            .map_err(final_error)?
        };
        if let Some(upload) = &mut upload {
            upload.limit(self.config.send_timeout);
        }
        let answered = poll_fn(|cx| {
            match exchange.poll_response(cx) {
                Poll::Ready(Ok(answer)) => return Poll::Ready(Ok(answer)),
                Poll::Ready(Err(unanswered)) => {
                    // A body that broke off also breaks the call, which is only a consequence.
                    let broken = upload.as_ref().and_then(Upload::broken);
                    let again = unanswered.again.filter(|_| broken.is_none());
                    let error = broken.unwrap_or_else(|| self.failed(&unanswered.error).into());
                    return Poll::Ready(Err(Box::new(Unanswered { error, again })));
                }
                Poll::Pending => {}
            }
            if let Some(waiting) = &mut upload {
                match waiting.poll_over(cx) {
                    Poll::Ready(Some(error)) => return Poll::Ready(Err(final_error(error))),
                    Poll::Ready(None) => upload = None,
                    Poll::Pending => {
                        if let Poll::Ready(limit) = waiting.poll_stalled(cx) {
                            exchange.give_up();
                            return Poll::Ready(Err(final_error(self.stalled(limit))));
                        }
                        if waiting.has_begun() {
                            idle.reset();
                            return Poll::Pending;
                        }
                    }
                }
            }
            idle.poll_elapsed(cx).map(|limit| {
                exchange.give_up();
                Err(final_error(self.too_late(limit)))
            })
        });
        let mut answer = answered.await?;
        if answer.status == StatusCode::SWITCHING_PROTOCOLS
            && !is_among(protocols(&answer.fields), asked.as_deref())
        {
            return Err(final_error(UpstreamError::Broken {
                upstream: self.config.name.to_string(),
                address: self.base.address(),
                cause: "it switched to a protocol (status 101) that the request did not ask for"
                    .into(),
            }));
        }
        idle.restart(self.config.idle_timeout);
        answer.body.limit(idle);
        if answer.status != StatusCode::SWITCHING_PROTOCOLS {
            answer.body.send_rest(self.config.send_timeout);
        }
        Ok(answer)
    }

    fn too_late(&self, limit: Duration) -> UpstreamError {
        UpstreamError::FirstByteTimeout {
            upstream: self.config.name.to_string(),
            limit,
        }
    }

    fn stalled(&self, limit: Duration) -> UpstreamError {
        UpstreamError::SendTimeout {
            upstream: self.config.name.to_string(),
            limit,
        }
    }

    fn failed(&self, error: &TransportError) -> UpstreamError {
        let (name, address) = (self.config.name.to_string(), self.base.address());
        let (limit, proxy) = (self.config.connect_timeout, self.config.via.proxy());
        UpstreamError::of_transport(name, address, limit, proxy, error)
    }
}

/// What stands in the way of a request that is not to be sent again.
fn final_error<B, E>(error: impl Into<E>) -> Box<Unanswered<B, E>> {
    let (error, again) = (error.into(), None);
    Box::new(Unanswered { error, again })
}
