#!/usr/bin/env bash
# http-body-util's `Channel`, a body made by hand: does it end only after the frames that were sent?
#
# Guess: yes. `send()` said `Ok`, and the sender was dropped after it; a channel of tokio has what was sent before its end, whatever
# the threads, and the body is one. A body of the same channel without http-body-util is the yardstick.
#
# Found: not always. It looks for a frame, finds none, and then looks whether the sender is gone; where another thread sends the
# last frame and drops the sender between the two looks, the body is over, in good order, and the frame stays where nobody reads
# it. That can be the trailers, the last data, or all of a body; `send()` and `try_send()` alike said that it was sent, and hyper
# writes such a body as a whole one. With two threads that have a core each it happens to up to one in ten bodies, on a busy
# machine to none for minutes. Hence two parts here: threads, which only show how often, and one thread that sends at each moment
# at which a reader lets other code run (it keeps a copy of the waker), which is what the result rests on.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"

cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"

[dependencies]
bytes = "=1.12.2"
http = "=1.5.0"
http-body = "=1.1.0"
http-body-util = { version = "=0.1.5", features = ["channel"] }
tokio = { version = "=1.54.1", features = ["rt-multi-thread", "sync"] }
TOML

cat > "$work/src/main.rs" <<'RUST'
use std::cell::RefCell;
use std::sync::{atomic::{AtomicU32, Ordering::SeqCst}, mpsc::channel, Arc};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::{convert::Infallible, hint, pin::Pin, ptr, thread};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use http_body_util::{channel::Channel, BodyExt};
use tokio::{runtime::Builder, sync::mpsc};

const BODIES: u32 = 50_000;

/// The yardstick: tokio's channel and nothing else.
struct Plain(mpsc::Receiver<Frame<Bytes>>);

impl Body for Plain {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}

fn data() -> Frame<Bytes> {
    Frame::data(Bytes::from_static(b"hello"))
}

fn trailers() -> Frame<Bytes> {
    Frame::trailers(HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("1"))]))
}

/// A body, and what sends a frame to it and is gone.
fn plain(frame: Frame<Bytes>) -> (impl FnOnce() + Send, Plain) {
    let (sender, body) = mpsc::channel(1);
    (move || sender.try_send(frame).unwrap(), Plain(body))
}

fn with_channel(frame: Frame<Bytes>) -> (impl FnOnce() + Send, Channel<Bytes>) {
    let (mut sender, body) = Channel::new(1);
    (move || sender.try_send(frame).unwrap(), body)
}

thread_local! {
    /// What is done when the waker is copied so many times more.
    static THEN: RefCell<(usize, Option<Box<dyn FnOnce()>>)> = RefCell::default();
}

const VTABLE: RawWakerVTable = RawWakerVTable::new(copy, |_| (), |_| (), |_| ());

fn copy(_: *const ()) -> RawWaker {
    let then = THEN.with_borrow_mut(|(copies, then)| {
        *copies = copies.wrapping_sub(1);
        if *copies == 0 { then.take() } else { None }
    });
    if let Some(then) = then {
        then();
    }
    RawWaker::new(ptr::null(), &VTABLE)
}

/// Reads a body to its end; its frame is sent when the reader's waker is copied for the given time.
fn read_with_send_at<S: FnOnce() + 'static, B: Body<Error = Infallible> + Unpin>(copies: usize, (send, mut body): (S, B)) -> String {
    THEN.set((copies, Some(Box::new(send))));
    // SAFETY: the waker has no data, and so none that could be used wrongly.
    let waker = unsafe { Waker::from_raw(RawWaker::new(ptr::null(), &VTABLE)) };
    let mut frames = 0;
    for _ in 0..10 {
        match Pin::new(&mut body).poll_frame(&mut Context::from_waker(&waker)) {
            Poll::Ready(None) => return format!("{frames} frames, then the end"),
            Poll::Ready(Some(frame)) => {
                frame.unwrap();
                frames += 1;
            }
            Poll::Pending => {}
        }
    }
    "no such copy".to_owned()
}

/// Reads bodies in a task while a thread sends to each its only frame, both beginning together. How many end without it?
fn lost<S, B>(make: impl Fn() -> (S, B) + Send + 'static) -> u32
where
    S: FnOnce() + Send + 'static,
    B: Body<Error = Infallible> + Send + Unpin + 'static,
{
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (hand, taken) = channel::<S>();
    let begun = Arc::new(AtomicU32::new(0));
    let ready = begun.clone();
    let sending = thread::spawn(move || {
        for (body, send) in (1..).zip(taken) {
            ready.store(body, SeqCst);
            for _ in 0..body % 100 {
                hint::spin_loop();
            }
            send();
        }
    });
    let reading = runtime.spawn(async move {
        let mut lost = 0;
        for body in 1..=BODIES {
            let (send, mut read) = make();
            hand.send(send).ok().unwrap();
            while begun.load(SeqCst) != body {
                hint::spin_loop();
            }
            if read.frame().await.is_none() {
                lost += 1;
            }
        }
        lost
    });
    let lost = runtime.block_on(reading).unwrap();
    sending.join().unwrap();
    lost
}

fn main() {
    eprintln!("two threads, tokio's channel: {} of {BODIES} bodies without their frame", lost(|| plain(data())));
    eprintln!("two threads, Channel: {} of {BODIES} bodies without their frame", lost(|| with_channel(data())));
    for copy in 1..=2 {
        println!("sent at copy {copy}, tokio's channel, data: {}", read_with_send_at(copy, plain(data())));
        println!("sent at copy {copy}, Channel, data: {}", read_with_send_at(copy, with_channel(data())));
        println!("sent at copy {copy}, Channel, trailers: {}", read_with_send_at(copy, with_channel(trailers())));
    }
}
RUST

export CARGO_TARGET_DIR="$work/target"
cargo build --quiet --manifest-path "$work/Cargo.toml"
cargo tree --manifest-path "$work/Cargo.toml" --depth 1 --prefix none | grep -E '^(http-body-util|tokio) '
seen=$("$work/target/debug/finding")
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
sent at copy 1, tokio's channel, data: 1 frames, then the end
sent at copy 1, Channel, data: 1 frames, then the end
sent at copy 1, Channel, trailers: 1 frames, then the end
sent at copy 2, tokio's channel, data: 1 frames, then the end
sent at copy 2, Channel, data: 0 frames, then the end
sent at copy 2, Channel, trailers: 0 frames, then the end
SEEN
