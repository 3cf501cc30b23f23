//! HTTP/2 towards an upstream: requests that share connections do not hold each other up, and none is lost that the
//! upstream says it has not processed.

use std::convert::Infallible;

use bytes::Bytes;
use h2::{Reason, server};
use http::header::CONTENT_LENGTH;
use http::{Request, Response, StatusCode};
use http_body_util::channel::Channel;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::http1::chunk;
use crate::support::multiplexed::{Frames, HEADERS, Multiplexed, Stream};
use crate::support::otlp::Attributes as _;
use crate::support::scene::{EDITED, Scene};
use crate::support::within;

/// A chat call.
const HELLO: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
/// Connections of one worker.
const CONNECTIONS_MAX: usize = 32;
const KIB: usize = 1 << 10;

/// An upstream that is spoken to by HTTP/2, with more settings.
fn config(more: &str) -> String {
    format!("[[upstream]]\nname = 'up'\nurl = 'http://in.its.place/v1'\nhttp = '2'\n{more}")
}

/// A proxy, and a client of it all of whose requests are served by the same worker.
struct Site {
    scene: Scene,
    client: http2::SendRequest<BoxBody<Bytes, Infallible>>,
}

type Answered = JoinHandle<Response<Incoming>>;

impl Site {
    /// Takes the only place of each connection that may be opened; the streams that have them.
    async fn hold_every_place(&self, upstream: &Multiplexed) -> Vec<Stream> {
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            // The call goes on without its handle.
            drop(self.get("/v1/held"));
            open.push(upstream.stream().await);
        }
        open
    }

    /// Has a connection opened and the upstream say how many streams it allows; which connection.
    async fn settle(&self, upstream: &Multiplexed) -> usize {
        let first = self.get("/v1/models");
        let mut stream = upstream.stream().await;
        stream.answer("ok");
        assert_eq!(text(first).await, ok("ok"));
        stream.connection
    }

    async fn towards(upstream: &Multiplexed) -> Self {
        Self::of(Scene::towards(&upstream.base_url(), &config("")).await).await
    }

    async fn of(scene: Scene) -> Self {
        let stream = TcpStream::connect(scene.server.proxy).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let executor = TokioExecutor::new();
        let connecting = http2::Builder::new(executor)
            .max_header_list_size(1 << 20)
            .initial_stream_window_size(64 << 10)
            .initial_connection_window_size(16 << 20)
            .handshake(TokioIo::new(stream));
        let (client, connection) = connecting.await.unwrap();
        tokio::spawn(connection);
        Self { scene, client }
    }

    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        let uri = format!("http://{}{path}", self.scene.server.proxy);
        Request::builder().method(method).uri(uri)
    }

    fn send<B>(&self, request: Request<B>) -> Answered
    where
        B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + Sync + 'static,
    {
        let mut client = self.client.clone();
        tokio::spawn(async move {
            let answer = client.send_request(request.map(BoxBody::new));
            within("an answer", answer).await.unwrap()
        })
    }

    fn get(&self, path: &str) -> Answered {
        let request = self.request("GET", path);
        self.send(request.body(Full::default()).unwrap())
    }

    fn post(&self, path: &str, body: impl Into<Bytes>) -> Answered {
        let request = self.request("POST", path);
        self.send(request.body(Full::from(body.into())).unwrap())
    }

    /// Waits until a metric has this value.
    async fn metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let server = &self.scene.server;
        server.metric_where(name, labels, |is| is == value).await;
    }

    async fn in_flight(&self, count: usize) {
        let name = "streamgauge_exchanges_in_flight";
        self.metric(name, &[], count as f64).await;
    }

    async fn resends(&self, answered: &str, count: usize) {
        let labels = [("why", "unprocessed"), ("answered", answered)];
        let name = "streamgauge_resends_total";
        self.metric(name, &labels, count as f64).await;
    }
}

/// The whole of an answer.
async fn text(answered: Answered) -> (StatusCode, String) {
    let (head, body) = answered.await.unwrap().into_parts();
    let body = within("a body", body.collect()).await.unwrap().to_bytes();
    (head.status, String::from_utf8(body.into()).unwrap())
}

fn ok(body: &str) -> (StatusCode, String) {
    (StatusCode::OK, body.to_owned())
}

#[tokio::test]
async fn a_request_that_is_refused_goes_out_once_more_by_another_connection() {
    let upstream = Multiplexed::start(server::Builder::new()).await;
    let site = Site::towards(&upstream).await;
    let unread = "u".repeat(60 * KIB);
    for (path, body) in [
        ("/v1/chat/completions", HELLO.to_owned()),
        ("/v1/x", unread),
        ("/v1/x", String::new()),
    ] {
        let answered = site.post(path, body.clone());
        let mut first = upstream.stream().await;
        first.body().await;
        first.respond.send_reset(Reason::REFUSED_STREAM);
        let mut second = upstream.stream().await;
        assert_ne!(first.connection, second.connection, "{path}");
        assert_eq!(second.body().await, body.as_bytes(), "{path}");
        second.answer("ok");
        assert_eq!(text(answered).await, ok("ok"), "{path}");
    }
    site.resends("true", 3).await;
}

#[tokio::test]
async fn a_request_that_is_refused_twice_is_not_sent_a_third_time() {
    let upstream = Multiplexed::start(server::Builder::new()).await;
    let site = Site::towards(&upstream).await;
    let answered = site.post("/v1/chat/completions", HELLO);
    for _ in 0..2 {
        let mut refused = upstream.stream().await;
        refused.respond.send_reset(Reason::REFUSED_STREAM);
    }
    says_refused(
        answered,
        "refused the request twice without processing it: it takes no more requests on its connections (REFUSED_STREAM); retry later",
    )
    .await;
    site.resends("false", 1).await;
}

#[tokio::test]
async fn a_request_that_two_goodbyes_leave_out_is_answered_with_that() {
    let site = Site::of(Scene::configured(&config("")).await).await;
    let answered = site.post("/v1/chat/completions", HELLO);
    for _ in 0..2 {
        let mut connection = Frames::accept(&site.scene.upstream).await;
        connection.request().await;
        connection.go_away(0).await;
    }
    says_refused(
        answered,
        "refused the request twice without processing it: it is closing its connections (GOAWAY, NO_ERROR); retry later",
    )
    .await;
    site.resends("false", 1).await;
}

/// The request is answered by the proxy, with a message that has this in it.
async fn says_refused(answered: Answered, message: &str) {
    let answer = answered.await.unwrap();
    assert_eq!(answer.headers()["x-streamgauge-error"], "connection_broken");
    let body = within("a body", answer.into_body().collect()).await;
    let body: serde_json::Value = serde_json::from_slice(&body.unwrap().to_bytes()).unwrap();
    let told = body["error"]["message"].as_str().unwrap();
    assert!(told.contains(message), "{told}");
}

#[tokio::test]
async fn what_the_upstream_may_have_processed_is_not_sent_again() {
    let upstream = Multiplexed::start(server::Builder::new()).await;
    let site = Site::towards(&upstream).await;
    for reason in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::NO_ERROR] {
        let answered = site.post("/v1/chat/completions", HELLO);
        upstream.stream().await.respond.send_reset(reason);
        let answer = answered.await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_GATEWAY, "{reason:?}");
        let answered = site.get("/v1/next");
        let mut next = upstream.stream().await;
        assert_eq!(next.request.uri().path(), "/v1/next", "{reason:?}");
        next.answer("ok");
        assert_eq!(text(answered).await, ok("ok"));
    }
}

#[tokio::test]
async fn a_body_of_which_too_much_has_gone_is_not_sent_again() {
    let upstream = Multiplexed::start(server::Builder::new()).await;
    let site = Site::towards(&upstream).await;
    let answered = site.post("/v1/x", "u".repeat(65 * KIB));
    let mut first = upstream.stream().await;
    first.body().await;
    first.respond.send_reset(Reason::REFUSED_STREAM);
    says_refused(answered, "refused the request without processing it: ").await;
}

#[tokio::test]
async fn only_the_requests_that_a_goodbye_leaves_out_go_out_once_more() {
    let site = Site::of(Scene::configured(&config("")).await).await;
    let first = site.get("/v1/first");
    let mut old = Frames::accept(&site.scene.upstream).await;
    let (first_stream, _) = old.request().await;
    let second = site.post("/v1/chat/completions", HELLO);
    let (second_stream, sent) = old.request().await;
    assert_eq!(sent, HELLO.as_bytes());
    assert!(second_stream > first_stream);
    old.go_away(first_stream).await;
    let mut new = Frames::accept(&site.scene.upstream).await;
    let (stream, again) = new.request().await;
    assert_eq!(again, HELLO.as_bytes());
    new.answer(stream, "second").await;
    assert_eq!(text(second).await, ok("second"));
    old.answer(first_stream, "first").await;
    assert_eq!(text(first).await, ok("first"));
    old.closed().await;
}

#[tokio::test]
async fn a_connection_that_breaks_takes_with_it_what_it_may_have_processed() {
    let site = Site::of(Scene::configured(&config("")).await).await;
    let answered = site.post("/v1/chat/completions", HELLO);
    let mut old = Frames::accept(&site.scene.upstream).await;
    let (stream, _) = old.request().await;
    old.go_away(stream).await;
    old.close().await;
    assert_eq!(answered.await.unwrap().status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn streams_beyond_an_upstreams_limit_go_by_further_connections() {
    let mut settings = server::Builder::new();
    settings.max_concurrent_streams(2);
    let upstream = Multiplexed::start(settings).await;
    let site = Site::towards(&upstream).await;
    let (mut open, mut answers) = (Vec::new(), Vec::new());
    for n in 0..7 {
        answers.push(site.get(&format!("/v1/{n}")));
        open.push(upstream.stream().await);
    }
    let on = |connection| {
        open.iter()
            .filter(|open| open.connection == connection)
            .count()
    };
    assert_eq!([on(0), on(1), on(2), on(3)], [2, 2, 2, 1]);
    for stream in &mut open {
        stream.answer("ok");
    }
    for answer in answers {
        assert_eq!(text(answer).await, ok("ok"));
    }
}

#[tokio::test]
async fn a_request_that_has_to_wait_for_others_says_for_how_long() {
    let mut settings = server::Builder::new();
    settings.max_concurrent_streams(1);
    let upstream = Multiplexed::start(settings).await;
    let site = Site::towards(&upstream).await;
    let mut open = site.hold_every_place(&upstream).await;
    let waits = site.post("/v1/chat/completions", HELLO);
    site.in_flight(CONNECTIONS_MAX + 1).await;
    let mut last = open.swap_remove(7);
    last.answer("held");
    let mut next = upstream.stream().await;
    assert_eq!(next.request.uri().path(), "/v1/chat/completions");
    assert_eq!(next.connection, last.connection);
    next.answer("waited");
    assert_eq!(text(waits).await, ok("waited"));
    let name = "streamgauge_upstream_wait_seconds_count";
    site.metric(name, &[], 1.0).await;
}

#[tokio::test]
async fn empty_frames_of_other_responses_break_no_stream() {
    let upstream = Multiplexed::start(server::Builder::new()).await;
    let site = Site::towards(&upstream).await;
    let first = site.settle(&upstream).await;
    let steady = site.get("/v1/steady");
    let mut steady_stream = upstream.stream().await;
    let mut sending = steady_stream.begin();
    let mut last = first;
    // The library ends a connection at the 101st.
    for _ in 0..150 {
        let call = site.get("/v1/models");
        let mut stream = upstream.stream().await;
        let mut answer = stream.begin();
        answer.send_data(Bytes::new(), false).unwrap();
        answer.send_data(Bytes::from_static(b"ok"), true).unwrap();
        assert_eq!(text(call).await, ok("ok"));
        last = stream.connection;
    }
    assert_ne!(last, first);
    sending
        .send_data(Bytes::from_static(b"steady"), true)
        .unwrap();
    assert_eq!(text(steady).await, ok("steady"));
}

#[tokio::test]
async fn a_client_that_leaves_the_line_takes_nobodys_place() {
    let mut settings = server::Builder::new();
    settings.max_concurrent_streams(1);
    let upstream = Multiplexed::start(settings).await;
    let site = Site::towards(&upstream).await;
    let mut open = site.hold_every_place(&upstream).await;
    let leaves = site.get("/v1/leaves");
    site.in_flight(CONNECTIONS_MAX + 1).await;
    let stays = site.get("/v1/stays");
    site.in_flight(CONNECTIONS_MAX + 2).await;
    leaves.abort();
    site.in_flight(CONNECTIONS_MAX + 1).await;
    open.pop().unwrap().answer("held");
    let mut next = upstream.stream().await;
    assert_eq!(next.request.uri().path(), "/v1/stays");
    next.answer("ok");
    assert_eq!(text(stays).await, ok("ok"));
}

/// Sends into a stream for as long as it is taken, and tells how much that was.
fn flood(mut stream: Stream) -> watch::Receiver<usize> {
    let (sender, sent) = watch::channel(0);
    tokio::spawn(async move {
        let mut body = stream.begin();
        loop {
            body.reserve_capacity(16 * KIB);
            let room = std::future::poll_fn(|cx| body.poll_capacity(cx)).await;
            let Some(Ok(room)) = room else { return };
            body.send_data(Bytes::from(vec![b'x'; room]), false)
                .unwrap();
            sender.send_modify(|sent| *sent += room);
        }
    });
    sent
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nobody_else() {
    let upstream = Multiplexed::start(server::Builder::new()).await;
    let site = Site::towards(&upstream).await;
    let mut flooded = Vec::new();
    for _ in 0..20 {
        let answer = site.get("/v1/deaf");
        let stream = upstream.stream().await;
        assert_eq!(stream.connection, 0, "one connection has room for all");
        let sent = flood(stream);
        // The body is not read, and not dropped.
        flooded.push((answer.await.unwrap(), sent));
    }
    // Each is full when nothing more of it has gone out during many other calls.
    let total = || {
        flooded
            .iter()
            .map(|(_, sent)| *sent.borrow())
            .sum::<usize>()
    };
    let (mut full, mut calls) = (0, 0);
    while calls < 50 {
        let answered = site.post("/v1/chat/completions", HELLO);
        let mut stream = upstream.stream().await;
        assert_eq!(stream.connection, 0);
        stream.answer("ok");
        assert_eq!(text(answered).await, ok("ok"));
        calls = if total() == full { calls + 1 } else { 0 };
        full = total();
    }
    for (_, sent) in &flooded {
        // The client's own window, that of the upstream's stream, and a frame on each side.
        assert!(*sent.borrow() <= 2 * 64 * KIB + 2 * 16 * KIB);
    }
}

#[tokio::test]
async fn an_upload_that_the_upstream_does_not_take_holds_up_nobody_else() {
    let upstream = Multiplexed::start(server::Builder::new()).await;
    let site = Site::towards(&upstream).await;
    let untaken = site.post("/v1/untaken", "u".repeat(1 << 20));
    let held = upstream.stream().await;
    let other = site.post("/v1/other", "o".repeat(100 * KIB));
    let mut stream = upstream.stream().await;
    assert_ne!(stream.connection, held.connection);
    assert_eq!(stream.body().await.len(), 100 * KIB);
    stream.answer("ok");
    assert_eq!(text(other).await, ok("ok"));
    // What has no body has nothing to wait for.
    let bare = site.get("/v1/bare");
    upstream.stream().await.answer("ok");
    assert_eq!(text(bare).await, ok("ok"));
    untaken.abort();
}

#[tokio::test]
async fn small_bodies_that_come_after_their_heads_share_a_connection() {
    let upstream = Multiplexed::start(server::Builder::new()).await;
    let site = Site::towards(&upstream).await;
    let mut begun = Vec::new();
    for _ in 0..5 {
        let (body, later) = Channel::new(1);
        let request = site
            .request("POST", "/v1/audio/speech")
            .header(CONTENT_LENGTH, HELLO.len());
        let answer = site.send(request.body(later).unwrap());
        begun.push((answer, body, upstream.stream().await));
    }
    let connection = begun[0].2.connection;
    // A large one goes where it can use up nothing that these will need.
    let large = site.post("/v1/untaken", "u".repeat(1 << 20));
    assert_ne!(upstream.stream().await.connection, connection);
    large.abort();
    for (answer, mut body, mut stream) in begun {
        assert_eq!(stream.connection, connection);
        body.send_data(Bytes::from(HELLO)).await.unwrap();
        drop(body);
        assert_eq!(stream.body().await, HELLO.as_bytes());
        stream.answer("ok");
        assert_eq!(text(answer).await, ok("ok"));
    }
}

#[tokio::test]
async fn a_small_body_goes_out_with_its_head() {
    let site = Site::of(Scene::configured(&config("")).await).await;
    let first = site.get("/v1/models");
    let mut upstream = Frames::accept(&site.scene.upstream).await;
    let (stream, _) = upstream.request().await;
    upstream.answer(stream, "models").await;
    assert_eq!(text(first).await, ok("models"));
    let call = site.post("/v1/chat/completions", HELLO);
    let head = upstream.next().await;
    assert_eq!(
        (head.kind, upstream.came_with()),
        (HEADERS, 9 + HELLO.len())
    );
    let (stream, body) = upstream.request().await;
    assert_eq!(body, HELLO.as_bytes());
    upstream.answer(stream, "ok").await;
    assert_eq!(text(call).await, ok("ok"));
}

#[tokio::test]
async fn small_bodies_that_come_at_once_share_a_connection() {
    let upstream = Multiplexed::start(server::Builder::new()).await;
    let site = Site::towards(&upstream).await;
    let connection = site.settle(&upstream).await;
    let calls: Vec<_> = (0..20)
        .map(|_| site.post("/v1/audio/speech", HELLO))
        .collect();
    for _ in &calls {
        let mut stream = upstream.stream().await;
        assert_eq!(stream.connection, connection);
        assert_eq!(stream.body().await, HELLO.as_bytes());
        stream.answer("ok");
    }
    for call in calls {
        assert_eq!(text(call).await, ok("ok"));
    }
}

#[tokio::test]
async fn small_bodies_are_held_back_where_the_upstream_takes_no_more() {
    let upstream = Multiplexed::start(server::Builder::new()).await;
    let site = Site::towards(&upstream).await;
    let first = site.settle(&upstream).await;
    // Bodies that are not read, until they are more than the connection's window.
    let body = "b".repeat(15 * KIB);
    let mut calls = Vec::new();
    while calls
        .last()
        .is_none_or(|(_, stream): &(_, Stream)| stream.connection == first)
    {
        assert!(calls.len() < 50, "all wait for the same connection");
        let call = site.post("/v1/audio/speech", body.clone());
        calls.push((call, upstream.stream().await));
    }
    for (call, mut stream) in calls {
        assert_eq!(stream.body().await.len(), body.len());
        stream.answer("ok");
        assert_eq!(text(call).await, ok("ok"));
    }
}

#[tokio::test]
async fn an_upload_reaches_the_upstream_whole_however_little_it_takes_at_once() {
    let mut settings = server::Builder::new();
    settings.initial_window_size(1000);
    let upstream = Multiplexed::start(settings).await;
    let site = Site::towards(&upstream).await;
    let body: String = (0..50_000)
        .map(|n| char::from(b'a' + (n % 26) as u8))
        .collect();
    for path in ["/v1/chat/completions", "/v1/x"] {
        let answered = site.post(path, body.clone());
        let mut stream = upstream.stream().await;
        assert_eq!(stream.body().await, body.as_bytes(), "{path}");
        stream.answer("ok");
        assert_eq!(text(answered).await, ok("ok"), "{path}");
    }
}

#[tokio::test]
async fn heads_of_128_kib_pass_and_a_larger_one_breaks_its_own_stream_only() {
    let mut settings = server::Builder::new();
    settings.max_header_list_size(1 << 20);
    let upstream = Multiplexed::start(settings).await;
    let site = Site::towards(&upstream).await;
    let value = |kib: usize| "v".repeat(kib * KIB);
    let open = site.get("/v1/open");
    let mut open_stream = upstream.stream().await;
    for (kib, status) in [
        (120, StatusCode::OK),
        (200, StatusCode::BAD_GATEWAY),
        (900, StatusCode::BAD_GATEWAY),
    ] {
        let asked = site.request("GET", "/v1/x").header("x-large", value(120));
        let answered = site.send(asked.body(Full::default()).unwrap());
        let mut stream = upstream.stream().await;
        assert_eq!(stream.request.headers()["x-large"].len(), 120 * KIB);
        assert_eq!(stream.connection, open_stream.connection);
        let head = Response::builder().header("x-large", value(kib));
        stream
            .respond
            .send_response(head.body(()).unwrap(), true)
            .unwrap();
        assert_eq!(answered.await.unwrap().status(), status, "{kib} KiB");
    }
    open_stream.answer("still open");
    assert_eq!(text(open).await, ok("still open"));
}

#[tokio::test]
async fn a_connection_on_which_a_call_timed_out_takes_no_other() {
    let upstream = Multiplexed::start(server::Builder::new()).await;
    let limits = config("timeouts = { first_byte = '1s', idle = '1s' }");
    let site = Site::of(Scene::towards(&upstream.base_url(), &limits).await).await;
    let answered = site.post("/v1/chat/completions", HELLO);
    let silent = upstream.stream().await;
    assert_eq!(
        answered.await.unwrap().status(),
        StatusCode::GATEWAY_TIMEOUT
    );
    let answered = site.post("/v1/chat/completions", HELLO);
    let mut stalls = upstream.stream().await;
    assert_ne!(stalls.connection, silent.connection);
    let _body = stalls.begin();
    let broken = answered.await.unwrap().into_body();
    assert!(within("the end", broken.collect()).await.is_err());
    let answered = site.post("/v1/chat/completions", HELLO);
    let mut last = upstream.stream().await;
    assert!(![silent.connection, stalls.connection].contains(&last.connection));
    last.answer("ok");
    assert_eq!(text(answered).await, ok("ok"));
}

#[tokio::test]
async fn an_unused_connection_is_closed_after_its_time() {
    let scene = Scene::configured(&config("keep_alive = { http2 = '50ms' }")).await;
    let site = Site::of(scene).await;
    let answered = site.get("/v1/x");
    let mut served = Frames::accept(&site.scene.upstream).await;
    let (stream, _) = served.request().await;
    served.answer(stream, "ok").await;
    assert_eq!(text(answered).await, ok("ok"));
    served.closed().await;
}

#[tokio::test]
async fn a_connection_that_cannot_be_opened_fails_all_who_wait_for_it() {
    // Nobody listens there.
    let scene = Scene::towards("http://127.0.0.1:9/v1", &config("")).await;
    let site = Site::of(scene).await;
    let answers: Vec<_> = (0..5).map(|_| site.post("/v1/x", HELLO)).collect();
    for answer in answers {
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(
            answer.headers()["x-streamgauge-error"],
            "connection_refused"
        );
    }
}

#[tokio::test]
async fn a_request_that_was_edited_is_refused_in_more_than_one_way() {
    let upstream = Multiplexed::start(server::Builder::new()).await;
    let site = Site::towards(&upstream).await;
    let answered = site.post("/v1/chat/completions", EDITED);
    let mut unprocessed = upstream.stream().await;
    let edited = unprocessed.body().await;
    assert!(String::from_utf8_lossy(&edited).contains("include_usage"));
    unprocessed.respond.send_reset(Reason::REFUSED_STREAM);
    let mut refusing = upstream.stream().await;
    assert_eq!(refusing.body().await, edited);
    let refusal = Response::builder().status(400).body(()).unwrap();
    refusing.respond.send_response(refusal, true).unwrap();
    let mut original = upstream.stream().await;
    assert_eq!(original.body().await, EDITED.as_bytes());
    original.answer("ok");
    assert_eq!(text(answered).await, ok("ok"));
    let resends = "streamgauge_resends_total";
    let refused = [("why", "usage_refused"), ("answered", "true")];
    site.metric(resends, &refused, 1.0).await;
    site.resends("false", 1).await;
    let span = site.scene.collector.span("chat m").await;
    assert_eq!(span.int("streamgauge.attempts"), Some(3));
    assert_eq!(span.int("streamgauge.attempt.answering"), Some(3));
}

#[tokio::test]
async fn a_request_that_is_refused_before_it_has_ended_goes_out_from_its_beginning() {
    let upstream = Multiplexed::start(server::Builder::new()).await;
    let scene = Scene::towards(&upstream.base_url(), &config("")).await;
    let mut client = scene.client().await;
    let head = "POST /v1/x HTTP/1.1\r\nhost: me\r\ntransfer-encoding: chunked\r\n\r\n";
    client
        .write([head.as_bytes(), &chunk("first ")].concat())
        .await;
    let mut first = upstream.stream().await;
    let begun = within("a frame", first.request.body_mut().data()).await;
    assert_eq!(begun.unwrap().unwrap(), "first ");
    first.respond.send_reset(Reason::REFUSED_STREAM);
    let mut second = upstream.stream().await;
    let trailers = "0\r\nx-sum: 42\r\n\r\n";
    client
        .write([&chunk("second")[..], trailers.as_bytes()].concat())
        .await;
    assert_eq!(second.body().await, b"first second");
    let trailers = within("trailers", second.request.body_mut().trailers()).await;
    assert_eq!(trailers.unwrap().unwrap()["x-sum"], "42");
    second.answer("ok");
    assert_eq!(client.read_response().await.text(), "ok");
}

#[tokio::test]
async fn a_burst_that_comes_before_the_limit_is_known_is_served_whole() {
    let mut settings = server::Builder::new();
    settings.max_concurrent_streams(5);
    let upstream = Multiplexed::start(settings).await;
    let site = Site::towards(&upstream).await;
    let answers: Vec<_> = (0..60)
        .map(|n| site.post("/v1/chat/completions", format!("{{\"n\":{n}}}")))
        .collect();
    let mut open = Vec::new();
    while open.len() < answers.len() {
        open.push(upstream.stream().await);
    }
    for stream in &mut open {
        stream.answer("ok");
    }
    for answer in answers {
        assert_eq!(text(answer).await, ok("ok"));
    }
}
