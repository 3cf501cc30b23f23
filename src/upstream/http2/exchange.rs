//! One request and its response on a connection that is shared, driven in place by whoever waits for them.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream};
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, PROXY_AUTHORIZATION, TRANSFER_ENCODING,
};
use http::{HeaderMap, Uri, Version};
use http_body::SizeHint;

use super::super::BoxError;
use super::pool::Slot;
use super::sending::{Sending, Stopped};
use crate::http1::head::HEAD_BYTES_MAX;
use crate::message::{Body, Field, Fields, Frame, Polled, Request, Response};

/// A request on its way.
///
/// # Cancel safety
/// Dropping it resets the stream.
#[derive(Debug)]
pub(in super::super) struct Exchange<B> {
    response: ResponseFuture,
    sending: Sending<B>,
    slot: Slot,
}

/// A request for which no response came.
#[derive(Debug)]
pub(in super::super) struct Unanswered<B> {
    /// Why.
    pub(in super::super) error: BoxError,
    /// Its body, where the upstream says that it has processed nothing of the request.
    pub(in super::super) unprocessed: Option<B>,
}

impl<B> Exchange<B>
where
    B: Body<Error = BoxError>,
{
    /// Begins to send a request, or gives it back where the connection takes none any more.
    ///
    /// # Errors
    /// When it cannot be sent by HTTP/2.
    pub(in super::super) fn begin(
        slot: Slot,
        request: Box<Request<B>>,
        uri: &Uri,
    ) -> Result<Result<Box<Self>, Box<Request<B>>>, BoxError> {
        if slot.connection().is_overfull() {
            // It would wait there for other streams to end, out of sight.
            return Ok(Err(request));
        }
        let is_whole = request.body.is_end_stream();
        let mut sender = slot.connection().sender();
        match sender.send_request(head(&request, uri), is_whole) {
            Ok((response, stream)) => Ok(Ok(Box::new(Self {
                response,
                sending: Sending::new(request.body, (!is_whole).then_some(stream)),
                slot,
            }))),
            Err(error) => {
                slot.connection().condemn();
                match error.is_io() || error.reason().is_some() {
                    true => Ok(Err(request)),
                    false => Err(error.into()),
                }
            }
        }
    }

    /// Sends what there is to be sent. Resolves with the head of the response, which may come before the request is over:
    /// then the response's body has the rest of it to be sent ([`ResponseBody::unsent`]). Interim responses are left out. `exchange` is there until it resolves.
    ///
    /// # Errors
    /// When the connection broke, or the upstream does not take the request.
    pub(in super::super) fn poll_response(
        exchange: &mut Option<Box<Self>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<ResponseBody<B>>, Unanswered<B>>> {
        let unanswered = |error, unprocessed| Err(Unanswered { error, unprocessed });
        let Some(mut this) = exchange.take() else {
            return Poll::Ready(unanswered("the request is over".into(), None));
        };
        Poll::Ready(match this.poll_head(cx) {
            Poll::Pending => {
                *exchange = Some(this);
                return Poll::Pending;
            }
            Poll::Ready(Ok(response)) => Ok(this.into_response(response)),
            Poll::Ready(Err(Lost::Broken(error))) => unanswered(error, None),
            Poll::Ready(Err(Lost::Unprocessed(error))) => {
                unanswered(error, Some(this.sending.into_body()))
            }
        })
    }

    /// The upstream took too long. Whether it is still there others need not find out.
    pub(in super::super) fn give_up(&self) {
        self.slot.connection().condemn();
    }

    fn into_response(self, response: Response<RecvStream>) -> Response<ResponseBody<B>> {
        let Self {
            sending, mut slot, ..
        } = self;
        let length = response.fields.text(CONTENT_LENGTH);
        let length = length.and_then(|length| length.parse().ok());
        let unsent = (!sending.is_over()).then(|| Unsent {
            slot: slot.another(),
            sending,
        });
        slot.answered();
        response.map(|incoming| {
            let is_over = incoming.is_end_stream();
            let open = OpenBody {
                incoming,
                at_trailers: false,
                slot,
            };
            ResponseBody {
                unsent: unsent.map(Box::new),
                open: (!is_over).then(|| Box::new(open)),
                length,
            }
        })
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<RecvStream>, Lost>> {
        if self.sending.poll(&mut self.slot, cx) == Err(Stopped::Broken) {
            let broken = Lost::Broken("the request body ended early".into());
            return Poll::Ready(Err(broken));
        }
        Poll::Ready(match ready!(Pin::new(&mut self.response).poll(cx)) {
            Ok(response) => {
                let response = Response::from(response);
                match is_too_large(&response.fields) {
                    true => Err(Lost::Broken(too_large("head"))),
                    false => Ok(response),
                }
            }
            Err(error) if is_unprocessed(&error) => {
                self.slot.connection().refused();
                Err(Lost::Unprocessed(refusal(&error).into()))
            }
            Err(error) => Err(Lost::Broken(self.slot.explained(error))),
        })
    }
}

/// A request for which no response comes.
enum Lost {
    Broken(BoxError),
    /// The upstream says that it has processed nothing of it.
    Unprocessed(BoxError),
}

/// Whether an upstream says that it has processed nothing of a request: by a `GOAWAY` that names a stream before its own, or
/// a `REFUSED_STREAM` (RFC 9113 §6.8, §8.7). Of a `GOAWAY` only those streams are told that are beyond what it names.
fn is_unprocessed(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    error.is_remote() && (refused || error.is_go_away())
}

/// How an upstream said that it has processed nothing of a request.
fn refusal(error: &h2::Error) -> String {
    match error.reason() {
        Some(reason) if error.is_go_away() => {
            format!("it is closing its connections (GOAWAY, {reason:?})")
        }
        _ => "it takes no more requests on its connections (REFUSED_STREAM)".to_owned(),
    }
}

/// Another one in each request (W3C Trace Context).
const TRACEPARENT: &str = "traceparent";

/// The head of a request as it goes by HTTP/2.
fn head<B>(request: &Request<B>, uri: &Uri) -> http::Request<()> {
    // `:authority` says it; bodies are framed otherwise; and there is no `Connection` (RFC 9113 §8.2.2). What else ends at
    // a hop is gone already.
    let is_sent = |field: &Field<'_>| {
        !(field.is(HOST) || field.is(CONNECTION) || field.is(TRANSFER_ENCODING))
    };
    let fields = request.fields.iter().filter(is_sent);
    let mut headers = HeaderMap::with_capacity(request.fields.len());
    for (name, mut value) in fields.filter_map(Field::to_header) {
        // Such are kept out of the compression's tables (RFC 7541 §7.1.3). What never comes again would push out of them what does.
        let is_credential = name == AUTHORIZATION || name == PROXY_AUTHORIZATION || name == COOKIE;
        value.set_sensitive(is_credential || name == TRACEPARENT);
        headers.append(name, value);
    }
    let mut made = http::Request::new(());
    made.method_mut().clone_from(&request.method);
    made.uri_mut().clone_from(uri);
    *made.version_mut() = Version::HTTP_2;
    *made.headers_mut() = headers;
    made
}

/// Whether a head or trailers would be too large for HTTP/1.1 too.
fn is_too_large(fields: &Fields) -> bool {
    fields.written_len() > HEAD_BYTES_MAX
}

fn too_large(what: &str) -> BoxError {
    let limit = HEAD_BYTES_MAX >> 10;
    format!("the {what} of the response are larger than {limit} KiB").into()
}

/// The body of a response, read from its stream as it is asked for. Dropped before its end, it resets the stream.
#[derive(Debug)]
pub(in super::super) struct ResponseBody<B> {
    /// Until it is over. Boxed: a response is moved through several futures on its way.
    open: Option<Box<OpenBody>>,
    /// What is left of the request. Boxed: it is rare.
    unsent: Option<Box<Unsent<B>>>,
    /// As the head says; what is left of it.
    length: Option<u64>,
}

#[derive(Debug)]
struct OpenBody {
    incoming: RecvStream,
    /// All data have come.
    at_trailers: bool,
    slot: Slot,
}

impl<B> ResponseBody<B> {
    /// What is left of the request, where the response has come before all of it was sent; once. It has to be sent by
    /// somebody, and apart from the response: a client may read no response before it has sent everything.
    pub(in super::super) fn unsent(&mut self) -> Option<Box<Unsent<B>>> {
        self.unsent.take()
    }

    /// Nothing came for too long.
    pub(in super::super) fn give_up(&self) {
        if let Some(open) = &self.open {
            open.slot.connection().condemn();
        }
    }

    /// How many bytes have come that nobody has read.
    pub(in super::super) fn unread(&mut self) -> usize {
        let open = self.open.as_mut();
        open.map_or(0, |open| open.incoming.flow_control().used_capacity())
    }
}

impl OpenBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<BoxError> {
        let frame = ready!(self.poll_incoming(cx));
        Poll::Ready(match frame.map_err(|error| self.slot.explained(error))? {
            Some(Frame::Trailers(trailers)) if is_too_large(&trailers) => {
                Some(Err(too_large("trailers")))
            }
            frame => frame.map(Ok),
        })
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, h2::Error>> {
        while !self.at_trailers {
            match ready!(self.incoming.poll_data(cx)).transpose()? {
                Some(data) => {
                    // Room for as much is made where the next data are asked for.
                    self.incoming.flow_control().release_capacity(data.len())?;
                    if !data.is_empty() {
                        return Poll::Ready(Ok(Some(Frame::Data(data))));
                    }
                }
                None => self.at_trailers = true,
            }
        }
        let trailers = ready!(self.incoming.poll_trailers(cx))?;
        let trailers = trailers.map(|trailers| Box::new(Fields::from(&trailers)));
        Poll::Ready(Ok(trailers.map(Frame::Trailers)))
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Error = BoxError>,
{
    type Error = BoxError;

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<BoxError> {
        let Some(open) = &mut self.open else {
            return Poll::Ready(None);
        };
        let frame = ready!(open.poll_frame(cx));
        let is_over = match &frame {
            Some(Ok(Frame::Data(_))) => open.incoming.is_end_stream(),
            _ => true,
        };
        if is_over {
            self.open = None;
        }
        if let (Some(Ok(frame)), Some(length)) = (&frame, &mut self.length) {
            let bytes = frame.data().map_or(0, Bytes::len) as u64;
            *length = length.saturating_sub(bytes);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.open.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.open, self.length) {
            (None, _) => SizeHint::with_exact(0),
            (_, Some(length)) => SizeHint::with_exact(length),
            _ => SizeHint::default(),
        }
    }
}

/// What is left of a request whose response has begun.
///
/// # Cancel safety
/// Dropping it leaves the rest unsent: the stream is reset, once the response is over.
#[derive(Debug)]
pub(in super::super) struct Unsent<B> {
    sending: Sending<B>,
    slot: Slot,
}

impl<B> Unsent<B>
where
    B: Body<Error = BoxError>,
{
    /// Resolves when all of it has been sent, the client's part has broken off, or the upstream takes no more.
    pub(in super::super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let stopped = self.sending.poll(&mut self.slot, cx).is_err();
        match stopped || self.sending.is_over() || self.sending.poll_unwanted(cx).is_ready() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// How much the upstream has taken, while it has to take more; `None` while the client is waited for.
    pub(in super::super) fn taken(&self) -> Option<u64> {
        self.sending.taken()
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::message::Target;

    #[test]
    fn credentials_and_traces_are_kept_out_of_the_tables_and_what_is_said_otherwise_is_left_out() {
        let fields = [
            ("Host", "a"),
            ("Cookie", "one"),
            ("X-One", "1"),
            ("Traceparent", "00-1-2-01"),
            ("cookie", "two"),
            ("Transfer-Encoding", "chunked"),
            ("Authorization", "Bearer one"),
            ("Connection", "close"),
        ];
        let uri = Uri::from_static("https://upstream/v1");
        let request = Request {
            method: Method::POST,
            target: Target::from(&uri),
            version: Version::HTTP_11,
            fields: fields.into_iter().collect(),
            body: (),
        };
        let head = head(&request, &uri);
        let sent = head.headers().iter();
        let sent: Vec<_> = sent
            .map(|(name, value)| (name.as_str(), value.as_bytes(), value.is_sensitive()))
            .collect();
        assert_eq!(
            sent,
            [
                ("cookie", &b"one"[..], true),
                ("cookie", b"two", true),
                ("x-one", b"1", false),
                ("traceparent", b"00-1-2-01", true),
                ("authorization", b"Bearer one", true),
            ]
        );
    }
}
