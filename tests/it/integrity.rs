//! The proof at run time, driven to each of its results: what was read from the upstream against what the client's
//! connection took.

use crate::support::http1::{Connection, chunk};
use crate::support::otlp::Attributes as _;
use crate::support::scene::{EDITED, END, STREAM, Scene, TOKEN, UNEDITED, USAGE, chat};

/// Checks the books of the only exchange: the counter, all of it, and the SERVER span.
async fn assert_result(scene: &Scene, result: &str) {
    scene.server.finished(1).await;
    let name = "streamgauge_integrity_total";
    assert_eq!(
        scene.server.metric(name, &[("result", result)]).await,
        Some(1.0)
    );
    assert_eq!(
        scene.server.metric(name, &[]).await,
        Some(1.0),
        "one response has one result"
    );
    let spans = scene.collector.spans(2).await;
    let results: Vec<_> = spans
        .iter()
        .filter_map(|span| span.text("streamgauge.integrity"))
        .collect();
    assert_eq!(results, [result]);
}

/// One call whose whole response is these events; what the client got of it.
async fn whole(scene: &Scene, request: &str, head: &str, events: &[&str]) -> String {
    let (mut client, mut served) = scene.call(&chat(request)).await;
    served.write(head).await;
    for event in events {
        served.write(chunk(event)).await;
    }
    served.write(chunk("")).await;
    client.read_response().await.text().to_owned()
}

/// A call whose stream has begun.
async fn begun(scene: &Scene, request: &str) -> (Connection, Connection) {
    let (mut client, mut served) = scene.call(&chat(request)).await;
    served
        .write([STREAM.as_bytes(), &chunk(TOKEN)].concat())
        .await;
    client.read_through(TOKEN.as_bytes()).await;
    (client, served)
}

#[tokio::test]
async fn the_same_bytes_are_equal() {
    // The same words as the edit looks for, in a stream that is not edited, and an edited one without them.
    for (request, events) in [
        (UNEDITED, &[TOKEN, END, USAGE][..]),
        (EDITED, &[TOKEN, END]),
    ] {
        let scene = Scene::start().await;
        assert_eq!(
            whole(&scene, request, STREAM, events).await,
            events.concat()
        );
        assert_result(&scene, "equal").await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_early_has_a_prefix() {
    for request in [EDITED, UNEDITED] {
        let scene = Scene::start().await;
        let (client, mut served) = begun(&scene, request).await;
        client.close().await;
        served.closed().await;
        assert_result(&scene, "prefix").await;
    }
}

#[tokio::test]
async fn the_event_that_we_asked_for_is_removed_wherever_it_is_cut() {
    let halves = USAGE.split_at(USAGE.len() / 2);
    for events in [&[TOKEN, USAGE, END][..], &[TOKEN, halves.0, halves.1, END]] {
        let scene = Scene::start().await;
        let seen = whole(&scene, EDITED, STREAM, events).await;
        assert_eq!(seen, [TOKEN, END].concat());
        assert_result(&scene, "usage_removed").await;
    }
}

#[tokio::test]
async fn the_event_that_we_asked_for_is_left_in_a_coded_stream() {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;

    let scene = Scene::start().await;
    let mut coder = GzEncoder::new(Vec::new(), Compression::default());
    coder
        .write_all([TOKEN, END, USAGE].concat().as_bytes())
        .unwrap();
    let coded = coder.finish().unwrap();
    let head = STREAM.replace("\r\n\r\n", "\r\ncontent-encoding: gzip\r\n\r\n");
    let (mut client, mut served) = scene.call(&chat(EDITED)).await;
    served
        .write([head.as_bytes(), &chunk(&coded), &chunk("")].concat())
        .await;
    assert_eq!(client.read_response().await.body, coded);
    assert_result(&scene, "usage_left").await;
}

/// How many responses have differed; `None` where none is counted.
async fn different(scene: &Scene) -> Option<f64> {
    let labels = [("result", "different"), ("upstream", "default")];
    let name = "streamgauge_integrity_total";
    scene.server.metric(name, &labels).await
}

/// A frame with a text that the test build of the usage filter damages.
const DAMAGED: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"damage-this-frame\"}}]}\n\n";

#[cfg(feature = "fault-injection")]
#[tokio::test]
async fn a_changed_byte_is_found_and_told_of() {
    let scene = Scene::start().await;
    // So that an alert sees the first.
    assert_eq!(different(&scene).await, Some(0.0));
    let seen = whole(&scene, EDITED, STREAM, &[TOKEN, DAMAGED, END]).await;
    assert_ne!(
        seen,
        [TOKEN, DAMAGED, END].concat(),
        "the fault was to be injected"
    );
    assert_result(&scene, "different").await;
}

#[cfg(not(feature = "fault-injection"))]
#[tokio::test]
async fn no_other_build_damages_a_stream() {
    let scene = Scene::start().await;
    let seen = whole(&scene, EDITED, STREAM, &[TOKEN, DAMAGED, END]).await;
    assert_eq!(seen, [TOKEN, DAMAGED, END].concat());
    assert_result(&scene, "equal").await;
    assert_eq!(different(&scene).await, Some(0.0));
}
