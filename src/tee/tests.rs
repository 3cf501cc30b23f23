use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;

use super::*;
use crate::memory::Memory;
use crate::message::{Fields, HttpBody};
use crate::tap::*;

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
    let taps = Taps::new(limit_bytes, Memory::default());
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
        moved: Vec::new(),
        aftermath: None,
    }
}

/// A body that plays a script; `None` is a wait that wakes itself.
struct Script(VecDeque<Option<Result<Frame<Bytes>, Broken>>>);

#[derive(Debug, PartialEq)]
struct Broken;

impl Describe for Broken {
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
        self.finish(false, out);
        let last = bytes.len() - 1;
        self.0 = bytes.slice(last..);
        for at in 0..last {
            out.push_back(decide(bytes.slice(at..=at)));
        }
    }

    fn finish(&mut self, _: bool, out: &mut VecDeque<Piece>) {
        let held = std::mem::take(&mut self.0);
        out.extend((!held.is_empty()).then(|| decide(held)));
    }

    fn trailers(&mut self, _: &mut Fields) {}

    fn shortens(&self) -> bool {
        true
    }

    fn has_left_any(&mut self) -> bool {
        false
    }

    fn moved(&mut self) -> Vec<&'static str> {
        Vec::new()
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

async fn read(body: ResponseTee<Script, TakeOutX>) -> (String, Option<HeaderMap>, Option<Broken>) {
    let (mut text, mut trailers, mut broken) = (String::new(), None, None);
    let mut body = HttpBody(body);
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
    let taps = Taps::new(100 << 10, Memory::default());
    let (behind, release, _seen) = behind(&taps);
    (0..1000).for_each(|_| show(&behind, "x"));
    assert_eq!(taps.counters().missed.load(Ordering::Relaxed), 1000 - 400);
    drop(release);
}

/// A recorder that is behind an observer that is stuck, both of these taps.
fn behind(
    taps: &Taps,
) -> (
    Tap,
    std::sync::mpsc::Sender<()>,
    oneshot::Receiver<(Seen, Closing)>,
) {
    let (release, stuck) = std::sync::mpsc::channel();
    let busy = taps.open(Box::new(Stuck(stuck)));
    busy.show(Event::Sent {
        at: Instant::now(),
        attempt: 0,
    });
    busy.close(dropped());
    let (sender, done) = oneshot::channel();
    let behind = taps.open(Box::new(Recorder {
        seen: Seen::default(),
        panic_at: None,
        done: Some(sender),
    }));
    (behind, release, done)
}

#[tokio::test]
async fn what_waits_of_all_exchanges_is_bounded() {
    const FRAME: &[u8] = &[b'x'; 10 << 10];
    let memory = Memory::new(100 << 10);
    let taps = Taps::new(1 << 20, memory.clone());
    let (first, release, first_done) = behind(&taps);
    let (second, second_release, second_done) = behind(&taps);
    for tap in [&first, &second] {
        for _ in 0..8 {
            tap.show_response(Instant::now(), &Bytes::from_static(FRAME));
        }
        tap.close(dropped());
    }
    // Each may have a little that is not counted.
    assert_eq!(taps.counters().missed.load(Ordering::Relaxed), 6);
    assert!(!memory.take(100 << 10));
    drop((release, second_release));
    let (first, second) = (first_done.await.unwrap().0, second_done.await.unwrap().0);
    assert_eq!((first.frames.len(), first.missed), (8, 0));
    assert_eq!((second.frames.len(), second.missed), (2, 6));
    while taps.counters().unsettled() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(memory.take(100 << 10), "all is given back");
}

/// An observer that takes its time for each frame, until another exchange is over.
struct Slow {
    frames: usize,
    other: std::sync::mpsc::Receiver<()>,
    done: Option<oneshot::Sender<usize>>,
}

impl Observer for Slow {
    fn observe(&mut self, _: Event) {
        self.frames += 1;
        // As long as a turn may take.
        let _ = self.other.recv_timeout(Duration::from_millis(10));
    }

    fn close(mut self: Box<Self>, _: Closing) {
        let _ = self
            .done
            .take()
            .expect("an exchange closes once")
            .send(self.frames);
    }
}

#[tokio::test]
async fn an_observer_that_takes_long_does_not_hold_up_the_others() {
    let taps = Taps::new(1 << 20, Memory::default());
    let (over, other) = std::sync::mpsc::channel();
    let (sender, mut slow_done) = oneshot::channel();
    let slow = taps.open(Box::new(Slow {
        frames: 0,
        other,
        done: Some(sender),
    }));
    (0..500).for_each(|_| show(&slow, "slow"));
    slow.close(dropped());
    let (sender, done) = oneshot::channel();
    let quick = taps.open(Box::new(Recorder {
        seen: Seen::default(),
        panic_at: None,
        done: Some(sender),
    }));
    show(&quick, "quick");
    quick.close(dropped());
    let (seen, _) = done.await.expect("the observer closes");
    assert_eq!(seen.frames, ["quick"]);
    assert!(slow_done.try_recv().is_err(), "it is not over");
    drop(over);
    assert_eq!(slow_done.await.expect("the observer closes"), 500);
}

/// Says its name when its exchange is over. One that gets a receiver is held up at each frame until that says so.
struct Named {
    name: &'static str,
    held_up: Option<std::sync::mpsc::Receiver<()>>,
    over: std::sync::mpsc::Sender<&'static str>,
}

impl Observer for Named {
    fn observe(&mut self, _: Event) {
        if let Some(held_up) = &self.held_up {
            let _ = held_up.recv();
            // As if the machine had given the core to others for that long.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn close(self: Box<Self>, _: Closing) {
        let _ = self.over.send(self.name);
    }
}

#[tokio::test]
async fn short_exchanges_are_over_for_observers_in_the_order_of_their_ends() {
    let taps = Taps::new(1 << 20, Memory::default());
    let (over, names) = std::sync::mpsc::channel();
    let (go_on, held_up) = std::sync::mpsc::channel();
    let open = |name, held_up| {
        let over = over.clone();
        let named = Named {
            name,
            held_up,
            over,
        };
        taps.open(Box::new(named))
    };
    let (first, second) = (open("first", Some(held_up)), open("second", None));
    for tap in [first, second] {
        (0..3).for_each(|_| show(&tap, "frame"));
        tap.close(dropped());
    }
    drop((go_on, over));
    let names = tokio::task::spawn_blocking(move || [names.recv(), names.recv()]);
    assert_eq!(names.await.unwrap(), [Ok("first"), Ok("second")]);
}

#[tokio::test]
async fn a_panicking_observer_is_counted_and_leaves_the_stream_alone() {
    let Opened {
        tap,
        counters,
        done,
    } = open(1 << 20, Some(b"bad"));
    let now = || {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap().as_millis() as u64
    };
    let begun = now();
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
    // Who lists what has ended knows until when one is missing.
    let until = counters.abandoned_until_ms.load(Ordering::Relaxed);
    assert!((begun + 1..=now() + 1).contains(&until), "{until}");
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
    let mut body = HttpBody(tee([data("ab"), data("c")], tap, false));
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
    let mut body = HttpBody(tee([data("ab")], tap, true));
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
        assert_eq!(closing.close, Close::Failed(Describe::fault(&Broken)));
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
    let taps = Taps::new(1, Memory::default());
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
    memory: &Memory,
    script: Vec<Option<Result<Frame<Bytes>, Broken>>>,
) -> (Result<request::Ahead, Broken>, Vec<Bytes>, Vec<Bytes>) {
    let Opened { tap, done, .. } = open(1 << 20, None);
    let mut body = RequestTee::new(Script(script.into()), tap.clone(), Instant::now());
    let ahead = body.read_ahead(limit, memory).await;
    let (mut body, mut rest) = (HttpBody(body), Vec::new());
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
        let (ahead, rest, seen) = read_ahead(100, &Memory::default(), script).await;
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
    let (ahead, rest, seen) = read_ahead(7, &Memory::default(), script).await;
    let ahead = ahead.expect("the script is whole");
    assert!(!ahead.over);
    assert_eq!(ahead.bytes, "one two ");
    assert_eq!(rest, ["three"]);
    assert_eq!(seen, ["one two ", "three"]);
}

/// A script whose body is said to be so long.
struct Announced(Script, u64);

impl Body for Announced {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.1)
    }
}

#[tokio::test]
async fn a_body_that_announces_more_than_there_is_room_for_passes() {
    let Opened { tap, .. } = open(1 << 20, None);
    let script = Script(vec![data("one "), data("two ")].into());
    let body = Announced(script, u64::MAX);
    let mut body = RequestTee::new(body, tap.clone(), Instant::now());
    let ahead = body.read_ahead(usize::MAX, &Memory::default()).await;
    let ahead = ahead.expect("the script is whole");
    assert!(!ahead.over);
    assert_eq!(ahead.bytes, "one ");
    let next = HttpBody(body).frame().await;
    let next = next.expect("there is more").expect("the script is whole");
    assert_eq!(next.into_data().expect("it is data"), "two ");
    tap.close(dropped());
}

#[tokio::test]
async fn a_body_is_read_ahead_as_far_as_memory_may_be_held() {
    let memory = Memory::new(8);
    let script = || vec![data("one "), data("two "), data("three"), data(" four")];
    let (ahead, rest, seen) = read_ahead(100, &memory, script()).await;
    let ahead = ahead.expect("the script is whole");
    assert!(!ahead.over);
    assert_eq!(ahead.bytes, "one two three");
    assert_eq!(rest, [" four"]);
    assert_eq!(seen, ["one two three", " four"]);
    // It is held for as long as anybody has it.
    let mut share = memory.share();
    assert!(!share.grow(1));
    drop((ahead, seen));
    assert!(share.grow(8));
}

#[tokio::test]
async fn trailers_are_read_ahead_and_an_empty_body_is_not_shown() {
    let trailers =
        HeaderMap::from_iter([(http::header::ETAG, http::HeaderValue::from_static("x"))]);
    let script = vec![Some(Ok(Frame::trailers(trailers.clone())))];
    let (ahead, _, seen) = read_ahead(7, &Memory::default(), script).await;
    let ahead = ahead.expect("the script is whole");
    assert_eq!(
        (ahead.trailers.map(|fields| fields.to_map()), ahead.over),
        (Some(trailers), true)
    );
    assert!(ahead.bytes.is_empty() && seen.is_empty());
}

#[tokio::test]
async fn a_body_that_breaks_while_it_is_read_ahead_says_so() {
    let script = vec![data("one "), Some(Err(Broken))];
    let (ahead, ..) = read_ahead(100, &Memory::default(), script).await;
    assert_eq!(ahead.map(|ahead| ahead.bytes), Err(Broken));
}
