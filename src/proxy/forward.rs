//! One request's way to its upstream and the head's way back.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, UPGRADE};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::{Either, Full};
use hyper::ext::ReasonPhrase;

use super::body::{Outgoing, ReadAhead, ResponseBody};
use super::carrier::UpstreamBody;
use super::error::ProxyError;
use super::route::Target;
use super::upgrade::{Ends, Tunnels};
use super::{ClientBody, Pending, Proxy, RequestBody, headers, usage};
use crate::http1::OnUpgrade;
use crate::tee::{Event, Instant, RequestTee, ResponseTee, Tap, TraceContext};

/// An upstream's answer, ready to be handed to the client.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are the large one, and boxing it would cost an allocation"
)]
pub(super) enum Answer {
    /// A response, its body to be edited or not.
    Response(Response<ResponseBody>, Option<usage::Filter>),
    /// A change of protocol, and the connections it is for, where both sides can.
    Upgrade(Response<()>, Option<Ends>),
}

impl Answer {
    /// Sends the body through the tee, which ends the exchange; after a `101` the end of the tunnel does.
    pub(super) fn into_response(self, tap: Tap, tunnels: &Tunnels) -> Response<ClientBody> {
        match self {
            Self::Response(response, edit) => {
                let status = response.status();
                response.map(|body| Either::Left(ResponseTee::new(body, tap, status, edit)))
            }
            Self::Upgrade(response, ends) => {
                if let Some(ends) = ends {
                    tap.show(Event::Switched(Box::new(response.headers().clone())));
                    tunnels.join(ends, tap);
                }
                response.map(|()| Either::Right(Full::default()))
            }
        }
    }
}

/// A request's head, ready to be sent.
struct Head {
    method: Method,
    uri: http::Uri,
    headers: HeaderMap,
    extensions: Extensions,
}

impl Head {
    /// The client's head as it goes to an upstream. `extensions` are the client's: they carry the spelling of the names.
    fn new(
        target: &Target,
        client: &Parts,
        extensions: Extensions,
        trace_context: Option<TraceContext>,
    ) -> Self {
        let (uri, headers) =
            target
                .upstream
                .request_head(&client.uri, client.version, &client.headers);
        Self {
            method: client.method.clone(),
            uri,
            headers: match trace_context {
                Some(context) => headers::with_trace_context(headers, context),
                None => headers,
            },
            extensions,
        }
    }

    fn request(self, body: Outgoing) -> Request<Box<Outgoing>> {
        // Boxed: a request is moved through several futures on its way, and each has room for it.
        let mut request = Request::new(Box::new(body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        *request.extensions_mut() = self.extensions;
        *request.version_mut() = Version::HTTP_11;
        request
    }

    /// The same head for an edited body of this length.
    fn edited(mut self, length: usize) -> Self {
        let headers = &mut self.headers;
        if let Some(declared) = headers.get_mut(CONTENT_LENGTH) {
            *declared = HeaderValue::from(length);
        }
        // The event that the edit adds can be taken out only where it can be read.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        self
    }
}

impl Proxy {
    /// Routes a request, edits it where it must be, sends it, and waits for the head of the answer.
    pub(super) async fn forward(
        &self,
        mut parts: Parts,
        body: RequestTee<RequestBody>,
        upgrade: Option<OnUpgrade>,
        trace_context: Option<TraceContext>,
        exchange: &Pending,
    ) -> Result<Answer, ProxyError> {
        let read = self.read_ahead(&parts, body).await?;
        let body = read.whole();
        let inspected = body.as_ref().map(usage::Inspected::of).unwrap_or_default();
        let target = self
            .routes
            .find(&parts.uri, &parts.headers, inspected.model.as_deref())
            .ok_or(ProxyError::NoRoute)?;
        let asks = usage::is_completion(&parts.method, parts.uri.path())
            && target.usage.asks()
            && !parts.headers.contains_key(UPGRADE);
        let edited = body
            .zip(inspected.splice)
            .filter(|_| asks)
            .map(|(body, splice)| splice.apply(&body));

        let Some(edited) = edited else {
            let extensions = std::mem::take(&mut parts.extensions);
            let head = Head::new(target, &parts, extensions, trace_context);
            drop(parts);
            let response = send(target, head, read, exchange, false).await?;
            return Ok(answer(target, response, false, upgrade));
        };
        send_edited(target, parts, trace_context, read, edited, exchange).await
    }

    /// Reads the body ahead where something in it decides.
    async fn read_ahead(
        &self,
        parts: &Parts,
        body: RequestTee<RequestBody>,
    ) -> Result<ReadAhead, ProxyError> {
        let decides = parts.method == Method::POST
            && (usage::is_completion(&parts.method, parts.uri.path()) || self.routes.by_model());
        let readable = !parts.headers.contains_key(CONTENT_ENCODING);
        let small = http_body::Body::size_hint(&body).lower() <= self.inspect_bytes as u64;
        if !(decides && readable && small) {
            return Ok(ReadAhead::nothing(body));
        }
        ReadAhead::up_to(self.inspect_bytes, body)
            .await
            .map_err(|error| ProxyError::of_request_body(&*error))
    }
}

/// Sends a request that asks for usage on the client's behalf. Where the upstream answers that it does not understand,
/// the original goes out once, and if that succeeds the upstream is not asked again.
async fn send_edited(
    target: &Target,
    client: Parts,
    trace_context: Option<TraceContext>,
    original: ReadAhead,
    body: VecDeque<Bytes>,
    exchange: &Pending,
) -> Result<Answer, ProxyError> {
    // Made anew where it goes out again, which is rare: a copy for that case cost every streamed request 2,700
    // instructions.
    let head = |extensions| Head::new(target, &client, extensions, trace_context.clone());
    let length = body.iter().map(Bytes::len).sum();
    let edited = ReadAhead {
        frames: body,
        trailers: original.trailers.clone(),
        rest: None,
        has_length: original.has_length,
    };
    let first = head(client.extensions.clone()).edited(length);
    let first = send(target, first, edited, exchange, true).await?;
    if !matches!(
        first.status(),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
    ) {
        return Ok(answer(target, first, true, None));
    }
    // Boxed: it is rare, and as large as the first.
    let again = head(client.extensions.clone());
    match Box::pin(send(target, again, original, exchange, false)).await {
        Ok(second) => {
            if second.status().is_success() && target.usage.refused() {
                let upstream = &*target.upstream.config.name;
                tracing::info!(
                    upstream,
                    "the upstream does not take stream_options; it is not asked for usage again"
                );
            }
            Ok(answer(target, second, false, None))
        }
        // The upstream has answered; that the repeat did not reach it is no news for the client.
        Err(_) => Ok(answer(target, first, false, None)),
    }
}

async fn send(
    target: &Target,
    head: Head,
    body: ReadAhead,
    exchange: &Pending,
    usage_asked: bool,
) -> Result<Response<UpstreamBody>, ProxyError> {
    let tap = exchange.tap();
    let (body, upload) = Outgoing::new(tap.clone(), body);
    let at = Instant::now();
    let upstream = Arc::clone(&target.upstream.name);
    let uri = Box::new(head.uri.clone());
    tap.show(Event::Forwarded {
        at,
        upstream,
        uri,
        usage_asked,
    });
    if http_body::Body::is_end_stream(&body) {
        // A connection never polls an empty body, so this is the nearest instant there is.
        tap.show(Event::Sent(at));
    }
    let response = target
        .upstream
        .call(head.request(body), upload)
        .await
        .inspect_err(|error| {
            if *error != ProxyError::ClientLeft {
                tap.show(Event::Unanswered(Instant::now(), error.kind()));
            }
        })?;
    tap.show_head(Instant::now(), response.status(), response.headers());
    Ok(response)
}

/// `client` is the client's side of a connection whose protocol it has asked to change.
fn answer(
    target: &Target,
    response: Response<UpstreamBody>,
    usage_asked: bool,
    client: Option<OnUpgrade>,
) -> Answer {
    let edit = usage_asked
        .then(|| usage::Filter::for_response(response.headers()))
        .flatten();
    let (mut parts, body) = response.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        // The fields of a `101` all belong to the change it answers.
        let ends = Ends::of(client, body);
        return Answer::Upgrade(Response::from_parts(parts, ()), ends);
    }
    parts.headers = headers::to_client(parts.headers);
    // What it was between the upstream and us is no matter of the client's.
    parts.version = Version::HTTP_11;
    if parts.status.canonical_reason().is_none() && parts.extensions.get::<ReasonPhrase>().is_none()
    {
        // HTTP/2 has no reason phrases, and the server would write one of its own.
        parts.extensions.insert(ReasonPhrase::from_static(b""));
    }
    if edit.is_some() {
        // How long the body will be is not known any more.
        parts.headers.remove(CONTENT_LENGTH);
    }
    let body = ResponseBody::new(body, target.upstream.config.idle_timeout);
    Answer::Response(Response::from_parts(parts, body), edit)
}
