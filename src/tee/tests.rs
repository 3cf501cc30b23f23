use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;

use super::*;

/// What an observer saw: frames in order, `Missed` as `-n`, and the closing.
#[derive(Debug, Default)]
struct Seen {
    frames: Vec<Bytes>,
    missed: u64,
}

struct Recorder {
    seen: Seen,
    panic_at: Option<&'static [u8]>,
    done: Option<oneshot::Sender<(Seen, Closing)>>,
}

impl Observer for Recorder {
    fn observe(&mut self, event: Event) {
        match event {
            Event::RequestFrame(_, bytes) | Event::ResponseFrame(_, bytes) => {
                assert_ne!(
                    Some(&bytes[..]),
                    self.panic_at,
                    "the observer was told to panic here"
                );
                self.seen.frames.push(bytes);
            }
            Event::Missed(frames) => self.seen.missed += frames,
            _ => {}
        }
    }

    fn close(mut self: Box<Self>, closing: Closing) {
        let done = self.done.take().expect("an exchange closes once");
        let _ = done.send((std::mem::take(&mut self.seen), closing));
    }
}

struct Opened {
    tap: Tap,
    counters: Arc<Counters>,
    done: oneshot::Receiver<(Seen, Closing)>,
}

fn open(limit_bytes: usize, panic_at: Option<&'static [u8]>) -> Opened {
    let (sender, done) = oneshot::channel();
    let observer = Recorder {
        seen: Seen::default(),
        panic_at,
        done: Some(sender),
    };
    let taps = Taps::new(limit_bytes);
    Opened {
        tap: taps.open(Box::new(observer)),
        counters: taps.counters(),
        done,
    }
}

fn show(tap: &Tap, text: &'static str) {
    tap.show_response(Instant::now(), &Bytes::from_static(text.as_bytes()));
}

fn dropped() -> Closing {
    Closing {
        at: Instant::now(),
        close: Close::Dropped,
        status: None,
        response_bytes: 0,
        held: Duration::ZERO,
        verdict: None,
    }
}

/// A body that plays a script; `None` is a wait that wakes itself.
struct Script(VecDeque<Option<Result<Frame<Bytes>, Broken>>>);

#[derive(Debug, PartialEq)]
struct Broken;

impl response::Describe for Broken {
    fn fault(&self) -> Fault {
        Fault {
            class: FaultClass::Cut,
            kind: "stream_truncated",
            message: "broken".into(),
        }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.0.pop_front() {
            Some(None) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Some(frame)) => Poll::Ready(Some(frame)),
            None => Poll::Ready(None),
        }
    }
}

fn data(text: &'static str) -> Option<Result<Frame<Bytes>, Broken>> {
    Some(Ok(Frame::data(Bytes::from_static(text.as_bytes()))))
}

/// Takes out every `X`, and holds the last byte of a frame back until the next one.
#[derive(Default)]
struct TakeOutX(Bytes);

impl Edit for TakeOutX {
    fn push(&mut self, bytes: Bytes, out: &mut VecDeque<Piece>) {
        self.finish(out);
        let last = bytes.len() - 1;
        self.0 = bytes.slice(last..);
        for at in 0..last {
            out.push_back(decide(bytes.slice(at..=at)));
        }
    }

    fn finish(&mut self, out: &mut VecDeque<Piece>) {
        let held = std::mem::take(&mut self.0);
        out.extend((!held.is_empty()).then(|| decide(held)));
    }
}

fn decide(byte: Bytes) -> Piece {
    if &byte[..] == b"X" {
        Piece::Remove(byte)
    } else {
        Piece::Pass(byte)
    }
}

fn tee(
    script: impl IntoIterator<Item = Option<Result<Frame<Bytes>, Broken>>>,
    tap: Tap,
    edit: bool,
) -> ResponseTee<Script, TakeOutX> {
    let body = Script(script.into_iter().collect());
    ResponseTee::new(body, tap, StatusCode::OK, edit.then(TakeOutX::default))
}

async fn read(
    mut body: ResponseTee<Script, TakeOutX>,
) -> (String, Option<HeaderMap>, Option<Broken>) {
    let (mut text, mut trailers, mut broken) = (String::new(), None, None);
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(bytes)) => {
                text.push_str(std::str::from_utf8(&bytes).expect("the tests use ASCII"))
            }
            Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
            Err(error) => broken = Some(error),
        }
    }
    (text, trailers, broken)
}

#[tokio::test]
async fn what_is_shown_is_observed_in_order_and_the_end_comes_last() {
    let Opened {
        tap,
        counters,
        done,
    } = open(1 << 20, None);
    for _ in 0..40 {
        show(&tap, "a");
        show(&tap, "b");
    }
    assert_eq!(counters.in_flight(), 1);
    tap.close(dropped());
    show(&tap, "late");
    let (seen, closing) = done.await.expect("the observer closes");
    assert_eq!(seen.frames.concat(), "ab".repeat(40).as_bytes());
    assert_eq!(closing.close, Close::Dropped);
    assert_eq!(counters.in_flight(), 0);
}

#[tokio::test]
async fn over_the_bound_frames_are_missed_and_counted_but_the_end_is_not() {
    let Opened {
        tap,
        counters,
        done,
    } = open(10, None);
    // What was missed is one event, so the batch is not full, and nothing is taken out of the queue before the end.
    let sent = 50;
    for _ in 0..sent {
        show(&tap, "four");
    }
    tap.close(dropped());
    let (seen, _) = done.await.expect("the observer closes");
    assert_eq!(seen.frames.len() as u64 + seen.missed, sent);
    assert_eq!(seen.frames.len(), 2);
    assert_eq!(counters.missed.load(Ordering::Relaxed), seen.missed);
}

/// Holds up the thread that observers run on.
struct Stuck(std::sync::mpsc::Receiver<()>);

impl Observer for Stuck {
    fn observe(&mut self, _: Event) {
        let _ = self.0.recv();
    }

    fn close(self: Box<Self>, _: Closing) {}
}

#[test]
fn frames_that_wait_are_bounded_in_number_too() {
    let taps = Taps::new(100 << 10);
    let (release, stuck) = std::sync::mpsc::channel();
    let busy = taps.open(Box::new(Stuck(stuck)));
    busy.show(Event::Sent(Instant::now()));
    busy.close(dropped());
    let (done, _seen) = oneshot::channel();
    let behind = taps.open(Box::new(Recorder {
        seen: Seen::default(),
        panic_at: None,
        done: Some(done),
    }));
    (0..1000).for_each(|_| show(&behind, "x"));
    assert_eq!(taps.counters().missed.load(Ordering::Relaxed), 1000 - 400);
    drop(release);
}

#[tokio::test]
async fn a_panicking_observer_is_counted_and_leaves_the_stream_alone() {
    let Opened {
        tap,
        counters,
        done,
    } = open(1 << 20, Some(b"bad"));
    let script = std::iter::once(data("bad")).chain((0..40).map(|_| data("good")));
    let (text, _, broken) = read(tee(script, tap, false)).await;
    assert_eq!(text, format!("bad{}", "good".repeat(40)));
    assert_eq!(broken, None);
    done.await.expect_err("the observer is gone");
    while counters.unsettled() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(counters.abandoned.load(Ordering::Relaxed), 1);
    assert_eq!((counters.in_flight(), counters.unsettled()), (0, 0));
}

#[tokio::test]
async fn a_whole_body_closes_as_complete_and_equal() {
    let Opened { tap, done, .. } = open(1 << 20, None);
    assert_eq!(
        read(tee([data("ab"), None, data("c")], tap, false)).await.0,
        "abc"
    );
    let (seen, closing) = done.await.expect("the observer closes");
    assert_eq!(seen.frames, ["ab", "c"]);
    assert_eq!(
        (closing.close, closing.verdict),
        (Close::Complete, Some(Verdict::Equal))
    );
    assert_eq!(closing.response_bytes, 3);
}

#[tokio::test]
async fn a_body_dropped_before_its_end_closes_as_dropped() {
    let Opened { tap, done, .. } = open(1 << 20, None);
    let mut body = tee([data("ab"), data("c")], tap, false);
    body.frame()
        .await
        .expect("a frame")
        .expect("and no failure");
    drop(body);
    let (_, closing) = done.await.expect("the observer closes");
    assert_eq!(
        (closing.close, closing.verdict),
        (Close::Dropped, Some(Verdict::Equal))
    );
}

#[tokio::test]
async fn what_is_observed_comes_before_the_edit_and_what_is_taken_after() {
    let Opened { tap, done, .. } = open(1 << 20, None);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", http::HeaderValue::from_static("1"));
    let script = [
        data("aXb"),
        None,
        data("cX"),
        Some(Ok(Frame::trailers(trailers.clone()))),
    ];
    assert_eq!(
        read(tee(script, tap, true)).await,
        ("abc".into(), Some(trailers), None)
    );
    let (seen, closing) = done.await.expect("the observer closes");
    assert_eq!(seen.frames, ["aXb", "cX"]);
    assert_eq!(
        (closing.close, closing.verdict),
        (Close::Complete, Some(Verdict::Removed))
    );
}

#[tokio::test]
async fn bytes_the_edit_still_holds_when_the_client_leaves_make_a_prefix() {
    let Opened { tap, done, .. } = open(1 << 20, None);
    let mut body = tee([data("ab")], tap, true);
    body.frame()
        .await
        .expect("a frame")
        .expect("and no failure");
    drop(body);
    let (_, closing) = done.await.expect("the observer closes");
    assert_eq!(
        (closing.close, closing.verdict),
        (Close::Dropped, Some(Verdict::Prefix))
    );
}

#[tokio::test]
async fn a_broken_upstream_breaks_the_body_after_everything_that_came() {
    for edit in [false, true] {
        let Opened { tap, done, .. } = open(1 << 20, None);
        let script = [data("ab"), data("c"), Some(Err(Broken))];
        assert_eq!(
            read(tee(script, tap, edit)).await,
            ("abc".into(), None, Some(Broken)),
            "edit: {edit}"
        );
        let (_, closing) = done.await.expect("the observer closes");
        assert_eq!(
            closing.close,
            Close::Failed(response::Describe::fault(&Broken))
        );
        assert_eq!(closing.verdict, Some(Verdict::Equal));
    }
}

#[tokio::test]
async fn an_empty_request_ends_when_its_head_was_read() {
    struct Ends(Arc<Mutex<Vec<u64>>>);
    impl Observer for Ends {
        fn observe(&mut self, event: Event) {
            if let Event::RequestEnd(_, bytes) = event {
                self.0
                    .lock()
                    .expect("no panic while it is held")
                    .push(bytes);
            }
        }
        fn close(self: Box<Self>, _: Closing) {}
    }
    let ends = Arc::new(Mutex::new(Vec::new()));
    let taps = Taps::new(1);
    let (tap, counters) = (
        taps.open(Box::new(Ends(Arc::clone(&ends)))),
        taps.counters(),
    );
    let body = RequestTee::new(
        http_body_util::Empty::<Bytes>::new(),
        tap.clone(),
        Instant::now(),
    );
    drop(body);
    tap.close(dropped());
    while counters.unsettled() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*ends.lock().expect("no panic while it is held"), [0]);
}

/// A request body that plays a script, read ahead; what was read, what is left of it, and what the observer saw.
async fn read_ahead(
    limit: usize,
    script: Vec<Option<Result<Frame<Bytes>, Broken>>>,
) -> (Result<request::Ahead, Broken>, Vec<Bytes>, Vec<Bytes>) {
    let Opened { tap, done, .. } = open(1 << 20, None);
    let mut body = RequestTee::new(Script(script.into()), tap.clone(), Instant::now());
    let ahead = body.read_ahead(limit).await;
    let mut rest = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        rest.extend(frame.into_data());
    }
    tap.close(dropped());
    let (seen, _) = done.await.expect("the observer closes");
    (ahead, rest, seen.frames)
}

#[tokio::test]
async fn a_body_read_ahead_is_one_frame_for_the_caller_and_the_observer() {
    for script in [
        vec![data("one two three")],
        vec![data("one "), None, data("two "), data("three")],
        vec![None, data(""), data("one two three"), data("")],
    ] {
        let (ahead, rest, seen) = read_ahead(100, script).await;
        let ahead = ahead.expect("the script is whole");
        assert!(ahead.over && rest.is_empty());
        assert_eq!(ahead.bytes, "one two three");
        assert_eq!(seen, ["one two three"]);
        assert_eq!(seen[0].as_ptr(), ahead.bytes.as_ptr(), "one buffer");
    }
}

#[tokio::test]
async fn beyond_the_limit_the_rest_of_a_body_is_left_to_be_read() {
    let script = vec![data("one "), data("two "), data("three")];
    let (ahead, rest, seen) = read_ahead(7, script).await;
    let ahead = ahead.expect("the script is whole");
    assert!(!ahead.over);
    assert_eq!(ahead.bytes, "one two ");
    assert_eq!(rest, ["three"]);
    assert_eq!(seen, ["one two ", "three"]);
}

#[tokio::test]
async fn trailers_are_read_ahead_and_an_empty_body_is_not_shown() {
    let trailers =
        HeaderMap::from_iter([(http::header::ETAG, http::HeaderValue::from_static("x"))]);
    let script = vec![Some(Ok(Frame::trailers(trailers.clone())))];
    let (ahead, _, seen) = read_ahead(7, script).await;
    let ahead = ahead.expect("the script is whole");
    assert_eq!(
        (ahead.trailers, ahead.over),
        (Some(Box::new(trailers)), true)
    );
    assert!(ahead.bytes.is_empty() && seen.is_empty());
}

#[tokio::test]
async fn a_body_that_breaks_while_it_is_read_ahead_says_so() {
    let (ahead, ..) = read_ahead(100, vec![data("one "), Some(Err(Broken))]).await;
    assert_eq!(ahead.map(|ahead| ahead.bytes), Err(Broken));
}
