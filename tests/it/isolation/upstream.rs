//! An upstream that answers when its plan says so, and goes on reading later.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Frame;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::body::{Played, Sender, played};
use super::plan::{End, Plan, Read, Site};

/// What a client may send of a body before it is read, by HTTP/2.
const WINDOW: u32 = 64;
/// A request that stands still for so long does so for good: on a new connection a client may send more than the window before
/// it knows of it, and the library forgets to open one that it has made smaller meanwhile.
const STALLED: Duration = Duration::from_secs(3);

/// An upstream of both versions. It leaves its window shut where it answers early, and opens it when the next request is in.
pub(super) async fn start(site: Arc<Site>) -> (SocketAddr, AbortHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let site = Arc::clone(&site);
            let service = service_fn(move |request| answer(request, Arc::clone(&site)));
            tokio::spawn(async move {
                let mut server = auto::Builder::new(TokioExecutor::new());
                server.http2().initial_stream_window_size(WINDOW);
                // A client that goes away is no failure.
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (address, task.abort_handle())
}

async fn answer(
    request: Request<Incoming>,
    site: Arc<Site>,
) -> Result<Response<Played>, Infallible> {
    let plan = Plan::of(request.headers());
    site.arrived(&plan);
    let mut body = request.into_body();
    let (sender, answer) = played(4);
    let (answered, at) = oneshot::channel();
    tokio::spawn(async move {
        let mut read = Read::new(&plan, "the request");
        let mut ended = None;
        while read.length < plan.answers_at && ended.is_none() {
            ended = next(&mut read, &mut body, &site).await;
        }
        // Whoever asked may have left.
        let _ = answered.send(());
        send(&sender, &plan, 0..plan.answer / 2).await;
        if plan.cuts {
            let _ = sender.send(Err(std::io::Error::other("cut"))).await;
        } else {
            send(&sender, &plan, plan.answer / 2..plan.answer).await;
            drop(sender);
        }
        if ended.is_none() {
            site.next_arrived(&plan).await;
        }
        while ended.is_none() {
            ended = next(&mut read, &mut body, &site).await;
        }
        let is_whole = (read.length, read.trailers) == (plan.request, plan.has_trailers);
        if ended == Some(End::Whole) && !is_whole {
            site.fault(format!(
                "the request of {plan:?} is over after {} bytes, trailers: {}",
                read.length, read.trailers
            ));
        }
    });
    let _ = at.await;
    Ok(Response::builder()
        .status(plan.status)
        .header("x-id", plan.id)
        .body(answer)
        .unwrap())
}

/// The next frame of a request, if it does not stand still.
async fn next(read: &mut Read<'_>, body: &mut Incoming, site: &Site) -> Option<End> {
    let frame = timeout(STALLED, read.frame(body, site)).await;
    frame.unwrap_or(Some(End::Broken))
}

/// Sends a part of a body in two frames. Whoever does not want it any more is not told so.
pub(super) async fn send(sender: &Sender, plan: &Plan, part: Range<usize>) {
    let middle = part.start + part.len() / 2;
    for (from, to) in [(part.start, middle), (middle, part.end)] {
        if from < to {
            let _ = sender.send(Ok(Frame::data(plan.marked(from, to)))).await;
        }
    }
}
