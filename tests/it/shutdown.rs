//! The end of the process: what is in flight finishes, what was measured is handed on, and whoever is in a hurry is
//! obeyed.

use tokio::net::TcpStream;

use crate::support::admin::until;
use crate::support::client::{connect, get};
use crate::support::collector::Mode;
use crate::support::http1::{Connection, Framing, chunk};
use crate::support::otlp::Attributes as _;
use crate::support::scene::{EDITED, END, STREAM, Scene, TOKEN, chat};

const SIGNALS: [&str; 2] = ["TERM", "INT"];

/// A call whose stream has begun: the client's end and the upstream's.
async fn streaming(scene: &Scene) -> (Connection, Connection) {
    let (mut client, mut served) = scene.call(&chat(EDITED)).await;
    served
        .write([STREAM.as_bytes(), &chunk(TOKEN)].concat())
        .await;
    client.read_head().await;
    assert_eq!(client.read_chunk().await.data, TOKEN.as_bytes());
    (client, served)
}

/// Waits until the server takes no new connection.
async fn refuses(scene: &Scene) {
    let refused = async || {
        let connected = TcpStream::connect(scene.server.proxy).await;
        connected.is_err().then_some(())
    };
    until("a refused connection", refused).await;
}

async fn is_draining(scene: &Scene) {
    let draining =
        async || (get(scene.server.admin, "/readyz").await.status() == 503).then_some(());
    until("the end of readiness", draining).await;
}

#[tokio::test]
async fn a_signal_lets_a_stream_in_flight_finish_and_its_telemetry_go_out() {
    for signal in SIGNALS {
        // Counting tokens may take longer than a shutdown waits, on a machine that is busy.
        let config = "telemetry.estimate_tokens = \"off\"";
        let mut scene = Scene::with(config, |program| {
            program
                .env("OTEL_BSP_SCHEDULE_DELAY", "600000")
                .env("OTEL_METRIC_EXPORT_INTERVAL", "600000")
        })
        .await;
        let (mut client, mut served) = streaming(&scene).await;
        scene.server.process.signal(signal).await;
        is_draining(&scene).await;
        refuses(&scene).await;
        assert_eq!(get(scene.server.admin, "/healthz").await.status(), 200);
        assert_eq!(scene.server.api("summary").await["ready"], false);

        served
            .write([chunk(TOKEN), chunk(END), chunk("")].concat())
            .await;
        let rest = client.read_body(Vec::new(), Framing::Chunked).await;
        assert_eq!(rest.body, [TOKEN, END].concat().as_bytes());
        client.closed().await;
        let status = scene.server.process.exit().await;
        assert_eq!(
            status.code(),
            Some(0),
            "{}",
            scene.server.process.stderr().text()
        );
        let received = scene.collector.received();
        let ends: Vec<_> = received
            .spans
            .iter()
            .map(|span| span.text("streamgauge.end"))
            .collect();
        assert_eq!(ends, [Some("done"); 2]);
        let calls = received.point("streamgauge.exchanges", &[("streamgauge.end", "done")]);
        assert_eq!(calls.unwrap().value, 1.0);
    }
}

#[tokio::test]
async fn connections_without_a_request_hold_nothing_up() {
    let mut scene = Scene::start().await;
    let fresh = connect(scene.server.proxy).await;
    let (mut kept, mut served) = streaming(&scene).await;
    served.write([chunk(END), chunk("")].concat()).await;
    kept.read_through(b"0\r\n\r\n").await;
    let tcp = TcpStream::connect(scene.server.proxy).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(tcp);
    type Body = http_body_util::Empty<bytes::Bytes>;
    let (mut http2, connection) = hyper::client::conn::http2::handshake::<_, _, Body>(executor, io)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    // A connection that has said nothing yet might be closed before it is known for HTTP/2.
    let request = http::Request::connect("example.com:443");
    let answer = http2.send_request(request.body(Body::new()).unwrap()).await;
    assert_eq!(answer.unwrap().status(), 405);

    scene.server.process.terminate().await;
    assert_eq!(scene.server.process.exit().await.code(), Some(0));
    connection.await.unwrap().unwrap();
    drop((fresh, kept));
}

#[tokio::test]
async fn a_client_that_is_only_listened_to_holds_nothing_up() {
    // With less than a linger takes, so that one that is waited for is told of.
    let mut scene = Scene::with("[shutdown]\ndrain = \"1500ms\"\n", |program| program).await;
    let mut refused = Connection::open(scene.server.proxy).await;
    refused.write("NONSENSE\r\n\r\n").await;
    assert_eq!(refused.read_response().await.status(), 400);
    scene.server.process.terminate().await;
    assert_eq!(scene.server.process.exit().await.code(), Some(0));
    drop(refused);
}

#[tokio::test]
async fn a_stream_that_outlasts_the_drain_limit_is_cut_off_and_told_of() {
    let mut scene = Scene::with("[shutdown]\ndrain = \"100ms\"\n", |program| {
        program.env("OTEL_BSP_SCHEDULE_DELAY", "600000")
    })
    .await;
    let (mut client, mut served) = streaming(&scene).await;
    let (waiting, mut unanswered) = scene.call(&chat(EDITED)).await;
    scene.server.process.terminate().await;
    client.closed().await;
    served.closed().await;
    unanswered.closed().await;
    assert_eq!(scene.server.process.exit().await.code(), Some(1));
    let log = scene.server.process.stderr();
    let told = "exchanges still in flight after 100ms (shutdown.drain) were cut off: 2";
    assert_eq!(log.messages("stopped").next().unwrap()["error"], told);
    let received = scene.collector.received();
    assert_eq!(received.spans.len(), 4, "{}", received.summary());
    for span in &received.spans {
        assert_eq!(
            span.text("streamgauge.end"),
            Some("timeout"),
            "{}",
            span.name()
        );
        assert_eq!(span.text("error.type"), Some("shutdown"), "{}", span.name());
    }
    drop(waiting);
}

#[tokio::test]
async fn without_a_drain_limit_nobody_is_said_to_be_waited_for() {
    for in_flight in [1, 0] {
        let mut scene = Scene::with("[shutdown]\ndrain = \"0s\"\n", |program| program).await;
        let mut calls = Vec::new();
        for _ in 0..in_flight {
            calls.push(streaming(&scene).await);
        }
        scene.server.process.terminate().await;
        for (client, served) in &mut calls {
            client.closed().await;
            served.closed().await;
        }
        let status = scene.server.process.exit().await;
        let log = scene.server.process.stderr();
        let told =
            "shutting down: streams in flight are cut off at once, since shutdown.drain is 0s";
        let line = log.messages(told).next();
        assert_eq!(line.unwrap()["in_flight"], in_flight, "{}", log.text());
        assert!(
            !log.text().contains("waiting for streams"),
            "{}",
            log.text()
        );
        // What was cut off is an error, and nothing else is.
        assert_eq!(status.code(), Some(in_flight), "{}", log.text());
        let stopped = log.messages("stopped").next().unwrap();
        if in_flight > 0 {
            let told = "exchanges in flight were cut off at once, since shutdown.drain is 0s: 1";
            assert_eq!(stopped["error"], told);
        }
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once_and_what_it_cuts_is_logged() {
    for signal in SIGNALS {
        let mut scene = Scene::configured("log.access = \"all\"").await;
        let (mut client, mut served) = streaming(&scene).await;
        scene.server.process.signal(signal).await;
        is_draining(&scene).await;
        scene.server.process.signal(signal).await;
        client.closed().await;
        served.closed().await;
        assert_eq!(scene.server.process.exit().await.code(), Some(1));
        let log = scene.server.process.stderr();
        let told = "stopped by a second signal: exchanges in flight were cut off: 1";
        assert_eq!(log.messages("stopped").next().unwrap()["error"], told);
        let line = log.messages("access").next().unwrap();
        assert_eq!(
            (&line["end"], &line["error_type"]),
            (&"timeout".into(), &"shutdown".into())
        );
    }
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_a_collector_that_hangs() {
    let mut scene = Scene::start().await;
    scene.collector.set_mode(Mode::Hang);
    let (mut client, mut served) = streaming(&scene).await;
    served.write([chunk(END), chunk("")].concat()).await;
    client.read_through(b"0\r\n\r\n").await;
    scene.collector.requests(1).await;
    scene.server.process.terminate().await;
    refuses(&scene).await;
    scene.server.process.terminate().await;
    assert_eq!(scene.server.process.exit().await.code(), Some(1));
    let log = scene.server.process.stderr();
    let told = "stopped by a second signal: no exchange was cut off, and telemetry that was not exported yet may be lost";
    assert_eq!(log.messages("stopped").next().unwrap()["error"], told);
}

#[tokio::test]
async fn what_a_second_signal_leaves_undone_is_blamed_on_it_and_what_is_done_is_not_told_of() {
    let folder = format!("streamgauge-hurried-{}", std::process::id());
    let folder = std::env::temp_dir().join(folder);
    let mut scene = Scene::with("content = \"store\"\n", |program| {
        program.env("STREAMGAUGE_STATE_FOLDER", &folder)
    })
    .await;
    scene.collector.set_mode(Mode::Hang);
    let (mut client, mut served) = streaming(&scene).await;
    served.write([chunk(END), chunk("")].concat()).await;
    client.read_through(b"0\r\n\r\n").await;
    // Spans are on their way, and never come.
    scene.collector.requests(1).await;
    let (waiting, held) = streaming(&scene).await;
    scene.server.process.terminate().await;
    is_draining(&scene).await;
    scene.server.process.terminate().await;
    assert_eq!(scene.server.process.exit().await.code(), Some(1));
    let log = scene.server.process.stderr();
    let told = "not handed on: a second signal stopped streamgauge at once";
    let lost: Vec<_> = log
        .messages(told)
        .map(|line| line["lost"].clone())
        .collect();
    assert!(lost.contains(&"spans".into()), "{}", log.text());
    // The disk takes what it is given.
    for done in ["sums of costs", "exchanges of the history", "prompts"] {
        assert!(!lost.contains(&done.into()), "{}", log.text());
    }
    assert!(!log.text().contains("shutdown deadline"), "{}", log.text());
    std::fs::remove_dir_all(&folder).unwrap();
    drop((waiting, held));
}

#[tokio::test]
async fn a_collector_that_hangs_does_not_keep_the_process_from_ending() {
    let mut scene = Scene::start().await;
    scene.collector.set_mode(Mode::Hang);
    let (mut client, mut served) = streaming(&scene).await;
    served.write([chunk(END), chunk("")].concat()).await;
    client.read_through(b"0\r\n\r\n").await;
    scene.collector.requests(1).await;
    scene.server.process.terminate().await;
    assert_eq!(scene.server.process.exit().await.code(), Some(0));
}
