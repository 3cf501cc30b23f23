//! One request's way to its upstream and the head's way back.

use std::future::Future;
use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, UPGRADE};
use http::{Method, StatusCode, Version};
use http_body::Body as _;

use super::body::{ClientBody, Outgoing};
use super::carrier::Inbound;
use super::error::ProxyError;
use super::route::Target;
use super::upgrade::{Ends, Tunnels};
use super::{Call, Proxy, headers, usage};
use crate::http1::OnUpgrade;
use crate::json::Text;
use crate::message::{Fields, Request, Response};
use crate::tee::{Event, Instant, RequestHead, ResponseTee, Tap};

/// An upstream's answer, ready to be handed to the client.
pub(super) struct Answer {
    response: Inbound,
    /// Whether the usage that was asked for is to be taken out again.
    edited: bool,
    /// The client's side of a connection whose protocol it has asked to change.
    client: Option<OnUpgrade>,
}

impl Answer {
    /// Sends the body through the tee, which ends the exchange; after a `101` the end of the tunnel does.
    pub(super) fn into_response(self, tap: Tap, tunnels: &Tunnels) -> Response<ClientBody> {
        let Response {
            status,
            reason,
            fields,
            body,
        } = *self.response;
        let body = if status == StatusCode::SWITCHING_PROTOCOLS {
            if let Some(ends) = Ends::of(self.client, body) {
                tap.show(Event::Switched(Box::new(fields.clone())));
                tunnels.join(ends, tap);
            }
            ClientBody::Own(None)
        } else {
            let edit = self.edited.then(usage::Filter::default);
            ClientBody::Upstream(Box::new(ResponseTee::new(body, tap, status, edit)))
        };
        Response {
            status,
            reason,
            fields,
            body,
        }
    }
}

impl Proxy {
    /// Routes a request, edits it where it must be, sends it, and waits for the head of the answer. `client` is the client's
    /// side of a connection whose protocol it asks to change.
    pub(super) async fn forward(
        &self,
        call: &Call,
        mut body: Box<Outgoing>,
        client: Option<OnUpgrade>,
    ) -> Result<Answer, Box<ProxyError>> {
        let head = &*call.head;
        if head.method == Method::CONNECT {
            return Err(ProxyError::Connect.into());
        }
        let completes = usage::is_completion(&head.method, head.uri.path());
        if self.reads_ahead(head, completes, &body) {
            let read = body.read_ahead(self.inspect_bytes).await;
            read.map_err(|error| ProxyError::of_request_body(&*error))?;
        }
        let inspected = body.whole().map(usage::Inspected::of).unwrap_or_default();
        let target = self.target(head, inspected.model)?;
        let splice = inspected
            .splice
            .filter(|_| completes && target.usage.asks() && !head.fields.contains(UPGRADE));
        let original = splice.map(|splice| {
            let original = body.original();
            body.put_in(splice);
            original
        });
        let outbound = Outbound { target, call };
        let mut answer = outbound.send(body, original.is_some()).await?;
        answer.client = client;
        match original {
            Some(original) if is_refusal(answer.response.status) => {
                // Boxed: it is rare, and as large as the first.
                Ok(Box::pin(outbound.repeat(original, answer)).await)
            }
            _ => Ok(answer),
        }
    }

    /// Where a request for this model goes.
    fn target(&self, head: &RequestHead, model: Option<Text<'_>>) -> Result<&Target, ProxyError> {
        let model = model.filter(|_| self.routes.by_model()).map(Text::decode);
        let target = self.routes.find(&head.uri, &head.fields, model.as_deref());
        target.ok_or(ProxyError::NoRoute)
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
    call: &'a Call,
}

impl Outbound<'_> {
    /// The client's fields as they go to the upstream; of an edited body, its length now.
    fn fields(&self, edited: Option<usize>) -> Fields {
        let mut fields = self.target.upstream.fields(&self.call.head);
        if let Some(context) = &self.call.trace_context {
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
    async fn repeat(&self, original: Box<Outgoing>, refusal: Answer) -> Answer {
        let Ok(answer) = self.send(original, false).await else {
            // The upstream has answered; that the repeat did not reach it is no news for the client.
            return refusal;
        };
        if answer.response.status.is_success() && self.target.usage.refused() {
            let upstream = &*self.target.upstream.config.name;
            tracing::info!(
                upstream,
                "the upstream does not take stream_options; it is not asked for usage again"
            );
        }
        answer
    }

    /// Sends a request and waits for the head of the answer. The future has no more in it than the waiting needs.
    fn send(
        &self,
        mut body: Box<Outgoing>,
        usage_asked: bool,
    ) -> impl Future<Output = Result<Answer, Box<ProxyError>>> + Send {
        let upstream = &self.target.upstream;
        let tap = self.call.exchange.tap();
        let fields = self.fields(usage_asked.then(|| body.bytes_ahead()));
        let upload = body.upload();
        let at = Instant::now();
        let uri = upstream.target(&self.call.head.uri);
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
            method: self.call.head.method.clone(),
            uri,
            version: Version::HTTP_11,
            fields,
            body,
        });
        async move {
            let answered = upstream.call(request, upload).await;
            let mut response = answered.inspect_err(|error| {
                if **error != ProxyError::ClientLeft {
                    tap.show(Event::Unanswered(Instant::now(), error.kind()));
                }
            })?;
            let at = Instant::now();
            let status = response.status;
            let edited =
                usage_asked && !is_refusal(status) && usage::Filter::can_read(&response.fields);
            let passing = passing(status, &response.fields, edited);
            tap.show(Event::ResponseHead {
                at,
                status,
                fields: std::mem::replace(&mut response.fields, passing),
            });
            Ok(Answer {
                response,
                edited,
                client: None,
            })
        }
    }
}

/// The fields of an answer that go to the client.
fn passing(status: StatusCode, upstream: &Fields, edited: bool) -> Fields {
    if status == StatusCode::SWITCHING_PROTOCOLS {
        // They all belong to the change it answers.
        return upstream.clone();
    }
    let mut fields = headers::to_client(upstream);
    if edited {
        // How long the body will be is not known any more.
        fields.remove(CONTENT_LENGTH);
    }
    fields
}
