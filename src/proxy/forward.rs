//! One request's way to its upstream and the head's way back.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, UPGRADE};
use http::{Method, StatusCode, Version};
use http_body_util::{Either, Full};

use super::body::{Outgoing, ReadAhead, ResponseBody};
use super::carrier::UpstreamBody;
use super::error::ProxyError;
use super::route::Target;
use super::upgrade::{Ends, Tunnels};
use super::{Call, ClientBody, Pending, Proxy, headers, usage};
use crate::http1::OnUpgrade;
use crate::message::{Fields, Request, Response};
use crate::tee::{Event, Instant, RequestHead, ResponseTee, Tap, TraceContext};

/// An upstream's answer, ready to be handed to the client.
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
                let status = response.status;
                response.map(|body| Either::Left(ResponseTee::new(body, tap, status, edit)))
            }
            Self::Upgrade(response, ends) => {
                if let Some(ends) = ends {
                    tap.show(Event::Switched(Box::new(response.fields.clone())));
                    tunnels.join(ends, tap);
                }
                response.map(|()| Either::Right(Full::default()))
            }
        }
    }
}

impl Proxy {
    /// Routes a request, edits it where it must be, sends it, and waits for the head of the answer.
    pub(super) async fn forward(
        &self,
        call: Call,
        exchange: &Pending,
    ) -> Result<Answer, ProxyError> {
        let client = call.head;
        if client.method == Method::CONNECT {
            return Err(ProxyError::Connect);
        }
        let read = if self.reads_ahead(&client, &call.body) {
            let read = ReadAhead::up_to(self.inspect_bytes, call.body).await;
            read.map_err(|error| ProxyError::of_request_body(&*error))?
        } else {
            ReadAhead::nothing(call.body)
        };
        let body = read.whole();
        let inspected = body.as_ref().map(usage::Inspected::of).unwrap_or_default();
        let target = self
            .routes
            .find(&client.uri, &client.fields, inspected.model.as_deref())
            .ok_or(ProxyError::NoRoute)?;
        let asks = usage::is_completion(&client.method, client.uri.path())
            && target.usage.asks()
            && !client.fields.contains(UPGRADE);
        let edited = body
            .zip(inspected.splice)
            .filter(|_| asks)
            .map(|(body, splice)| splice.apply(&body));
        let outbound = Outbound {
            target,
            client,
            trace_context: call.trace_context,
            exchange,
        };
        match edited {
            None => {
                let response = outbound.send(outbound.fields(), read, false).await?;
                Ok(answer(target, response, false, call.upgrade))
            }
            Some(edited) => outbound.send_edited(read, edited).await,
        }
    }

    /// Whether something in the body decides, which then is to be read ahead.
    fn reads_ahead(&self, head: &RequestHead, body: &impl http_body::Body) -> bool {
        let decides = head.method == Method::POST
            && (usage::is_completion(&head.method, head.uri.path()) || self.routes.by_model());
        let readable = !head.fields.contains(CONTENT_ENCODING);
        let small = body.size_hint().lower() <= self.inspect_bytes as u64;
        decides && readable && small
    }
}

/// The same fields for an edited body of this length.
fn edited(mut fields: Fields, length: usize) -> Fields {
    if fields.contains(CONTENT_LENGTH) {
        fields.set(CONTENT_LENGTH, length.to_string());
    }
    // The event that the edit adds can be taken out only where it can be read.
    fields.set(ACCEPT_ENCODING, "identity");
    fields
}

/// A request that knows where it goes.
struct Outbound<'a> {
    target: &'a Target,
    client: Arc<RequestHead>,
    trace_context: Option<TraceContext>,
    exchange: &'a Pending,
}

impl Outbound<'_> {
    /// The client's fields as they go to the upstream.
    fn fields(&self) -> Fields {
        let mut fields = self.target.upstream.fields(&self.client);
        if let Some(context) = &self.trace_context {
            headers::set_trace_context(&mut fields, context);
        }
        fields
    }

    /// Sends a request that asks for usage on the client's behalf. Where the upstream answers that it does not understand,
    /// the original goes out once, and if that succeeds the upstream is not asked again.
    async fn send_edited(
        self,
        original: ReadAhead,
        body: VecDeque<Bytes>,
    ) -> Result<Answer, ProxyError> {
        let target = self.target;
        let length = body.iter().map(Bytes::len).sum();
        let asking = ReadAhead {
            frames: body,
            trailers: original.trailers.clone(),
            rest: None,
            has_length: original.has_length,
        };
        let first = self
            .send(edited(self.fields(), length), asking, true)
            .await?;
        if !matches!(
            first.status,
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
        ) {
            return Ok(answer(target, first, true, None));
        }
        // Boxed: it is rare, and as large as the first.
        match Box::pin(self.send(self.fields(), original, false)).await {
            Ok(second) => {
                if second.status.is_success() && target.usage.refused() {
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

    /// Sends a request and waits for the head of the answer. The future has no more in it than the waiting needs.
    fn send(
        &self,
        fields: Fields,
        body: ReadAhead,
        usage_asked: bool,
    ) -> impl Future<Output = Result<Response<UpstreamBody>, ProxyError>> + Send {
        let upstream = &self.target.upstream;
        let tap = self.exchange.tap();
        let (body, upload) = Outgoing::new(tap.clone(), body);
        let at = Instant::now();
        let uri = upstream.target(&self.client.uri);
        tap.show(Event::Forwarded {
            at,
            upstream: Arc::clone(&upstream.name),
            uri: Box::new(uri.clone()),
            usage_asked,
        });
        if http_body::Body::is_end_stream(&body) {
            // A connection never polls an empty body, so this is the nearest instant there is.
            tap.show(Event::Sent(at));
        }
        let request = Box::new(Request {
            method: self.client.method.clone(),
            uri,
            version: Version::HTTP_11,
            fields,
            body: Box::new(body),
        });
        async move {
            let response = upstream.call(request, upload).await.inspect_err(|error| {
                if *error != ProxyError::ClientLeft {
                    tap.show(Event::Unanswered(Instant::now(), error.kind()));
                }
            })?;
            tap.show(Event::ResponseHead {
                at: Instant::now(),
                status: response.status,
                fields: response.fields.clone(),
            });
            Ok(response)
        }
    }
}

/// `client` is the client's side of a connection whose protocol it has asked to change.
fn answer(
    target: &Target,
    response: Response<UpstreamBody>,
    usage_asked: bool,
    client: Option<OnUpgrade>,
) -> Answer {
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        // The fields of a `101` all belong to the change it answers.
        let mut upstream = None;
        let head = response.map(|body| upstream = Some(body));
        let ends = upstream.and_then(|upstream| Ends::of(client, upstream));
        return Answer::Upgrade(head, ends);
    }
    let mut response =
        response.map(|body| ResponseBody::new(body, target.upstream.config.idle_timeout));
    let edit = usage_asked.then(|| usage::Filter::for_response(&response.fields));
    let edit = edit.flatten();
    response.fields = headers::to_client(response.fields);
    if edit.is_some() {
        // How long the body will be is not known any more.
        response.fields.remove(CONTENT_LENGTH);
    }
    Answer::Response(response, edit)
}
