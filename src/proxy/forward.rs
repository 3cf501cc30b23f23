//! One request's way to its upstream and the head's way back.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, ORIGIN, UPGRADE};
use http::{Method, StatusCode, Version};

use super::client::ClientUpgrade;
use super::config::Route;
use super::error::{ProxyError, Unrouted};
use super::left::Awaited;
use super::request_body::Outgoing;
use super::reread::{Ahead, Reread};
use super::response_body::{Care, ClientBody};
use super::route::Destination;
use super::trace_context::{self, BodyContext};
use super::tunnel::{Ends, Tunnels};
use super::usage::{Cause, Key, Lesson, Plan, Role};
use super::{InFlight, Proxy, headers, usage};
use crate::allow::{Hosts, Site};
use crate::message::{Body as _, Fields, Request, Response};
use crate::tap::{Event, Forwarded, Instant, RequestHead, Tap, TraceHeaders, Why};
use crate::tee::ResponseTee;
use crate::upstream;

/// How long the body of a refusal is waited for: it comes with its head, as a rule.
const REFUSAL_WAIT: Duration = Duration::from_secs(1);

/// An upstream's answer, ready to be handed to the client.
pub(super) struct UpstreamResponse {
    response: upstream::Inbound<Box<Outgoing>>,
    /// What was read of its body already.
    ahead: Option<Box<Ahead<upstream::BodyError>>>,
    /// What is done with the body, where it does not just pass.
    reading: Option<usage::Reading>,
    /// Which time of those that the request was sent is answered, from 0.
    attempt: usize,
    /// The client's side of a connection whose protocol it has asked to change.
    client: Option<ClientUpgrade>,
    /// What is done with the body for the client's sake, beside passing it on.
    care: Care,
}

impl UpstreamResponse {
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
            let (body, edit) = (
                Reread::new(self.ahead, body),
                self.reading.map(usage::Reading::begin),
            );
            self.care.of(ResponseTee::new(body, tap, status, edit))
        };
        Response {
            status,
            reason,
            fields,
            body,
        }
    }

    /// What was wrong with the request, as far as the answer says so; what is read of it for that is kept for the client.
    async fn cause(&mut self) -> Cause {
        if self.response.fields.is_coded() {
            return Cause::Unclear;
        }
        let body = &mut self.response.body;
        let mut ahead = Box::new(Ahead::of(body));
        let read = ahead.read(body, usage::REFUSAL_BYTES);
        // Whether all of it came in time shows in what was read.
        let _ = tokio::time::timeout(REFUSAL_WAIT, read).await;
        let cause = ahead
            .whole()
            .map_or(Cause::Unclear, |body| Cause::of(&body));
        self.ahead = Some(ahead);
        cause
    }
}

impl Proxy {
    /// Routes a request, edits it where it must be, sends it, and waits for the head of the answer. `client` is the client's
    /// side of a connection whose protocol it asks to change.
    pub(super) async fn forward(
        &self,
        call: &InFlight,
        mut body: Box<Outgoing>,
        client: Option<ClientUpgrade>,
    ) -> Result<UpstreamResponse, Box<ProxyError>> {
        let head = &*call.head;
        if head.method == Method::CONNECT {
            return Err(ProxyError::Connect.into());
        }
        if self.allowed_hosts != Hosts::Any && !self.may_be_for(head) {
            return Err(ProxyError::Host.into());
        }
        let completion = usage::completion(&head.method, &head.target.path());
        if self.reads_ahead(head, completion.is_some(), &body) {
            let read = body.read_ahead(self.inspect_bytes, &self.memory).await;
            read.map_err(|error| ProxyError::of_request_body(&*error))?;
        }
        let joined = self.join(call, &mut body);
        let inspect = if self.routes.by_model() {
            usage::Inspected::of
        } else {
            usage::Inspected::at_a_glance
        };
        let inspected = body.whole().map(inspect).unwrap_or_default();
        let model = inspected.model.as_deref();
        let found = self.routes.find(&head.target, &head.fields, model);
        let (place, (route, target)) = found.ok_or_else(|| ProxyError::NoRoute {
            why: self.unrouted(head, &body, model).into(),
            decides: self.routes.decides(),
        })?;
        if target.has_own_key && site(head).is_foreign(&self.allowed_origins) {
            return Err(ProxyError::CrossSite.into());
        }
        // Only what would be asked for usage is looked at for a digest.
        let is_left = || {
            let is_silent = matches!(inspected.wish, usage::Wish::Silent(_));
            is_silent && headers::is_sealed(&head.fields) || head.fields.contains(UPGRADE)
        };
        let completion = completion.filter(|_| !is_left());
        let key = completion.and_then(|kind| target.usage.key(kind, inspected.model.as_deref()));
        let plan = key.map_or(Plan::Leave, |key| {
            target.usage.plan(key, inspected.wish, head.received)
        });
        let original = match plan {
            Plan::Ask(splice) => {
                let original = body.original();
                body.put_in(splice);
                Some(original)
            }
            Plan::Leave | Plan::Watch(_) => None,
        };
        let outbound = Outbound {
            route,
            place,
            target,
            call,
            trace_headers: joined.as_ref().or(call.trace_headers.as_ref()),
            key,
        };
        let first = outbound.send(body, Why::First, plan.into());
        let mut answer = first.await?;
        answer.client = client;
        match original {
            Some(original) if is_refusal(answer.response.status) => {
                // Boxed: it is rare, and as large as the first.
                Ok(Box::pin(outbound.refused(original, answer)).await)
            }
            _ => Ok(answer),
        }
    }

    /// Has an exchange move into the trace that its body names, whose headers are then these. What stands in the body for
    /// that alone is not sent.
    fn join(&self, call: &InFlight, body: &mut Outgoing) -> Option<TraceHeaders> {
        let found = match self.body_context {
            BodyContext::Off => None,
            BodyContext::Held | BodyContext::All => body.whole().and_then(trace_context::find),
        }?;
        if let Some(bytes) = found.left_out
            && !headers::is_sealed(&call.head.fields)
        {
            body.leave_out(bytes);
        }
        let tap = call.exchange.tap();
        self.open.join(call.joins?, &found.context, tap)
    }

    /// Whether its host is one that requests may be for. What names none is no browser's.
    fn may_be_for(&self, head: &RequestHead) -> bool {
        head.host()
            .is_none_or(|host| self.allowed_hosts.allow(host))
    }

    /// What of a request no route takes, whose body names this model, or was not read.
    fn unrouted(&self, head: &RequestHead, body: &Outgoing, model: Option<&str>) -> Unrouted {
        let path = head.target.path().into_owned();
        if !self.routes.depends_on_model(&head.target, &head.fields) {
            return Unrouted::Path(path);
        }
        if let Some(model) = model {
            let model = model.to_owned();
            return Unrouted::Model { model, path };
        }
        if head.method != Method::POST {
            return Unrouted::Method(head.method.clone(), path);
        }
        let length = body.length().exact();
        match body.whole() {
            // Of no length, it was not read for its coding either.
            Some([]) => Unrouted::Empty,
            Some(read) if usage::is_object(read) => Unrouted::NoModel,
            Some(_) => Unrouted::NoObject,
            None if head.fields.is_coded() => Unrouted::Coded,
            None => {
                let bytes = length.unwrap_or(body.bytes_ahead() as u64);
                let limit = self.inspect_bytes;
                match bytes > limit as u64 {
                    true => Unrouted::TooLarge {
                        bytes,
                        is_all: length.is_some(),
                        limit,
                    },
                    false => Unrouted::NotHeld,
                }
            }
        }
    }

    /// Whether something in the body decides, which then is to be read ahead.
    fn reads_ahead(&self, head: &RequestHead, completes: bool, body: &Outgoing) -> bool {
        let is_asked = || self.routes.by_model() || self.may_name_trace(head);
        let decides = completes || (head.method == Method::POST && is_asked());
        let readable = !head.fields.is_coded();
        let small = body.length().lower() <= self.inspect_bytes as u64;
        decides && readable && small
    }

    /// Whether its body is read for nothing but the trace that it may name.
    fn may_name_trace(&self, head: &RequestHead) -> bool {
        self.body_context == BodyContext::All && usage::is_of(&head.fields, usage::JSON)
    }
}

/// What it says of the page that it was made for.
fn site(head: &RequestHead) -> Site<'_> {
    Site {
        fetch_site: head.fields.text("sec-fetch-site"),
        origin: head.fields.text(ORIGIN),
        host: head.host(),
    }
}

/// Whether an upstream that was asked for usage may have refused only that.
fn is_refusal(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
    )
}

/// A request that was sent and not answered.
type Unanswered = Box<upstream::Unanswered<Box<Outgoing>, ProxyError>>;

/// A request that knows where it goes.
struct Outbound<'a> {
    /// The route, and its place in the configuration.
    route: &'a Route,
    place: usize,
    target: &'a Arc<Destination>,
    call: &'a InFlight,
    /// Which go in place of the client's, if any do.
    trace_headers: Option<&'a TraceHeaders>,
    /// Under which what is known of usage stands, of a completion.
    key: Option<Key>,
}

impl Outbound<'_> {
    /// The client's fields as they go to the upstream with this body.
    fn fields(&self, body: &Outgoing, usage_asked: bool) -> Fields {
        let (head, upstream) = (&self.call.head, &self.target.upstream);
        let mut fields = headers::to_upstream(&head.fields, head.version, upstream.host());
        headers::set_own(&mut fields, &upstream.config);
        if let Some(context) = self.trace_headers {
            headers::set_trace_headers(&mut fields, context);
        }
        if body.is_edited() && fields.contains(CONTENT_LENGTH) {
            fields.set(CONTENT_LENGTH, body.bytes_ahead().to_string());
        }
        if usage_asked {
            // The event that the edit adds can be taken out only where it can be read.
            fields.set(ACCEPT_ENCODING, "identity");
        }
        fields
    }

    /// An upstream that was asked for usage has answered that something is wrong. If that may be the question, the original
    /// goes out once, and if it succeeds the upstream is not asked again.
    async fn refused(
        &self,
        original: Box<Outgoing>,
        mut refusal: UpstreamResponse,
    ) -> UpstreamResponse {
        let asking = &self.target.usage;
        let accepted = self.key.is_some_and(|key| asking.has_accepted(key));
        let again = match refusal.cause().await {
            Cause::Asking => true,
            Cause::Another => false,
            Cause::Unclear => !accepted,
        };
        if !again {
            return refusal;
        }
        let original = original.as_attempt(refusal.attempt + 1);
        let Ok(answer) = self.send(original, Why::UsageRefused, Role::Passed).await else {
            // The upstream has answered; that the repeat did not reach it is no news for the client.
            return refusal;
        };
        if answer.response.status.is_success() {
            asking.learn(self.key, Lesson::Refused);
        }
        answer
    }

    /// Sends a request and waits for the head of the answer. Where the upstream has not processed it, or may do so twice, it
    /// is sent once more.
    async fn send(
        &self,
        body: Box<Outgoing>,
        why: Why,
        role: Role,
    ) -> Result<UpstreamResponse, Box<ProxyError>> {
        let unanswered = match self.attempt(body, why, role).await {
            Ok(answer) => return Ok(answer),
            Err(unanswered) => *unanswered,
        };
        let again = unanswered
            .again
            .and_then(|(body, why)| Some((body.rewind()?, why)));
        let Some((body, why)) = again else {
            return Err(Box::new(unanswered.error));
        };
        // Boxed: it is rare, and as large as the first.
        let repeated = Box::pin(self.attempt(body, why, role)).await;
        repeated.map_err(|unanswered| {
            Box::new(match why {
                Why::Unprocessed => unanswered.error.repeated(),
                _ => unanswered.error,
            })
        })
    }

    /// Sends a request once and waits for the head of the answer. The future has no more in it than the waiting needs.
    fn attempt(
        &self,
        mut body: Box<Outgoing>,
        why: Why,
        role: Role,
    ) -> impl Future<Output = Result<UpstreamResponse, Unanswered>> + Send {
        let upstream = &self.target.upstream;
        let tap = self.call.exchange.tap();
        let usage_asked = role == Role::Asked;
        let fields = self.fields(&body, usage_asked);
        let upload = body.upload();
        let attempt = body.attempt();
        // A connection that is as old as the one that closed may be about to close too.
        let fresh = matches!(why, Why::Unprocessed | Why::ConnectionClosed);
        let at = Instant::now();
        let target = upstream.target(&self.call.head.target);
        tracing::debug!(
            peer = self.call.head.peer.map(tracing::field::display),
            method = self.call.head.method.as_str(),
            upstream = &*upstream.name.name,
            ?why,
            usage_asked,
            "a request goes to the upstream"
        );
        tap.show(Event::Forwarded(Forwarded {
            at,
            upstream: Arc::clone(&upstream.name),
            route: Some(self.place),
            target: Box::new(target.clone()),
            why,
            usage_asked,
        }));
        if body.is_end_stream() {
            // A connection never polls an empty body, so this is the nearest instant there is.
            body.show_sent(Some(at));
        }
        let request = Box::new(Request {
            method: self.call.head.method.clone(),
            target,
            version: Version::HTTP_11,
            fields,
            body,
        });
        async move {
            let answered = match self.route.drains() {
                None => upstream.call(request, upload, fresh).await,
                Some(limits) => {
                    let exchange = &self.call.exchange;
                    Awaited::call(self.target, request, upload, fresh, exchange, limits).await
                }
            };
            let response = answered.inspect_err(|unanswered: &Unanswered| {
                if unanswered.error != ProxyError::ClientLeft {
                    tap.show(Event::Unanswered(Instant::now(), unanswered.error.kind()));
                }
            })?;
            Ok(self.take_over(response, role, attempt))
        }
    }

    /// Takes note of the head of an answer, and decides what is done with its body.
    fn take_over(
        &self,
        mut response: upstream::Inbound<Box<Outgoing>>,
        role: Role,
        attempt: usize,
    ) -> UpstreamResponse {
        let at = Instant::now();
        let status = response.status;
        let reading = usage::answered(&self.target.usage, self.key, role, status, &response.fields);
        let shortened = reading.as_ref().is_some_and(usage::Reading::shortens);
        let mut passing = passing(status, &response.fields, shortened);
        if response.body.is_early() && headers::says_close(&response.fields) {
            // It will not read the rest of the request, which the client then need not send.
            passing.append(CONNECTION, "close");
        }
        let drains = &self.target.drains;
        let care = Care::of_route(self.route, drains, status, self.call.head.version, &passing);
        self.call.exchange.tap().show(Event::ResponseHead {
            at,
            status,
            fields: std::mem::replace(&mut response.fields, passing),
        });
        UpstreamResponse {
            response,
            ahead: None,
            reading,
            attempt,
            client: None,
            care,
        }
    }
}

/// The fields of an answer that go to the client.
fn passing(status: StatusCode, upstream: &Fields, shortened: bool) -> Fields {
    if status == StatusCode::SWITCHING_PROTOCOLS {
        // They all belong to the change it answers.
        return upstream.clone();
    }
    let mut fields = headers::to_client(upstream);
    if shortened {
        headers::unseal(&mut fields);
    }
    fields
}
