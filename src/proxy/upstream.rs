//! One upstream: its URL, the headers it gets, and the limits on its answers.
//!
//! No redirect is followed, nothing decoded, and nothing repeated that has been sent.

use std::error::Error as StdError;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use http::header::{AUTHORIZATION, UPGRADE};
use http::{HeaderValue, StatusCode, Uri};

use super::base_url::Base;
use super::body::Upload;
use super::carrier::{Carrier, CarryError, Inbound, Outbound};
use super::config::{self, Key};
use super::error::{ProxyError, causes, io_error};
use super::silence::Silence;
use super::{headers, provider};
use crate::message::Fields;
use crate::tee::{RequestHead, UpstreamName};

/// The field for a key that Azure reads.
const API_KEY: &str = "api-key";

/// An upstream, ready to be called.
#[derive(Debug)]
pub struct Upstream {
    /// How it is known to telemetry.
    pub name: Arc<UpstreamName>,
    /// Its limits and options.
    pub config: config::Upstream,
    base: Base,
    host: HeaderValue,
    carrier: Carrier,
}

/// How telemetry knows an upstream of this configuration.
///
/// # Errors
/// When the URL has no host.
pub fn known_as(config: &config::Upstream) -> io::Result<UpstreamName> {
    Ok(named(config, &Base::of(&config.url)?))
}

fn named(config: &config::Upstream, base: &Base) -> UpstreamName {
    let address = base.authority.host();
    let provider = match &config.provider {
        Some(provider) => Arc::clone(provider),
        None => provider::of_host(address).into(),
    };
    UpstreamName {
        name: Arc::clone(&config.name),
        provider,
        address: address.trim_matches(['[', ']']).into(),
        port: base.port(),
    }
}

impl Upstream {
    /// Makes an upstream of its configuration. Connects to nothing yet.
    ///
    /// # Errors
    /// When the URL has no host, or the system's TLS roots cannot be read for an `https` URL.
    pub fn new(config: config::Upstream) -> io::Result<Self> {
        let base = Base::of(&config.url)?;
        let host = HeaderValue::from_str(base.authority.as_str()).map_err(io::Error::other)?;
        let name = Arc::new(named(&config, &base));
        let carrier = Carrier::new(&config)?;
        Ok(Self {
            name,
            base,
            host,
            carrier,
            config,
        })
    }

    /// Where a client's target lies at this upstream.
    #[must_use]
    pub fn target(&self, uri: &Uri) -> Uri {
        self.base.join(uri)
    }

    /// The fields of a client's request as this upstream gets them: its host, our key, what the configuration adds.
    #[must_use]
    pub fn fields(&self, client: &RequestHead) -> Fields {
        let mut fields = headers::to_upstream(&client.fields, client.version, &self.host);
        if let Key::Own(credential) = &self.config.key {
            for other in [AUTHORIZATION.as_str(), API_KEY] {
                if credential.header != other {
                    fields.remove(other);
                }
            }
            fields.set(&credential.header, &credential.value);
        }
        for (name, value) in &self.config.headers {
            fields.set(name, value);
        }
        fields
    }

    /// Sends a request and waits for the response head, once the client's `upload` is over within the limit for the
    /// first byte.
    ///
    /// # Errors
    /// [`ProxyError`] says what stood in the way.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection (HTTP/2: resets the stream), so that the upstream stops.
    pub(super) async fn call(
        &self,
        request: Outbound,
        mut upload: Option<Upload>,
    ) -> Result<Inbound, Box<ProxyError>> {
        let upgrade = request.fields.contains(UPGRADE);
        let mut answer = pin!(self.carrier.carry(request, upgrade));
        let mut silence = Silence::up_to(self.config.first_byte_timeout);
        let answered = poll_fn(|cx| {
            if let Some(waiting) = &mut upload
                && let Poll::Ready(broken) = Pin::new(waiting).poll(cx)
            {
                if let Ok(error) = broken {
                    return Poll::Ready(Err(Box::new(error)));
                }
                upload = None;
            }
            match (answer.as_mut().poll(cx), &mut upload) {
                (Poll::Ready(Ok(answer)), _) => Poll::Ready(Ok(answer)),
                (Poll::Ready(Err(error)), upload) => {
                    // A body that broke off also breaks the call, which is only a consequence.
                    let broken = upload.as_mut().and_then(|upload| upload.try_recv().ok());
                    let error = broken.unwrap_or_else(|| self.explain(&error));
                    Poll::Ready(Err(Box::new(error)))
                }
                (Poll::Pending, Some(_)) => Poll::Pending,
                (Poll::Pending, None) => silence.poll_too_long(cx).map(|_| Err(self.too_late())),
            }
        });
        let mut answer = answered.await?;
        if answer.status == StatusCode::SWITCHING_PROTOCOLS && !upgrade {
            return Err(Box::new(ProxyError::Broken {
                upstream: self.config.name.to_string(),
                cause: "it changed the protocol without being asked".into(),
            }));
        }
        silence.broken_up_to(self.config.idle_timeout);
        answer.body.watch(silence);
        Ok(answer)
    }

    fn too_late(&self) -> Box<ProxyError> {
        Box::new(ProxyError::FirstByteTimeout {
            upstream: self.config.name.to_string(),
        })
    }

    fn explain(&self, error: &CarryError) -> ProxyError {
        let upstream = self.config.name.to_string();
        let (connecting, error) = match error {
            CarryError::Connect(error) => (true, &**error),
            CarryError::Broken(error) => (false, &**error),
        };
        let cause = root_cause(error).to_string();
        if !connecting {
            return ProxyError::Broken { upstream, cause };
        }
        let io = io_error(error);
        match io.map(io::Error::kind) {
            _ if io
                .and_then(io::Error::raw_os_error)
                .is_some_and(is_our_limit) =>
            {
                ProxyError::LimitReached { upstream }
            }
            Some(io::ErrorKind::ConnectionRefused) => {
                ProxyError::ConnectionRefused { upstream, cause }
            }
            Some(io::ErrorKind::TimedOut) => ProxyError::ConnectTimeout { upstream },
            _ => ProxyError::ConnectFailed { upstream, cause },
        }
    }
}

/// Whether an OS error says that this process or host has run out of something.
fn is_our_limit(os_error: i32) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const EADDRNOTAVAIL: i32 = 99;
    matches!(os_error, ENFILE | EMFILE | EADDRNOTAVAIL)
}

/// The innermost cause of an error; hyper's own words say little.
fn root_cause<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    causes(error).last().unwrap_or(error)
}
