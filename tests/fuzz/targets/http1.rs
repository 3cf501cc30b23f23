//! Connections: heads and chunks, from either side, the same however they arrive.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, Empty, Full};
use streamgauge::http1::{
    Connection, Keep, Occupancy, Pool, RefusedHead, RequestBody, Service, Trust, serve,
};
use streamgauge::message::{Fields, HttpBody, Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::watch;

use crate::mutate::Random;
use crate::run::shape;

/// More than any input, so that nobody waits for the other side to read.
const PIPE_BYTES: usize = 1 << 20;

/// Requests as a client sends them: what the server answers is the same.
pub(crate) fn request(input: &[u8], random: &mut Random) -> u64 {
    let whole = run(answers(&[input]));
    let cut = run(answers(&random.cut(input)));
    assert_eq!(whole, cut);
    shape(whole.len().checked_ilog2())
}

/// A response as an upstream sends it: what the client makes of it is the same.
pub(crate) fn response(input: &[u8], random: &mut Random) -> u64 {
    let whole = run(received(&[input]));
    let cut = run(received(&random.cut(input)));
    assert_eq!(whole, cut);
    let body = whole.as_ref().map(|(_, body)| body.as_ref().map(Vec::len));
    shape(format!("{body:?}"))
}

/// Time stands still where nothing happens, so that no limit is waited for.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(future)
}

/// Sends pieces, each after the other side had time to take the one before, then closes that direction.
async fn send(mut io: impl tokio::io::AsyncWrite + Unpin, pieces: &[&[u8]]) {
    for piece in pieces {
        // The other side may have closed: then there is nobody to tell.
        if io.write_all(piece).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    let _ = io.shutdown().await;
}

async fn answers(pieces: &[&[u8]]) -> Vec<u8> {
    let (ours, theirs) = duplex(PIPE_BYTES);
    let (_stop, stopped) = watch::channel(false);
    let (mut reads, writes) = tokio::io::split(ours);
    let mut answered = Vec::new();
    let serving = async { drop(serve(theirs, &Echo, &Occupancy::default(), stopped).await) };
    let reading = async { reads.read_to_end(&mut answered).await };
    let (_, (), read) = tokio::join!(serving, send(writes, pieces), reading);
    read.unwrap();
    // Whether the body was waited for depends on when it came.
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    while let Some(at) = memchr::memmem::find(&answered, interim) {
        answered.drain(at..at + interim.len());
    }
    answered
}

/// Answers with the body it got, or that there is none.
struct Echo;

impl Service for Echo {
    type Body = Full<Bytes>;

    async fn call(&self, request: Request<RequestBody>) -> Response<Full<Bytes>> {
        let fields = request.fields.len();
        let line = format!(
            "{} {:?} {fields}\n",
            request.method,
            request.target.as_bytes()
        );
        match HttpBody(request.body).collect().await {
            Ok(body) => {
                let trailers = format!("{:?}\n", body.trailers());
                let text = [line.as_bytes(), trailers.as_bytes(), &body.to_bytes()].concat();
                answer(StatusCode::OK, text)
            }
            Err(_) => refused("the body broke off"),
        }
    }

    fn refuse(&self, what: RefusedHead) -> Response<Full<Bytes>> {
        refused(what.error.to_string())
    }
}

fn refused(text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    answer(StatusCode::BAD_REQUEST, text)
}

fn answer(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response {
        status,
        reason: None,
        fields: Fields::default(),
        body: Full::new(text.into()),
    }
}

/// The head of a response and its body; `None` in place of either where it broke.
async fn received(pieces: &[&[u8]]) -> Option<(String, Option<Vec<u8>>)> {
    let (ours, theirs) = duplex(PIPE_BYTES);
    let (sent, received) = tokio::join!(keep_sending(ours, pieces), receive(theirs));
    drop(sent);
    received
}

/// The stream is kept, so that the other side can still write its request.
async fn keep_sending(io: DuplexStream, pieces: &[&[u8]]) -> DuplexStream {
    let mut io = io;
    send(&mut io, pieces).await;
    io
}

async fn receive(io: DuplexStream) -> Option<(String, Option<Vec<u8>>)> {
    let keep = Keep {
        idle: Duration::from_secs(1),
        connections: 1,
    };
    let pool: Arc<Pool<DuplexStream>> = Pool::new(keep, Trust::new("up"));
    let request = Request::from(http::Request::new(Empty::<Bytes>::new()));
    let mut sent = Connection::new(io).send(Box::new(request), &pool, false);
    let response = poll_fn(|cx| sent.poll_response(cx)).await.ok()?;
    let head = format!("{} {:?}", response.status, response.fields.to_map());
    let body: Result<_, _> = HttpBody(response.body).collect().await;
    let body = body.ok().map(|body| body.to_bytes().to_vec());
    Some((head, body))
}
