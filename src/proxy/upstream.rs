//! One upstream: its URL, the headers it gets, and the HTTP client that carries requests to it.
//!
//! The client follows no redirect, decodes nothing, and repeats nothing that has been sent.

use std::error::Error as StdError;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use http::header::{AUTHORIZATION, CONNECTION, HOST, UPGRADE};
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::Either;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use tower::Service as _;

use super::base_url::{Base, provider_of};
use super::body::{Outgoing, Upload};
use super::config::{self, HttpVersion, Key};
use super::connection::{DrivenBody, Failed, Http1};
use super::connector::{BoxError, Connection, Connector, connector, shared, tls};
use super::error::{ProxyError, causes, io_error};
use super::headers;
use super::pool::Pool;
use crate::tee::UpstreamName;

static API_KEY: HeaderName = HeaderName::from_static("api-key");

/// An upstream, ready to be called.
#[derive(Debug)]
pub struct Upstream {
    /// How it is known to telemetry.
    pub name: Arc<UpstreamName>,
    /// Its limits and options.
    pub config: config::Upstream,
    base: Base,
    host: HeaderValue,
    connector: Connector,
    carrier: Carrier,
    /// For requests that ask for another protocol, which only HTTP/1.1 can.
    upgrading: Client<Connector, Box<Outgoing>>,
}

/// Who carries requests. `cargo bench --bench client` compares the HTTP clients there are.
#[derive(Debug)]
enum Carrier {
    /// HTTP/1.1 for certain: connections that are driven by whoever waits for them.
    Driven(Arc<Pool<Connection>>),
    /// HTTP/2, or what TLS negotiates: hyper's pooled client.
    Shared(Box<Client<Connector, Box<Outgoing>>>),
}

/// A response body, by either carrier.
pub type UpstreamBody = Either<DrivenBody<Connection>, Incoming>;

impl Upstream {
    /// Makes an upstream of its configuration. Connects to nothing yet.
    ///
    /// # Errors
    /// When the URL has no host, or the system's TLS roots cannot be read for an `https` URL.
    pub fn new(config: config::Upstream) -> io::Result<Self> {
        let base = Base::of(&config.url)?;
        let host = HeaderValue::from_str(base.authority.as_str()).map_err(io::Error::other)?;
        let address = base.authority.host();
        let provider = match &config.provider {
            Some(provider) => Arc::clone(provider),
            None => provider_of(address).into(),
        };
        let name = Arc::new(UpstreamName {
            name: Arc::clone(&config.name),
            provider,
            address: address.trim_matches(['[', ']']).into(),
            port: base.port(),
        });
        let tls = tls(&config)?;
        let connector = connector(&config, config.http, tls.clone());
        let plain = base.scheme == Scheme::HTTP && config.http == HttpVersion::Auto;
        let carrier = if plain || config.http == HttpVersion::Http1 {
            Carrier::Driven(Pool::new())
        } else {
            Carrier::Shared(Box::new(shared(config.http, connector.clone())))
        };
        let http1 = HttpVersion::Http1;
        let upgrading = shared(http1, self::connector(&config, http1, tls));
        Ok(Self {
            name,
            base,
            host,
            connector,
            carrier,
            upgrading,
            config,
        })
    }

    /// The request as this upstream gets it: target, headers, key.
    #[must_use]
    pub fn request_head(
        &self,
        uri: &Uri,
        version: Version,
        client_headers: &HeaderMap,
    ) -> (Uri, HeaderMap) {
        let mut headers = headers::to_upstream(client_headers, version, &self.host);
        if let Key::Own(credential) = &self.config.key {
            headers.remove(AUTHORIZATION);
            headers.remove(&API_KEY);
            headers.insert(credential.header.clone(), credential.value.clone());
        }
        for (name, value) in &self.config.headers {
            headers.insert(name.clone(), value.clone());
        }
        if self.config.http == HttpVersion::Http2 {
            headers.remove(HOST);
            // HTTP/2 has no `Connection`, and the client would take away with it what it names: `TE`.
            headers.remove(CONNECTION);
        }
        (self.base.join(uri), headers)
    }

    /// Sends a request and waits for the response head, once the client's `upload` is over within the limit for the
    /// first byte.
    ///
    /// # Errors
    /// [`ProxyError`] says what stood in the way.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection (HTTP/2: resets the stream), so that the upstream stops.
    pub async fn call(
        &self,
        request: Request<Box<Outgoing>>,
        upload: Option<Upload>,
    ) -> Result<Response<UpstreamBody>, ProxyError> {
        let upgrade = request.headers().contains_key(UPGRADE);
        let mut answer = pin!(self.carry(request, upgrade));
        let early = match upload {
            None => None,
            Some(mut upload) => tokio::select! {
                biased;
                broken = &mut upload => match broken {
                    Ok(error) => return Err(error),
                    Err(_) => None,
                },
                answer = &mut answer => {
                    // A body that broke off also breaks the call, which is only a consequence.
                    if answer.is_err() && let Ok(error) = upload.try_recv() {
                        return Err(error);
                    }
                    Some(answer)
                }
            },
        };
        let answer = match (early, self.config.first_byte_timeout) {
            (Some(answer), _) => answer,
            (None, None) => answer.await,
            (None, Some(limit)) => match tokio::time::timeout(limit, answer).await {
                Ok(answer) => answer,
                Err(_) => {
                    return Err(ProxyError::FirstByteTimeout {
                        upstream: self.config.name.to_string(),
                    });
                }
            },
        };
        match answer {
            Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS && !upgrade => {
                Err(ProxyError::Broken {
                    upstream: self.config.name.to_string(),
                    cause: "it changed the protocol without being asked".into(),
                })
            }
            answer => answer.map_err(|error| self.explain(&error)),
        }
    }

    async fn carry(
        &self,
        request: Request<Box<Outgoing>>,
        upgrade: bool,
    ) -> Result<Response<UpstreamBody>, CarryError> {
        let client = match &self.carrier {
            _ if upgrade => &self.upgrading,
            Carrier::Driven(pool) => return Ok(self.drive(pool, request).await?.map(Either::Left)),
            Carrier::Shared(client) => client,
        };
        match client.request(request).await {
            Ok(response) => Ok(response.map(Either::Right)),
            Err(error) if error.is_connect() => Err(CarryError::Connect(error.into())),
            Err(error) => Err(CarryError::Broken(error.into())),
        }
    }

    /// Sends by an idle connection, or by a new one. A request that a connection turns out not to have begun goes to
    /// the next; nothing is sent twice.
    async fn drive(
        &self,
        pool: &Arc<Pool<Connection>>,
        mut request: Request<Box<Outgoing>>,
    ) -> Result<Response<DrivenBody<Connection>>, CarryError> {
        let to = std::mem::take(request.uri_mut());
        *request.uri_mut() = to
            .path_and_query()
            .cloned()
            .map(Uri::from)
            .unwrap_or_default();
        loop {
            let connection = match pool.take() {
                Some(connection) => connection,
                None => {
                    let stream = self
                        .connector
                        .clone()
                        .call(to.clone())
                        .await
                        .map_err(CarryError::Connect)?;
                    Http1::new(stream)
                        .await
                        .map_err(|error| CarryError::Broken(error.into()))?
                }
            };
            match connection.send(request, Arc::clone(pool)).await {
                Ok(response) => return Ok(response),
                Err(Failed::Unsent(back)) => request = *back,
                Err(Failed::Broken(error)) => return Err(CarryError::Broken(error.into())),
            }
        }
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

/// Why a request was not answered.
enum CarryError {
    /// There is no connection.
    Connect(BoxError),
    /// There was one.
    Broken(BoxError),
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
