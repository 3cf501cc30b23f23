//! One request's way to its upstream and the head's way back.

use std::future::Future;
use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, UPGRADE};
use http::{Method, StatusCode, Version};
use http_body::Body as _;
use http_body_util::{Either, Full};

use super::body::{Outgoing, ResponseBody};
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
        let Call {
            head: client,
            mut body,
            upgrade,
            trace_context,
        } = call;
        if client.method == Method::CONNECT {
            return Err(ProxyError::Connect);
        }
        let completes = usage::is_completion(&client.method, client.uri.path());
        if self.reads_ahead(&client, completes, &body) {
            let read = body.read_ahead(self.inspect_bytes).await;
            read.map_err(|error| ProxyError::of_request_body(&*error))?;
        }
        let inspected = body.whole().map(usage::Inspected::of).unwrap_or_default();
        let target = self
            .routes
            .find(&client.uri, &client.fields, inspected.model.as_deref())
            .ok_or(ProxyError::NoRoute)?;
        let splice = inspected
            .splice
            .filter(|_| completes && target.usage.asks() && !client.fields.contains(UPGRADE));
        let original = splice.map(|splice| {
            let original = body.original();
            body.put_in(splice);
            original
        });
        let outbound = Outbound {
            target,
            client,
            trace_context,
            exchange,
        };
        let usage_asked = original.is_some();
        let first = outbound.send(body, usage_asked).await?;
        match original {
            Some(original) if is_refusal(first.status) => {
                // Boxed: it is rare, and as large as the first.
                Ok(Box::pin(outbound.repeat(original, first)).await)
            }
            _ => Ok(answer(target, first, usage_asked, upgrade)),
        }
    }

    /// Whether something in the body decides, which then is to be read ahead.
    fn reads_ahead(&self, head: &RequestHead, completes: bool, body: &Outgoing) -> bool {
        let decides = completes || (head.method == Method::POST && self.routes.by_model());
        let readable = !head.fields.contains(CONTENT_ENCODING);
        let small = body.size_hint().lower() <= self.inspect_bytes as u64;
        decides && readable && small
    }
}

/// Whether an upstream that was asked for usage may have refused only that.
fn is_refusal(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
    )
}

/// A request that knows where it goes.
struct Outbound<'a> {
    target: &'a Target,
    client: Arc<RequestHead>,
    trace_context: Option<TraceContext>,
    exchange: &'a Pending,
}

impl Outbound<'_> {
    /// The client's fields as they go to the upstream; of an edited body, its length now.
    fn fields(&self, edited: Option<usize>) -> Fields {
        let mut fields = self.target.upstream.fields(&self.client);
        if let Some(context) = &self.trace_context {
            headers::set_trace_context(&mut fields, context);
        }
        if let Some(length) = edited {
            if fields.contains(CONTENT_LENGTH) {
                fields.set(CONTENT_LENGTH, length.to_string());
            }
            // The event that the edit adds can be taken out only where it can be read.
            fields.set(ACCEPT_ENCODING, "identity");
        }
        fields
    }

    /// An upstream that was asked for usage has answered that it does not understand: the original goes out once, and if
    /// that succeeds the upstream is not asked again.
    async fn repeat(&self, original: Box<Outgoing>, first: Response<UpstreamBody>) -> Answer {
        let target = self.target;
        let Ok(second) = self.send(original, false).await else {
            // The upstream has answered; that the repeat did not reach it is no news for the client.
            return answer(target, first, false, None);
        };
        if second.status.is_success() && target.usage.refused() {
            let upstream = &*target.upstream.config.name;
            tracing::info!(
                upstream,
                "the upstream does not take stream_options; it is not asked for usage again"
            );
        }
        answer(target, second, false, None)
    }

    /// Sends a request and waits for the head of the answer. The future has no more in it than the waiting needs.
    fn send(
        &self,
        mut body: Box<Outgoing>,
        usage_asked: bool,
    ) -> impl Future<Output = Result<Response<UpstreamBody>, ProxyError>> + Send {
        let upstream = &self.target.upstream;
        let tap = self.exchange.tap();
        let fields = self.fields(usage_asked.then(|| body.bytes_ahead()));
        let upload = body.upload();
        let at = Instant::now();
        let uri = upstream.target(&self.client.uri);
        tap.show(Event::Forwarded {
            at,
            upstream: Arc::clone(&upstream.name),
            uri: Box::new(uri.clone()),
            usage_asked,
        });
        if body.is_end_stream() {
            // A connection never polls an empty body, so this is the nearest instant there is.
            tap.show(Event::Sent(at));
        }
        let request = Box::new(Request {
            method: self.client.method.clone(),
            uri,
            version: Version::HTTP_11,
            fields,
            body,
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
