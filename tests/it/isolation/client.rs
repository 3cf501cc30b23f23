//! Clients: of HTTP/1.1 with raw bytes, so that a body, its trailers and the next request may come at once.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use http::{Request, StatusCode};
use http_body::Frame;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use streamgauge::http1::unchunk;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::body::{Played, played};
use super::plan::{End, Plan, Read, Site};
use super::upstream::send;
use crate::support::http1::{Framing, framing};

async fn connect(proxy: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(proxy).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A connection of HTTP/1.1.
pub(super) struct Http1 {
    stream: TcpStream,
    received: BytesMut,
}

impl Http1 {
    pub(super) async fn new(proxy: SocketAddr) -> Self {
        Self {
            stream: connect(proxy).await,
            received: BytesMut::new(),
        }
    }

    /// Makes calls, the next of which is sent without waiting for the answer of the one before. Says whether the connection
    /// can be used again.
    pub(super) async fn calls(&mut self, plans: &[Plan], site: &Site) -> bool {
        let Self { stream, received } = self;
        let (mut reads, mut writes) = stream.split();
        let sent: Vec<u8> = plans.iter().flat_map(first_part).collect();
        // In two pieces, so that a body comes in several reads. The proxy may have closed; then there is no answer either.
        let (first, second) = sent.split_at(plans[0].cut.min(sent.len()));
        let mut writing = Box::pin(async {
            if !first.is_empty() && writes.write_all(first).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let _ = writes.write_all(second).await;
        });
        let mut reading = std::pin::pin!(async {
            for plan in plans {
                if !answer(&mut reads, received, plan, site).await {
                    return false;
                }
            }
            true
        });
        let mut is_sent = false;
        let answered = loop {
            tokio::select! {
                answered = &mut reading => break answered,
                () = &mut writing, if !is_sent => is_sent = true,
            }
        };
        let last = plans.last().unwrap();
        if !answered || last.leaves || last.breaks {
            return false;
        }
        // An answer may come before its request is over, which then goes on.
        if !is_sent {
            writing.await;
        } else {
            drop(writing);
        }
        let rest = [last.framed(last.before, last.request), last.end()].concat();
        last.before == last.request || writes.write_all(&rest).await.is_ok()
    }
}

/// The head of a request and as much of its body as is sent before the answer.
fn first_part(plan: &Plan) -> Vec<u8> {
    let framing = match plan.has_length {
        true => format!("content-length: {}", plan.request),
        false => String::from("transfer-encoding: chunked"),
    };
    let head = format!(
        "POST /v1/x HTTP/1.1\r\nhost: me\r\nx-plan: {}\r\n{framing}\r\n\r\n",
        plan.field()
    );
    let end = match plan.before == plan.request {
        true => plan.end(),
        false => Vec::new(),
    };
    [head.into_bytes(), plan.framed(0, plan.before), end].concat()
}

impl Plan {
    /// A part of the request's body in two pieces, as it is framed.
    fn framed(&self, from: usize, to: usize) -> Vec<u8> {
        let middle = from + (to - from) / 2;
        [(from, middle), (middle, to)]
            .into_iter()
            .filter(|(from, to)| from < to)
            .flat_map(|(from, to)| match self.has_length {
                true => self.marked(from, to).to_vec(),
                false => crate::support::http1::chunk(self.marked(from, to)),
            })
            .collect()
    }

    /// What ends the body.
    fn end(&self) -> Vec<u8> {
        match (self.has_length, self.has_trailers) {
            (true, _) => String::new(),
            (false, false) => String::from("0\r\n\r\n"),
            (false, true) => format!("0\r\nx-mark: {}\r\n\r\n", self.id),
        }
        .into_bytes()
    }
}

/// Reads an answer, and says whether another may follow.
async fn answer(
    reads: &mut (impl tokio::io::AsyncRead + Unpin),
    received: &mut BytesMut,
    plan: &Plan,
    site: &Site,
) -> bool {
    let head = loop {
        if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break received.split_to(at + 4);
        }
        if !matches!(reads.read_buf(received).await, Ok(1..)) {
            return false;
        }
    };
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    // The proxy's own answers have no mark; there are some, where a call breaks before it is answered.
    if !text.contains("x-id: ") {
        let ours = ["http/1.1 502 ", "http/1.1 400 "].map(|status| text.starts_with(status));
        if ours == [false; 2] {
            site.fault(format!("{plan:?} got {text}"));
        }
        return false;
    }
    let ours = text.contains(&format!("x-id: {}\r\n", plan.id));
    if !ours || !text.starts_with(&format!("http/1.1 {} ", plan.status)) {
        site.fault(format!("{plan:?} got {text}"));
    }
    let framing = framing(&head, Framing::Empty);
    loop {
        let (body, used, end) = match framing {
            Framing::Chunked => {
                let Ok(unchunked) = unchunk(received.to_vec()) else {
                    site.fault(format!("{plan:?} got chunks that are none"));
                    return false;
                };
                (unchunked.data, unchunked.used, unchunked.is_whole)
            }
            Framing::Length(length) => {
                let used = length.min(received.len());
                (received[..used].to_vec(), used, used == length)
            }
            _ => (Vec::new(), 0, true),
        };
        let leaves = plan.leaves && !body.is_empty();
        let over = end || leaves || !matches!(reads.read_buf(received).await, Ok(1..));
        if over {
            site.check(plan, &body, end);
            received.advance(used);
            return end && !leaves && !text.contains("connection: close");
        }
    }
}

/// A connection of HTTP/2.
pub(super) struct Http2(SendRequest<Played>);

impl Http2 {
    pub(super) async fn new(proxy: SocketAddr) -> Self {
        let io = TokioIo::new(connect(proxy).await);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    pub(super) async fn call(&mut self, proxy: SocketAddr, plan: &Plan, site: &Site) {
        let (sender, body) = played(4);
        let mut request =
            Request::post(format!("http://{proxy}/v1/x")).header("x-plan", plan.field());
        if plan.has_length {
            request = request.header("content-length", plan.request);
        }
        let (answered, at) = oneshot::channel::<()>();
        let sent = *plan;
        tokio::spawn(async move {
            send(&sender, &sent, 0..sent.before).await;
            if sent.before < sent.request {
                let _ = at.await;
            }
            if sent.breaks {
                let broken = std::io::Error::other("broken off");
                let _ = sender.send(Err(broken)).await;
                return;
            }
            send(&sender, &sent, sent.before..sent.request).await;
            if sent.has_trailers {
                let _ = sender.send(Ok(Frame::trailers(sent.trailers()))).await;
            }
        });
        let Ok(response) = self.0.send_request(request.body(body).unwrap()).await else {
            return;
        };
        let Some(id) = response.headers().get("x-id") else {
            if response.status() != StatusCode::BAD_GATEWAY {
                site.fault(format!("{plan:?} got {response:?}"));
            }
            return;
        };
        if *id != plan.id.to_string() || response.status() != plan.status {
            site.fault(format!("{plan:?} got {response:?}"));
        }
        let mut body = response.into_body();
        let mut read = Read::new(plan, "the answer");
        if plan.leaves {
            let _ = read.frame(&mut body, site).await;
            return;
        }
        let end = read.rest(&mut body, site).await;
        if end == End::Whole && (read.length != plan.answer || plan.cuts) {
            site.fault(format!("{plan:?} is over after {} bytes", read.length));
        }
        drop(answered);
    }
}
